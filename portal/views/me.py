"""A person's own charging: sessions and tokens of the driver that the user is."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST

from energy import outlook
from fleets.models import Driver, Token
from portal.views import reserve
from stations.models import Session, SessionState
from stations.outlooks import Outlook
from stations.services import needs
from stations.views import wish
from stations.views.wish import WishForm
from tenants.errors import NotFound
from tenants.pages import PageRequest, go, listing, page
from tenants.permissions import Permission


@dataclass(frozen=True)
class Running:
    """A session that runs, what its driver wants of it, and what load management has in mind."""

    session: Session
    wanted: str
    form: WishForm
    outlook: Outlook | None


@page(Permission.OWN_VIEW)
def me(request: PageRequest) -> HttpResponse:
    return _page(request, {})


def _page(request: PageRequest, refused: dict[int, WishForm]) -> HttpResponse:
    """`refused`: wishes by session that have to be corrected."""
    drivers = list(Driver.objects.filter(tenant_id=request.tenant.pk, user_id=request.actor.user_id or 0))
    sessions = Session.objects.filter(tenant_id=request.tenant.pk, driver__in=drivers).select_related(
        "station", "site"
    )
    tokens = Token.objects.filter(tenant_id=request.tenant.pk, driver__in=drivers)
    reservations = [one for one in reserve.own(request) if one.live]
    running = list(sessions.filter(state=SessionState.ACTIVE).select_related("evse", "driver")[:5])
    context = {
        "reservations": reservations,
        "drivers": drivers,
        "tokens": tokens,
        "running": _running(request, running, refused),
        "listing": listing(request, sessions, size=20),
    }
    return render(request, "portal/me.html", context, status=422 if refused else 200)


def _running(request: PageRequest, sessions: list[Session], refused: dict[int, WishForm]) -> list[Running]:
    planned = outlook.of_sessions(request.tenant.pk, sessions)
    found = []
    for session in sessions:
        row = needs.of_session(session)
        form = refused.get(session.pk) or WishForm.of(session, row)
        with timezone.override(ZoneInfo(session.site.time_zone)):
            wanted = wish.people_say(row)
        found.append(Running(session, wanted, form, planned.get(session.pk)))
    return found


@require_POST
@page(Permission.OWN_VIEW)
def say_wish(request: PageRequest, running_id: int) -> HttpResponse:
    """What the driver wants of a session of theirs."""
    session = (
        Session.objects.filter(
            tenant_id=request.tenant.pk, pk=running_id, driver__user_id=request.actor.user_id or 0
        )
        .select_related("station", "site", "evse", "driver")
        .first()
    )
    if session is None:
        raise NotFound
    refused = wish.save(request, session)
    return _page(request, {session.pk: refused}) if refused else go(request, "me")
