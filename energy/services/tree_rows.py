"""A document becomes rows: what stays keeps its number, so that meters, pictures and histories still name it."""

from __future__ import annotations

from energy.composing import node_values, outlet_values, window_values
from energy.document import Document, NodePart
from energy.models import GridConnection, GridNode, LimitWindow, Outlet


def store(connection: GridConnection, document: Document) -> None:
    """Write a checked document. The caller holds the connection's row."""
    own = {"tenant_id": connection.tenant_id}
    connection.supply = document.supply
    connection.building_most_a = document.building_most_a
    known = {str(node.pk): node for node in GridNode.objects.filter(connection=connection, **own)}
    _free_names(known, document)
    rows: dict[str, GridNode] = {}
    position = {node.key: number for number, node in enumerate(document.nodes)}
    for node in _parents_first(document):
        row = known.get(node.key) or GridNode(connection=connection, **own)
        row.parent_id = rows[node.parent].pk if node.parent is not None else None
        for name, value in node_values(node, position[node.key]).items():
            setattr(row, name, value)
        row.save()
        rows[node.key] = row
    _store_outlets(connection, document, rows)
    _store_windows(connection, document, rows)
    gone = [row.pk for key, row in known.items() if key not in rows]
    GridNode.objects.filter(connection=connection, pk__in=gone, **own).delete()


def _free_names(known: dict[str, GridNode], document: Document) -> None:
    """Names may change places: what gets another gives up its own first."""
    by_key = document.by_key
    for key, row in known.items():
        if key not in by_key or by_key[key].name != row.name:
            GridNode.objects.filter(pk=row.pk, tenant_id=row.tenant_id).update(name=f"\u2009{row.pk}")


def _parents_first(document: Document) -> list[NodePart]:
    below: dict[str | None, list[NodePart]] = {}
    for node in document.nodes:
        below.setdefault(node.parent, []).append(node)
    found = list(below.get(None, []))
    for node in found:  # grows as it goes
        found += below.get(node.key, [])
    return found


def _store_outlets(connection: GridConnection, document: Document, rows: dict[str, GridNode]) -> None:
    wired = [outlet.evse_id for outlet in document.outlets]
    own = {"tenant_id": connection.tenant_id}
    # Of a station that came from another site, what it was wired to there.
    Outlet.objects.filter(evse_id__in=wired, **own).exclude(connection=connection).delete()
    known = {outlet.evse_id: outlet for outlet in Outlet.objects.filter(connection=connection, **own)}
    for outlet in document.outlets:
        row = known.pop(outlet.evse_id, None) or Outlet(connection=connection, evse_id=outlet.evse_id, **own)
        row.node_id = rows[outlet.node].pk
        for name, value in outlet_values(outlet).items():
            setattr(row, name, value)
        row.save()
    Outlet.objects.filter(connection=connection, pk__in=[row.pk for row in known.values()], **own).delete()


def _store_windows(connection: GridConnection, document: Document, rows: dict[str, GridNode]) -> None:
    own = {"tenant_id": connection.tenant_id}
    LimitWindow.objects.filter(node__connection=connection, **own).delete()
    LimitWindow.objects.bulk_create(
        LimitWindow(node=rows[node.key], **own, **window_values(window))
        for node in document.nodes
        for window in node.windows
    )
