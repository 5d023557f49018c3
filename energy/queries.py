"""A site's tree as the loops take it: rows of the database become nodes, leaves and a grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from django.db.models import F, QuerySet

from energy import direction
from energy.clock import open_since
from energy.grid import (
    LINES,
    SINGLE_PHASE,
    SPLIT_PHASE,
    THREE_PHASE,
    TOTAL,
    WYE_208,
    Bools,
    Floats,
    Grid,
    Leaf,
    Node,
    Supply,
    watts_per_amp,
)
from energy.models import GridConnection, GridNode, LimitWindow, MeterKind, Outlet, SiteMeter, SupplyKind
from stations.models import Connector, PowerType

SUPPLIES: Mapping[str, Supply] = {
    SupplyKind.THREE_PHASE: THREE_PHASE,
    SupplyKind.WYE_208: WYE_208,
    SupplyKind.SPLIT_PHASE: SPLIT_PHASE,
    SupplyKind.SINGLE_PHASE: SINGLE_PHASE,
}
# The root has a row of each kind, for limits of others may come at any time: what is no limit is this.
NO_LIMIT_A, NO_LIMIT_W = 1e5, 1e8
LEAST_AC_A = 6.0  # IEC 61851-1
UNKNOWN_A = 32.0  # of an EVSE that told of no connector yet


@dataclass(frozen=True)
class Wired:
    """An outlet with what it is: `is_dc`, A at most, and the leaf it makes."""

    outlet: Outlet
    leaf: Leaf
    is_dc: bool
    volts: float  # W per A of pilot

    @property
    def evse_id(self) -> int:
        return self.outlet.evse_id

    @property
    def station_id(self) -> int:
        return self.outlet.evse.station_id

    @property
    def number(self) -> int:
        return self.outlet.evse.number


@dataclass(frozen=True)
class SiteTree:
    """Of one site. `nodes` by id; `wired` in the order of the grid's leaves."""

    connection: GridConnection
    supply: Supply
    nodes: dict[int, GridNode]
    wired: tuple[Wired, ...]
    windows: tuple[LimitWindow, ...]
    meters: tuple[SiteMeter, ...]
    pure: tuple[Node, ...]

    @cached_property
    def grid(self) -> Grid:
        """energy.grid.BadTree where it is none."""
        return Grid.of(self.pure, [one.leaf for one in self.wired], self.supply)

    @property
    def root(self) -> GridNode | None:
        return next((node for node in self.nodes.values() if node.parent_id is None), None)

    @cached_property
    def stations(self) -> list[int]:
        return sorted({one.station_id for one in self.wired})

    def lines_of(self, node_id: int) -> tuple[int, ...]:
        """The supply's lines behind the node's own L1, L2, L3 (rotations of all levels)."""
        return _lines(self.nodes, node_id, len(self.supply.lines))

    def above(self, node_id: int) -> set[str]:
        """Keys of the node and of all above it: whose rows feel a load there."""
        found: set[str] = set()
        node: GridNode | None = self.nodes.get(node_id)
        while node is not None and str(node.pk) not in found:
            found.add(str(node.pk))
            node = self.nodes.get(node.parent_id or 0)
        return found

    def rows_of(
        self, node_id: int | None, amps: Sequence[float] | Floats, watts: float | None = None
    ) -> Floats:
        """By row: a load of so many A on each line at a node (None: the root), felt by it and all above it."""
        place = node_id if node_id is not None else (self.root.pk if self.root else 0)
        keys = self.above(place)
        total = watts if watts is not None else float(sum(amps)) * self.supply.volts
        return np.array([
            0.0 if row.node not in keys else total if row.part == TOTAL
            else float(amps[LINES.index(row.part)]) if LINES.index(row.part) < len(amps) else 0.0
            for row in self.grid.rows
        ])  # fmt: skip

    def most_of(self, meter: SiteMeter) -> list[float]:
        """A on each line that a meter counts with while it cannot be trusted."""
        most = meter.maximum_a if meter.maximum_a is not None else self.connection.building_most_a
        return [float(most)] * len(self.supply.lines)

    def sure_of(self, meter: SiteMeter) -> Bools | None:
        """Lines of which a meter is believed that power flows out (energy.direction); None: of a kind that is believed
        as it is, for it gives, or nothing that it gives counts."""
        if meter.kind not in (MeterKind.BUILDING, MeterKind.GRID):
            return None
        return direction.sure(meter.night_a, len(self.supply.lines))

    @property
    def building_most(self) -> Floats:
        """By row: the most that what is not charging may take."""
        total = np.zeros(len(self.grid.rows))
        for meter in self.meters:
            if meter.kind in (MeterKind.BUILDING, MeterKind.BATTERY):
                total += self.rows_of(meter.node_id, self.most_of(meter))
        if not any(meter.kind == MeterKind.BUILDING for meter in self.meters):
            total += self.rows_of(None, [self.connection.building_most_a] * len(self.supply.lines))
        return total

    def limits_at(self, local: datetime) -> Floats:
        """By row: the lowest of its own limit and the windows open at this wall-clock time of the site."""
        limits = self.grid.limits.copy()
        for window in self.windows:
            if not is_open(window, local):
                continue
            for number, row in enumerate(self.grid.rows):
                if row.node == str(window.node_id):
                    lower = window.limit_w if row.part == TOTAL else window.limit_a
                    limits[number] = limits[number] if lower is None else min(limits[number], lower)
        return limits


def turned(meters: Iterable[SiteMeter]) -> dict[int, tuple[str, ...]]:
    """By meter of a site: the lines whose clamps look the wrong way, most likely. A battery gives at night as well:
    where one is known nothing is said."""
    switched_on = [meter for meter in meters if meter.enabled]
    if any(meter.kind == MeterKind.BATTERY for meter in switched_on):
        return {}
    looked_at = [meter for meter in switched_on if meter.kind in (MeterKind.BUILDING, MeterKind.GRID)]
    return {meter.pk: lines for meter in looked_at if (lines := direction.turned(meter.night_a))}


def is_open(window: LimitWindow, local: datetime) -> bool:
    day = open_since(window, local)
    if day is None:
        return False
    return not ((window.first_day and day < window.first_day) or (window.last_day and day > window.last_day))


def _lines(nodes: Mapping[int, GridNode], node_id: int, count: int) -> tuple[int, ...]:
    lines, seen = tuple(range(count)), set[int]()
    node = nodes.get(node_id)
    while node is not None and node.pk not in seen:
        seen.add(node.pk)
        if sorted(node.rotation) == list(range(count)):
            lines = tuple(node.rotation[line] for line in lines)
        node = nodes.get(node.parent_id or 0)
    return lines


Version = tuple[int, tuple[tuple[Any, ...], ...]]


def versions_of(tenant_id: int, connection_ids: Sequence[int]) -> dict[int, Version]:
    """By grid connection, those that are there: changes with the tree, its meters and its policy, and with what of it
    is at the site: stations move, and tell of connectors. Two statements."""
    found = GridConnection.objects.filter(tenant_id=tenant_id, pk__in=connection_ids)
    plugs = _there(tenant_id).filter(connection_id__in=connection_ids).values_list(
        "connection_id", "evse_id", "evse__connectors__power_type", "evse__connectors__max_amps",
        "evse__connectors__max_power_w",
    )  # fmt: skip
    told: dict[int, list[tuple[Any, ...]]] = {}
    for connection_id, *plug in plugs.order_by("connection_id", "evse_id", "evse__connectors__id"):
        told.setdefault(connection_id, []).append(tuple(plug))
    return {pk: (revision, tuple(told.get(pk, ()))) for pk, revision in found.values_list("pk", "revision")}


def _there(tenant_id: int) -> QuerySet[Outlet]:
    """Outlets whose station is at the site still."""
    return Outlet.objects.filter(
        tenant_id=tenant_id, evse__station__archived_at=None, evse__station__site=F("connection__site")
    )


def tree_of(tenant_id: int, site_id: int) -> SiteTree | None:
    """The tree of a site; None where nobody has entered one. Five statements."""
    connection = (
        GridConnection.objects.select_related("site").filter(tenant_id=tenant_id, site_id=site_id).first()
    )
    if connection is None:
        return None
    mine = {"tenant_id": tenant_id}
    nodes = {node.pk: node for node in GridNode.objects.filter(connection=connection, **mine)}
    outlets = list(
        _there(tenant_id)
        .filter(connection=connection)
        .select_related("evse__station")
        .order_by("evse__station_id", "evse__number")
    )
    plugs: dict[int, list[Connector]] = {}
    for plug in Connector.objects.filter(evse_id__in=[outlet.evse_id for outlet in outlets], **mine):
        plugs.setdefault(plug.evse_id, []).append(plug)
    return compose(
        connection, nodes, outlets, plugs,
        windows=list(LimitWindow.objects.filter(node_id__in=list(nodes), **mine)),
        meters=list(SiteMeter.objects.filter(connection=connection, enabled=True, **mine)),
    )  # fmt: skip


def compose(
    connection: GridConnection, nodes: Mapping[int, GridNode], outlets: Sequence[Outlet],
    plugs: Mapping[int, Sequence[Connector]], *, windows: Sequence[LimitWindow] = (), meters: Sequence[SiteMeter] = (),
) -> SiteTree:  # fmt: skip
    """From rows, saved or not: the editor looks at a tree before it is kept."""
    supply = SUPPLIES[connection.supply]
    count = len(supply.lines)
    pure = []
    for node in nodes.values():
        lines, limit_a = _lines(nodes, node.pk, count), node.limit_a
        if limit_a is not None and len(limit_a) == count:
            limit_a = [limit_a[lines.index(line)] for line in range(count)]
        is_root = node.parent_id is None
        if limit_a is None and is_root:
            limit_a = [NO_LIMIT_A] * count
        pure.append(Node(
            key=str(node.pk),
            parent=None if is_root else str(node.parent_id),
            limit_a=None if limit_a is None else tuple(limit_a),
            limit_w=NO_LIMIT_W if node.limit_w is None and is_root else node.limit_w,
        ))  # fmt: skip
    wired = tuple(_wired(outlet, plugs.get(outlet.evse_id, ()), nodes, supply) for outlet in outlets)
    return SiteTree(connection, supply, dict(nodes), wired, tuple(windows), tuple(meters), tuple(pure))


def _wired(
    outlet: Outlet, plugs: Sequence[Connector], nodes: Mapping[int, GridNode], supply: Supply
) -> Wired:
    turned = _lines(nodes, outlet.node_id, len(supply.lines))
    lines = tuple(turned[line] if line < len(turned) else line for line in outlet.lines)
    is_dc = bool(plugs) and all(plug.power_type == PowerType.DC for plug in plugs)
    volts = watts_per_amp(lines, between=outlet.between, supply=supply)
    most = max([_most(plug, volts) for plug in plugs], default=UNKNOWN_A)
    module_w = node.module_w if (node := nodes.get(outlet.node_id)) is not None else None
    step = outlet.step_a or (module_w / volts if module_w else 1.0)
    least = outlet.min_a if outlet.min_a is not None else 0.0 if is_dc else LEAST_AC_A
    leaf = Leaf(
        key=str(outlet.evse_id), node=str(outlet.node_id), lines=lines, between=outlet.between,
        max_a=max(outlet.max_a if outlet.max_a is not None else most, least), min_a=least, step_a=step,
    )  # fmt: skip
    return Wired(outlet, leaf, is_dc, volts)


def _most(plug: Connector, volts: float) -> float:
    """A on each line at its most. A DC connector's amps are those of the car's side: its power counts."""
    return plug.max_power_w / volts if plug.power_type == PowerType.DC else float(plug.max_amps)
