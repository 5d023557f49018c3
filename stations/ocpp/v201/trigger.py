"""F06: a message now instead of later. The last two words are 2.1 alone: what 2.0.1 cannot say its schema refuses."""

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
    "log": "LogStatusNotification",
    "transaction": "TransactionEvent",
    "sign_certificate": "SignChargingStationCertificate",
    "sign_v2g_certificate": "SignV2GCertificate",
    "sign_combined_certificate": "SignCombinedCertificate",
    "publish_firmware": "PublishFirmwareStatusNotification",
    # 2.1
    "sign_v2g20_certificate": "SignV2G20Certificate",
    "custom": "CustomTrigger",
}


def _say(arguments: Payload, command_id: int) -> Payload:
    message = wanted(arguments, "message", str)
    custom = wanted(arguments, "custom", str) if message == "custom" else None
    return optional(
        requestedMessage=_TRIGGERS.get(message, message), evse=wire.evse_2x(arguments), customTrigger=custom
    )


SAYS: dict[str, Say] = {CommandKind.TRIGGER: Say("TriggerMessage", _say, cases="F06")}
