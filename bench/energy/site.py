"""A simulated site: breakers, stations with their profiles, cars and a building. It knows nothing of the product.

What flows is summed here on its own, line by line, so that a mistake in the product's tree cannot hide itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

MINIMUM_A = 6.0  # IEC 61851
VOLTS = 230.0
TRIP_S = 15.0  # above the limit for longer counts as an overload


@dataclass
class Breaker:
    """A node: limits of L1 to L3 in A, and since when each line is above it. `given`: of its load what nobody steers,
    the building and cars at stations that ignore their profiles. What these alone are over is counted apart."""

    name: str
    parent: Breaker | None
    limit: tuple[float, float, float]
    load: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    given: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    over: list[Over] = field(default_factory=lambda: [Over(), Over(), Over()])
    over_alone: list[Over] = field(default_factory=lambda: [Over(), Over(), Over()])


@dataclass
class Over:
    """Since when one line is above, and by how much at most."""

    since: float | None = None
    worst: float = 0.0

    def look(self, now: float, excess: float) -> tuple[float, float, float] | None:
        """What is over now, if it lasted too long: (since, seconds, A)."""
        if excess > 1e-6:
            if self.since is None:
                self.since, self.worst = now, 0.0
            self.worst = max(self.worst, excess)
            return None
        since, self.since = self.since, None
        if since is None or now - since <= TRIP_S:
            return None
        return since, now - since, self.worst


@dataclass
class Car:
    """`lines`: how many lines it charges on, from `from_a` on; below it is one. `taper`: from this share of its need on
    it takes less and less."""

    max_a: float
    lines: int
    need_wh: float
    leaves_at: float
    slow_s: float
    got_wh: float = 0.0
    taper: float = 0.85
    from_a: float = 0.0
    used: tuple[int, ...] = ()  # the lines it took last

    def takes(self, limit: float) -> float:
        """A per line under this limit."""
        if self.got_wh >= self.need_wh - 1e-6:
            return 0.0
        most = self.max_a
        share = self.got_wh / self.need_wh
        if share > self.taper:
            most = max(MINIMUM_A, self.max_a * (1 - (share - self.taper) / (1 - self.taper) * 0.8))
        amps = min(limit, most)
        return amps if amps >= MINIMUM_A else 0.0


@dataclass
class Evse:
    """A place to charge: what its station does there. `lines` in the order of its own phases."""

    number: int
    station: int
    breaker: Breaker
    lines: tuple[int, ...]
    default_a: float
    delay_s: float
    car: Car | None = None
    plugged_at: float = 0.0
    profile_a: float | None = None  # of the session; None: none in force
    serial: int = 0  # of the newest profile, so that an old one's end says nothing
    dark: bool = False  # restarts
    deaf_a: float | None = None  # it ignores its profiles and gives so much
    draw: float = 0.0
    in_use: tuple[int, ...] = ()  # the lines on which it flows
    drawn_since: float = 0.0
    told_wh: float = 0.0

    def limit(self, now: float) -> float:
        """A in force: the session's profile, else the default, which holds back who has just come."""
        if self.dark or self.car is None:
            return 0.0
        if self.deaf_a is not None:
            return self.deaf_a
        if self.profile_a is not None:
            return self.profile_a
        return self.default_a if now >= self.plugged_at + self.delay_s else 0.0

    def used_at(self, amps: float) -> tuple[int, ...]:
        """The lines that its car charges on."""
        if self.car is None or not amps:
            return ()
        return self.lines[: min(self.car.lines if amps >= self.car.from_a else 1, len(self.lines))]


@dataclass
class Overload:
    at: float
    seconds: float
    node: str
    line: int
    amps: float


class Site:
    """All breakers and places, the building at the root, and what went over."""

    def __init__(
        self, breakers: list[Breaker], evses: list[Evse], building: tuple[float, float, float]
    ) -> None:
        self.breakers, self.evses, self.root = breakers, evses, breakers[0]
        self.building = [0.0, 0.0, 0.0]
        self.overloads: list[Overload] = []
        self.unavoidable: list[Overload] = []  # the building and who ignores profiles by themselves
        self.wh = 0.0
        self.set_building(0.0, building)

    def set_building(self, now: float, load: tuple[float, float, float]) -> None:
        for line in range(3):
            self._flow(
                now, self.root, line, load[line] - self.building[line], load[line] - self.building[line]
            )
            self.building[line] = load[line]

    def settle(self, evse: Evse, now: float) -> None:
        """Count what its car got until now."""
        if evse.car is not None and evse.draw:
            wh = evse.draw * VOLTS * len(evse.in_use) * (now - evse.drawn_since) / 3600
            evse.car.got_wh += wh
            self.wh += wh
        evse.drawn_since = now

    def draw(self, evse: Evse, now: float, amps: float) -> None:
        """Its car takes this from now on."""
        self.settle(evse, now)
        before, evse.in_use = evse.in_use, evse.used_at(amps)
        for line in range(3):
            change = amps * (line in evse.in_use) - evse.draw * (line in before)
            self._flow(now, evse.breaker, line, change, change if evse.deaf_a is not None else 0.0)
        evse.draw = amps

    def set_deaf(self, evse: Evse, now: float, deaf_a: float | None) -> None:
        """From now on it ignores its profiles, or follows them again."""
        alone = evse.draw * ((deaf_a is not None) - (evse.deaf_a is not None))
        for line in evse.in_use:
            self._flow(now, evse.breaker, line, 0.0, alone)
        evse.deaf_a = deaf_a

    def _flow(self, now: float, breaker: Breaker | None, line: int, change: float, given: float) -> None:
        while breaker is not None and (change or given):
            breaker.load[line] += change
            breaker.given[line] += given
            self._look(now, breaker, line)
            breaker = breaker.parent

    def _look(self, now: float, breaker: Breaker, line: int) -> None:
        load, given, limit = breaker.load[line], breaker.given[line], breaker.limit[line]
        for over, excess, found in (
            (breaker.over[line], load - max(limit, given), self.overloads),
            (breaker.over_alone[line], given - limit, self.unavoidable),
        ):
            if ended := over.look(now, excess):
                since, seconds, amps = ended
                found.append(Overload(since, seconds, breaker.name, line, amps))

    def close(self, now: float) -> None:
        """The day is over: what is above its limit now counts as well."""
        for breaker in self.breakers:
            breaker.load, breaker.given = [0.0] * 3, [0.0] * 3
            for line in range(3):
                self._look(now, breaker, line)


def make(random: Random, default_a: list[float] | None = None, delay_s: float = 150.0) -> Site:
    """Two or three panels below a main breaker that could not feed all at once, six to twenty places."""
    count = random.randint(6, 20)
    main = float(random.choice([35, 50, 63, 80, 100]))
    root = Breaker("main", None, (main, main, main))
    panels = []
    for number in range(random.randint(1, 3)):
        limit = float(random.choice([25, 32, 40, 63]))
        panels.append(Breaker(f"panel {number + 1}", root, (limit, limit, limit)))
    evses = []
    sockets = random.choice([1, 2])  # of a station
    for number in range(count):
        turn = random.randrange(3)
        lines = tuple((turn + step) % 3 for step in range(3)) if random.random() < 0.7 else (turn,)
        default = default_a[number] if default_a else 0.0
        evses.append(Evse(number, number // sockets, random.choice(panels), lines, default, delay_s))
    return Site([root, *panels], evses, (0.0, 0.0, 0.0))


def car(random: Random, now: float, day_s: float) -> Car:
    stay = min(max(1800.0, random.lognormvariate(math.log(5 * 3600), 0.7)), 14 * 3600.0)
    return Car(
        max_a=random.choice([10.0, 16.0, 16.0, 20.0, 32.0]), lines=random.choice([1, 1, 2, 3, 3]),
        need_wh=random.lognormvariate(math.log(11_000), 0.6), leaves_at=min(now + stay, day_s - 1.0),
        slow_s=random.choice([0.5, 1.0, 2.0, 4.0]),
    )  # fmt: skip
