"""Orders to many stations at once: who is asked, who is left out and why, and how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from stations import visible
from stations.models import (
    Command,
    CommandBatch,
    CommandKind,
    CommandState,
    Connector,
    ConnectorStatus,
    LogRequest,
    LogState,
    Order,
    Session,
    SessionState,
    Station,
)
from stations.services import commands, configuration, words
from stations.services.files import logs
from tenants import locks
from tenants.context import current_alias
from tenants.errors import Conflict, DomainError, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit

MOST_STATIONS = 500
MOST_CONNECTORS = 30  # of a station, whose status is asked for
MOST_COMMANDS = 3_000  # of an order, queued within a request: some ten seconds
WAITS_SECONDS = 86_400  # of orders that make sense whenever a station comes back
WAITING = (Order.IN_SERVICE, Order.OUT_OF_SERVICE, Order.SETTINGS, Order.CLEAR_CACHE)
RESTARTS = (Order.RESTART, Order.RESTART_NOW)
OFFLINE, BUSY, ASKED, REFUSED = "offline", "busy", "asked", "refused"
# What `left_out` says; a refusal has words of its own.
REASONS = {
    OFFLINE: gettext_noop("It is offline."),
    BUSY: gettext_noop("A car charges there."),
    ASKED: gettext_noop("It has this order already and has not answered yet."),
}
# A car charges there, whether or not its session is known here.
CHARGES = (ConnectorStatus.CHARGING, ConnectorStatus.SUSPENDED_EV, ConnectorStatus.SUSPENDED_EVSE)
NOT_ARRIVED = (LogState.FAILED, LogState.MISSING, LogState.TIMED_OUT)  # of logs whose upload was promised
UNDONE = (
    CommandState.REJECTED, CommandState.FAILED, CommandState.TIMED_OUT, CommandState.EXPIRED, CommandState.CANCELLED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """`ends`: how many sessions of those asked a restart ends; `waits`: how many their stations wait for."""

    asked: list[Station]
    left_out: list[tuple[Station, str]]
    ends: int = 0
    waits: int = 0


def choose(*, tenant_id: int, stations: Iterable[Station], order: str, also_busy: bool = False) -> Choice:
    """Who of them gets the order now. Offline stations get only what still makes sense when they are back; a restart
    passes over those where a car charges: a station of OCPP 1.6 cannot wait until it is done."""
    if order not in Order.values:
        raise Invalid(fields={"order": f"Choose one of {', '.join(Order.values)}."})
    listed = list({station.pk: station for station in stations}.values())
    if not listed:
        raise Invalid(fields={"stations": "Tick at least one station."})
    if len(listed) > MOST_STATIONS:
        raise Invalid(fields={"stations": f"Choose at most {MOST_STATIONS} stations at a time."})
    charging = _charging(tenant_id, listed) if order in RESTARTS else {}
    newest = _newest(tenant_id, listed)
    asked: list[Station] = []
    left_out: list[tuple[Station, str]] = []
    ends = waits = 0
    for station in listed:
        cars, patient = charging.get(station.pk, 0), _waits_itself(station, order)
        if newest.get(station.pk) == order:
            left_out.append((station, ASKED))
        elif not station.online and order not in WAITING:
            left_out.append((station, OFFLINE))
        elif cars and not patient and not also_busy:
            left_out.append((station, BUSY))
        else:
            asked.append(station)
            ends, waits = ends + cars * (not patient), waits + cars * patient
    return Choice(asked, left_out, ends, waits)


def _charging(tenant_id: int, stations: Sequence[Station]) -> dict[int, int]:
    """Where cars charge, and how many."""
    sessions = Session.objects.filter(tenant_id=tenant_id, state=SessionState.ACTIVE, station__in=stations)
    plugs = Connector.objects.filter(tenant_id=tenant_id, status__in=CHARGES, evse__station__in=stations)
    told = Counter(plugs.values_list("evse__station_id", flat=True))
    return told | Counter(sessions.values_list("station_id", flat=True))  # of each the greater number


def _newest(tenant_id: int, stations: Sequence[Station]) -> dict[int, str | None]:
    """The order that each of them was asked last and has not answered; None: a command of another kind."""
    under_way = Command.objects.filter(tenant_id=tenant_id, station__in=stations, state__in=commands.OPEN)
    last = under_way.order_by("station_id", "-id").distinct("station_id")
    return dict(last.values_list("station_id", "batch__order"))


def _waits_itself(station: Station, order: str) -> bool:
    """2.x restarts "OnIdle" once its sessions are over (B12)."""
    return order == Order.RESTART and station.is_v2


def start(
    *, tenant_id: int, actor: Actor, stations: Iterable[Station], order: str, also_busy: bool = False
) -> CommandBatch:
    """Give the order. A station that refuses to be asked (it speaks a version without the word, the actor may not
    steer it) is left out with the reason; the others are asked all the same."""
    _alone(tenant_id)
    began = timezone.now()
    choice = choose(tenant_id=tenant_id, stations=stations, order=order, also_busy=also_busy)
    left_out = [{"station": station.pk, "why": why} for station, why in choice.left_out]
    sent: list[int] = []
    refusal = ""
    for station in choice.asked:
        try:
            if len(sent) >= MOST_COMMANDS:
                raise Conflict(words.ORDER_TOO_LONG)
            with transaction.atomic(using=current_alias()):
                sent += [command.pk for command in _ORDERS[Order(order)](station, actor)]
        except DomainError as error:
            refusal = str(error.detail)[:200]
            left_out.append({"station": station.pk, "why": REFUSED, "detail": refusal})
    if not sent:
        raise Conflict(f"None of these stations can be asked now. {refusal}".strip(), code="nobody_asked")
    batch = CommandBatch.objects.create(
        tenant_id=tenant_id, order=order, also_busy=also_busy, left_out=left_out, started_by=actor.label[:120]
    )
    # They wait from now on: none of them was on its way before the last was asked.
    Command.objects.filter(tenant_id=tenant_id, pk__in=sent).update(
        batch=batch, expires_at=F("expires_at") + (timezone.now() - began)
    )
    audit.record(
        tenant_id=tenant_id, actor=actor, action="command.batch", subject=batch,
        detail={"order": order, "commands": len(sent), "left_out": len(left_out)},
    )  # fmt: skip
    return batch


def _alone(tenant_id: int) -> None:
    """One order at a time: who presses twice finds those asked that the first has asked."""
    locks.hold("orders to many stations", tenant_id)


def cancel(*, batch: CommandBatch, actor: Actor) -> int:
    """Take back what was not sent yet, at the stations that the actor may steer. Returns how many."""
    taken = 0
    for command in _own(batch, actor).filter(state=CommandState.QUEUED).select_related("station"):
        try:
            commands.cancel(command=command, actor=actor)
        except Conflict:  # it has just gone out
            continue
        taken += 1
    if not taken:
        raise Conflict("Nothing of it waits any more.", code="nothing_waits")
    return taken


def again(*, batch: CommandBatch, actor: Actor, also_busy: bool = False) -> CommandBatch:
    """The same order once more, to the stations that did not carry it out. `also_busy` is to be said anew: other cars
    charge there now."""
    actor.require(Permission.STATION_COMMAND)
    _alone(batch.tenant_id)
    stations = undone(batch=batch, actor=actor)
    if not stations:
        raise Conflict("No station has failed.", code="none_failed")
    return start(
        tenant_id=batch.tenant_id, actor=actor, stations=stations, order=batch.order, also_busy=also_busy
    )  # fmt: skip


def undone(*, batch: CommandBatch, actor: Actor) -> QuerySet[Station]:
    """The stations that did not carry it out, neither then nor when they were asked the same again."""
    later = Command.objects.filter(
        tenant_id=batch.tenant_id, station=OuterRef("station"), batch__order=batch.order, batch__gt=batch.pk
    ).exclude(state__in=UNDONE)
    wrong = Q(state__in=UNDONE)
    if batch.order == Order.LOG:
        lost = LogRequest.objects.filter(
            tenant_id=batch.tenant_id, station=OuterRef("station"), command=OuterRef("pk"), state__in=NOT_ARRIVED
        )  # fmt: skip
        wrong |= Q(Exists(lost))
    failed = Command.objects.filter(wrong, tenant_id=batch.tenant_id, batch=batch)
    return visible.stations(batch.tenant_id, actor).filter(
        pk__in=failed.filter(~Exists(later)).values("station_id")
    )


def seen_by(tenant_id: int, actor: Actor) -> QuerySet[CommandBatch]:
    """Orders of which the actor may see a station at least."""
    rows = CommandBatch.objects.filter(tenant_id=tenant_id)
    if actor.site_ids is None:
        return rows
    own = Command.objects.filter(
        tenant_id=tenant_id, batch=OuterRef("pk"), station__site_id__in=actor.site_ids
    )
    return rows.filter(Exists(own))


def states(tenant_id: int, actor: Actor, listed: Iterable[CommandBatch]) -> dict[int, Counter[str]]:
    """Of each of these orders its commands by state, as far as the actor sees their stations."""
    own = Command.objects.filter(
        tenant_id=tenant_id, batch__in=list(listed), station__in=visible.stations(tenant_id, actor)
    )
    counted: dict[int, Counter[str]] = {}
    for batch_id, state, count in own.order_by().values_list("batch_id", "state").annotate(Count("id")):
        counted.setdefault(batch_id, Counter())[state] = count
    return counted


def _own(batch: CommandBatch, actor: Actor) -> QuerySet[Command]:
    actor.require(Permission.STATION_COMMAND)
    found = Command.objects.filter(tenant_id=batch.tenant_id, batch=batch)
    return found if actor.site_ids is None else found.filter(station__site_id__in=actor.site_ids)


def _command(
    kind: CommandKind, arguments: dict[str, Any], *, waits: bool
) -> Callable[[Station, Actor], Sequence[Command]]:
    def send(station: Station, actor: Actor) -> Sequence[Command]:
        return [
            commands.request_command(
                tenant_id=station.tenant_id, station_id=station.pk, kind=kind, arguments=dict(arguments), actor=actor,
                expires_in_seconds=WAITS_SECONDS if waits else 60,
            )
        ]  # fmt: skip

    return send


def _status(station: Station, actor: Actor) -> Sequence[Command]:
    """2.x tells the status of a connector alone, never of all at once (F06.FR.12)."""
    places: list[dict[str, Any]] = [{}]
    if station.is_v2:
        known = Connector.objects.filter(tenant_id=station.tenant_id, evse__station=station)
        numbers = known.order_by("evse__number", "number").values_list("evse__number", "number")
        places = [{"evse": evse, "connector": connector} for evse, connector in numbers[:MOST_CONNECTORS]]
        if not places:
            raise Conflict(words.CONNECTORS_UNKNOWN)
    return [
        sent
        for place in places
        for sent in _command(CommandKind.TRIGGER, {"message": "status", **place}, waits=False)(station, actor)
    ]


def _settings(station: Station, actor: Actor) -> Sequence[Command]:
    return configuration.read(
        tenant_id=station.tenant_id,
        station_id=station.pk,
        keys=[],
        actor=actor,
        expires_in_seconds=WAITS_SECONDS,
    )


def _log(station: Station, actor: Actor) -> Sequence[Command]:
    asked = logs.request(tenant_id=station.tenant_id, station_id=station.pk, actor=actor)
    return [asked.command] if asked.command else []


_ORDERS: dict[Order, Callable[[Station, Actor], Sequence[Command]]] = {
    Order.RESTART: _command(CommandKind.RESET, {"hard": False}, waits=False),
    Order.RESTART_NOW: _command(CommandKind.RESET, {"hard": True}, waits=False),
    Order.IN_SERVICE: _command(CommandKind.SET_AVAILABILITY, {"operative": True}, waits=True),
    Order.OUT_OF_SERVICE: _command(CommandKind.SET_AVAILABILITY, {"operative": False}, waits=True),
    Order.STATUS: _status,
    Order.SETTINGS: _settings,
    Order.LOG: _log,
    Order.CLEAR_CACHE: _command(CommandKind.CLEAR_CACHE, {}, waits=True),
}
