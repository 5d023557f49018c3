"""Monitors of 2.x: asked for here, told by the station, kept as one list per station."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from stations.models import (
    Command,
    CommandKind,
    CommandState,
    DeviceReport,
    Monitor,
    MonitorBase,
    MonitorKind,
    MonitorState,
    Station,
)
from stations.neutral import (
    MonitorReport,
    MonitorsAnswered,
    MonitorsCleared,
    MonitorsTold,
    VariableReport,
)
from stations.services import commands, devices, verification, words
from tenants.errors import Invalid
from tenants.permissions import Actor, system

MOST_MONITORS = 2_000  # of a station
MOST_ASKED = 50  # of one request
_REASONS = {
    "unknown": "The station does not know this variable.",
    "unsupported": "The station cannot watch this variable in this way.",
    "duplicate": "Such a monitor is there already.",
}
# Values of MonitoringCtrlr.ActiveMonitoringBase.
BASES = {"all": "All", "factory": "FactoryDefault", "hard_wired": "HardWiredOnly"}


def set_monitors(
    *, tenant_id: int, station_id: int, monitors: Sequence[dict[str, Any]], actor: Actor
) -> list[Monitor]:
    """Ask a station to watch variables: [{"component", "name", "kind", "value", "severity", "evse", "connector",
    "instance", "component_instance", "during_transaction", "stream": {"interval_s", "values"}, "id"}]."""
    if not monitors or len(monitors) > MOST_ASKED:
        raise Invalid(fields={"monitors": f"Give 1 to {MOST_ASKED} monitors."})
    for given in monitors:
        check(given)
    command = commands.request_command(
        tenant_id=tenant_id, station_id=station_id, kind=CommandKind.SET_MONITORS,
        arguments={"monitors": list(monitors)}, actor=actor,
    )  # fmt: skip
    return _asked(command)


def check(given: dict[str, Any]) -> None:
    """Invalid names what is wrong with a monitor."""
    for name in ("component", "name"):
        if not isinstance(given.get(name), str) or not given[name] or len(given[name]) > 50:
            raise Invalid(fields={name: "Say which variable of which component to watch."})
    if given.get("kind") not in MonitorKind.values:
        raise Invalid(fields={"kind": f"Choose one of {', '.join(MonitorKind.values)}."})
    value = given.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(fields={"value": "A number."})
    if given["kind"] in (MonitorKind.PERIODIC, MonitorKind.CLOCK_ALIGNED) and value <= 0:
        raise Invalid(fields={"value": "A number of seconds above 0."})
    if given["kind"] == MonitorKind.DELTA and value <= 0:
        raise Invalid(fields={"value": "A change above 0."})
    severity = given.get("severity")
    if isinstance(severity, bool) or not isinstance(severity, int) or not 0 <= severity <= 9:
        raise Invalid(fields={"severity": "From 0 (danger) to 9 (debug)."})


def _asked(command: Command) -> list[Monitor]:
    """The rows of the monitors that a command asks for."""
    now = timezone.now()
    made = []
    for given in command.arguments.get("monitors") or ():
        try:
            check(given)
        except Invalid:
            continue
        stream = given.get("stream") if isinstance(given.get("stream"), dict) else {}
        made.append(
            Monitor(
                tenant_id=command.tenant_id, station_id=command.station_id, command=command,
                **verification.named(devices.key_of(_variable(given))), kind=given["kind"], value=given["value"],
                severity=given["severity"], during_transaction=bool(given.get("during_transaction")),
                base=MonitorBase.CUSTOM, stream_interval_s=stream.get("interval_s"),
                stream_values=stream.get("values"), origin_label=command.origin_label, created_at=now,
            )
        )  # fmt: skip
    return Monitor.objects.bulk_create(made[:MOST_ASKED])


def _variable(given: dict[str, Any]) -> VariableReport:
    return VariableReport(
        given["name"], None, component=given["component"],
        component_instance=str(given.get("component_instance") or ""), evse=int(given.get("evse") or 0),
        connector=int(given.get("connector") or 0), instance=str(given.get("instance") or ""),
    )  # fmt: skip


def record_answers(*, tenant_id: int, reports: Sequence[MonitorsAnswered]) -> None:
    for answered in reports:
        command = Command.objects.get(tenant_id=tenant_id, pk=answered.command_id)
        asked = list(
            Monitor.objects.select_for_update(no_key=True)
            .filter(tenant_id=tenant_id, command=command, state=MonitorState.ASKED)
            .order_by("id")
        )
        if not asked:
            asked = _asked(command)
        for monitor, told in zip(asked, answered.monitors, strict=False):
            if told.status == "set" and told.number is not None:
                _now_set(monitor, told, answered.received_at)
            else:
                monitor.state = MonitorState.REFUSED
                monitor.reason = _REASONS.get(told.status, told.reason)[:200]
                monitor.save()
        verification.tell(tenant_id, answered.station_id)


def _now_set(monitor: Monitor, told: MonitorReport, at: datetime) -> None:
    """The monitor bears the station's number; one that bore it is replaced (N04.FR.14)."""
    Monitor.objects.filter(
        tenant_id=monitor.tenant_id, station_id=monitor.station_id, number=told.number, state=MonitorState.SET
    ).exclude(pk=monitor.pk).update(state=MonitorState.CLEARED, reason="Replaced by another.")
    monitor.number, monitor.state, monitor.told_at, monitor.reason = told.number, MonitorState.SET, at, ""
    monitor.save()


def record_told(*, tenant_id: int, reports: Sequence[MonitorsTold]) -> None:
    """NotifyMonitoringReport: what the station watches, whoever asked for it."""
    for told in reports:
        known = {
            monitor.number: monitor
            for monitor in Monitor.objects.select_for_update(no_key=True).filter(
                tenant_id=tenant_id, station_id=told.station_id, state=MonitorState.SET
            )
        }
        for report in told.monitors[:MOST_MONITORS]:
            _keep(tenant_id, told, report, known)


def _keep(
    tenant_id: int, told: MonitorsTold, report: MonitorReport, known: dict[int | None, Monitor]
) -> None:
    monitor = known.get(report.number)
    if monitor is None:
        if len(known) >= MOST_MONITORS:
            return
        monitor = Monitor(
            tenant_id=tenant_id, station_id=told.station_id, number=report.number, created_at=told.received_at
        )
        known[report.number] = monitor
    elif monitor.told_at is not None and monitor.told_at > told.received_at:
        return
    for name, value in verification.named(devices.key_of(report.variable)).items():
        setattr(monitor, name, value)
    monitor.kind, monitor.value, monitor.severity = report.kind, report.value, _severity(report.severity)
    monitor.during_transaction, monitor.told_at = report.during_transaction, told.received_at
    monitor.state = MonitorState.SET
    if report.base != MonitorBase.UNKNOWN or monitor.base == "":
        monitor.base = report.base
    monitor.save()


def _severity(told: int) -> int:
    return told if 0 <= told <= 9 else 9


def record_cleared(*, tenant_id: int, reports: Sequence[MonitorsCleared]) -> None:
    for cleared in reports:
        for number, status, reason in cleared.results:
            found = Monitor.objects.filter(
                tenant_id=tenant_id, station_id=cleared.station_id, number=number, state=MonitorState.SET
            )
            if status == "gone":
                found.update(state=MonitorState.CLEARED, told_at=cleared.received_at, reason="")
            else:
                found.update(reason=(words.STAYS % {"reason": reason})[:200])
        verification.tell(tenant_id, cleared.station_id)


def forget_untold(report: DeviceReport) -> None:
    """A report of all monitors is complete: those it did not name are no more."""
    command = report.command
    if command is None or command.arguments.get("criteria") or command.arguments.get("variables"):
        return
    Monitor.objects.filter(
        tenant_id=report.tenant_id, station_id=report.station_id, state=MonitorState.SET,
        told_at__lt=report.created_at,
    ).update(state=MonitorState.CLEARED, reason="The station no longer tells of it.")  # fmt: skip


def follow(*, command: Command) -> None:
    """The end of a command that sets monitors: what was not answered was not set."""
    changed = Monitor.objects.filter(
        tenant_id=command.tenant_id, command=command, state=MonitorState.ASKED
    ).update(state=MonitorState.REFUSED, reason=(command.detail or str(command.get_state_display()))[:200])
    if changed:
        verification.tell(command.tenant_id, command.station_id)


def follow_base(*, command: Command) -> None:
    """N03: which monitors are in use has changed; the list is asked for anew."""
    if command.state != CommandState.ACCEPTED:
        return
    _keep_setting(command, "ActiveMonitoringBase", BASES.get(command.arguments.get("base", ""), ""))
    commands.request_command(
        tenant_id=command.tenant_id, station_id=command.station_id, kind=CommandKind.READ_MONITORS, arguments={},
        actor=system("Read back"),
    )  # fmt: skip


def follow_level(*, command: Command) -> None:
    if command.state == CommandState.ACCEPTED:
        _keep_setting(command, "ActiveMonitoringLevel", str(command.arguments.get("severity", "")))


def _keep_setting(command: Command, name: str, value: str) -> None:
    told = VariableReport(name, value, component="MonitoringCtrlr")
    devices.record_variables(
        tenant_id=command.tenant_id, station_id=command.station_id, reports=[told], source="set",
        at=command.settled_at or timezone.now(), history=False,
    )  # fmt: skip
    verification.tell(command.tenant_id, command.station_id)


def of_station(station: Station) -> list[Monitor]:
    """What is set, asked or was refused, the gravest first; what is gone is left out."""
    found = Monitor.objects.filter(tenant_id=station.tenant_id, station=station)
    return list(
        found.exclude(state=MonitorState.CLEARED).order_by("state", "severity", "component", "name")[:500]
    )
