"""One message about an unknown session: find the session it belongs to, or set it aside with a note."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from stations import flags, history, visible
from stations.models import OrphanMessage, Session, SessionState, Station
from stations.services import orphan_review, orphans, sessions
from stations.views.common import get_station
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, go, page
from tenants.permissions import Permission


def _get(request: PageRequest, station_id: int, orphan_id: int) -> tuple[Station, OrphanMessage]:
    station = get_station(request, station_id)
    found = station.orphans.filter(tenant_id=station.tenant_id, pk=orphan_id).select_related("station")
    orphan = found.first()
    if orphan is None:
        raise NotFound
    return station, orphan


@page(Permission.SESSION_REVIEW)
def orphan(request: PageRequest, station_id: int, orphan_id: int) -> HttpResponse:
    station, found = _get(request, station_id, orphan_id)
    stop = orphans.stop_of(found)
    fits = orphan_review.fitting(orphan=found, actor=request.actor)
    context = {
        "station": station,
        "orphan": found,
        "stop": stop,
        "stopped_at": sessions.stop_time(stop)[0] if stop else None,
        "reason": history.trigger_text(stop.reason) if stop else "",
        "fits": [(fit, flags.reason(fit.outcome.held_reason)) for fit in fits],
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/orphan.html", context)


@require_POST
@page(Permission.SESSION_REVIEW)
def apply(request: PageRequest, station_id: int, orphan_id: int) -> HttpResponse:
    """End the chosen session by this stop."""
    station, found = _get(request, station_id, orphan_id)
    number = request.POST.get("session_id", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        messages.error(request, _("Choose the session that this stop belongs to."))
        return go(request, "orphan", station.pk, found.pk)
    session = visible.sessions(station.tenant_id, request.actor).filter(pk=int(number)).first()
    if session is None:
        raise NotFound
    try:
        orphan_review.apply(orphan=found, session=session, actor=request.actor)
    except DomainError as error:
        messages.error(request, error.detail)
        return go(request, "orphan", station.pk, found.pk)
    session.refresh_from_db()
    messages.success(request, _outcome(session))
    return go(request, "session", session.pk)


def _outcome(session: Session) -> str:
    told = {
        SessionState.ENDED: _("The stop is applied. The price of session #%(id)s follows within seconds."),
        SessionState.HELD: _("The stop is applied. Session #%(id)s is held for review."),
    }
    text = told.get(
        SessionState(session.state), _("The stop is applied. It changes nothing of session #%(id)s.")
    )
    return text % {"id": session.pk}


@require_POST
@page(Permission.SESSION_REVIEW)
def resolve(request: PageRequest, station_id: int, orphan_id: int) -> HttpResponse:
    """Say what was found out about a message for an unknown session."""
    station, found = _get(request, station_id, orphan_id)
    try:
        orphan_review.resolve(
            orphan=found, actor=request.actor, resolution=request.POST.get("resolution", "")
        )
    except DomainError as error:
        messages.error(request, error.detail)
        return go(request, "orphan", station.pk, found.pk)
    messages.success(request, _("Resolved. What you found out is in the audit."))
    return go(request, "station-health", station.pk)
