"""Drivers: made, changed, blocked, removed."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError

from fleets.models import Driver
from fleets.services.scopes import require_fleet
from tenants.context import current_alias
from tenants.errors import Conflict, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit, facts

FIELDS = ("name", "email", "phone", "fleet", "user", "blocked")


def create_driver(*, tenant_id: int, actor: Actor, **values: Any) -> Driver:
    """A new driver from values named in FIELDS (`fleet` and `user` are rows)."""
    driver = Driver(tenant_id=tenant_id, **_known(values))
    require_fleet(actor, Permission.DRIVER_EDIT, driver.fleet_id)
    _check(driver)
    driver.save()
    audit.record(tenant_id=tenant_id, actor=actor, action="driver.create", subject=driver)
    return driver


def update_driver(*, driver: Driver, actor: Actor, **values: Any) -> Driver:
    """Change the values named in FIELDS. A blocked driver's tokens are all refused."""
    require_fleet(actor, Permission.DRIVER_EDIT, driver.fleet_id)
    before = {name: getattr(driver, name) for name in FIELDS}
    for name, value in _known(values).items():
        setattr(driver, name, value)
    require_fleet(actor, Permission.DRIVER_EDIT, driver.fleet_id)
    _check(driver)
    changed = audit.changes(before, {name: getattr(driver, name) for name in FIELDS})
    if changed:
        driver.save()
        audit.record(
            tenant_id=driver.tenant_id,
            actor=actor,
            action="driver.edit",
            subject=driver,
            detail={"changed": changed},
        )
        facts.publish(
            tenant_id=driver.tenant_id,
            kind="driver.changed",
            subject_type="driver",
            subject_id=driver.pk,
            payload={"blocked": driver.blocked},
        )
    return driver


def delete_driver(*, driver: Driver, actor: Actor) -> None:
    """Remove a driver who holds no token any more. Past sessions keep the token's number."""
    require_fleet(actor, Permission.DRIVER_EDIT, driver.fleet_id)
    try:
        with transaction.atomic(using=current_alias()):
            audit.record(tenant_id=driver.tenant_id, actor=actor, action="driver.delete", subject=driver)
            driver.delete()
    except ProtectedError:
        raise Conflict(
            f"{driver.name} still holds tokens. Give them to somebody else or remove them first.",
            code="driver_in_use",
        ) from None


def _known(values: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        raise Invalid(fields=dict.fromkeys(unknown, "There is no such field."))
    return values


def _check(driver: Driver) -> None:
    driver.name = driver.name.strip()
    try:
        driver.clean_fields(exclude=["tenant", "user", "fleet"])
    except ValidationError as error:
        raise Invalid(fields={name: " ".join(texts) for name, texts in error.message_dict.items()}) from None
