"""The building counts by the highest of half a minute, and by its maximum where the meter cannot be trusted."""

from __future__ import annotations

import numpy as np
import pytest

from energy.headroom import FROZEN, SILENT_S, WINDOW_S, Meter

pytestmark = pytest.mark.nodb


def _meter() -> Meter:
    return Meter(np.array([63.0, 63.0, 63.0]))


def _sample(meter: Meter, amps: float, at: float) -> None:
    meter.take(np.array([amps, amps + at % 7 / 100, amps]), at)


@pytest.mark.parametrize(("now", "load"), [(49, 10), (50, 40), (50 + WINDOW_S, 40), (51 + WINDOW_S, 10)])
def test_the_highest_of_half_a_minute_counts(now: float, load: float) -> None:
    meter = _meter()
    for second in range(int(now) + 1):
        _sample(meter, 40.0 if second == 50 else 10.0, float(second))
    assert meter.load(now)[0] == load


def test_a_silent_meter_counts_with_the_maximum() -> None:
    meter = _meter()
    assert meter.load(0.0)[0] == 63, "never heard"
    _sample(meter, 10, 1.0)
    assert meter.load(1.0 + SILENT_S)[0] == 10
    assert meter.load(1.1 + SILENT_S)[0] == 63


def test_a_frozen_meter_counts_with_the_maximum_until_it_moves() -> None:
    meter = _meter()
    for second in range(FROZEN + 1):
        meter.take(np.array([10.123, 11.0, 12.0]), float(second))
    assert meter.load(float(FROZEN))[0] == 63
    meter.take(np.array([10.124, 11.0, 12.0]), FROZEN + 1.0)
    assert meter.load(FROZEN + 1.0)[0] == pytest.approx(10.124)


def test_nothing_at_all_may_stand_still() -> None:
    meter = _meter()
    for second in range(2 * FROZEN):
        meter.take(np.zeros(3), float(second))
    assert meter.load(2.0 * FROZEN)[0] == 0


def test_samples_of_the_past_and_no_numbers_are_dropped() -> None:
    meter = _meter()
    _sample(meter, 10, 5.0)
    _sample(meter, 60, 4.0)
    meter.take(np.array([np.nan, 1.0, 1.0]), 6.0)
    assert meter.load(6.0)[0] == 10 and meter.last_at == 5.0
