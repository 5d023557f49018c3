"""The device model of a station: 1.6 configuration keys and 2.x variables, searchable and changeable."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render

from stations.models import CommandKind, Variable
from stations.views.common import get_station
from tenants.pages import PageRequest, page
from tenants.permissions import Permission


@page(Permission.STATION_VIEW)
def configuration(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    every = Variable.objects.filter(tenant_id=station.tenant_id, station=station)
    rows = every.order_by("component", "evse_number", "name", "attribute")
    if text := request.GET.get("q", "").strip()[:100]:
        rows = rows.filter(
            Q(name__icontains=text)
            | Q(component__icontains=text)
            | Q(value__icontains=text)
            | Q(instance__icontains=text)
        )
    newest = every.order_by("-read_at").first()
    context = {
        "station": station,
        "tab": "configuration",
        "variables": rows[:1000],
        "total": every.count(),
        "read_at": newest.read_at if newest else None,
        "read_kind": CommandKind.READ_REPORT
        if station.ocpp_version.startswith("2")
        else CommandKind.READ_CONFIGURATION,
        "q": text,
    }
    return render(request, "stations/station_configuration.html", context)
