"""A night at a depot, through the real gateway, with a real meter and faults: no breaker carries too much for long."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from stations.models import Command, CommandState
from tenants.models import Site, Tenant
from tests.energy.depot import build
from tests.energy.servers import Device
from tests.servers import Roles
from tests.stations.ocpp.conftest import in_thread, rows


class Running:
    """Roles that can be killed, and come back at the same address."""

    def __init__(self, roles: Roles, name: str, env: dict[str, str]) -> None:
        self.roles, self.name, self.env = roles, name, env
        self.role = roles.start(name, env=env)

    async def fall(self, seconds: float) -> None:
        await asyncio.to_thread(self.role.kill)
        await asyncio.sleep(seconds)
        self.role = await asyncio.to_thread(
            lambda: self.roles.start(self.name, port=self.role.port, env=self.env)
        )


async def _night(
    roles: Roles, tenant: Tenant, site: Site, device: Device, capsys: Any, *, count: int, seconds: float, seed: int,
    killed: bool,
) -> None:  # fmt: skip
    env = {"OCPP_CALL_TIMEOUT_SECONDS": "10", "OCPP_PING_SECONDS": "5"}
    gateway = await asyncio.to_thread(lambda: Running(roles, "gateway", env))
    energy = await asyncio.to_thread(lambda: Running(roles, "energy", {}))
    depot = await in_thread(
        lambda: build(
            tenant, site, device, count=count, seed=seed, speed=20.0, main_a=6.0 * count, panel_a=80.0,
            building_most=2.0 * count,
        )
    )  # fmt: skip
    random = Random(f"{seed} roles")
    more: list[Any] = []
    if killed:
        more = [
            ("load management killed", lambda: energy.fall(random.uniform(1, 60))),
            ("gateway killed", lambda: gateway.fall(random.uniform(1, 30))),
        ]
    await depot.night(gateway.role, seconds, more)
    sent = await rows(tenant, lambda: Command.objects.filter(kind="set_charging_profile"))
    told = await rows(tenant, lambda: (sent.count(), sent.filter(state=CommandState.ACCEPTED).count()))
    with capsys.disabled():
        print(
            f"\nseed {seed}: {count} stations, {seconds:.0f} s, {depot.wh / 1000:.1f} kWh, peak {depot.peak:.0f} of "
            f"{depot.breakers[0].limit:.0f} A, {told[0]} profiles ({told[1]} accepted), "
            f"{told[0] / count / seconds * 3600:.1f} a station and hour, faults {dict(depot.faults)}, "
            f"over {len(depot.overs)}"
        )  # fmt: skip
    assert depot.overs == [], "\n".join(depot.log)
    assert depot.wh > 0 and told[1] > count


async def test_a_small_depot_for_a_while(
    roles: Roles, tenant: Tenant, site: Site, device: Device, capsys: Any
) -> None:
    await _night(roles, tenant, site, device, capsys, count=6, seconds=60, seed=1, killed=False)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
async def test_fifty_stations_for_a_night(
    roles: Roles, tenant: Tenant, site: Site, device: Device, capsys: Any, seed: int
) -> None:
    await _night(roles, tenant, site, device, capsys, count=50, seconds=900, seed=seed, killed=True)
