"""The tree as a list of lines for the editor: each part with what it says, what is wrong with it, its open fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

from django.utils.translation import gettext as _

from energy.differences import limit_text, wiring_text
from energy.document import Document, NodePart, Problem, names_of, of_outlet
from energy.grid import LINES
from energy.models import LimitOrigin, NodeKind, SupplyKind
from energy.places import Places
from energy.queries import LEAST_AC_A, SUPPLIES
from energy.views.tree_drawing import ICONS, rows
from energy.views.tree_form import Draft, Json

Choice = tuple[str, str, bool]
MOST_DEPTH = 7


@dataclass
class Line:
    part: str
    name: str
    depth: int
    icon: str
    told: str
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    is_open: bool = False
    is_root: bool = False
    fields: dict[str, Any] = field(default_factory=dict)


def lines_of(
    draft: Draft, document: Document, places: Places, problems: Iterable[Problem], warnings: Iterable[Problem]
) -> list[Line]:
    wrong, warned = list(problems), list(warnings)
    names = {node.name for node in document.nodes}
    found = []
    for depth, one in rows(document):
        if isinstance(one, NodePart):
            line = Line(
                one.key, one.name or _("without a name"), depth, ICONS.get(NodeKind(one.kind), ""),
                limit_text(one.limit_a, one.limit_w) or _("no limit"), is_root=one.parent is None,
            )  # fmt: skip
        else:
            place = places.get(one.evse_id)
            label = place.label if place else f"EVSE {one.evse_id}"
            if place and place.label in names:  # below a part of the same name
                label = f"EVSE {place.number}"
            line = Line(of_outlet(one.evse_id), label, depth, "plug", wiring_text(one) or "–")
        line.depth = min(depth, MOST_DEPTH)
        line.problems = [told for told in wrong if told.part == line.part]
        line.warnings = [told for told in warned if told.part == line.part]
        if line.part == draft.at:
            line.is_open = True
            is_node = isinstance(one, NodePart)
            line.fields = (
                _node_fields(draft, document) if is_node else _outlet_fields(draft, document, places)
            )
            line.fields["errors"] = {told.field: told.text for told in line.problems}
        found.append(line)
    return found


def site_problems(found: Iterable[Problem], lines: Iterable[Line]) -> list[Problem]:
    """Those that stand beside no line."""
    shown = {line.part for line in lines}
    return [one for one in found if one.part not in shown]


def _node_fields(draft: Draft, document: Document) -> Json:
    node = draft.node(draft.at) or {}
    count = len(draft.lines)
    return {
        "name": node.get("name", ""),
        "kinds": _choices(NodeKind.choices, node.get("kind")),
        "parents": [
            (key, name, key == node.get("parent")) for key, name in _possible_parents(document, draft.at)
        ],
        "limit_a": _amps(node.get("limit_a")),
        "limit_kw": _kilo(node.get("limit_w")),
        "origins": _choices(LimitOrigin.choices, node.get("origin")),
        "rotations": _rotations(count, " ".join(map(str, node.get("rotation") or []))),
        "module_kw": _kilo(node.get("module_w")),
        "is_cabinet": node.get("kind") == NodeKind.CABINET,
        "windows": [_window(one) for one in node.get("windows") or [] if isinstance(one, dict)],
        "supplies": _choices(SupplyKind.choices, draft.value.get("supply")),
        "building_most_a": _text(draft.value.get("building_most_a")),
        "is_root": node.get("parent") is None,
        "first": count > 1,
    }


def _possible_parents(document: Document, key: str) -> list[tuple[str, str]]:
    """All but itself and what hangs below it."""
    below = {key}
    for _round in document.nodes:
        below |= {node.key for node in document.nodes if node.parent in below}
    return [(node.key, node.name) for node in document.nodes if node.key not in below]


def _window(told: Json) -> Json:
    return told | {
        "limit_a": _text(told.get("limit_a")),
        "limit_kw": _kilo(told.get("limit_w")),
        "days": day_choices(told.get("weekdays") or []),
    }


def day_choices(chosen: Iterable[Any]) -> list[Choice]:
    """Sets of weekdays as people think of them, and the one that is chosen."""
    days = " ".join(str(day) for day in chosen)
    sets = [("", _("every day")), ("0 1 2 3 4", _("Monday to Friday")), ("5 6", _("weekend"))]
    sets += [(str(day), name) for day, name in enumerate(_weekdays())]
    if days not in dict(sets):
        sets.append((days, ", ".join(_weekdays()[int(day)] for day in days.split() if int(day) < 7)))
    return [(value, name, value == days) for value, name in sets]


def _weekdays() -> list[str]:
    return [
        _("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"),
    ]  # fmt: skip


def _outlet_fields(draft: Draft, document: Document, places: Places) -> Json:
    outlet = draft.outlet(draft.at) or {}
    place = places.get(outlet.get("evse_id", 0))
    wiring = ("-" if outlet.get("between") else " ").join(map(str, outlet.get("lines") or []))
    count = max(1, len(outlet.get("lines") or []))
    most = place.most_a(SUPPLIES[document.supply], count) if place else 0
    return {
        "nodes": [(node.key, node.name, node.key == outlet.get("node")) for node in document.nodes],
        "wirings": _wirings(len(draft.lines), wiring),
        "most_a": f"{most:g}",
        "least_a": f"{0 if place and place.is_dc else LEAST_AC_A:g}",
        "max_a": _text(outlet.get("max_a")),
        "min_a": _text(outlet.get("min_a")),
        "step_a": _text(outlet.get("step_a")),
        "guaranteed_a": _text(outlet.get("guaranteed_a") or None),
        "priority": _text(outlet.get("priority") or 0),
    }


def _rotations(count: int, chosen: str) -> list[Choice]:
    """Straight, turned on, and crossed."""
    found = []
    for turned in permutations(range(count)):
        value = "" if turned == tuple(range(count)) else " ".join(names_of(turned))
        straight = _("straight: %(lines)s") % {"lines": " ".join(names_of(turned))}
        found.append((value, value or straight, value == chosen or (not value and not chosen)))
    if not any(marked for _value, _name, marked in found):
        found.append((chosen, chosen, True))
    return found


def _wirings(count: int, chosen: str) -> list[Choice]:
    lines = LINES[:count]
    values: list[tuple[str, str]] = []
    if count == 3:
        turned = [tuple(range(3)), (1, 2, 0), (2, 0, 1), (0, 2, 1), (1, 0, 2), (2, 1, 0)]
        values += [(" ".join(names_of(one)), _("three phases: %(lines)s")) for one in turned]
    values += [(line, _("one phase: %(lines)s")) for line in lines]
    pairs = [(lines[one], lines[other]) for one, other in ((0, 1), (1, 2), (2, 0)) if max(one, other) < count]
    values += [("-".join(pair), _("between two lines: %(lines)s")) for pair in pairs]
    values += [(" ".join(pair), _("two phases: %(lines)s")) for pair in pairs]
    found = [(value, text % {"lines": value}, value == chosen) for value, text in values]
    if chosen not in dict(values):
        found.insert(0, (chosen, chosen or "–", True))
    return found


def _choices(known: Iterable[tuple[str, Any]], chosen: Any) -> list[Choice]:
    return [(value, str(label), value == chosen) for value, label in known]


def _text(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def _kilo(value: Any) -> str:
    return _text(value / 1000 if isinstance(value, int | float) else value)


def _amps(value: Any) -> str:
    if isinstance(value, list):
        told = [_text(one) for one in value]
        return told[0] if told and len(set(told)) == 1 else " / ".join(told)
    return _text(value)
