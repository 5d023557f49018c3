"""The database is gone for a while, and back: stations hold what they have, and the same process steers them again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from django.utils import timezone

from energy.models import GridConnection, GridNode, Steering
from simulator.car import Car
from simulator.station import SimulatedStation
from tests.energy import sites
from tests.energy.test_kills import Garage
from tests.objects import create_site, create_station, create_token
from tests.people import make_tenant
from tests.servers import Cluster, Roles
from tests.stations.ocpp import test_kills
from tests.stations.ocpp.conftest import eventually, in_thread, rows

here = test_kills.here
MAIN_A = 20.0


@pytest.mark.parametrize("seconds", [12, pytest.param(75, marks=pytest.mark.long)])
async def test_the_database_is_gone_for_a_while(roles: Roles, here: Cluster, seconds: int) -> None:
    tenant = await in_thread(make_tenant)
    gateway = await in_thread(lambda: roles.start("gateway", env=here.env))
    site = await in_thread(lambda: create_site(tenant))
    stations = await in_thread(lambda: [create_station(tenant, site) for _number in range(2)])
    made = await in_thread(
        lambda: sites.create_tree(tenant, site, stations, main_a=MAIN_A, building_most_a=0.0, meter="")
    )
    energy = await in_thread(lambda: roles.start("energy", env=here.env))
    garage = Garage(tenant, stations)
    async with AsyncExitStack() as stack:
        for station, version in zip(stations, ("1.6", "2.0.1"), strict=True):
            wire = SimulatedStation(
                url=f"{gateway.ws_url}/ocpp/{tenant.slug}", identity=station.identity,
                password=station.password, version=version, speed=1,
            )  # fmt: skip
            garage.wires.append(await stack.enter_async_context(wire))
            await wire.plug_in(1, Car(battery_wh=80_000, soc=0.2, ac_max_amps=32.0))
            assert await wire.start(1, (await in_thread(lambda: create_token(tenant))).uid) is not None

        async def shared() -> bool:
            return 18 <= sum(garage.held()) <= MAIN_A

        await eventually(shared, 60)
        await in_thread(here.stop_immediately)
        await asyncio.sleep(seconds)
        assert sum(garage.held()) <= MAIN_A
        await in_thread(here.start)
        back = timezone.now()

        def lower() -> None:
            GridNode.objects.filter(pk=made.root.pk).update(limit_a=[13.0] * 3)
            GridConnection.objects.filter(pk=made.connection.pk).update(revision=7)

        await eventually(lambda: _tried(lambda: rows(tenant, lower)), 30)

        async def lowered() -> bool:
            return sum(garage.held()) <= 13

        await eventually(lowered, 30)
        steering = await rows(tenant, lambda: Steering.objects.get(connection=made.connection))
        assert steering.picture_at is not None and steering.picture_at > back
        assert steering.picture["owner"] == steering.owner
    assert energy.process.poll() is None, energy.output()[-4000:]
    print(f"steered again {(timezone.now() - back).total_seconds():.1f} s after it was back")


async def _tried(call: Callable[[], Awaitable[object]]) -> bool:
    """Whether it worked: connections of before are dead."""
    try:
        await call()
    except Exception:
        return False
    return True
