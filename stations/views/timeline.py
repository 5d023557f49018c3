"""What happened to a station, merged: connections, boots, status, cards shown, commands; and how long it was online."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from stations import history, uptime
from stations.services import orphan_review
from stations.views.common import get_station
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, go, page
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


@require_POST
@page(Permission.SESSION_REVIEW)
def resolve(request: PageRequest, station_id: int, orphan_id: int) -> HttpResponse:
    """Say what was found out about a message for an unknown session."""
    station = get_station(request, station_id)
    orphan = station.orphans.filter(tenant_id=station.tenant_id, pk=orphan_id, resolved_at=None).first()
    if orphan is None:
        raise NotFound
    try:
        orphan_review.resolve(
            orphan=orphan, actor=request.actor, resolution=request.POST.get("resolution", "")
        )
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, _("Resolved. What you found out is in the audit."))
    return go(request, "station-timeline", station.pk)
