"""The health of a station: what needs somebody, a picture of its connectors over time, what happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from stations import health, history, uptime, visible
from stations.models import Connector, Issue, IssueState, PortMonth, Station, UptimeScheme
from stations.services import signals
from stations.services import uptime as regulated
from stations.views.common import get_station
from stations.views.issues import shown
from tenants.pages import PageRequest, page
from tenants.permissions import Permission


@page(Permission.STATION_VIEW)
def station_health(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    zone = ZoneInfo(station.site.time_zone)
    with timezone.override(zone):
        return render(request, "stations/station_health.html", _context(request, station, zone))


def _context(request: PageRequest, station: Station, zone: ZoneInfo) -> dict[str, Any]:
    now = timezone.now()
    span = health.span_of(request.GET.get("span", ""))
    until = _until(request.GET.get("until", ""), now)
    drawn = health.picture(station, span, until)
    length = timedelta(days=health.SPANS[span])
    issues = Issue.objects.filter(tenant_id=station.tenant_id, station=station)
    found = issues.select_related("station", "site", "connector__evse", "rule", "assignee__user")
    return {
        "station": station,
        "tab": "health",
        "needs": [shown(issue, request.actor) for issue in found.exclude(state=IssueState.RESOLVED)[:20]],
        "broken": _broken(request, station),
        "past": found.filter(state=IssueState.RESOLVED)[:5],
        "picture": drawn,
        "table": health.table(drawn.rows),
        "spans": list(health.SPANS),
        "earlier": (until - length).isoformat(),
        "later": (until + length).isoformat() if until + length < now - timedelta(minutes=1) else "",
        "is_now": until == now,
        "days": uptime.online_days(station, zone),
        "uptime": uptime.uptime(station),
        "ports": _ports(station, now),
        "happenings": history.of_station(station, limit=150),
        "orphans": station.orphans.filter(tenant_id=station.tenant_id, resolved_at=None)[:20],
    }


def _broken(request: PageRequest, station: Station) -> list[tuple[Connector, str]]:
    """Faulted connectors, with what the station said: an issue is opened only once a fault has lasted."""
    rows = visible.connectors(request.tenant.pk, request.actor).filter(evse__station=station)
    found = list(rows.filter(effective="faulted").select_related("evse"))
    words = signals.fault_words(found)
    return [(one, words[one.pk]) for one in found]


def _until(asked: str, now: datetime) -> datetime:
    try:
        found = parse_datetime(asked)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        return now
    return min(now, max(found, now - timedelta(days=800)))


def _ports(station: Station, now: datetime) -> list[tuple[int, regulated.Sum]]:
    """This month's uptime of each port, as last computed."""
    month = regulated.month_of(now, station.site.time_zone)
    rows = PortMonth.objects.filter(tenant_id=station.tenant_id, station=station, month=month)
    return [
        (row.evse.number, regulated.total([row], UptimeScheme.US))
        for row in rows.select_related("evse").order_by("evse__number")
    ]
