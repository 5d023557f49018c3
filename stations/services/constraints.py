"""Limits that others set: the grid operator, an energy management, a partner. Rows that `energy` reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from stations import limits, live, schedules
from stations.models import LimitSource, PowerConstraint, Station
from stations.neutral import EventReport
from stations.neutral_power import LimitTold
from stations.schedules import Period
from stations.services import events
from tenants.errors import Conflict, Invalid, NotFound
from tenants.models import Site
from tenants.permissions import Actor, Permission
from tenants.services import audit, facts

MOST_OPEN = 200  # of a site, set from outside


def set_limit(
    *,
    tenant_id: int,
    actor: Actor,
    source: str,
    site_id: int | None = None,
    station_id: int | None = None,
    evse: int = 0,
    power_w: float | None = None,
    amps: float | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    reference: str = "",
    told_by: str = "api",
) -> PowerConstraint:
    """Set a limit for a site or one of its stations. One of the same place, source and reference is replaced."""
    station = None
    if station_id is not None:
        station = Station.objects.filter(tenant_id=tenant_id, pk=station_id, archived_at=None).first()
        if station is None or (site_id is not None and station.site_id != site_id):
            raise NotFound("There is no such station.")
        site_id = station.site_id
    site = Site.objects.filter(tenant_id=tenant_id, pk=site_id).first() if site_id else None
    if site is None or (actor.site_ids is not None and site.pk not in actor.site_ids):
        raise NotFound("There is no such site.")
    actor.require(Permission.LIMIT_SET, site_id=site.pk)
    now = timezone.now()
    starts_at = starts_at or now
    wrong = _faults(source, power_w, amps, starts_at, ends_at, now)
    if evse and station is None:
        wrong["evse"] = "Name the station of this connector."
    if wrong:
        raise Invalid(fields=wrong)
    same = PowerConstraint.objects.filter(
        tenant_id=tenant_id, site=site, station=station, evse_number=evse, source=source, reference=reference,
        cleared_at=None,
    ).exclude(told_by="station")  # fmt: skip
    same.update(cleared_at=now, cleared_by=actor.label[:120])
    if limits.open_constraints(tenant_id, now, site=site).count() >= MOST_OPEN:
        raise Conflict("This site has too many limits already: clear some first.")
    value, unit = (power_w, schedules.WATTS) if power_w is not None else (amps, schedules.AMPS)
    row = PowerConstraint.objects.create(
        tenant_id=tenant_id, site=site, station=station, evse_number=evse, source=source, unit=unit,
        periods=[Period(0, value).as_json()], starts_at=starts_at, ends_at=ends_at, reference=reference[:80],
        told_by=told_by, label=actor.label[:120],
    )  # fmt: skip
    audit.record(
        tenant_id=tenant_id, actor=actor, action="limit.set", subject=row, site_id=site.pk,
        detail={"source": source, "value": value, "unit": unit},
    )  # fmt: skip
    _announce(row)
    return row


def _faults(
    source: str,
    power_w: float | None,
    amps: float | None,
    starts_at: datetime,
    ends_at: datetime | None,
    now: datetime,
) -> dict[str, str]:
    wrong = {}
    if source not in LimitSource.values:
        wrong["source"] = f"Choose one of {', '.join(LimitSource.values)}."
    value = power_w if power_w is not None else amps
    if (power_w is None) == (amps is None):
        wrong["power_w"] = "Give either a power or amps."
    elif value is not None and not 0 <= value < 1e9:
        wrong["power_w" if power_w is not None else "amps"] = "A limit is a number from 0 up."
    if ends_at is not None and ends_at <= max(starts_at, now):
        wrong["ends_at"] = "It ends before it begins, or is over already."
    return wrong


def clear(*, tenant_id: int, constraint_id: int, actor: Actor) -> PowerConstraint:
    """Take a limit back. Conflict for one that a station told of: whoever set it there takes it back."""
    row = (
        PowerConstraint.objects.select_related("station")
        .select_for_update(of=("self",))
        .filter(tenant_id=tenant_id, pk=constraint_id)
        .first()
    )
    if row is None or (actor.site_ids is not None and row.site_id not in actor.site_ids):
        raise NotFound("There is no such limit.")
    actor.require(Permission.LIMIT_SET, site_id=row.site_id)
    if row.told_by == "station":
        raise Conflict("The station told of this limit: it goes when whoever set it there takes it back.")
    if row.cleared_at is None:
        row.cleared_at, row.cleared_by = timezone.now(), actor.label[:120]
        row.save(update_fields=["cleared_at", "cleared_by"])
        audit.record(tenant_id=tenant_id, actor=actor, action="limit.clear", subject=row, site_id=row.site_id)
        _announce(row)
    return row


def record(*, tenant_id: int, reports: Sequence[LimitTold]) -> None:
    """NotifyChargingLimit and ClearedChargingLimit (K11 to K13): a new word of a source takes the place of its last."""
    sites = dict(
        Station.objects.filter(tenant_id=tenant_id, pk__in={told.station_id for told in reports}).values_list(
            "pk", "site_id"
        )
    )
    for told in reports:
        if told.station_id not in sites or not 0 <= (told.evse or 0) <= 32_767:
            continue
        before = PowerConstraint.objects.filter(
            tenant_id=tenant_id,
            station_id=told.station_id,
            source=told.source,
            told_by="station",
            cleared_at=None,
        )
        if told.evse is not None:
            before = before.filter(evse_number=told.evse)
        before.update(cleared_at=told.received_at, cleared_by=_("the station"))
        if not told.cleared:
            _keep(tenant_id, sites[told.station_id], told)
        _note(tenant_id, told)
        live.publish(
            tenant_id, kind="station", station_id=told.station_id, site_id=sites[told.station_id],
            data={"id": told.station_id},
        )  # fmt: skip
        facts.publish(
            tenant_id=tenant_id, kind="limit.changed", subject_type="station", subject_id=told.station_id,
            payload={"station_id": told.station_id, "site_id": sites[told.station_id], "source": told.source},
        )  # fmt: skip


def _keep(tenant_id: int, site_id: int, told: LimitTold) -> None:
    """Each schedule is a row. None told (K12: the source alone): a row without a value says that there is a limit."""
    for schedule in told.schedules[:3] or (None,):
        start = (schedule and schedule.starts_at) or told.received_at
        length = schedule.duration_s if schedule else None
        PowerConstraint.objects.create(
            tenant_id=tenant_id,
            site_id=site_id,
            station_id=told.station_id,
            evse_number=told.evse or 0,
            source=told.source,
            unit=schedule.unit[:1] if schedule else schedules.WATTS,
            periods=[period.as_json() for period in schedule.periods] if schedule else [],
            starts_at=start,
            ends_at=None if not length or length < 0 else schedules.later(start, length),
            grid_critical=told.grid_critical,
            local_generation=told.local_generation,
            told_by="station",
        )


def _note(tenant_id: int, told: LimitTold) -> None:
    who = LimitSource(told.source).label
    text = f"Limit taken back by: {who}" if told.cleared else f"Limit set by: {who}"
    events.record(
        tenant_id=tenant_id,
        reports=[
            EventReport(
                station_id=told.station_id,
                kind="limit",
                severity="warning" if told.grid_critical else "info",
                text=text,
                raw_timestamp="",
                received_at=told.received_at,
                evse=told.evse,
            )
        ],
    )


def _announce(row: PowerConstraint) -> None:
    live.publish(
        row.tenant_id,
        kind="site",
        station_id=row.station_id or 0,
        site_id=row.site_id,
        data={"id": row.site_id},
    )
    facts.publish(
        tenant_id=row.tenant_id, kind="limit.changed", subject_type="site", subject_id=row.site_id,
        payload={"station_id": row.station_id, "site_id": row.site_id, "source": row.source},
    )  # fmt: skip
