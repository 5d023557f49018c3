"""Sending commands and watching their outcome."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from stations.models import Command, CommandState, Station
from stations.services import commands as service
from stations.views.advice import next_step
from stations.views.common import get_station
from stations.views.offer import GROUPS, OFFERS, consequence, permitted
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, go, listing, page
from tenants.permissions import Permission

ALWAYS_UNFOLDED = ("control", "diagnose")  # groups of the page; the rare ones open at a click or a search


def by_people(rows: QuerySet[Command]) -> QuerySet[Command]:
    """Without what is sent of itself each minute (prices, shares of power): it would bury what somebody did."""
    return rows.exclude(service.ROUTINE)


@page(Permission.STATION_VIEW)
def commands(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    return _commands_page(request, station)


def _commands_page(
    request: PageRequest, station: Station, refused: dict[str, Any] | None = None
) -> HttpResponse:
    rows = station.commands.filter(tenant_id=station.tenant_id)
    shown = rows if request.GET.get("all") else by_people(rows)
    open_now = request.GET.get("open", "") or next(iter(refused or {}), "")
    context = {
        "station": station,
        "tab": "commands",
        "groups": grouped(offers(request, station, refused or {})),
        "unfolded": {*ALWAYS_UNFOLDED, OFFERS[open_now].group if open_now in OFFERS else ""},
        "open": open_now,
        "listing": listing(request, shown, size=25),
        "has_routine": rows.filter(service.ROUTINE).exists(),
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_commands.html", context, status=422 if refused else 200)


def grouped(entries: list[dict[str, Any]]) -> list[tuple[str, Any, list[dict[str, Any]]]]:
    """(name, title, offers) of the groups that have any, what is dangerous last in each."""
    groups = [
        (name, title, [entry for entry in entries if entry["offer"].group == name])
        for name, title in GROUPS.items()
    ]
    return [
        (name, title, sorted(own, key=lambda entry: entry["offer"].danger))
        for name, title, own in groups
        if own
    ]


def offers(request: PageRequest, station: Station, refused: dict[str, Any]) -> list[dict[str, Any]]:
    """Every command the reader may send, with its form and what it would do now."""
    initial = {name: value for name, value in request.GET.items() if name != "open"}
    return [
        {
            "offer": offer,
            "name": Command(kind=offer.kind).get_kind_display(),
            "form": refused.get(offer.kind)
            or offer.form(station=station, initial=initial, prefix=None, auto_id=f"{offer.kind}-%s"),
            "consequence": consequence(offer.kind, station),
        }
        for offer in permitted(request.actor, station)
    ]


@require_POST
@page(Permission.STATION_VIEW)
def send(request: PageRequest, station_id: int) -> HttpResponse:
    """Queue a command, then show its page, which follows the outcome."""
    station = get_station(request, station_id)
    offer = OFFERS.get(request.POST.get("kind", ""))
    if offer is None:
        raise NotFound
    form = offer.form(request.POST, station=station, auto_id=f"{offer.kind}-%s")
    if not form.is_valid():
        return _commands_page(request, station, {offer.kind: form})
    try:
        command = service.request_command(
            tenant_id=station.tenant_id,
            station_id=station.pk,
            kind=offer.kind,
            arguments=form.arguments(),
            actor=request.actor,
        )
    except DomainError as error:
        form.refused(error)
        return _commands_page(request, station, {offer.kind: form})
    return go(request, "command", station.pk, command.pk)


@page(Permission.STATION_VIEW)
def latest(request: PageRequest, station_id: int) -> HttpResponse:
    """The newest commands, for htmx."""
    station = get_station(request, station_id)
    context = {
        "station": station,
        "latest": by_people(station.commands.filter(tenant_id=station.tenant_id))[:4],
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/_commands_latest.html", context)


@page(Permission.STATION_VIEW)
def command(request: PageRequest, station_id: int, command_id: int) -> HttpResponse:
    """One command: what was sent, what the station said, how long it took, what to try next."""
    station = get_station(request, station_id)
    found = _command(station, command_id)
    context = {
        "station": station,
        "tab": "commands",
        "command": found,
        "steps": steps(found),
        "advice": next_step(found),
        "sent": service.for_reader(
            found, found.arguments if found.request is None else found.request, request.actor
        ),
        "answered": service.for_reader(found, found.response, request.actor),
        "again": urlencode({"open": found.kind, **_plain(found.arguments)}),
        "may_see_frames": request.actor.may(Permission.FRAME_VIEW),
    }
    part = "stations/_command.html" if request.headers.get("HX-Request") else "stations/command.html"
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, part, context)


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    """What a form can be filled with again: no lists, nothing secret."""
    masked = service.masked(arguments)
    return {
        name: {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
        for name, value in arguments.items()
        if isinstance(value, str | int | float) and masked.get(name) == value
    }


def _command(station: Station, command_id: int) -> Command:
    found = Command.objects.filter(tenant_id=station.tenant_id, station=station, pk=command_id).first()
    if found is None:
        raise NotFound
    found.station = station
    return found


def steps(command: Command) -> list[tuple[str, datetime | None, timedelta | None]]:
    """(step, when, how long after the step before) for the three steps of a command's life."""
    sent, settled = command.sent_at, command.settled_at
    return [
        ("asked", command.created_at, None),
        ("sent", sent, sent - command.created_at if sent else None),
        ("settled", settled, settled - (sent or command.created_at) if settled else None),
    ]


@require_POST
@page(Permission.STATION_COMMAND)
def cancel(request: PageRequest, station_id: int, command_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    found = _command(station, command_id)
    if found.state == CommandState.QUEUED:
        service.cancel(command=found, actor=request.actor)
    return go(request, "command", station.pk, found.pk)
