"""One allocation on one tree, and one programme: how long they take.

python -m bench.energy.speed
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from random import Random

import numpy as np

from energy.allocation import Wishes, allocate
from energy.filling import fill
from energy.grid import Grid, Leaf, Node
from energy.programme import Needs, Prices, plan

GOALS_MS = {200: 2.0, 1_000: 5.0, 10_000: 25.0}


def tree(count: int, seed: int = 1) -> Grid:
    """A main breaker, panels of 100, circuits of 10, stations of two; half of it short of what all could take."""
    random = Random(seed)
    nodes = [Node("main", None, (count * 8.0,) * 3)]
    leaves = []
    for number in range(count):
        panel, circuit, station = f"p{number // 100}", f"c{number // 10}", f"s{number // 2}"
        if number % 100 == 0:
            nodes.append(Node(panel, "main", (random.choice([800.0, 1600.0]),) * 3))
        if number % 10 == 0:
            nodes.append(Node(circuit, panel, (random.choice([63.0, 125.0, 250.0]),) * 3))
        if number % 2 == 0:
            nodes.append(Node(station, circuit, (random.choice([32.0, 63.0]),) * 3))
        lines = (0, 1, 2) if random.random() < 0.7 else (random.randrange(3),)
        leaves.append(Leaf(f"e{number}", station, lines))
    return Grid.of(nodes, leaves)


def milliseconds(what: Callable[[], object], rounds: int) -> float:
    """The median of so many."""
    what()
    taken = []
    for _round in range(rounds):
        begun = time.perf_counter()
        what()
        taken.append((time.perf_counter() - begun) * 1000)
    return float(np.median(taken))


def allocation(count: int) -> tuple[int, float, float]:
    """(rows of the tree, ms of filling, ms of a whole allocation) with so many connectors."""
    grid, random = tree(count), np.random.default_rng(2)
    grid.loads(np.zeros(count))
    upper = random.choice([0.0, 10.0, 16.0, 32.0], size=count)
    wishes = Wishes.of(grid, upper)
    wishes.weight = random.uniform(1, 20, size=count)
    zero = np.zeros(count)
    alone = milliseconds(partial(fill, grid, base=zero, upper=wishes.upper, weight=wishes.weight), 30)
    return len(grid.rows), alone, milliseconds(partial(allocate, grid, wishes, grid.limits), 30)


def main() -> None:
    print(f"{'connectors':>10} {'rows':>7} {'filling':>9} {'allocation':>11} {'goal':>6}")
    for count, goal in GOALS_MS.items():
        rows, alone, whole = allocation(count)
        print(f"{count:>10} {rows:>7} {alone:>6.2f} ms {whole:>8.2f} ms {goal:>3.0f} ms")
    grid, periods = tree(200), 48
    random = np.random.default_rng(3)
    upper = np.zeros((periods, 200))
    for leaf, until in enumerate(random.integers(8, periods, size=200)):
        upper[:until, leaf] = 32.0
    need, prices = (
        random.uniform(5_000, 40_000, size=200),
        Prices(random.uniform(0.05, 0.3, size=periods), peak_kw=2.0),
    )
    limits = np.tile(grid.limits, (periods, 1))
    taken = milliseconds(
        lambda: plan(
            grid, period_s=900, limits=limits, upper=upper, needs=Needs(need), prices=prices, most_seconds=60
        ),
        3,
    )
    print(f"programme of 200 EVSE x {periods} periods: {taken:.0f} ms")


if __name__ == "__main__":
    main()
