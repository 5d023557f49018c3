"""A tree's document out of JSON that somebody wrote: each field that cannot be is told in words; none stops others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, time
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from energy.document import (
    MOST_NODES,
    MOST_OUTLETS,
    MOST_WINDOWS,
    Document,
    NodePart,
    OutletPart,
    Problem,
    WindowPart,
    of_outlet,
)
from energy.grid import LINES
from energy.models import LimitOrigin, NodeKind, SupplyKind
from energy.queries import SUPPLIES

Value = TypeVar("Value")
MOST_A, MOST_W = 1e5, 1e8
_KNOWN = {
    "": {"revision", "supply", "building_most_a", "nodes", "outlets"},
    "node": {
        "key", "parent", "kind", "name", "limit_a", "limit_w", "origin", "rotation", "module_w", "windows",
    },
    "outlet": {
        "evse_id", "node", "lines", "between", "max_a", "min_a", "step_a", "guaranteed_a", "priority",
    },
    "window": {"weekdays", "begins", "ends", "first_day", "last_day", "limit_a", "limit_w", "label"},
}  # fmt: skip


def read(value: Any) -> tuple[Document, list[Problem]]:
    """The document as far as it can be read, and what cannot be. What cannot be is as if it was not told."""
    problems: list[Problem] = []
    if not isinstance(value, Mapping):
        return Document(), [Problem("", "", _("A tree is one JSON object with nodes and outlets."))]
    top = _Fields(value, "", "", problems)
    nodes = [_node(one, number, problems) for number, one in enumerate(top.items("nodes", MOST_NODES))]
    outlets = [
        _outlet(one, number, problems) for number, one in enumerate(top.items("outlets", MOST_OUTLETS))
    ]
    supply = top.choice("supply", SupplyKind.values, SupplyKind.THREE_PHASE)
    count = len(SUPPLIES[supply].lines)
    document = Document(
        revision=int(top.number("revision", most=1e15) or 0),
        supply=supply,
        building_most_a=top.number("building_most_a", most=MOST_A) or 0.0,
        nodes=tuple(_on_each_line(node, count) for node in nodes),
        outlets=tuple(one for one in outlets if one is not None),
    )
    return document, problems


def _on_each_line(node: NodePart, count: int) -> NodePart:
    """One number is the limit of every line."""
    if node.limit_a is None or len(node.limit_a) != 1:
        return node
    return replace(node, limit_a=node.limit_a * count)


def _node(value: Any, number: int, problems: list[Problem]) -> NodePart:
    told = value if isinstance(value, Mapping) else {}
    key = str(told.get("key") or f"nodes.{number}")[:40]
    fields = _Fields(told, key, "node", problems)
    parent = told.get("parent")
    name = str(told.get("name") or "").strip()
    if not name or len(name) > 80:
        fields.wrong("name", _("Give it a name of at most 80 letters."))
    windows = (_window(one, fields) for one in fields.items("windows", MOST_WINDOWS))
    return NodePart(
        key=key,
        name=name[:80],
        parent=None if parent in (None, "") else str(parent)[:40],
        kind=fields.choice("kind", NodeKind.values, NodeKind.PANEL),
        limit_a=fields.amps("limit_a"),
        limit_w=fields.number("limit_w", most=MOST_W),
        origin=fields.choice("origin", LimitOrigin.values, LimitOrigin.FUSE),
        rotation=fields.lines("rotation"),
        module_w=fields.number("module_w", least=1.0, most=MOST_W),
        windows=tuple(one for one in windows if one is not None),
    )


def _window(value: Any, node: _Fields) -> WindowPart | None:
    told = value if isinstance(value, Mapping) else {}
    fields = _Fields(told, node.part, "window", node.problems, under="windows")
    begins = fields.made("begins", time.fromisoformat, time, _("Give times as 17:30."))
    ends = fields.made("ends", time.fromisoformat, time, _("Give times as 17:30."))
    day = _("Give days as 2026-03-31.")
    days = told.get("weekdays") or []
    if not isinstance(days, list) or not all(_is_whole(one) and 0 <= one <= 6 for one in days):
        fields.wrong("weekdays", _("Weekdays are numbers from 0, Monday, to 6, Sunday."))
        days = []
    if begins is None or ends is None:
        fields.wrong("begins", _("A limit by time needs both times."))
        return None
    return WindowPart(
        begins=begins.replace(tzinfo=None),
        ends=ends.replace(tzinfo=None),
        weekdays=tuple(sorted(set(days))),
        first_day=fields.made("first_day", date.fromisoformat, date, day),
        last_day=fields.made("last_day", date.fromisoformat, date, day),
        limit_a=fields.number("limit_a", most=MOST_A),
        limit_w=fields.number("limit_w", most=MOST_W),
        label=str(told.get("label") or "")[:80],
    )


def _outlet(value: Any, number: int, problems: list[Problem]) -> OutletPart | None:
    told = value if isinstance(value, Mapping) else {}
    evse_id = told.get("evse_id")
    if not isinstance(evse_id, int) or isinstance(evse_id, bool) or not 0 < evse_id < 2**63:
        problems.append(Problem(f"outlets.{number}", "evse_id", _("Name an EVSE by its number.")))
        return None
    fields = _Fields(told, of_outlet(evse_id), "outlet", problems)
    return OutletPart(
        evse_id=evse_id,
        node=str(told.get("node") or "")[:40],
        lines=fields.lines("lines"),
        between=told.get("between") is True,
        max_a=fields.number("max_a", most=MOST_A),
        min_a=fields.number("min_a", most=MOST_A),
        step_a=fields.number("step_a", least=0.01, most=MOST_A),
        guaranteed_a=fields.number("guaranteed_a", most=MOST_A) or 0.0,
        priority=int(fields.number("priority", least=-100, most=100) or 0),
    )


class _Fields:
    """The fields of one part."""

    def __init__(
        self, told: Mapping[str, Any], part: str, kind: str, problems: list[Problem], under: str = ""
    ) -> None:
        self.told, self.part, self.problems, self.under = told, part, problems, under
        for name in sorted(set(map(str, told)) - _KNOWN[kind])[:5]:
            self.wrong(name[:40], _("There is no such field: %(name)s.") % {"name": name[:40]})

    def wrong(self, name: str, text: str) -> None:
        problem = Problem(self.part, self.under or name, text)
        if problem not in self.problems:
            self.problems.append(problem)

    def items(self, name: str, most: int) -> list[Any]:
        found = self.told.get(name) or []
        if not isinstance(found, list):
            self.wrong(name, _("This is a list."))
            return []
        if len(found) > most:
            self.wrong(name, _("At most %(most)s of them.") % {"most": most})
        return found[:most]

    def number(self, name: str, *, least: float = 0.0, most: float) -> float | None:
        value = self.told.get(name)
        if value is None or value == "":
            return None
        if _is_number(value) and least <= value <= most:
            return float(value)
        self.wrong(
            name,
            _("A limit is a number from 0 up.") if least == 0 else _("A number from %(least)s to %(most)s.")
            % {"least": f"{least:g}", "most": f"{most:g}"},
        )  # fmt: skip
        return None

    def amps(self, name: str) -> tuple[float, ...] | None:
        value = self.told.get(name)
        if value is None or value == "" or value == []:
            return None
        values = value if isinstance(value, list) else [value]
        if len(values) <= len(LINES) and all(_is_number(one) and 0 <= one <= MOST_A for one in values):
            return tuple(float(one) for one in values)
        self.wrong(name, _("A limit is a number from 0 up."))
        return None

    def lines(self, name: str) -> tuple[int, ...]:
        value = self.told.get(name) or []
        if isinstance(value, list) and len(value) <= len(LINES) and all(one in LINES for one in value):
            return tuple(LINES.index(one) for one in value)
        self.wrong(name, _("Lines are named L1, L2, L3."))
        return ()

    def choice(self, name: str, known: Iterable[str], default: str) -> str:
        value = self.told.get(name, default)
        if isinstance(value, str) and value in list(known):
            return value
        self.wrong(name, _("Choose one of %(known)s.") % {"known": ", ".join(known)})
        return str(default)

    def made(self, name: str, make: Callable[[str], Value], kind: type[Value], text: str) -> Value | None:
        value = self.told.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, kind):
            return value
        try:
            return make(str(value))
        except ValueError:
            self.wrong(name, text)
            return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
