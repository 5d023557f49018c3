"""One allocation: who may charge, and how much. Pure; one call takes milliseconds for thousands of connectors.

First who gets at least the minimum (IEC 61851: nothing flows below 6 A), in the order of `rank`; then filling up to
what the programme of the day wants; then what is left, by weight; then whole steps of the pilots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy.filling import NOBODY, TINY, fill, fitting, in_order, whole_steps
from energy.grid import Bools, Floats, Grid


@dataclass
class Wishes:
    """What the cars could take now; arrays over the grid's leaves, A of pilot.

    `upper` 0: nobody there, or nothing to give. `wanted`: what the programme asks for, served before all else.
    `rank`: higher goes first when not all can have the minimum. `floor`: what a car is guaranteed once it charges.
    """

    upper: Floats
    weight: Floats
    rank: Floats
    wanted: Floats
    floor: Floats

    @classmethod
    def of(cls, grid: Grid, upper: Floats) -> Wishes:
        """All alike."""
        count = len(grid.leaves)
        return cls(
            upper=np.minimum(upper, grid.max_a), weight=np.ones(count), rank=np.zeros(count),
            wanted=np.zeros(count), floor=grid.min_a.copy(),
        )  # fmt: skip


@dataclass
class Allocation:
    """`pilots` in A. `binding`: the row that keeps a leaf from more, or NOBODY. `waits`: must wait for its turn."""

    pilots: Floats
    binding: NDArray[np.intp]
    waits: Bools


def allocate(grid: Grid, wishes: Wishes, limits: Floats, *, peak: Floats | None = None) -> Allocation:
    """`limits`: what the rows may carry now. `peak`: lower ones, kept to unless what is wanted needs more."""
    least = np.maximum(grid.min_a, wishes.floor)
    wants = (wishes.upper > TINY) & (wishes.upper >= grid.min_a - TINY)
    called = wants & (
        wishes.wanted >= np.maximum(grid.min_a, TINY)
    )  # less cannot flow: it waits, or finds room
    nothing = np.zeros(len(grid.leaves))
    first = _admit(grid, nothing, least, wishes, called, limits)
    base = np.where(first, np.minimum(least, wishes.upper), 0.0)
    target = np.where(first, np.clip(wishes.wanted, base, wishes.upper), base)
    pilots, binding = _fill(grid, base, target, wishes, limits, peak)
    room = limits if peak is None else np.maximum(np.minimum(peak, limits), grid.loads(pilots))
    others = _admit(grid, pilots, least, wishes, wants & ~first, room)
    base = np.where(others, np.minimum(least, wishes.upper), base)
    upper = np.where(first | others, wishes.upper, 0.0)
    start = np.maximum(pilots, base)
    pilots, rest = _fill(grid, start, upper, wishes, room, None)
    binding = np.where(rest != NOBODY, rest, binding)
    pilots = whole_steps(grid, pilots, lower=base, upper=upper, limits=np.maximum(room, grid.loads(start)))
    return Allocation(pilots, binding, wants & ~first & ~others)


def _fill(
    grid: Grid, base: Floats, upper: Floats, wishes: Wishes, limits: Floats, peak: Floats | None
) -> tuple[Floats, NDArray[np.intp]]:
    """As `fill`; who can only take longer steps than others gets the nearest one, and the others what is between.
    Always rounded down at the end, it would have less than it should, and nobody what that leaves."""
    pilots, binding = fill(grid, base=base, upper=upper, weight=wishes.weight, limits=limits)
    long = (grid.step_a > grid.step_a.min(initial=np.inf) + TINY) & (pilots > base + TINY)
    if not long.any():
        return pilots, binding
    if peak is not None:
        limits = np.maximum(np.minimum(peak, limits), grid.loads(pilots))
    at = _nearest(grid, pilots, base, wishes.upper, long, limits)
    upper = np.where(long, at, upper)
    pilots, rest = fill(grid, base=at, upper=upper, weight=wishes.weight, limits=limits)
    return pilots, np.where(long, binding, rest)


def _nearest(grid: Grid, pilots: Floats, base: Floats, upper: Floats, who: Bools, limits: Floats) -> Floats:
    """The base with the nearest step for these: surely the one below, the one above where it fits beside all bases."""
    step = grid.step_a
    down = np.maximum(np.floor(pilots / step + TINY) * step, base)
    near = np.clip(np.ceil(pilots / step - 0.5 - TINY) * step, down, np.maximum(upper, base))
    near = np.where(near - down >= step - TINY, near, down)
    at = base
    for more in (np.where(who, down - base, 0.0), np.where(who, near - down, 0.0)):
        order = in_order(more > TINY, -more)
        at = at + np.where(fitting(grid, at, more=more, order=order, limits=limits), more, 0.0)
    return at


def _admit(grid: Grid, pilots: Floats, least: Floats, wishes: Wishes, who: Bools, limits: Floats) -> Bools:
    """Who of them can have the minimum besides `pilots`: first who is wanted to, then the highest rank."""
    if not who.any():
        return who
    order = np.flatnonzero(who)
    order = order[np.lexsort((-wishes.rank[order], wishes.wanted[order] <= TINY))].astype(np.intp)
    chosen = fitting(grid, pilots, more=np.minimum(least, wishes.upper), order=order, limits=limits)
    return chosen & who
