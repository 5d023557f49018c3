"""What each connector falls to when nobody speaks: it fits beside the building, and as many as can have the minimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.grid import Grid, Leaf, Node
from energy.ledger import defaults, defaults_fit
from tests.energy.trees import grids

pytestmark = pytest.mark.nodb


def _garage(main: float, count: int, lines: tuple[int, ...] = (0, 1, 2)) -> Grid:
    return Grid.of([Node("main", None, (main,) * 3)], [Leaf(f"c{n}", "main", lines) for n in range(count)])


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_they_fit_in_every_tree_and_nobody_has_less_than_flows(data: st.DataObject) -> None:
    grid = data.draw(grids())
    building = grid.limits * data.draw(st.floats(0, 1.2))
    cap = data.draw(st.none() | st.sampled_from([6.0, 10.5, 32.0]))
    found = defaults(grid, building, cap=cap)
    assert np.all(found >= defaults(grid, building)), "filling up takes nothing from anybody"
    fits = np.maximum(building - grid.limits, 0.0)  # a building that is over by itself
    assert np.all(defaults_fit(grid, found, building) <= fits + 1e-6)
    assert np.all((found == 0) | (found >= grid.min_a)) and np.all(found <= grid.max_a)
    for leaf in np.flatnonzero(found == 0):
        more = found.copy()
        more[leaf] = grid.min_a[leaf]
        least = np.where(more > 0, grid.min_a, 0.0)
        assert np.any(defaults_fit(grid, least, building) > -1e-6), "it could have had the minimum"


def test_as_many_as_can_have_the_minimum_have_it() -> None:
    leaves = [Leaf("big", "main"), *(Leaf(f"c{line}", "main", (line,)) for line in range(3))]
    grid = Grid.of([Node("main", None, (16.0, 16.0, 16.0))], leaves)
    assert defaults(grid, np.full(3, 10.0)).tolist() == [0, 6, 6, 6], "three of one phase before one of three"
    assert defaults(grid, np.full(3, 4.0)).tolist() == [6, 6, 6, 6]
    assert defaults(grid, np.full(3, 20.0)).tolist() == [0, 0, 0, 0]


def test_a_short_panel_does_not_keep_the_others_from_theirs() -> None:
    nodes = [Node("main", None, (40.0,) * 3), Node("panel", "main", (6.0,) * 3)]
    grid = Grid.of(nodes, [Leaf("a", "panel"), Leaf("b", "panel"), Leaf("c", "main"), Leaf("d", "main")])
    building = np.array([20.0 if row.node == "main" else 0.0 for row in grid.rows])
    assert defaults(grid, building).tolist() == [6, 0, 6, 6]


def test_where_all_can_have_the_most_they_have_it_and_beside_a_full_row_nobody_has_more() -> None:
    assert defaults(_garage(120, 3), np.full(3, 20.0), cap=32.0).tolist() == [32, 32, 32]
    assert defaults(_garage(63, 3), np.full(3, 20.0), cap=10.4).tolist() == [10, 10, 10]
    assert defaults(_garage(63, 3), np.full(3, 20.0), cap=32.0).tolist() == [6, 6, 6]
    nodes = [Node("main", None, (200.0,) * 3), Node("panel", "main", (40.0,) * 3)]
    grid = Grid.of(nodes, [Leaf("a", "panel"), Leaf("b", "panel"), Leaf("c", "main"), Leaf("d", "main")])
    building = np.array([20.0 if row.node == "main" else 0.0 for row in grid.rows])
    assert defaults(grid, building, cap=32.0).tolist() == [6, 6, 32, 32]


def test_another_floor_is_kept() -> None:
    assert defaults(_garage(20, 3), np.zeros(3), floor=np.full(3, 8.0)).tolist() == [8, 8, 0]
