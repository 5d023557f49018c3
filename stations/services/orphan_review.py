"""Orphan messages are set aside once somebody has looked."""

from __future__ import annotations

from django.utils import timezone

from stations.models import OrphanMessage
from tenants.errors import Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit


def resolve(*, orphan: OrphanMessage, actor: Actor, resolution: str) -> OrphanMessage:
    """Say what was found out about it. It is never billed by itself."""
    actor.require(Permission.SESSION_REVIEW, site_id=orphan.station.site_id)
    if not resolution.strip():
        raise Invalid(fields={"resolution": "Say what you found out, in a few words."})
    orphan.resolution, orphan.resolved_at = resolution.strip()[:200], timezone.now()
    orphan.save(update_fields=["resolution", "resolved_at"])
    audit.record(
        tenant_id=orphan.tenant_id,
        actor=actor,
        action="orphan.resolve",
        subject=orphan,
        site_id=orphan.station.site_id,
        detail={"resolution": orphan.resolution},
    )
    return orphan
