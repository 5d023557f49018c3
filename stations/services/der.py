"""Grid controls of a station (OCPP 2.1 block R): set, superseded, started and stopped, read back, cleared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from stations import live
from stations.models import (
    Command,
    CommandKind,
    CommandState,
    DerControl,
    DerState,
    DerType,
    Station,
    wire_number,
)
from stations.models.der import HELD
from stations.neutral import EventReport
from stations.neutral_power import DerAlarm, DerAnswered, DersTold, DerSwitched, DerTold
from stations.services import clock, commands, events, profiles
from tenants.errors import Conflict, Invalid, NotFound
from tenants.permissions import Actor, system

UNITS = ("none", "pct_max_w", "pct_max_var", "pct_w_available", "pct_var_available", "pct_effective_v")
ALWAYS_DEFAULT = (DerType.ENTER_SERVICE, DerType.GRADIENTS)
PLAIN: dict[str, tuple[str, ...]] = {
    DerType.ENTER_SERVICE: (
        "high_voltage", "low_voltage", "high_freq", "low_freq", "delay_s", "random_delay_s", "ramp_rate",
    ),
    DerType.FIXED_PF_ABSORB: ("displacement", "excitation"),
    DerType.FIXED_PF_INJECT: ("displacement", "excitation"),
    DerType.FIXED_VAR: ("setpoint", "unit"),
    DerType.FREQ_DROOP: ("over_freq", "under_freq", "over_droop", "under_droop", "response_time_s"),
    DerType.GRADIENTS: ("gradient", "soft_gradient"),
    DerType.LIMIT_MAX_DISCHARGE: ("percent", "must_trip"),
}  # fmt: skip
_OPTIONAL = ("delay_s", "random_delay_s", "ramp_rate", "must_trip", "percent")
MOST_HELD = 300
GRACE = timedelta(minutes=2)  # a station's clock may lag, and its word may be on the way
_ACTOR = system("Grid controls")


def set_control(
    *,
    tenant_id: int,
    station_id: int,
    kind: str,
    settings: Mapping[str, Any],
    actor: Actor,
    is_default: bool = True,
    priority: int = 0,
    starts_at: datetime | None = None,
    duration_s: float | None = None,
) -> DerControl:
    """Send a control. A default one holds always; another from its start for its duration (R04)."""
    station = profiles.station_of(tenant_id, station_id, actor)
    wrong = _faults(kind, settings, is_default, priority, starts_at, duration_s)
    if wrong:
        raise Invalid(fields=wrong)
    arguments: dict[str, Any] = {
        "type": kind,
        "settings": dict(settings),
        "is_default": is_default,
        "priority": priority,
    }
    if starts_at is not None:
        arguments["starts_at"] = starts_at.isoformat()
    if duration_s is not None:
        arguments["duration_s"] = duration_s
    command = commands.request_command(
        tenant_id=tenant_id, station_id=station.pk, kind=CommandKind.SET_DER, arguments=arguments, actor=actor
    )
    return _create(command, arguments)


def _create(command: Command, told: Mapping[str, Any]) -> DerControl:
    start = told.get("starts_at")
    return DerControl.objects.create(
        tenant_id=command.tenant_id,
        station_id=command.station_id,
        control_id=str(told.get("control_id") or f"VY{command.pk}")[:36],
        kind=told["type"],
        is_default=bool(told.get("is_default", True)),
        priority=int(told.get("priority") or 0),
        settings=dict(told.get("settings") or {}),
        starts_at=datetime.fromisoformat(start) if start else None,
        duration_s=told.get("duration_s"),
        label=command.origin_label,
        command_id=command.pk,
    )


def _faults(
    kind: str,
    settings: Mapping[str, Any],
    is_default: bool,
    priority: int,
    starts_at: datetime | None,
    duration_s: float | None,
) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if kind not in DerType.values:
        return {"type": f"Choose one of {', '.join(DerType.values)}."}
    if not 0 <= priority <= 1000:
        wrong["priority"] = "A priority is 0 (the highest) or more."
    if kind in ALWAYS_DEFAULT and not is_default:
        wrong["is_default"] = "This control holds always: it cannot be scheduled."
    if is_default and (starts_at or duration_s):
        wrong["starts_at"] = "What holds always has neither start nor duration."
    if not is_default and kind not in ALWAYS_DEFAULT and (starts_at is None or duration_s is None):
        wrong["starts_at"] = "Say when it begins and how long it holds."
    if duration_s is not None and duration_s <= 0:
        wrong["duration_s"] = "It must last for a while."
    if kind in PLAIN:
        for name in PLAIN[kind]:
            if settings.get(name) is None and name not in _OPTIONAL:
                wrong[name] = "This control needs this value."
        if (
            kind == DerType.LIMIT_MAX_DISCHARGE
            and not settings.get("must_trip")
            and settings.get("percent") is None
        ):
            wrong["percent"] = "Give the most that may be discharged."
        if unknown := settings.keys() - set(PLAIN[kind]):
            wrong["settings"] = f"This control has no {', '.join(sorted(unknown))}."
    else:
        wrong |= _curve_faults(settings)
    return wrong


def sweep(*, tenant_id: int, now: datetime) -> int:
    """End scheduled controls whose time is over though no NotifyDERStartStop said so: a restart swallows it. What they
    had superseded is read back, for the station alone knows it. Returns how many."""
    held = DerControl.objects.filter(
        tenant_id=tenant_id, state__in=HELD, is_default=False, starts_at__lt=now, duration_s__isnull=False
    )
    over = [
        row for row in held
        if row.starts_at and (now - GRACE - row.starts_at).total_seconds() > (row.duration_s or 0)
    ]  # fmt: skip
    ended = held.filter(pk__in=[row.pk for row in over])
    ended.update(state=DerState.ENDED, changed_at=now, reason="Its time is over.")
    for station_id in {row.station_id for row in over}:
        if Station.objects.filter(tenant_id=tenant_id, pk=station_id, online=True).exists():
            commands.request_command(
                tenant_id=tenant_id,
                station_id=station_id,
                kind=CommandKind.READ_DER,
                arguments={},
                actor=_ACTOR,
            )
        _announce(tenant_id, station_id)
    return len(over)


def _curve_faults(settings: Mapping[str, Any]) -> dict[str, str]:
    points = settings.get("points")
    if not isinstance(points, list) or not 1 <= len(points) <= 10:
        return {"points": "A curve has 1 to 10 points."}
    try:
        finite = all(math.isfinite(float(x)) and math.isfinite(float(y)) for x, y in points)
    except (TypeError, ValueError):
        finite = False
    if not finite:
        return {"points": "Each point is a pair of numbers."}
    if (settings.get("y_unit") or "none") not in UNITS:
        return {"y_unit": f"Choose one of {', '.join(UNITS)}."}
    return {}


def clear(*, tenant_id: int, control: int, actor: Actor) -> Command:
    """Have a control taken out of its station. Conflict for one that is not in there."""
    row = DerControl.objects.filter(tenant_id=tenant_id, pk=control).first()
    if row is None:
        raise NotFound("There is no such control.")
    station = profiles.station_of(tenant_id, row.station_id, actor)
    if row.state not in HELD:
        raise Conflict("This control is not in the station.")
    return commands.request_command(
        tenant_id=tenant_id,
        station_id=station.pk,
        kind=CommandKind.CLEAR_DER,
        arguments={"is_default": row.is_default, "control_id": row.control_id},
        actor=actor,
    )


# --- how commands end (outcomes.FOLLOWERS) ---


def settled(*, command: Command) -> None:
    """A control was taken or not; a bare command gets its row here."""
    row = DerControl.objects.filter(
        tenant_id=command.tenant_id, command_id=command.pk, state=DerState.SENT
    ).first()
    accepted = command.state == CommandState.ACCEPTED
    if row is None:
        already = DerControl.objects.filter(tenant_id=command.tenant_id, command_id=command.pk).exists()
        if already or not accepted:
            return
        row = _create(command, command.arguments)
    row.settled_at = timezone.now()
    if accepted:
        _drop_same(row)
        waits = row.starts_at is not None and row.starts_at > row.settled_at
        row.state = DerState.SCHEDULED if waits else DerState.ACTIVE
    else:
        refused = command.state == CommandState.REJECTED
        row.state = DerState.REJECTED if refused else DerState.FAILED
        row.reason = row.reason or {
            "NotSupported": "The station does not know this control.",
            "NotFound": "The station does not know this control.",
        }.get(command.answer, command.detail or str(command.get_state_display()))
    row.save()
    _announce(command.tenant_id, command.station_id)


def _drop_same(row: DerControl) -> None:
    DerControl.objects.filter(
        tenant_id=row.tenant_id, station_id=row.station_id, control_id=row.control_id, state__in=HELD
    ).exclude(pk=row.pk).update(state=DerState.ENDED, changed_at=timezone.now())


def cleared(*, command: Command) -> None:
    """What was cleared is gone; so is what the station did not know (R04: NotFound)."""
    if command.state != CommandState.ACCEPTED and command.answer != "NotFound":
        return
    told = command.arguments
    gone = DerControl.objects.filter(
        tenant_id=command.tenant_id, station_id=command.station_id, state__in=HELD,
        is_default=bool(told.get("is_default")),
    )  # fmt: skip
    if told.get("control_id"):
        gone = gone.filter(control_id=told["control_id"])
    if told.get("type"):
        gone = gone.filter(kind=told["type"])
    gone.update(state=DerState.CLEARED, changed_at=timezone.now(), reason=command.origin_label[:200])
    _announce(command.tenant_id, command.station_id)


# --- what stations report ---


def record_answers(*, tenant_id: int, reports: Sequence[DerAnswered]) -> None:
    """Which controls gave way to a new one, or why it was refused."""
    for told in reports:
        if told.accepted:
            _supersede(tenant_id, told.station_id, told.superseded, told.received_at)
        elif told.reason:
            DerControl.objects.filter(tenant_id=tenant_id, command_id=told.command_id).update(
                reason=told.reason[:200]
            )


def _supersede(tenant_id: int, station_id: int, ids: Sequence[str], at: datetime) -> None:
    if ids:
        DerControl.objects.filter(
            tenant_id=tenant_id, station_id=station_id, control_id__in=list(ids), state__in=HELD
        ).update(state=DerState.SUPERSEDED, changed_at=at)


def record_switches(*, tenant_id: int, reports: Sequence[DerSwitched]) -> None:
    """NotifyDERStartStop: a scheduled control began or ended; another gave way, or came back."""
    for told in reports:
        row = DerControl.objects.filter(
            tenant_id=tenant_id, station_id=told.station_id, control_id=told.control_id, state__in=HELD
        ).first()
        at, _flags = clock.sanitise(told.raw_timestamp, told.received_at)
        if row is not None:
            row.state = DerState.ACTIVE if told.started else DerState.ENDED
            row.changed_at = at
            row.save(update_fields=["state", "changed_at"])
        if told.started:
            _supersede(tenant_id, told.station_id, told.superseded, at)
        else:  # what it had superseded holds again
            DerControl.objects.filter(
                tenant_id=tenant_id, station_id=told.station_id, control_id__in=list(told.superseded),
                state=DerState.SUPERSEDED,
            ).update(state=DerState.ACTIVE, changed_at=at)  # fmt: skip
        name = DerType(row.kind).label if row else told.control_id
        text = f"Grid control began: {name}" if told.started else f"Grid control ended: {name}"
        _note(tenant_id, told.station_id, "der", "info", text, told.raw_timestamp, told.received_at,
              {"control": told.control_id, "superseded": list(told.superseded)})  # fmt: skip


def record_alarms(*, tenant_id: int, reports: Sequence[DerAlarm]) -> None:
    """NotifyDERAlarm (R05): the grid left the bounds of a control, or is back."""
    for told in reports:
        name = DerType(told.kind).label if told.kind in DerType.values else told.kind
        fault = told.fault.replace("_", " ") or "no reason given"
        text = f"Grid back within bounds: {name} ({fault})" if told.over else f"Grid alarm: {name} ({fault})"
        _note(tenant_id, told.station_id, "der_alarm", "info" if told.over else "error", text,
              told.raw_timestamp, told.received_at,
              {"control": told.kind, "fault": told.fault, "over": told.over, "text": told.text})  # fmt: skip


def record_reports(*, tenant_id: int, reports: Sequence[DersTold]) -> None:
    """ReportDERControl: rows come to agree with what the station has; what a full report leaves out is gone."""
    for told in reports:
        Station.objects.select_for_update(no_key=True).get(tenant_id=tenant_id, pk=told.station_id)
        have = {
            row.control_id: row
            for row in DerControl.objects.filter(
                tenant_id=tenant_id, station_id=told.station_id, state__in=HELD
            )
        }
        for control in {one.control_id: one for one in told.controls}.values():
            if len(have) >= MOST_HELD and control.control_id not in have:
                continue
            row = have.get(control.control_id) or DerControl(
                tenant_id=tenant_id,
                station_id=told.station_id,
                control_id=control.control_id[:36],
                settled_at=told.received_at,
            )
            _agree(row, control, told.received_at)
            have[control.control_id] = row
        if not told.more:
            _reconcile(tenant_id, told, list(have.values()))
        _announce(tenant_id, told.station_id)


def _agree(row: DerControl, told: DerTold, at: datetime) -> None:
    row.kind, row.is_default = told.kind, told.is_default
    row.priority = min(max(told.priority, 0), 2**31 - 1)
    row.settings, row.starts_at, row.duration_s = dict(told.settings), told.starts_at, told.duration_s
    waits = told.starts_at is not None and told.starts_at > at
    row.state = DerState.SUPERSEDED if told.superseded else DerState.SCHEDULED if waits else DerState.ACTIVE
    row.told_at = at
    row.save()


def _reconcile(tenant_id: int, told: DersTold, have: list[DerControl]) -> None:
    asked = (
        Command.objects.filter(tenant_id=tenant_id, station_id=told.station_id, kind=CommandKind.READ_DER)
        .order_by("-id")
        .first()
    )
    if asked is None or wire_number(asked.pk) != told.request or not asked.sent_at or asked.arguments:
        return
    since = asked.sent_at
    gone = [
        row.pk
        for row in have
        if (row.told_at is None or row.told_at < since) and (row.settled_at is None or row.settled_at < since)
    ]
    if gone:
        DerControl.objects.filter(pk__in=gone).update(
            state=DerState.CLEARED, changed_at=told.received_at, reason="The station no longer tells of it."
        )


def _note(
    tenant_id: int, station_id: int, kind: str, severity: str, text: str, raw: str, at: datetime, detail: Any
) -> None:
    report = EventReport(
        station_id=station_id, kind=kind, severity=severity, text=text, raw_timestamp=raw, received_at=at,
        detail=detail,
    )  # fmt: skip
    events.record(tenant_id=tenant_id, reports=[report])
    _announce(tenant_id, station_id)


def _announce(tenant_id: int, station_id: int) -> None:
    site = (
        Station.objects.filter(tenant_id=tenant_id, pk=station_id).values_list("site_id", flat=True).first()
    )
    if site is not None:
        live.publish(tenant_id, kind="station", station_id=station_id, site_id=site, data={"id": station_id})
