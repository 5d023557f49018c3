"""Charges: a price made once for a subject, whatever is retried, replayed or done by two at a time."""

from __future__ import annotations

from typing import Any

from billing.models import Charge, ChargeState
from billing.services.rating import Rated, rate
from billing.usage import Usage, from_json, to_json
from tenants.context import tenant_scope
from tenants.errors import Conflict
from tenants.permissions import Actor, Permission
from tenants.services import audit, facts


def charge(
    *, tenant_id: int, subject: str, tariff: dict[str, Any], usage: Usage, site_id: int | None = None
) -> Charge:
    """The charge of `subject` ("session:<id>"): made from `tariff` and `usage` if there is none yet.

    A charge that exists is returned as it stands, whatever is passed now: at most one per subject (invariant 2). Two at
    a time are told apart by the database. NotRatable if the tariff cannot be priced.
    """
    with tenant_scope(tenant_id):
        found = Charge.objects.filter(tenant_id=tenant_id, subject=subject).first()
        if found is not None:
            return found
        values = _values(rate(tariff=tariff, usage=usage), tariff, usage, site_id)
        made, created = Charge.objects.get_or_create(tenant_id=tenant_id, subject=subject, defaults=values)
        if created:
            _tell(made, "charge.rated")
        return made


def draft(
    *, tenant_id: int, subject: str, tariff: dict[str, Any], usage: Usage, site_id: int | None = None
) -> Charge:
    """A charge as `charge` would make it, not stored: for previews, and for who stores many at once."""
    values = _values(rate(tariff=tariff, usage=usage), tariff, usage, site_id)
    return Charge(tenant_id=tenant_id, subject=subject, **values)


def void(*, charge: Charge, actor: Actor, reason: str) -> Charge:
    """Take a charge back. Its subject stays taken: it is never charged a second time."""
    actor.require(Permission.SESSION_REVIEW, site_id=charge.site_id)
    if charge.state == ChargeState.VOID:
        return charge
    if not reason.strip():
        raise Conflict("Say why the charge is taken back.", code="reason_missing")
    charge.state = ChargeState.VOID
    charge.save(update_fields=["state"])
    audit.record(
        tenant_id=charge.tenant_id,
        actor=actor,
        action="charge.void",
        subject=charge,
        site_id=charge.site_id,
        detail={"reason": reason},
    )
    _tell(charge, "charge.void")
    return charge


def replay(charge: Charge) -> Rated:
    """The price again, from what the charge keeps. Equal to the charge, or the engine has changed."""
    return rate(tariff=charge.tariff, usage=from_json(charge.usage))


def _values(rated: Rated, tariff: dict[str, Any], usage: Usage, site_id: int | None) -> dict[str, Any]:
    return {
        "tariff": tariff,
        "usage": to_json(usage),
        "lines": [line.to_json() for line in rated.lines],
        "currency": rated.currency,
        "energy_wh": rated.energy_wh,
        "excl_tax": rated.excl_tax,
        "tax": rated.tax,
        "incl_tax": rated.incl_tax,
        "site_id": site_id,
        "occurred_at": usage.ended_at,
    }


def _tell(charge: Charge, kind: str) -> None:
    facts.publish(
        tenant_id=charge.tenant_id,
        kind=kind,
        subject_type="charge",
        subject_id=charge.pk,
        payload={
            "subject": charge.subject,
            "currency": charge.currency,
            "excl_tax": str(charge.excl_tax),
            "incl_tax": str(charge.incl_tax),
            "energy_wh": str(charge.energy_wh),
        },
    )
