"""Block L, firmware, and N01, logs: files that stations upload and download."""

from __future__ import annotations

from stations.models import CommandKind
from stations.ocpp import files, shared
from stations.ocpp.version import Ask, Journal, Payload, Say
from stations.ocpp.wire import wanted


def _say_publish(arguments: Payload, command_id: int) -> Payload:
    """L03. The checksum is the MD5 of the whole file, in hexadecimal digits."""
    return {
        "location": wanted(arguments, "location", str),
        "checksum": wanted(arguments, "checksum", str),
        "requestId": files.number(arguments, command_id),
    } | files.again(arguments)


ANSWERS: dict[str, Journal | Ask] = {
    "FirmwareStatusNotification": Journal(shared.nothing, files.firmware_notice, cases="L01 L02"),
    "LogStatusNotification": Journal(shared.nothing, files.log_notice, cases="N01"),
    "PublishFirmwareStatusNotification": Journal(shared.nothing, files.publication_notice, cases="L03"),
}

SAYS: dict[str, Say] = {
    CommandKind.FETCH_LOG: Say(
        "GetLog", files.say_log, files.ACCEPTED, reports=files.log_answered, cases="N01"
    ),
    CommandKind.PUBLISH_FIRMWARE: Say("PublishFirmware", _say_publish, cases="L03"),
    CommandKind.UNPUBLISH_FIRMWARE: Say(
        "UnpublishFirmware",
        lambda arguments, command_id: {"checksum": wanted(arguments, "checksum", str)},
        frozenset({"Unpublished", "NoFirmware"}),  # L04: either way it is offered no more
        cases="L04",
    ),
    CommandKind.UPDATE_FIRMWARE: Say("UpdateFirmware", files.say_firmware, files.ACCEPTED, cases="L01 L02"),
}
