"""RemoteTrigger profile."""

from __future__ import annotations

from stations.models import CommandKind
from stations.ocpp import wire
from stations.ocpp.v16 import plug_and_charge
from stations.ocpp.v201 import charging as charging_201
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


_PNC = plug_and_charge.wrapped("TriggerMessage", charging_201.SAYS[CommandKind.TRIGGER])


def _wrapped(arguments: Payload) -> Say | None:
    """A certificate towards cars is asked for as in 2.0.1, wrapped for Plug & Charge."""
    return _PNC if arguments.get("message") == "sign_v2g" else None


SAYS: dict[str, Say] = {
    CommandKind.TRIGGER: Say("TriggerMessage", _say_trigger, cases="5.17", instead=_wrapped),
}
