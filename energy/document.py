"""The tree of a site as one document: what REST takes and gives, the editor edits and the audit keeps.

    {
      "revision": 7,                                   # of the connection when it was read; 0: there is none yet
      "supply": "three_phase",                         # SupplyKind
      "building_most_a": 20.0,                         # A on each line, of what is not charging
      "nodes": [{
        "key": "12", "parent": null, "kind": "connection", "name": "Main breaker",
        "limit_a": [63.0, 63.0, 63.0] | null, "limit_w": 43000.0 | null, "origin": "fuse",
        "rotation": ["L2", "L3", "L1"] | [],           # where its own L1, L2, L3 go at its parent; []: straight
        "module_w": null,
        "windows": [{"weekdays": [0, 4], "begins": "17:00", "ends": "20:00", "first_day": null, "last_day": null,
                     "limit_a": 32.0, "limit_w": null, "label": "Contract"}]}],
      "outlets": [{"evse_id": 5, "node": "12", "lines": ["L1", "L2", "L3"], "between": false, "max_a": null,
                   "min_a": null, "step_a": null, "guaranteed_a": 0.0, "priority": 0}]
    }

`key` names a node inside the document: one that is kept has its number as text; any other text makes a new node. The
order of the nodes is the order in which they are shown. Currents are A on each line, powers W.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any

from energy.grid import LINES

MOST_NODES, MOST_OUTLETS, MOST_WINDOWS = 500, 2000, 50


@dataclass(frozen=True)
class Problem:
    """What is wrong, in words. `part`: key of a node, `of_outlet(...)`, or "" for the whole; `field`: of that part."""

    part: str
    field: str
    text: str

    @property
    def path(self) -> str:
        return ".".join(word for word in (self.part, self.field) if word) or "tree"


def of_outlet(evse_id: int | str) -> str:
    """The part that an EVSE is in a list of problems."""
    return f"evse-{evse_id}"


@dataclass(frozen=True)
class WindowPart:
    begins: time
    ends: time
    weekdays: tuple[int, ...] = ()
    first_day: date | None = None
    last_day: date | None = None
    limit_a: float | None = None
    limit_w: float | None = None
    label: str = ""


@dataclass(frozen=True)
class NodePart:
    key: str
    name: str
    parent: str | None = None
    kind: str = "panel"
    limit_a: tuple[float, ...] | None = None
    limit_w: float | None = None
    origin: str = "fuse"
    rotation: tuple[int, ...] = ()
    module_w: float | None = None
    windows: tuple[WindowPart, ...] = ()


@dataclass(frozen=True)
class OutletPart:
    evse_id: int
    node: str
    lines: tuple[int, ...]
    between: bool = False
    max_a: float | None = None
    min_a: float | None = None
    step_a: float | None = None
    guaranteed_a: float = 0.0
    priority: int = 0


@dataclass(frozen=True)
class Document:
    revision: int = 0
    supply: str = "three_phase"
    building_most_a: float = 0.0
    nodes: tuple[NodePart, ...] = ()
    outlets: tuple[OutletPart, ...] = field(default=())

    @property
    def by_key(self) -> dict[str, NodePart]:
        return {node.key: node for node in self.nodes}

    @property
    def root(self) -> NodePart | None:
        return next((node for node in self.nodes if node.parent is None), None)

    def as_json(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "supply": self.supply,
            "building_most_a": self.building_most_a,
            "nodes": [_node(node) for node in self.nodes],
            "outlets": [_outlet(outlet) for outlet in self.outlets],
        }


def _node(node: NodePart) -> dict[str, Any]:
    return {
        "key": node.key,
        "parent": node.parent,
        "kind": node.kind,
        "name": node.name,
        "limit_a": None if node.limit_a is None else list(node.limit_a),
        "limit_w": node.limit_w,
        "origin": node.origin,
        "rotation": names_of(node.rotation),
        "module_w": node.module_w,
        "windows": [_window(window) for window in node.windows],
    }


def _window(window: WindowPart) -> dict[str, Any]:
    return {
        "weekdays": list(window.weekdays),
        "begins": window.begins.strftime("%H:%M"),
        "ends": window.ends.strftime("%H:%M"),
        "first_day": window.first_day.isoformat() if window.first_day else None,
        "last_day": window.last_day.isoformat() if window.last_day else None,
        "limit_a": window.limit_a,
        "limit_w": window.limit_w,
        "label": window.label,
    }


def _outlet(outlet: OutletPart) -> dict[str, Any]:
    return {
        "evse_id": outlet.evse_id,
        "node": outlet.node,
        "lines": names_of(outlet.lines),
        "between": outlet.between,
        "max_a": outlet.max_a,
        "min_a": outlet.min_a,
        "step_a": outlet.step_a,
        "guaranteed_a": outlet.guaranteed_a,
        "priority": outlet.priority,
    }


def names_of(lines: Iterable[int]) -> list[str]:
    """[0, 1, 2] -> ["L1", "L2", "L3"]."""
    return [LINES[line] for line in lines if 0 <= line < len(LINES)]


def is_empty(value: Mapping[str, Any] | None) -> bool:
    return not (value or {}).get("nodes")
