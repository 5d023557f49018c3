"""Fleets: made, changed, removed."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import ProtectedError

from fleets.models import Fleet
from fleets.services.scopes import require_fleet
from tenants.context import current_alias
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit

READY = ("ready_by", "ready_days", "ready_wh")
LEAST_WH, MOST_WH = 100, 1_000_000


def create_fleet(*, tenant_id: int, actor: Actor, name: str, cost_centre: str = "", **ready: Any) -> Fleet:
    """`ready`: some of READY."""
    actor.require(Permission.DRIVER_EDIT)
    if actor.fleet_ids is not None:
        raise Forbidden(f"{actor.label} may change their own fleets, but not add one.")
    fleet = Fleet(
        tenant_id=tenant_id, name=_checked_name(tenant_id, name), cost_centre=cost_centre.strip()[:60]
    )
    _set_ready(fleet, ready)
    fleet.save()
    audit.record(tenant_id=tenant_id, actor=actor, action="fleet.create", subject=fleet)
    return fleet


def update_fleet(
    *, fleet: Fleet, actor: Actor, name: str | None = None, cost_centre: str | None = None, **ready: Any
) -> Fleet:
    """Change what is given. `ready`: some of READY, by when its vehicles are to have what they need."""
    require_fleet(actor, Permission.DRIVER_EDIT, fleet.pk)
    fields = ("name", "cost_centre", *READY)
    before = {field: getattr(fleet, field) for field in fields}
    if name is not None:
        fleet.name = _checked_name(fleet.tenant_id, name, fleet.pk)
    if cost_centre is not None:
        fleet.cost_centre = cost_centre.strip()[:60]
    _set_ready(fleet, ready)
    changed = audit.changes(before, {field: getattr(fleet, field) for field in fields})
    if changed:
        fleet.save(update_fields=list(changed))
        audit.record(
            tenant_id=fleet.tenant_id,
            actor=actor,
            action="fleet.edit",
            subject=fleet,
            detail={"changed": changed},
        )
    return fleet


def delete_fleet(*, fleet: Fleet, actor: Actor) -> None:
    """Remove a fleet that has no drivers, vehicles or tokens left."""
    actor.require(Permission.DRIVER_EDIT)
    if actor.fleet_ids is not None:
        raise Forbidden(f"{actor.label} may change their own fleets, but not remove one.")
    try:
        with transaction.atomic(using=current_alias()):
            audit.record(tenant_id=fleet.tenant_id, actor=actor, action="fleet.delete", subject=fleet)
            fleet.delete()
    except ProtectedError:
        raise Conflict(
            f"{fleet.name} still has drivers, vehicles or tokens. Move them to another fleet first.",
            code="fleet_in_use",
        ) from None


def _set_ready(fleet: Fleet, ready: dict[str, Any]) -> None:
    """`ready_by`: a time or None; `ready_days`: numbers from 0, Monday; `ready_wh`: Wh or None: what is learned."""
    days, wh = ready.get("ready_days"), ready.get("ready_wh")
    if days is not None and not set(days) <= set(range(7)):
        raise Invalid(fields={"ready_days": "Weekdays are numbers from 0, Monday, to 6, Sunday."})
    if wh is not None and not LEAST_WH <= wh <= MOST_WH:
        raise Invalid(fields={"ready_wh": "Between 0.1 and 1,000 kWh."})
    for field in READY:
        if field in ready:
            setattr(fleet, field, sorted(set(days)) if field == "ready_days" and days else ready[field])


def _checked_name(tenant_id: int, name: str, own_id: int | None = None) -> str:
    name = name.strip()
    if not name or len(name) > 120 or "\0" in name:
        raise Invalid(fields={"name": "Write a name of 1 to 120 characters."})
    if Fleet.objects.filter(tenant_id=tenant_id, name=name).exclude(pk=own_id or 0).exists():
        raise Conflict(f"There is a fleet named {name} already. Choose another name.", code="name_taken")
    return name
