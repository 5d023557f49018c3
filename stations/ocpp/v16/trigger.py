"""RemoteTrigger profile, and the extended trigger of the security whitepaper."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stations.models import CommandKind
from stations.ocpp import wire
from stations.ocpp.v16 import plug_and_charge
from stations.ocpp.v201 import trigger as trigger_201
from stations.ocpp.version import Payload, Say
from stations.ocpp.wire import optional, wanted

_COMMON = {
    "boot": "BootNotification",
    "heartbeat": "Heartbeat",
    "status": "StatusNotification",
    "meter_values": "MeterValues",
    "firmware": "FirmwareStatusNotification",
}
_TRIGGERS = _COMMON | {"log": "DiagnosticsStatusNotification"}
_EXTENDED = _COMMON | {
    "log": "LogStatusNotification",
    "sign_certificate": "SignChargePointCertificate",
}


def _say(words: Mapping[str, str]) -> Callable[[Payload, int], Payload]:
    def say(arguments: Payload, command_id: int) -> Payload:
        message = wanted(arguments, "message", str)
        return optional(
            requestedMessage=words.get(message, message), connectorId=wire.connector_16(arguments)
        )

    return say


_PNC = plug_and_charge.wrapped("TriggerMessage", trigger_201.SAYS[CommandKind.TRIGGER])


def _wrapped(arguments: Payload) -> Say | None:
    """A certificate towards cars is asked for as in 2.0.1, wrapped for Plug & Charge."""
    return _PNC if arguments.get("message") == "sign_v2g_certificate" else None


SAYS: dict[str, Say] = {
    CommandKind.EXTENDED_TRIGGER: Say("ExtendedTriggerMessage", _say(_EXTENDED), cases="A.2 A.4 A.5"),
    CommandKind.TRIGGER: Say("TriggerMessage", _say(_TRIGGERS), cases="5.17", instead=_wrapped),
}
