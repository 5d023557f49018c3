"""A driver's own reservations: where a charger is free, and what they have reserved."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from fleets.models import Driver
from stations.models import LIVE_RESERVATIONS, Connector, Reservation, Station
from stations.services import access
from stations.services import reservations as service
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, go, page
from tenants.permissions import Permission

MOST = 200


def drivers(request: PageRequest) -> list[Driver]:
    return list(Driver.objects.filter(tenant_id=request.tenant.pk, user_id=request.actor.user_id or 0))


def own(request: PageRequest) -> list[Reservation]:
    """The reader's reservations, the latest first."""
    found = Reservation.objects.filter(tenant_id=request.tenant.pk, driver__in=drivers(request))
    rows = list(found.select_related("station__site", "evse")[:10])
    return [one for one in rows if one.live] + [one for one in rows if not one.live][:3]


def current(request: PageRequest) -> Reservation | None:
    return next((one for one in own(request) if one.state in LIVE_RESERVATIONS), None)


def _places(request: PageRequest) -> list[tuple[Connector, access.Rules]]:
    """Free chargers where drivers may reserve."""
    stations = list(
        Station.objects.filter(tenant_id=request.tenant.pk, archived_at=None, online=True).select_related(
            "site"
        )
    )
    rules = access.of_stations(request.tenant.pk, stations)
    open_ones = [station for station in stations if rules[station.pk].reservations]
    found = service.free_places(open_ones, timezone.now()) if open_ones else []
    text = request.GET.get("q", "").strip().lower()
    return [
        (connector, rules[connector.evse.station_id])
        for connector in found
        if text
        in f"{connector.evse.station} {connector.evse.station.site} {connector.evse.station.site.city}".lower()
    ][:MOST]


@page(Permission.OWN_VIEW)
def reserve(request: PageRequest) -> HttpResponse:
    people = drivers(request)
    places = _places(request) if people else []
    long = _number(request.GET.get("long", ""))
    context = {
        "drivers": people,
        "places": [
            (connector, rules, min(long or rules.reserve_minutes, rules.reserve_minutes))
            for connector, rules in places
        ],
        "reservations": own(request),
        "aheads": _steps(
            (15, 30, 60, 120, 240), max((r.reserve_ahead_minutes for _c, r in places), default=0)
        ),
        "longs": _steps(
            (15, 30, 45, 60, 90, 120), max((r.reserve_minutes for _c, r in places), default=0), last=True
        ),
        "ahead": _number(request.GET.get("ahead", "")),
        "long": long,
        "refusal": service.refusal(people[0], places[0][1], timezone.now()) if people and places else "",
        "q": request.GET.get("q", ""),
    }
    return render(request, "portal/reserve.html", context)


@require_POST
@page(Permission.OWN_VIEW)
def create(request: PageRequest) -> HttpResponse:
    people = drivers(request)
    station = Station.objects.filter(
        tenant_id=request.tenant.pk, archived_at=None, pk=_number(request.POST.get("station", ""))
    ).first()
    if not people or station is None:
        raise NotFound
    try:
        made = service.reserve_own(
            driver=people[0], actor=request.actor, station=station,
            evse=_number(request.POST.get("evse", "")), minutes=_number(request.POST.get("minutes", "")),
            starts_at=timezone.now() + timedelta(minutes=min(_number(request.POST.get("ahead", "")), 100_000)),
        )  # fmt: skip
    except DomainError as error:
        messages.error(request, error.detail)
        return go(request, "me-reserve")
    messages.success(request, _("%(station)s is asked to keep connector %(evse)s for you.") % {
        "station": made.station, "evse": made.evse.number if made.evse else "",
    })  # fmt: skip
    return go(request, "me-reserve")


@require_POST
@page(Permission.OWN_VIEW)
def cancel(request: PageRequest, reservation_id: int) -> HttpResponse:
    found = Reservation.objects.filter(
        tenant_id=request.tenant.pk, driver__in=drivers(request), by_driver=True, pk=reservation_id
    ).first()
    if found is None:
        raise NotFound
    try:
        service.cancel(reservation=found, actor=request.actor)
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, _("Cancelled. Others can charge there again."))
    return go(request, "me-reserve")


def _steps(steps: tuple[int, ...], most: int, *, last: bool = False) -> list[int]:
    """The choices up to the most that any site allows."""
    found = [step for step in steps if step <= most]
    return [*found, most] if last and most and most not in found else found


def _number(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 18 else 0
