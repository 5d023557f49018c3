"""RemoteTrigger profile."""

from __future__ import annotations

from stations.models import CommandKind
from stations.ocpp import wire
from stations.ocpp.version import Payload, Say
from stations.ocpp.wire import optional, wanted

_TRIGGERS = {
    "boot": "BootNotification",
    "heartbeat": "Heartbeat",
    "status": "StatusNotification",
    "meter_values": "MeterValues",
    "firmware": "FirmwareStatusNotification",
    "log": "DiagnosticsStatusNotification",
}


def _say_trigger(arguments: Payload, command_id: int) -> Payload:
    message = wanted(arguments, "message", str)
    return optional(
        requestedMessage=_TRIGGERS.get(message, message), connectorId=wire.connector_16(arguments)
    )


SAYS: dict[str, Say] = {
    CommandKind.TRIGGER: Say("TriggerMessage", _say_trigger, cases="5.17"),
}
