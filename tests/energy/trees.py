"""Trees, as hypothesis draws them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from energy.grid import SPLIT_PHASE, THREE_PHASE, WYE_208, Grid, Leaf, Node, Supply

AMPS = st.floats(0, 200).map(lambda value: round(value, 1))
ROTATIONS = [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0,), (1,), (2,)]
BETWEEN = [(0, 1), (1, 2), (2, 0)]


@st.composite
def grids(draw: st.DrawFn, most: int = 12) -> Grid:
    """Two to four levels, of any supply, with limits per line, in total, or none."""
    supply = draw(st.sampled_from([THREE_PHASE, WYE_208, SPLIT_PHASE]))
    nodes = [_node(draw, "root", None, supply)]
    for number in range(draw(st.integers(0, 5))):
        parent = draw(st.sampled_from(nodes)).key
        nodes.append(_node(draw, f"n{number}", parent, supply))
    leaves = [
        _leaf(draw, f"c{number}", draw(st.sampled_from(nodes)).key, supply)
        for number in range(draw(st.integers(1, most)))
    ]
    grid = Grid.of(nodes, leaves, supply)
    grid.__dict__["is_small"] = draw(st.booleans())  # large ones are counted in another way
    return grid


def _node(draw: st.DrawFn, key: str, parent: str | None, supply: Supply) -> Node:
    per_line = draw(st.none() | st.tuples(*[AMPS] * len(supply.lines)))
    total = draw(st.none() | st.floats(0, 60_000).map(lambda value: round(value)))
    return Node(key, parent, per_line, None if total is None else float(total))


def _leaf(draw: st.DrawFn, key: str, node: str, supply: Supply) -> Leaf:
    most, step = draw(st.sampled_from([6.0, 16.0, 32.0, 80.0])), draw(st.sampled_from([1.0, 0.1, 8.0]))
    if supply is SPLIT_PHASE:
        return Leaf(key, node, (0, 1), between=True, max_a=most, step_a=step)
    if supply is WYE_208 and draw(st.booleans()):
        return Leaf(key, node, draw(st.sampled_from(BETWEEN)), between=True, max_a=most, step_a=step)
    return Leaf(key, node, draw(st.sampled_from(ROTATIONS)), max_a=most, step_a=step)


def amounts(grid: Grid, most: float = 40.0) -> st.SearchStrategy[np.ndarray]:
    """A number for each leaf."""
    values = st.floats(0, most).map(lambda value: round(value, 2))
    return st.lists(values, min_size=len(grid.leaves), max_size=len(grid.leaves)).map(np.array)
