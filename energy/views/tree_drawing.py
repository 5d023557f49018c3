"""The tree as a single line diagram, from the connection down: geometry for `energy/_tree_drawing.html`.

Each part hangs by a branch with its fuse on the bar of what is above it. Letters of the lines are those of its own
terminals, their colours (IEC 60445) the lines of the supply that they end at, through the rotations of all levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from energy.differences import limit_text, window_text
from energy.document import Document, NodePart, OutletPart, Problem, of_outlet
from energy.grid import LINES
from energy.models import NodeKind
from energy.places import Places
from energy.queries import SUPPLIES

STUB, BAR, TOP = 46, 14, 34
BOX_WIDTH, BOX_HEIGHT, WINDOW_HEIGHT = 176, 42, 16
OUTLET_HEIGHT, GAP, CHIP = 28, 12, 22
ICONS = {
    NodeKind.CONNECTION: "bolt", NodeKind.PANEL: "layout-grid", NodeKind.CIRCUIT: "git-branch",
    NodeKind.STATION: "charging-pile", NodeKind.CABINET: "server",
}  # fmt: skip


@dataclass
class Chip:
    letter: str
    line: int  # of the supply
    x: int


@dataclass
class Drawn:
    """One part. `x`, `y`: the left upper corner of its box, or the middle of the socket of an EVSE."""

    part: str
    name: str
    title: str
    x: int
    y: int
    height: int = 0
    icon: str = ""
    symbol: str = ""
    limit: str = ""
    windows: list[tuple[int, str]] = field(default_factory=list)
    rotated: bool = False
    chips: list[Chip] = field(default_factory=list)
    chips_x: int = 0
    note: str = ""
    note_x: int = 0
    note_y: int = 0
    state: str = ""
    selected: bool = False
    middle: int = 0  # of its branch
    branch_x: int = 0  # where it leaves the bar
    bar_x: int = 0
    bar_top: int = 0
    bar_bottom: int = 0


@dataclass
class Drawing:
    nodes: list[Drawn]
    outlets: list[Drawn]
    width: int
    height: int


def draw(
    document: Document, places: Places, *, problems: Iterable[Problem] = (), warnings: Iterable[Problem] = (),
    selected: str = "",
) -> Drawing | None:  # fmt: skip
    """None where there is nothing to draw. A tree with faults is drawn as far as it hangs together."""
    if not document.nodes:
        return None
    states = {one.part: "warning" for one in warnings} | {one.part: "faulted" for one in problems}
    return _Pen(document, places, states, selected).drawing()


class _Pen:
    def __init__(self, document: Document, places: Places, states: Mapping[str, str], selected: str) -> None:
        self.document, self.places, self.states, self.selected = document, places, states, selected
        self.count = len(SUPPLIES[document.supply].lines)
        self.below: dict[str | None, list[NodePart]] = {}
        for node in document.nodes:
            self.below.setdefault(node.parent, []).append(node)
        self.wired: dict[str, list[OutletPart]] = {}
        for outlet in document.outlets:
            self.wired.setdefault(outlet.node, []).append(outlet)
        self.nodes: list[Drawn] = []
        self.outlets: list[Drawn] = []
        self.y, self.right = TOP, 0

    def drawing(self) -> Drawing:
        drawn: set[str] = set()
        # First what hangs on the connection, then what hangs nowhere or in a circle.
        for node in [*self.below.get(None, []), *self.document.nodes]:
            if node.key not in drawn:
                self._node(node, STUB, 0, tuple(range(self.count)), drawn)
        return Drawing(self.nodes, self.outlets, self.right + 8, self.y + 4)

    def _node(self, node: NodePart, x: int, bar: int, lines: Sequence[int], drawn: set[str]) -> int:
        """Its middle, where its branch ends at the bar."""
        drawn.add(node.key)
        mine = tuple(lines[own] for own in node.rotation) if self._turns(node) else tuple(lines)
        height = BOX_HEIGHT + WINDOW_HEIGHT * len(node.windows[:2])
        wired = self.wired.get(node.key, [])
        lone = len(wired) == 1 and node.kind in (NodeKind.STATION, NodeKind.CABINET)
        one = Drawn(
            part=node.key, name=_short(node.name, 21), title=node.name, x=x, y=self.y, height=height,
            icon=ICONS.get(NodeKind(node.kind), ""), limit=_short(limit_text(node.limit_a, node.limit_w), 26),
            symbol="none" if node.limit_a is None and node.limit_w is None else node.origin,
            windows=[
                (BOX_HEIGHT + WINDOW_HEIGHT * place - 4, _short(window_text(window), 26))
                for place, window in enumerate(node.windows[:2])
            ],
            state=self.states.get(node.key, ""), selected=node.key == self.selected, middle=self.y + BOX_HEIGHT // 2,
            branch_x=bar, bar_x=x + BAR, bar_top=self.y + height, bar_bottom=self.y + height, rotated=self._turns(node),
        )  # fmt: skip
        self.nodes.append(one)
        right = x + BOX_WIDTH + 8
        if one.rotated:
            one.chips_x, one.chips = right, _chips(range(self.count), mine, right + 18)
            right += 22 + CHIP * len(one.chips)
        if lone:
            self._outlet_at(wired[0], right + 4, one.middle, mine, node.key)
        self.right = max(self.right, right)
        self.y += height + GAP
        if not lone:
            for outlet in wired:
                one.bar_bottom = self._outlet(outlet, x + BAR, mine)
        for child in self.below.get(node.key, []):
            if child.key not in drawn:
                one.bar_bottom = self._node(child, x + BAR + STUB, x + BAR, mine, drawn)
        return one.middle

    def _turns(self, node: NodePart) -> bool:
        straight = list(range(self.count))
        return sorted(node.rotation) == straight and list(node.rotation) != straight

    def _outlet(self, outlet: OutletPart, bar: int, lines: Sequence[int]) -> int:
        middle = self.y + OUTLET_HEIGHT // 2 - 4
        self._outlet_at(outlet, bar + 24, middle, lines, "", branch=bar)
        self.y += OUTLET_HEIGHT
        return middle

    def _outlet_at(
        self, outlet: OutletPart, x: int, middle: int, lines: Sequence[int], node: str, branch: int = 0
    ) -> None:
        """Of a station with one EVSE in the row of the station, else in a row of its own."""
        place = self.places.get(outlet.evse_id)
        part = of_outlet(outlet.evse_id)
        label = place.label if place else f"EVSE {outlet.evse_id}"
        name = "" if node else _short(label, 22)
        chips_x = x + 14 + (7 * len(name) + 8 if name else 0)
        valid = [line for line in outlet.lines if line < self.count]
        chips = _chips(valid, [lines[line] for line in valid], chips_x)
        note = " ".join(
            told
            for told in (
                "Δ" if outlet.between else "",
                f"≤ {outlet.max_a:g} A" if outlet.max_a is not None else "",
                f"≥ {outlet.guaranteed_a:g} A" if outlet.guaranteed_a else "",
                f"★ {outlet.priority}" if outlet.priority else "",
            )
            if told
        )
        note_x = chips_x + CHIP * len(chips) + 4
        self.outlets.append(
            Drawn(
                part=part, name=name, title=label, x=x, y=middle, chips=chips, note=note, note_x=note_x,
                note_y=middle + 4, state=self.states.get(part, ""), selected=part == self.selected, middle=middle,
                branch_x=branch or x - 10,
            )
        )  # fmt: skip
        self.right = max(self.right, note_x + 7 * len(note))


def _chips(own: Iterable[int], supply: Sequence[int], x: int) -> list[Chip]:
    return [
        Chip(LINES[line], ends, x + CHIP * place)
        for place, (line, ends) in enumerate(zip(own, supply, strict=True))
    ]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def rows(document: Document) -> list[tuple[int, Any]]:
    """(depth, node or outlet) in the order of the drawing; what hangs nowhere or in a circle comes last."""
    below: dict[str | None, list[NodePart]] = {}
    for node in document.nodes:
        below.setdefault(node.parent, []).append(node)
    found: list[tuple[int, Any]] = []
    drawn: set[str] = set()

    def add(node: NodePart, depth: int) -> None:
        drawn.add(node.key)
        found.append((depth, node))
        found.extend((depth + 1, outlet) for outlet in document.outlets if outlet.node == node.key)
        for child in below.get(node.key, []):
            if child.key not in drawn:
                add(child, depth + 1)

    for node in [*below.get(None, []), *document.nodes]:
        if node.key not in drawn:
            add(node, 0)
    known = {node.key for node in document.nodes}
    found.extend((0, outlet) for outlet in document.outlets if outlet.node not in known)
    return found
