"""One allocation of few: who can only take long steps, beside those who can take any."""

from __future__ import annotations

import numpy as np
import pytest

from energy.allocation import Wishes, allocate
from energy.grid import Floats, Grid, Leaf, Node

pytestmark = pytest.mark.nodb


def _pilots(wanted: list[float], *, upper: float = 32.0, peak: float | None = None) -> Floats:
    """The first takes steps of 8 A, the others any whole ampere, below 33 A."""
    leaves = [Leaf("long", "main", min_a=8.0, step_a=8.0)]
    leaves += [Leaf(f"c{number}", "main") for number in range(1, len(wanted))]
    grid = Grid.of([Node("main", None, (33.0,) * 3)], leaves)
    wishes = Wishes.of(grid, np.full(len(wanted), upper))
    wishes.wanted[:] = wanted
    most = None if peak is None else np.full(len(grid.rows), peak)
    return allocate(grid, wishes, grid.limits, peak=most).pilots


def test_who_has_long_steps_gets_the_nearest_and_others_what_is_between() -> None:
    """Always rounded down, it would end with less than it should."""
    assert _pilots([21.0, 12.0]).tolist() == [24.0, 9.0]
    assert _pilots([19.0, 14.0]).tolist() == [16.0, 17.0]


def test_rounding_up_takes_from_nobody_who_then_could_not_charge() -> None:
    assert _pilots([13.0, 6.0, 6.0, 6.0]).tolist()[0] == 8.0


def test_rounding_stays_below_the_peak() -> None:
    assert _pilots([14.0, 6.0], peak=20.0).sum() <= 20.0
    assert _pilots([21.0, 8.0], peak=30.0).tolist() == [24.0, 6.0]


def test_nobody_is_rounded_above_what_it_can_take() -> None:
    assert _pilots([15.0, 6.0], upper=15.0)[0] <= 15.0


def test_who_asks_as_much_as_another_is_not_given_more_for_its_long_steps() -> None:
    assert _pilots([20.0, 13.0])[0] == 16.0
