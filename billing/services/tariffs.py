"""Tariffs: made, changed, set aside, assigned; and frozen for a session."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from billing.models import SiteTariff, Tariff
from billing.services.elements import checked_elements
from tenants import rows
from tenants.errors import Conflict, Invalid
from tenants.models import Site
from tenants.permissions import Actor, Permission
from tenants.rows import Ask
from tenants.services import audit

FIELDS = ("name", "currency", "elements", "tax_included", "min_price", "max_price")


def create_tariff(*, tenant_id: int, actor: Actor, **values: Any) -> Tariff:
    """A new tariff from values named in FIELDS. Invalid names each field; see billing.services.elements for paths."""
    actor.require(Permission.TARIFF_EDIT)
    tariff = Tariff(tenant_id=tenant_id, **_known(values))
    _check(tariff)
    tariff.save()
    audit.record(
        tenant_id=tenant_id, actor=actor, action="tariff.create", subject=tariff, detail=_terms(tariff)
    )
    return tariff


def update_tariff(*, tariff: Tariff, actor: Actor, **values: Any) -> Tariff:
    """Change the values named in FIELDS. Sessions that run keep the price they started with."""
    actor.require(Permission.TARIFF_EDIT)
    before = {name: getattr(tariff, name) for name in FIELDS}
    for name, value in _known(values).items():
        setattr(tariff, name, value)
    _check(tariff)
    changed = audit.changes(before, {name: getattr(tariff, name) for name in FIELDS})
    if changed:
        tariff.save()
        audit.record(
            tenant_id=tariff.tenant_id,
            actor=actor,
            action="tariff.edit",
            subject=tariff,
            detail={"changed": changed},
        )
    return tariff


def archive_tariff(*, tariff: Tariff, actor: Actor) -> None:
    """Set a tariff aside. Refused while sites use it or it is the default: they would silently change price."""
    actor.require(Permission.TARIFF_EDIT)
    if tariff.archived_at is not None:
        return
    users = SiteTariff.objects.filter(tenant_id=tariff.tenant_id, tariff=tariff).select_related("site")
    names = ", ".join(row.site.name for row in users)
    if names:
        raise Conflict(
            f"{tariff} is the tariff of {names}. Give them another one first.", code="tariff_in_use"
        )
    if tariff.is_default:
        raise Conflict(
            f"{tariff} is the default tariff. Make another one the default first.", code="tariff_in_use"
        )
    tariff.archived_at = timezone.now()
    tariff.save(update_fields=["archived_at", "updated_at"])
    audit.record(tenant_id=tariff.tenant_id, actor=actor, action="tariff.archive", subject=tariff)


def set_default(*, tariff: Tariff, actor: Actor) -> None:
    """Use this tariff where neither station nor site names one."""
    actor.require(Permission.TARIFF_EDIT)
    _refuse_archived(tariff)
    Tariff.objects.filter(tenant_id=tariff.tenant_id, is_default=True).exclude(pk=tariff.pk).update(
        is_default=False
    )
    if not tariff.is_default:
        tariff.is_default = True
        tariff.save(update_fields=["is_default", "updated_at"])
        audit.record(tenant_id=tariff.tenant_id, actor=actor, action="tariff.set_default", subject=tariff)


def set_site_tariff(*, site: Site, tariff: Tariff | None, actor: Actor) -> None:
    """Give a site its tariff; None takes it away, so that the default counts."""
    actor.require(Permission.TARIFF_EDIT, site_id=site.pk)
    if tariff is None:
        SiteTariff.objects.filter(tenant_id=site.tenant_id, site=site).delete()
    else:
        _refuse_archived(tariff)
        SiteTariff.objects.update_or_create(tenant_id=site.tenant_id, site=site, defaults={"tariff": tariff})
    audit.record(
        tenant_id=site.tenant_id,
        actor=actor,
        action="site.set_tariff",
        subject=site,
        site_id=site.pk,
        detail={"tariff": str(tariff) if tariff else ""},
    )


def snapshot(tariff: Tariff) -> dict[str, Any]:
    """The price list as it stands, frozen as JSON: what `rating.rate` and a Charge take."""
    return _frozen(
        tariff.pk,
        tariff.name,
        tariff.currency,
        tariff.elements,
        tariff.tax_included,
        tariff.min_price,
        tariff.max_price,
    )


_TARIFFS_FOR = "SELECT * FROM billing_tariffs_for(%(tenant)s, %(rows)s::json)"  # billing/database.sql


def snapshot_for(
    requests: Sequence[tuple[int, int | None]],
) -> rows.Lookup[list[dict[str, Any] | None]]:
    """The frozen tariff for each (site id, id of the station's own tariff), in order; None where none is set."""
    found = (yield Ask(_TARIFFS_FOR, requests)) if requests else []
    return [
        None if key is None else _frozen(key, name, currency, json.loads(elements), tax_included, least, most)
        for key, name, currency, elements, tax_included, least, most in found
    ]


def _frozen(
    tariff_id: int,
    name: str,
    currency: str,
    elements: list[dict[str, Any]],
    tax_included: bool,
    min_price: Decimal | None,
    max_price: Decimal | None,
) -> dict[str, Any]:
    side = "incl_tax" if tax_included else "excl_tax"
    return {
        "id": tariff_id,
        "name": name,
        "currency": currency,
        "elements": elements,
        "tax_included": tax_included,
        "min_price": None if min_price is None else {side: str(min_price)},
        "max_price": None if max_price is None else {side: str(max_price)},
    }


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        raise Invalid(fields=dict.fromkeys(unknown, "There is no such field."))
    return dict(values)


def _check(tariff: Tariff) -> None:
    tariff.elements = checked_elements(tariff.elements)
    try:
        tariff.clean_fields(exclude=["tenant", "elements"])
    except ValidationError as error:
        raise Invalid(fields={name: " ".join(texts) for name, texts in error.message_dict.items()}) from None
    wrong = {
        name: "Write an amount of zero or more."
        for name in ("min_price", "max_price")
        if getattr(tariff, name) is not None and getattr(tariff, name) < 0
    }
    least, most = tariff.min_price, tariff.max_price
    if not wrong and least is not None and most is not None and least > most:
        wrong["max_price"] = "The highest price is below the least price."
    if wrong:
        raise Invalid(fields=wrong)
    same_name = Tariff.objects.filter(tenant_id=tariff.tenant_id, name=tariff.name).exclude(pk=tariff.pk)
    if same_name.exists():
        raise Conflict(
            f"There is a tariff named {tariff.name} already. Choose another name.", code="name_taken"
        )


def _refuse_archived(tariff: Tariff) -> None:
    if tariff.archived_at is not None:
        raise Conflict(f"{tariff} has been set aside. Choose another tariff.", code="tariff_archived")


def _terms(tariff: Tariff) -> dict[str, Any]:
    return {"terms": snapshot(tariff)}
