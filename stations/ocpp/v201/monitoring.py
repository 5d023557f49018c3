"""Block N: monitors of variables, set, removed and reported in parts, and the events they lead to (N02 to N08)."""

from __future__ import annotations

from typing import Any

from stations.models import CommandKind, MonitorBase, MonitorKind, wire_number
from stations.neutral import (
    MonitorEvent,
    MonitorReport,
    MonitorsAnswered,
    MonitorsCleared,
    MonitorsTold,
    VariableReport,
)
from stations.ocpp import shared
from stations.ocpp.v201 import variables
from stations.ocpp.version import Answered, Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted
from tenants.errors import Invalid

KINDS = {
    MonitorKind.UPPER: "UpperThreshold",
    MonitorKind.LOWER: "LowerThreshold",
    MonitorKind.DELTA: "Delta",
    MonitorKind.PERIODIC: "Periodic",
    MonitorKind.CLOCK_ALIGNED: "PeriodicClockAligned",
    MonitorKind.TARGET_DELTA: "TargetDelta",
    MonitorKind.TARGET_DELTA_RELATIVE: "TargetDeltaRelative",
}
_KIND_TOLD = {told: neutral for neutral, told in KINDS.items()}
_BASE_TOLD = {
    "HardWiredNotification": MonitorBase.NOTIFICATION,
    "HardWiredMonitor": MonitorBase.HARD_WIRED,
    "PreconfiguredMonitor": MonitorBase.PRECONFIGURED,
    "CustomMonitor": MonitorBase.CUSTOM,
}
_SET = {
    "Accepted": "set",
    "UnknownComponent": "unknown",
    "UnknownVariable": "unknown",
    "UnsupportedMonitorType": "unsupported",
    "Duplicate": "duplicate",
}
_BASES = {"all": "All", "factory": "FactoryDefault", "hard_wired": "HardWiredOnly"}
_CRITERIA = {"threshold": "ThresholdMonitoring", "delta": "DeltaMonitoring", "periodic": "PeriodicMonitoring"}
_TRIGGER = {"Alerting": "alert", "Delta": "delta", "Periodic": "periodic"}


def _named(entry: Payload) -> VariableReport:
    return VariableReport(**variables.where(entry), value=None)


def _events(asked: Asked) -> list[MonitorEvent]:
    """NotifyEvent (N07, N08). Events are whole by themselves: which part of the message they stand in means nothing."""
    return [
        MonitorEvent(
            asked.station_id,
            asked.received_at,
            entry.get("timestamp", ""),
            number=entry["eventId"],
            variable=_named(entry),
            trigger=_TRIGGER.get(entry.get("trigger", ""), "alert"),
            value=str(entry.get("actualValue", "")),
            base=_BASE_TOLD.get(entry.get("eventNotificationType", ""), MonitorBase.UNKNOWN),
            cleared=bool(entry.get("cleared", False)),
            monitor_number=entry.get("variableMonitoringId"),
            cause_number=entry.get("cause"),
            severity=entry.get("severity"),
            tech_code=str(entry.get("techCode", "")),
            tech_info=str(entry.get("techInfo", "")),
            transaction_id=str(entry.get("transactionId", "")),
            detail=entry,
        )
        for entry in asked.payload["eventData"]
    ]


def _monitors(asked: Asked) -> list[Any]:
    """NotifyMonitoringReport (N02)."""
    payload = asked.payload
    told = tuple(
        MonitorReport(
            number=monitor["id"],
            kind=_KIND_TOLD.get(monitor["type"], MonitorKind.UPPER),
            value=monitor["value"],
            severity=monitor["severity"],
            variable=_named(entry),
            during_transaction=bool(monitor.get("transaction", False)),
            base=_BASE_TOLD.get(monitor.get("eventNotificationType", ""), MonitorBase.UNKNOWN),
        )
        for entry in payload.get("monitor", ())
        for monitor in entry.get("variableMonitoring", ())
    )
    part = variables.part(asked, "monitors", len(told))
    return [MonitorsTold(asked.station_id, asked.received_at, told), part]


def monitor(entry: Payload) -> Payload:
    """SetMonitoringDataType."""
    kind = KINDS.get(entry.get("kind", ""))
    if kind is None:
        raise Invalid(fields={"kind": f"Choose one of {', '.join(KINDS)}."})
    return optional(
        id=entry.get("id"),
        transaction=True if entry.get("during_transaction") else None,
        type=kind,
        component=variables.component(entry),
        variable=variables.variable(entry),
    ) | {"value": wanted(entry, "value", (int, float)), "severity": wanted(entry, "severity", int)}


def listed(arguments: Payload) -> list[Payload]:
    monitors = arguments.get("monitors")
    if not isinstance(monitors, list) or not monitors or not all(isinstance(one, dict) for one in monitors):
        raise Invalid(fields={"monitors": 'A list of {"component", "name", "kind", "value", "severity"}.'})
    return monitors


def _say_set(arguments: Payload, command_id: int) -> Payload:
    return {"setMonitoringData": [monitor(entry) for entry in listed(arguments)]}


def answered(answer: Answered) -> list[MonitorsAnswered]:
    """The answer has no values: those stand in what was asked, in the same order."""
    results = answer.response.get("setMonitoringResult", ())
    asked = answer.request.get("setMonitoringData", ())
    told = tuple(
        MonitorReport(
            number=entry.get("id"),
            kind=_KIND_TOLD.get(entry["type"], MonitorKind.UPPER),
            value=given["value"],
            severity=given["severity"],
            variable=_named(given),
            during_transaction=bool(given.get("transaction", False)),
            base=MonitorBase.CUSTOM,
            status=_SET.get(entry.get("status", ""), "refused"),
            reason=variables.reason(entry.get("status", ""), entry.get("statusInfo")),
        )
        for entry, given in zip(results, asked, strict=False)
    )
    return [MonitorsAnswered(answer.station_id, answer.command_id, answer.received_at, told)]


def set_status(answer: Payload) -> str:
    """The word of the first monitor that was not set."""
    words = [entry.get("status", "") for entry in answer.get("setMonitoringResult", ())]
    return next((word for word in words if word != "Accepted"), "Accepted" if words else "")


def _say_clear(arguments: Payload, command_id: int) -> Payload:
    ids = wanted(arguments, "ids", list)
    if not ids or not all(isinstance(number, int) for number in ids):
        raise Invalid(fields={"ids": "The ids of the monitors, as the station tells them."})
    return {"id": ids}


_CLEARED = {"Accepted": "gone", "NotFound": "gone"}


def _cleared(answer: Answered) -> list[MonitorsCleared]:
    results = tuple(
        (
            entry["id"],
            _CLEARED.get(entry.get("status", ""), "refused"),
            variables.reason(entry.get("status", ""), entry.get("statusInfo")),
        )
        for entry in answer.response.get("clearMonitoringResult", ())
    )
    return [MonitorsCleared(answer.station_id, answer.command_id, answer.received_at, results)]


def _clear_status(answer: Payload) -> str:
    words = [entry.get("status", "") for entry in answer.get("clearMonitoringResult", ())]
    return next((word for word in words if word == "Rejected"), next(iter(words), ""))


def _say_base(arguments: Payload, command_id: int) -> Payload:
    base = _BASES.get(wanted(arguments, "base", str))
    if base is None:
        raise Invalid(fields={"base": f"Choose one of {', '.join(_BASES)}."})
    return {"monitoringBase": base}


def _say_level(arguments: Payload, command_id: int) -> Payload:
    severity = wanted(arguments, "severity", int)
    if not 0 <= severity <= 9:
        raise Invalid(fields={"severity": "From 0 (danger) to 9 (debug)."})
    return {"severity": severity}


def _say_report(arguments: Payload, command_id: int) -> Payload:
    criteria = arguments.get("criteria") or ()
    return optional(
        requestId=wire_number(command_id),
        componentVariable=variables.components(arguments),
        monitoringCriteria=[_CRITERIA.get(word, word) for word in criteria] or None,
    )


ANSWERS: dict[str, Journal | Ask] = {
    "NotifyEvent": Journal(shared.nothing, _events, cases="N07 N08 G05"),
    "NotifyMonitoringReport": Journal(shared.nothing, _monitors, cases="N02"),
}

SAYS: dict[str, Say] = {
    CommandKind.SET_MONITORS: Say(
        "SetVariableMonitoring", _say_set, status=set_status, reports=answered, cases="N04"
    ),
    CommandKind.CLEAR_MONITORS: Say(
        "ClearVariableMonitoring",
        _say_clear,
        frozenset({"Accepted", "NotFound"}),
        status=_clear_status,
        reports=_cleared,
        cases="N06",
    ),
    CommandKind.READ_MONITORS: Say(
        "GetMonitoringReport",
        _say_report,
        frozenset({"Accepted", "EmptyResultSet"}),
        reports=variables.promised("monitors"),
        cases="N02",
    ),
    CommandKind.SET_MONITORING_BASE: Say("SetMonitoringBase", _say_base, cases="N03"),
    CommandKind.SET_MONITORING_LEVEL: Say("SetMonitoringLevel", _say_level, cases="N05"),
}
