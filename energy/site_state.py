"""What a site's load management is set to: its tree as a document, its EVSEs, meters and policies. Reads alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from energy import checks
from energy.composing import defaults_of, document_of, tree_of_document
from energy.document import Document, Problem
from energy.models import GridConnection, GridNode, LimitWindow, Outlet, SiteMeter
from energy.places import Place, places_of
from energy.policy import Policies
from tenants.models import AuditRecord, Site

TREE_ACTIONS = ("grid.set_up", "grid.edit", "grid.undo")


@dataclass(frozen=True)
class SiteState:
    """`connection` None: nobody has entered a tree yet, and the document is empty."""

    site: Site
    connection: GridConnection | None
    document: Document
    places: dict[int, Place]
    meters: tuple[SiteMeter, ...]

    @property
    def policies(self) -> Policies:
        return Policies.of_row(self.connection.policy if self.connection else {})

    @property
    def steers(self) -> bool:
        return self.connection is not None and self.connection.steers


@dataclass(frozen=True)
class Checked:
    """What a document is worth. `silent_a`: by EVSE the A that it holds while the central system is silent."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    silent_a: dict[int, float]

    @property
    def waiting(self) -> list[int]:
        """EVSEs that hold 0 A then, since nothing fits beside the building's most."""
        return [evse_id for evse_id, amps in self.silent_a.items() if amps <= 0]


def policies_of(site: Site) -> Policies:
    """Those of a site, with or without a tree."""
    row = GridConnection.objects.filter(tenant_id=site.tenant_id, site=site).first()
    return Policies.of_row(row.policy if row else {})


def state_of(site: Site) -> SiteState:
    """Eight statements."""
    own = {"tenant_id": site.tenant_id}
    connection = GridConnection.objects.filter(site=site, **own).select_related("site").first()
    places = places_of(site.tenant_id, site.pk)
    if connection is None:
        return SiteState(site, None, Document(), places, ())
    nodes = list(GridNode.objects.filter(connection=connection, **own).order_by("position", "id"))
    outlets = list(Outlet.objects.filter(connection=connection, evse__station__archived_at=None, **own))
    order = {evse_id: number for number, evse_id in enumerate(places)}
    outlets.sort(key=lambda outlet: (order.get(outlet.evse_id, len(order)), outlet.pk))
    windows: dict[int, list[LimitWindow]] = {}
    for window in LimitWindow.objects.filter(node__connection=connection, **own).order_by("begins", "id"):
        windows.setdefault(window.node_id, []).append(window)
    meters = tuple(SiteMeter.objects.filter(connection=connection, enabled=True, **own))
    return SiteState(site, connection, document_of(connection, nodes, outlets, windows), places, meters)


def check(state: SiteState, document: Document, read: list[Problem] | None = None) -> Checked:
    """`read`: what could not even be read of the document."""
    found = [*(read or []), *checks.problems(document, state.places)]
    if found:
        return Checked(tuple(found), (), {})
    tree = tree_of_document(document, state.places, state.meters)
    return Checked(
        problems=(),
        warnings=tuple(checks.warnings(document, state.places, state.meters)),
        silent_a=defaults_of(tree, state.policies.default_cap_a),
    )


@dataclass(frozen=True)
class Change:
    """The last change of a tree: by whom, when, and what it was before."""

    record: AuditRecord
    by: str
    at: datetime
    revision: int
    before: dict[str, object]
    after: dict[str, object]

    @property
    def is_undo(self) -> bool:
        return self.record.action == "grid.undo"


def last_change(connection: GridConnection) -> Change | None:
    record = (
        AuditRecord.objects.filter(
            tenant_id=connection.tenant_id, object_type="gridconnection", object_id=str(connection.pk),
            action__in=TREE_ACTIONS,
        )
        .order_by("-id")
        .first()
    )  # fmt: skip
    if record is None:
        return None
    told = record.detail
    return Change(
        record, record.actor_label, record.at, int(told.get("revision", 0)), told.get("before") or {},
        told.get("after") or {},
    )  # fmt: skip
