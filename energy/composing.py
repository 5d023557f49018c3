"""A document as rows, not kept: so that a tree can be looked at, checked and drawn before it is saved; and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from energy.document import Document, NodePart, OutletPart, WindowPart
from energy.ledger import defaults
from energy.models import (
    GridConnection,
    GridNode,
    LimitWindow,
    Outlet,
    SiteMeter,
)
from energy.places import Places
from energy.queries import SiteTree, compose


def node_values(node: NodePart, position: int) -> dict[str, object]:
    """Columns of GridNode, without its parent."""
    return {
        "kind": node.kind, "name": node.name, "position": position, "origin": node.origin,
        "limit_a": None if node.limit_a is None else list(node.limit_a), "limit_w": node.limit_w,
        "rotation": list(node.rotation), "module_w": node.module_w,
    }  # fmt: skip


def outlet_values(outlet: OutletPart) -> dict[str, object]:
    """Columns of Outlet, without its node and EVSE."""
    return {
        "lines": list(outlet.lines), "between": outlet.between, "max_a": outlet.max_a, "min_a": outlet.min_a,
        "step_a": outlet.step_a, "guaranteed_a": outlet.guaranteed_a, "priority": outlet.priority,
    }  # fmt: skip


def window_values(window: WindowPart) -> dict[str, object]:
    return {
        "weekdays": list(window.weekdays), "begins": window.begins, "ends": window.ends,
        "first_day": window.first_day, "last_day": window.last_day, "limit_a": window.limit_a,
        "limit_w": window.limit_w, "label": window.label,
    }  # fmt: skip


def numbers_of(document: Document) -> dict[str, int]:
    """A number for each node, as rows have it, by key."""
    return {node.key: number for number, node in enumerate(document.nodes, start=1)}


def tree_of_document(document: Document, places: Places, meters: Sequence[SiteMeter] = ()) -> SiteTree:
    """Nodes are numbered as in `numbers_of`. Only for documents without problems of structure."""
    number_of = numbers_of(document)
    connection = GridConnection(supply=document.supply, building_most_a=document.building_most_a)
    nodes = {
        number_of[node.key]: GridNode(
            pk=number_of[node.key],
            parent_id=number_of.get(node.parent) if node.parent is not None else None,
            **node_values(node, number_of[node.key]),
        )
        for node in document.nodes
    }
    outlets = [
        Outlet(evse_id=outlet.evse_id, node_id=number_of[outlet.node], **outlet_values(outlet))
        for outlet in document.outlets
    ]
    windows = [
        LimitWindow(node_id=number_of[node.key], **window_values(window))
        for node in document.nodes
        for window in node.windows
    ]
    here = [
        SiteMeter(
            kind=meter.kind, maximum_a=meter.maximum_a, name=meter.name,
            node_id=number_of.get(str(meter.node_id)) if meter.node_id else None,
        )
        for meter in meters
    ]  # fmt: skip
    plugs = {evse_id: place.plugs for evse_id, place in places.items()}
    return compose(connection, nodes, outlets, plugs, windows=windows, meters=here)


def defaults_of(tree: SiteTree, cap_a: float | None) -> dict[int, float]:
    """By EVSE: what each holds while the central system is silent, A. 0: it waits until we are back."""
    if not tree.wired:
        return {}
    lowest = tree.grid.limits.copy()  # a default holds at all hours
    for window in tree.windows:
        for number, row in enumerate(tree.grid.rows):
            limit = window.limit_a if row.unit == "A" else window.limit_w
            if row.node == str(window.node_id) and limit is not None:
                lowest[number] = min(lowest[number], limit)
    taken = tree.building_most + tree.grid.limits - lowest
    found = defaults(tree.grid, taken, cap=cap_a)
    return {one.evse_id: float(amps) for one, amps in zip(tree.wired, found, strict=True)}


# --- and back ---


def document_of(
    connection: GridConnection | None, nodes: Sequence[GridNode], outlets: Sequence[Outlet],
    windows: Mapping[int, Sequence[LimitWindow]],
) -> Document:  # fmt: skip
    """What the rows say. Parents stand before what hangs below them."""
    if connection is None:
        return Document()
    parts = []
    for node in _in_order(nodes):
        parts.append(
            NodePart(
                key=str(node.pk), name=node.name, parent=None if node.parent_id is None else str(node.parent_id),
                kind=node.kind, limit_a=None if node.limit_a is None else tuple(node.limit_a), limit_w=node.limit_w,
                origin=node.origin, rotation=tuple(node.rotation), module_w=node.module_w,
                windows=tuple(
                    WindowPart(
                        window.begins, window.ends, tuple(window.weekdays), window.first_day, window.last_day,
                        window.limit_a, window.limit_w, window.label,
                    )
                    for window in windows.get(node.pk, ())
                ),
            )
        )  # fmt: skip
    return Document(
        revision=connection.revision,
        supply=connection.supply,
        building_most_a=connection.building_most_a,
        nodes=tuple(parts),
        outlets=tuple(
            OutletPart(
                outlet.evse_id, str(outlet.node_id), tuple(outlet.lines), outlet.between, outlet.max_a, outlet.min_a,
                outlet.step_a, outlet.guaranteed_a, outlet.priority,
            )
            for outlet in outlets
        ),
    )  # fmt: skip


def _in_order(nodes: Sequence[GridNode]) -> list[GridNode]:
    below: dict[int | None, list[GridNode]] = {}
    for node in nodes:
        below.setdefault(node.parent_id, []).append(node)
    found: list[GridNode] = []
    waiting = list(reversed(below.get(None, [])))
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += reversed(below.get(node.pk, []))
    return found
