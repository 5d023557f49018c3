"""The programme of the day: how much each connector should get in each period, by a linear programme (HiGHS).

Minimised, in this order of weight: energy that a car lacks at its departure, the peak above what is paid already, the
price of energy, and lateness. The result is a target and a peak for the fast loop, never an authority over limits:
rows are linearised (a phasor's amount by the tangents of its circle, from outside).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from threading import Lock

import highspy
import numpy as np
from numpy.typing import NDArray

from energy.grid import TOTAL, Floats, Grid

TANGENTS = 8
_ALONE = Lock()


@dataclass(frozen=True)
class Prices:
    """Per kWh unless said otherwise; only their ratios matter. `energy`: of each period."""

    energy: Floats
    unmet: float = 1000.0
    peak_kw: float = 0.0  # per kW above `paid_peak_w`
    paid_peak_w: float = 0.0
    late: float | Floats = 1e-3  # per kWh and period, of all or of each leaf


@dataclass(frozen=True)
class Programme:
    """`pilots` (periods x leaves) in A, `peak_w` over all periods, `unmet_wh` of each leaf."""

    pilots: Floats
    peak_w: float
    unmet_wh: Floats


def plan(
    grid: Grid,
    *,
    period_s: float,
    limits: Floats,
    upper: Floats,
    need_wh: Floats,
    prices: Prices,
    base_w: Floats | None = None,
    most_seconds: float = 5.0,
) -> Programme | None:
    """`limits` (periods x rows), `upper` (periods x leaves; 0 before arrival and after departure) in A, `need_wh` of
    each leaf, `base_w`: of the building in each period, for the peak. None where no solution was found in time."""
    columns = _Columns(grid, upper, period_s)
    if not len(columns.leaf):
        return Programme(np.zeros_like(upper), 0.0, need_wh.copy())
    lp = highspy.HighsLp()
    late = np.broadcast_to(prices.late, need_wh.shape)
    cost = columns.kwh_per_a * (
        prices.energy[columns.period] + late[columns.leaf] * columns.period - prices.unmet
    )
    base_w = np.zeros(len(upper)) if base_w is None else base_w
    rows = _Rows()
    for leaf in np.unique(columns.leaf):  # no car gets more than it needs
        mine = np.flatnonzero(columns.leaf == leaf)
        rows.add(mine, columns.kwh_per_a[mine], need_wh[leaf] / 1000)
    _add_limits(rows, columns, grid, limits)
    peak = len(columns.leaf)
    if prices.peak_kw:
        for period in range(len(upper)):
            mine = np.flatnonzero(columns.period == period)
            if len(mine):
                kw = grid.volts[columns.leaf[mine]] / 1000
                rows.add(np.append(mine, peak), np.append(kw, -1.0), -base_w[period] / 1000)
    lp.num_col_ = peak + 1
    lp.col_cost_ = np.append(cost, prices.peak_kw)
    lp.col_lower_ = np.append(np.zeros(peak), prices.paid_peak_w / 1000)
    lp.col_upper_ = np.append(columns.upper, highspy.kHighsInf)
    rows.fill(lp)
    answer = _solve(lp, most_seconds)
    if answer is None:
        return None
    pilots = np.zeros_like(upper)
    pilots[columns.period, columns.leaf] = answer[:peak]
    given = pilots.sum(axis=0) * grid.volts * period_s / 3600
    top = float((pilots @ grid.volts + base_w).max())
    return Programme(pilots, top, np.maximum(need_wh - given, 0.0))


class _Columns:
    """A variable for each period and leaf in which something can flow."""

    def __init__(self, grid: Grid, upper: Floats, period_s: float) -> None:
        self.period, self.leaf = np.nonzero(upper > 0)
        self.upper = upper[self.period, self.leaf]
        self.kwh_per_a = grid.volts[self.leaf] * period_s / 3_600_000
        self.number = np.full(upper.shape, -1, dtype=np.intp)
        self.number[self.period, self.leaf] = np.arange(len(self.leaf))


class _Rows:
    """Rows of `sum(value x column) <= bound`."""

    def __init__(self) -> None:
        self.index: list[NDArray[np.intp]] = []
        self.value: list[Floats] = []
        self.bound: list[float] = []

    def add(self, index: NDArray[np.intp], value: Floats, bound: float) -> None:
        self.index.append(index)
        self.value.append(value)
        self.bound.append(bound)

    def fill(self, lp: highspy.HighsLp) -> None:
        lp.num_row_ = len(self.bound)
        lp.row_lower_ = np.full(len(self.bound), -highspy.kHighsInf)
        lp.row_upper_ = np.array(self.bound)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum([len(one) for one in self.index])]).astype(
            np.int32
        )
        lp.a_matrix_.index_ = np.concatenate(self.index).astype(np.int32)
        lp.a_matrix_.value_ = np.concatenate(self.value)


def _add_limits(rows: _Rows, columns: _Columns, grid: Grid, limits: Floats) -> None:
    """Each row of the grid in each period in which all together could exceed it."""
    turns = [complex(1.0)] if grid.is_real else [
        complex(math.cos(angle), math.sin(angle)) for angle in np.arange(TANGENTS) * 2 * math.pi / TANGENTS
    ]  # fmt: skip
    ends = [*grid.starts[1:], len(grid.row_of)]
    for number, (begin, end) in enumerate(zip(grid.starts, ends, strict=True)):
        leaves, values = grid.leaf_of[begin:end], grid.coefficients[begin:end]
        numbers = columns.number[:, leaves]
        for period in range(len(limits)):
            there = numbers[period] >= 0
            mine = numbers[period][there]
            if not len(mine) or np.abs(values[there]) @ columns.upper[mine] <= limits[period, number]:
                continue
            for turn in turns if grid.rows[number].part != TOTAL else turns[:1]:
                rows.add(mine, (values[there] * turn).real, float(limits[period, number]))


@cache
def _solver() -> highspy.Highs:
    """One for the process: each greets on standard output, which no option prevents."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    return solver


def _solve(lp: highspy.HighsLp, most_seconds: float) -> Floats | None:
    with _ALONE:
        solver = _solver()
        solver.clearModel()
        solver.setOptionValue(
            "time_limit", solver.getRunTime() + most_seconds
        )  # its clock counts all its runs
        solver.passModel(lp)
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return np.array(solver.getSolution().col_value)
