"""What 2.1 adds to monitors: their values may come as an event stream (N04, N11)."""

from __future__ import annotations

from stations.models import CommandKind
from stations.ocpp.v201 import monitoring
from stations.ocpp.version import Payload, Say
from stations.ocpp.wire import optional


def _monitor(entry: Payload) -> Payload:
    stream = entry.get("stream")
    told = monitoring.monitor(entry)
    if isinstance(stream, dict):
        told["periodicEventStream"] = params(stream)
    return told


def params(stream: Payload) -> Payload:
    """PeriodicEventStreamParamsType."""
    return optional(interval=stream.get("interval_s"), values=stream.get("values"))


def _say_set(arguments: Payload, command_id: int) -> Payload:
    return {"setMonitoringData": [_monitor(entry) for entry in monitoring.listed(arguments)]}


SAYS: dict[str, Say] = {
    CommandKind.SET_MONITORS: Say(
        "SetVariableMonitoring",
        _say_set,
        status=monitoring.set_status,
        reports=monitoring.answered,
        cases="N04 N11",
    ),
}
