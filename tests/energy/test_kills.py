"""Whoever steers is killed at any moment while cars charge: no order is lost or doubled, and what stations hold never
adds up to more than the breaker carries.

A seeded slice of the rounds runs with the suite; `--long` runs many more.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from random import Random

import pytest
from django.utils import timezone

from energy.models import Steering
from simulator.car import Car
from simulator.station import SimulatedStation
from stations.models import ChargingProfile, Command, CommandKind, CommandState, Station
from tenants.models import Site, Tenant
from tests.energy import sites
from tests.objects import create_station, create_token
from tests.servers import Role, Roles
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import eventually, in_thread, rows

STATIONS = 4
MAIN_A, BUILDING_A = 30.0, 6.0  # 24 A for four cars, each with a default of 6 A
FOLLOW_S = 5.0  # IEC 61851-1
ORDERS = {"intent": "energy", "purpose": "transaction"}


@dataclass
class Garage:
    """What its stations hold, looked at all the time, and every order that came over the wire."""

    tenant: Tenant
    stations: list[Station]
    wires: list[SimulatedStation] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    highest: float = 0.0

    def held(self) -> list[float]:
        """A that each car may take by what its station holds."""
        plugs = [(wire, wire.connectors[1]) for wire in self.wires]
        return [
            min(wire.limit(plug).amps, plug.max_amps) if plug.transaction is not None else 0.0
            for wire, plug in plugs
        ]

    async def watch(self) -> None:
        """A car that was lowered may draw what it had for some seconds more."""
        seen: deque[tuple[float, list[float]]] = deque()
        while True:
            now, held = time.monotonic(), self.held()
            seen.append((now, held))
            while seen[0][0] < now - FOLLOW_S:
                seen.popleft()
            drawn = [max(amps) for amps in zip(*(one for _at, one in seen), strict=True)]
            self.highest = max(self.highest, sum(held))
            if sum(drawn) > MAIN_A - BUILDING_A + 0.05:
                self.over.append(f"{held}, a moment ago {drawn}")
            await asyncio.sleep(0.05)

    def places(self, *, there: bool) -> list[int]:
        """Places where a car charges, or none."""
        return [
            n for n, wire in enumerate(self.wires) if (wire.connectors[1].transaction is not None) == there
        ]

    async def turn(self, number: int, token: str) -> None:
        """A car comes, or the one that is there goes."""
        wire = self.wires[number]
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                if wire.connectors[1].transaction is None:
                    await wire.plug_in(1, Car(battery_wh=80_000, soc=0.2, ac_max_amps=32.0))
                    await wire.start(1, token)
                else:
                    await wire.stop(1)
                    await wire.unplug(1)


def _orders(stations: list[Station]) -> dict[int, list[Command]]:
    found: dict[int, list[Command]] = {station.pk: [] for station in stations}
    sent = Command.objects.filter(kind=CommandKind.SET_PROFILE, sent_at__isnull=False)
    for command in sent.order_by("sent_at", "id"):
        found[command.station_id].append(command)
    return found


def _check_rows(garage: Garage) -> None:
    """Inside the tenant: each order has its row, each row its order, and no session holds two."""
    asked = Command.objects.filter(kind=CommandKind.SET_PROFILE)
    kept = list(ChargingProfile.objects.filter(intent="energy").values_list("command_id", flat=True))
    assert len(kept) == len(set(kept)), "an order has two rows"
    assert set(kept) == set(asked.values_list("pk", flat=True)), "an order is lost"
    held = ChargingProfile.objects.filter(**ORDERS, state="accepted", session__state="active").values_list(
        "session_id", flat=True
    )
    assert len(held) == len(set(held)), "a session holds two orders"
    accepted = ChargingProfile.objects.filter(intent="energy", state="accepted")
    assert not accepted.exclude(command__state=CommandState.ACCEPTED).exists(), "held, but never accepted"
    for station, orders in zip(garage.stations, _orders(garage.stations).values(), strict=True):
        wire = garage.wires[garage.stations.index(station)]
        told = sum(action == "SetChargingProfile" for action, _payload in wire.calls)
        assert told == len(orders), f"{station}: {told} came over the wire, {len(orders)} were sent"


def _settled(garage: Garage) -> bool:
    """Nothing is under way, and each station keeps to what its newest accepted order says."""
    if Command.objects.filter(state__in=(CommandState.QUEUED, CommandState.SENT)).exists():
        return False
    told = dict(
        ChargingProfile.objects.filter(**ORDERS, state="accepted", session__state="active").values_list(
            "station_id", "periods"
        )
    )
    for station, wire in zip(garage.stations, garage.wires, strict=True):
        plug = wire.connectors[1]
        if plug.transaction is None:
            continue
        if station.pk not in told or abs(told[station.pk][0]["limit"] - wire.limit(plug).amps) > 0.05:
            return False
    return True


async def _rounds(
    roles: Roles, gateway: Role, tenant: Tenant, site: Site, *, rounds: int, seed: int, owners: int
) -> None:
    random = Random(seed)
    stations = await in_thread(lambda: [create_station(tenant, site) for _number in range(STATIONS)])
    tokens = await in_thread(lambda: [create_token(tenant).uid for _number in range(STATIONS)])
    await in_thread(
        lambda: sites.create_tree(tenant, site, stations, main_a=MAIN_A, building_most_a=BUILDING_A, meter="")
    )
    garage, began = Garage(tenant, stations), timezone.now()
    running = [await in_thread(lambda: roles.start("energy")) for _number in range(owners)]

    def defaults() -> int:
        return ChargingProfile.objects.filter(intent="energy", purpose="default", state="accepted").count()

    async def all_hold_defaults() -> bool:
        return bool(await rows(tenant, defaults) == STATIONS)

    async with AsyncExitStack() as stack:
        for number, station in enumerate(stations):
            version = VERSIONS[number % len(VERSIONS)]
            wire = SimulatedStation(
                url=f"{gateway.ws_url}/ocpp/{tenant.slug}", identity=station.identity,
                password=station.password, version=version, speed=1,
            )  # fmt: skip
            garage.wires.append(await stack.enter_async_context(wire))
        await eventually(all_hold_defaults, 60)

        async def full() -> bool:
            return sum(garage.held()) > 18

        async def taken_up() -> bool:
            """By who was started last, or another that lives."""
            told = await rows(tenant, lambda: Steering.objects.get().picture_at)
            return told is not None and told > began

        watching = asyncio.create_task(garage.watch())
        try:
            for first in (0, 1):
                await garage.turn(first, tokens[first])
            await asyncio.sleep(15)
            for _round in range(rounds):
                if random.random() < 0.8:
                    await eventually(full, 60)
                fallen = random.randrange(owners)
                await asyncio.to_thread(running[fallen].kill)
                comes = random.choice(garage.places(there=False))
                await garage.turn(comes, tokens[comes])  # while nobody steers, or another one
                await asyncio.sleep(random.uniform(0, 3))
                began = timezone.now()
                running[fallen] = await in_thread(lambda: roles.start("energy"))
                if random.random() < 0.8:  # else it dies before it has begun, or soon after
                    await eventually(taken_up, 60)
                    await asyncio.sleep(random.uniform(1, 8))
                while len(garage.places(there=True)) > random.choice((1, 2)):
                    goes = random.choice(garage.places(there=True))
                    await garage.turn(goes, tokens[goes])
            assert not watching.done(), watching.exception()

            async def settled() -> bool:
                return bool(await rows(tenant, lambda: _settled(garage)))

            await eventually(settled, 60)
            await rows(tenant, lambda: _check_rows(garage))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    assert garage.over == [], f"seed {seed}: {garage.over[:5]}"
    assert garage.highest > MAIN_A - BUILDING_A - 8, "hardly anything was tried"
    for role in running:
        assert role.process.poll() is None, role.output()[-4000:]


@pytest.mark.parametrize(
    ("rounds", "seed"),
    [
        pytest.param(3, 1, id="slice"),
        *[pytest.param(40, seed, id=f"many-{seed}", marks=pytest.mark.long) for seed in (2, 3)],
    ],
)
async def test_whoever_steers_may_be_killed_at_any_moment(
    gateway: Role, roles: Roles, tenant: Tenant, site: Site, rounds: int, seed: int
) -> None:
    await _rounds(roles, gateway, tenant, site, rounds=rounds, seed=seed, owners=1)


@pytest.mark.long
async def test_of_two_that_share_the_sites_either_may_be_killed(
    gateway: Role, roles: Roles, tenant: Tenant, site: Site
) -> None:
    await _rounds(roles, gateway, tenant, site, rounds=30, seed=4, owners=2)
