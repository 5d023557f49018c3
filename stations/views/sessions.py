"""One session: its curve, its price line by line, everything that happened in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from billing.models import Charge
from stations import circumstances, flags, history
from stations.models import Reading, Session, SessionCost, SessionState, Settlement
from stations.services import costs
from stations.services import curve as curves
from stations.views import money_words, wish
from stations.views.common import get_session
from tenants.pages import PageRequest, go, page
from tenants.permissions import Permission

TABLE_ROWS = 200


@page(Permission.SESSION_VIEW)
def session(request: PageRequest, session_id: int) -> HttpResponse:
    return _render(request, session_id, "stations/session.html")


@require_POST
@page(Permission.SESSION_VIEW)
def say_wish(request: PageRequest, running_id: int) -> HttpResponse:
    """What people want of it; the page again where that was refused."""
    refused = wish.save(request, get_session(request, running_id))
    if refused:
        return _render(request, running_id, "stations/session.html", refused)
    return go(request, "session", running_id)


@page(Permission.SESSION_VIEW)
def now(request: PageRequest, session_id: int) -> HttpResponse:
    """The live part alone, for htmx."""
    return _render(request, session_id, "stations/_session_now.html")


def _render(
    request: PageRequest, session_id: int, template: str, refused: wish.WishForm | None = None
) -> HttpResponse:
    found = get_session(request, session_id)
    charge = (
        Charge.objects.filter(tenant_id=found.tenant_id, pk=found.charge_id).first()
        if found.charge_id
        else None
    )
    readings = _with_marks(history.readings(found), curves.marks(found))
    held = flags.reason(found.held_reason)
    context = {
        "session": found,
        "station": found.station,
        "charge": charge,
        "happenings": history.of_session(found, charge.rated_at if charge else None),
        "has_mean_power": _fill_power(found, readings),
        "readings": readings[:: max(1, len(readings) // TABLE_ROWS)],
        "average_w": _average(found),
        "so_far": costs.so_far(found, timezone.now()) if found.state == SessionState.ACTIVE else None,
        "circumstances": circumstances.rows(found),
        "stop_reason": history.trigger_text(found.stop_reason),
        "held_reason": held,
        "wish": wish.card(found, request.actor, refused),
        "flags": flags.texts(found.flags, beside=held),
        **_money(found),
    }
    with timezone.override(ZoneInfo(found.site.time_zone)):
        return render(request, template, context, status=422 if refused else 200)


def _money(session: Session) -> dict[str, Any]:
    """What the driver was told, what the station reckons, what was paid."""
    own: dict[str, Any] = {"tenant_id": session.tenant_id, "session": session}
    cost = SessionCost.objects.filter(**own).first()
    settled = [
        (row, money_words.settlement_flags(row.flags)) for row in Settlement.objects.filter(**own)[:20]
    ]
    return {
        "told": cost,
        "told_differs": cost is not None and money_words.differs(cost),
        "told_reached": money_words.reached(cost) if cost else "",
        "settlements": settled,
        "money_currency": session.currency or (session.tariff or {}).get("currency", ""),
    }


def _with_marks(readings: list[Reading], marks: Sequence[curves.Mark]) -> list[Reading]:
    """The meter values with those of the start and the stop, where these did not come as readings too. One alone is
    no curve."""
    told = {(reading.sampled_at, reading.energy_wh) for reading in readings}
    more = [
        Reading(sampled_at=mark.at, energy_wh=mark.register_wh)
        for mark in marks
        if (mark.at, mark.register_wh) not in told
    ]
    return sorted([*readings, *more], key=lambda one: one.sampled_at) if readings or len(more) > 1 else []


def _fill_power(session: Session, readings: list[Reading]) -> bool:
    """Where the station told no power, the table shows that of the chart: the mean since the value before."""
    if any(reading.power_w is not None for reading in readings):
        return False
    powers = {point.at: point.power_w for point in curves.of_session(session)} if readings else {}
    for reading in readings:
        reading.power_w = powers.get(reading.sampled_at)
    return any(reading.power_w is not None for reading in readings)


def _average(session: Session) -> float | None:
    end = session.ended_at or session.last_reading_at
    if end is None or end <= session.started_at:
        return None
    return float(session.energy_wh) * 3600 / (end - session.started_at).total_seconds()


@page(Permission.SESSION_VIEW)
def curve(request: PageRequest, session_id: int) -> JsonResponse:
    found = get_session(request, session_id)
    return JsonResponse(curve_data(found))


def curve_data(session: Session) -> dict[str, Any]:
    """Power, energy since the start and state of charge over time, as charts.js reads it."""
    rows = curves.of_session(session)
    energy = [None if row.energy_wh is None else round(float(row.energy_wh) / 1000, 3) for row in rows]
    soc = [row.soc_percent for row in rows]
    is_mean = any(row.is_mean for row in rows)
    label, kind = (_("Mean power"), "mean") if is_mean else (_("Power"), "area")
    series = [
        _line(label, "kW", "charging", [_kilo(row.power_w) for row in rows], kind=kind),
        _line(_("Energy"), "kWh", "ink", energy, digits=2),
    ]
    if any(row.offered_w is not None for row in rows):
        series.append(
            _line(_("Limit"), "kW", "faulted", [_kilo(row.offered_w) for row in rows], kind="limit")
        )
    if any(value is not None for value in soc):
        series.append(_line(_("Battery"), "%", "ink-faint", soc, digits=0, kind="dotted"))
    return {
        "x": [row.at.timestamp() for row in rows],
        "zone": session.site.time_zone,
        "series": series,
    }


def _line(label: str, unit: str, state: str, values: list[float | None], **more: Any) -> dict[str, Any]:
    return {"label": label, "unit": unit, "state": state, "values": values, **more}


def _kilo(value: float | None) -> float | None:
    return None if value is None else round(value / 1000, 3)
