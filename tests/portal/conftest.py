"""People and pages of the portal's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from tenants.models import Site, Tenant

MakeMember = Callable[..., tuple[object, str]]


@dataclass
class Visitor:
    """A signed-in member, looking at pages below their company."""

    client: Client
    slug: str

    def get(self, page: str = "", /, **query: str) -> Any:
        return self.client.get(f"/t/{self.slug}/{page}", query)

    def post(self, page: str, /, **data: object) -> Any:
        return self.client.post(f"/t/{self.slug}/{page}", data)

    def text(self, page: str = "", /, **query: str) -> str:
        answer = self.get(page, **query)
        assert answer.status_code == 200, f"{page}: {answer.status_code}"
        return answer.content.decode()


@pytest.fixture
def visitor(
    tenant: Tenant, make_member: MakeMember, portal_client: Callable[..., Client]
) -> Callable[..., Visitor]:
    """visitor(role, sites=[...]) -> somebody with this role who has the portal open."""

    def make(role: str = "owner", sites: list[Site] | None = None) -> Visitor:
        user, _password = make_member(role, sites or [])
        return Visitor(portal_client(user), tenant.slug)

    return make
