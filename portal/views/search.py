"""One field finds everything the reader may see."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render

from fleets.models import Driver, Token
from portal import queries
from stations import visible
from tenants import queries as tenants
from tenants.pages import PageRequest, page
from tenants.permissions import Permission


@page(Permission.STATION_VIEW)
def search(request: PageRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()[:100]
    groups = _find(request, text) if text else {}
    return render(
        request, "portal/search.html", {"q": text, "groups": groups, "empty": not any(groups.values())}
    )


def _find(request: PageRequest, text: str) -> dict[str, list[object]]:
    tenant, actor = request.tenant, request.actor
    found: dict[str, list[object]] = {
        "stations": list(
            visible.stations(tenant.pk, actor).filter(visible.matching(text)).select_related("site")[:10]
        )
    }
    if actor.may(Permission.SITE_VIEW):
        wanted = Q(name__icontains=text) | Q(city__icontains=text) | Q(address__icontains=text)
        found["sites"] = list(tenants.sites(tenant.pk, actor).filter(wanted)[:10])
    if actor.may(Permission.SESSION_VIEW):
        found["sessions"] = list(queries.search_sessions(tenant, actor, text))
    if actor.may(Permission.TOKEN_VIEW):
        wanted = Q(uid__icontains=text) | Q(visual_number__icontains=text) | Q(driver__name__icontains=text)
        found["tokens"] = list(
            Token.objects.filter(wanted, tenant_id=tenant.pk).select_related("driver")[:10]
        )
    if actor.may(Permission.DRIVER_VIEW):
        wanted = Q(name__icontains=text) | Q(email__icontains=text)
        found["drivers"] = list(
            Driver.objects.filter(wanted, tenant_id=tenant.pk).select_related("fleet")[:10]
        )
    return found
