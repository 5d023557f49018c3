"""FirmwareManagement profile and its signed kin of the security whitepaper: logs up, firmware down."""

from __future__ import annotations

from stations.models import CommandKind
from stations.neutral import LogAnswered
from stations.ocpp import files, shared, wire
from stations.ocpp.version import Answered, Ask, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted


def _say_diagnostics(arguments: Payload, command_id: int) -> Payload:
    return optional(
        location=wanted(arguments, "location", str),
        startTime=arguments.get("since"),
        stopTime=arguments.get("until"),
    ) | files.again(arguments)


def _diagnostics_answered(answered: Answered) -> list[LogAnswered]:
    """Without a file name there is nothing to upload (5.9)."""
    name = str(answered.response.get("fileName") or "")
    return [
        LogAnswered(answered.station_id, answered.received_at, answered.command_id, name, nothing=not name)
    ]


def _say_update(arguments: Payload, command_id: int) -> Payload:
    return {
        "location": wanted(arguments, "location", str),
        "retrieveDate": arguments.get("retrieve_at") or wire.stamp(wire.now()),
    } | files.again(arguments)


def _say_signed(arguments: Payload, command_id: int) -> Payload:
    wanted(arguments, "signature", str)
    wanted(arguments, "certificate", str)
    return files.say_firmware(arguments, command_id)


ANSWERS: dict[str, Journal | Ask] = {
    "DiagnosticsStatusNotification": Journal(shared.nothing, files.diagnostics_notice, cases="4.4"),
    "FirmwareStatusNotification": Journal(shared.nothing, files.firmware_notice, cases="4.5"),
    "LogStatusNotification": Journal(shared.nothing, files.log_notice, cases="A.4"),
    "SignedFirmwareStatusNotification": Journal(shared.nothing, files.firmware_notice, cases="A.5"),
}

SAYS: dict[str, Say] = {
    CommandKind.FETCH_DIAGNOSTICS: Say(
        "GetDiagnostics",
        _say_diagnostics,
        frozenset({""}),
        status=lambda answer: "",
        reports=_diagnostics_answered,
        cases="5.9",
    ),
    CommandKind.FETCH_LOG: Say(
        "GetLog", files.say_log, files.ACCEPTED, reports=files.log_answered, cases="A.4"
    ),
    CommandKind.UPDATE_FIRMWARE: Say(
        "UpdateFirmware", _say_update, frozenset({""}), status=lambda answer: "", cases="5.19"
    ),
    CommandKind.UPDATE_SIGNED_FIRMWARE: Say("SignedUpdateFirmware", _say_signed, files.ACCEPTED, cases="A.5"),
}
