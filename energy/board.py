"""The load page of a site as it is drawn: the picture of who steers, read against the tree. Reads, never writes.

A picture is somebody else's JSON: what is missing in it is not shown, and nothing of it breaks the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from energy import picture, why_words
from energy.grid import LINES, TOTAL
from energy.models import GridNode, LimitOrigin, NodeKind, Steering
from energy.policy import Policies
from energy.queries import NO_LIMIT_A, NO_LIMIT_W, SiteTree

STALE = timedelta(seconds=15)  # made every five seconds at the least: who misses two is gone
NEAR = 0.9  # of its limit
OVER_A, OVER_W = 0.05, 50.0
ICONS = {
    NodeKind.CONNECTION: "building-factory-2",
    NodeKind.PANEL: "table",
    NodeKind.CIRCUIT: "minus-vertical",
    NodeKind.STATION: "charging-pile",
    NodeKind.CABINET: "server",
}


@dataclass(frozen=True)
class Bar:
    """One row of the tree: a node on one line, or in total. `committed`: what may be in force at its connectors."""

    part: str
    unit: str
    limit: float
    building: float
    cars: float
    committed: float
    is_rating: bool = False  # of equipment: that it is full is what it is for

    @property
    def load(self) -> float:
        return self.building + self.cars

    @property
    def promised(self) -> float:
        return self.building + max(self.cars, self.committed)

    @property
    def share(self) -> float:
        return self.load / self.limit if self.limit > 0 else float(self.load > 0)

    @property
    def is_over(self) -> bool:
        """By what may be in force, whether it is drawn or not."""
        return self.building + self.committed > self.limit + (OVER_W if self.unit == "W" else OVER_A)

    @property
    def state(self) -> str:
        """Its word of the vocabulary."""
        if self.is_over or self.share > 1.0:
            return "faulted"
        return "warning" if self.share >= NEAR and not self.is_rating else "charging"

    @property
    def _scale(self) -> float:
        return 100.0 / max(self.limit, self.load, self.promised, 1e-9)

    def _width(self, value: float) -> float:
        return round(max(0.0, value) * self._scale, 2)

    @property
    def building_width(self) -> float:
        return self._width(self.building)

    @property
    def cars_width(self) -> float:
        return self._width(self.cars)

    @property
    def promised_width(self) -> float:
        return max(0.0, round(self._width(self.promised) - self.building_width, 2))

    @property
    def limit_at(self) -> float:
        return min(99.4, self._width(self.limit))

    @property
    def text(self) -> str:
        return f"{_bare(self.load, self.unit)} / {why_words.quantity(self.limit, self.unit)}"


def _bare(value: float, unit: str) -> str:
    return why_words.quantity(value, unit).rsplit("\u00a0", 1)[0]


@dataclass
class Spot:
    """A connector. `told`: its part of the picture, and `least`, the A below which nothing flows."""

    evse_id: int
    station_id: int
    name: str
    number: int
    many: bool  # the station has others
    told: Mapping[str, Any]
    why: str
    words: str
    asked: float
    draw: float | None
    most: float
    priority: int
    guaranteed: float
    default: float | None
    kept_out: str  # by which limit, where its station has no place for load management beside it

    @property
    def is_there(self) -> bool:
        return bool(self.told.get("plugged")) or self.why not in (picture.IDLE, "")

    @property
    def state(self) -> str:
        if self.why == picture.IDLE and self.told.get("plugged"):
            return "occupied"
        if self.is_paused:
            return "suspended_evse"
        return why_words.LOOKS.get(self.why, "charging" if self.why else "unknown")

    @property
    def is_paused(self) -> bool:
        """Nothing is given to it for the moment."""
        return self.why in (picture.BINDS, picture.PEAK, picture.RAMP, picture.OTHERS) and self.asked <= 0

    @property
    def lines(self) -> str:
        """L1 + L2, where its car is known to draw on fewer than its place has."""
        told = self.told.get("lines")
        return " + ".join(one for one in told if one in LINES) if isinstance(told, list) else ""

    @property
    def share(self) -> float:
        return min(100.0, 100.0 * self.asked / self.most) if self.most else 0.0

    @property
    def drawn_share(self) -> float:
        return min(100.0, 100.0 * (self.draw or 0.0) / self.most) if self.most else 0.0

    @property
    def departure(self) -> str:
        at = self.told.get("departure")
        return why_words.clock(at) if isinstance(at, int | float) else ""


@dataclass
class Branch:
    """A node with what hangs below it."""

    node: GridNode
    icon: str
    bars: list[Bar]
    spots: list[Spot]
    below: list[Branch] = field(default_factory=list)

    @property
    def limit(self) -> str:
        """As entered, for where the picture tells of no row; empty: it limits nothing itself."""
        if self.node.limit_a:
            return why_words.amps(min(self.node.limit_a))
        return why_words.kilowatts(self.node.limit_w) if self.node.limit_w is not None else ""

    @property
    def state(self) -> str:
        states = {bar.state for bar in self.bars}
        return next((state for state in ("faulted", "warning") if state in states), "neutral")


@dataclass
class Board:
    """What there is to see. `at` None: nobody has steered this site yet."""

    tree: SiteTree
    at: datetime | None
    is_stale: bool
    told: Mapping[str, Any]
    root: Branch | None
    spots: list[Spot]

    @property
    def busy(self) -> list[Spot]:
        return [spot for spot in self.spots if spot.is_there]

    @property
    def telling(self) -> list[Spot]:
        """Of which there is something to say."""
        told = (spot for spot in self.spots if spot.is_there or spot.kept_out)
        return sorted(told, key=lambda one: (_ORDER.get(one.why, 5), one.name))

    @property
    def idle(self) -> list[Spot]:
        return [spot for spot in self.spots if not spot.is_there and not spot.kept_out]

    @property
    def bars(self) -> list[tuple[Branch, Bar]]:
        return [(branch, bar) for branch in _walk(self.root) for bar in branch.bars]

    @property
    def fullest(self) -> tuple[Branch, Bar] | None:
        return max(self.bars, key=lambda one: one[1].share, default=None)

    @property
    def waiting(self) -> list[Spot]:
        return [spot for spot in self.spots if spot.why == picture.WAITS]


_ORDER = {picture.DISOBEYS: 0, picture.WAITS: 1, picture.OFFLINE: 2, picture.LATER: 4}


def _walk(branch: Branch | None) -> Iterator[Branch]:
    if branch is not None:
        yield branch
        for one in branch.below:
            yield from _walk(one)


def of(
    tree: SiteTree, steering: Steering | None, now: datetime, kept_out: Mapping[int, str] | None = None
) -> Board:
    """`kept_out`: by EVSE, the limit that load management has no place beside."""
    at = steering.picture_at if steering else None
    told: Mapping[str, Any] = steering.picture if steering and isinstance(steering.picture, dict) else {}
    made = told.get("at")
    seconds = float(made) if isinstance(made, int | float) else now.timestamp()
    spots = _spots(tree, _by(told.get("outlets"), "evse"), seconds, kept_out or {})
    by_node: dict[int, list[Spot]] = {}
    for wired, spot in zip(tree.wired, spots, strict=True):
        by_node.setdefault(wired.outlet.node_id, []).append(spot)
    bars: dict[int, list[Bar]] = {}
    left = 1 - Policies.of_row(tree.connection.policy).reserve_percent / 100
    for row in _listed(told.get("rows")):
        if row.get("node") in tree.nodes and (bar := _bar(tree, row, left)) is not None:
            bars.setdefault(row["node"], []).append(bar)
    root = _branch(tree, tree.root, bars, by_node) if tree.root else None
    return Board(tree, at, at is None or now - at > STALE, told, root, spots)


def _listed(told: Any) -> list[dict[str, Any]]:
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _by(told: Any, key: str) -> dict[int, dict[str, Any]]:
    return {one[key]: one for one in _listed(told) if isinstance(one.get(key), int)}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _bar(tree: SiteTree, row: Mapping[str, Any], left: float) -> Bar | None:
    """None where it cannot be read, or limits nothing. `left`: what the policy's reserve leaves of each limit."""
    limit, unit = _number(row.get("limit")), "W" if row.get("unit") == "W" else "A"
    none = (NO_LIMIT_W if unit == "W" else NO_LIMIT_A) * left * 0.999
    if limit is None or limit >= none or row.get("part") not in (*LINES, TOTAL):
        return None
    building, cars, committed = (_number(row.get(name)) or 0.0 for name in ("building", "cars", "committed"))
    is_rating = tree.nodes[row["node"]].origin == LimitOrigin.RATING
    return Bar(row["part"], unit, limit, building, cars, committed, is_rating)


def _spots(
    tree: SiteTree, told: Mapping[int, Mapping[str, Any]], now: float, kept_out: Mapping[int, str]
) -> list[Spot]:
    count: dict[int, int] = {}
    for one in tree.wired:
        count[one.station_id] = count.get(one.station_id, 0) + 1
    found = []
    for wired in tree.wired:
        mine = {"least": wired.leaf.min_a, **told.get(wired.evse_id, {})}
        why = mine.get("why") if mine.get("why") in picture.WHYS else ""
        draw = _number(mine.get("draw"))
        found.append(Spot(
            evse_id=wired.evse_id, station_id=wired.station_id, name=str(wired.outlet.evse.station),
            number=wired.number, many=count[wired.station_id] > 1, told=mine, why=str(why or ""),
            words=why_words.of_outlet(mine, tree.nodes, now), asked=_number(mine.get("asked")) or 0.0, draw=draw,
            most=wired.leaf.max_a,
            priority=int(_number(mine.get("priority")) or wired.outlet.priority), guaranteed=wired.outlet.guaranteed_a,
            default=_number(mine.get("default")), kept_out=kept_out.get(wired.evse_id, ""),
        ))  # fmt: skip
    return found


def _branch(
    tree: SiteTree, node: GridNode, bars: Mapping[int, list[Bar]], spots: Mapping[int, list[Spot]]
) -> Branch:
    below = [
        _branch(tree, one, bars, spots)
        for one in sorted(tree.nodes.values(), key=lambda one: (one.position, one.pk))
        if one.parent_id == node.pk
    ]
    parts = [*LINES, TOTAL]
    own = sorted(bars.get(node.pk, []), key=lambda bar: parts.index(bar.part))
    return Branch(node, ICONS.get(NodeKind(node.kind), "point"), own, spots.get(node.pk, []), below)
