"""What differs between two documents of a tree, in a few words a line: for the audit, and for who changes the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from energy.document import Document, NodePart, OutletPart, WindowPart, names_of
from energy.models import NodeKind, SupplyKind
from energy.places import Places

Pairs = dict[str, list[str]]


def differences(before: Document, after: Document, places: Places) -> Pairs:
    """{what: [before, after]}; "" where there was or is nothing."""
    found: Pairs = {}
    if before.nodes and before.supply != after.supply:
        _add(found, _("Supply"), SupplyKind(before.supply).label, SupplyKind(after.supply).label)
    if before.building_most_a != after.building_most_a:
        _add(found, _("Building"), f"{before.building_most_a:g} A", f"{after.building_most_a:g} A")
    _nodes(found, before, after)
    _outlets(found, before, after, places)
    return found


def _nodes(found: Pairs, before: Document, after: Document) -> None:
    old, new = before.by_key, after.by_key
    names = {key: node.name for key, node in [*old.items(), *new.items()]}
    for key, node in old.items():
        if key not in new:
            _add(found, node.name, _told(node), _("taken out"))
    for key, node in new.items():
        if key not in old:
            _add(found, node.name, "", _told(node))
            continue
        for name, one, other in _fields(old[key], node, names):
            _add(found, f"{node.name}, {name}" if name else node.name, one, other)


def _told(node: NodePart) -> str:
    limit = limit_text(node.limit_a, node.limit_w)
    return f"{NodeKind(node.kind).label}, {limit}" if limit else str(NodeKind(node.kind).label)


def _fields(old: NodePart, new: NodePart, names: Mapping[str, str]) -> list[tuple[str, str, str]]:
    pairs: list[tuple[str, Any, Any]] = [
        (_("name"), old.name, new.name),
        (_("below"), names.get(old.parent or "", ""), names.get(new.parent or "", "")),
        (_("kind"), NodeKind(old.kind).label, NodeKind(new.kind).label),
        (_("limit"), limit_text(old.limit_a, old.limit_w), limit_text(new.limit_a, new.limit_w)),
        (_("origin"), old.origin, new.origin),
        (_("rotation"), " ".join(names_of(old.rotation)), " ".join(names_of(new.rotation))),
        (_("module"), _watts(old.module_w), _watts(new.module_w)),
        (_("by time"), _windows(old.windows), _windows(new.windows)),
    ]
    return [(name, str(one), str(other)) for name, one, other in pairs if one != other]


def _outlets(found: Pairs, before: Document, after: Document, places: Places) -> None:
    names = {node.key: node.name for document in (before, after) for node in document.nodes}
    old = {outlet.evse_id: _outlet(outlet, names) for outlet in before.outlets}
    new = {outlet.evse_id: _outlet(outlet, names) for outlet in after.outlets}
    for evse_id in {**old, **new}:
        one, other = old.get(evse_id, ""), new.get(evse_id, "")
        if one != other:
            _add(found, places[evse_id].label if evse_id in places else f"EVSE {evse_id}", one, other)


def _outlet(outlet: OutletPart, names: Mapping[str, str]) -> str:
    told = [names.get(outlet.node, outlet.node), wiring_text(outlet)]
    told += [f"≤ {outlet.max_a:g} A"] if outlet.max_a is not None else []
    told += [f"≥ {outlet.min_a:g} A"] if outlet.min_a is not None else []
    told += [_("steps of %(step)s A") % {"step": f"{outlet.step_a:g}"}] if outlet.step_a is not None else []
    told += [_("guaranteed %(amps)s A") % {"amps": f"{outlet.guaranteed_a:g}"}] if outlet.guaranteed_a else []
    told += [_("priority %(priority)s") % {"priority": outlet.priority}] if outlet.priority else []
    return ", ".join(told)


def wiring_text(outlet: OutletPart) -> str:
    return ("–" if outlet.between else " ").join(names_of(outlet.lines))


def limit_text(limit_a: tuple[float, ...] | None, limit_w: float | None) -> str:
    """3 x 63 A as "63 A", lines that differ as "63/50/40 A"; with a total: "63 A, 30 kW"."""
    told = []
    if limit_a:
        alike = len(set(limit_a)) == 1
        told.append(f"{limit_a[0]:g} A" if alike else "/".join(f"{amps:g}" for amps in limit_a) + " A")
    if limit_w is not None:
        told.append(_watts(limit_w))
    return ", ".join(told)


def window_text(window: WindowPart) -> str:
    limit = limit_text(None if window.limit_a is None else (window.limit_a,), window.limit_w)
    return f"{window.begins:%H:%M}–{window.ends:%H:%M} {limit}"


def _windows(windows: tuple[WindowPart, ...]) -> str:
    return "; ".join(
        window_text(one) + ("" if not one.weekdays else f" ({','.join(str(day + 1) for day in one.weekdays)})")
        + (f" [{one.first_day or ''}–{one.last_day or ''}]" if one.first_day or one.last_day else "")
        + (f" {one.label}" if one.label else "")
        for one in windows
    )  # fmt: skip


def _watts(watts: float | None) -> str:
    return "" if watts is None else f"{watts / 1000:g} kW"


def _add(found: Pairs, name: str, one: object, other: object) -> None:
    found[name] = [str(one), str(other)]
