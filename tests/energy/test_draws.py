"""A meter that counts the cars too: what is taken off its reading is what they surely draw."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.grid import Grid, Leaf, Node
from energy.headroom import FOLLOW_S, FRESH_S, Draws, Meter
from energy.ledger import Ledger

pytestmark = pytest.mark.nodb
LEAVES = (Leaf("a", "main"), Leaf("b", "main", (1,)), Leaf("c", "main", (2, 0, 1)))
LONG_AGO = np.full(3, -np.inf)


def _ledger() -> Ledger:
    """Three that are plugged in and heard, with 16 A for an hour."""
    ledger = Ledger.of(Grid.of([Node("main", None, (63.0,) * 3)], LEAVES), default=np.full(3, 6.0))
    ledger.reachable[:] = ledger.plugged[:] = True
    ledger.held[:], ledger.held_until[:] = 16.0, 3600.0
    return ledger


def _read() -> Draws:
    """a on one line, b, and c on all three."""
    draws = Draws.of(LEAVES)
    for leaf, amps in enumerate([(10, 0, 0), (0, 8, 0), (16, 16, 16)]):
        draws.take(leaf, np.array(amps, dtype=float), 100.0, limit=max(amps))
    return draws


def test_what_they_draw_is_taken_off_line_by_line() -> None:
    least, most = _read().bounds(105.0, _ledger(), LONG_AGO)
    assert least.tolist() == most.tolist() == [26, 24, 16]
    meter = Meter(np.full(3, 40.0))
    meter.take(np.array([30.0, 30.0, 30.0]), 105.0, cars=(least, most))
    assert meter.load(105.0).tolist() == [4, 6, 14]


def test_a_station_that_is_not_heard_is_not_taken_off() -> None:
    ledger = _ledger()
    ledger.reachable[2] = False
    assert _read().bounds(105.0, ledger, LONG_AGO)[1].tolist() == [10, 8, 0]
    ledger.reachable[2], ledger.obeys[2] = True, False
    assert _read().bounds(105.0, ledger, LONG_AGO)[1].tolist() == [10, 8, 0]


def test_a_reading_that_is_old_is_not_taken_off() -> None:
    assert _read().bounds(100.0 + FRESH_S, _ledger(), LONG_AGO)[0][0] == 26
    assert _read().bounds(100.1 + FRESH_S, _ledger(), LONG_AGO)[1].tolist() == [0, 0, 0]


def test_no_more_than_was_granted_is_taken_off() -> None:
    ledger = _ledger()
    ledger.held[2] = 6.0
    assert _read().bounds(105.0, ledger, LONG_AGO)[1].tolist() == [16, 14, 6]


def test_while_a_car_follows_the_building_is_what_it_was_as_far_as_can_be() -> None:
    ledger, draws, meter = _ledger(), _read(), Meter(np.full(3, 40.0))
    meter.take(np.array([30.0, 30.0, 30.0]), 105.0, cars=draws.bounds(105.0, ledger, LONG_AGO))
    changed_at = np.array([-np.inf, 106.0, -np.inf])
    meter.take(np.array([30.0, 38.0, 30.0]), 108.0, cars=draws.bounds(108.0, ledger, changed_at))
    assert meter.load(108.0).tolist() == [4, 6, 14], "8 A more: it was given 16"
    meter.take(np.array([30.0, 45.0, 30.0]), 109.0, cars=draws.bounds(109.0, ledger, changed_at))
    assert meter.load(109.0).tolist() == [4, 13, 14], "7 A are more than it can be taking"
    draws.take(1, np.array([0.0, 8.0, 0.0]), 107.0 + FOLLOW_S, limit=16.0)
    meter.take(np.array([30.0, 38.0, 30.0]), 140.0, cars=draws.bounds(140.0, ledger, changed_at))
    assert meter.load(140.0).tolist() == [4, 14, 14], "it did not take them: it was the building"


def test_a_car_that_does_not_take_what_it_was_given_does_not_make_the_building_less() -> None:
    ledger, draws, meter = _ledger(), _read(), Meter(np.full(3, 40.0))
    for at in (105.0, 108.0, 140.0):
        changed_at = np.array([-np.inf, 106.0 if at > 106 else -np.inf, -np.inf])
        meter.take(np.array([30.0, 30.0, 30.0]), at, cars=draws.bounds(at, ledger, changed_at))
    assert meter.load(140.0).tolist() == [4, 6, 14]


def test_whoever_drew_less_than_its_limit_does_not_follow_it() -> None:
    draws, changed_at = _read(), np.array([-np.inf, 101.0, -np.inf])
    draws.take(1, np.array([0.0, 8.0, 0.0]), 100.0, limit=12.0)
    assert draws.bounds(105.0, _ledger(), changed_at)[1][1] == 24
    draws.take(1, np.array([0.0, 8.0, 0.0]), 100.0, limit=8.5)
    assert draws.bounds(105.0, _ledger(), changed_at)[1][1] == 32


def test_where_the_limit_is_passed_nobody_is_given_what_they_might_draw() -> None:
    ledger, draws, meter = _ledger(), _read(), Meter(np.full(3, 60.0))
    meter.take(np.array([30.0, 30.0, 30.0]), 105.0, cars=draws.bounds(105.0, ledger, LONG_AGO))
    meter.limit, changed_at = np.full(3, 35.0), np.array([-np.inf, 106.0, -np.inf])
    meter.take(np.array([30.0, 36.0, 30.0]), 108.0, cars=draws.bounds(108.0, ledger, changed_at))
    assert meter.load(108.0).tolist() == [4, 12, 14]


def test_a_late_reading_says_nothing_and_who_left_draws_nothing() -> None:
    draws = _read()
    draws.take(0, np.array([16.0, 16, 16]), 90.0, limit=16.0)
    assert draws.bounds(105.0, _ledger(), LONG_AGO)[0][0] == 26
    draws.gone(2)
    assert draws.bounds(105.0, _ledger(), LONG_AGO)[0].tolist() == [10, 8, 0]


def test_a_frozen_meter_is_mute_whatever_the_cars_do() -> None:
    meter = Meter(np.full(3, 40.0))
    for second in range(12):
        meter.take(np.array([30.1, 30.2, 30.3]), float(second), cars=(np.full(3, float(second)),) * 2)
    assert meter.load(12.0).tolist() == [40, 40, 40]


@given(seed=st.integers(0, 10**9), quiet=st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_building_is_never_held_for_less_than_it_is(seed: int, quiet: bool) -> None:
    """Any building, cars that taper, rise, leave and lose their station, readings of several ages, limits that change.
    Less than the truth it is by what the cars tapered since their reading, and (not `quiet`) by what those are short of
    their limit that are following a new one. And whatever happens: what the meter sees is never more than what is held
    for the building and counted for the cars together."""
    world = World(Random(seed), changes=not quiet)
    for _second in range(200):
        world.second()
        held = world.meter.load(world.now)
        counted = held + world.by_line(world.ledger.in_force(world.now), every_line=True)
        assert np.all(counted >= world.total() - 1e-6), "more flows than is counted"
        assert np.all(held >= world.building - world.unknown() - 1e-6)


class World:
    """Three cars below a meter that counts them with a building."""

    def __init__(self, random: Random, *, changes: bool) -> None:
        self.random, self.changes, self.now = random, changes, 1000.0
        self.ledger, self.draws = _ledger(), Draws.of(LEAVES)
        self.ledger.held_until[:] = 1e9
        self.meter = Meter(np.full(3, 100.0))
        self.building = np.array([random.uniform(0, 30) for _line in range(3)])
        self.wants = np.array([random.uniform(0, 16) for _leaf in range(3)])
        self.on = [[line for line in leaf.lines if random.random() < 0.8] for leaf in LEAVES]
        self.limit, self.draw = np.full(3, 16.0), self.wants.copy()
        self.told = self.draw.copy()  # at the last reading
        self.changed_at = np.full(3, -np.inf)
        self.interval = [random.choice([5, 10, 30]) for _leaf in range(3)]

    def second(self) -> None:
        random = self.random
        self.now += 1
        if random.random() < 0.1:
            self.building[random.randrange(3)] = random.uniform(0, 30)
        for leaf in range(3):
            self.wants[leaf] = max(0.0, self.wants[leaf] - random.choice([0.0, 0.05]))
            if random.random() < 0.01:
                self.wants[leaf] = random.uniform(self.wants[leaf], 16)  # wakes up
            if random.random() < 0.01:
                self.ledger.reachable[leaf] ^= True
            if self.changes and random.random() < 0.02 and self.ledger.reachable[leaf]:
                self._set(leaf, random.choice([0.0, 6.0, 10.0, 16.0]))
            if self.now >= self.changed_at[leaf] + 2:
                self.draw[leaf] = min(self.wants[leaf], self.limit[leaf])
            if self.now % self.interval[leaf] == 0 and self.ledger.reachable[leaf]:
                amps = self.by_line(np.where(np.arange(3) == leaf, self.draw, 0))
                self.draws.take(leaf, amps, self.now, limit=float(self.ledger.told(self.now)[leaf]))
                self.told[leaf] = self.draw[leaf]
        self.meter.take(
            self.total(), self.now, cars=self.draws.bounds(self.now, self.ledger, self.changed_at)
        )

    def _set(self, leaf: int, amps: float) -> None:
        self.ledger.sent(leaf, self.now, amps, 1e9)
        self.ledger.accepted(leaf, self.now)
        self.limit[leaf], self.changed_at[leaf] = amps, self.now

    def by_line(self, amps: np.ndarray, *, every_line: bool = False) -> np.ndarray:
        lines = [leaf.lines for leaf in LEAVES] if every_line else self.on
        return np.array([sum(amps[n] for n in range(3) if line in lines[n]) for line in range(3)])

    def total(self) -> np.ndarray:
        return self.building + self.by_line(self.draw)

    def unknown(self) -> np.ndarray:
        """What the cars may have tapered since, and what those that follow are short of what they may take."""
        taper = np.where(self.ledger.reachable, np.maximum(self.told - self.draw, 0.0), 0.0)
        follows = self.now - self.changed_at < FOLLOW_S + FRESH_S
        short = np.where(follows, self.ledger.in_force(self.now), 0.0)
        return self.by_line(taper) + self.by_line(short, every_line=True)
