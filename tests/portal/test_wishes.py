"""What people want of a session: said by its driver on a phone, by its fleet's manager, by an operator."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from energy.models import Steering
from fleets.models import Driver, Fleet, FleetScope
from stations.models import Session, SessionPower, Station
from tenants.context import tenant_scope
from tenants.models import Membership, Site, Tenant
from tests import objects
from tests.energy import sites
from tests.portal.conftest import Visitor

Make = Callable[..., Any]


@pytest.fixture
def station(make_station: Make, site: Site, tenant: Tenant) -> Station:
    with tenant_scope(tenant.pk):
        Site.objects.filter(pk=site.pk).update(time_zone="UTC")
    return make_station(site=site, name="Bay 7", online=True)


def wish_of(tenant: Tenant, session: Session) -> tuple[float | None, datetime | None, str]:
    with tenant_scope(tenant.pk):
        row = SessionPower.objects.get(tenant=tenant, session=session)
        return row.wish_wh, row.wish_departure_at, row.wish_by


def words(page: str) -> str:
    """What is read, without tags."""
    return re.sub(r"[\s\u00a0]+", " ", unescape(re.sub(r"<[^>]+>", "", page)))


def driver_of(tenant: Tenant, make_member: Make, portal_client: Make) -> tuple[Visitor, Driver]:
    user, _password = make_member("driver")
    with tenant_scope(tenant.pk):
        person = Driver.objects.create(tenant=tenant, name="Dora Drake", user=user)
    return Visitor(portal_client(user), tenant.slug), person


def test_a_driver_says_when_they_leave(
    tenant: Tenant, station: Station, make_member: Make, portal_client: Make
) -> None:
    visitor, person = driver_of(tenant, make_member, portal_client)
    other, _other = driver_of(tenant, make_member, portal_client)
    session = objects.create_session(tenant, station, state="active", driver=person)
    assert "When do you leave" in visitor.text("me/")
    leaves = (datetime.now(UTC) + timedelta(hours=2)).replace(second=0, microsecond=0)
    told = {f"wish-{session.pk}-kwh": "20", f"wish-{session.pk}-ready_by": f"{leaves:%H:%M}"}
    assert other.post(f"me/charging/{session.pk}/wish/", **told).status_code == 404
    assert visitor.post(f"me/charging/{session.pk}/wish/", **told).status_code == 302
    wh, at, by = wish_of(tenant, session)
    assert (wh, at) == (20_000, leaves) and by
    assert "At least 20.0 kWh by" in visitor.text("me/")
    # An earlier clock is tomorrow's.
    early = leaves - timedelta(hours=4)
    visitor.post(f"me/charging/{session.pk}/wish/", **{f"wish-{session.pk}-ready_by": f"{early:%H:%M}"})
    assert wish_of(tenant, session)[:2] == (None, early + timedelta(days=1))
    refused = visitor.post(f"me/charging/{session.pk}/wish/", **(told | {f"wish-{session.pk}-kwh": "-3"}))
    assert wish_of(tenant, session)[:2] == (None, early + timedelta(days=1))
    shown = refused.content.decode()
    assert refused.status_code == 422 and "Between 0.1 and 1,000 kWh." in shown
    assert 'value="-3"' in shown and f'value="{leaves:%H:%M}"' in shown, "what was typed stays"
    assert "Take it back" in visitor.text("me/")
    visitor.post(f"me/charging/{session.pk}/wish/", **(told | {"take-back": "yes"}))
    assert wish_of(tenant, session)[:2] == (None, None)
    assert "Take it back" not in visitor.text("me/")
    with tenant_scope(tenant.pk):
        Session.objects.filter(pk=session.pk).update(state="ended", ended_at=datetime.now(UTC))
    visitor.post(f"me/charging/{session.pk}/wish/", **told)
    assert wish_of(tenant, session)[:2] == (None, None)


def test_a_driver_sees_what_load_management_has_in_mind(
    tenant: Tenant, station: Station, make_member: Make, portal_client: Make
) -> None:
    visitor, person = driver_of(tenant, make_member, portal_client)
    session = objects.create_session(tenant, station, state="active", driver=person)
    made = sites.create_tree(tenant, station.site, [station])
    now = datetime.now(UTC)
    evse = made.outlets[0].evse_id
    ready = now + timedelta(minutes=95)
    told = {"outlets": [{"evse": evse, "session": session.pk, "why": "waits"}]}
    with tenant_scope(tenant.pk):
        rows = Steering.objects.filter(connection=made.connection)
        rows.update(picture=told, picture_at=now, programme={"ready": {str(evse): ready.timestamp()}})
    page = visitor.text("me/")
    assert "Waits for its turn" in page and "Planned to be ready at" in page
    with tenant_scope(tenant.pk):
        rows.update(programme={"unmet_wh": {str(evse): 4200}})
    page = visitor.text("me/")
    assert "4.20 kWh will be missing" in page.replace("\xa0", " ") and "Planned to be ready" not in page
    visitor.post(f"me/charging/{session.pk}/wish/", **{f"wish-{session.pk}-kwh": "20"})
    with tenant_scope(tenant.pk):
        rows.update(picture_at=datetime.now(UTC), programme_at=now)
    page = visitor.text("me/")
    assert "The new plan follows within minutes." in page and "missing" not in page
    with tenant_scope(tenant.pk):
        rows.update(programme_at=datetime.now(UTC))
    page = visitor.text("me/")
    assert "The new plan follows" not in page and "missing" in page
    with tenant_scope(tenant.pk):
        rows.update(picture_at=now - timedelta(minutes=5))
    assert "Waits for its turn" not in visitor.text("me/")


def test_staff_see_what_it_is_to_have_and_correct_what_was_refused(
    tenant: Tenant, station: Station, visitor: Callable[..., Visitor]
) -> None:
    operator = visitor("operator")
    session = objects.create_session(tenant, station, state="active", energy_wh=7_380)
    made = sites.create_tree(tenant, station.site, [station])
    now = datetime.now(UTC)
    leaves = now + timedelta(days=2)
    told = {
        "evse": made.outlets[0].evse_id, "session": session.pk, "why": "later",
        "need_wh": 12_340.0, "departure": leaves.timestamp(),
    }  # fmt: skip
    with tenant_scope(tenant.pk):
        rows = Steering.objects.filter(connection=made.connection)
        rows.update(picture={"outlets": [told]}, picture_at=datetime.now(UTC))
    page = words(operator.text(f"sessions/{session.pk}/"))
    assert f"It is to have 12.34 kWh more by {leaves.day} {leaves:%b, %H:%M}" in page
    assert "Waits for cheaper power." in page and "7.4 kWh of it are charged." in page
    refused = operator.post(f"sessions/{session.pk}/wish/", **{f"wish-{session.pk}-kwh": "3000"})
    shown = refused.content.decode()
    assert refused.status_code == 422 and "Between 0.1 and 1,000 kWh." in shown and 'value="3000"' in shown
    assert f'hx-get="/t/{tenant.slug}/sessions/{session.pk}/"' in shown, "fragments come from the page itself"
    assert f'hx-get="/t/{tenant.slug}/sessions/{session.pk}/wish/"' not in shown


def test_times_are_those_of_the_site(
    tenant: Tenant, station: Station, make_member: Make, portal_client: Make
) -> None:
    visitor, person = driver_of(tenant, make_member, portal_client)
    with tenant_scope(tenant.pk):
        Site.objects.filter(pk=station.site_id).update(time_zone="Asia/Tokyo")
    session = objects.create_session(tenant, station, state="active", driver=person)
    leaves = datetime.now(ZoneInfo("Asia/Tokyo")) + timedelta(hours=2)
    visitor.post(f"me/charging/{session.pk}/wish/", **{f"wish-{session.pk}-ready_by": f"{leaves:%H:%M}"})
    page = words(visitor.text("me/"))
    assert page.count(f"{leaves:%H:%M}.") == 2, "in the message, and on the page"


def test_who_speaks_for_a_session(
    tenant: Tenant, station: Station, visitor: Callable[..., Visitor], make_member: Make, portal_client: Make
) -> None:
    """Operators, the facility manager of its site and the manager of its fleet; nobody else."""
    with tenant_scope(tenant.pk):
        own, other = (Fleet.objects.create(tenant=tenant, name=name) for name in ("Own", "Other"))
    session = objects.create_session(tenant, station, state="active", fleet=own)
    with tenant_scope(tenant.pk):
        elsewhere = Site.objects.create(tenant=tenant, name="Elsewhere")

    def manager(fleet: Fleet) -> Visitor:
        user, _password = make_member("fleet_manager")
        with tenant_scope(tenant.pk):
            member = Membership.objects.get(tenant=tenant, user=user)
            FleetScope.objects.create(tenant=tenant, membership=member, fleet=fleet)
        return Visitor(portal_client(user), tenant.slug)

    def says(person: Visitor, kwh: int) -> int:
        answer = person.post(f"sessions/{session.pk}/wish/", **{f"wish-{session.pk}-kwh": str(kwh)})
        return int(answer.status_code)

    says(visitor("operator"), 11)
    assert wish_of(tenant, session)[0] == 11_000
    says(visitor("facility_manager", [station.site]), 12)
    assert wish_of(tenant, session)[0] == 12_000
    says(manager(own), 13)
    assert wish_of(tenant, session)[0] == 13_000
    assert says(manager(other), 14) == 404
    assert says(visitor("facility_manager", [elsewhere]), 15) == 404
    says(visitor("auditor"), 16)
    assert wish_of(tenant, session)[0] == 13_000
    assert "At least 13.0 kWh" in visitor("auditor").text(f"sessions/{session.pk}/")


def test_a_fleet_says_by_when_it_is_ready(tenant: Tenant, visitor: Callable[..., Visitor]) -> None:
    owner = visitor("owner")
    with tenant_scope(tenant.pk):
        fleet = Fleet.objects.create(tenant=tenant, name="Vans")
    told = {"name": "Vans", "ready_by": "06:00", "ready_kwh": "35", "ready_days": ["0", "1", "4"]}
    assert owner.post(f"fleets/{fleet.pk}/", **told).status_code == 302
    with tenant_scope(tenant.pk):
        fleet.refresh_from_db()
    assert (f"{fleet.ready_by:%H:%M}", fleet.ready_days, fleet.ready_wh) == ("06:00", [0, 1, 4], 35_000)
    page = owner.text(f"fleets/{fleet.pk}/")
    assert 'value="06:00"' in page and 'value="35.0"' in page
    owner.post(f"fleets/{fleet.pk}/", name="Vans")
    with tenant_scope(tenant.pk):
        fleet.refresh_from_db()
    assert (fleet.ready_by, fleet.ready_days, fleet.ready_wh) == (None, [], None)
    assert owner.post(f"fleets/{fleet.pk}/", **(told | {"ready_days": ["9"]})).status_code == 422
