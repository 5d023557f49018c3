"""Vehicles: made, changed, removed."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from fleets.models import Vehicle
from fleets.services.scopes import require_fleet
from tenants.errors import Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit

FIELDS = ("plate", "model", "vin", "fleet", "driver", "battery_wh", "max_ac_w", "max_dc_w")


def create_vehicle(*, tenant_id: int, actor: Actor, **values: Any) -> Vehicle:
    """A new vehicle from values named in FIELDS (`fleet` and `driver` are rows)."""
    vehicle = Vehicle(tenant_id=tenant_id, **_known(values))
    require_fleet(actor, Permission.DRIVER_EDIT, _fleet_of(vehicle))
    _check(vehicle)
    vehicle.save()
    audit.record(tenant_id=tenant_id, actor=actor, action="vehicle.create", subject=vehicle)
    return vehicle


def update_vehicle(*, vehicle: Vehicle, actor: Actor, **values: Any) -> Vehicle:
    """Change the values named in FIELDS."""
    require_fleet(actor, Permission.DRIVER_EDIT, _fleet_of(vehicle))
    before = {name: getattr(vehicle, name) for name in FIELDS}
    for name, value in _known(values).items():
        setattr(vehicle, name, value)
    require_fleet(actor, Permission.DRIVER_EDIT, _fleet_of(vehicle))
    _check(vehicle)
    changed = audit.changes(before, {name: getattr(vehicle, name) for name in FIELDS})
    if changed:
        vehicle.save()
        audit.record(
            tenant_id=vehicle.tenant_id,
            actor=actor,
            action="vehicle.edit",
            subject=vehicle,
            detail={"changed": changed},
        )
    return vehicle


def delete_vehicle(*, vehicle: Vehicle, actor: Actor) -> None:
    require_fleet(actor, Permission.DRIVER_EDIT, _fleet_of(vehicle))
    audit.record(tenant_id=vehicle.tenant_id, actor=actor, action="vehicle.delete", subject=vehicle)
    vehicle.delete()


def _fleet_of(vehicle: Vehicle) -> int | None:
    if vehicle.fleet_id is not None or vehicle.driver is None:
        return vehicle.fleet_id
    return vehicle.driver.fleet_id


def _known(values: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        raise Invalid(fields=dict.fromkeys(unknown, "There is no such field."))
    return values


def _check(vehicle: Vehicle) -> None:
    vehicle.plate = vehicle.plate.strip()
    try:
        vehicle.clean_fields(exclude=["tenant", "fleet", "driver"])
    except ValidationError as error:
        raise Invalid(fields={name: " ".join(texts) for name, texts in error.message_dict.items()}) from None
