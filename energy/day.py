"""The slow loop: every few minutes the programme of the day tells the fast loop what each car should get now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.control import Controller
from energy.grid import Floats
from energy.programme import Prices, Programme, plan


@dataclass(frozen=True)
class Horizon:
    """`periods` of `period_s` from now on; `limits` of the rows in each (periods x rows)."""

    period_s: float
    periods: int
    limits: Floats
    prices: Prices
    base_w: Floats | None = None


def replan(control: Controller, now: float, horizon: Horizon) -> Programme | None:
    """Make the programme for the cars that are there and hand its first period to the fast loop. Cars that told no need
    or no departure are left to filling. None, and nothing changes, where no programme was found in time."""
    cars, grid = control.cars, control.grid
    known = control.ledger.plugged & cars.wants & np.isfinite(cars.need_wh) & (cars.need_wh > 0)
    left = np.where(np.isfinite(cars.departure), cars.departure - now, horizon.periods * horizon.period_s)
    last = np.clip(np.floor(left / horizon.period_s + 1e-6), 1, horizon.periods).astype(int)
    there = np.arange(horizon.periods)[:, None] < last[None, :]
    most = np.minimum(cars.cap, grid.max_a)
    found = plan(
        grid, period_s=horizon.period_s, limits=horizon.limits, upper=np.where(there & known, most, 0.0),
        need_wh=np.where(known, cars.need_wh, 0.0), prices=horizon.prices, base_w=horizon.base_w,
    )  # fmt: skip
    if found is not None:
        cars.wanted[:] = found.pilots[0]
    return found
