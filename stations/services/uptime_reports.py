"""Reports of uptime, as one sends them to an agency: CSV and PDF, made on demand and each month, kept for download."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.utils import timezone, translation

from stations import ports
from stations.models import Exclusion, PortMonth, Station, UptimeReport, UptimeScheme
from stations.services import report_pdf, uptime
from stations.services.uptime import Sum
from tenants.errors import Conflict, Invalid
from tenants.models import Site, Tenant
from tenants.permissions import Actor, Permission, system
from tenants.services import audit

MOST_KEPT = 400
DUE_AFTER = uptime.SETTLES_AFTER  # days of the next month: late news have come by then


@dataclass
class PortLine:
    """A port in a report."""

    site: str
    station: str
    identity: str
    port: str
    month: Sum
    year: Sum
    year_months: int


@dataclass
class Content:
    """What a report says, before it is put on paper."""

    tenant: Tenant
    scheme: str
    month: date
    site: Site | None
    made_at: datetime
    made_by: str
    month_sum: Sum
    year_sum: Sum
    lines: list[PortLine] = field(default_factory=list)
    exclusions: list[Exclusion] = field(default_factory=list)
    outages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def threshold(self) -> Decimal:
        return uptime.THRESHOLDS[self.scheme]

    @property
    def decides(self) -> Sum:
        """US: the twelve months of each port; UK: the calendar year of the network."""
        return self.year_sum

    def known(self) -> list[PortLine]:
        """Those that have a figure: a port that never told its state has none."""
        return [line for line in self.lines if line.year.passes is not None]

    def below(self) -> list[PortLine]:
        return [line for line in self.lines if line.year.passes is False]


def content(
    *, tenant_id: int, scheme: str, month: date, site: Site | None, now: datetime, made_by: str
) -> Content:
    """Read the months. US and effective: the twelve months that end with `month`; UK: its calendar year so far."""
    first = month.replace(month=1) if scheme == UptimeScheme.UK else uptime.shifted(month, -11)
    rows = uptime.rows_of(tenant_id, scheme, first, month, site_ids=[site.pk] if site else None)
    by_port: dict[int, list[PortMonth]] = defaultdict(list)
    for row in rows:
        by_port[row.evse_id].append(row)
    lines = [_line(port, scheme, month) for port in by_port.values()]
    found = Content(
        Tenant.objects.get(pk=tenant_id), scheme, month, site, now, made_by,
        uptime.total([row for row in rows if row.month == month], scheme), uptime.total(rows, scheme), lines,
    )  # fmt: skip
    found.lines.sort(key=lambda line: (line.site, line.station, line.port))
    start, _end = uptime.edges(first, found.tenant.time_zone)
    _start, end = uptime.edges(month, found.tenant.time_zone)
    stations = {row.station_id: row.station for row in rows}
    taken_off = ports.UK_CATEGORIES if scheme == UptimeScheme.UK else ports.US_CATEGORIES
    excuses = [
        one
        for one in uptime.exclusions_of(tenant_id, start, end)
        if one.category in taken_off and (site is None or one.site_id == site.pk)
    ]
    found.exclusions = sorted(excuses, key=lambda one: one.starts_at)
    found.outages = worst_outages([row for row in rows if row.month == month], stations, scheme=scheme)
    return found


def _line(rows: Sequence[PortMonth], scheme: str, month: date) -> PortLine:
    one = rows[-1]
    port = one.evse.evse_id or f"{one.station.identity}-{one.evse.number}"
    year = uptime.total(rows, scheme, year=True)
    return PortLine(
        one.station.site.name, str(one.station), one.station.identity, port,
        uptime.total([row for row in rows if row.month == month], scheme), year, len(year.months),
    )  # fmt: skip


def worst_outages(
    rows: Iterable[PortMonth],
    stations: dict[int, Station] | None = None,
    most: int = 15,
    scheme: str = UptimeScheme.US,
) -> list[dict[str, Any]]:
    """The outages that cost most, what does not count taken off. In the UK offline counts as unknown: no outage."""
    found = [
        {
            "station": (stations or {}).get(row.station_id) or row.station,
            "evse": row.evse,
            "from": datetime.fromisoformat(one["from"]),
            "to": datetime.fromisoformat(one["to"]),
            "why": one["why"],
            "detail": one.get("detail", ""),
            "seconds": one["seconds"],
            "counted_s": _counted(one, scheme),
        }
        for row in rows
        for one in row.outages
        if scheme != UptimeScheme.UK or one["why"] != "offline"
    ]
    found.sort(key=lambda one: (-one["counted_s"], -one["seconds"]))
    return found[:most]


def _counted(outage: dict[str, Any], scheme: str) -> int:
    counted: int = outage["seconds"] - outage.get("excluded_s", 0)
    return int(outage.get("uk_down_s", counted)) if scheme == UptimeScheme.UK else counted


def make(*, tenant_id: int, actor: Actor, scheme: str, month: date, site: Site | None = None) -> UptimeReport:
    """Make a report of a month that has begun, and keep it."""
    actor.require(Permission.STATION_EDIT, site_id=site.pk if site else None)
    if site is None and actor.site_ids is not None:
        raise Invalid(fields={"site_id": "Choose one of your sites."})
    if scheme not in UptimeScheme.values:
        raise Invalid(fields={"scheme": f"Choose one of {', '.join(UptimeScheme.values)}."})
    now = timezone.now()
    if month.day != 1 or month > now.date():
        raise Invalid(fields={"month": "Name the first day of a month that has begun, such as 2026-10-01."})
    if (
        UptimeReport.objects.filter(tenant_id=tenant_id, made_at__gt=now - timedelta(days=1)).count()
        >= MOST_KEPT
    ):
        raise Conflict("Enough reports were made today. Download one that is there.")
    uptime.refresh(tenant_id=tenant_id, months=[month], now=now)
    return _keep(tenant_id, actor, content(
        tenant_id=tenant_id, scheme=scheme, month=month, site=site, now=now, made_by=actor.label
    ))  # fmt: skip


def _keep(tenant_id: int, actor: Actor, told: Content) -> UptimeReport:
    with translation.override(told.tenant.language):
        pdf = report_pdf.draw(told)
    report = UptimeReport.objects.create(
        tenant_id=tenant_id, scheme=told.scheme, month=told.month, site=told.site,
        percent=told.decides.percent, ports=len(told.lines), below=len(told.below()), csv=as_csv(told), pdf=pdf,
        made_by=actor.label[:120],
    )  # fmt: skip
    audit.record(
        tenant_id=tenant_id, actor=actor, action="report.create", subject=report,
        site_id=told.site.pk if told.site else None,
        detail={"scheme": told.scheme, "month": told.month.isoformat()},
    )  # fmt: skip
    return report


CSV_HEADER = (
    "site", "station", "port", "period", "period_minutes", "t_outage_minutes", "t_excluded_minutes",
    "unknown_minutes", "uptime_percent", "threshold_percent", "meets_threshold", "starts", "failed_starts",
    "twelve_months_period_minutes", "twelve_months_outage_minutes", "twelve_months_excluded_minutes",
    "twelve_months_uptime_percent",
)  # fmt: skip


def as_csv(told: Content) -> str:
    """A line a port; minutes with two decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(CSV_HEADER)
    for line in told.lines:
        month, year = line.month, line.year
        writer.writerow(
            [
                _plain(line.site), _plain(line.identity), _plain(line.port), f"{told.month:%Y-%m}",
                minutes(month.period_s), minutes(month.outage_s), minutes(month.excluded_s), minutes(month.unknown_s),
                _percent(month.percent), told.threshold, _yes(line.year.passes),
                month.starts, month.failed_starts, minutes(year.period_s), minutes(year.outage_s),
                minutes(year.excluded_s), _percent(year.percent),
            ]
        )  # fmt: skip
    return text.getvalue()


def _plain(text: str) -> str:
    """A cell that a spreadsheet would run as a formula is made text."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def minutes(seconds: int) -> str:
    return f"{Decimal(seconds) / 60:.2f}"


def _yes(passes: bool | None) -> str:
    return "" if passes is None else "yes" if passes else "no"


def _percent(value: Decimal | None) -> str:
    return "" if value is None else f"{value:.4f}"


def outdated(*, tenant_id: int, reports: Sequence[UptimeReport]) -> set[int]:
    """Reports that would say something else now: a time was excluded, or one withdrawn, after they were made."""
    if not reports:
        return set()
    first = min(report.made_at for report in reports)
    changed = Exclusion.objects.filter(
        Q(entered_at__gt=first) | Q(withdrawn_at__gt=first), tenant_id=tenant_id
    )
    found = set()
    for one in changed:
        at = max(one.entered_at, one.withdrawn_at or one.entered_at)
        found |= {report.pk for report in reports if report.made_at < at and _touches(one, report)}
    return found


def _touches(one: Exclusion, report: UptimeReport) -> bool:
    start = (
        report.month.replace(month=1)
        if report.scheme == UptimeScheme.UK
        else uptime.shifted(report.month, -11)
    )
    if one.entered_at > report.made_at and one.withdrawn_at:
        return False  # came and went
    since, until = uptime.edges(start, "UTC")[0], uptime.edges(report.month, "UTC")[1]
    here = report.site_id in (None, one.site_id)
    return here and one.starts_at < until and one.ends_at > since


def monthly(*, tenant_id: int, now: datetime) -> int:
    """Once a month's late news are in: its reports, unless there are some. UK where it has rapid ports there."""
    month = uptime.shifted(now.date().replace(day=1), -1)
    if now < uptime.edges(month, "UTC")[1] + DUE_AFTER:
        return 0
    made = set(
        UptimeReport.objects.filter(tenant_id=tenant_id, month=month, site=None).values_list(
            "scheme", flat=True
        )
    )
    if not PortMonth.objects.filter(tenant_id=tenant_id, month=month, period_s__gt=0).exists():
        return 0
    actor, done = system("Monthly reports"), 0
    rapid = [UptimeScheme.UK] if uptime.rapid_evses(tenant_id) else []
    wanted = [UptimeScheme.US, UptimeScheme.EFFECTIVE, *rapid]
    for scheme in wanted:
        if scheme not in made:
            make(tenant_id=tenant_id, actor=actor, scheme=scheme, month=month)
            done += 1
    return done
