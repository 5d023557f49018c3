"""The people of the scenarios: two companies that know nothing of each other, their members and their keys.

Rows are really committed. Each fixture makes fresh ones under random names, so nothing needs to be cleaned up.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.test import Client

from tenants import queries
from tenants.context import as_platform, tenant_scope
from tenants.models import Membership, MembershipSite, Role, Site, Tenant, User
from tenants.permissions import Actor, Permission, system
from tenants.services import actors, keys

PASSWORD = "correct horse battery"


def make_tenant(name: str = "Alder Charging") -> Tenant:
    slug = f"t-{secrets.token_hex(6)}"
    with as_platform():
        return Tenant.objects.create(slug=slug, name=f"{name} {slug[2:6]}")


@pytest.fixture
def tenant() -> Tenant:
    """The company of the scenario."""
    return make_tenant()


@pytest.fixture
def other_tenant() -> Tenant:
    """A company whose things the first must never see."""
    return make_tenant("Birch Mobility")


def make_user(name: str = "Anna Adler", **extra: Any) -> User:
    """A user whose password is PASSWORD, hashed with few rounds: logging in is not what most tests are about."""
    user = User(email=f"{name.split()[0].lower()}-{secrets.token_hex(6)}@example.com", name=name, **extra)
    user.password = PBKDF2PasswordHasher().encode(PASSWORD, secrets.token_hex(8), iterations=1)
    user.save()
    return user


MakeMember = Callable[..., tuple[User, str]]


@pytest.fixture
def make_member(tenant: Tenant) -> MakeMember:
    """make_member(role, sites=[...], tenant=..., name=...) -> (user, password)."""
    company = tenant

    def make(
        role: str, sites: Iterable[Site] = (), *, tenant: Tenant | None = None, name: str = "Anna Adler"
    ) -> tuple[User, str]:
        user = make_user(name)
        join(user, tenant or company, role, sites)
        return user, PASSWORD

    return make


def join(user: User, tenant: Tenant, role: str, sites: Iterable[Site] = ()) -> Membership:
    """Make a user a member of a company."""
    with tenant_scope(tenant.pk):
        member = Membership.objects.create(tenant=tenant, user=user, role=role)
        for site in sites:
            MembershipSite.objects.create(tenant=tenant, membership=member, site=site)
    return member


def actor_of(user: User, tenant: Tenant) -> Actor:
    """The actor that a request of this member carries."""
    with tenant_scope(tenant.pk):
        member = queries.membership(tenant.pk, user.pk)
        assert member is not None, f"{user} is no member of {tenant}"
        return actors.of_member(member)


@pytest.fixture
def make_actor(tenant: Tenant, make_member: MakeMember) -> Callable[..., Actor]:
    """make_actor(role, sites=[...]) -> the Actor of a fresh member."""

    def make(role: str, sites: Iterable[Site] = ()) -> Actor:
        user, _password = make_member(role, sites)
        return actor_of(user, tenant)

    return make


@pytest.fixture
def owner_actor(make_actor: Callable[..., Actor]) -> Actor:
    return make_actor(Role.OWNER)


@pytest.fixture
def other_owner_actor(other_tenant: Tenant, make_member: MakeMember) -> Actor:
    user, _password = make_member(Role.OWNER, tenant=other_tenant, name="Charlie Carver")
    return actor_of(user, other_tenant)


@pytest.fixture
def portal_client() -> Callable[[User], Client]:
    """portal_client(user): a browser in which this user is logged in."""

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


class ApiClient(Client):
    """A caller of the REST API: sends and reads JSON, under one API key. `path` begins after /api/v1."""

    def __init__(self, key: str) -> None:
        super().__init__(headers={"authorization": f"Bearer {key}"}, raise_request_exception=False)
        self.key = key

    def call(
        self, method: str, path: str, data: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> Any:
        """The response; its `.json()` is the body. `data` is sent as JSON unless it is bytes."""
        address = path if path.startswith("/api/") else f"/api/v1{path}"
        if isinstance(data, bytes):
            content = data
        else:
            content = b"" if data is None else json.dumps(data).encode()
        return self.generic(
            method,
            address,
            content,
            content_type="application/json",
            headers=headers,
            query_params=query or None,
        )

    def read(self, path: str, **query: Any) -> Any:
        """Body of a GET that must succeed."""
        response = self.call("GET", path, **query)
        assert response.status_code == 200, response.content
        return response.json()

    def write(self, method: str, path: str, data: Any = None, *, status: int = 200) -> Any:
        """Body of a write that must end with `status`."""
        response = self.call(method, path, data)
        assert response.status_code == status, response.content
        return response.json() if response.content else None


@pytest.fixture
def api_client(tenant: Tenant) -> Callable[..., ApiClient]:
    """api_client(scopes=[...], tenant=...): a caller with a fresh key. Without scopes it may do everything."""
    company = tenant

    def make(scopes: Iterable[str] | None = None, *, tenant: Tenant | None = None) -> ApiClient:
        return make_api_client(tenant or company, scopes)

    return make


def make_api_client(tenant: Tenant, scopes: Iterable[str] | None = None) -> ApiClient:
    with tenant_scope(tenant.pk):
        _key, text = keys.create_key(
            tenant_id=tenant.pk,
            actor=system("tests"),
            name="Warehouse system",
            scopes=list(Permission.values if scopes is None else scopes),
        )
    return ApiClient(text)
