"""OCPP 1.6J: what we answer and what we say. Clauses refer to the OCPP 1.6 edition 2 specification."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from stations.models import CommandKind, ConnectorStatus
from stations.neutral import (
    AuthorizeRequest,
    BootReport,
    EventReport,
    MeterReport,
    StartAnswer,
    StartRequest,
    StatusReport,
    StopAnswer,
    StopRequest,
    TokenShown,
    VariableReport,
)
from stations.ocpp import wire
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say, Version
from stations.ocpp.wire import optional, wanted
from stations.services import boot, sessions
from tenants.errors import Invalid

STATUS = {
    "Available": ConnectorStatus.AVAILABLE,
    "Preparing": ConnectorStatus.PREPARING,
    "Charging": ConnectorStatus.CHARGING,
    "SuspendedEV": ConnectorStatus.SUSPENDED_EV,
    "SuspendedEVSE": ConnectorStatus.SUSPENDED_EVSE,
    "Finishing": ConnectorStatus.FINISHING,
    "Reserved": ConnectorStatus.RESERVED,
    "Unavailable": ConnectorStatus.UNAVAILABLE,
    "Faulted": ConnectorStatus.FAULTED,
}


def _tag_info(answer: Any) -> Payload:
    """IdTagInfo (7.27)."""
    info: Payload = {"status": wire.VERDICT[answer.verdict]}
    if answer.group:
        info["parentIdTag"] = answer.group[:20]
    if answer.expires_at is not None:
        info["expiryDate"] = wire.stamp(answer.expires_at)
    return info


# --- what we answer ---


def _boot(asked: Asked) -> BootReport:
    told = asked.payload
    return BootReport(
        station_id=asked.station_id,
        received_at=asked.received_at,
        vendor=told.get("chargePointVendor", ""),
        model=told.get("chargePointModel", ""),
        serial_number=told.get("chargePointSerialNumber") or told.get("chargeBoxSerialNumber", ""),
        firmware_version=told.get("firmwareVersion", ""),
        iccid=told.get("iccid", ""),
        imsi=told.get("imsi", ""),
        detail=told,
    )


def booted(answer: boot.BootAnswer, asked: Asked) -> Payload:
    return {
        "status": wire.REGISTRATION[answer.registration],  # type: ignore[index]
        "currentTime": wire.stamp(asked.received_at),
        "interval": answer.interval_seconds,
    }


def _meter(told: Any) -> Decimal:
    """As told, however absurd: what no meter can show is not 0 Wh, and the verb flags it."""
    try:
        return Decimal(str(told))
    except (InvalidOperation, ValueError):
        return Decimal("NaN")


def _start(asked: Asked) -> StartRequest:
    told = asked.payload
    return StartRequest(
        station_id=asked.station_id,
        connector=told["connectorId"],
        token=TokenShown(uid=told["idTag"]),
        meter_start_wh=_meter(told["meterStart"]),
        raw_timestamp=told["timestamp"],
        received_at=asked.received_at,
        payload=told,
    )


def _started(answer: StartAnswer, asked: Asked) -> Payload:
    return {"transactionId": answer.transaction_number, "idTagInfo": _tag_info(answer)}


def _stop(asked: Asked) -> StopRequest:
    told = asked.payload
    return StopRequest(
        station_id=asked.station_id,
        transaction_number=told["transactionId"],
        meter_stop_wh=_meter(told["meterStop"]),
        raw_timestamp=told["timestamp"],
        received_at=asked.received_at,
        payload=told,
        token=TokenShown(uid=told["idTag"]) if told.get("idTag") else None,
        reason=told.get("reason", "Local"),  # 6.49: absent means Local
        samples=wire.samples_16(told.get("transactionData", ())),
    )


def _stopped(answer: StopAnswer, asked: Asked) -> Payload:
    return {"idTagInfo": _tag_info(answer)} if answer.verdict is not None else {}


def _status(asked: Asked) -> list[StatusReport]:
    told = asked.payload
    error = told.get("errorCode", "")
    return [
        StatusReport(
            station_id=asked.station_id,
            evse=told["connectorId"],
            connector=1 if told["connectorId"] else 0,
            status=STATUS.get(told["status"], ConnectorStatus.UNKNOWN),
            raw_timestamp=told.get("timestamp", ""),
            received_at=asked.received_at,
            error_code="" if error == "NoError" else error,
            vendor_error_code=told.get("vendorErrorCode", ""),
            info=told.get("info", ""),
        )
    ]


def _meter_values(asked: Asked) -> list[MeterReport]:
    told = asked.payload
    return [
        MeterReport(
            station_id=asked.station_id,
            evse=told["connectorId"],
            received_at=asked.received_at,
            samples=wire.samples_16(told["meterValue"]),
            transaction_number=told.get("transactionId"),
        )
    ]


FAILURES = ("Failed", "Error", "Rejected", "Invalid", "Denied", "NotSupported")


def notice(kind: str, words: str) -> Any:
    """Decoder of a firmware or log status."""

    def decode(asked: Asked) -> list[EventReport]:
        status = asked.payload["status"]
        failed = any(word in status for word in FAILURES)
        return [
            EventReport(
                station_id=asked.station_id,
                kind=kind,
                severity="error" if failed else "info",
                text=f"{words}: {status}",
                raw_timestamp="",
                received_at=asked.received_at,
                detail=asked.payload,
            )
        ]

    return decode


def security_event(asked: Asked) -> list[EventReport]:
    told = asked.payload
    return [
        EventReport(
            station_id=asked.station_id,
            kind="security",
            severity="warning",
            text=f"Security event: {told['type']}",
            raw_timestamp=told.get("timestamp", ""),
            received_at=asked.received_at,
            detail=told,
        )
    ]


def vendor_message(asked: Asked) -> list[EventReport]:
    told = asked.payload
    return [
        EventReport(
            station_id=asked.station_id,
            kind="vendor",
            severity="info",
            text=f"Vendor message {told.get('vendorId', '')} {told.get('messageId', '')}".strip(),
            raw_timestamp="",
            received_at=asked.received_at,
            detail=told,
        )
    ]


def nothing(asked: Asked) -> Payload:
    return {}


def current_time(asked: Asked) -> Payload:
    return {"currentTime": wire.stamp(asked.received_at)}


ANSWERS: dict[str, Journal | Ask] = {
    "Authorize": Ask(
        sessions.authorize,
        lambda asked: AuthorizeRequest(
            asked.station_id, TokenShown(asked.payload["idTag"]), asked.received_at
        ),
        lambda answer, asked: {"idTagInfo": _tag_info(answer)},
    ),
    "BootNotification": Ask(boot.register, _boot, booted),
    # Kept and shown; that no vendor's messages are known here is the honest answer (5.4).
    "DataTransfer": Journal(lambda asked: {"status": "UnknownVendorId"}, vendor_message),
    "DiagnosticsStatusNotification": Journal(nothing, notice("log", "Diagnostics")),
    "FirmwareStatusNotification": Journal(nothing, notice("firmware", "Firmware")),
    "Heartbeat": Journal(current_time),
    "LogStatusNotification": Journal(nothing, notice("log", "Log")),
    "MeterValues": Journal(nothing, _meter_values),
    "SecurityEventNotification": Journal(nothing, security_event),
    "SignedFirmwareStatusNotification": Journal(nothing, notice("firmware", "Firmware")),
    "StartTransaction": Ask(sessions.start, _start, _started),
    "StatusNotification": Journal(nothing, _status),
    "StopTransaction": Ask(sessions.stop, _stop, _stopped),
}


# --- what we say ---

_TRIGGERS = {
    "boot": "BootNotification",
    "heartbeat": "Heartbeat",
    "status": "StatusNotification",
    "meter_values": "MeterValues",
    "firmware": "FirmwareStatusNotification",
    "log": "DiagnosticsStatusNotification",
}


def _connector(arguments: Payload) -> int | None:
    """1.6 connector n is EVSE n: either word names it."""
    evse = arguments.get("evse", arguments.get("connector"))
    return evse if isinstance(evse, int) and not isinstance(evse, bool) else None


def _say_start(arguments: Payload, command_id: int) -> Payload:
    return optional(
        connectorId=_connector(arguments),
        idTag=wanted(arguments, "token_uid", str),
        chargingProfile=arguments.get("charging_profile"),
    )


def _say_stop(arguments: Payload, command_id: int) -> Payload:
    text = str(wanted(arguments, "transaction_id", (str, int)))
    if not text.lstrip("-").isdigit():
        raise Invalid(fields={"transaction_id": "OCPP 1.6 knows transactions by a whole number."})
    return {"transactionId": int(text)}


def _say_unlock(arguments: Payload, command_id: int) -> Payload:
    connector = _connector(arguments)
    if connector is None:
        raise Invalid(fields={"evse": "Say which connector to unlock."})
    return {"connectorId": connector}


def _say_availability(arguments: Payload, command_id: int) -> Payload:
    operative = wanted(arguments, "operative", bool)
    return {"connectorId": _connector(arguments) or 0, "type": "Operative" if operative else "Inoperative"}


def _say_read(arguments: Payload, command_id: int) -> Payload:
    return optional(key=arguments.get("names") or None)


def _say_write(arguments: Payload, command_id: int) -> Payload:
    return {
        "key": wanted(arguments, "name", str),
        "value": str(wanted(arguments, "value", (str, int, float, bool))),
    }


def _say_trigger(arguments: Payload, command_id: int) -> Payload:
    message = wanted(arguments, "message", str)
    return optional(requestedMessage=_TRIGGERS.get(message, message), connectorId=_connector(arguments))


def say_transfer(arguments: Payload, command_id: int) -> Payload:
    return optional(
        vendorId=wanted(arguments, "vendor_id", str),
        messageId=arguments.get("message_id"),
        data=arguments.get("data"),
    )


def _no_report(arguments: Payload, command_id: int) -> Payload:
    raise Invalid("OCPP 1.6 has no device model: read the configuration instead.")


def _keys(answer: Payload) -> list[VariableReport]:
    return [
        VariableReport(
            name=entry["key"],
            value=entry.get("value"),
            mutability="read_only" if entry.get("readonly") else "read_write",
        )
        for entry in answer.get("configurationKey", ())
    ]


SAYS: dict[str, Say] = {
    CommandKind.CLEAR_CACHE: Say("ClearCache", lambda arguments, command_id: {}),
    CommandKind.DATA_TRANSFER: Say("DataTransfer", say_transfer),
    CommandKind.READ_CONFIGURATION: Say(
        "GetConfiguration", _say_read, frozenset({""}), status=lambda answer: "", reports=_keys
    ),
    CommandKind.READ_REPORT: Say("GetConfiguration", _no_report),
    CommandKind.RESET: Say(
        "Reset", lambda arguments, command_id: {"type": "Hard" if arguments.get("hard") else "Soft"}
    ),
    CommandKind.SET_AVAILABILITY: Say(
        "ChangeAvailability", _say_availability, frozenset({"Accepted", "Scheduled"})
    ),
    CommandKind.START: Say("RemoteStartTransaction", _say_start),
    CommandKind.STOP: Say("RemoteStopTransaction", _say_stop),
    CommandKind.TRIGGER: Say("TriggerMessage", _say_trigger),
    CommandKind.UNLOCK: Say("UnlockConnector", _say_unlock, frozenset({"Unlocked"})),
    CommandKind.WRITE_CONFIGURATION: Say(
        "ChangeConfiguration", _say_write, frozenset({"Accepted", "RebootRequired"})
    ),
}

VERSION = Version("1.6", "ocpp1.6", ANSWERS, SAYS, errors_unreadable=False)
