"""A depot at night: vans at real sockets below a breaker, a building with a Modbus meter, and faults.

What flows is summed here by itself, from what the simulated stations let through.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

from django.db.models import F

from energy.feeds import registers
from energy.models import GridConnection, GridNode, Outlet
from energy.services import meters
from simulator.car import Car
from simulator.station import SimulatedStation
from stations.models import Evse, Station
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tenants.permissions import system
from tests.energy import sites
from tests.energy.servers import Device
from tests.objects import create_station, create_token
from tests.servers import Role
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import in_thread

TRIP_S = 15.0
LOOK_S = 0.25
PANEL = 10  # stations below one panel
READING_S = "10"


@dataclass
class Over:
    """A breaker that carried more than its limit for too long."""

    name: str
    line: int
    at: float
    seconds: float
    amps: float


@dataclass
class Breaker:
    name: str
    limit: float
    stations: list[int]
    since: list[float | None] = field(default_factory=lambda: [None] * 3)
    worst: list[float] = field(default_factory=lambda: [0.0] * 3)


@dataclass
class Depot:
    """`speed`: how much faster the vans charge than time goes. `log`: the faults as they came."""

    tenant: Tenant
    site: Site
    stations: list[Station]
    breakers: list[Breaker]
    device: Device
    seed: int
    speed: float
    building_most: float
    building: list[float] = field(default_factory=lambda: [0.0] * 3)
    meter_frozen: bool = False
    wires: list[SimulatedStation] = field(default_factory=list)
    overs: list[Over] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    begun: float = 0.0
    peak: float = 0.0
    wh: float = 0.0

    # --- what flows ---

    def flows(self, number: int) -> list[float]:
        wire = self.wires[number]
        flow = wire.connectors[1].flow
        lines, turn = [0.0] * 3, number % 3
        for phase in range(flow.phases if flow.amps else 0):
            lines[(phase + turn) % 3] += flow.amps
        return lines

    async def watch(self, until: float) -> None:
        while time.monotonic() < until:
            now = time.monotonic()
            loads = [self.flows(number) for number in range(len(self.wires))]
            for breaker in self.breakers:
                for line in range(3):
                    load = sum(loads[number][line] for number in breaker.stations if number < len(loads))
                    load += self.building[line] if breaker.name == "Main" else 0.0
                    self._judge(breaker, line, load, now)
            self.wh += sum(sum(lines) for lines in loads) * 230 * LOOK_S / 3600
            await asyncio.sleep(LOOK_S)
        for breaker in self.breakers:
            for line in range(3):
                self._judge(breaker, line, 0.0, time.monotonic())

    def _judge(self, breaker: Breaker, line: int, load: float, now: float) -> None:
        if breaker.name == "Main":
            self.peak = max(self.peak, load)
        since = breaker.since[line]
        if load > breaker.limit + 0.05:
            if since is None:
                breaker.since[line], breaker.worst[line] = now, 0.0
            breaker.worst[line] = max(breaker.worst[line], load - breaker.limit)
        elif since is not None:
            breaker.since[line] = None
            if now - since > TRIP_S:
                over = Over(breaker.name, line, since - self.begun, now - since, breaker.worst[line])
                self.overs.append(over)
                self.note(f"OVER {over}")

    def note(self, text: str) -> None:
        self.log.append(f"{time.monotonic() - self.begun:7.1f} s  {text}")

    # --- building ---

    async def live_building(self, random: Random, until: float) -> None:
        """A load that wanders and spikes, and the meter that shows it."""
        base, spike_until = 0.3 * self.building_most, 0.0
        while time.monotonic() < until:
            now = time.monotonic()
            if now > spike_until and random.random() < 0.01:
                spike_until = now + random.uniform(20, 60)
                self.faults["spike"] += 1
            top = self.building_most if now < spike_until else base * 1.3
            self.building = [min(top, random.uniform(0.85, 1.0) * top) for _line in range(3)]
            if not self.meter_frozen:
                self.device.put("input", 0, "f", *self.building)
            await asyncio.sleep(0.5)

    # --- vans ---

    def wire(self, number: int) -> SimulatedStation:
        station, version = self.stations[number], VERSIONS[number % len(VERSIONS)]
        name = "MeterValueSampleInterval" if version == "1.6" else "SampledDataCtrlr.TxUpdatedInterval"
        return SimulatedStation(
            url=self.url, identity=station.identity, password=station.password,  # type: ignore[attr-defined]
            version=version, speed=1, settings={name: READING_S},
        )  # fmt: skip

    url: str = ""

    async def van(self, number: int, random: Random, token: str, until: float) -> None:
        """Comes, charges and goes, one after another."""
        wire = self.wires[number]
        await asyncio.sleep(random.uniform(0, 20))
        while time.monotonic() < until - 20:
            # A smaller battery is a night in less time.
            car = Car(
                battery_wh=random.uniform(20_000, 60_000) / self.speed, soc=random.uniform(0.1, 0.5),
                ac_phases=random.choice([1, 3, 3, 3]), ac_max_amps=random.choice([16.0, 16.0, 32.0]),
            )  # fmt: skip
            with contextlib.suppress(Exception):  # a line that is down at this moment: it comes again
                await wire.plug_in(1, car)
                async with asyncio.timeout(30):
                    await wire.start(1, token)
            stays = time.monotonic() + random.uniform(60, 400)
            while time.monotonic() < min(stays, until - 10) and not car.full:
                await asyncio.sleep(1)
            with contextlib.suppress(Exception):
                async with asyncio.timeout(30):
                    if wire.connectors[1].transaction is not None:
                        await wire.stop(1)
                    await wire.unplug(1)
            await asyncio.sleep(random.uniform(2, 20))

    # --- faults ---

    async def trouble(
        self, random: Random, until: float, kinds: list[tuple[str, Callable[[], Awaitable[Any]]]]
    ) -> None:
        seconds = until - self.begun
        await asyncio.sleep(min(45.0, seconds / 4))
        while time.monotonic() < until - min(60.0, seconds / 4):
            name, cause = random.choice(kinds)
            self.faults[name] += 1
            self.note(name)
            try:
                await cause()
            except Exception as error:
                self.note(f"{name}: {type(error).__name__}: {error}")
            await asyncio.sleep(random.uniform(3, 15))

    async def offline(self, random: Random, share: float) -> None:
        count = max(1, int(len(self.wires) * share))
        chosen = random.sample(self.wires, count)
        for wire in chosen:
            await wire.go_offline()
        await asyncio.sleep(random.uniform(5, 40))
        for wire in chosen:
            await wire.go_online()

    async def power_loss(self, random: Random) -> None:
        await random.choice(self.wires).power_loss()

    async def deaf(self, random: Random) -> None:
        """Takes what it is sent, and says nothing for a while."""
        chosen = random.sample(self.wires, max(1, len(self.wires) // 10))
        for wire in chosen:
            wire.mute("SetChargingProfile")
        await asyncio.sleep(random.uniform(10, 60))
        for wire in chosen:
            wire.unrule("SetChargingProfile")

    async def refusing(self, random: Random) -> None:
        chosen = random.choice(self.wires)
        chosen.rule("SetChargingProfile", {"status": "Rejected"})
        await asyncio.sleep(random.uniform(10, 60))
        chosen.unrule("SetChargingProfile")

    async def frozen_meter(self, random: Random) -> None:
        self.meter_frozen = True
        await asyncio.sleep(random.uniform(10, 60))
        self.meter_frozen = False

    async def silent_meter(self, random: Random) -> None:
        self.device.delay_s = 30.0
        await asyncio.sleep(random.uniform(10, 60))
        self.device.delay_s = 0.0

    async def night(
        self, gateway: Role, seconds: float, more: list[tuple[str, Callable[[], Awaitable[Any]]]]
    ) -> None:
        """`more`: faults of the roles."""
        self.url = f"{gateway.ws_url}/ocpp/{self.tenant.slug}"
        tokens = await in_thread(lambda: [create_token(self.tenant).uid for _station in self.stations])
        random = Random(self.seed)
        async with AsyncExitStack() as stack:
            for number in range(len(self.stations)):
                self.wires.append(await stack.enter_async_context(self.wire(number)))
            self.begun = time.monotonic()
            until = self.begun + seconds
            kinds = [
                ("a station offline", lambda: self.offline(random, 0.02)),
                ("half the depot offline", lambda: self.offline(random, 0.5)),
                ("power of a station lost", lambda: self.power_loss(random)),
                ("answers lost", lambda: self.deaf(random)),
                ("profiles refused", lambda: self.refusing(random)),
                ("meter frozen", lambda: self.frozen_meter(random)),
                ("meter silent", lambda: self.silent_meter(random)),
                *more,
            ]
            async with asyncio.TaskGroup() as group:
                group.create_task(self.watch(until))
                group.create_task(self.live_building(Random(f"{self.seed} building"), until))
                group.create_task(self.trouble(Random(f"{self.seed} faults"), until, kinds))
                for number, token in enumerate(tokens):
                    group.create_task(self.van(number, Random(f"{self.seed} van {number}"), token, until))


def build(
    tenant: Tenant, site: Site, device: Device, *, count: int, seed: int, speed: float, main_a: float, panel_a: float,
    building_most: float,
) -> Depot:  # fmt: skip
    """Rows and stations of a depot: panels of ten below the main breaker, phases turned from station to station."""
    stations = [create_station(tenant, site, identity=f"Depot {number:02}") for number in range(count)]
    made = sites.create_tree(tenant, site, [], main_a=main_a, building_most_a=building_most, meter="")
    breakers = [Breaker("Main", main_a, list(range(count)))]
    with tenant_scope(tenant.pk):
        own: dict[str, Any] = {"tenant": tenant, "connection": made.connection}
        for first in range(0, count, PANEL):
            numbers = list(range(first, min(first + PANEL, count)))
            panel = GridNode.objects.create(
                **own, parent=made.root, name=f"Panel {first // PANEL + 1}", limit_a=[panel_a] * 3
            )
            breakers.append(Breaker(panel.name, panel_a, numbers))
            for number in numbers:
                evse = Evse.objects.get(tenant=tenant, station=stations[number])
                lines = [(phase + number) % 3 for phase in range(3)]
                Outlet.objects.create(**own, node=panel, evse=evse, lines=lines)
        meters.create_meter(
            tenant_id=tenant.pk, site_id=site.pk, actor=system("tests"), name="House", kind="building", source="modbus",
            maximum_a=building_most,
            settings={
                "host": "127.0.0.1", "port": device.port,
                "values": [registers.read_line(f"amps L{line + 1} input {2 * line} float32") for line in range(3)],
            },
        )  # fmt: skip
        GridConnection.objects.filter(pk=made.connection.pk).update(revision=F("revision") + 1)
    return Depot(tenant, site, stations, breakers, device, seed, speed, building_most)
