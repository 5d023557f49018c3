"""Sites: the list, the map's data, and one site with its stations."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.models import SiteTariff
from portal import queries
from portal.views.overview import power_chart
from portal.vocabulary import appearance
from stations import limits, visible
from stations.views.limits import constraint_line
from tenants import queries as tenants
from tenants.errors import NotFound
from tenants.models import Site
from tenants.pages import PageRequest, page
from tenants.permissions import Permission


@page(Permission.SITE_VIEW)
def sites(request: PageRequest) -> HttpResponse:
    found = queries.site_states(request.tenant, request.actor)
    if text := request.GET.get("q", "").strip().lower():
        found = [
            row for row in found if text in f"{row.site.name} {row.site.city} {row.site.address}".lower()
        ]
    context = {"sites": found, "tiles": settings.MAP_TILE_URL, "attribution": settings.MAP_ATTRIBUTION}
    return render(request, "portal/sites.html", context)


@page(Permission.SITE_VIEW)
def map_data(request: PageRequest) -> JsonResponse:
    rows = [
        row for row in queries.site_states(request.tenant, request.actor) if row.site.latitude is not None
    ]
    return JsonResponse([_pin(request, row) for row in rows if row.site.longitude is not None], safe=False)


def _pin(request: PageRequest, row: queries.SiteState) -> dict[str, Any]:
    count = ngettext("%(count)s connector", "%(count)s connectors", row.connectors) % {
        "count": row.connectors
    }
    states = ", ".join(f"{number} {str(appearance(state).word).lower()}" for state, number in row.states)
    return {
        "name": row.site.name,
        "lat": float(row.site.latitude or 0),
        "lon": float(row.site.longitude or 0),
        "state": appearance(row.worst).tone,
        "attention": row.worst in ("faulted", "offline"),
        "connectors": row.connectors,
        "summary": f"{count}: {states}" if states else _("No stations yet"),
        "url": reverse("site", args=[request.tenant.slug, row.site.pk]),
    }


@page(Permission.SITE_VIEW)
def site(request: PageRequest, site_id: int) -> HttpResponse:
    return _render_site(request, site_id, "portal/site.html")


@page(Permission.SITE_VIEW)
def site_now(request: PageRequest, site_id: int) -> HttpResponse:
    return _render_site(request, site_id, "portal/_site_now.html")


@page(Permission.SITE_VIEW)
def site_power(request: PageRequest, site_id: int) -> JsonResponse:
    found = _site(request, site_id)
    return JsonResponse(power_chart(request, found.pk) | {"zone": found.time_zone})


def _render_site(request: PageRequest, site_id: int, template: str) -> HttpResponse:
    found = _site(request, site_id)
    stations = (
        visible.stations(request.tenant.pk, request.actor)
        .filter(site=found)
        .prefetch_related(visible.of_stations(request.tenant.pk, request.actor))
        .order_by("name", "identity")
    )
    tariff = (
        SiteTariff.objects.filter(tenant_id=request.tenant.pk, site=found).select_related("tariff").first()
    )
    context = {
        "site": found,
        "stations": stations,
        "figures": queries.figures(request.tenant, request.actor, found),
        "recent": queries.recent_sessions(request.tenant, request.actor, found),
        "tariff": tariff.tariff if tariff else None,
    }
    with timezone.override(ZoneInfo(found.time_zone)):
        rows = limits.open_constraints(request.tenant.pk, site_id=found.pk, station=None)[:3]
        context["constraints"] = [constraint_line(row) for row in rows]
        return render(request, template, context)


def _site(request: PageRequest, site_id: int) -> Site:
    found = tenants.sites(request.tenant.pk, request.actor).filter(pk=site_id).first()
    if found is None:
        raise NotFound
    return found
