"""A sensible first tree of a site, from what is known of its stations: to be looked at and corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from django.utils.translation import gettext as _

from energy.document import Document, NodePart, OutletPart
from energy.grid import Supply
from energy.models import LimitOrigin, NodeKind, SupplyKind
from energy.places import Place, Places, by_station
from energy.queries import SUPPLIES

LEAST_POLES = 2  # a line to line voltage needs so many lines


def propose(places: Places, *, limit_a: float, supply: str = SupplyKind.THREE_PHASE) -> Document:
    """The connection, a part per station below it with what its connectors take at most, each EVSE on its lines.

    Single-phase EVSEs go to the line that has least so far; where there is 208 V or split phase, between two lines.
    """
    lines = len(SUPPLIES[supply].lines)
    root = NodePart(
        key="connection", name=_("Grid connection"), kind=NodeKind.CONNECTION, limit_a=(limit_a,) * lines
    )
    document = Document(supply=supply, nodes=(root,))
    for station in by_station(places).values():
        document = add_station(document, station)
    return document


def add_station(document: Document, station: Sequence[Place], parent: str | None = None) -> Document:
    """With a part for this station below another (None: the connection), and its EVSEs wired there."""
    root = document.root
    supply = SUPPLIES[document.supply]
    key = f"station-{station[0].station_id}"
    outlets = list(document.outlets)
    own = []
    for place in station:
        outlet = wired(place, key, replace(document, outlets=tuple(outlets)))
        own.append((outlet, place))
        outlets.append(outlet)
    node = NodePart(
        key=key,
        parent=parent or (root.key if root else None),
        name=_free_name(station[0].station, document),
        kind=NodeKind.STATION,
        limit_a=_rating(own, supply),
        origin=LimitOrigin.RATING,
    )
    return replace(document, nodes=(*document.nodes, node), outlets=tuple(outlets))


def wired(place: Place, node: str, document: Document) -> OutletPart:
    """An EVSE below a node, on the lines that its connectors tell and that have least so far."""
    supply, kind = SUPPLIES[document.supply], document.supply
    taken = loads(document.outlets, supply)
    count = len(supply.lines)
    least = min(range(count), key=lambda line: taken[line])
    if count == 1:
        return OutletPart(place.evse_id, node, (0,))
    if kind == SupplyKind.SPLIT_PHASE or (kind == SupplyKind.WYE_208 and place.is_single_phase):
        pairs = [(line, (line + 1) % count) for line in range(count if count > LEAST_POLES else 1)]
        pair = min(pairs, key=lambda two: taken[two[0]] + taken[two[1]])
        return OutletPart(place.evse_id, node, pair, between=True)
    if place.is_single_phase:
        return OutletPart(place.evse_id, node, (least,))
    return OutletPart(place.evse_id, node, tuple(range(count)))


def loads(outlets: Sequence[OutletPart], supply: Supply) -> list[int]:
    """How many EVSEs that do not take all lines are on each line already."""
    taken = [0] * len(supply.lines)
    for outlet in outlets:
        if len(outlet.lines) < len(taken) or outlet.between:
            for line in outlet.lines:
                taken[line] += 1
    return taken


def _rating(own: Sequence[tuple[OutletPart, Place]], supply: Supply) -> tuple[float, ...]:
    """A on the fullest line when all of its EVSEs give their most; the same on each."""
    total = [0.0] * len(supply.lines)
    for outlet, place in own:
        for line in outlet.lines:
            total[line] += place.most_a(supply, len(outlet.lines))
    return (round(max(total), 1),) * len(total)


def _free_name(wanted: str, document: Document) -> str:
    names = {node.name.casefold() for node in document.nodes}
    name, number = wanted[:76], 2
    while name.casefold() in names:
        name, number = f"{wanted[:70]} ({number})", number + 1
    return name
