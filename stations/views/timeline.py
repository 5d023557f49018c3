"""What happened to a station, merged: connections, boots, status, cards shown, commands; and how long it was online."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from stations import history, uptime
from stations.views.common import get_station
from tenants.pages import PageRequest, page
from tenants.permissions import Permission


@page(Permission.STATION_VIEW)
def timeline(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    zone = ZoneInfo(station.site.time_zone)
    context = {
        "station": station,
        "tab": "timeline",
        "days": uptime.online_days(station, zone),
        "uptime": uptime.uptime(station),
        "happenings": history.of_station(station),
        "orphans": station.orphans.filter(tenant_id=station.tenant_id, resolved_at=None)[:20],
    }
    with timezone.override(zone):
        return render(request, "stations/station_timeline.html", context)
