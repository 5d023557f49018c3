"""A simulated station that obeys: limits that an operator sets are felt at the meter, and both sides tell the same."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.car import Car
from simulator.station import SimulatedStation
from stations import limits
from stations.models import (
    ChargingProfile,
    CommandKind,
    DerControl,
    PowerConstraint,
    Session,
    SessionPower,
    Station,
)
from stations.services import commands, der, profiles
from tenants.models import Tenant
from tests.servers import Role
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import applied, eventually, in_thread, rows
from tests.stations.ocpp.test_smart import all_settled


def simulated(gateway: Role, tenant: Tenant, station: Station, version: str) -> SimulatedStation:
    return SimulatedStation(
        url=f"{gateway.ws_url}/ocpp/{tenant.slug}",
        identity=station.identity,
        password=station.password,  # type: ignore[attr-defined]
        version=version,
        speed=1,
    )


def ask(tenant: Tenant, station: Station, actor: Any, kind: str, **arguments: Any) -> Any:
    return commands.request_command(
        tenant_id=tenant.pk, station_id=station.pk, kind=kind, arguments=arguments, actor=actor
    )


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_limit_is_obeyed_until_it_is_cleared(
    gateway: Role, tenant: Tenant, station: Station, make_token: Any, owner_actor: Any, version: str
) -> None:
    own = {"tenant_id": tenant.pk, "station_id": station.pk, "actor": owner_actor}
    token = await in_thread(make_token)
    async with simulated(gateway, tenant, station, version) as wire:
        await wire.plug_in(1, Car(battery_wh=80_000, soc=0.2, ac_max_amps=16.0))
        assert await wire.start(1, token.uid) is not None
        assert wire.limit(wire.connectors[1]).amps == float("inf")
        await rows(tenant, lambda: profiles.limit(evse=1, amps=8, **own))
        await all_settled(tenant, station)
        assert wire.limit(wire.connectors[1]).amps == 8
        assert wire.connectors[1].flow.amps == 8
        await rows(tenant, lambda: profiles.limit(evse=1, amps=6, **own))  # in the same place
        await all_settled(tenant, station)
        assert wire.connectors[1].flow.amps == 6
        await rows(
            tenant, lambda: ask(tenant, station, owner_actor, CommandKind.READ_COMPOSITE, evse=1, unit="A")
        )
        await all_settled(tenant, station)
        found = await rows(tenant, lambda: limits.of_station(Station.objects.get(pk=station.pk)))
        assert found.told[1].periods[0]["limit"] == 6
        assert await rows(tenant, lambda: limits.drift(found, 1)) == []
        held = await rows(tenant, lambda: [row.pk for row in limits.held(tenant.pk, [station.pk])])
        assert len(held) == 2
        for pk in held:
            await rows(
                tenant,
                lambda pk=pk: profiles.clear(tenant_id=tenant.pk, profile_id=pk, actor=owner_actor),  # type: ignore[misc]
            )
        await all_settled(tenant, station)
        assert wire.connectors[1].flow.amps == 16
        await wire.stop(1)
    states = await rows(
        tenant, lambda: set(ChargingProfile.objects.filter(station=station).values_list("state", flat=True))
    )
    assert states == {"replaced", "cleared"}


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_needs_and_limits_from_outside_of_a_simulated_station(
    gateway: Role, tenant: Tenant, station: Station, make_token: Any, owner_actor: Any, version: str
) -> None:
    token = await in_thread(make_token)
    async with simulated(gateway, tenant, station, version) as wire:
        await wire.plug_in(1, Car(battery_wh=80_000, soc=0.2, ac_max_amps=16.0))
        await wire.start(1, token.uid)
        assert await wire.need(1, 22_000) == "Accepted"
        await all_settled(tenant, station)
        session = await rows(tenant, lambda: Session.objects.get(station=station))
        row = await rows(tenant, lambda: SessionPower.objects.get(session=session))
        assert row.energy_wh == 22_000
        await wire.outside_limit(4200.0)
        assert wire.connectors[1].flow.power_w == pytest.approx(4200, rel=0.05)
        await applied(tenant)
        [constraint] = await rows(tenant, lambda: list(limits.open_constraints(tenant.pk, station=station)))
        assert (constraint.source, constraint.periods[0]["limit"]) == ("grid_operator", 4200)
        await rows(tenant, lambda: ask(tenant, station, owner_actor, CommandKind.READ_PROFILES))
        await all_settled(tenant, station)
        of_station = ChargingProfile.objects.filter(station=station, told_at__isnull=False)

        async def all_told() -> bool:  # reports follow the answer
            told = await rows(tenant, lambda: set(of_station.values_list("purpose", flat=True)))
            return told == {"external", "transaction"}

        await eventually(all_told)
        await wire.outside_limit(None)
        await applied(tenant)
        assert not await rows(
            tenant, lambda: PowerConstraint.objects.filter(station=station, cleared_at=None).exists()
        )


async def test_a_simulated_station_holds_grid_controls(
    gateway: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    def states() -> list[str]:
        found = DerControl.objects.filter(station=station).order_by("id")
        return list(found.values_list("state", flat=True))

    curve = {"points": [[50.2, 100], [51.5, 48]], "y_unit": "pct_max_w"}
    own = {"tenant_id": tenant.pk, "station_id": station.pk, "actor": owner_actor}
    async with simulated(gateway, tenant, station, "2.1") as wire:
        for priority in (5, 1):
            await rows(
                tenant,
                lambda priority=priority: der.set_control(  # type: ignore[misc]
                    kind="freq_watt", settings=curve, priority=priority, **own
                ),
            )
        await all_settled(tenant, station)
        assert await rows(tenant, states) == ["superseded", "active"]
        await rows(tenant, lambda: ask(tenant, station, owner_actor, CommandKind.READ_DER))
        await all_settled(tenant, station)
        await wire.settled()
        await applied(tenant)
        rows_told = await rows(tenant, lambda: list(DerControl.objects.filter(station=station)))
        assert all(row.told_at is not None for row in rows_told)
        assert await rows(tenant, states) == ["superseded", "active"]
        await rows(tenant, lambda: ask(tenant, station, owner_actor, CommandKind.CLEAR_DER, is_default=True))
        await all_settled(tenant, station)
        assert not wire.grid.controls
    assert await rows(tenant, states) == ["cleared", "cleared"]
