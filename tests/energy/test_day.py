"""What the programme of the day wants reaches the fast loop."""

from __future__ import annotations

import numpy as np
import pytest

from energy.day import Horizon, replan
from energy.programme import Prices
from tests.energy.test_control import Garage

pytestmark = pytest.mark.nodb
HOURS = 6


def _horizon(garage: Garage, prices: Prices | None = None) -> Horizon:
    limits = np.tile(garage.grid.limits, (HOURS, 1))
    return Horizon(3600.0, HOURS, limits, prices or Prices(np.zeros(HOURS)))


def test_who_must_leave_gets_it_first() -> None:
    garage = Garage(2, 20)
    garage.plug(0, need_wh=40_000.0, departure=garage.now + HOURS * 3600)
    garage.plug(1, need_wh=11_000.0, departure=garage.now + 3600)
    garage.run(30)
    assert garage.held[1] < 15
    found = replan(garage.control, garage.now, _horizon(garage))
    assert found is not None and found.unmet_wh.sum() == pytest.approx(0, abs=1)
    garage.run(30)
    assert garage.held[1] >= 15, "11 kWh within the hour are 16 A"


def test_cars_that_told_nothing_are_left_to_filling() -> None:
    garage = Garage(2, 20)
    garage.plug(0)
    garage.plug(1, need_wh=5_000.0, departure=garage.now + 2 * 3600)
    replan(garage.control, garage.now, _horizon(garage))
    assert garage.control.cars.wanted[0] == 0
    garage.run(30)
    assert garage.held[0] >= 6 and garage.held[1] >= 6


def test_a_need_that_was_met_wants_nothing() -> None:
    garage = Garage(1, 20)
    garage.plug(0, need_wh=1_000.0, departure=garage.now + 3600)
    replan(garage.control, garage.now, _horizon(garage))
    assert garage.control.cars.wanted[0] > 0
    garage.control.reading(0, 16.0, garage.now, given_wh=1_000.0)
    replan(garage.control, garage.now, _horizon(garage))
    assert garage.control.cars.wanted[0] == 0
