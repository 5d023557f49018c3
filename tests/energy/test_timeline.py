"""A session's timeline tells what load management allowed it, where it changed, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from stations import history
from stations.models import ChargingProfile, Session, Station
from tenants.context import tenant_scope
from tenants.models import Role, Site, Tenant
from tests.energy.sites import create_tree

Make = Callable[..., Any]


def limit(session: Session, number: int, amps: float, minutes: float, **values: Any) -> None:
    more = {"amps": amps, "why": values.pop("why", ""), "node": values.pop("node", "")}
    at = session.started_at + timedelta(minutes=minutes)
    told = {"state": "replaced", "settled_at": at, "intent": "energy"} | values
    ChargingProfile.objects.create(
        tenant_id=session.tenant_id, station_id=session.station_id, evse_number=1, number=number, session=session,
        purpose="transaction", more=more, **told,
    )  # fmt: skip


def test_only_changes_with_their_reasons(
    tenant: Tenant, site: Site, station: Station, make_session: Make, make_member: Make, portal_client: Make
) -> None:
    made = create_tree(tenant, site, [station])
    session = make_session(station, started_at=timezone.now() - timedelta(hours=1))
    with tenant_scope(tenant.pk):
        limit(session, 1, 16.0, 1, why="starts")
        limit(session, 2, 16.0, 2, why="full")  # the same once more
        limit(session, 3, 7.5, 3, why="binds", node=str(made.root.pk))
        limit(session, 4, 32.0, 4, why="full", state="rejected")
        limit(session, 5, 20.0, 5, state="sent", settled_at=None)
        limit(session, 6, 0.0, 6, why="waits", node="999999999")
        limit(session, 7, 10.0, 7, why="raise")  # no reason that is known
        limit(session, 8, 12.0, 8, intent="limit")  # set by an operator
        told = [(one.text, one.detail) for one in history.of_session(session) if one.icon == "gauge"]
    assert told == [
        ("Load management allows 16 A", "the session had just begun"),
        ("Load management allows 7.5 A", "Main was full"),
        ("Paused by load management", "it waited for its turn"),
        ("Load management allows 10 A", ""),
    ]
    user, _password = make_member(Role.OPERATOR)
    page = portal_client(user).get(f"/t/{tenant.slug}/sessions/{session.pk}/").content.decode()
    assert "Load management allows 7.5 A" in page and "Main was full" in page
