"""The world of a simulated site-day: an event queue, the site, its meter, and the wire to the controller.

Stations believe nothing but their profiles; nothing here but `_hold_against_ledger` and `_watch_deaf` looks into the
ledger, and those only judge it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from random import Random
from typing import Any

import numpy as np

from bench.energy import site as sites
from bench.energy import trouble
from bench.energy.site import Evse
from energy.allocation import allocate
from energy.control import Controller, Order, Policy
from energy.grid import Grid, Leaf, Node
from energy.headroom import Draws, Meter
from energy.ledger import SKEW_S, Ledger, defaults
from energy.lines import FRESH_S

DAY_S = 86_400.0
READING_S = 60.0
OFTEN_S = 5.0  # on days on which the stations tell the current of each line often enough to learn from it
PUSH_S = 15.0  # the plain controller
FOUND_S = 200.0  # by then the ledger counts a station that ignores its profiles: three readings and a little
YIELD_S = 15.0  # and then the others have given way
SEEN_S = FRESH_S + YIELD_S  # the same of a car that takes to other lines
POLICY = Policy()
CAP_A: float | None = 32.0  # up to which the defaults are filled where all can have it


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
    disobeyed: list[dict[str, Any]] = field(
        default_factory=list
    )  # until a deaf station was found and made good
    unavoidable: list[dict[str, Any]] = field(
        default_factory=list
    )  # deaf stations and the building by themselves
    beyond_ledger: int = 0
    not_found: int = 0  # deaf stations that drew too much and were not counted in time
    grid_meter: bool = False
    reading_s: float = READING_S
    relined: list[dict[str, Any]] = field(
        default_factory=list
    )  # until a car that takes to other lines is seen
    faults: dict[str, int] = field(default_factory=dict)


class Day:
    """The world: an event queue, the site, and the wire between it and the controller."""

    def __init__(
        self, seed: int, *, faults: bool, plain: bool = False, grid_meter: bool | None = None,
        reading_s: float | None = None,
    ) -> None:  # fmt: skip
        self.seed, self.plain = seed, plain
        # A stream for each, so that a day without faults has the same cars and the same building.
        self.random, self.chance = Random(f"{seed} site"), Random(f"{seed} wire")
        self.of_cars, self.of_building, self.of_faults, self.of_lines = (
            Random(f"{seed} {of}") for of in ("cars", "building", "faults", "lines")
        )
        self.site = sites.make(self.random, delay_s=POLICY.delay_s)
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.serial, self.now, self.end = 0, 0.0, DAY_S
        self.result = Result(seed, stations=len({evse.station for evse in self.site.evses}))
        self.faults = Counter[str]()
        self.faulty = faults
        self.most = float(self.random.choice([10, 20, 30]))  # of the building, A on each line
        self.grid = self._grid()
        self._defaults()
        self.control = self._controller()
        self.meter = Meter(np.full(3, self.most))
        self.draws = Draws.of(self.grid.leaves)
        counts_cars = Random(f"{seed} meter").random() < 0.25
        self.grid_meter = self.result.grid_meter = counts_cars if grid_meter is None else grid_meter
        if self.grid_meter:
            self.meter.window_s, self.meter.limit = READING_S, np.array(self.site.root.limit)
        often = Random(f"{seed} readings").random() < 0.25
        self.reading_s = self.result.reading_s = reading_s or (OFTEN_S if often else READING_S)
        self.relined: list[tuple[float, int]] = []  # when a car took to more lines, by place
        self.meter_says, self.tick_at, self.last_tick = "truth", -1.0, -1.0
        self.offline: Counter[int] = Counter()
        self.heard: set[int] = set()  # stations that the central system holds a socket of
        self.clock = [self.random.uniform(-10, 10) for _ in range(self.result.stations)]
        self.down = 0
        self.held_back: dict[int, list[Callable[[], None]]] = {}
        self.silences: list[tuple[float, float]] = []  # of the central system
        self.deaf: list[tuple[float, float, int]] = []  # from, until, station
        self.unheard: list[tuple[float, float, int]] = []
        self.unheard_since: dict[int, float] = {}
        self.wild_since: dict[int, float] = {}  # by place: draws more than any limit that may be in force

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
        if when < self.end:
            heapq.heappush(self.queue, (when, self.serial, what))

    def run(self, hours: float = 24.0) -> Result:
        end = self.end = hours * 3600
        for station in range(self.result.stations):
            self.connect(station, rebooted=True)
        self._plan_building()
        self._plan_cars()
        if self.faulty:
            trouble.plan(self)
        self._tick_at(0.0)
        while self.queue:
            self.now, _serial, what = heapq.heappop(self.queue)
            what()
        self.site.close(end)
        for evse in self.site.evses:
            self.site.settle(evse, end)
        self._judge()
        return self.result

    def _judge(self) -> None:
        result = self.result
        result.wh, result.faults = self.site.wh, dict(self.faults)
        result.unavoidable = [asdict(over) for over in self.site.unavoidable]
        for over in self.site.overloads:
            if any(begin <= over.at + over.seconds and over.at <= end for begin, end in self.silences):
                result.after_silence.append(asdict(over))
            elif self._by_deaf(over):
                result.disobeyed.append(asdict(over))
            elif self._by_new_lines(over):
                result.relined.append(asdict(over))
            else:
                result.overloads.append(asdict(over))

    def _by_deaf(self, over: sites.Overload) -> bool:
        """Whether a station below ignored its profiles then: for as long as it takes to find out and give way, longer
        only while a station was not heard, which could neither be found out nor give way."""
        end = over.at + over.seconds
        below = {evse.station for evse in self.site.evses if over.node in ("main", evse.breaker.name)}
        deaf = [one for one in self.deaf if one[2] in below and one[0] <= end and over.at <= one[1] + YIELD_S]
        if not deaf or over.seconds <= FOUND_S + YIELD_S:
            return bool(deaf)
        still = [(begin, np.inf, station) for station, begin in self.unheard_since.items()]
        gaps = [*self.unheard, *still]
        return any(begin <= end and over.at <= until and n in below for begin, until, n in gaps)

    def _by_new_lines(self, over: sites.Overload) -> bool:
        """Whether a car below took to more lines then, and it did not last longer than it takes to see it; where a
        station was not heard, which can neither be seen nor lowered, than its profile lasts."""
        below = {
            evse.number: evse.station for evse in self.site.evses if over.node in ("main", evse.breaker.name)
        }
        end = over.at + over.seconds
        began = [at for at, place in self.relined if place in below and at <= end]
        still = [(begin, np.inf, station) for station, begin in self.unheard_since.items()]
        stations = set(below.values())
        mute = any(b <= end and over.at <= e and n in stations for b, e, n in [*self.unheard, *still])
        return bool(began) and end <= max(began) + SEEN_S + mute * (POLICY.high_s + SKEW_S)

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
        self.sample()
        self.site.set_building(self.now, load)
        for later in (
            1.0,
            self.meter.window_s + 1.0,
        ):  # its next sample; and when the ones before are forgotten
            self.at(self.now + later, self.want_tick)

    def sample(self) -> None:
        """The meter sends each second; while its value does not change, one that counts for all is enough."""
        if self.meter_says == "truth":
            if self.grid_meter:
                bounds = self.draws.bounds(self.now, self.control.ledger, self.control.changed_at)
                self.meter.take(np.array(self.site.root.load), self.now, cars=bounds)
            else:
                self.meter.take(np.array(self.site.building), self.now)
            self.meter.alike = 0  # a real one is never still
        elif self.meter_says == "frozen":
            self.meter.last_at = self.now

    # --- cars ---

    def _plan_cars(self) -> None:
        for evse in self.site.evses:
            when = self.of_cars.uniform(0, 20_000)
            while when < DAY_S - 3600:
                car = sites.car(self.of_cars, when, DAY_S)
                if self.reading_s < READING_S:
                    trouble.of_lines(self, evse, car, when)
                self.result.need_wh += car.need_wh
                self.at(when, partial(self._arrive, evse, car))
                self.at(car.leaves_at, partial(self._leave, evse))
                when = car.leaves_at + self.of_cars.uniform(600, 20_000)

    def _arrive(self, evse: Evse, car: sites.Car) -> None:
        evse.car, evse.plugged_at, evse.profile_a, evse.told_wh = car, self.now, None, 0.0
        evse.drawn_since = self.now
        self.at(self.now + evse.delay_s + 0.01, lambda: self.follow(evse))
        self._tell(evse.station, lambda: self._told_arrival(evse, car))
        self.follow(evse)
        self.at(self.now + self.reading_s, lambda: self._reading(evse, car))

    def _told_arrival(self, evse: Evse, car: sites.Car) -> None:
        if evse.car is car:
            self.draws.gone(evse.number)
            self.control.plug(
                evse.number, self.now, need_wh=car.need_wh - car.got_wh, departure=car.leaves_at
            )

    def _leave(self, evse: Evse) -> None:
        self.draw(evse, 0.0)
        evse.car, evse.profile_a = None, None
        evse.serial += 1
        self._tell(evse.station, lambda: self._told_departure(evse))

    def _told_departure(self, evse: Evse) -> None:
        if evse.car is None:
            self.draws.gone(evse.number)
            self.control.unplug(evse.number, self.now)

    def follow(self, evse: Evse) -> None:
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
        limit = evse.limit(self.now)
        amps = car.takes(limit)
        if abs(amps - evse.draw) > 0.01 or evse.draw > limit:
            self.draw(evse, amps)
        self._watch_deaf(evse)

    def draw(self, evse: Evse, amps: float) -> None:
        """A grid meter sees it within a second."""
        if self.grid_meter:
            self.sample()
            self.want_tick()
        self.site.draw(evse, self.now, amps)
        if evse.car is not None and evse.in_use:
            if evse.car.used and set(evse.in_use) - set(evse.car.used):
                self.relined.append((self.now, evse.number))
            evse.car.used = evse.in_use

    def _reading(self, evse: Evse, car: sites.Car) -> None:
        """MeterValues, once a minute; the battery's taper is looked at in the same step."""
        if evse.car is not car:
            return
        if not evse.dark:
            self._take(evse, car, evse.serial)
        given, amps, at = car.got_wh - evse.told_wh, evse.draw, self.now
        lines = np.array([amps if line in evse.in_use else 0.0 for line in range(3)])
        by_phase = self.reading_s < READING_S

        def tell() -> None:
            if evse.car is car:
                evse.told_wh += given
                told = self.control.ledger.told(self.now)[evse.number] if self.grid_meter else 0.0
                self.draws.take(evse.number, lines, at, limit=float(told))
                self.control.reading(evse.number, amps, self.now, given_wh=given, at=at)
                if by_phase:
                    self.control.read_lines(evse.number, lines, self.now, at=at)

        if not self.offline[evse.station] and not evse.dark:
            self._tell(evse.station, tell)
        self.at(self.now + self.reading_s, lambda: self._reading(evse, car))

    def _hold_against_ledger(self, evse: Evse) -> None:
        """No limit in force at a station may exceed what the ledger says may be."""
        if self.down or self.plain or evse.station not in self.heard or evse.deaf_a is not None:
            return
        if evse.limit(self.now) > self.control.ledger.in_force(self.now)[evse.number] + 0.01:
            self.result.beyond_ledger += 1

    def _watch_deaf(self, evse: Evse) -> None:
        """Who draws more than any limit that may be in force must be found out in time."""
        if evse.deaf_a is None or self.plain:
            return
        ledger, place = self.control.ledger, evse.number
        heard = not self.down and evse.station in self.heard and not self.offline[evse.station]
        above = heard and evse.draw > ledger.told(self.now)[place] + POLICY.over_a + 0.01
        if not above or not ledger.obeys[place]:
            self.wild_since.pop(place, None)
        elif self.now - self.wild_since.setdefault(place, self.now) > FOUND_S:
            self.result.not_found += 1
            self.wild_since.pop(place)

    # --- the wire ---

    def _tell(self, station: int, what: Callable[[], None]) -> None:
        """A message of a station: at once, or when it is back."""
        if self.offline[station] or self.down or station not in self.heard:
            self.held_back.setdefault(station, []).append(what)
            return
        what()
        self.want_tick()

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
        self.follow(evse)
        ends = order.until + self.clock[evse.station]  # by its own clock
        self.at(max(self.now, ends), lambda: self._expire(evse, serial))
        return True

    def _silently(self, evse: Evse, order: Order) -> None:
        self._arrived(evse, order)

    def _expire(self, evse: Evse, serial: int) -> None:
        if evse.serial == serial and evse.car is not None:
            evse.profile_a = None
            evse.serial += 1
            self.follow(evse)

    def _answer(self, evse: Evse, order: Order, accepted: bool) -> None:
        if self.offline[evse.station] or evse.dark or self.down or evse.station not in self.heard:
            return
        self.at(self.now + self.chance.uniform(0.02, 0.5), lambda: self._answered(evse, order, accepted))

    def _answered(self, evse: Evse, order: Order, accepted: bool) -> None:
        if not self.down and evse.station in self.heard:
            self.control.answered(order.number, self.now, accepted=accepted)
            self.want_tick()

    # --- ticks ---

    def want_tick(self) -> None:
        """At most one a second; the plain controller keeps its own time."""
        if not self.plain:
            self._tick_at(max(self.now, self.last_tick + 1.0))

    def _tick_at(self, when: float) -> None:
        if self.tick_at < self.now or when < self.tick_at:
            self.tick_at = when
            self.at(when, lambda: self._tick(when))

    def _tick(self, when: float) -> None:
        if self.tick_at != when or (self.down and not self.plain):
            return
        self.tick_at, self.last_tick = -1.0, self.now
        if self.plain:
            self._tick_at(self.now + PUSH_S)
            if self.down:
                return
        self.sample()
        room = self.grid.limits - self._building_rows(self.meter.load(self.now))
        orders = self._plain(room) if self.plain else self.control.tick(self.now, room)
        for order in orders:
            self._order(order)
        if not self.plain:
            self._tick_at(max(self.control.due, self.now + 1.0))

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

    def notice(self, station: int) -> None:
        """Its socket is missed."""
        if self.offline[station] and station in self.heard:
            self.heard.discard(station)
            self.control.away(station, self.now)
            self.want_tick()

    def connect(self, station: int, *, rebooted: bool) -> None:
        if self.offline[station] or self.down:
            return
        if station in self.heard:  # the old socket had not been missed yet
            self.control.away(station, self.now)
        self.heard.add(station)
        if station in self.unheard_since:
            self.unheard.append((self.unheard_since.pop(station), self.now, station))
        self.control.back(station, self.now, rebooted=rebooted)
        for what in self.held_back.pop(station, []):
            what()
        self.want_tick()


def day(
    seed: int, *, faults: bool, plain: bool = False, hours: float = 24.0, grid_meter: bool | None = None,
    reading_s: float | None = None,
) -> Result:  # fmt: skip
    return Day(seed, faults=faults, plain=plain, grid_meter=grid_meter, reading_s=reading_s).run(hours)
