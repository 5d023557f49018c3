"""One station: its live connectors and its sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from stations import visible
from stations.models import (
    LIVE_RESERVATIONS,
    Connector,
    ConnectorStatus,
    Issue,
    IssueState,
    Reading,
    Reservation,
    Session,
    SessionState,
    Signal,
    Station,
)
from stations.services import signals
from stations.views.commands import by_people
from stations.views.common import get_station
from stations.views.issues import SEVERITY_ORDER, shown
from stations.views.offer import quick_commands
from tenants.pages import PageRequest, listing, page
from tenants.permissions import Permission


@page(Permission.STATION_VIEW)
def live(request: PageRequest, station_id: int) -> HttpResponse:
    return _render(request, station_id, "stations/station.html")


@page(Permission.STATION_VIEW)
def now(request: PageRequest, station_id: int) -> HttpResponse:
    """The live part alone, for htmx."""
    return _render(request, station_id, "stations/_station_now.html")


@page(Permission.SESSION_VIEW)
def sessions(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    rows = (
        visible.sessions(request.tenant.pk, request.actor)
        .filter(station=station)
        .select_related("driver", "token")
    )
    context = {"station": station, "tab": "sessions", "listing": listing(request, rows)}
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_sessions.html", context)


def _render(request: PageRequest, station_id: int, template: str) -> HttpResponse:
    station = get_station(request, station_id)
    connectors = list(
        visible.connectors(station.tenant_id, request.actor)
        .filter(evse__station=station)
        .select_related("evse")
        .order_by("evse__number", "number")
    )
    context = {
        "station": station,
        "tab": "live",
        "tiles": _tiles(request, station, connectors),
        "needs": [shown(issue, request.actor) for issue in _issues(station)],
        "latest": by_people(station.commands.filter(tenant_id=station.tenant_id))[:4],
        "recent": visible.sessions(request.tenant.pk, request.actor)
        .filter(station=station)
        .select_related("driver", "token")[:5],
        "quick": quick_commands(request.actor, station),
        "address": f"{settings.GATEWAY_URL}/ocpp/{request.tenant.slug}/",
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, template, context)


def _issues(station: Station) -> QuerySet[Issue]:
    """What is open here, whichever connector it is of."""
    found = Issue.objects.filter(tenant_id=station.tenant_id, station=station)
    return (
        found.exclude(state=IssueState.RESOLVED)
        .select_related("station", "site", "connector__evse", "rule", "assignee__user")
        .order_by(SEVERITY_ORDER, "opened_at")[:20]
    )


def _tiles(request: PageRequest, station: Station, connectors: Sequence[Connector]) -> list[dict[str, Any]]:
    """A tile a connector: its state, and the session that runs on its EVSE if it is on this connector."""
    running = {
        session.evse_id: session
        for session in Session.objects.filter(
            tenant_id=station.tenant_id, station=station, state=SessionState.ACTIVE
        ).select_related("driver", "token")
    }
    kept = _reservations(station)
    faults = signals.fault_words([one for one in connectors if one.status == ConnectorStatus.FAULTED])
    issues = {
        issue.connector_id: issue.pk
        for issue in Issue.objects.filter(
            tenant_id=station.tenant_id, station=station, signal=Signal.FAULTED
        ).exclude(state=IssueState.RESOLVED)
    }
    tiles = []
    for connector in connectors:
        session = running.get(connector.evse_id)
        if session and session.connector_id not in (None, connector.pk):
            session = None
        tiles.append(
            {
                "connector": connector,
                "session": session,
                "reservation": kept.get(connector.evse_id),
                "fault": faults.get(connector.pk, ""),
                "issue": issues.get(connector.pk),
                "curve": _recent_power(station, session) if session else [],
                "may_stop": request.actor.may(Permission.STATION_COMMAND, site_id=station.site_id),
            }
        )
    return tiles


def _reservations(station: Station) -> dict[int, Reservation]:
    """The present or next reservation of each EVSE within the day."""
    soon = timezone.now() + timedelta(hours=24)
    found = Reservation.objects.filter(
        tenant_id=station.tenant_id, station=station, state__in=LIVE_RESERVATIONS, starts_at__lt=soon
    ).select_related("driver", "token")
    kept: dict[int, Reservation] = {}
    for one in found.exclude(evse=None).order_by("starts_at"):
        kept.setdefault(one.evse_id, one)  # type: ignore[arg-type]
    return kept


def _recent_power(station: Station, session: Session) -> list[float]:
    """The newest 60 powers of a session, oldest first, for the sparkline."""
    found = Reading.objects.filter(
        tenant_id=station.tenant_id,
        station=station,
        session_id=session.pk,
        sampled_at__gte=session.started_at,
        power_w__isnull=False,
    ).order_by("-sampled_at")
    return [float(power or 0) for power in found.values_list("power_w", flat=True)[:60]][::-1]
