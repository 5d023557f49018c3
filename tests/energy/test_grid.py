"""A tree that cannot be is told in words; one that can is a matrix."""

from __future__ import annotations

import numpy as np
import pytest

from energy.grid import SPLIT_PHASE, BadTree, Grid, Leaf, Node, above_parent, faults

pytestmark = pytest.mark.nodb
ROOT = Node("main", None, (63.0, 63.0, 63.0))


@pytest.mark.parametrize(
    ("nodes", "leaves", "where", "said"),
    [
        ([Node("a", "b"), Node("b", "a")], [], "a", "hangs below itself"),
        ([Node("a", "nowhere")], [], "a", "nowhere, which is not there"),
        ([Node("a", None, (10.0,))], [], "a", "each of L1, L2, L3"),
        ([Node("a", None, None, -1.0)], [], "a", "from 0 up"),
        ([ROOT, ROOT], [], "tree", "same name"),
        ([ROOT], [Leaf("c", "else")], "c", "else, which is not there"),
        ([ROOT], [Leaf("c", "main", (3,))], "c", "a line that the site has not"),
        ([ROOT], [Leaf("c", "main", (0, 0))], "c", "a line of its own"),
        ([ROOT], [Leaf("c", "main", min_a=20, max_a=16)], "c", "below its most"),
    ],
)
def test_what_is_wrong_is_said(nodes: list[Node], leaves: list[Leaf], where: str, said: str) -> None:
    assert said in faults(nodes, leaves)[where]
    with pytest.raises(BadTree, match=said):
        Grid.of(nodes, leaves)


def test_a_limit_that_never_binds_is_worth_a_word() -> None:
    panel = Node("panel", "main", (80.0, 80.0, 80.0), 50_000)
    assert above_parent([ROOT, panel]) == {"panel": "80 A is more than main gives: 63 A."}
    assert above_parent([ROOT, Node("panel", "main", (40.0,) * 3)]) == {}


def test_each_limit_is_a_row_and_power_counts_all_lines() -> None:
    nodes = [ROOT, Node("dc", "main", None, 50_000)]
    grid = Grid.of(nodes, [Leaf("one", "main", (1,)), Leaf("three", "dc")])
    rows = [(row.node, row.part) for row in grid.rows]
    assert set(rows) == {("main", "L1"), ("main", "L2"), ("main", "L3"), ("dc", "total")}
    assert {row.unit for row in grid.rows if row.part == "total"} == {"W"}
    loads = dict(zip(rows, grid.loads(np.array([10.0, 20.0])), strict=True))
    assert (loads["main", "L1"], loads["main", "L2"]) == (20, 30)
    assert loads["dc", "total"] == pytest.approx(3 * 230 * 20)


def test_split_phase_counts_on_both_legs() -> None:
    grid = Grid.of(
        [Node("main", None, (100.0, 80.0))], [Leaf("c", "main", (0, 1), between=True)], SPLIT_PHASE
    )
    assert grid.is_real and grid.loads(np.array([40.0])).tolist() == [40.0, 40.0]
    assert grid.volts.tolist() == [240.0]


def test_no_limit_is_no_row() -> None:
    grid = Grid.of([Node("main")], [Leaf("c", "main")])
    assert grid.rows == () and grid.excess(np.array([32.0])).size == 0
