"""A person's own charging: sessions and tokens of the driver that the user is."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from fleets.models import Driver, Token
from portal.views import reserve
from stations.models import Session, SessionState
from tenants.pages import PageRequest, listing, page
from tenants.permissions import Permission


@page(Permission.OWN_VIEW)
def me(request: PageRequest) -> HttpResponse:
    drivers = list(Driver.objects.filter(tenant_id=request.tenant.pk, user_id=request.actor.user_id or 0))
    sessions = Session.objects.filter(tenant_id=request.tenant.pk, driver__in=drivers).select_related(
        "station", "site"
    )
    tokens = Token.objects.filter(tenant_id=request.tenant.pk, driver__in=drivers)
    reservations = [one for one in reserve.own(request) if one.live]
    context = {
        "reservations": reservations,
        "drivers": drivers,
        "tokens": tokens,
        "running": sessions.filter(state=SessionState.ACTIVE)[:5],
        "listing": listing(request, sessions, size=20),
    }
    return render(request, "portal/me.html", context)
