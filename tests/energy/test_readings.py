"""What a meter tells becomes amps on each line, or is refused in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from energy.grid import SINGLE_PHASE, SPLIT_PHASE, THREE_PHASE
from energy.readings import MOST_A, BadReading, Sample, Told, apart, sample_of

pytestmark = pytest.mark.nodb
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def _sample(amps: Any = None, watts: Any = None, at: Any = None, supply: Any = THREE_PHASE) -> Sample:
    return sample_of(Told(1, amps, watts, at), supply, NOW)


def test_amps_are_kept_as_they_are() -> None:
    found = _sample([8.2, 7.9, 0])
    assert found.amps == (8.2, 7.9, 0.0) and found.watts is None


def test_watts_become_amps_by_the_voltage_of_the_supply() -> None:
    assert _sample(watts=[2300, 1150, -230]).amps == pytest.approx((10, 5, -1))
    assert _sample(watts=[2300, 1150, -230]).watts == pytest.approx(3220)
    assert _sample(watts=6900).amps == pytest.approx((10, 10, 10))
    assert _sample(watts=2400, supply=SPLIT_PHASE).amps == pytest.approx((10, 10))
    assert _sample(watts=2300, supply=SINGLE_PHASE).amps == pytest.approx((10,))


def test_current_without_direction_takes_that_of_its_power() -> None:
    assert _sample([10, 5, 3], [-2300, 1150, 0]).amps == (-10, 5, 3)


@pytest.mark.parametrize(
    ("amps", "watts", "why"),
    [
        (None, None, "neither"),
        ([], None, "neither"),
        ([float("nan")], None, "without end"),
        ([float("inf")], None, "without end"),
        ([10**400], None, "without end"),
        ([MOST_A + 1], None, "no site"),
        (["8.2"], None, "no number"),
        ([True], None, "no number"),
        ([None, 1], None, "no number"),
        ({"L1": 1}, None, "no number"),
        ([1, 2, 3, 0.1], None, "3 lines"),
        (None, 1e12, "no site"),
        (None, [[1]], "no number"),
        (None, "much", "no number"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(amps: Any, watts: Any, why: str) -> None:
    with pytest.raises(BadReading, match=why):
        _sample(amps, watts)


def test_more_lines_than_the_supply_has_are_refused() -> None:
    with pytest.raises(BadReading, match="1 lines, but amps tells of 3"):
        _sample([1, 2, 3], supply=SINGLE_PHASE)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("2026-11-23T11:59:58Z", -2),
        ("2026-11-23T12:59:58+01:00", -2),
        ("2026-11-23T11:59:58", -2),
        (NOW.timestamp() - 2, -2),
        ((NOW.timestamp() - 2) * 1000, -2),
        (NOW - timedelta(seconds=2), -2),
        ("2026-11-23T12:00:04Z", 4),
        ("2026-11-20T12:00:00Z", -3 * 86_400),
        ("2026-11-23T12:00:06Z", 0),
        ("2099-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:12Z", 0),
        ("yesterday", 0),
        ("", 0),
        (None, 0),
        (True, 0),
        (1e300, 0),
        (float("nan"), 0),
        ([1], 0),
        ("9999-12-31T23:59:59-14:00", 0),
    ],
)
def test_a_time_that_cannot_be_is_that_of_receipt(told: Any, seconds: float) -> None:
    assert _sample([1], at=told).at == NOW + timedelta(seconds=seconds)


def test_samples_without_a_time_are_kept_apart_in_their_order() -> None:
    found = apart([_sample([1]), _sample([2]), _sample([3], at="2026-11-23T11:00:00Z")])
    assert [one.amps[0] for one in found] == [3, 1, 2]
    assert len({one.at for one in found}) == 3


def test_of_two_that_tell_one_time_the_first_stays() -> None:
    at = "2026-11-23T11:00:00Z"
    assert [one.amps[0] for one in apart([_sample([1], at=at), _sample([2], at=at)])] == [1]
