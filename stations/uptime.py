"""When a station was online: by day for a drawing, and as a share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from stations.lanes import online_spans
from stations.models import Connection, Station


@dataclass
class Day:
    """One day of a station: the stretches it was online, as shares of the day."""

    date: date
    stretches: list[tuple[float, float]] = field(default_factory=list)  # (start, width) in percent
    known: tuple[float, float] = (0.0, 100.0)
    share: float | None = None  # of the time that has passed, in percent


def online_days(station: Station, zone: ZoneInfo, count: int = 14) -> list[Day]:
    """The newest days first."""
    now = timezone.now()
    today = now.astimezone(zone).date()
    since = datetime.combine(today - timedelta(days=count - 1), time(), zone)
    spans, born = online_spans(station, since, now), _known_since(station)
    return [_day(today - timedelta(days=back), spans, zone, now, born) for back in range(count)]


def _day(
    day: date, spans: list[tuple[datetime, datetime]], zone: ZoneInfo, now: datetime, born: datetime
) -> Day:
    start = datetime.combine(day, time(), zone)
    end = datetime.combine(day + timedelta(days=1), time(), zone)
    length = (end - start).total_seconds()
    inside = [(max(a, start), min(b, end)) for a, b in spans if b > start and a < end]
    first, last = max(start, born), min(end, now)
    passed = (last - first).total_seconds()
    online = sum((b - a).total_seconds() for a, b in inside)
    return Day(
        date=day,
        stretches=[
            (100 * (a - start).total_seconds() / length, max(0.15, 100 * (b - a).total_seconds() / length))
            for a, b in inside
        ],
        known=(100 * (first - start).total_seconds() / length, max(0.0, 100 * passed / length)),
        share=min(100.0, 100 * online / passed) if passed > 0 else None,
    )


def _known_since(station: Station) -> datetime:
    """Since when there is anything to count: its first connection, which may be older than its entry here."""
    first = (
        Connection.objects.filter(tenant_id=station.tenant_id, station=station).order_by("opened_at").first()
    )
    return first.opened_at if first else station.created_at


def uptime(station: Station, days: int = 30) -> dict[str, Any]:
    """Share online over the last days (or since the station is known), and how often the link broke."""
    now = timezone.now()
    since = max(now - timedelta(days=days), _known_since(station))
    spans = online_spans(station, since, now)
    length = (now - since).total_seconds()
    online = sum((end - start).total_seconds() for start, end in spans)
    gaps = [b[0] - a[1] for a, b in pairwise(spans)]
    return {
        "percent": min(100.0, 100 * online / length) if length > 60 else None,
        "breaks": len(gaps),
        "longest": max(gaps, default=None),
        "days": days,
    }
