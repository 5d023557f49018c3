"""Times that do not count against uptime: entered with evidence, withdrawn with a reason, never erased."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from stations.models import Connector, Exclusion, ExclusionCategory, Station
from stations.services import uptime
from tenants.errors import Conflict, Invalid
from tenants.models import Site
from tenants.permissions import Actor, Permission
from tenants.services import audit

LONGEST = timedelta(days=366)
FARTHEST_AHEAD = timedelta(days=366)


def enter(
    *,
    tenant_id: int,
    actor: Actor,
    category: str,
    site: Site,
    starts_at: datetime,
    ends_at: datetime,
    evidence: str,
    reference: str = "",
    station: Station | None = None,
    connector: Connector | None = None,
) -> Exclusion:
    """Enter one. Only scheduled maintenance and closing hours may lie ahead. Months it touches are computed anew."""
    actor.require(Permission.STATION_EDIT, site_id=site.pk)
    _check(category, site, station, connector, starts_at, ends_at, evidence)
    row = Exclusion.objects.create(
        tenant_id=tenant_id, category=category, site=site, station=station, connector=connector,
        starts_at=starts_at, ends_at=ends_at, evidence=evidence.strip(), reference=reference.strip()[:400],
        entered_by=actor.label[:120],
    )  # fmt: skip
    audit.record(
        tenant_id=tenant_id, actor=actor, action="exclusion.create", subject=row, site_id=site.pk,
        detail={
            "category": category, "station": station.pk if station else None,
            "connector": connector.pk if connector else None, "from": starts_at.isoformat(),
            "until": ends_at.isoformat(), "evidence": row.evidence[:400], "reference": row.reference,
        },
    )  # fmt: skip
    _recompute(row)
    return row


def _check(
    category: str, site: Site, station: Station | None, connector: Connector | None, starts_at: datetime,
    ends_at: datetime, evidence: str,
) -> None:  # fmt: skip
    if category not in ExclusionCategory.values:
        raise Invalid(fields={"category": f"Choose one of {', '.join(ExclusionCategory.values)}."})
    if ends_at <= starts_at:
        raise Invalid(fields={"ends_at": "The end must be later than the beginning."})
    if ends_at - starts_at > LONGEST:
        raise Invalid(fields={"ends_at": "At most a year at once."})
    now = timezone.now()
    ahead = category in (ExclusionCategory.MAINTENANCE, ExclusionCategory.CLOSED)
    if ends_at > now + (FARTHEST_AHEAD if ahead else timedelta()):
        raise Invalid(
            fields={
                "ends_at": "Only scheduled maintenance and closing hours can be entered ahead, by a year."
            }
        )
    if not evidence.strip():
        raise Invalid(
            fields={"evidence": "Say what shows it: a ticket, a notice of the utility, a police report."}
        )
    if station is not None and station.site_id != site.pk:
        raise Invalid(fields={"station_id": "This station stands at another site."})
    if connector is not None and (station is None or connector.evse.station_id != station.pk):
        raise Invalid(fields={"connector_id": "This connector belongs to another station."})


def withdraw(*, exclusion: Exclusion, actor: Actor, reason: str) -> Exclusion:
    """It counts no longer; the row stays, with who withdrew it and why."""
    actor.require(Permission.STATION_EDIT, site_id=exclusion.site_id)
    if exclusion.withdrawn_at:
        raise Conflict("It was withdrawn already.")
    if not reason.strip():
        raise Invalid(fields={"reason": "Say why it is withdrawn."})
    exclusion.withdrawn_at, exclusion.withdrawn_by = timezone.now(), actor.label[:120]
    exclusion.withdrawn_reason = reason.strip()[:400]
    exclusion.save(update_fields=["withdrawn_at", "withdrawn_by", "withdrawn_reason"])
    audit.record(
        tenant_id=exclusion.tenant_id, actor=actor, action="exclusion.withdraw", subject=exclusion,
        site_id=exclusion.site_id, detail={"reason": exclusion.withdrawn_reason},
    )  # fmt: skip
    _recompute(exclusion)
    return exclusion


def _recompute(row: Exclusion) -> None:
    now = timezone.now()
    if row.starts_at < now:
        uptime.reopen(
            tenant_id=row.tenant_id, site_id=row.site_id, station_id=row.station_id, start=row.starts_at,
            end=row.ends_at,
        )  # fmt: skip
