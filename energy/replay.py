"""A past time of a site once more, under other limits: the allocation alone, with stations that obey at once. Pure.

In each step the cars that are there and not yet full are allocated by energy.allocation as the fast loop does it (turns
included); what each draws is what it is allocated, up to the most it was seen to take. Ledger, profiles, faults and the
learning of a car's draw are left out: they cost seconds, a step has minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from energy.allocation import Wishes, allocate
from energy.control import Policy
from energy.filling import NOBODY, TINY, fitting
from energy.grid import Floats, Grid
from energy.policy import EQUAL, NEED

FIRST_COME = "first"
SHARES = (NEED, EQUAL, FIRST_COME)
Progress = Callable[[float], None]
_UNTOUCHED = 1e-6


@dataclass(frozen=True, slots=True)
class Car:
    """A session at a leaf. Seconds since 1970, Wh; `amps`: the most of pilot it makes use of; W at each A of it."""

    leaf: int
    arrives: float
    departs: float
    need_wh: float
    amps: float
    watts_per_a: float
    session_id: int = 0


@dataclass(frozen=True)
class Steps:
    begin: float
    step_s: float
    count: int

    def start(self, number: int) -> float:
        return self.begin + number * self.step_s

    def of(self, car: Car) -> range:
        """The steps in which it is there."""
        first = int((car.arrives - self.begin) // self.step_s)
        last = int(np.ceil((car.departs - self.begin) / self.step_s))
        return range(max(0, first), min(self.count, last))

    def overlap(self, car: Car, number: int) -> tuple[float, float]:
        """(since when, seconds) that it is there in a step."""
        since = max(car.arrives, self.start(number))
        return since, max(0.0, min(car.departs, self.start(number + 1)) - since)


@dataclass
class Outcome:
    """`cars_w`: mean of each step; `given_wh`, `full_at` (inf: never) by car. `bound_s`: how long a limit kept somebody
    from more; `waiting`: cars without their minimum, in each step."""

    cars_w: Floats
    given_wh: Floats
    full_at: Floats
    bound_s: float = 0.0
    waiting: Floats = field(default_factory=lambda: np.zeros(0))


def free(cars: Sequence[Car], steps: Steps) -> Outcome:
    """Each car from its arrival on with the most it makes use of: what would be without load management."""
    watts, given = np.zeros(steps.count), np.zeros(len(cars))
    full_at = np.full(len(cars), np.inf)
    for number, car in enumerate(cars):
        for step in steps.of(car):
            since, seconds = steps.overlap(car, step)
            took = _take(car, car.amps, since, seconds, number, given, full_at)
            watts[step] += took * 3600 / steps.step_s
    return Outcome(watts, given, full_at, 0.0, np.zeros(steps.count))


def _take(
    car: Car, amps: float, since: float, seconds: float, number: int, given: Floats, full_at: Floats
) -> float:
    """Wh that it takes at so many A; marks the moment at which it is full."""
    power = min(amps, car.amps) * car.watts_per_a
    left = car.need_wh - given[number]
    took = min(power * seconds / 3600, left)
    if took <= 0:
        return 0.0
    given[number] += took
    if car.need_wh - given[number] <= _UNTOUCHED:
        full_at[number] = min(full_at[number], since + took * 3600 / power)
    return took


def replay(
    grid: Grid,
    cars: Sequence[Car],
    steps: Steps,
    *,
    limits: Callable[[int], Floats],
    share: str = NEED,
    turn_s: float = Policy.turn_s,
    progress: Progress | None = None,
) -> Outcome:
    """`limits`: what the rows leave to the cars in a step."""
    run = _Run(grid, cars, steps, share, turn_s)
    there = _presence(cars, steps)
    for step in range(steps.count):
        if there[step]:
            run.step(step, there[step], limits(step))
        if progress and step % 48 == 0:
            progress(step / steps.count)
    return Outcome(run.watts, run.given, run.full_at, run.bound_s, run.waiting)


def _presence(cars: Sequence[Car], steps: Steps) -> list[list[int]]:
    there: list[list[int]] = [[] for _step in range(steps.count)]
    for number, car in enumerate(cars):
        for step in steps.of(car):
            there[step].append(number)
    return there


class _Run:
    """What goes on from step to step: energy by car, turns by leaf."""

    def __init__(self, grid: Grid, cars: Sequence[Car], steps: Steps, share: str, turn_s: float) -> None:
        self.grid, self.cars, self.steps, self.share, self.turn_s = grid, cars, steps, share, turn_s
        self.given, self.full_at = np.zeros(len(cars)), np.full(len(cars), np.inf)
        self.watts, self.waiting = np.zeros(steps.count), np.zeros(steps.count)
        self.bound_s = 0.0
        size = len(grid.leaves)
        self.charged_at, self.waited_at = np.full(size, np.inf), np.full(size, np.inf)

    def _first(self, there: Sequence[int]) -> Iterator[tuple[int, Car]]:
        """The cars that still need something; of two that follow each other at one leaf within the step, the first."""
        seen: set[int] = set()
        for number in sorted(there, key=lambda one: self.cars[one].arrives):
            car = self.cars[number]
            if car.leaf not in seen and car.need_wh - self.given[number] > _UNTOUCHED:
                seen.add(car.leaf)
                yield number, car

    def step(self, step: int, there: Sequence[int], limits: Floats) -> None:
        now = self.steps.start(step)
        active = list(self._first(there))
        if not active:
            self.charged_at[:] = np.inf
            return
        wishes = self._wishes(now, active, limits)
        shares = allocate(self.grid, wishes, np.maximum(limits, 0.0))
        self._turns(now, shares.pilots > 0, active)
        taken = 0.0
        for number, car in active:
            since, seconds = self.steps.overlap(car, step)
            taken += _take(
                car, float(shares.pilots[car.leaf]), since, seconds, number, self.given, self.full_at
            )
        self.watts[step] = taken * 3600 / self.steps.step_s
        self.waiting[step] = int(shares.waits.sum())
        short = (shares.pilots < wishes.upper - self.grid.step_a) & (shares.binding != NOBODY)
        if shares.waits.any() or short.any():
            self.bound_s += self.steps.step_s

    def _wishes(self, now: float, active: Sequence[tuple[int, Car]], limits: Floats) -> Wishes:
        grid, size = self.grid, len(self.grid.leaves)
        upper, rate, since = np.zeros(size), np.zeros(size), np.full(size, np.inf)
        for number, car in active:
            upper[car.leaf] = min(grid.max_a[car.leaf], max(grid.min_a[car.leaf], np.ceil(car.amps - TINY)))
            hours = max(car.departs - now, 300.0) / 3600
            rate[car.leaf] = (car.need_wh - self.given[number]) / hours / grid.volts[car.leaf]
            since[car.leaf] = car.arrives
        wishes = Wishes.of(grid, upper)
        if self.share == FIRST_COME:
            order = np.argsort(since, kind="stable")[: len(active)].astype(np.intp)
            whole = fitting(grid, np.zeros(size), more=upper, order=order, limits=np.maximum(limits, 0.0))
            wishes.wanted = np.where(whole, upper, 0.0)
            wishes.rank = np.where(np.isfinite(since), -since, -np.inf)
            return wishes
        wishes.weight = np.clip(rate, 1.0, 80.0) if self.share == NEED else np.ones(size)
        wishes.rank = self._rank(now, np.where(upper > 0, rate / grid.max_a, 0.0))
        return wishes

    def _rank(self, now: float, urgent: Floats) -> Floats:
        """As the fast loop: whose turn has not ended, then who waited longest, then whom it presses most."""
        in_turn = np.isfinite(self.charged_at) & (now - self.charged_at < self.turn_s)
        waited = np.where(np.isfinite(self.waited_at), np.minimum(now - self.waited_at, 86_400.0), 0.0)
        return in_turn * 1e6 + np.where(np.isfinite(self.charged_at), 0.0, waited) + np.clip(urgent, 0.0, 1.0)

    def _turns(self, now: float, has: np.ndarray, active: Sequence[tuple[int, Car]]) -> None:
        here = np.zeros(len(self.grid.leaves), dtype=bool)
        here[[car.leaf for _number, car in active]] = True
        has = has & here
        self.charged_at = np.where(has, np.minimum(self.charged_at, now), np.inf)
        self.waited_at = np.where(here & ~has, np.minimum(self.waited_at, now), np.inf)
