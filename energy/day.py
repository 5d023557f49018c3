"""The slow loop: every few minutes the programme of the day tells the fast loop what each car should get now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from energy.control import Cars, Controller
from energy.departures import Departures
from energy.grid import TOTAL, Bools, Floats, Grid
from energy.programme import Needs, Prices, Programme, plan

EARLY = 1.0  # by how much more lateness counts for who leaves at once than for who stays all day
UNLIKELY = 0.03  # nothing is planned for later


@dataclass(frozen=True)
class Horizon:
    """Periods from now on: `period_s` long each, `limits` of the rows in each (periods x rows)."""

    period_s: Floats
    limits: Floats
    prices: Prices
    base_w: Floats | None = None

    @cached_property
    def begins_s(self) -> Floats:
        return np.cumsum(self.period_s) - self.period_s


def replan(
    control: Controller, now: float, horizon: Horizon, departures: Departures | None = None
) -> Programme | None:
    """Make the programme for the cars that are there and hand its first period to the fast loop. Cars that told no need
    or no departure are left to filling. `departures`: how far those told are to be believed (None: to the second).
    None, and nothing changes, where no programme was found in time."""
    found = draft(control.cars, control.ledger.plugged, control.grid, now, horizon, departures)
    if found is not None:
        adopt(control, found, horizon)
    return found


def adopt(control: Controller, found: Programme, horizon: Horizon, *, who: Bools | None = None) -> None:
    """Hand its first period to the fast loop. `who`: the leaves whose car it was made for (default: all)."""
    wanted = found.pilots[0]
    control.cars.wanted[:] = wanted if who is None else np.where(who, wanted, 0.0)
    control.peak = _peak(control.grid, found, horizon) if horizon.prices.peak_kw else None


def draft(
    cars: Cars, plugged: Bools, grid: Grid, now: float, horizon: Horizon, departures: Departures | None = None
) -> Programme | None:
    """As `replan`, but nothing changes: it takes up to some seconds, and may go on beside the fast loop on copies."""
    known = plugged & cars.wants & np.isfinite(cars.need_wh) & (cars.need_wh > 0)
    there = _there(cars, now, horizon, departures)
    most = np.minimum(cars.cap, grid.max_a)
    upper = np.where(known & (there > 0), most, 0.0)
    if departures is None:
        upper[1:] *= there[1:]
    needs = Needs(np.where(known, cars.need_wh, 0.0), cars.asked_wh, None if departures is None else there)
    # Nobody knows who comes: of two that can both be served, who leaves first is served first.
    stays_s = (there * horizon.period_s[:, None]).sum(axis=0)
    late = horizon.prices.late * (1 + EARLY * (1 - stays_s / horizon.period_s.sum()))
    return plan(
        grid, period_s=horizon.period_s, limits=horizon.limits, upper=upper, needs=needs,
        prices=replace(horizon.prices, late=late), base_w=horizon.base_w,
    )  # fmt: skip


def _peak(grid: Grid, found: Programme, horizon: Horizon) -> Floats:
    """What connectors may draw in each row below the programme's peak: in the total of all, where such a row is. There
    is no use in staying below a peak that is paid already."""
    everybody = np.bincount(grid.row_of, minlength=len(grid.rows)) == len(grid.leaves)
    total = np.array([row.part == TOTAL for row in grid.rows]) & everybody
    base_w = 0.0 if horizon.base_w is None else float(horizon.base_w[0])
    return np.where(total, max(found.peak_w, horizon.prices.paid_peak_w) - base_w, np.inf)


def _there(cars: Cars, now: float, horizon: Horizon, departures: Departures | None) -> Floats:
    """(periods x leaves) the share of each period in which each car is there, or how likely it is."""
    begins, long = horizon.begins_s[:, None], horizon.period_s[:, None]
    if departures is None:
        share = np.clip((cars.departure[None, :] - now - begins) / long, 0.0, 1.0)
        share[0] = 1.0  # it is there, whatever was told
        return share
    middle = now + horizon.begins_s + horizon.period_s / 2
    likely = departures.there(now, came=cars.came_at, told=cars.departure, at=middle)
    likely[0] = 1.0
    return np.where(likely < UNLIKELY, 0.0, likely)
