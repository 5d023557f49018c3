"""What the programme of the day wants reaches the fast loop."""

from __future__ import annotations

import numpy as np
import pytest

from energy.control import Controller, Policy
from energy.day import Horizon, replan
from energy.departures import Departures
from energy.grid import Grid, Leaf, Node
from energy.ledger import Ledger
from energy.programme import Prices
from tests.energy.test_control import Garage

pytestmark = pytest.mark.nodb
HOURS = 6


def _horizon(garage: Garage, prices: Prices | None = None) -> Horizon:
    limits = np.tile(garage.grid.limits, (HOURS, 1))
    return Horizon(np.full(HOURS, 3600.0), limits, prices or Prices(np.zeros(HOURS)))


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


def test_of_two_that_can_both_be_served_who_leaves_first_goes_first() -> None:
    """Nobody knows who comes meanwhile."""
    for first in (0, 1):
        garage = Garage(2, 32)
        garage.plug(first, need_wh=22_080.0, departure=garage.now + 3 * 3600)
        garage.plug(1 - first, need_wh=22_080.0, departure=garage.now + 5 * 3600)
        replan(garage.control, garage.now, _horizon(garage))
        assert garage.control.cars.wanted[first] == pytest.approx(32)


def test_half_an_hour_of_an_hour_is_half_of_it() -> None:
    garage = Garage(1, 32)
    garage.plug(0, need_wh=50_000.0, departure=garage.now + 1.5 * 3600)
    found = replan(garage.control, garage.now, _horizon(garage))
    assert found is not None and found.unmet_wh[0] == pytest.approx(50_000 - 1.5 * 32 * 690)


def test_a_departure_that_has_passed_is_not_believed() -> None:
    """It is still there, and may stay: the programme counts on more than this one hour."""
    garage = Garage(1, 32)
    garage.plug(0, need_wh=50_000.0, departure=garage.now - 600)
    departures = Departures()
    for day in range(20):
        departures.learn(came=day * 86_400.0, told=day * 86_400.0 + 3600, left=day * 86_400.0 + 4 * 3600)
    found = replan(garage.control, garage.now, _horizon(garage), departures)
    assert found is not None and found.pilots[1, 0] > 0


def test_below_the_peak_of_the_programme() -> None:
    """The cars could have twice as much at once; a peak that costs is worth waiting for."""
    grid = Grid.of(
        [Node("main", None, (63.0,) * 3, limit_w=100_000.0)], [Leaf(f"c{n}", "main", (n,)) for n in range(2)]
    )
    ledger = Ledger.of(grid, default=np.zeros(2), delay=np.full(2, Policy().delay_s))
    control = Controller(grid, ledger, np.arange(2), np.zeros(len(grid.rows)))
    for station in range(2):
        control.back(station, 0.0, rebooted=True)
        control.plug(station, 10.0, need_wh=HOURS * 10 * 230.0, departure=10.0 + HOURS * 3600)
    limits = np.tile(grid.limits, (HOURS, 1))
    for paid_w, most in ((0.0, 20.0), (30 * 230.0, 30.0), (70 * 230.0, 64.0)):
        prices = Prices(np.zeros(HOURS), peak_kw=10.0, paid_peak_w=paid_w)
        replan(control, 20.0, Horizon(np.full(HOURS, 3600.0), limits, prices))
        for now in (20.0, 30.0, 40.0):
            for order in control.tick(now, grid.limits):
                control.answered(order.number, now, accepted=True)
        assert control.ledger.held.sum() == most
        assert control.peak is not None and control.peak.min() == pytest.approx(max(paid_w, 20 * 230.0))
    replan(control, 50.0, Horizon(np.full(HOURS, 3600.0), limits, Prices(np.zeros(HOURS))))
    assert control.peak is None, "nobody pays for a peak"
