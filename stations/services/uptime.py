"""Uptime by the rules of regulators: months of ports, kept; sums over them for sites, networks and years.

US, 23 CFR 680.116(b): percent = (525,600 - (T_outage - T_excluded)) / 525,600 x 100 a port, of the previous twelve
months, to be greater than 97. For a shorter time, or a port that is newer, its minutes stand for 525,600.
UK, Public Charge Point Regulations 2023, reg. 7: rapid ports (50 kW and more) of the public network, together, 99 %
of a calendar year.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from stations import ports, spans
from stations.models import Evse, Exclusion, PortMonth, Station, UptimeScheme
from tenants import locks
from tenants.context import current_alias
from tenants.models.tenant import SiteAccess

log = logging.getLogger("voltyard.uptime")

YEAR_S = 525_600 * 60
THRESHOLDS = {"us": Decimal(97), "uk": Decimal(99), "effective": Decimal(97)}
RAPID_W = 50_000
MOST_OUTAGES = 40  # kept a month, the longest
SETTLES_AFTER = timedelta(days=7)  # late news may come so long after a month's end
AT_ONCE = 60  # months of stations, while a person waits
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_FOUR = Decimal("0.0001")


def percent(*, period_s: int, outage_s: int, excluded_s: int = 0) -> Decimal | None:
    """(period - (outage - excluded)) / period x 100, to four decimals. None without a period."""
    if period_s <= 0:
        return None
    exact = Fraction(period_s - (outage_s - excluded_s), period_s) * 100
    return (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(_FOUR, ROUND_HALF_UP)


def passes(scheme: str, *, period_s: int, outage_s: int, excluded_s: int = 0) -> bool | None:
    """Exact, not rounded. US: "greater than 97 percent"; UK: 99 % or more."""
    if period_s <= 0:
        return None
    up = Fraction(period_s - (outage_s - excluded_s), period_s) * 100
    limit = Fraction(THRESHOLDS[scheme])
    return up >= limit if scheme == UptimeScheme.UK else up > limit


def month_of(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date().replace(day=1)


def shifted(month: date, by: int) -> date:
    """The first of the month so many months later."""
    count = month.year * 12 + month.month - 1 + by
    return date(count // 12, count % 12 + 1, 1)


def edges(month: date, zone: str) -> tuple[datetime, datetime]:
    """Its first and its end in UTC, as the site's clock has them: with daylight saving, months differ by an hour."""

    def first(day: date) -> datetime:
        return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)

    return first(month), first(shifted(month, 1))


def exclusions_of(tenant_id: int, start: datetime, end: datetime) -> list[Exclusion]:
    return list(
        Exclusion.objects.filter(
            tenant_id=tenant_id, withdrawn_at=None, starts_at__lt=end, ends_at__gt=start
        ).select_related("site", "station", "connector__evse")
    )


def compute(*, station: Station, month: date, now: datetime) -> list[PortMonth]:
    """Compute a month of a station's ports anew, up to now, and keep it."""
    # One after the other: who comes second reads what the first has entered meanwhile.
    locks.hold("uptime", station.tenant_id)
    start, end = edges(month, station.site.time_zone)
    until = min(end, now)
    excuses = [one for one in exclusions_of(station.tenant_id, start, end) if one.speaks_of(station)]
    found = ports.of_station(station, start, until, excuses) if until > start else []
    kept = [_row(station, port, month, round((end - start).total_seconds()), now, end) for port in found]
    PortMonth.objects.bulk_create(
        kept,
        update_conflicts=True,
        unique_fields=["evse", "month", "tenant"],
        update_fields=[
            "station", "month_s", "period_s", "unknown_s", "outage_s", "excluded_s", "failed_s", "uk_period_s",
            "uk_down_s", "starts", "failed_starts", "outages", "final", "computed_at",
        ],
    )  # fmt: skip
    return kept


def _row(
    station: Station, port: ports.PortTime, month: date, month_s: int, now: datetime, end: datetime
) -> PortMonth:
    longest = sorted(port.outages, key=lambda one: one.start - one.end)[:MOST_OUTAGES]
    return PortMonth(
        tenant_id=station.tenant_id, station=station, evse=port.evse, month=month, month_s=month_s,
        period_s=spans.seconds(port.period), unknown_s=spans.seconds(port.unknown),
        outage_s=spans.seconds(port.outage), excluded_s=spans.seconds(port.excluded),
        failed_s=spans.seconds(spans.difference(port.failed, port.excluded)),
        uk_period_s=spans.seconds(port.uk_period), uk_down_s=spans.seconds(port.uk_down),
        starts=port.starts, failed_starts=port.failed_starts, final=now - end > SETTLES_AFTER, computed_at=now,
        outages=[
            {
                "from": one.start.isoformat(), "to": one.end.isoformat(), "why": one.why, "detail": one.detail[:200],
                "seconds": round((one.end - one.start).total_seconds()),
                "excluded_s": spans.seconds(spans.clip(port.excluded, one.start, one.end)),
                "uk_down_s": spans.seconds(spans.clip(port.uk_down, one.start, one.end)),
            }
            for one in longest
        ],
    )  # fmt: skip


def stations_in(tenant_id: int, start: datetime) -> list[Station]:
    """Stations in service at that time or later, the removed ones of it included."""
    return list(
        Station.objects.filter(tenant_id=tenant_id)
        .filter(Q(archived_at=None) | Q(archived_at__gt=start))
        .select_related("site")
        .order_by("site__name", "identity")
    )


def refresh(*, tenant_id: int, months: Iterable[date], now: datetime, only: Station | None = None) -> int:
    """Compute months of all stations anew, or of one. Those that are final are left as they are."""
    done = 0
    for month in months:
        stations = [only] if only else stations_in(tenant_id, edges(month, "UTC")[0])
        final = set(
            PortMonth.objects.filter(tenant_id=tenant_id, month=month, final=True).values_list(
                "station_id", flat=True
            )
        )
        for station in stations:
            if station.pk not in final:
                compute(station=station, month=month, now=now)
                done += 1
    return done


def sweep(*, tenant_id: int, now: datetime, at_most: int = 200) -> int:
    """Keep the present month and the one before up to date, and older ones that are not final (nobody was here to end
    them, or a time was excluded), the stalest stations first. The trouble of one station is not the next one's; one
    without a port has nothing to keep."""
    this = now.date().replace(day=1)
    last = shifted(this, -1)
    older = PortMonth.objects.filter(tenant_id=tenant_id, month__lt=last, final=False).order_by("month")
    done = 0
    for month in (*older.values_list("month", flat=True).distinct(), last, this):
        stale = timedelta(hours=1) if month == this else timedelta(hours=12)
        newest = dict(
            PortMonth.objects.filter(tenant_id=tenant_id, month=month)
            .values_list("station_id")
            .annotate(at=Max("computed_at"))
        )
        final = set(
            PortMonth.objects.filter(tenant_id=tenant_id, month=month, final=True).values_list(
                "station_id", flat=True
            )
        )
        due = [
            station
            for station in stations_in(tenant_id, edges(month, "UTC")[0])
            if station.pk not in final
            and newest.get(station.pk, NEVER) < now - stale
            and (month >= last or station.pk in newest)
        ]
        for station in sorted(due, key=lambda one: newest.get(one.pk, NEVER)):
            if done >= at_most:
                break
            try:
                with transaction.atomic(using=current_alias()):
                    done += bool(compute(station=station, month=month, now=now))
            except Exception:
                log.exception("uptime not computed", extra={"station": station.pk})
    return done


def reopen(*, tenant_id: int, site_id: int, station_id: int | None, start: datetime, end: datetime) -> None:
    """What is known of this time has changed: its months are computed anew, a few at once (somebody waits), the others
    by the sweep."""
    now, done = timezone.now(), 0
    place = {"pk": station_id} if station_id else {"site_id": site_id}
    for station in Station.objects.filter(tenant_id=tenant_id, **place).select_related("site"):
        month, last = month_of(start, station.site.time_zone), month_of(min(end, now), station.site.time_zone)
        while month <= last:
            if done < AT_ONCE:
                compute(station=station, month=month, now=now)
            else:
                kept = PortMonth.objects.filter(tenant_id=tenant_id, station=station, month=month)
                kept.update(final=False, computed_at=NEVER)
            done, month = done + 1, shifted(month, 1)


# --- sums


@dataclass
class Sum:
    """What some port months come to under a scheme, in seconds."""

    scheme: str
    month_s: int = 0
    period_s: int = 0
    unknown_s: int = 0
    outage_s: int = 0
    excluded_s: int = 0
    starts: int = 0
    failed_starts: int = 0
    months: set[date] = field(default_factory=set)
    full: bool = True  # in service and known the whole time

    def add(self, row: PortMonth) -> None:
        us = self.scheme != UptimeScheme.UK
        self.month_s += row.month_s
        self.period_s += row.period_s if us else row.uk_period_s
        self.unknown_s += row.unknown_s if us else 0
        self.outage_s += row.outage_s if us else row.uk_down_s
        self.excluded_s += row.excluded_s if us else 0
        if self.scheme == UptimeScheme.EFFECTIVE:
            self.outage_s += row.failed_s
        self.starts += row.starts
        self.failed_starts += row.failed_starts
        self.months.add(row.month)
        self.full = self.full and row.period_s == row.month_s

    @property
    def percent(self) -> Decimal | None:
        return percent(period_s=self.period_s, outage_s=self.outage_s, excluded_s=self.excluded_s)

    @property
    def passes(self) -> bool | None:
        return passes(self.scheme, period_s=self.period_s, outage_s=self.outage_s, excluded_s=self.excluded_s)

    @property
    def counted_s(self) -> int:
        """The outage that counts."""
        return self.outage_s - self.excluded_s

    @property
    def started_share(self) -> Decimal | None:
        if not self.starts:
            return None
        return (Decimal(100 * (self.starts - self.failed_starts)) / self.starts).quantize(Decimal("0.1"))


def total(rows: Iterable[PortMonth], scheme: str, *, year: bool = False) -> Sum:
    """The sum of rows. `year`: of one port over twelve whole months, where the US regulation says 525,600 minutes."""
    found = Sum(scheme)
    for row in rows:
        found.add(row)
    if year and scheme != UptimeScheme.UK and len(found.months) == 12 and found.full:
        found.period_s = YEAR_S
    return found


def rapid_evses(tenant_id: int) -> set[int]:
    """Ports that the UK rule is about: public, 50 kW or more, in the United Kingdom."""
    return set(
        Evse.objects.filter(
            tenant_id=tenant_id, connectors__max_power_w__gte=RAPID_W, station__site__access=SiteAccess.PUBLIC,
            station__site__country="GB",
        ).values_list("id", flat=True)
    )  # fmt: skip


def rows_of(
    tenant_id: int,
    scheme: str,
    first: date,
    last: date,
    *,
    site_ids: Iterable[int] | None = None,
    station_id: int | None = None,
) -> list[PortMonth]:
    """Months of the ports that the scheme is about, oldest first."""
    in_service = Q(period_s__gt=0) | Q(unknown_s__gt=0)
    found = PortMonth.objects.filter(
        in_service, tenant_id=tenant_id, month__gte=first, month__lte=last
    ).select_related("station__site", "evse")
    if site_ids is not None:
        found = found.filter(station__site_id__in=list(site_ids))
    if station_id is not None:
        found = found.filter(station_id=station_id)
    rows = list(found.order_by("month", "station__site__name", "station__identity", "evse__number"))
    if scheme == UptimeScheme.UK:
        rapid = rapid_evses(tenant_id)
        rows = [row for row in rows if row.evse_id in rapid]
    return rows
