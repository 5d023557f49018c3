"""A site-day with faults, event by event: the fast loop steers stations that believe nothing but their profiles.

    python -m bench.energy.faults --days 20 --seed 1

Faults: stations offline (noticed late), half the site offline, restarts with and without their profile, calls and
answers lost, refusals, clocks that are off, the central system down, a meter silent or frozen, spikes of the building.
The same days run once without faults and once under a plain controller that pushes the measured rest every 15 s.
Prints its seeds; a day is a seed, so any day can be run again: `--days 1 --seed N`.
"""

from __future__ import annotations

import argparse
import heapq
import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from random import Random
from typing import Any

import numpy as np

from bench.energy import site as sites
from bench.energy.site import Evse
from energy.allocation import allocate
from energy.control import Controller, Order, Policy
from energy.grid import Grid, Leaf, Node
from energy.headroom import Meter
from energy.ledger import Ledger, defaults

DAY_S = 86_400.0
READING_S = 60.0
POLICY = Policy()
CAP_A: float | None = None  # up to which the defaults are filled


@dataclass
class Result:
    """Of one day. `wh` given, `need_wh` asked for; `messages` sent; `overloads` by when they came."""

    seed: int
    wh: float = 0.0
    need_wh: float = 0.0
    messages: dict[str, int] = field(default_factory=dict)
    stations: int = 0
    overloads: list[dict[str, Any]] = field(default_factory=list)
    after_silence: list[dict[str, Any]] = field(default_factory=list)
    beyond_ledger: int = 0
    faults: dict[str, int] = field(default_factory=dict)


class Day:
    """The world: an event queue, the site, and the wire between it and the controller."""

    def __init__(self, seed: int, *, faults: bool, plain: bool = False) -> None:
        self.seed, self.plain = seed, plain
        # A stream for each, so that a day without faults has the same cars and the same building.
        self.random, self.chance = Random(f"{seed} site"), Random(f"{seed} wire")
        self.of_cars, self.of_building, self.of_faults = (
            Random(f"{seed} {of}") for of in ("cars", "building", "faults")
        )
        self.site = sites.make(self.random, delay_s=POLICY.delay_s)
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.serial, self.now = 0, 0.0
        self.result = Result(seed, stations=len({evse.station for evse in self.site.evses}))
        self.faults = Counter[str]()
        self.faulty = faults
        self.most = float(self.random.choice([10, 20, 30]))  # of the building, A on each line
        self.grid = self._grid()
        self._defaults()
        self.control = self._controller()
        self.meter = Meter(np.full(3, self.most))
        self.meter_says, self.tick_at, self.last_tick = "truth", -1.0, -1.0
        self.offline: Counter[int] = Counter()
        self.heard: set[int] = set()  # stations that the central system holds a socket of
        self.clock = [self.random.uniform(-10, 10) for _ in range(self.result.stations)]
        self.down = 0
        self.held_back: dict[int, list[Callable[[], None]]] = {}
        self.silences: list[tuple[float, float]] = []  # of the central system

    # --- set-up ---

    def _grid(self) -> Grid:
        nodes = [Node(b.name, b.parent.name if b.parent else None, b.limit) for b in self.site.breakers]
        return Grid.of(nodes, [Leaf(f"{e.number}", e.breaker.name, e.lines) for e in self.site.evses])

    def _building_rows(self, load: Any) -> Any:
        """Of each row: the building hangs at the root."""
        return np.array([load[int(row.part[1]) - 1] if row.node == "main" else 0.0 for row in self.grid.rows])

    def _defaults(self) -> None:
        """What the stations hold: it fits beside the building's maximum."""
        default = defaults(self.grid, self._building_rows([self.most] * 3), cap=CAP_A)
        for evse in self.site.evses:
            evse.default_a = float(default[evse.number])

    def _controller(self) -> Controller:
        default = np.array([evse.default_a for evse in self.site.evses])
        ledger = Ledger.of(self.grid, default=default, delay=np.full(len(default), POLICY.delay_s))
        stations = np.array([evse.station for evse in self.site.evses], dtype=np.intp)
        return Controller(self.grid, ledger, stations, self._building_rows([self.most] * 3), POLICY)

    # --- the queue ---

    def at(self, when: float, what: Callable[[], None]) -> None:
        self.serial += 1
        heapq.heappush(self.queue, (when, self.serial, what))

    def run(self, hours: float = 24.0) -> Result:
        end = hours * 3600
        for station in range(self.result.stations):
            self._connect(station, rebooted=True)
        self._plan_building()
        self._plan_cars()
        if self.faulty:
            self._plan_faults()
        self._want_tick()
        while self.queue and self.queue[0][0] < end:
            self.now, _serial, what = heapq.heappop(self.queue)
            what()
        self.site.close(end)
        for evse in self.site.evses:
            self.site.settle(evse, end)
        self._judge()
        return self.result

    def _judge(self) -> None:
        self.result.wh, self.result.faults = self.site.wh, dict(self.faults)
        for over in self.site.overloads:
            silent = any(begin <= over.at + over.seconds and over.at <= end for begin, end in self.silences)
            (self.result.after_silence if silent else self.result.overloads).append(asdict(over))

    # --- building and meter ---

    def _plan_building(self) -> None:
        random = self.of_building
        base = random.uniform(0.1, 0.4) * self.most
        when = 0.0
        while when < DAY_S:
            load = self._lines(lambda: min(self.most, base * random.uniform(0.6, 1.4)))
            self.at(when, partial(self._building, load))
            when += random.expovariate(1 / 300)
        for _spike in range(random.randint(5, 25)):
            begin = random.uniform(0, DAY_S)
            load = self._lines(lambda: self.most * random.uniform(0.5, 1.0))
            self.at(begin, partial(self._building, load))
            self.at(begin + random.uniform(20, 900), partial(self._building, (base, base, base)))

    def _lines(self, one: Callable[[], float]) -> tuple[float, float, float]:
        return one(), one(), one()

    def _building(self, load: tuple[float, float, float]) -> None:
        self._sample()
        self.site.set_building(self.now, load)
        for later in (1.0, 31.0):  # its next sample; and when the ones before are forgotten
            self.at(self.now + later, self._want_tick)

    def _sample(self) -> None:
        """The meter sends each second; while its value does not change, one that counts for all is enough."""
        if self.meter_says == "truth":
            self.meter.take(np.array(self.site.building), self.now)
            self.meter.alike = 0  # a real one is never still
        elif self.meter_says == "frozen":
            self.meter.last_at = self.now

    def _meter_fault(self, kind: str, until: float) -> None:
        self._sample()
        self.faults[f"meter {kind}"] += 1
        self.meter_says = kind
        if kind == "frozen":
            self.at(self.now + 10, lambda: setattr(self.meter, "alike", 10))
        for later in (5.5, 10.5):
            self.at(self.now + later, self._want_tick)
        self.at(until, lambda: setattr(self, "meter_says", "truth"))
        self.at(until + 0.1, self._want_tick)

    # --- cars ---

    def _plan_cars(self) -> None:
        for evse in self.site.evses:
            when = self.of_cars.uniform(0, 20_000)
            while when < DAY_S - 3600:
                car = sites.car(self.of_cars, when, DAY_S)
                self.result.need_wh += car.need_wh
                self.at(when, partial(self._arrive, evse, car))
                self.at(car.leaves_at, partial(self._leave, evse))
                when = car.leaves_at + self.of_cars.uniform(600, 20_000)

    def _arrive(self, evse: Evse, car: sites.Car) -> None:
        evse.car, evse.plugged_at, evse.profile_a, evse.told_wh = car, self.now, None, 0.0
        evse.drawn_since = self.now
        self.at(self.now + evse.delay_s + 0.01, lambda: self._follow(evse))
        self._tell(evse.station, lambda: self._told_arrival(evse, car))
        self._follow(evse)
        self.at(self.now + READING_S, lambda: self._reading(evse, car))

    def _told_arrival(self, evse: Evse, car: sites.Car) -> None:
        if evse.car is car:
            self.control.plug(
                evse.number, self.now, need_wh=car.need_wh - car.got_wh, departure=car.leaves_at
            )

    def _leave(self, evse: Evse) -> None:
        self.site.draw(evse, self.now, 0.0)
        evse.car, evse.profile_a = None, None
        evse.serial += 1
        self._tell(evse.station, lambda: self._told_departure(evse))

    def _told_departure(self, evse: Evse) -> None:
        if evse.car is None:
            self.control.unplug(evse.number, self.now)

    def _follow(self, evse: Evse) -> None:
        """The car follows the limit in force, in its own time."""
        if evse.car is None:
            return
        car, serial = evse.car, evse.serial
        self._hold_against_ledger(evse)
        self.at(self.now + car.slow_s, lambda: self._take(evse, car, serial))

    def _take(self, evse: Evse, car: sites.Car, serial: int) -> None:
        if evse.car is not car or evse.serial != serial:
            return
        self.site.settle(evse, self.now)
        amps = car.takes(evse.limit(self.now))
        if abs(amps - evse.draw) > 0.01:
            self.site.draw(evse, self.now, amps)

    def _reading(self, evse: Evse, car: sites.Car) -> None:
        """MeterValues, once a minute; the battery's taper is looked at in the same step."""
        if evse.car is not car:
            return
        if not evse.dark:
            self._take(evse, car, evse.serial)
        given, amps = car.got_wh - evse.told_wh, evse.draw

        def tell() -> None:
            if evse.car is car:
                evse.told_wh += given
                self.control.reading(evse.number, amps, self.now, given_wh=given)

        if not self.offline[evse.station] and not evse.dark:
            self._tell(evse.station, tell)
        self.at(self.now + READING_S, lambda: self._reading(evse, car))

    def _hold_against_ledger(self, evse: Evse) -> None:
        """No limit in force at a station may exceed what the ledger says may be."""
        if self.down or self.plain or evse.station not in self.heard:
            return
        if evse.limit(self.now) > self.control.ledger.in_force(self.now)[evse.number] + 0.01:
            self.result.beyond_ledger += 1

    # --- the wire ---

    def _tell(self, station: int, what: Callable[[], None]) -> None:
        """A message of a station: at once, or when it is back."""
        if self.offline[station] or self.down or station not in self.heard:
            self.held_back.setdefault(station, []).append(what)
            return
        what()
        self._want_tick()

    def _order(self, order: Order) -> None:
        self.result.messages[order.why] = self.result.messages.get(order.why, 0) + 1
        evse = self.site.evses[order.leaf]
        fate = self.chance.random() if self.faulty else 1.0
        there = self.now + self.chance.uniform(0.05, 1.0)
        if fate < 0.01:
            self.faults["call lost"] += 1
            return
        if fate < 0.02:
            self.faults["answer lost"] += 1
            self.at(there, lambda: self._silently(evse, order))
            return
        if fate < 0.025:
            self.faults["refused"] += 1
            self.at(there, lambda: self._answer(evse, order, False))
            return
        self.at(there, lambda: self._answer(evse, order, self._arrived(evse, order)))

    def _arrived(self, evse: Evse, order: Order) -> bool:
        if self.offline[evse.station] or evse.dark or evse.car is None:
            return False
        evse.profile_a = order.amps
        evse.serial += 1
        serial = evse.serial
        self._follow(evse)
        ends = order.until + self.clock[evse.station]  # by its own clock
        self.at(max(self.now, ends), lambda: self._expire(evse, serial))
        return True

    def _silently(self, evse: Evse, order: Order) -> None:
        self._arrived(evse, order)

    def _expire(self, evse: Evse, serial: int) -> None:
        if evse.serial == serial and evse.car is not None:
            evse.profile_a = None
            evse.serial += 1
            self._follow(evse)

    def _answer(self, evse: Evse, order: Order, accepted: bool) -> None:
        if self.offline[evse.station] or evse.dark or self.down or evse.station not in self.heard:
            return
        self.at(self.now + self.chance.uniform(0.02, 0.5), lambda: self._answered(evse, order, accepted))

    def _answered(self, evse: Evse, order: Order, accepted: bool) -> None:
        if not self.down and evse.station in self.heard:
            self.control.answered(order.number, self.now, accepted=accepted)
            self._want_tick()

    # --- ticks ---

    def _want_tick(self) -> None:
        """At most one a second."""
        self._tick_at(max(self.now, self.last_tick + 1.0))

    def _tick_at(self, when: float) -> None:
        if self.tick_at < self.now or when < self.tick_at:
            self.tick_at = when
            self.at(when, lambda: self._tick(when))

    def _tick(self, when: float) -> None:
        if self.tick_at != when or self.down:
            return
        self.tick_at, self.last_tick = -1.0, self.now
        self._sample()
        room = self.grid.limits - self._building_rows(self.meter.load(self.now))
        orders = self._plain(room) if self.plain else self.control.tick(self.now, room)
        for order in orders:
            self._order(order)
        self._tick_at(self.now + 15.0 if self.plain else max(self.control.due, self.now + 1.0))

    def _plain(self, room: Any) -> list[Order]:
        """What it is compared with: the same shares, every 15 s to all that are connected, of what the limits leave
        beside the building and what the others were last seen to draw."""
        control = self.control
        reached = control.ledger.plugged & control.ledger.reachable
        seen = np.where(reached | ~control.ledger.plugged, 0.0, np.nan_to_num(control.cars.draw))
        limits = np.maximum(room - self.grid.loads(seen), 0.0)
        shares = allocate(self.grid, control.wishes(self.now, reached), limits)
        control.turns(self.now, shares)
        return [
            Order(0, int(leaf), float(shares.pilots[leaf]), self.now + DAY_S, "push")
            for leaf in np.flatnonzero(reached)
        ]

    # --- faults ---

    def _plan_faults(self) -> None:
        random = self.of_faults
        for _time in range(random.randint(1, self.result.stations)):
            begin, long = random.uniform(0, DAY_S), random.choice([90, 400, 3600, 4 * 3600])
            station = random.randrange(self.result.stations)
            self._plan_offline([station], begin, random.expovariate(1 / long), "offline")
        half = random.sample(range(self.result.stations), max(1, self.result.stations // 2))
        self._plan_offline(half, random.uniform(0, DAY_S), random.uniform(60, 3600), "half the site offline")
        for _time in range(random.randint(0, 6)):
            station = random.randrange(self.result.stations)
            self.at(random.uniform(0, DAY_S), partial(self._restart, station))
        for _time in range(random.randint(1, 3)):
            begin = random.uniform(0, DAY_S)
            self.at(begin, self._central_down)
            self.at(begin + random.choice([20, 120, 600, 1800]), self._central_up)
        for kind in ("silent", "frozen"):
            begin = random.uniform(0, DAY_S)
            until = begin + random.uniform(10, 1800)
            self.at(begin, partial(self._meter_fault, kind, until))

    def _plan_offline(self, stations: list[int], begin: float, long: float, kind: str) -> None:
        for station in stations:
            self.at(begin, partial(self._lose, station, kind))
            self.at(begin + long, partial(self._return, station))

    def _lose(self, station: int, kind: str) -> None:
        self.faults[kind] += 1
        self.offline[station] += 1
        noticed = self.now + self.of_faults.choice([0.1, 5.0, 30.0, 60.0])
        self.at(noticed, lambda: self._notice(station))

    def _notice(self, station: int) -> None:
        if self.offline[station] and station in self.heard:
            self.heard.discard(station)
            self.control.away(station, self.now)
            self._want_tick()

    def _return(self, station: int) -> None:
        self.offline[station] -= 1
        if not self.offline[station]:
            self._connect(station, rebooted=False)

    def _connect(self, station: int, *, rebooted: bool) -> None:
        if self.offline[station] or self.down:
            return
        if station in self.heard:  # the old socket had not been missed yet
            self.control.away(station, self.now)
        self.heard.add(station)
        self.control.back(station, self.now, rebooted=rebooted)
        for what in self.held_back.pop(station, []):
            what()
        self._want_tick()

    def _restart(self, station: int) -> None:
        """Its socket ends, nothing flows for a while, and its profile may be gone afterwards."""
        if self.offline[station]:
            return
        self.faults["restart"] += 1
        self.offline[station] += 1
        self._notice(station)
        keeps = self.of_faults.random() < 0.5
        for evse in self.site.evses:
            if evse.station == station:
                evse.dark = True
                evse.serial += 0 if keeps else 1
                evse.profile_a = evse.profile_a if keeps else None
                self.site.draw(evse, self.now, 0.0)
        self.at(self.now + self.of_faults.uniform(25, 90), lambda: self._restarted(station))

    def _restarted(self, station: int) -> None:
        for evse in self.site.evses:
            if evse.station == station:
                evse.dark = False
                self._follow(evse)
        self.offline[station] -= 1
        if not self.offline[station]:
            self.at(self.now + self.of_faults.uniform(1, 20), lambda: self._connect(station, rebooted=True))

    def _central_down(self) -> None:
        self.faults["central system down"] += 1
        self.down += 1
        if self.down == 1:
            self.silences.append((self.now, np.inf))

    def _central_up(self) -> None:
        """What was under way is unknown; the ledger comes from the rows."""
        self.down -= 1
        if self.down:
            return
        begin, _end = self.silences[-1]
        self.silences[-1] = (begin, self.now + 60.0)
        for station in list(self.heard):
            self.control.away(station, self.now)
        self.heard.clear()
        self.meter.last_at = -np.inf
        for station in range(self.result.stations):
            back = self.now + self.of_faults.uniform(0.5, 40)
            self.at(back, partial(self._connect, station, rebooted=False))
        self._want_tick()


def day(seed: int, *, faults: bool, plain: bool = False, hours: float = 24.0) -> Result:
    return Day(seed, faults=faults, plain=plain).run(hours)


def three(seed: int) -> tuple[Result, Result, Result]:
    return day(seed, faults=True), day(seed, faults=False), day(seed, faults=True, plain=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first day; the others follow")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    begun, rows = time.time(), []
    with ProcessPoolExecutor(options.workers) as pool:
        for triple in pool.map(three, range(options.seed, options.seed + options.days)):
            rows.append(triple)
            ours, calm, plain = triple
            print(json.dumps({
                "seed": ours.seed, "overloads": len(ours.overloads), "after silence": len(ours.after_silence),
                "beyond ledger": ours.beyond_ledger, "plain": len(plain.overloads) + len(plain.after_silence),
                "energy": round(ours.wh / calm.wh, 3), "served": round(calm.wh / calm.need_wh, 3),
                "messages": {why: round(count / ours.stations / 24, 1) for why, count in ours.messages.items()},
            }), flush=True)  # fmt: skip
    _report(rows, f"seeds {options.seed} to {options.seed + options.days - 1}, {time.time() - begun:.0f} s")


def _report(rows: list[tuple[Result, Result, Result]], said: str) -> None:
    ours, calm, plain = ([row[place] for row in rows] for place in range(3))
    over, silent = (sum(len(getattr(one, kind)) for one in ours) for kind in ("overloads", "after_silence"))
    theirs = sum(len(one.overloads) + len(one.after_silence) for one in plain)
    energy = sum(one.wh for one in ours) / sum(one.wh for one in calm)
    hours = 24 * sum(one.stations for one in ours)
    sent = sum(sum(one.messages.values()) for one in ours) / hours
    print(f"{len(rows)} site-days, {said}")
    print(
        f"overloads over 15 s: {over}; within the dead-man time of a silence: {silent}; plain controller: {theirs}"
    )
    print(f"limits in force that the ledger did not count: {sum(one.beyond_ledger for one in ours)}")
    print(f"energy under faults: {energy:.3f} of that without; messages a station and hour: {sent:.1f}")


if __name__ == "__main__":
    main()
