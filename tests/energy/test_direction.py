"""Clamps the wrong way round: no room is given that is not there, and sun is not punished for it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy import direction
from energy.headroom import DEAD_S, FRESH_S, Meter
from energy.ledger import SKEW_S

pytestmark = pytest.mark.nodb

MOST_A = 40.0
AMPS = st.lists(st.floats(0, MOST_A), min_size=3, max_size=3).map(np.array)
SIDES = st.lists(st.sampled_from([-1.0, 1.0]), min_size=3, max_size=3).map(np.array)
NOBODY = np.zeros(3, dtype=bool)


def _meter(sure: np.ndarray | None = NOBODY) -> Meter:
    return Meter(np.full(3, MOST_A), sure=sure)


@given(building=AMPS, sides=SIDES)
def test_the_building_is_never_held_for_less_whichever_way_its_clamps_look(
    building: np.ndarray, sides: np.ndarray
) -> None:
    meter = _meter()
    meter.take(building * sides, 1.0)
    assert np.array_equal(meter.load(1.0), building)


@given(building=AMPS, drawn=AMPS, sides=SIDES)
def test_nor_is_it_where_the_meter_counts_the_cars(
    building: np.ndarray, drawn: np.ndarray, sides: np.ndarray
) -> None:
    """A reversed meter falls when cars are raised: what they draw is taken off the amount."""
    meter = _meter()
    meter.take((building + drawn) * sides, 1.0, cars=(drawn, drawn))
    assert np.all(meter.load(1.0) >= building - 1e-9)


@given(net=st.lists(st.floats(-80, 40), min_size=3, max_size=3).map(np.array), drawn=AMPS)
def test_sun_behind_a_meter_is_never_worse_than_silence(net: np.ndarray, drawn: np.ndarray) -> None:
    """`net`: what the building takes less what the sun gives."""
    meter, with_cars = _meter(), _meter()
    meter.take(net, 1.0)
    with_cars.take(net + drawn, 1.0, cars=(drawn, drawn))
    for one in (meter, with_cars):
        assert np.all(one.load(1.0) >= net - 1e-9) and np.all(one.load(1.0) <= MOST_A + 1e-9)


@given(net=st.lists(st.floats(-80, 40), min_size=3, max_size=3).map(np.array), drawn=AMPS)
def test_sun_counts_in_full_once_a_night_has_told(net: np.ndarray, drawn: np.ndarray) -> None:
    sure = direction.sure([0.5, 3.0, 12.0], 3)
    meter, with_cars = _meter(sure), _meter(sure)
    meter.take(net, 1.0)
    with_cars.take(net + drawn, 1.0, cars=(drawn, drawn))
    assert np.array_equal(meter.load(1.0), net) and np.allclose(with_cars.load(1.0), net)


def test_each_line_is_known_by_itself() -> None:
    assert direction.sure([4.2, -3.0, 0.05], 3).tolist() == [True, False, False]
    assert direction.turned([4.2, -3.0, 0.05]) == ("L2",)
    assert direction.sure([], 3).tolist() == [False] * 3 and direction.turned([]) == ()
    assert direction.sure([4.0, 4.0, 4.0], 1).tolist() == [True]


def test_the_dark_hours_are_those_of_the_site() -> None:
    begins, ends = direction.dark_hours(datetime(2026, 6, 1, 22, 30, tzinfo=UTC), ZoneInfo("Europe/Berlin"))
    assert (begins.astimezone(UTC), ends.astimezone(UTC)) == (
        datetime(2026, 6, 1, 22, tzinfo=UTC), datetime(2026, 6, 2, 1, tzinfo=UTC)
    )  # fmt: skip


# --- 0 A for ever ---


def _zeros(meter: Meter, seconds: int, drawn: float, *, line_2: float = 0.0, begin: int = 0) -> float:
    cars = np.array([drawn, drawn, drawn])
    for second in range(begin, begin + seconds):
        told = np.array([0.0, line_2 and line_2 + second % 7 / 10, 0.0])
        meter.take(told, float(second), cars=(cars, cars))
    return float(begin + seconds - 1)


def test_zero_while_cars_draw_is_a_broken_meter() -> None:
    meter = _meter(None)
    now = _zeros(meter, int(DEAD_S) + 1, 6.0)
    assert meter.dead.all() and meter.is_mute(now) and meter.mute_since(now) == 0.0
    assert meter.load(now).tolist() == [MOST_A] * 3


def test_one_broken_clamp_is_enough() -> None:
    meter = _meter(None)
    now = _zeros(meter, int(DEAD_S) + 1, 6.0, line_2=9.0)
    assert meter.dead.tolist() == [True, False, True] and meter.is_mute(now)


def test_it_stays_broken_when_the_cars_are_gone_until_it_tells_something() -> None:
    meter = _meter(None)
    now = _zeros(meter, int(DEAD_S) + 1, 6.0)
    now = _zeros(meter, 60, 0.0, begin=int(now) + 1)
    assert meter.is_mute(now), "else the next car would have room that is not known to be there"
    meter.take(np.array([0.1, 7.0, 0.1]), now + 1, cars=(np.full(3, 6.0),) * 2)
    assert not meter.is_mute(now + 1)


def test_zero_without_cars_is_an_empty_car_park() -> None:
    meter = _meter(None)
    now = _zeros(meter, 1000, 0.0)
    assert not meter.is_mute(now) and meter.load(now).tolist() == [0.0] * 3


def test_a_car_that_has_just_ended_breaks_no_meter() -> None:
    """Its last reading is believed for some time after it draws no more."""
    meter = _meter(None)
    meter.take(np.full(3, 16.2), 0.0, cars=(np.full(3, 16.0),) * 2)
    assert FRESH_S + 2 * SKEW_S <= DEAD_S
    now = _zeros(meter, int(FRESH_S + SKEW_S), 16.0, begin=1)
    now = _zeros(meter, 300, 0.0, begin=int(now) + 1)
    assert not meter.is_mute(now)


@pytest.mark.parametrize("kind", ["building", "solar"])
def test_a_meter_without_cars_may_tell_zero_for_ever(kind: str) -> None:
    meter = _meter(NOBODY if kind == "building" else None)
    for second in range(1000):
        meter.take(np.zeros(3), float(second))
    assert not meter.is_mute(999.0) and meter.least(999.0).tolist() == [0.0] * 3
