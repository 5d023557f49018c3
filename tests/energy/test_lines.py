"""On which lines a car draws is learned from readings of all lines, and forgotten at the first sign of a mistake."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.control import Controller, Order, Policy
from energy.filling import fill, fitting, whole_steps
from energy.grid import Grid, Leaf, Node
from energy.ledger import SETTLE_S, Ledger
from energy.lines import CLEAR_A, FRESH_S, NOTHING_A, SPAN_S, Lines
from tests.energy.trees import amounts, grids

pytestmark = pytest.mark.nodb
POLICY, NEAR = Policy(), 1e-5
ROTATIONS = [(0, 1, 2), (1, 2, 0), (2, 0, 1)]


# --- one car's readings ---


def _lines(*leaves: Leaf) -> Lines:
    return Lines.of(Grid.of([Node("main", None, (63.0,) * 3)], leaves or [Leaf("a", "main")]))


def _tell(
    lines: Lines, *amps: float, since: float = 1000.0, seconds: float = SPAN_S, every: float = 5.0
) -> float:
    """The same reading again and again; when the last was made."""
    count = round(seconds / every)
    for number in range(count + 1):
        lines.read(0, np.array(amps), since + number * every, offered=16.0)
    return since + count * every


def _counts(lines: Lines, now: float) -> list[int]:
    found = lines.counted(now, charges=np.ones(1, dtype=bool), gone=np.zeros(1, dtype=bool))
    return np.flatnonzero(found[:, 0]).tolist()


def test_readings_that_agree_for_a_while_say_where_it_draws() -> None:
    lines = _lines()
    assert _counts(lines, _tell(lines, 0, 16, 0, seconds=SPAN_S - 5)) == [0, 1, 2]
    lines.read(0, np.array([0, 16, 0]), 1020)
    assert _counts(lines, 1020) == [1]
    two = _lines()
    assert _counts(two, _tell(two, 0.1, 15, 15)) == [1, 2]


@pytest.mark.parametrize(
    "amps",
    [(16, NOTHING_A + 0.1, 0), (CLEAR_A - 0.1, 0, 0), (0, 0, 0), (16, float("nan"), 0), (16, -16, -16)],
)
def test_what_is_not_clear_says_nothing(amps: tuple[float, ...]) -> None:
    lines = _lines()
    assert _counts(lines, _tell(lines, *amps)) == [0, 1, 2]


def test_readings_that_are_far_apart_say_nothing() -> None:
    lines = _lines()
    assert _counts(lines, _tell(lines, 16, 0, 0, every=10, seconds=600)) == [0, 1, 2]


def test_the_first_current_elsewhere_ends_it() -> None:
    lines = _lines()
    now = _tell(lines, 16, 0, 0)
    lines.read(0, np.array([16, 0.4, 0]), now + 5)
    assert _counts(lines, now + 5) == [0, 1, 2]
    assert _counts(lines, _tell(lines, 16, 0, 0, since=now + 10, seconds=600)) == [0, 1], "it may do it again"
    lines.forget(0)
    assert _counts(lines, _tell(lines, 0, 0, 16, since=now + 700)) == [2], "another car"


def test_it_holds_for_as_long_as_readings_come() -> None:
    lines = _lines()
    now = _tell(lines, 16, 0, 0)
    assert _counts(lines, now + FRESH_S) == [0] and _counts(lines, now + FRESH_S + 0.1) == [0, 1, 2]
    lines.read(0, np.array([16.0, 0, 0]), now + FRESH_S + 1)
    assert _counts(lines, now + FRESH_S + 1) == [0, 1, 2], "nobody knows what it did meanwhile"


def test_a_pause_changes_nothing() -> None:
    lines = _lines()
    now = _tell(lines, 0, 0, 0, since=_tell(lines, 16, 0, 0) + 5, seconds=600)
    assert _counts(lines, now) == [0]


def test_where_there_is_nothing_to_learn_nothing_is_learned() -> None:
    for leaf in (Leaf("a", "main", (1,)), Leaf("a", "main", (0, 1), between=True)):
        lines = _lines(leaf)
        assert _counts(lines, _tell(lines, 16, 0, 0)) == list(leaf.lines)


# --- rows without entries ---


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_grid_with_the_lines_that_are_used_is_that_of_such_a_wiring(data: st.DataObject) -> None:
    grid = data.draw(grids())
    drawn = grid.wired.copy()
    for number, leaf in enumerate(grid.leaves):
        if not leaf.between:
            kept = data.draw(st.sets(st.sampled_from(leaf.lines), min_size=1))
            drawn[:, number] = [line in kept for line in range(3)]
    on = grid.on(drawn)
    on.__dict__["is_small"] = grid.is_small
    pilots = data.draw(amounts(grid))
    for number, row in enumerate(grid.rows):
        mine = grid.row_of == number
        leaves, values = grid.leaf_of[mine], grid.coefficients[mine]
        share = drawn.sum(axis=0) / grid.wired.sum(axis=0)
        part = share if row.part == "total" else drawn[int(row.part[1]) - 1]
        assert on.loads(pilots)[number] == pytest.approx(abs((values * pilots[leaves] * part[leaves]).sum()))
    even = np.ones(len(pilots))
    filled, binding = fill(on, base=0 * even, upper=on.max_a, weight=even)
    assert np.all(on.excess(filled) <= NEAR)
    for held in np.flatnonzero(filled < on.max_a - NEAR):
        assert held in on.leaf_of[on.row_of == binding[held]], "a row that it does not feed holds nobody"
    chosen = fitting(on, 0 * even, more=pilots, order=np.arange(len(pilots)))
    assert np.all(on.excess(np.where(chosen, pilots, 0.0)) <= NEAR)
    assert np.all(on.excess(whole_steps(on, filled, lower=0 * even, upper=on.max_a)) <= NEAR)


# --- a site ---


@dataclass
class Car:
    """What draws; it sees its limit alone. `lines`: how many of its place's it uses."""

    lines: int
    max_a: float = 32.0
    told_at: float = 0.0


@dataclass
class Street:
    """Places on three lines, rotated, below one breaker. What flows is summed here, line by line."""

    main: float
    count: int
    every_s: float = 5.0
    now: float = 1000.0
    sent: list[Order] = field(default_factory=list)

    def __post_init__(self) -> None:
        leaves = [Leaf(f"c{n}", "main", ROTATIONS[n % 3]) for n in range(self.count)]
        self.grid = Grid.of([Node("main", None, (self.main,) * 3)], leaves)
        none = np.zeros(self.count)
        ledger = Ledger.of(self.grid, default=none, delay=np.full(self.count, POLICY.delay_s))
        self.control = Controller(self.grid, ledger, np.arange(self.count), np.zeros(3), POLICY)
        self.cars: dict[int, Car] = {}
        self.limit, self.over_since = none.copy(), np.full(3, np.inf)
        self.longest_s = 0.0
        for station in range(self.count):
            self.control.back(station, self.now, rebooted=True)
        self.now += SETTLE_S + 1

    def plug(self, leaf: int, car: Car) -> None:
        self.cars[leaf], self.limit[leaf] = car, 0.0
        self.control.plug(leaf, self.now)

    def draws(self, leaf: int) -> np.ndarray:
        car, found = self.cars.get(leaf), np.zeros(3)
        if car is not None and self.limit[leaf] >= 6:
            found[list(ROTATIONS[leaf % 3][: car.lines])] = min(self.limit[leaf], car.max_a)
        return found

    @property
    def load(self) -> np.ndarray:
        return np.sum([self.draws(leaf) for leaf in range(self.count)], axis=0)

    def run(self, seconds: int) -> None:
        for _second in range(seconds):
            self.now += 1.0
            for leaf, car in self.cars.items():
                if self.now - car.told_at >= self.every_s:
                    car.told_at, amps = self.now, self.draws(leaf)
                    self.control.reading(leaf, float(amps.max()), self.now)
                    self.control.read_lines(leaf, amps, self.now, at=self.now)
            for order in self.control.tick(self.now, self.grid.limits):
                self.sent.append(order)
                self.limit[order.leaf] = order.amps
                self.control.answered(order.number, self.now, accepted=True)
            over = self.load > self.main + 1e-6
            self.over_since = np.where(over, np.minimum(self.over_since, self.now), np.inf)
            lasted = np.where(over, self.now - self.over_since + 1, 0.0)
            self.longest_s = max(self.longest_s, float(lasted.max()))


def test_cars_on_one_line_each_fill_all_lines() -> None:
    street = Street(32.0, 3)
    for leaf in range(3):
        street.plug(leaf, Car(1))
    street.run(15)
    assert street.load == pytest.approx([10, 10, 11], abs=1.0), "all lines, as long as nobody knows"
    street.run(180)
    assert street.load.tolist() == [32, 32, 32]
    street.run(600)
    assert street.load.tolist() == [32, 32, 32] and street.longest_s == 0
    assert len(street.sent) < 45


def test_without_readings_by_phase_nothing_changes() -> None:
    street = Street(32.0, 3, every_s=60.0)
    for leaf in range(3):
        street.plug(leaf, Car(1))
    street.run(900)
    assert street.load.max() <= 12


def test_a_car_that_takes_to_all_lines_is_made_good_at_once() -> None:
    street = Street(32.0, 3)
    for leaf in range(3):
        street.plug(leaf, Car(1))
    street.run(203)
    street.cars[0].lines = 3
    street.run(60)
    assert 0 < street.longest_s <= street.every_s + 2
    assert street.load.max() <= 32


def test_who_uses_more_lines_under_a_higher_limit_does_so_one_after_the_other() -> None:
    """Twelve that seem to use one line until they are given more."""
    street = Street(35.0, 12)

    class Modular(Car):
        lines = property(lambda car: 3 if street.limit[car.leaf] > 8 else 1, lambda car, value: None)
        leaf = 0

    for leaf in range(12):
        car = Modular(1)
        car.leaf = leaf
        street.plug(leaf, car)
    worst = 0.0
    for _second in range(600):
        street.run(1)
        worst = max(worst, float(street.load.max()))
    assert 0 < street.longest_s <= street.every_s + 2
    assert worst <= 35 + 32, "one of them at a time"
    street.longest_s = 0.0
    street.run(600)
    assert street.longest_s == 0, "once each"


def test_who_leaves_takes_nobody_down() -> None:
    street = Street(32.0, 3)
    for leaf in range(3):
        street.plug(leaf, Car(1))
    street.run(200)
    begun = len(street.sent)
    del street.cars[0]
    street.control.unplug(0, street.now)
    street.run(20)
    assert [order for order in street.sent[begun:] if order.urgent] == []


def test_a_station_that_is_not_heard_counts_on_all_lines_soon() -> None:
    street = Street(32.0, 3)
    for leaf in range(3):
        street.plug(leaf, Car(1))
    street.run(200)
    street.control.away(0, street.now)
    street.cars[0].told_at = street.now + 1e6
    street.run(int(FRESH_S) + 8)
    counted = street.control.ledger.grid.loads(street.control.ledger.in_force(street.now))
    assert street.load[1] == 0 and street.load[2] == 0, "it may draw 32 A there as well"
    assert counted == pytest.approx([32, 32, 32])
    street.control.back(0, street.now, rebooted=False)
    street.cars[0].told_at = street.now
    street.run(1)
    assert street.control.counted[:, 0].all(), "after it is back it is to be learned anew"


@given(st.integers(0, 2**32), st.sampled_from([25.0, 40.0, 63.0, 100.0]), st.integers(2, 9))
@settings(max_examples=15, deadline=None)
def test_whatever_cars_do_no_line_is_over_for_longer_than_it_takes_to_see_it(
    seed: int, main: float, count: int
) -> None:
    """Cars come, go, and take to other lines at any time."""
    chance = random.Random(seed)
    street = Street(main, count)
    for _event in range(15):
        leaf = chance.randrange(count)
        if leaf not in street.cars:
            street.plug(leaf, Car(chance.choice([1, 1, 2, 3]), chance.choice([10.0, 16.0, 32.0])))
        elif chance.random() < 0.5:
            street.cars[leaf].lines = chance.choice([1, 2, 3])
        else:
            del street.cars[leaf]
            street.control.unplug(leaf, street.now)
        street.run(chance.choice([15, 40, 90]))
    assert street.longest_s <= street.every_s + 2
