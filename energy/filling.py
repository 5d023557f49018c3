"""Weighted max-min filling over a grid: who has least is raised first, until a limit binds.

All pilots rise together from their base, each in proportion to its weight. A row that is reached freezes those that
feed it; the rest go on (Bertsekas and Gallager, Data Networks, 6.5.2). Rows that bind at the same moment without
sharing anyone who still rises are frozen in the same pass, so a tree takes about as many passes as it has levels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from energy.grid import Bools, Floats, Grid

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
    while rising.any():
        reached = _levels(grid, pilots, base, weight, rising, limits)
        first = _first(grid, reached)
        done = rising & (full_at <= first)
        pilots[done] = upper[done]
        rows = _full(grid, reached, first, full_at, rising)
        entries = np.flatnonzero(rows[grid.row_of] & (rising & ~done)[grid.leaf_of])
        held = grid.leaf_of[entries]
        stuck = np.zeros(len(base), dtype=bool)
        stuck[held] = True
        binding[held] = grid.row_of[entries]
        pilots[stuck] = base[stuck] + weight[stuck] * np.maximum(first[stuck], 0.0)
        ended = done | stuck
        if not ended.any():
            raise FloatingPointError("Limits, weights or pilots are no numbers: nothing can be filled.")
        rising &= ~ended
    return pilots, binding


def _levels(
    grid: Grid, pilots: Floats, base: Floats, weight: Floats, rising: Bools, limits: Floats
) -> Floats:
    """The level at which each row would be reached if nobody who still rises stopped before; inf: never."""
    still = grid.sums(np.where(rising, base, pilots))
    climb = grid.sums(np.where(rising, weight, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        if grid.is_real:
            return np.where(climb > TINY, (limits - still) / climb, np.inf)
        # |still + climb t|² = limit²
        a = np.abs(climb) ** 2
        half = (still * np.conj(climb)).real
        rest = limits**2 - np.abs(still) ** 2
        root = np.sqrt(np.maximum(half**2 + a * rest, 0.0))
        level = np.where(rest < 0, 0.0, (root - half) / a)
        return np.where(a > TINY**2, level, np.inf)


def _first(grid: Grid, reached: Floats) -> Floats:
    """For each leaf the lowest level of its rows."""
    order, present, begins = grid.by_leaf
    first = np.full(len(grid.leaves), np.inf)
    if len(order):
        first[present] = np.minimum.reduceat(reached[grid.row_of[order]], begins)
    return first


def _full(grid: Grid, reached: Floats, first: Floats, full_at: Floats, rising: Bools) -> Bools:
    """Rows that bind now: those that none of the leaves that rise in them would leave earlier."""
    if not len(grid.rows):
        return np.zeros(0, dtype=bool)
    stops = np.where(rising, np.minimum(first, full_at), np.inf)
    if not grid.is_monotone:  # a pilot that stops could let another row bind earlier: one level at a time
        return np.isfinite(reached) & (reached <= stops.min() + TINY)
    earliest = np.minimum.reduceat(stops[grid.leaf_of], grid.starts)
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
    entries = entries[np.lexsort((place[grid.leaf_of[entries]], grid.row_of[entries]))]
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
        before = np.repeat(running[begins] - costs[begins], np.diff([*begins, len(rows)]))
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
    lost = np.where(floor + step <= upper + TINY, pilots - floor, 0.0)
    order = in_order(lost > TINY, -lost)
    return floor + np.where(fitting(grid, floor, more=step, order=order, limits=limits), step, 0.0)
