"""A past time under another limit, against what a person reckons by hand. No database."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from energy.grid import Grid, Leaf, Node
from energy.policy import EQUAL, NEED
from energy.replay import FIRST_COME, SHARES, Car, Outcome, Steps, free, replay

pytestmark = pytest.mark.nodb
HOUR = 3600.0
STEPS = Steps(0.0, 300.0, 96)  # eight hours


def site(count: int, main_a: float) -> Grid:
    return Grid.of([Node("main", None, (main_a,) * 3)], [Leaf(f"c{n}", "main") for n in range(count)])


def car(leaf: int, hours: float, *, kwh: float, amps: float = 16.0, arrives: float = 0.0) -> Car:
    """Three phases: 690 W at each A."""
    return Car(leaf, arrives * HOUR, (arrives + hours) * HOUR, kwh * 1000, amps, 690.0)


def run(grid: Grid, cars: Sequence[Car], share: str = NEED) -> Outcome:
    return replay(grid, cars, STEPS, limits=lambda step: grid.limits, share=share)


@pytest.mark.parametrize(
    ("main_a", "full_h", "bound_h", "watts"),
    [(32, 1.0, 0.0, 11_040), (16, 1.0, 0.0, 11_040), (8, 2.0, 2.0, 5_520), (6, 8 / 3, 8 / 3, 4_140)],
)
def test_half_the_limit_takes_twice_as_long(
    main_a: float, full_h: float, bound_h: float, watts: float
) -> None:
    """11.04 kWh at 16 A x 690 W = 11.04 kW take an hour; at 8 A two; at 6 A two and two thirds."""
    found = run(site(1, main_a), [car(0, 4, kwh=11.04)])
    assert found.given_wh == pytest.approx([11_040])
    assert found.full_at / HOUR == pytest.approx([full_h])
    assert found.bound_s / HOUR == pytest.approx(bound_h)
    assert found.cars_w.max() == pytest.approx(watts)


def test_below_the_minimum_nothing_flows() -> None:
    found = run(site(1, 5.9), [car(0, 4, kwh=11.04)])
    assert found.given_wh == pytest.approx([0]) and found.full_at[0] == np.inf
    assert found.bound_s == 4 * HOUR and found.waiting[:48].tolist() == [1] * 48


def test_who_leaves_early_lacks_the_rest() -> None:
    """At 8 A for an hour: 5.52 of 11.04 kWh."""
    assert run(site(1, 8), [car(0, 1, kwh=11.04)]).given_wh == pytest.approx([5_520])


def test_two_cars_share_and_none_is_over_the_limit() -> None:
    """20 A for two alike: 10 A each, 6.9 kW each, 13.8 kW together."""
    found = run(site(2, 20), [car(0, 8, kwh=13.8), car(1, 8, kwh=13.8)])
    assert found.full_at / HOUR == pytest.approx([2, 2])
    assert found.cars_w[:24] == pytest.approx([13_800] * 24) and found.cars_w[24:].sum() == 0


def test_first_come_first_served() -> None:
    """The second comes an hour later and gets what the first leaves: 6 of 22 A, until that one is full."""
    cars = [car(0, 8, kwh=22.08), car(1, 7, kwh=11.04, arrives=1)]
    found = run(site(2, 22), cars, FIRST_COME)
    assert found.full_at[0] / HOUR == pytest.approx(2)  # as if it were alone
    # 6 A for an hour are 4.14 kWh; the other 6.9 at 16 A take 37.5 minutes
    assert found.full_at[1] / HOUR == pytest.approx(2 + 6.9 / 11.04)
    equal = run(site(2, 22), cars, EQUAL)
    assert equal.full_at[0] / HOUR == pytest.approx(1 + 11.04 / 7.59)  # 11 A each


def test_by_need_the_one_who_leaves_first_gets_more() -> None:
    cars = [car(0, 2, kwh=18), car(1, 8, kwh=18)]
    by_need, equal = run(site(2, 20), cars), run(site(2, 20), cars, EQUAL)
    assert by_need.given_wh[0] > equal.given_wh[0] + 1000
    assert by_need.given_wh[1] == equal.given_wh[1] == pytest.approx(18_000)


def test_turns_are_taken() -> None:
    """10 A for two cars: one at a time, a quarter of an hour each; alike after eight hours."""
    found = run(site(2, 10), [car(0, 8, kwh=60), car(1, 8, kwh=60)])
    assert found.cars_w == pytest.approx([6_900] * 96)
    assert abs(found.given_wh[0] - found.given_wh[1]) <= 6_900 / 4 + 1


@pytest.mark.parametrize("share", SHARES)
def test_two_sessions_at_one_connector(share: str) -> None:
    found = run(site(1, 16), [car(0, 1, kwh=11.04), car(0, 2, kwh=5.52, arrives=1)], share)
    assert found.full_at / HOUR == pytest.approx([1, 1.5])


def test_a_car_on_one_phase_takes_a_third() -> None:
    """It fills its pilot's share of every line, though it draws on one: as the fast loop counts it."""
    single = Car(0, 0.0, 4 * HOUR, 3_680, 16.0, 230.0)
    assert run(site(1, 16), [single]).full_at / HOUR == pytest.approx([1])


def test_free_charging_adds_up() -> None:
    found = free([car(0, 8, kwh=11.04), car(1, 8, kwh=5.52), car(2, 0.5, kwh=11.04)], STEPS)
    assert found.cars_w[0] == pytest.approx(3 * 11_040)
    assert found.cars_w[6] == pytest.approx(11_040)  # after half an hour the first alone
    assert found.given_wh == pytest.approx([11_040, 5_520, 5_520])


def test_progress_is_told() -> None:
    grid, told = site(1, 16), list[float]()
    replay(grid, [car(0, 8, kwh=60)], STEPS, limits=lambda step: grid.limits, progress=told.append)
    assert told == [0.0, 0.5]
