"""The role `energy` steers stations of every version through the real gateway, on real rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from django.utils import timezone

from energy.models import MeterSample, Steering
from energy.services.signal import wake
from simulator.car import Car
from simulator.station import SimulatedStation
from stations.models import ChargingProfile, Station
from tenants.models import Site, Tenant
from tests.energy import sites
from tests.objects import create_station
from tests.servers import Role, Roles
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import eventually, in_thread, rows

CAR: dict[str, Any] = {"battery_wh": 80_000, "soc": 0.2, "ac_max_amps": 16.0}


@asynccontextmanager
async def charging(
    gateway: Role, tenant: Tenant, stations: list[Station], make_token: Any
) -> AsyncIterator[list[SimulatedStation]]:
    """A car charges at each."""
    async with AsyncExitStack() as stack:
        wires = []
        for station, version in zip(stations, VERSIONS, strict=True):
            wire = SimulatedStation(
                url=f"{gateway.ws_url}/ocpp/{tenant.slug}", identity=station.identity,
                password=station.password, version=version, speed=1,  # type: ignore[attr-defined]
                settings={"MeterValueSampleInterval": "5"} if version == "1.6" else {},
            )  # fmt: skip
            wires.append(await stack.enter_async_context(wire))
        for wire in wires:
            await wire.plug_in(1, Car(**CAR))
            assert await wire.start(1, (await in_thread(make_token)).uid) is not None
        yield wires


def amps(wires: list[SimulatedStation]) -> list[float]:
    return [wire.limit(wire.connectors[1]).amps for wire in wires]


async def test_cars_share_a_breaker_and_what_one_leaves_goes_to_the_others(
    gateway: Role, roles: Roles, tenant: Tenant, site: Site, make_token: Callable[..., Any]
) -> None:
    stations = await in_thread(lambda: [create_station(tenant, site) for _version in VERSIONS])
    made = await in_thread(
        lambda: sites.create_tree(tenant, site, stations, main_a=20.0, building_most_a=0.0, meter="")
    )
    energy = await in_thread(lambda: roles.start("energy"))
    async with charging(gateway, tenant, stations, make_token) as wires:

        async def shared() -> bool:
            return sum(amps(wires)) <= 20 and min(amps(wires)) >= 6 and sum(amps(wires)) >= 18

        await eventually(shared, 60)

        def held() -> int:
            return ChargingProfile.objects.filter(
                intent="energy", state="accepted", purpose="default", kind="relative"
            ).count()

        async def all_fall_back() -> bool:
            return await rows(tenant, held) == 3

        await eventually(all_fall_back)
        await wires[0].stop(1)
        await wires[0].unplug(1)

        async def freed() -> bool:
            return min(amps(wires[1:])) >= 9 and sum(amps(wires[1:])) <= 20

        await eventually(freed, 60)
        steering = await rows(tenant, lambda: Steering.objects.get(connection=made.connection))
        assert steering.picture["owner"] == steering.owner
        assert len(steering.picture["outlets"]) == 3
    assert energy.process.poll() is None, energy.output()


async def test_a_load_of_the_building_lowers_the_cars_at_once(
    gateway: Role, roles: Roles, tenant: Tenant, site: Site, make_token: Callable[..., Any]
) -> None:
    stations = await in_thread(lambda: [create_station(tenant, site) for _version in VERSIONS])
    made = await in_thread(
        lambda: sites.create_tree(tenant, site, stations, main_a=40.0, building_most_a=20.0)
    )
    await in_thread(lambda: roles.start("energy"))
    load = 2.0

    def tell() -> None:
        now = timezone.now()
        noise = now.microsecond / 1e7  # no real load is still
        MeterSample.objects.create(
            tenant=tenant, meter=made.meter, at=now, received_at=now, amps=[load + noise, load, load]
        )
        wake(tenant_id=tenant.pk, site_ids=[site.pk])

    async def feed() -> None:
        while True:
            await rows(tenant, tell)
            await asyncio.sleep(0.5)

    async with charging(gateway, tenant, stations, make_token) as wires:
        feeding = asyncio.create_task(feed())

        async def roomy() -> bool:
            return sum(amps(wires)) >= 34 and sum(amps(wires)) <= 38

        try:
            await eventually(roomy, 60)
            load = 19.0

            async def lowered() -> bool:
                return sum(amps(wires)) <= 21

            await eventually(lowered, 5)
            assert min(amps(wires)) >= 6
        finally:
            feeding.cancel()
