"""The programme of the day: how much each connector should get in each period, by a linear programme (HiGHS).

Minimised, in this order of weight: energy that a car lacks at its departure, the peak above what is paid already, the
price of energy, and lateness. The result is a target and a peak for the fast loop, never an authority over limits:
rows are linearised (a phasor's amount by tangents of its circle, from outside: 0.4 % too much at most).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from threading import Lock

import highspy
import numpy as np
from numpy.typing import NDArray

from energy.grid import Floats, Grid

TANGENT_DEG = 10.0
SCANT = ((0.5, 100.0), (2 / 3, 100.0), (0.75, 100.0), (0.85, 100.0))
LEAST_ASKED_WH = 500.0  # who asks for less counts as if it was that much
_ALONE = Lock()


@dataclass(frozen=True)
class Prices:
    """Per kWh unless said otherwise; only their ratios matter. `energy`: of each period.

    `scant`: (share, price) of what a car lacks below that share of what it asked for, on top of `unmet`: so that nobody
    goes nearly empty where others get all. Per kWh of a car that asked for as much as the mean of those that are there:
    a tenth of a small request counts like a tenth of a large one."""

    energy: Floats
    unmet: float = 1000.0
    peak_kw: float = 0.0  # per kW above `paid_peak_w`
    paid_peak_w: float = 0.0
    late: float | Floats = 1e-2  # per kWh and hour, of all or of each leaf
    scant: tuple[tuple[float, float], ...] = SCANT


@dataclass(frozen=True)
class Needs:
    """Of each leaf. `wh`: what it still needs; `asked_wh`: what it asked for when it came (None: what it needs).
    `there` (periods x leaves): how likely it is still plugged in; 1 unless told."""

    wh: Floats
    asked_wh: Floats | None = None
    there: Floats | None = None


@dataclass(frozen=True)
class Programme:
    """`pilots` (periods x leaves) in A, `peak_w` over all periods, `unmet_wh` of each leaf."""

    pilots: Floats
    peak_w: float
    unmet_wh: Floats


def plan(
    grid: Grid,
    *,
    period_s: float | Floats,
    limits: Floats,
    upper: Floats,
    needs: Needs,
    prices: Prices,
    base_w: Floats | None = None,
    most_seconds: float = 5.0,
) -> Programme | None:
    """`period_s`: of all or of each period; `limits` (periods x rows), `upper` (periods x leaves; 0 before arrival and
    after departure) in A, `base_w`: of the building in each period, for the peak. None where no solution was found in
    time."""
    columns = _Columns(grid, upper, period_s, needs)
    if not len(columns.leaf):
        return Programme(np.zeros_like(upper), 0.0, needs.wh.copy())
    lp = highspy.HighsLp()
    late = np.broadcast_to(prices.late, needs.wh.shape)
    asked_wh = (
        needs.wh
        if needs.asked_wh is None
        else np.where(np.isfinite(needs.asked_wh), np.maximum(needs.asked_wh, needs.wh), needs.wh)
    )
    told_wh = np.maximum(asked_wh, LEAST_ASKED_WH)
    typical_wh = float(told_wh[np.unique(columns.leaf)].mean())
    per_kwh = prices.energy[columns.period] + late[columns.leaf] * columns.hour - prices.unmet * columns.there
    base_w = np.zeros(len(upper)) if base_w is None else base_w
    rows = _Rows()
    peak = len(columns.leaf)
    spare: list[tuple[float, float]] = []  # (most, price) of each further column
    for leaf in np.unique(columns.leaf):  # no car gets more than it needs
        mine = np.flatnonzero(columns.leaf == leaf)
        rows.add(mine, columns.kwh_per_a[mine], needs.wh[leaf] / 1000)
        for share, price in prices.scant:
            below = (needs.wh[leaf] - (1 - share) * asked_wh[leaf]) / 1000
            if below > 0:
                got = np.append(-columns.kwh_per_a[mine] * columns.there[mine], 1.0)
                rows.add(np.append(mine, peak + 1 + len(spare)), got, 0.0)
                spare.append((below, -price * typical_wh / told_wh[leaf]))
    _add_limits(rows, columns, grid, limits)
    if prices.peak_kw:
        for period in range(len(upper)):
            mine = np.flatnonzero(columns.period == period)
            if len(mine):
                kw = grid.volts[columns.leaf[mine]] / 1000
                rows.add(np.append(mine, peak), np.append(kw, -1.0), -base_w[period] / 1000)
    most, gain = np.array(spare).reshape(-1, 2).T
    lp.num_col_ = peak + 1 + len(spare)
    lp.col_cost_ = np.concatenate([columns.kwh_per_a * per_kwh, [prices.peak_kw], gain])
    lp.col_lower_ = np.concatenate([np.zeros(peak), [prices.paid_peak_w / 1000], np.zeros(len(spare))])
    lp.col_upper_ = np.concatenate([columns.upper, [highspy.kHighsInf], most])
    rows.fill(lp)
    answer = _solve(lp, most_seconds)
    if answer is None:
        return None
    pilots, given = np.zeros_like(upper), np.zeros_like(needs.wh)
    pilots[columns.period, columns.leaf] = answer[:peak]
    np.add.at(given, columns.leaf, answer[:peak] * columns.kwh_per_a * 1000)
    top = float((pilots @ grid.volts + base_w).max())
    return Programme(pilots, top, np.maximum(needs.wh - given, 0.0))


class _Columns:
    """A variable for each period and leaf in which something can flow."""

    def __init__(self, grid: Grid, upper: Floats, period_s: float | Floats, needs: Needs) -> None:
        self.period, self.leaf = np.nonzero(upper > 0)
        self.upper = upper[self.period, self.leaf]
        long_h = np.broadcast_to(period_s, len(upper)) / 3600
        self.hour = (np.cumsum(long_h) - long_h)[self.period]  # when it begins
        self.kwh_per_a = grid.volts[self.leaf] * long_h[self.period] / 1000
        told = np.ones_like(upper) if needs.there is None else needs.there
        self.there: Floats = told[self.period, self.leaf]
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
    ends = [*grid.starts[1:], len(grid.row_of)]
    for number, (begin, end) in enumerate(zip(grid.starts, ends, strict=True)):
        if begin == end:
            continue  # no car draws on this line
        leaves, values = grid.leaf_of[begin:end], grid.coefficients[begin:end]
        sides = [(values * turn).real for turn in _turns(values)]
        numbers = columns.number[:, leaves]
        for period in range(len(limits)):
            there = numbers[period] >= 0
            mine = numbers[period][there]
            if not len(mine) or np.abs(values[there]) @ columns.upper[mine] <= limits[period, number]:
                continue
            for side in sides:
                rows.add(mine, side[there], float(limits[period, number]))


def _turns(values: NDArray[np.complex128] | NDArray[np.float64]) -> NDArray[np.complex128]:
    """Where the tangents of a row touch: no sum of pilots leaves the angle between its outermost phasors."""
    angles = np.unique(np.round(np.angle(values), 6)) + 0.0
    gaps = np.diff(angles, append=angles[0] + 2 * math.pi)
    widest = int(gaps.argmax())
    wide = 2 * math.pi - gaps[widest]  # of the arc that holds all of them
    if wide >= math.pi - 1e-6:
        wide = 2 * math.pi
    steps = math.ceil(wide / math.radians(TANGENT_DEG) - 1e-6)
    return np.exp(-1j * (angles[(widest + 1) % len(angles)] + np.linspace(0.0, wide, steps + 1)))


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
