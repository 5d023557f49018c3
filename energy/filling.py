"""Weighted max-min filling over a grid: who has least is raised first, until a limit binds.

All pilots rise together from their base, each in proportion to its weight. A row that is reached freezes those that
feed it; the rest go on (Bertsekas and Gallager, Data Networks, 6.5.2). Rows that bind at the same moment without
sharing anyone who still rises are frozen in the same pass, so a tree takes about as many passes as it has levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy.grid import Bools, Floats, Grid

Values = NDArray[np.float64] | NDArray[np.complex128]

TINY = 1e-9
NOBODY = -1  # the upper bound of the leaf itself binds, or nothing does


def fill(
    grid: Grid, *, base: Floats, upper: Floats, weight: Floats, limits: Floats | None = None
) -> tuple[Floats, NDArray[np.intp]]:
    """(pilots in A, row that binds each leaf or NOBODY). Nobody falls below `base`, nobody rises above `upper`.

    Where the base alone is over a row, those that feed it stay at their base. `weight`: A per common level, above 0.
    """
    limits = grid.limits if limits is None else limits
    pilots, binding = base.astype(float), np.full(len(base), NOBODY, dtype=np.intp)
    rising = upper > base + TINY
    if not rising.any():
        return pilots, binding
    full_at = np.where(rising, (upper - base) / weight, np.inf)
    still = grid.sums(base)  # of each row, if nobody rose any more
    entries = _Entries.of(grid, rising)
    level = 0.0  # up to which all have risen, where that matters
    while rising.any():
        reached = _levels(entries, still, np.where(rising, weight, 0.0), limits, level)
        first = entries.lowest(reached, len(base))
        stops = np.where(rising, np.minimum(first, full_at), np.inf)
        done = rising & (full_at <= first)
        if not grid.is_monotone:  # whoever stops changes what the others add up to: one level at a time
            level = float(stops.min())
            done &= full_at <= level + TINY
        pilots[done] = upper[done]
        full = _full(grid, entries, reached, stops)
        held = np.flatnonzero(np.repeat(full, entries.counts) & (rising & ~done)[entries.leaf])
        who = entries.leaf[held]
        stuck = np.zeros(len(base), dtype=bool)
        stuck[who] = True
        binding[who] = entries.row[held]
        pilots[stuck] = base[stuck] + weight[stuck] * np.maximum(first[stuck], 0.0)
        ended = done | stuck
        if not ended.any():
            raise FloatingPointError("Limits, weights or pilots are no numbers: nothing can be filled.")
        rising &= ~ended
        entries = entries.without(ended, pilots - base, still)
    return pilots, binding


@dataclass(frozen=True, slots=True)
class _Entries:
    """The grid's entries, by row, of a large grid those of who still rises alone: each pass has fewer."""

    row: NDArray[np.intp]
    leaf: NDArray[np.intp]
    value: Values
    starts: NDArray[np.intp]  # of each row
    rows: NDArray[np.intp]
    counts: NDArray[np.intp]
    shrinks: bool = True

    @classmethod
    def of(cls, grid: Grid, who: Bools) -> _Entries:
        if grid.is_small:
            return cls(
                grid.row_of, grid.leaf_of, grid.coefficients, grid.starts[grid.fed], grid.fed, grid.counts[grid.fed],
                shrinks=False,
            )  # fmt: skip
        return cls._some(grid.row_of, grid.leaf_of, grid.coefficients, who[grid.leaf_of])

    @classmethod
    def _some(cls, row: NDArray[np.intp], leaf: NDArray[np.intp], value: Values, which: Bools) -> _Entries:
        row, leaf, value = row[which], leaf[which], value[which]
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        return cls(row, leaf, value, starts, row[starts], np.diff(starts, append=len(row)))

    def without(self, ended: Bools, rose: Floats, still: Values) -> _Entries:
        """What is left once these have ended; what they rose by is added to `still`."""
        gone = ended[self.leaf]
        np.add.at(still, self.row[gone], self.value[gone] * rose[self.leaf[gone]])
        return self._some(self.row, self.leaf, self.value, ~gone) if self.shrinks else self

    def lowest(self, of_rows: Floats, count: int) -> Floats:
        """For each leaf the lowest of its rows; inf: it has none."""
        found = np.full(count, np.inf)
        with np.errstate(invalid="ignore"):  # what is no number is told further up
            np.minimum.at(found, self.leaf, np.repeat(of_rows, self.counts))
        return found


def _levels(entries: _Entries, still: Values, weight: Floats, limits: Floats, level: float = 0.0) -> Floats:
    """The level, from this one on, at which each row would be reached if nobody who still rises stopped before; inf:
    never."""
    if not len(entries.rows):
        return np.empty(0)
    fixed, most = still[entries.rows], limits[entries.rows]
    climb = np.add.reduceat(entries.value * weight[entries.leaf], entries.starts)
    with np.errstate(divide="ignore", invalid="ignore"):
        if not np.iscomplexobj(climb):
            return np.where(climb > TINY, (most - fixed) / climb, np.inf)
        # |fixed + climb (level + t)|² = limit²
        fixed = fixed + climb * level
        a = np.abs(climb) ** 2
        half = (fixed * np.conj(climb)).real
        rest = most**2 - np.abs(fixed) ** 2
        root = np.sqrt(np.maximum(half**2 + a * rest, 0.0))
        more = np.where(rest < 0, 0.0, (root - half) / a)
        return np.where(a > TINY**2, level + more, np.inf)


def _full(grid: Grid, entries: _Entries, reached: Floats, stops: Floats) -> Bools:
    """Rows that bind now: those that none of the leaves that rise in them would leave earlier."""
    if not len(reached):
        return np.zeros(0, dtype=bool)
    if not grid.is_monotone:  # a pilot that stops could let another row bind earlier: one level at a time
        return np.isfinite(reached) & (reached <= stops.min() + TINY)
    earliest = np.minimum.reduceat(stops[entries.leaf], entries.starts)
    return np.isfinite(reached) & (earliest >= reached - TINY)


def in_order(who: Bools, key: Floats) -> NDArray[np.intp]:
    """The leaves of a mask, the lowest key first."""
    found = np.flatnonzero(who)
    return found[np.argsort(key[found], kind="stable")].astype(np.intp)


def fitting(
    grid: Grid, pilots: Floats, *, more: Floats, order: NDArray[np.intp], limits: Floats | None = None
) -> Bools:
    """Who of `order`, one after the other, can have `more` on top of `pilots` within the limits: a mask of leaves.

    An earlier one goes first; one that does not fit is passed over.
    """
    limits = grid.limits if limits is None else limits
    chosen = np.zeros(len(pilots), dtype=bool)
    if not len(order):
        return chosen
    if not grid.is_real or grid.is_small:
        one_by_one = _fitting_few if grid.is_real else _fitting_angles
        return one_by_one(grid, pilots, more, order, limits)
    chosen[order] = True
    if np.all(grid.excess(pilots + np.where(chosen, more, 0.0), limits) <= TINY):
        return chosen
    chosen[order[np.isin(order, grid.leaf_of)]] = False  # the others nothing limits
    place = np.full(len(pilots), -1, dtype=np.intp)
    place[order] = np.arange(len(order))
    entries = np.flatnonzero(place[grid.leaf_of] >= 0)
    small = np.uint16 if max(len(order), len(grid.rows)) < 2**16 else np.intp  # short keys sort in one go
    keys = place[grid.leaf_of[entries]].astype(small), grid.row_of[entries].astype(small)
    entries = entries[np.lexsort(keys)]
    room = limits - grid.loads(pilots)
    cost = grid.coefficients.real * more[grid.leaf_of]
    while len(entries):
        rows, leaves, costs = grid.row_of[entries], grid.leaf_of[entries], cost[entries]
        alone = np.zeros(len(pilots), dtype=bool)
        alone[leaves[costs > room[rows] + TINY]] = True  # not even alone
        keep = ~alone[leaves]
        entries, rows, leaves, costs = entries[keep], rows[keep], leaves[keep], costs[keep]
        if not len(entries):
            break
        running = np.cumsum(costs)
        begins = np.flatnonzero(np.diff(rows, prepend=-1))
        before = np.repeat(running[begins] - costs[begins], np.diff(begins, append=len(rows)))
        waits = np.zeros(len(pilots), dtype=bool)
        waits[leaves[running - before > room[rows] + TINY]] = True
        taken = ~waits[leaves]
        chosen[leaves[taken]] = True
        np.subtract.at(room, rows[taken], costs[taken])
        entries = entries[~taken]
    return chosen


def _fitting_few(grid: Grid, pilots: Floats, more: Floats, order: NDArray[np.intp], limits: Floats) -> Bools:
    """The same one by one."""
    chosen = np.zeros(len(pilots), dtype=bool)
    room, costs, parts = (limits - grid.loads(pilots) + TINY).tolist(), more.tolist(), grid.parts
    for leaf in order.tolist():
        cost = costs[leaf]
        if all(value * cost <= room[row] for row, value in parts[leaf]):
            chosen[leaf] = True
            for row, value in parts[leaf]:
                room[row] -= value * cost
    return chosen


def _fitting_angles(
    grid: Grid, pilots: Floats, more: Floats, order: NDArray[np.intp], limits: Floats
) -> Bools:
    """The same one by one, where phasors do not add up like numbers. Sites with such rows are small."""
    chosen = np.zeros(len(pilots), dtype=bool)
    sums, most, parts = grid.sums(pilots).tolist(), (limits + TINY).tolist(), grid.parts
    for leaf in order.tolist():
        after = [(row, sums[row] + value * more[leaf]) for row, value in parts[leaf]]
        if all(abs(value) <= most[row] or abs(value) <= abs(sums[row]) for row, value in after):
            chosen[leaf] = True
            for row, value in after:
                sums[row] = value
    return chosen


def whole_steps(
    grid: Grid, pilots: Floats, *, lower: Floats, upper: Floats, limits: Floats | None = None
) -> Floats:
    """Pilots in whole steps: rounded down (not below `lower`), and what that leaves given out again by single steps
    to those who lost most."""
    step = grid.step_a
    floor = np.maximum(np.floor(pilots / step + TINY) * step, lower)
    if not grid.is_monotone:
        floor = _lowered(grid, floor, lower=lower, limits=grid.limits if limits is None else limits)
    lost = np.where(floor + step <= upper + TINY, pilots - floor, 0.0)
    order = in_order(lost > TINY, -lost)
    return floor + np.where(fitting(grid, floor, more=step, order=order, limits=limits), step, 0.0)


def _lowered(grid: Grid, pilots: Floats, *, lower: Floats, limits: Floats) -> Floats:
    """Behind a delta transformer less of one loads a row more: by whole steps down until every row is within its limit
    again, each time whoever eases the fullest row most. As it is where nobody can."""
    found = pilots.copy()
    while len(grid.rows):
        over = grid.excess(found, limits)
        row = int(over.argmax())
        if over[row] <= TINY:
            break
        mine = np.flatnonzero(grid.row_of == row)
        leaves, values = grid.leaf_of[mine], grid.coefficients[mine]
        step = np.minimum(grid.step_a[leaves], found[leaves] - lower[leaves])
        after = np.abs(grid.sums(found)[row] - values * step)
        best = int(after.argmin())
        if step[best] <= TINY or after[best] >= over[row] + limits[row] - TINY:
            break
        found[leaves[best]] -= step[best]
    return found
