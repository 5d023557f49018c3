"""Sites: made, changed, set aside."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from tenants.errors import Conflict, Invalid
from tenants.models import Site
from tenants.permissions import Actor, Permission
from tenants.services import audit

FIELDS = (
    "name",
    "address",
    "postal_code",
    "city",
    "country",
    "latitude",
    "longitude",
    "time_zone",
    "access",
    "host",
    "grid_limit_amps",
)


def create_site(*, tenant_id: int, actor: Actor, **values: Any) -> Site:
    """A new site from values named in FIELDS. Invalid with one sentence a field."""
    actor.require(Permission.SITE_EDIT)
    site = Site(tenant_id=tenant_id, **_known(values))
    _check(site)
    site.save()
    audit.record(tenant_id=tenant_id, actor=actor, action="site.create", subject=site, site_id=site.pk)
    return site


def update_site(*, site: Site, actor: Actor, **values: Any) -> Site:
    """Change the values named in FIELDS; what is not named stays."""
    actor.require(Permission.SITE_EDIT, site_id=site.pk)
    before = {name: getattr(site, name) for name in FIELDS}
    for name, value in _known(values).items():
        setattr(site, name, value)
    _check(site)
    changed = audit.changes(before, {name: getattr(site, name) for name in FIELDS})
    if changed:
        site.save()
        audit.record(
            tenant_id=site.tenant_id,
            actor=actor,
            action="site.edit",
            subject=site,
            site_id=site.pk,
            detail={"changed": changed},
        )
    return site


def archive_site(*, site: Site, actor: Actor) -> None:
    """Set a site aside; its history stays."""
    actor.require(Permission.SITE_EDIT, site_id=site.pk)
    if site.archived_at is None:
        site.archived_at = timezone.now()
        site.save(update_fields=["archived_at"])
        audit.record(
            tenant_id=site.tenant_id, actor=actor, action="site.archive", subject=site, site_id=site.pk
        )


def _known(values: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        raise Invalid(fields=dict.fromkeys(unknown, "There is no such field."))
    for name in ("latitude", "longitude"):
        if values.get(name) is not None:
            values[name] = Decimal(str(values[name])).quantize(Decimal("0.000001"))
    return values


def _check(site: Site) -> None:
    try:
        site.clean_fields(exclude=["tenant"])
    except ValidationError as error:
        raise Invalid(fields={name: " ".join(texts) for name, texts in error.message_dict.items()}) from None
    same_name = Site.objects.filter(tenant_id=site.tenant_id, name=site.name).exclude(pk=site.pk)
    if same_name.exists():
        raise Conflict(f"There is a site named {site.name} already. Choose another name.", code="name_taken")
