"""Events of monitors (2.x NotifyEvent): alerts open, and close when the station says that it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from stations.models import SEVERITY, Alert, Monitor, MonitorState, Station
from stations.models.variable import title
from stations.neutral import EventReport, MonitorEvent, VariableReport
from stations.services import clock, devices, events, verification
from tenants.permissions import Actor, Permission
from tenants.services import audit, facts

MOST_OPEN = 500  # alerts of a station; what a hostile one tells beyond is an event alone
KEPT_CLOSED = 2_000


def level(severity: int | None, *, alerting: bool) -> str:
    """Severity of an event row: 0 to 4 are errors, 5 and 6 warnings."""
    if severity is None:
        return "warning" if alerting else "info"
    if not alerting:
        return "info"
    return "error" if severity <= 4 else "warning" if severity <= 6 else "info"


def record(*, tenant_id: int, reports: Sequence[MonitorEvent]) -> None:
    """Each becomes an event and the variable's newest value; alerts open, count up or close besides."""
    known = _severities(tenant_id, reports)
    told = []
    for event in reports:
        severity = (
            event.severity
            if event.severity is not None
            else known.get((event.station_id, event.monitor_number))
        )
        severity = severity if severity is not None and 0 <= severity <= 9 else None
        at, _flags = clock.sanitise(event.raw_timestamp, event.received_at)
        _keep_value(tenant_id, event, at)
        if event.trigger == "alert" or event.cleared:
            _alert(tenant_id, event, severity, at)
        told.append(_event(event, severity))
    events.record(tenant_id=tenant_id, reports=told)
    for station_id in {event.station_id for event in reports}:
        verification.tell(tenant_id, station_id)


def _severities(tenant_id: int, reports: Sequence[MonitorEvent]) -> dict[Any, int]:
    """2.0.1 does not tell the severity: that of the monitor counts."""
    wanted = {event.station_id for event in reports if event.monitor_number is not None}
    found = Monitor.objects.filter(tenant_id=tenant_id, station_id__in=wanted, state=MonitorState.SET)
    return {(monitor.station_id, monitor.number): monitor.severity for monitor in found}


def _event(event: MonitorEvent, severity: int | None) -> EventReport:
    variable = event.variable
    alerting = event.trigger == "alert" and not event.cleared
    name = title(*devices.key_of(variable))
    text = f"{name} is {event.value}"
    if event.cleared:
        text = f"Over: {text}"
    elif alerting and severity is not None:
        text = f"{SEVERITY[severity]}: {text}"
    if event.tech_code:
        text += f" ({event.tech_code})"
    return EventReport(
        station_id=event.station_id,
        kind="monitor",
        severity=level(severity, alerting=alerting),
        text=text[:200],
        raw_timestamp=event.raw_timestamp,
        received_at=event.received_at,
        detail={**event.detail, "severity": severity},
        evse=variable.evse or None,
        connector=variable.connector or None,
    )


def _keep_value(tenant_id: int, event: MonitorEvent, at: datetime) -> None:
    told = event.variable
    report = VariableReport(
        told.name, event.value, component=told.component, component_instance=told.component_instance, evse=told.evse,
        connector=told.connector, instance=told.instance,
    )  # fmt: skip
    devices.record_variables(
        tenant_id=tenant_id, station_id=event.station_id, reports=[report], source="event",
        at=min(at, event.received_at), history=False,
    )  # fmt: skip


def _alert(tenant_id: int, event: MonitorEvent, severity: int | None, at: datetime) -> None:
    key = devices.key_of(event.variable)
    about = Alert.objects.filter(
        tenant_id=tenant_id, station_id=event.station_id, monitor_number=event.monitor_number,
        **verification.named(key),
    )  # fmt: skip
    present = about.filter(cleared_at=None).select_for_update(no_key=True).first()
    if event.cleared:
        if present is not None and at >= present.last_at:
            present.cleared_at, present.value = at, event.value[:2500]
            present.save(update_fields=["cleared_at", "value"])
            _publish(present, "alert.cleared")
        return
    if present is not None:
        if event.number != present.event_number and at >= present.last_at:
            present.event_number, present.value, present.last_at = event.number, event.value[:2500], at
            present.count += 1
            present.severity = severity if severity is not None else present.severity
            present.save(update_fields=["event_number", "value", "last_at", "count", "severity"])
        return
    if about.filter(cleared_at__gte=at).exists():  # told again, or late: it is over
        return
    if (
        Alert.objects.filter(tenant_id=tenant_id, station_id=event.station_id, cleared_at=None).count()
        >= MOST_OPEN
    ):
        return
    made = Alert.objects.create(
        tenant_id=tenant_id, station_id=event.station_id, **verification.named(key),
        monitor_number=event.monitor_number, event_number=event.number, cause_number=event.cause_number,
        severity=severity, base=event.base, value=event.value[:2500], tech_code=event.tech_code[:50],
        tech_info=event.tech_info[:500], transaction_id=event.transaction_id[:64], opened_at=at, last_at=at,
    )  # fmt: skip
    _publish(made, "alert.opened")


def _publish(alert: Alert, kind: str) -> None:
    facts.publish(
        tenant_id=alert.tenant_id, kind=kind, subject_type="alert", subject_id=alert.pk,
        payload={
            "alert": alert.pk, "station": alert.station_id, "variable": alert.title, "severity": alert.severity,
            "value": alert.value[:200],
        },
    )  # fmt: skip


def close(*, alert: Alert, actor: Actor) -> Alert:
    """A person says that it is over: many stations never do (hard-wired notifications have no end)."""
    actor.require(Permission.STATION_COMMAND, site_id=alert.station.site_id)
    if alert.cleared_at is None:
        alert.cleared_at, alert.cleared_by = timezone.now(), actor.label[:120]
        alert.save(update_fields=["cleared_at", "cleared_by"])
        audit.record(
            tenant_id=alert.tenant_id, actor=actor, action="alert.close", subject=alert,
            site_id=alert.station.site_id,
        )  # fmt: skip
        _publish(alert, "alert.cleared")
        verification.tell(alert.tenant_id, alert.station_id)
    return alert


def open_of(station: Station) -> list[Alert]:
    found = Alert.objects.filter(tenant_id=station.tenant_id, station=station, cleared_at=None)
    return sorted(found, key=lambda alert: (99 if alert.severity is None else alert.severity, -alert.pk))


def purge(*, tenant_id: int) -> int:
    closed = Alert.objects.filter(tenant_id=tenant_id).exclude(cleared_at=None).order_by("-id")
    last = closed.values_list("id", flat=True)[KEPT_CLOSED * 20 : KEPT_CLOSED * 20 + 1].first()
    return 0 if last is None else closed.filter(pk__lte=last).delete()[0]
