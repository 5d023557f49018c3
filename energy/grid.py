"""A site's grid connection as a tree, and the same as rows of a matrix. Pure: no database, no clock.

Each node (connection, panel, circuit, station) limits amperes per line, the power of all lines together, or both. What
a connector takes is one number, its pilot: A per phase for AC, A of its three-phase input for DC. A row is one limit
of one node: |sum of coefficient x pilot| must stay below it. Coefficients are phasors, so that connectors between two
lines (208 V delta) count with the angle of their current and not with its plain sum, which is up to 15 % more; where
no connector stands between lines they are real numbers.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
LINES = ("L1", "L2", "L3")
TOTAL = "total"
FEW = 400  # entries of a grid, up to which plain numbers are faster than arrays


@dataclass(frozen=True, slots=True)
class Supply:
    """How a site is connected. `volts`: line to neutral; `angles`: of the lines in degrees."""

    volts: float = 230.0
    angles: tuple[float, ...] = (0.0, -120.0, 120.0)

    @property
    def lines(self) -> tuple[str, ...]:
        return LINES[: len(self.angles)]

    def between(self, one: int, other: int) -> complex:
        """The voltage between two lines as a phasor, in V."""
        first, second = (cmath.rect(self.volts, math.radians(self.angles[n])) for n in (one, other))
        return first - second


THREE_PHASE = Supply()  # 230/400 V
SPLIT_PHASE = Supply(120.0, (0.0, 180.0))  # 120/240 V: two legs
WYE_208 = Supply(120.0)  # 120/208 V, connectors between two lines
SINGLE_PHASE = Supply(230.0, (0.0,))


@dataclass(frozen=True, slots=True)
class Node:
    """A point of the tree that limits. `limit_a`: per line of the supply; None: no limit of this kind."""

    key: str
    parent: str | None = None
    limit_a: tuple[float, ...] | None = None
    limit_w: float | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """What draws: an EVSE. `lines`: of the supply that it is wired to, in the order of its own phases (the rotation).

    Two lines with `between` is one phase between them (delta 208 V, split phase 240 V); otherwise each of its lines
    carries the pilot against neutral. `min_a`: below it nothing flows (IEC 61851: 6 A; DC: 0). `step_a`: of the pilot.
    """

    key: str
    node: str
    lines: tuple[int, ...] = (0, 1, 2)
    between: bool = False
    max_a: float = 32.0
    min_a: float = 6.0
    step_a: float = 1.0


class BadTree(ValueError):
    """The tree cannot be: `problems` says by node or leaf what is wrong, in words."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {text}" for key, text in problems.items()))
        self.problems = problems


def faults(nodes: Sequence[Node], leaves: Sequence[Leaf], supply: Supply = THREE_PHASE) -> dict[str, str]:
    """What is wrong with a tree, by node or leaf."""
    found: dict[str, str] = {}
    by_key = {node.key: node for node in nodes}
    if len(by_key) < len(nodes):
        found["tree"] = "Two parts bear the same name."
    for node in nodes:
        if node.parent is not None and node.parent not in by_key:
            found[node.key] = f"It hangs below {node.parent}, which is not there."
        elif node.key in _above(node, by_key):
            found[node.key] = "It hangs below itself."
        elif node.limit_a is not None and len(node.limit_a) != len(supply.lines):
            found[node.key] = f"Give a limit for each of {', '.join(supply.lines)}."
        elif any(limit < 0 for limit in [*(node.limit_a or ()), node.limit_w or 0]):
            found[node.key] = "A limit is a number from 0 up."
    for leaf in leaves:
        if leaf.node not in by_key:
            found[leaf.key] = f"It hangs below {leaf.node}, which is not there."
        elif not leaf.lines or not set(leaf.lines) <= set(range(len(supply.lines))):
            found[leaf.key] = (
                f"It is wired to a line that the site has not: there is {', '.join(supply.lines)}."
            )
        elif len(set(leaf.lines)) < len(leaf.lines) or (leaf.between and len(leaf.lines) != 2):
            found[leaf.key] = "Each of its phases needs a line of its own."
        elif not 0 <= leaf.min_a <= leaf.max_a or leaf.step_a <= 0:
            found[leaf.key] = "Its least current must be below its most."
    return found


def above_parent(nodes: Sequence[Node]) -> dict[str, str]:
    """Limits that never bind, since one further up is lower: allowed, but worth a word."""
    by_key = {node.key: node for node in nodes}
    found: dict[str, str] = {}
    for node in nodes:
        for upper in (by_key[key] for key in _above(node, by_key)):
            for own, theirs in zip(node.limit_a or (), upper.limit_a or (), strict=False):
                if own > theirs:
                    found.setdefault(node.key, f"{own:g} A is more than {upper.key} gives: {theirs:g} A.")
            if node.limit_w and upper.limit_w and node.limit_w > upper.limit_w:
                text = (
                    f"{node.limit_w / 1000:g} kW is more than {upper.key} gives: {upper.limit_w / 1000:g} kW."
                )
                found.setdefault(node.key, text)
    return found


def _above(node: Node, by_key: dict[str, Node]) -> list[str]:
    """The keys from its parent up; in a cycle the last one is met twice and ends the list."""
    path: list[str] = []
    key = node.parent
    while key is not None and key in by_key:
        path.append(key)
        if key == node.key or key in path[:-1]:
            break
        key = by_key[key].parent
    return path


@dataclass(frozen=True, slots=True)
class Row:
    """One limit: of a node, on one line or in total. Amps on a line, W in total."""

    node: str
    part: str
    limit: float

    @property
    def unit(self) -> str:
        return "W" if self.part == TOTAL else "A"


@dataclass(frozen=True, eq=False)
class Grid:
    """The rows that bind, over leaves in their order. Sparse: entry i is `coefficients[i]` in row `row_of[i]` at leaf
    `leaf_of[i]`, sorted by row. As wired each row has at least one entry; `on` may leave some without."""

    leaves: tuple[Leaf, ...]
    rows: tuple[Row, ...]
    row_of: NDArray[np.intp]
    leaf_of: NDArray[np.intp]
    coefficients: NDArray[np.float64] | NDArray[np.complex128]
    volts: Floats = field(default_factory=lambda: np.empty(0))  # W per A of pilot, of each leaf

    @classmethod
    def of(cls, nodes: Sequence[Node], leaves: Sequence[Leaf], supply: Supply = THREE_PHASE) -> Grid:
        """BadTree where it is none."""
        if problems := faults(nodes, leaves, supply):
            raise BadTree(problems)
        by_key = {node.key: node for node in nodes}
        entries: dict[tuple[str, str], list[tuple[int, complex]]] = {}
        watts = np.array(
            [watts_per_amp(leaf.lines, between=leaf.between, supply=supply) for leaf in leaves], dtype=float
        )
        for number, leaf in enumerate(leaves):
            currents = _currents(leaf, supply)
            node = by_key[leaf.node]
            for key in [node.key, *_above(node, by_key)]:
                if by_key[key].limit_a is not None:
                    for line, current in currents.items():
                        entries.setdefault((key, supply.lines[line]), []).append((number, current))
                if by_key[key].limit_w is not None:
                    entries.setdefault((key, TOTAL), []).append((number, complex(watts[number])))
        rows = []
        for key, part in entries:
            node = by_key[key]
            limit = node.limit_w if part == TOTAL else (node.limit_a or ())[supply.lines.index(part)]
            rows.append((Row(key, part, float(limit or 0.0)), entries[key, part]))
        return cls.of_rows(leaves, rows, watts)

    @classmethod
    def of_rows(
        cls, leaves: Sequence[Leaf], rows: Iterable[tuple[Row, Sequence[tuple[int, complex]]]], volts: Floats
    ) -> Grid:
        """From rows with (leaf's number, coefficient): for limits that no tree gives, like a transformer's far side."""
        kept = [(row, parts) for row, parts in rows if parts]
        row_of = np.repeat(np.arange(len(kept)), [len(parts) for _row, parts in kept]).astype(np.intp)
        flat = [part for _row, parts in kept for part in parts]
        leaf_of = np.array([number for number, _value in flat], dtype=np.intp)
        values = np.array([value for _number, value in flat], dtype=complex)
        # Seen from its own row a current that all others share the angle of is a plain number.
        if not np.any(np.abs(values.imag) > 1e-9):
            values = values.real.copy()
        return cls(tuple(leaves), tuple(row for row, _parts in kept), row_of, leaf_of, values, volts)

    @cached_property
    def wired(self) -> Bools:
        """(lines x leaves) to which line each is wired."""
        return np.array(
            [[line in leaf.lines for leaf in self.leaves] for line in range(len(LINES))], dtype=bool
        )

    def on(self, drawn: Bools) -> Grid:
        """The same rows where each leaf draws on these of its lines alone (lines x leaves, some of `wired`). Of a leaf
        between lines both carry the same: it draws on both."""
        lines = np.array(
            [-1 if row.part == TOTAL else LINES.index(row.part) for row in self.rows], dtype=np.intp
        )
        line = lines[self.row_of]
        stays = (line < 0) | drawn[line, self.leaf_of]
        share = drawn.sum(axis=0) / np.maximum(self.wired.sum(axis=0), 1)
        values = np.where(line < 0, self.coefficients * share[self.leaf_of], self.coefficients)
        return Grid(
            self.leaves, self.rows, self.row_of[stays], self.leaf_of[stays], values[stays], self.volts * share
        )

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """Where each row begins."""
        return np.searchsorted(self.row_of, np.arange(len(self.rows))).astype(np.intp)

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """How many entries each row has."""
        return np.diff(self.starts, append=len(self.row_of)).astype(np.intp)

    @cached_property
    def fed(self) -> NDArray[np.intp]:
        """The rows that have entries."""
        return np.flatnonzero(self.counts)

    @cached_property
    def parts(self) -> list[list[tuple[int, complex]]]:
        """For each leaf: the rows that it feeds, with its coefficients. Small sites are counted one by one."""
        parts: list[list[tuple[int, complex]]] = [[] for _leaf in self.leaves]
        for row, leaf, value in zip(
            self.row_of.tolist(), self.leaf_of.tolist(), self.coefficients.tolist(), strict=True
        ):
            parts[leaf].append((row, value))
        return parts

    @cached_property
    def is_small(self) -> bool:
        """So few entries that plain numbers are faster than arrays."""
        return len(self.row_of) <= FEW

    @cached_property
    def limits(self) -> Floats:
        return np.array([row.limit for row in self.rows], dtype=float)

    @cached_property
    def max_a(self) -> Floats:
        return np.array([leaf.max_a for leaf in self.leaves], dtype=float)

    @cached_property
    def min_a(self) -> Floats:
        return np.array([leaf.min_a for leaf in self.leaves], dtype=float)

    @cached_property
    def step_a(self) -> Floats:
        return np.array([leaf.step_a for leaf in self.leaves], dtype=float)

    @cached_property
    def is_real(self) -> bool:
        return not np.iscomplexobj(self.coefficients)

    @cached_property
    def is_monotone(self) -> bool:
        """Whether no raise of a pilot can lower a row. So in every tree; not behind a delta transformer."""
        if self.is_real:
            return bool(np.all(self.coefficients >= 0))
        for begin, end in zip(self.starts, [*self.starts[1:], len(self.row_of)], strict=True):
            angles = np.unique(np.round(self.coefficients[begin:end], 6))
            if np.any((angles[:, None] * np.conj(angles)[None, :]).real < -1e-6):
                return False
        return True

    def sums(self, pilots: Floats) -> NDArray[np.float64] | NDArray[np.complex128]:
        """What flows in each row, as a phasor: A on lines, W in total."""
        flows = self.coefficients * pilots[self.leaf_of]
        if len(self.fed) == len(self.rows):
            return np.add.reduceat(flows, self.starts) if len(self.rows) else np.empty(0)
        sums: NDArray[np.complex128] | NDArray[np.float64] = np.zeros(len(self.rows))
        if not self.is_real:
            sums = np.zeros(len(self.rows), dtype=np.complex128)
        sums[self.fed] = np.add.reduceat(flows, self.starts[self.fed])
        return sums

    def loads(self, pilots: Floats) -> Floats:
        """What flows in each row: A on lines, W in total."""
        return np.abs(self.sums(pilots))

    def excess(self, pilots: Floats, limits: Floats | None = None) -> Floats:
        """By how much each row is over its limit; negative: what is left."""
        return self.loads(pilots) - (self.limits if limits is None else limits)


def _currents(leaf: Leaf, supply: Supply) -> dict[int, complex]:
    """By line: the phasor of its current at 1 A of pilot, turned so that the line's own angle is 0."""
    own = [cmath.rect(1.0, math.radians(-angle)) for angle in supply.angles]
    if leaf.between:
        one, other = leaf.lines
        angle = cmath.rect(1.0, cmath.phase(supply.between(one, other)))
        return {one: _clean(angle * own[one]), other: _clean(-angle * own[other])}
    return dict.fromkeys(leaf.lines, 1 + 0j)


def _clean(value: complex) -> complex:
    return complex(round(value.real, 9), round(value.imag, 9))


def watts_per_amp(lines: Sequence[int], *, between: bool, supply: Supply) -> float:
    """W at 1 A of pilot."""
    if between and len(lines) == 2:
        return abs(supply.between(*lines))
    return supply.volts * len(lines)
