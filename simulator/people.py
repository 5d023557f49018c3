"""Who comes and goes: drivers at the connectors of many stations, faults, and a station with bad radio."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from websockets.exceptions import WebSocketException

from simulator.car import any_car
from simulator.clock import Clock
from simulator.connector import Connector
from simulator.station import SimulatedStation

LOST = (OSError, WebSocketException, TimeoutError)
FAULTS = (
    "GroundFailure",
    "OverCurrentFailure",
    "HighTemperature",
    "ConnectorLockFailure",
    "PowerMeterFailure",
)


@dataclass(frozen=True)
class Pattern:
    """Ranges in simulated seconds from which chance picks."""

    first_arrival: tuple[float, float] = (2, 240)
    stay: tuple[float, float] = (240, 1200)
    gap: tuple[float, float] = (30, 420)
    lingers: tuple[float, float] = (5, 60)  # after the stop, until the cable is out
    fault_every: tuple[float, float] = (90, 240)
    fault_lasts: tuple[float, float] = (25, 75)
    flap_every: tuple[float, float] = (60, 150)
    flap_lasts: tuple[float, float] = (8, 25)
    breaks_first: tuple[float, float] = (20, 40)
    breaks_every: tuple[float, float] = (2400, 4800)
    gives_up: tuple[float, float] = (30, 60)  # how long a driver waits for energy that does not come
    early_share: float = 0.5  # of the connectors see a car at once
    early: tuple[float, float] = (2, 18)  # which is within these real seconds
    running_share: float = 0.3  # of the stations come online with a charge already under way


@dataclass
class Tally:
    """What has happened so far, for the line on the terminal."""

    sessions: int = 0
    ended: int = 0
    refused: int = 0
    first_refusal: str = ""
    energy_wh: int = 0
    errors: set[str] = field(default_factory=set)


def refusal(station: SimulatedStation) -> str:
    """Where a card was refused, and what to do about it."""
    where = f"{station.identity} ({station.last_verdict})"
    if station.last_verdict == "ConcurrentTx":
        return f"{where}: it charges elsewhere already. --token may be given more than once"
    return f"{where}; --token names one that is known there"


class People:
    """Brings one station to life."""

    def __init__(
        self,
        station: SimulatedStation,
        tokens: list[str],
        pattern: Pattern,
        tally: Tally,
        *,
        flaps: bool = False,
        breaks: bool = False,
    ) -> None:
        self.station, self.tokens, self.pattern, self.tally = station, tokens, pattern, tally
        self.flaps, self.breaks = flaps, breaks
        self.rng: Random = station.rng

    async def run(self) -> None:
        """Until cancelled: everything that happens at this station."""
        async with asyncio.TaskGroup() as group:
            for connector in self.station.connectors.values():
                group.create_task(self._come_and_go(connector))
            if self.breaks:
                group.create_task(self._break())
            if self.flaps:
                group.create_task(self._flap())

    def _pick(self, span: tuple[float, float]) -> float:
        return self.rng.uniform(*span)

    async def _pause(self, span: tuple[float, float]) -> None:
        await self.station.clock.sleep(self._pick(span))

    async def _come_and_go(self, connector: Connector) -> None:
        with contextlib.suppress(*LOST):
            await self._first_visit(connector)
        while True:
            with contextlib.suppress(*LOST):
                await self._visit(connector)
            await self._pause(self.pattern.gap)

    async def _first_visit(self, connector: Connector) -> None:
        if connector.transaction is not None:
            self.tally.sessions += 1
            await self._charge_and_leave(connector)
        elif self.rng.random() < self.pattern.early_share:
            await asyncio.sleep(self._pick(self.pattern.early))
            await self._visit(connector)
        else:
            await self._pause(self.pattern.first_arrival)

    async def _visit(self, connector: Connector) -> None:
        """One driver: plug in, present the card, charge, leave."""
        if connector.car is not None and connector.transaction is None:
            await self.station.unplug(connector.number)  # left behind when the line was lost
        if connector.state != "available" or not self.tokens or not self.station.booted:
            return
        station, number = self.station, connector.number
        await station.plug_in(number, any_car(self.rng, connector.kind))
        await station.clock.sleep(self.rng.uniform(1, 4))
        if connector.transaction is None:
            transaction = await station.start(number, self.rng.choice(self.tokens))
            if transaction is None:
                if station.last_verdict != "Accepted":
                    self.tally.refused += 1
                    self.tally.first_refusal = self.tally.first_refusal or refusal(station)
                await station.clock.sleep(self.rng.uniform(3, 8))
                await station.unplug(number)
                return
        self.tally.sessions += 1
        await self._charge_and_leave(connector)

    async def _charge_and_leave(self, connector: Connector) -> None:
        """Stay for a while, at most until some time after the car is full."""
        station, transaction = self.station, connector.transaction
        left = self._pick(self.pattern.gives_up if connector.dead else self.pattern.stay)
        while left > 0 and connector.transaction is transaction and transaction is not None:
            if connector.car is not None and connector.car.full:
                left = min(left, self._pick(self.pattern.lingers))
            step = min(left, 15.0)
            await station.clock.sleep(step)
            left -= step
        if connector.transaction is not None and connector.transaction is transaction:
            await station.stop(connector.number, reason=self.rng.choice(("Local", "Local", "EVDisconnected")))
        self.tally.ended += 1
        self.tally.energy_wh += (transaction.energy_wh or 0) if transaction else 0
        await self._pause(self.pattern.lingers)
        await station.unplug(connector.number)

    async def _break(self) -> None:
        """A fault that stays until somebody resets the station; it comes back after a while."""
        pause = self.pattern.breaks_first
        while True:
            await self._pause(pause)
            pause = self.pattern.breaks_every
            idle = [one.number for one in self.station.connectors.values() if one.state == "available"]
            if idle and self.station.booted:
                with contextlib.suppress(*LOST):
                    await self.station.fault(self.rng.choice(idle), self.rng.choice(FAULTS))

    async def _flap(self) -> None:
        """Bad radio: the line drops now and then; what happened meanwhile is told afterwards."""
        while True:
            await self._pause(self.pattern.flap_every)
            self.station.link.pause(self._pick(self.pattern.flap_lasts) / (self.station.clock.rate or 1.0))
            with contextlib.suppress(*LOST):
                await self.station.drop()


async def break_now_and_then(stations: list[SimulatedStation], rng: Random, pattern: Pattern) -> None:
    """At any time at most one connector is out of order."""
    while True:
        clock = stations[0].clock
        await clock.sleep(rng.uniform(*pattern.fault_every))
        idle = [
            (station, connector.number)
            for station in stations
            if station.booted
            for connector in station.connectors.values()
            if connector.state == "available"
        ]
        if not idle:
            continue
        station, number = rng.choice(idle)
        await station.fault(number, rng.choice(FAULTS))
        await clock.sleep(rng.uniform(*pattern.fault_lasts))
        await station.clear_fault(number)


async def charge_before_connecting(station: SimulatedStation, token: str, seconds: float) -> None:
    """Let a charge begin in the past while the station is offline: when it connects, it tells the start
    and the readings with their original times, as after a network outage."""
    clock = station.clock
    station.local_auth.cache[token] = "Accepted"
    station.clock = Clock(0, since=datetime.now(UTC) - timedelta(seconds=seconds))
    number = station.rng.choice(list(station.connectors))
    car = any_car(station.rng, station.kind)
    car.soc = station.rng.uniform(0.1, 0.3)
    await station.plug_in(number, car)
    transaction = await station.start(number, token)
    await station.advance(seconds)
    station.clock = clock
    if transaction is not None:
        station.wake(transaction)
