"""Orders to many stations: ticked in the list, looked over, sent, followed at each."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from stations import visible
from stations.models import (
    OPEN_LOGS,
    Command,
    CommandBatch,
    CommandState,
    LogRequest,
    LogState,
    Order,
    Station,
)
from stations.services import batches as service
from stations.services import words
from stations.views import lists
from tenants.errors import Conflict, DomainError, Invalid, NotFound
from tenants.pages import Column, PageRequest, go, listing, page
from tenants.permissions import Permission

COLUMNS = (
    Column("station", _("Station"), ("station__name", "station__identity", "-id")),
    Column("site", _("Site"), ("station__site__name",)),
    Column("state", _("State"), ("state",)),
    Column("answer", _("Answer")),
    Column("settled", _("When"), ("-settled_at",)),
)


@page(Permission.STATION_VIEW)
def batches(request: PageRequest) -> HttpResponse:
    """Orders that were given, the newest first."""
    found = listing(request, service.seen_by(request.tenant.pk, request.actor))
    listed = list(found.page)
    states = service.states(request.tenant.pk, request.actor, listed)
    return render(
        request,
        "stations/batches.html",
        {"listing": found, "rows": [(batch, _bar(states.get(batch.pk, Counter()))) for batch in listed]},
    )


def _commands(request: PageRequest) -> QuerySet[Command]:
    seen = visible.stations(request.tenant.pk, request.actor)
    return Command.objects.filter(tenant_id=request.tenant.pk, station__in=seen)


def _bar(counted: Counter[str]) -> list[tuple[str, int]]:
    return [(state, counted[state]) for state in CommandState.values if counted[state]]


@page(Permission.STATION_COMMAND)
def new(request: PageRequest) -> HttpResponse:
    """Look an order over before it goes out: who gets it, who is left out and why, what it does now."""
    data = request.POST if request.method == "POST" else request.GET
    failed = _batch(request, data["again"]) if data.get("again") else None
    order, also_busy = failed.order if failed else data.get("order", ""), data.get("also_busy") == "yes"
    stations = _chosen(request, failed)
    try:
        if failed and not stations:
            raise Conflict("No station has failed.")
        if request.method == "POST":
            batch = service.start(
                tenant_id=request.tenant.pk, actor=request.actor, stations=stations, order=order,
                also_busy=also_busy,
            )  # fmt: skip
            return go(request, "batch", batch.pk)
        choice = service.choose(
            tenant_id=request.tenant.pk, stations=stations, order=order, also_busy=also_busy
        )
    except DomainError as error:
        messages.error(request, _said(error))
        return go(request, "batch", failed.pk) if failed else go(request, "stations")
    left_out = [(station, _reason({"why": why})) for station, why in choice.left_out]
    context = {
        "order": Order(order),
        "failed": failed,
        "stations": stations,
        "choice": choice,
        "left_out": left_out,
        "busy": sum(why == service.BUSY for _station, why in choice.left_out),
        "also_busy": also_busy,
        "later": sum(not station.online for station in choice.asked),
    }
    return render(request, "stations/batch_new.html", context)


def _said(error: DomainError) -> str:
    return (
        " ".join(error.fields.values()) if isinstance(error, Invalid) and error.fields else str(error.detail)
    )


def _chosen(request: PageRequest, failed: CommandBatch | None) -> list[Station]:
    """The stations that were ticked; with `all` those of the whole list, by its filters; or those where an order
    failed."""
    rows = visible.stations(request.tenant.pk, request.actor).select_related("site")
    data = request.POST if request.method == "POST" else request.GET
    if failed:
        rows = service.undone(batch=failed, actor=request.actor).select_related("site")
    elif request.method != "POST" and data.get("all") == "yes":
        rows = lists.filtered(request, rows)
    else:
        ticked = [int(text) for text in data.getlist("station") if text.isdecimal() and len(text) < 18]
        rows = rows.filter(pk__in=ticked[: service.MOST_STATIONS + 1])
    return list(rows.order_by("name", "identity")[: service.MOST_STATIONS + 1])


@page(Permission.STATION_VIEW)
def batch(request: PageRequest, batch_id: int) -> HttpResponse:
    """How far an order is: how many have done it, who has not, and why."""
    found = _batch(request, batch_id)
    rows = _commands(request).filter(batch=found)
    counted = service.states(request.tenant.pk, request.actor, [found]).get(found.pk, Counter())
    state = request.GET.get("state", "")
    shown = rows.filter(state=state) if state in CommandState.values else rows
    waiting = counted[CommandState.QUEUED] + counted[CommandState.SENT]
    table = listing(request, shown.select_related("station__site"), COLUMNS, default="station")
    logs = LogRequest.objects.filter(
        tenant_id=request.tenant.pk, station__in=rows.values("station"), command__in=rows
    )
    if found.order != Order.LOG:
        logs = logs.none()
    context = {
        "batch": found,
        "listing": table,
        "logs": {log.command_id: log for log in logs.filter(command__in=[row.pk for row in table.page])},
        "arrived": logs.filter(state=LogState.UPLOADED).count(),
        "moves": waiting or logs.filter(state__in=OPEN_LOGS).exists(),
        "bar": _bar(counted),
        "state": state,
        "total": sum(counted.values()),
        "done": counted[CommandState.ACCEPTED],
        "waiting": waiting,
        "queued": counted[CommandState.QUEUED],
        "undone": service.undone(batch=found, actor=request.actor).count(),
        "left_out": _left_out(request, found),
        "may_command": request.actor.may(Permission.STATION_COMMAND),
    }
    return render(request, "stations/batch.html", context)


def _left_out(request: PageRequest, found: CommandBatch) -> list[tuple[Station, str]]:
    told = {entry["station"]: entry for entry in found.left_out}
    stations = visible.stations(request.tenant.pk, request.actor).filter(pk__in=list(told))
    return [
        (station, _reason(told[station.pk]))
        for station in stations.select_related("site").order_by("name", "identity")
    ]


def _reason(entry: dict[str, Any]) -> str:
    reason = service.REASONS.get(entry["why"])
    return _t(reason) if reason else words.said(str(entry.get("detail", "")))


@require_POST
@page(Permission.STATION_COMMAND)
def take_back(request: PageRequest, batch_id: int) -> HttpResponse:
    """Take back what waits."""
    found = _batch(request, batch_id)
    try:
        taken = service.cancel(batch=found, actor=request.actor)
        text = ngettext("%(count)s was taken back.", "%(count)s were taken back.", taken)
        messages.success(request, text % {"count": taken})
    except DomainError as error:
        messages.error(request, str(error.detail))
    return go(request, "batch", found.pk)


def _batch(request: PageRequest, number: int | str) -> CommandBatch:
    known = str(number).isdecimal() and len(str(number)) < 19
    seen = service.seen_by(request.tenant.pk, request.actor)
    found = seen.filter(pk=int(number)).first() if known else None
    if found is None:
        raise NotFound
    return found
