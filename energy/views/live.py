"""The load of a site as it is now: the answer, the tree, each connector with its why, the day and the plan."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from energy import answers, board, day_figures, kept_out, queries
from energy.grid import BadTree
from energy.models import Steering
from energy.queries import SiteTree
from energy.services import presence
from stations import limits, visible
from stations.models import Evse
from tenants import queries as tenants
from tenants.errors import NotFound
from tenants.models import Site
from tenants.pages import PageRequest, page
from tenants.permissions import Permission


def site_of(request: PageRequest, site_id: int) -> Site:
    """NotFound for who may not see it."""
    found = tenants.sites(request.tenant.pk, request.actor).filter(pk=site_id).first()
    if found is None:
        raise NotFound
    return found


def tree_of(site: Site) -> SiteTree | None:
    """None where none is entered, or none that holds together."""
    tree = queries.tree_of(site.tenant_id, site.pk)
    if tree is None or tree.root is None:
        return None
    try:
        tree.grid  # noqa: B018
    except BadTree:
        return None
    return tree


def _steering(tree: SiteTree) -> Steering | None:
    connection = tree.connection
    return Steering.objects.filter(tenant_id=connection.tenant_id, connection=connection).first()


def _now(request: PageRequest, tree: SiteTree) -> dict[str, Any]:
    presence.look(tree.connection.site_id)
    found = board.of(tree, _steering(tree), timezone.now(), _kept_out(tree))
    numbers = [number for spot in found.spots if isinstance(number := spot.told.get("session"), int)]
    mine = visible.sessions(request.tenant.pk, request.actor).filter(pk__in=numbers)
    return {
        "board": found,
        "answers": answers.of(found),
        "sessions": {session.pk: session for session in mine},
    }


def _kept_out(tree: SiteTree) -> dict[int, str]:
    if not tree.connection.steers:
        return {}
    found = kept_out.of_evses(tree.connection.tenant_id, [one.evse_id for one in tree.wired])
    return {number: limits.why(row) for number, row in found.items()}


@page(Permission.SITE_VIEW)
def load(request: PageRequest, site_id: int) -> HttpResponse:
    site = site_of(request, site_id)
    tree = tree_of(site)
    with timezone.override(ZoneInfo(site.time_zone)):
        if tree is None or not tree.wired:
            stations = Evse.objects.filter(
                tenant_id=site.tenant_id, station__site=site, station__archived_at=None
            )
            context = {
                "site": site,
                "has_tree": tree is not None,
                "evses": stations.count(),
            }
            return render(request, "energy/live_empty.html", context)
        return render(request, "energy/live.html", {"site": site, **_now(request, tree), **_day(tree)})


def _day(tree: SiteTree) -> dict[str, Any]:
    day = day_figures.Day.until(tree, timezone.now())
    steering = _steering(tree)
    programme = steering.programme if steering else {}
    return {
        "figures": day.figures(),
        "hours": day.hours(),
        "has_bands": bool(day.chart().get("bands")),
        "periods": day_figures.periods(programme),
        "programme": programme,
        "programme_at": steering.programme_at if steering else None,
    }


@page(Permission.SITE_VIEW)
def load_now(request: PageRequest, site_id: int) -> HttpResponse:
    """The live part alone, for htmx."""
    site = site_of(request, site_id)
    tree = tree_of(site)
    if tree is None:
        raise NotFound
    with timezone.override(ZoneInfo(site.time_zone)):
        return render(request, "energy/_live_now.html", {"site": site, **_now(request, tree)})


@page(Permission.SITE_VIEW)
def day_chart(request: PageRequest, site_id: int) -> JsonResponse:
    tree = tree_of(site_of(request, site_id))
    if tree is None:
        raise NotFound
    return JsonResponse(day_figures.Day.until(tree, timezone.now()).chart())


@page(Permission.SITE_VIEW)
def plan_chart(request: PageRequest, site_id: int) -> JsonResponse:
    site = site_of(request, site_id)
    tree = tree_of(site)
    if tree is None:
        raise NotFound
    steering = _steering(tree)
    programme = steering.programme if steering else {}
    found = day_figures.periods(programme)
    return JsonResponse(
        day_figures.plan_chart(found, float(programme.get("period_s") or 900), site.time_zone)
    )
