"""RemoteTrigger profile, and the extended trigger of the security whitepaper."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stations.models import CommandKind
from stations.ocpp import wire
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


SAYS: dict[str, Say] = {
    CommandKind.EXTENDED_TRIGGER: Say("ExtendedTriggerMessage", _say(_EXTENDED), cases="A.2 A.4 A.5"),
    CommandKind.TRIGGER: Say("TriggerMessage", _say(_TRIGGERS), cases="5.17"),
}
