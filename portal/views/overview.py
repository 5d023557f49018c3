"""The first page of the day: does anything need me, and how is it going."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from portal import attention, onboarding, queries
from tenants.pages import PageRequest, page
from tenants.permissions import Permission

FIRST_NEEDS = 6  # stand there at once; the others unfold


@page(Permission.STATION_VIEW)
def overview(request: PageRequest) -> HttpResponse:
    if steps := onboarding.steps(request.tenant, request.actor):
        return render(
            request,
            "portal/first_steps.html",
            {"steps": steps, "next_step": next(s for s in steps if not s.done)},
        )
    context = _now(request) | {"tiles": settings.MAP_TILE_URL, "attribution": settings.MAP_ATTRIBUTION}
    return render(request, "portal/overview.html", context)


@page(Permission.STATION_VIEW)
def now(request: PageRequest) -> HttpResponse:
    """The live part alone, for htmx."""
    return render(request, "portal/_overview_now.html", _now(request))


@page(Permission.STATION_VIEW)
def power(request: PageRequest) -> JsonResponse:
    return JsonResponse(power_chart(request))


def power_chart(request: PageRequest, site_id: int | None = None) -> dict[str, Any]:
    curve = queries.power_curve(request.tenant, request.actor, site_id)
    return {
        "x": [point.timestamp() for point, _watts in curve],
        "zone": request.tenant.time_zone,
        "series": [
            {
                "label": _("Power"),
                "unit": "kW",
                "state": "charging",
                "kind": "area",
                "values": [round(watts / 1000, 2) for _point, watts in curve],
            }
        ],
    }


def _now(request: PageRequest) -> dict[str, Any]:
    needs = attention.needs(request.tenant, request.actor)
    return {
        "figures": queries.figures(request.tenant, request.actor),
        "needs": needs[:FIRST_NEEDS],
        "more_needs": needs[FIRST_NEEDS:],
        "needs_total": len(needs),
        "recent": queries.recent_sessions(request.tenant, request.actor),
    }
