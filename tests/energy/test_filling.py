"""Filling is feasible, max-min fair, and gives more where there is more."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from energy.filling import NOBODY, fill, fitting, whole_steps
from energy.grid import THREE_PHASE, WYE_208, Grid, Leaf, Node, Row
from tests.energy.trees import amounts, grids

pytestmark = pytest.mark.nodb
NEAR = 1e-5


def _nothing(grid: Grid) -> np.ndarray:
    return np.zeros(len(grid.leaves))


def _even(grid: Grid) -> np.ndarray:
    return np.ones(len(grid.leaves))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_filled_fits_and_whoever_has_less_is_held_by_a_full_row(data: st.DataObject) -> None:
    """Max-min fair: a leaf below its upper bound has a row that is full, in which none who rose has a higher level."""
    grid = data.draw(grids())
    weight = data.draw(amounts(grid)) + 0.1
    upper = np.minimum(data.draw(amounts(grid)), grid.max_a)
    pilots, binding = fill(grid, base=_nothing(grid), upper=upper, weight=weight)
    assert np.all(grid.excess(pilots) <= NEAR)
    assert np.all(pilots >= -NEAR) and np.all(pilots <= upper + NEAR)
    level = pilots / weight
    for leaf in np.flatnonzero(pilots < upper - NEAR):
        row = binding[leaf]
        assert row != NOBODY
        assert grid.excess(pilots)[row] >= -1e-3, "what binds is full"
        others = grid.leaf_of[grid.row_of == row]
        assert np.all(level[others] <= level[leaf] + 1e-4), "none there has more for its weight"
    assert np.all(binding[pilots >= upper - 1e-12] == NOBODY) or np.any(pilots < upper)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_base_is_kept_and_the_rest_is_shared(data: st.DataObject) -> None:
    grid = data.draw(grids())
    base = np.minimum(data.draw(amounts(grid)), grid.max_a)
    pilots, _binding = fill(grid, base=base, upper=grid.max_a, weight=_even(grid))
    assert np.all(pilots >= base)
    over = grid.excess(base) > NEAR
    assert np.all(grid.excess(pilots)[~over] <= NEAR)
    assert np.allclose(grid.loads(pilots)[over], grid.loads(base)[over]), (
        "a row that is over gets nothing more"
    )


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_more_at_the_root_lowers_nobody(data: st.DataObject) -> None:
    grid = data.draw(grids())
    assume(any(row.node == "root" for row in grid.rows))
    more = np.where([row.node == "root" for row in grid.rows], grid.limits * 1.5 + 5, grid.limits)
    before, _ = fill(grid, base=_nothing(grid), upper=grid.max_a, weight=_even(grid))
    after, _ = fill(grid, base=_nothing(grid), upper=grid.max_a, weight=_even(grid), limits=more)
    assert after.min() >= before.min() - NEAR, "who has least has no less"
    alone = {row.node for row in grid.rows} == {"root"} and len(grid.rows) == 1
    assert not alone or np.all(after >= before - NEAR)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whole_steps_fit_and_leave_no_step_to_give(data: st.DataObject) -> None:
    grid = data.draw(grids())
    upper = np.floor(grid.max_a / grid.step_a) * grid.step_a
    exact, _ = fill(grid, base=_nothing(grid), upper=upper, weight=_even(grid))
    stepped = whole_steps(grid, exact, lower=_nothing(grid), upper=upper)
    assert np.all(grid.excess(stepped) <= NEAR)
    steps = stepped / grid.step_a
    assert np.allclose(steps, np.round(steps), atol=1e-6)
    assert np.all(stepped < exact + grid.step_a + NEAR)
    if grid.is_real:
        lost = (exact - stepped > 1e-6) & (stepped + grid.step_a <= upper + NEAR)
        for leaf in np.flatnonzero(lost):
            one_more = stepped.copy()
            one_more[leaf] += grid.step_a[leaf]
            assert np.any(grid.excess(one_more) > -NEAR), "it could have had one more step"


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whoever_fits_in_turn_is_taken_as_one_by_one(data: st.DataObject) -> None:
    grid = data.draw(grids())
    assume(grid.is_real)
    more = data.draw(amounts(grid)) + 0.5
    order = np.array(data.draw(st.permutations(range(len(grid.leaves)))))
    chosen = fitting(grid, _nothing(grid), more=more, order=order)
    taken = _nothing(grid)
    for leaf in order:
        trial = taken.copy()
        trial[leaf] += more[leaf]
        if np.all(grid.excess(trial)[grid.row_of[grid.leaf_of == leaf]] <= 1e-6):
            taken = trial
    assert np.array_equal(chosen, taken > 0)


def test_a_line_that_is_short_holds_those_on_it_alone() -> None:
    leaves = [Leaf("a", "main", (0,)), Leaf("b", "main", (1,)), Leaf("all", "main", (0, 1, 2))]
    grid = Grid.of([Node("main", None, (20.0, 40.0, 63.0))], leaves)
    pilots, binding = fill(grid, base=np.zeros(3), upper=grid.max_a, weight=np.ones(3))
    assert pilots == pytest.approx([10.0, 30.0, 10.0])
    assert [grid.rows[row].part if row != NOBODY else "" for row in binding] == ["L1", "L2", "L1"]


def test_between_two_lines_the_angle_counts() -> None:
    """Three at 10 A each between the lines of a delta: each line carries 10 times the root of 3, not 20."""
    leaves = [Leaf(f"c{pair}", "main", pair, between=True) for pair in ((0, 1), (1, 2), (2, 0))]
    grid = Grid.of([Node("main", None, (100.0,) * 3, 20_000.0)], leaves, WYE_208)
    loads = dict(zip([(row.node, row.part) for row in grid.rows], grid.loads(np.full(3, 10.0)), strict=True))
    assert loads["main", "L1"] == pytest.approx(10 * 3**0.5)
    assert loads["main", "total"] == pytest.approx(3 * 10 * 120 * 3**0.5)
    assert grid.is_monotone


TURNED = [cmath.rect(1.0, math.radians(angle)) for angle in (0.0, 120.0, 240.0)]


@given(
    st.lists(st.sampled_from(TURNED), min_size=2, max_size=8),
    st.floats(1, 60),
    st.lists(st.floats(0.2, 3), min_size=8, max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_whole_steps_fit_where_less_of_one_is_more_in_a_row(
    angles: list[complex], limit: float, weights: list[float]
) -> None:
    """On the far side of a delta transformer, where currents take from one another."""
    leaves = [Leaf(f"c{n}", "far") for n in range(len(angles))]
    row = Row("far", "L1", limit)
    grid = Grid.of_rows(leaves, [(row, list(enumerate(angles)))], np.full(len(leaves), 690.0))
    weight = np.array(weights[: len(angles)])
    exact, _ = fill(grid, base=_nothing(grid), upper=grid.max_a, weight=weight)
    assert np.all(grid.excess(exact) <= NEAR)
    stepped = whole_steps(grid, exact, lower=_nothing(grid), upper=grid.max_a)
    assert np.all(grid.excess(stepped) <= NEAR)
    assert np.all(stepped <= exact + 1 + NEAR) and np.allclose(stepped, np.round(stepped))


def test_phase_rotation_is_the_order_of_the_lines() -> None:
    one = Grid.of([Node("main", None, (10.0, 20.0, 30.0))], [Leaf("a", "main", (2,))], THREE_PHASE)
    assert one.excess(np.array([25.0])) == pytest.approx([-5.0])


def test_what_is_no_number_ends_with_an_error_and_not_never() -> None:
    grid = Grid.of([Node("main", None, (10.0,) * 3)], [Leaf("a", "main"), Leaf("b", "main")])
    with pytest.raises(FloatingPointError, match="no numbers"):
        fill(grid, base=_nothing(grid), upper=grid.max_a, weight=_even(grid), limits=np.full(3, np.nan))
