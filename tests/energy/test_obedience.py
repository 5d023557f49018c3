"""Accepted is not obeyed: who draws more than any limit that may be in force is counted with the hardware."""

from __future__ import annotations

import numpy as np
import pytest

from energy.control import OLD_S, Policy
from energy.ledger import SETTLE_S
from energy.obedience import FORGIVE_S
from tests.energy.test_control import Garage

pytestmark = pytest.mark.nodb
POLICY = Policy()


def _two() -> Garage:
    """Two cars below 40 A with 20 A each, seen a moment ago."""
    garage = Garage(2, 40)
    garage.plug(0, 1)
    garage.run(60)
    assert garage.held == [20.0, 20.0]
    _read(garage, 20.0, 20.0)
    return garage


def _read(garage: Garage, *amps: float) -> None:
    for leaf, draw in enumerate(amps):
        garage.control.reading(leaf, draw, garage.now)


def _later(garage: Garage, seconds: int, *amps: float) -> None:
    """A tick a second, and what both draw at the end."""
    for _second in range(seconds):
        garage.now += 1
        garage.tick()
    _read(garage, *amps)
    garage.tick()


def test_a_second_reading_above_its_limit_says_that_it_disobeys() -> None:
    garage = _two()
    _later(garage, 60, 32.0, 20.0)
    assert garage.control.disobeys() == [] and garage.sent[-1].why == "again", "it may have lost its profile"
    _later(garage, 60, 32.0, 20.0)
    (found,) = garage.control.disobeys()
    assert (found.leaf, found.since, found.over_a, found.draws_a) == (0, garage.now - 60, 12.0, 32.0)
    assert garage.control.ledger.in_force(garage.now)[0] == 32
    assert garage.held[1] == 8, "the other gives way"


def test_a_reading_from_before_the_limit_fell_condemns_nobody() -> None:
    garage = _two()
    garage.room = np.full(3, 12.0)
    _later(garage, 20, 20.0, 20.0)  # both are told 6 A, and have followed; this was measured before
    assert garage.held == [6.0, 6.0]
    assert not np.any(np.isfinite(garage.control.watch.over_since))
    _later(garage, 10, 20.0, 6.0)
    assert np.isfinite(garage.control.watch.over_since[0]), "but not this one"
    _later(garage, 10, 6.0, 6.0)
    _later(garage, 10, 20.0, 6.0)
    assert garage.control.disobeys() == [], "two in a row"


def test_two_at_once_are_one() -> None:
    garage = _two()
    _later(garage, 60, 32.0, 20.0)
    _later(garage, int(SETTLE_S) - 2, 32.0, 20.0)
    assert garage.control.disobeys() == []


def test_a_little_more_than_the_limit_is_none() -> None:
    garage = _two()
    for _time in range(5):
        _later(garage, 60, 20.0 + POLICY.over_a, 20.0)
    assert garage.control.disobeys() == []


def test_it_is_believed_again_after_minutes_within_limits_that_it_went_beyond() -> None:
    garage = _two()
    _later(garage, 60, 32.0, 20.0)
    _later(garage, 60, 32.0, 20.0)
    _later(garage, 60, 32.0, 8.0)
    assert garage.control.ledger.told(garage.now)[0] == 0 and garage.control.disobeys(), (
        "it was told to pause"
    )
    for _minute in range(int(FORGIVE_S) // 60):
        _later(garage, 60, 0.0, 8.0)
        assert garage.control.disobeys()
    _later(garage, 60, 0.0, 8.0)
    assert garage.control.disobeys() == []
    garage.run(60)
    assert garage.held == [20.0, 20.0]


def test_readings_below_a_limit_that_is_higher_than_it_ever_took_say_nothing() -> None:
    garage = _two()
    _later(garage, 60, 32.0, 20.0)
    _later(garage, 60, 32.0, 20.0)
    garage.control.ledger.held[0] = 32.0
    for _minute in range(7):
        _read(garage, 32.0, 8.0)
        garage.now += 60
    assert garage.control.disobeys()


def test_what_was_kept_back_while_offline_says_nothing_of_now() -> None:
    garage = _two()
    garage.room = np.full(3, 12.0)
    _later(garage, 20, 6.0, 6.0)
    for minutes in (10, 9, 8):
        garage.now += SETTLE_S
        at = garage.now - minutes * 60
        garage.control.reading(0, 20.0, garage.now, at=at, given_wh=100.0)
    assert garage.control.disobeys() == [] and garage.control.cars.draw[0] == 6.0
    garage.control.reading(0, 7.0, garage.now, at=garage.now - OLD_S)
    assert garage.control.cars.draw[0] == 7.0


def test_it_is_still_counted_when_the_next_car_comes() -> None:
    garage = _two()
    _later(garage, 60, 32.0, 20.0)
    _later(garage, 60, 32.0, 20.0)
    garage.control.unplug(0, garage.now)
    _later(garage, 10, 0.0, 20.0)
    assert garage.control.ledger.in_force(garage.now)[0] == 0, "nobody is there"
    garage.plug(0)
    assert garage.control.disobeys() and garage.control.ledger.in_force(garage.now)[0] == 32


def test_it_is_told_to_pause_and_told_again_before_that_ends() -> None:
    garage = _two()
    _later(garage, 60, 32.0, 20.0)
    _later(garage, 60, 32.0, 20.0)
    mine = [order for order in garage.sent if order.leaf == 0]
    assert mine[-1].amps == 0 and mine[-1].urgent and garage.held[0] == 0
    begun, ends = len(garage.sent), mine[-1].until
    for _minute in range(9):
        _later(garage, 60, 32.0, 8.0)
    (again,) = [order for order in garage.sent[begun:] if order.leaf == 0]
    assert again.amps == 0 and again.until > ends
