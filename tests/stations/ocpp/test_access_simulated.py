"""Lists, reservations and who may charge, with a simulated station that keeps its own list and its own reservations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleets.models import Token
from fleets.services import tokens
from simulator.station import SimulatedStation
from stations.models import LocalList, Reservation, Session, Station
from stations.models import ReservationState as S
from stations.services import access, local_lists, reservations
from tenants.context import tenant_scope
from tenants.models import Tenant
from tenants.services import dispatch
from tests.servers import Role
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import applied, in_thread, rows

V2 = ("2.0.1", "2.1")


@asynccontextmanager
async def simulated(
    gateway: Role, tenant: Tenant, station: Station, version: str, **more: Any
) -> AsyncIterator[SimulatedStation]:
    """Its clock runs with ours, since reservations have an end."""
    async with SimulatedStation(
        url=f"{gateway.ws_url}/ocpp/{tenant.slug}", identity=station.identity,
        password=station.password, version=version, speed=1, **more,  # type: ignore[attr-defined]
    ) as one:  # fmt: skip
        yield one


async def until(check: Callable[[], Any], seconds: float = 60) -> Any:
    """What `check` gives, once it is true."""
    for _try in range(int(seconds / 0.1)):
        if found := await in_thread(check):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("it did not come")


async def in_step(tenant: Tenant, station: Station, own: SimulatedStation) -> LocalList:
    """Sweep until the list is what it should be."""

    def step() -> LocalList | None:
        dispatch.dispatch(tenant_id=tenant.pk)
        with tenant_scope(tenant.pk):
            local_lists.sweep(tenant_id=tenant.pk, now=datetime.now(UTC) + timedelta(seconds=10))
            return LocalList.objects.filter(tenant=tenant, station=station, state="in_step").first()

    return await until(step)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_blocked_card_is_refused_by_the_station_while_it_is_offline(
    gateway: Role, tenant: Tenant, station: Station, make_token: Any, owner_actor: Any, version: str
) -> None:
    good, lost = await in_thread(lambda: (make_token(uid="GOOD"), make_token(uid="LOST")))
    await rows(
        tenant,
        lambda: access.change_rule(
            tenant_id=tenant.pk, actor=owner_actor, station=station, changes={"local_list": True}
        ),
    )
    async with simulated(gateway, tenant, station, version) as own:
        assert await own.authorize("LOST") == "Accepted"  # which its cache remembers
        await in_step(tenant, station, own)
        assert own.local_auth.entries == {"GOOD": "Accepted", "LOST": "Accepted"}
        await rows(tenant, lambda: tokens.block_token(token=lost, actor=owner_actor))
        await in_step(tenant, station, own)
        await until(lambda: own.local_auth.entries.get("LOST") == "Blocked")
        await own.go_offline()
        assert await own.authorize("LOST") == "Blocked"
        assert await own.authorize("GOOD") == "Accepted"
        transaction = await own.start(1, good.uid)
        assert transaction is not None
        await own.go_online()
        await own.settled()
    session = await rows(tenant, lambda: Session.objects.get(tenant=tenant))
    assert (session.token_uid, session.verdict, session.flags) == ("GOOD", "accepted", [])


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_list_that_somebody_changed_at_the_station_is_repaired(
    gateway: Role, tenant: Tenant, station: Station, make_token: Any, owner_actor: Any, version: str
) -> None:
    await in_thread(lambda: [make_token(uid=f"CARD{number}") for number in range(5)])
    await rows(
        tenant,
        lambda: access.change_rule(tenant_id=tenant.pk, actor=owner_actor, changes={"local_list": True}),
    )
    async with simulated(gateway, tenant, station, version, settings={"SendLocalListMaxLength": "2"}) as own:
        await in_step(tenant, station, own)
        assert len(own.local_auth.entries) == 5
        parts = [payload for action, payload in own.calls if action == "SendLocalList"]
        assert [part["updateType"] for part in parts] == ["Full", "Differential", "Differential"]
        own.local_auth.update(77, True, [("INTRUDER", "Accepted")])
        await rows(tenant, lambda: local_lists.check_now(station=station, actor=owner_actor))
        await until(lambda: _told(tenant, station) == 77)
        await in_step(tenant, station, own)
        assert sorted(own.local_auth.entries) == [f"CARD{number}" for number in range(5)]
        assert own.local_auth.version > 77


@pytest.mark.parametrize("version", ["1.6", "2.1"])
async def test_thousands_of_cards_fit_through_a_narrow_door(
    gateway: Role, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    made = [Token(tenant=tenant, uid=f"04{number:012X}", group="STAFF") for number in range(2_050)]
    await rows(tenant, lambda: Token.objects.bulk_create(made))
    await rows(
        tenant,
        lambda: access.change_rule(tenant_id=tenant.pk, actor=owner_actor, changes={"local_list": True}),
    )
    most = {"LocalAuthListMaxLength": "5000"}
    async with simulated(gateway, tenant, station, version, settings=most) as own:
        await in_step(tenant, station, own)
        assert len(own.local_auth.entries) == 2_050
        parts = [payload for action, payload in own.calls if action == "SendLocalList"]
        assert [len(part["localAuthorizationList"]) for part in parts] == [100] * 20 + [50]
        assert own.local_auth.version == 21


def _told(tenant: Tenant, station: Station) -> int | None:
    with tenant_scope(tenant.pk):
        return LocalList.objects.get(tenant=tenant, station=station).told_version


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_reserved_connector_lets_in_its_card_and_its_group_alone(
    gateway: Role, tenant: Tenant, station: Station, make_token: Any, owner_actor: Any, version: str
) -> None:
    await in_thread(
        lambda: (
            make_token(uid="MINE", group="STAFF"),
            make_token(uid="MATE", group="STAFF"),
            make_token(uid="OTHER"),
        )
    )
    async with simulated(gateway, tenant, station, version) as own:
        one = await _reserve(tenant, station, owner_actor, minutes=30)
        await until(lambda: _state(tenant, one) == S.RESERVED)
        await own.settled()
        await applied(tenant)
        assert own.connectors[1].state == "reserved"
        await own.plug_in(1)
        assert await own.start(1, "OTHER") is None
        assert await own.start(1, "MATE") is not None
        await own.settled()
        used = await rows(tenant, lambda: Reservation.objects.select_related("session").get(pk=one.pk))
    assert used.state == S.USED and used.session is not None and used.session.token_uid == "MATE"


@pytest.mark.parametrize("version", V2)
async def test_the_station_tells_that_nobody_came(
    gateway: Role, tenant: Tenant, station: Station, make_token: Any, owner_actor: Any, version: str
) -> None:
    await in_thread(lambda: make_token(uid="MINE"))
    async with simulated(gateway, tenant, station, version) as own:
        one = await _reserve(tenant, station, owner_actor, minutes=1.05)
        await until(lambda: _state(tenant, one) == S.RESERVED)
        kept = own.connectors[1].reservation
        assert kept is not None and kept.id == one.number
        own.background(own._expire(own.connectors[1], one.number, 0))  # its clock is ahead
        await own.settled()
        await applied(tenant)
    assert await in_thread(lambda: _state(tenant, one)) == S.NO_SHOW


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_reservation_is_taken_back(
    gateway: Role, tenant: Tenant, station: Station, make_token: Any, owner_actor: Any, version: str
) -> None:
    await in_thread(lambda: make_token(uid="MINE"))
    async with simulated(gateway, tenant, station, version) as own:
        one = await _reserve(tenant, station, owner_actor, minutes=30)
        await until(lambda: _state(tenant, one) == S.RESERVED)
        await rows(tenant, lambda: reservations.cancel(reservation=one, actor=owner_actor))
        await until(lambda: _state(tenant, one) == S.CANCELLED)
        assert own.connectors[1].reservation is None


@pytest.mark.parametrize("version", V2)
async def test_a_fault_takes_a_reservation_away(
    gateway: Role, tenant: Tenant, station: Station, make_token: Any, owner_actor: Any, version: str
) -> None:
    await in_thread(lambda: make_token(uid="MINE"))
    async with simulated(gateway, tenant, station, version) as own:
        one = await _reserve(tenant, station, owner_actor, minutes=30)
        await until(lambda: _state(tenant, one) == S.RESERVED)
        await own.fault(1)
        await own.settled()
        await applied(tenant)
    found = await rows(tenant, lambda: Reservation.objects.get(pk=one.pk))
    assert found.state == S.CANCELLED and found.reason.startswith("The station removed it")


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("allowed", [True, False])
async def test_a_start_button_charges_where_the_rules_allow_it(
    gateway: Role, tenant: Tenant, station: Station, owner_actor: Any, version: str, allowed: bool
) -> None:
    await rows(
        tenant,
        lambda: access.change_rule(
            tenant_id=tenant.pk, actor=owner_actor, site=station.site, changes={"free_charging": allowed}
        ),
    )
    async with simulated(gateway, tenant, station, version) as own:
        await own.plug_in(1)
        await own.start(1, "", kind="NoAuthorization", authorize=False)
        own.connectors[1].register_wh += 5000
        await own.stop(1)
        await own.settled()
        session = await rows(tenant, lambda: Session.objects.get(tenant=tenant))
    assert session.verdict == ("accepted" if allowed else "invalid")
    assert ("no_identification" in session.flags) is not allowed
    assert "token_missing" not in session.flags


async def _reserve(tenant: Tenant, station: Station, actor: Any, *, minutes: float) -> Reservation:
    until_ = datetime.now(UTC) + timedelta(minutes=minutes)
    return await rows(
        tenant,
        lambda: reservations.reserve(
            station=station, actor=actor, token_uid="MINE", evse=1, expires_at=until_
        ),
    )


def _state(tenant: Tenant, one: Reservation) -> str:
    with tenant_scope(tenant.pk):
        return Reservation.objects.get(pk=one.pk).state
