"""Whether cars may charge by what they say of themselves: off until a company, or a site, switches it on."""

from __future__ import annotations

from collections.abc import Collection

from fleets.models import Autocharge
from tenants.models import Site
from tenants.permissions import Actor, Permission
from tenants.services import audit


def switch(*, tenant_id: int, actor: Actor, site: Site | None = None, enabled: bool | None) -> None:
    """On or off for the company, or for one site; None: the site goes with the company again (the company: off)."""
    actor.require(Permission.SITE_EDIT, site_id=site.pk if site else None)
    rows = Autocharge.objects.filter(tenant_id=tenant_id, site=site)
    before = rows.values_list("enabled", flat=True).first()
    if enabled is None:
        rows.delete()
    else:
        Autocharge.objects.update_or_create(tenant_id=tenant_id, site=site, defaults={"enabled": enabled})
    if before != enabled:
        audit.record(
            tenant_id=tenant_id, actor=actor, action="autocharge.switch", subject=site,
            site_id=site.pk if site else None, detail={"before": before, "after": enabled},
        )  # fmt: skip


def on_at(tenant_id: int, site_ids: Collection[int]) -> dict[int, bool]:
    """Whether it is on, by site."""
    rows = Autocharge.objects.filter(tenant_id=tenant_id).values_list("site_id", "enabled")
    found: dict[int | None, bool] = dict(rows)
    return {site_id: found.get(site_id, found.get(None, False)) for site_id in site_ids}
