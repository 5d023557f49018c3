"""Members: invited, changed, removed; a company never loses its last owner."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.models import AuditRecord, Membership, Role, Tenant, User
from tenants.permissions import system
from tenants.services import members
from tests.people import PASSWORD

ACTOR = system("tests")


def member_of(tenant: Tenant, user: User) -> Membership:
    with tenant_scope(tenant.pk):
        return Membership.objects.select_related("user").get(tenant=tenant, user=user)


def add(tenant: Tenant, email: str, role: str = Role.OPERATOR, **values: Any) -> Membership:
    with tenant_scope(tenant.pk):
        return members.add_member(tenant_id=tenant.pk, actor=ACTOR, email=email, role=role, **values)


def test_an_invited_stranger_can_log_in(tenant: Tenant) -> None:
    member = add(tenant, f" New@{tenant.slug}.example ", name="Nora New", password=PASSWORD)
    user = User.objects.get(pk=member.user_id)
    assert user.email == f"new@{tenant.slug}.example"
    assert user.check_password(PASSWORD)


def test_a_known_person_keeps_their_password(tenant: Tenant, other_tenant: Tenant) -> None:
    email = f"both@{tenant.slug}.example"
    first = add(tenant, email, password=PASSWORD)
    second = add(other_tenant, email, Role.DRIVER, password="another password 123")
    assert first.user_id == second.user_id
    assert User.objects.get(pk=first.user_id).check_password(PASSWORD)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"role": "king"}, "role"),
        ({"password": "short"}, "password"),
    ],
)
def test_what_cannot_be_used_is_named(tenant: Tenant, values: dict[str, str], field: str) -> None:
    given = {"email": f"x@{tenant.slug}.example", "role": Role.OPERATOR, "password": PASSWORD} | values
    with pytest.raises(Invalid) as error:
        add(tenant, given.pop("email"), given.pop("role"), **given)
    assert list(error.value.fields) == [field]


def test_only_who_may_changes_members(tenant: Tenant, make_actor: Any, make_member: Any) -> None:
    actor, (user, _password) = make_actor(Role.OPERATOR), make_member(Role.DRIVER)
    with pytest.raises(Forbidden), tenant_scope(tenant.pk):
        members.change_member(member=member_of(tenant, user), actor=actor, role=Role.OWNER)


def test_the_last_owner_stays(tenant: Tenant, make_member: Any) -> None:
    user, _password = make_member(Role.OWNER)
    make_member(Role.OPERATOR)
    member = member_of(tenant, user)
    attempts = (
        lambda: members.change_member(member=member, actor=ACTOR, role=Role.OPERATOR),
        lambda: members.change_member(member=member, actor=ACTOR, role=Role.OWNER, active=False),
        lambda: members.remove_member(member=member, actor=ACTOR),
    )
    for attempt in attempts:
        with pytest.raises(Conflict) as error, tenant_scope(tenant.pk):
            attempt()
        assert error.value.code == "last_owner"
    assert member_of(tenant, user).role == Role.OWNER


def test_an_owner_who_cannot_log_in_does_not_count(tenant: Tenant, make_member: Any) -> None:
    user, _password = make_member(Role.OWNER)
    gone, _password = make_member(Role.OWNER)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    with pytest.raises(Conflict), tenant_scope(tenant.pk):
        members.remove_member(member=member_of(tenant, user), actor=ACTOR)


def test_one_of_two_owners_may_go(tenant: Tenant, make_member: Any) -> None:
    user, _password = make_member(Role.OWNER)
    make_member(Role.OWNER)
    with tenant_scope(tenant.pk):
        members.remove_member(member=member_of(tenant, user), actor=ACTOR)
        assert not Membership.objects.filter(tenant=tenant, user=user).exists()
        assert AuditRecord.objects.filter(tenant=tenant, action="member.remove").exists()
    assert User.objects.filter(pk=user.pk).exists()


def test_two_owners_cannot_remove_each_other_at_once(tenant: Tenant, make_member: Any) -> None:
    found = [member_of(tenant, make_member(Role.OWNER)[0]) for _ in range(2)]
    gate = threading.Barrier(2)

    def remove(member: Membership) -> bool:
        try:
            gate.wait()
            with tenant_scope(tenant.pk):
                members.remove_member(member=member, actor=ACTOR)
            return True
        except Conflict:
            return False
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, found)) == [False, True]
