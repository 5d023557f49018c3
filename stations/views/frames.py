"""The frame log: every frame of a station both ways, searchable, newest first, as JSON lines to take along."""

from __future__ import annotations

import json
from datetime import timedelta
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from stations.models import Frame, Station
from stations.views.common import get_station
from tenants.pages import PageRequest, page
from tenants.permissions import Permission

SIZE = 100
EXPORT_LIMIT = 20_000
SPANS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}


@page(Permission.FRAME_VIEW)
def frames(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    rows = _filtered(request, station)
    if (before := request.GET.get("before", "")).isdecimal():
        rows = rows.filter(id__lt=int(before))
    found = list(rows[: SIZE + 1])
    context = {
        "station": station,
        "tab": "frames",
        "frames": found[:SIZE],
        "older": found[SIZE - 1].pk if len(found) > SIZE else None,
        "actions": _actions(station),
        "span": request.GET.get("span", ""),
        "spans": tuple(SPANS),
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        part = (
            "stations/_frame_rows.html"
            if request.GET.get("part") == "rows"
            else "stations/station_frames.html"
        )
        return render(request, part, context)


@page(Permission.FRAME_VIEW)
def export(request: PageRequest, station_id: int) -> HttpResponse:
    """JSON lines, oldest first, of what the filters show."""
    station = get_station(request, station_id)
    lines = [
        json.dumps(
            {
                "at": frame.received_at.isoformat(),
                "direction": "out" if frame.outbound else "in",
                "version": frame.ocpp_version,
                "type": frame.message_type,
                "id": frame.message_id,
                "action": frame.action,
                "payload": _parsed(frame.payload),
            },
            ensure_ascii=False,
        )
        for frame in reversed(_filtered(request, station)[:EXPORT_LIMIT])
    ]
    response = HttpResponse("\n".join([*lines, ""]), content_type="application/jsonl; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="frames-{station.pk}.jsonl"'
    return response


def _parsed(payload: str) -> object:
    try:
        return json.loads(payload)
    except ValueError:
        return payload


def _filtered(request: PageRequest, station: Station) -> QuerySet[Frame]:
    rows = Frame.objects.filter(tenant_id=station.tenant_id, station=station).order_by("-id")
    if action := request.GET.get("action", "")[:64]:
        rows = rows.filter(action=action)
    direction = request.GET.get("direction")
    if direction in ("in", "out"):
        rows = rows.filter(outbound=direction == "out")
    if text := request.GET.get("q", "").strip()[:200]:
        rows = rows.filter(Q(payload__icontains=text) | Q(action__icontains=text) | Q(message_id=text))
    if request.GET.get("errors"):
        rows = rows.filter(message_type__in=(0, 4, 5))
    if span := SPANS.get(request.GET.get("span", "")):
        rows = rows.filter(received_at__gte=timezone.now() - span)
    return rows


def _actions(station: Station) -> list[str]:
    """Actions seen in the last week, for the filter."""
    recent = Frame.objects.filter(
        tenant_id=station.tenant_id, station=station, received_at__gte=timezone.now() - SPANS["7d"]
    )
    return sorted(set(recent.order_by("action").values_list("action", flat=True).distinct()) - {""})
