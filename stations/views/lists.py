"""The lists of stations and of sessions: filters, search, sort and columns live in the address."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext_lazy as _

from stations import visible
from stations.models import Order, QuarantinedStation, Session, SessionState, Station
from stations.services import batches
from tenants import queries as tenants
from tenants.pages import Column, PageRequest, csv_response, listing, page
from tenants.permissions import Permission

STATION_COLUMNS = (
    Column("station", _("Station"), ("name", "identity")),
    Column("state", _("Connectors")),
    Column("site", _("Site"), ("site__name",)),
    Column("model", _("Model"), ("vendor", "model")),
    Column("firmware", _("Firmware"), ("firmware_version",)),
    Column("ocpp", _("OCPP"), ("ocpp_version",)),
    Column("seen", _("Last heard"), ("-last_seen_at",)),
    Column("identity", _("Identity"), ("identity",), optional=True),
    Column("serial", _("Serial number"), ("serial_number",), optional=True),
    Column("booted", _("Last boot"), ("-booted_at",), optional=True),
    Column("address", _("Network address"), ("remote_address",), optional=True),
)
SESSION_COLUMNS = (
    Column("session", _("Session"), ("id",)),
    Column("started", _("Started"), ("started_at",)),
    Column("energy", _("Energy"), ("energy_wh",), numeric=True),
    Column("price", _("Price"), ("cost_incl_tax",), numeric=True),
)
# Chips of the station list: a name in the address, the states it stands for.
STATION_CHIPS: dict[str, tuple[str, ...]] = {
    "available": ("available",),
    "charging": ("charging",),
    "suspended_ev": ("suspended_ev", "suspended_evse"),
    "occupied": ("preparing", "occupied", "finishing"),
    "reserved": ("reserved",),
    "unavailable": ("unavailable",),
    "faulted": ("faulted",),
    "offline": ("offline",),
    "unknown": ("unknown",),
}
TROUBLE = ("faulted", "offline")


@page(Permission.STATION_VIEW)
def stations(request: PageRequest) -> HttpResponse:
    base = _station_search(request, visible.stations(request.tenant.pk, request.actor))
    counted = _stations_by_chip(request, base)
    state = request.GET.get("state", "")
    rows = _in_state(request, base, state).select_related("site")
    if request.GET.get("format") == "csv":
        return _stations_csv(rows)
    found = listing(
        request,
        rows.prefetch_related(visible.of_stations(request.tenant.pk, request.actor)),
        STATION_COLUMNS,
        default="station",
    )
    context = {
        "listing": found,
        "all_columns": STATION_COLUMNS,
        "chips": [(name, counted[name]) for name in STATION_CHIPS if counted[name] or name == state],
        "state": state,
        "sites": tenants.sites(request.tenant.pk, request.actor),
        "chosen_site": request.GET.get("site", ""),
        "any": visible.stations(request.tenant.pk, request.actor).exists(),
        "orders": Order.choices,
        "ordered": batches.seen_by(request.tenant.pk, request.actor).exists(),
        "carried": [
            (name, request.GET[name]) for name in ("q", "site", "state", "security") if request.GET.get(name)
        ],
        "most": batches.MOST_STATIONS,
        "knocking": QuarantinedStation.objects.filter(tenant_id=request.tenant.pk, dismissed_at=None).count()
        if request.actor.site_ids is None
        else 0,
    }
    template = (
        "stations/_stations_rows.html" if request.GET.get("part") == "rows" else "stations/stations.html"
    )
    return render(request, template, context)


def filtered(request: PageRequest, rows: QuerySet[Station]) -> QuerySet[Station]:
    """The stations that the list shows by its address, on all its pages."""
    return _in_state(request, _station_search(request, rows), request.GET.get("state", ""))


def _station_search(request: PageRequest, rows: QuerySet[Station]) -> QuerySet[Station]:
    if text := request.GET.get("q", "").strip()[:100]:
        rows = rows.filter(visible.matching(text))
    if (site := request.GET.get("site", "")).isdecimal():
        rows = rows.filter(site_id=int(site))
    if (profile := request.GET.get("security", "")) in ("0", "1", "2", "3"):
        rows = rows.filter(effective_profile=int(profile))
    return rows


def _has(request: PageRequest, states: tuple[str, ...]) -> Exists:
    connectors = visible.connectors(request.tenant.pk, request.actor)
    return Exists(connectors.filter(evse__station=OuterRef("pk"), effective__in=states))


def _in_state(request: PageRequest, rows: QuerySet[Station], state: str) -> QuerySet[Station]:
    if state == "trouble":
        return rows.filter(Q(online=False) | _has(request, TROUBLE))
    if state == "offline":
        return rows.filter(online=False)
    # Vocabulary words of a group ("suspended_evse") lead to the group's chip.
    states = STATION_CHIPS.get(state) or next(
        (group for group in STATION_CHIPS.values() if state in group), None
    )
    return rows.filter(_has(request, states)) if states else rows


def _stations_by_chip(request: PageRequest, rows: QuerySet[Station]) -> Counter[str]:
    """How many stations each chip would show."""
    pairs = (
        visible.connectors(request.tenant.pk, request.actor)
        .filter(evse__station__in=rows)
        .values_list("evse__station_id", "effective")
        .distinct()
    )
    chip_of = {state: chip for chip, states in STATION_CHIPS.items() for state in states}
    found = {(station_id, chip_of.get(state, "unknown")) for station_id, state in pairs}
    counted = Counter(chip for _station, chip in found)
    counted["offline"] = rows.filter(online=False).count()
    return counted


def _stations_csv(rows: QuerySet[Station]) -> HttpResponse:
    header = (
        "identity",
        "name",
        "site",
        "online",
        "vendor",
        "model",
        "serial_number",
        "firmware",
        "ocpp",
        "last_seen",
    )
    lines = (
        (
            s.identity, s.name, s.site.name, s.online, s.vendor, s.model, s.serial_number, s.firmware_version,
            s.ocpp_version, s.last_seen_at.isoformat() if s.last_seen_at else "",
        )
        for s in rows[:50_000]
    )  # fmt: skip
    return csv_response("stations.csv", header, lines)


PERIODS = (("today", _("Today"), 0), ("7", _("7 days"), 7), ("30", _("30 days"), 30))


@page(Permission.SESSION_VIEW)
def sessions(request: PageRequest) -> HttpResponse:
    base = _session_filters(request, visible.sessions(request.tenant.pk, request.actor))
    counted = dict(base.order_by().values_list("state").annotate(n=Count("pk")))
    state = request.GET.get("state", "")
    rows = base.filter(state=state) if state in SessionState.values else base
    rows = rows.select_related("station", "site", "driver", "token")
    if request.GET.get("format") == "csv":
        return _sessions_csv(rows)
    context: dict[str, Any] = {
        "listing": listing(request, rows, SESSION_COLUMNS),
        "chips": [(name, counted[name]) for name in SessionState.values if counted.get(name)],
        "state": state,
        "periods": PERIODS,
        "period": request.GET.get("period", ""),
        "sites": tenants.sites(request.tenant.pk, request.actor),
        "chosen_site": request.GET.get("site", ""),
        "sums": rows.order_by().aggregate(energy=Sum("energy_wh"), cost=Sum("cost_incl_tax")),
        "any": bool(counted) or visible.sessions(request.tenant.pk, request.actor).exists(),
    }
    return render(request, "stations/sessions.html", context)


def _session_filters(request: PageRequest, rows: QuerySet[Session]) -> QuerySet[Session]:
    if text := request.GET.get("q", "").strip()[:100]:
        wanted = Q(token_uid__icontains=text) | Q(transaction_id=text) | Q(driver__name__icontains=text)
        wanted |= Q(station__identity__icontains=text) | Q(station__name__icontains=text)
        if text.lstrip("#").isdecimal() and len(text) < 18:
            wanted |= Q(pk=int(text.lstrip("#")))
        rows = rows.filter(wanted)
    if (site := request.GET.get("site", "")).isdecimal():
        rows = rows.filter(site_id=int(site))
    return _in_period(request, rows)


def _in_period(request: PageRequest, rows: QuerySet[Session]) -> QuerySet[Session]:
    zone = ZoneInfo(request.tenant.time_zone)
    midnight = timezone.now().astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    days = next((days for name, _label, days in PERIODS if name == request.GET.get("period")), None)
    if days is not None:
        rows = rows.filter(started_at__gte=midnight - timedelta(days=days))
    for name, lookup, plus in (("from", "started_at__gte", 0), ("to", "started_at__lt", 1)):
        try:
            day = parse_date(request.GET.get(name, ""))
        except ValueError:
            day = None
        if day:
            start = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(days=plus)
            rows = rows.filter(**{lookup: start})
    return rows


def _sessions_csv(rows: QuerySet[Session]) -> HttpResponse:
    header = (
        "id", "state", "site", "station", "driver", "token", "started_at", "ended_at", "energy_wh", "cost_incl_tax",
        "currency", "stop_reason", "flags",
    )  # fmt: skip
    lines = (
        (
            s.pk, s.state, s.site.name, s.station.identity, str(s.driver or ""), s.token_uid,
            s.started_at.isoformat(), s.ended_at.isoformat() if s.ended_at else "", s.energy_wh,
            "" if s.cost_incl_tax is None else s.cost_incl_tax, s.currency, s.stop_reason, " ".join(s.flags),
        )
        for s in rows[:50_000]
    )  # fmt: skip
    return csv_response("sessions.csv", header, lines)
