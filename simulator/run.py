"""Many stations in one process, with a line on the terminal: what `manage.py simulate` runs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import signal
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TextIO

from simulator.building import Building, tell
from simulator.clock import Clock
from simulator.people import Pattern, People, Tally, break_now_and_then, charge_before_connecting
from simulator.quirks import Quirks
from simulator.station import SimulatedStation

FINISH_SECONDS = 5.0  # how long sessions may take to end when the simulator stops


@dataclass
class Plan:
    """One station to simulate; the keys of the demo file."""

    url: str
    identity: str
    password: str | None = None
    version: str = "1.6"
    kind: str = "ac"
    connectors: int = 1
    tokens: list[str] = field(default_factory=list)
    max_power_w: float | None = None
    flaps: bool | None = None
    breaks: bool = False  # a fault that stays until it is reset
    fails: bool = False  # cars and cards are accepted, and no energy flows


@dataclass
class Options:
    plans: list[Plan]
    buildings: list[Building] = field(default_factory=list)
    speed: float = 1.0
    seed: int | None = None
    ramp_seconds: float | None = None  # over which the stations connect; None: 200 a second
    keep_trying: bool = False  # go on when every station was refused at the start
    finish: bool = True  # end running sessions before stopping
    idle: bool = False  # no cars come
    since_hours: float = 0.0  # the stations' world begins in the past and catches up at `speed`
    history: bool = False  # some stations come online with a charge under way
    faults: bool = False
    breaks_with: str = ""  # an error of 1.6: connector 1 of each station has it until a hard reset
    sample_seconds: int = 15
    quirks: Quirks = field(default_factory=Quirks)
    clock_offset_hours: float = 0.0
    quiet_return: bool = False  # a lost line that is back is no boot
    came_before: bool = False  # nor is the first connection: only the other side was away
    for_seconds: float | None = None
    out: TextIO = sys.stdout


def read_plans(path: str) -> list[Plan]:
    """The demo file: a list of stations, or an object that holds it under "simulator"."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    rows = data["simulator"] if isinstance(data, dict) else data
    names = set(Plan.__dataclass_fields__)
    return [Plan(**{name: value for name, value in row.items() if name in names}) for row in rows]


def read_buildings(path: str) -> list[Building]:
    """Meters beside the chargers, of a demo file that has some."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    return [Building(**row) for row in data.get("buildings", [])] if isinstance(data, dict) else []


class Run:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.rng = Random(options.seed)
        few = sum(plan.connectors for plan in options.plans) <= 3
        self.pattern = (
            Pattern(early_share=1.0, early=(1, 5)) if few else Pattern()
        )  # who watches one waits for it
        self.tally = Tally()
        self.stations = [self._station(plan) for plan in options.plans]
        self._tasks: list[asyncio.Task[Any]] = []
        self._stopping = asyncio.Event()

    def _station(self, plan: Plan) -> SimulatedStation:
        many = len(self.options.plans) > 50
        return SimulatedStation(
            url=plan.url,
            identity=plan.identity,
            password=plan.password,
            version=tuple(plan.version.split("|")),
            kind=plan.kind,
            connectors=plan.connectors,
            max_power_w=plan.max_power_w,
            clock=self._clock(),
            quirks=replace(
                self.options.quirks,
                dead_contactor=self.options.quirks.dead_contactor or plan.fails,
                reset_heals=self.options.quirks.reset_heals or plan.breaks,
            ),
            seed=self.options.seed,
            settings={"MeterValueSampleInterval": str(self.options.sample_seconds)},
            back_off=(1.0, 60.0),
            validate=not many,
            keep_frames=20,
            auto_plug=4.0,
            quiet_return=self.options.quiet_return,
            came_before=self.options.came_before,
        )

    def _clock(self) -> Clock:
        hours, speed = self.options.since_hours, self.options.speed
        since = datetime.now(UTC) - timedelta(hours=hours) if hours else None
        return Clock(speed, since=since, offset=timedelta(hours=self.options.clock_offset_hours))

    async def run(self) -> int:
        """Until a signal comes or the time is over. The exit code."""
        self._catch_signals()
        started = time.monotonic()
        for building in self.options.buildings:
            self._start(tell(building))
        await self._connect()
        if self._all_refused() and not self.options.keep_trying:
            for text in sorted(self._errors()):
                self._say(text)
            await self._close()
            return 1
        reporter = asyncio.create_task(self._report())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), self.options.for_seconds)
        reporter.cancel()
        await self._finish()
        line = self._line()
        await self._close()
        self._say(f"Stopped after {time.monotonic() - started:.0f} s: {line}.")
        return 0

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(name, self._stopping.set)

    # -- start

    async def _connect(self) -> None:
        count = len(self.stations)
        ramp = self.options.ramp_seconds
        gap = (count / 200 if ramp is None else ramp) / max(1, count)
        flapping = self._flapping()
        for station, plan in zip(self.stations, self.options.plans, strict=True):
            if self._stopping.is_set():
                return
            if self.options.history and plan.tokens and self.rng.random() < self.pattern.running_share:
                await charge_before_connecting(
                    station, self.rng.choice(plan.tokens), self.rng.uniform(300, 1500)
                )
            station.begin()
            if not self.options.idle:
                people = People(
                    station,
                    plan.tokens,
                    self.pattern,
                    self.tally,
                    flaps=station is flapping,
                    breaks=plan.breaks,
                )
                self._start(people.run())
            if self.options.breaks_with:
                self._start(self._break(station))
            await asyncio.sleep(gap)
        if self.options.faults and len(self.stations) > 1:
            self._start(break_now_and_then(self.stations, self.rng, self.pattern))
        await self._first_attempts()

    async def _break(self, station: SimulatedStation) -> None:
        """Once it is online: an operator finds the fault and ends it."""
        await station.until(lambda: station.greeted, timeout=10**9)
        await station.fault(1, self.options.breaks_with, heals="hard_reset")

    def _flapping(self) -> SimulatedStation | None:
        """The one with bad radio: named in the plan, else the last of several."""
        for station, plan in zip(self.stations, self.options.plans, strict=True):
            if plan.flaps:
                return station
        return self.stations[-1] if self.options.faults and len(self.stations) > 2 else None

    def _start(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(self._guard(work)))

    async def _guard(self, work: Any) -> None:
        try:
            await work
        except Exception:
            logging.getLogger("simulator").exception("The people of a station have stopped")

    async def _first_attempts(self) -> None:
        async def attempted(station: SimulatedStation) -> None:
            with contextlib.suppress(TimeoutError):
                await station.until(lambda: station.connected or station.link.last_error is not None, 30)

        waiting: asyncio.Future[Any] = asyncio.gather(*(attempted(station) for station in self.stations))
        stopping: asyncio.Future[Any] = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        stopping.cancel()

    def _errors(self) -> set[str]:
        """One sentence per kind of trouble; that of many stations counts once, with the first's name."""
        found: dict[str, str] = {}
        for station in self.stations:
            if station.link.last_error is not None and not station.connected:
                text = str(station.link.last_error)
                found.setdefault(text.replace(station.identity, ""), text)
        return set(found.values())

    def _all_refused(self) -> bool:
        return bool(self.stations) and all(
            station.link.last_error is not None and not station.connected for station in self.stations
        )

    # -- stop

    async def _finish(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self.options.finish:
            return
        stops = [
            self._end(station, number)
            for station in self.stations
            for number, connector in station.connectors.items()
            if connector.transaction is not None and station.booted
        ]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*stops, return_exceptions=True), FINISH_SECONDS)

    async def _end(self, station: SimulatedStation, number: int) -> None:
        transaction = await station.stop(number, reason="Local")
        self.tally.ended += 1
        self.tally.energy_wh += (transaction.energy_wh or 0) if transaction else 0
        await station.unplug(number)

    async def _close(self) -> None:
        with contextlib.suppress(TimeoutError):
            closing = asyncio.gather(*(station.close() for station in self.stations), return_exceptions=True)
            await asyncio.wait_for(closing, 10)

    # -- the terminal

    async def _report(self) -> None:
        live = self.options.out.isatty()
        known: set[str] = set()
        await asyncio.sleep(0 if live else 3)
        for second in itertools.count():
            for text in self._errors() - known:
                known.add(text)
                self._say(text)
            if self.tally.first_refusal and "card" not in known:
                known.add("card")
                self._say(f"A card was refused at {self.tally.first_refusal}.")
            if live:
                print(f"\r\x1b[K{self._line()}", end="", file=self.options.out, flush=True)
            elif second % 60 == 0:
                self._say(self._line())
            await asyncio.sleep(1)

    def _line(self) -> str:
        connectors = [connector for station in self.stations for connector in station.connectors.values()]
        charging = [connector for connector in connectors if connector.transaction is not None]
        parts = [
            f"{sum(station.booted for station in self.stations)} of {len(self.stations)} stations online",
            f"{len(charging)} charging",
            f"{sum(connector.flow.power_w for connector in charging) / 1000:.1f} kW",
            f"{self.tally.ended} sessions ended with {self.tally.energy_wh / 1000:.1f} kWh",
        ]
        if faulted := sum(bool(connector.fault) for connector in connectors):
            parts.append(f"{faulted} faulted")
        if self.tally.refused:
            parts.append(f"{self.tally.refused} cards refused")
        return " · ".join(parts)

    def _say(self, text: str) -> None:
        clear = "\r\x1b[K" if self.options.out.isatty() else ""
        print(f"{clear}{text}", file=self.options.out, flush=True)


def run(options: Options) -> int:
    """Run the simulation; for processes of its own."""

    async def main() -> int:
        return await Run(options).run()

    try:
        import uvloop
    except ImportError:
        return asyncio.run(main())
    return int(uvloop.run(main()))
