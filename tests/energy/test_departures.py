"""When cars really leave: what was told, as far as earlier drivers kept to it."""

from __future__ import annotations

import numpy as np
import pytest

from energy.departures import DAY_S, Departures

pytestmark = pytest.mark.nodb
HOUR = 3600.0


def _there(departures: Departures, *, now: float, came: float, told: float, at: float) -> float:
    """All in hours of the hundredth day."""
    begin = 100 * DAY_S
    found = departures.there(
        begin + now * HOUR, came=np.array([begin + came * HOUR]), told=np.array([begin + told * HOUR]),
        at=np.array([begin + at * HOUR]),
    )  # fmt: skip
    return float(found[0, 0])


def _site(*, told: float, left: float, came: float = 9.0, days: int = 30) -> Departures:
    departures = Departures()
    for day in range(days):
        departures.learn(
            came=day * DAY_S + came * HOUR, told=day * DAY_S + told * HOUR, left=day * DAY_S + left * HOUR
        )
    return departures


def test_of_a_site_that_nothing_is_known_of_half_leave_before_the_told_time() -> None:
    assert _there(Departures(), now=1, came=1, told=12, at=12) == pytest.approx(0.5, abs=0.01)


def test_who_stays_longer_than_told_is_expected_to() -> None:
    departures = _site(told=12, left=17)
    assert _there(departures, now=10, came=9, told=12, at=15) > 0.9
    assert _there(departures, now=10, came=9, told=12, at=18) < 0.1


def test_who_said_late_does_not_speak_for_who_said_early() -> None:
    departures = _site(told=22, left=13)
    assert _there(departures, now=10, came=9, told=22, at=16) < 0.1
    assert _there(departures, now=10, came=9, told=17, at=16) > 0.5


def test_who_is_still_there_after_all_left_may_stay() -> None:
    departures = _site(told=12, left=13)
    likely = [_there(departures, now=20, came=9, told=12, at=at) for at in (20, 21, 24)]
    assert likely[0] == 1.0 and 1 > likely[1] > likely[2] > 0


def test_a_car_that_told_nothing_stays() -> None:
    found = _site(told=12, left=13).there(
        0.0, came=np.array([0.0]), told=np.array([np.inf]), at=np.array([DAY_S])
    )
    assert found.tolist() == [[1.0]]
