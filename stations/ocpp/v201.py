"""OCPP 2.0.1: what we answer and what we say. Clauses refer to part 2 of the specification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fleets.models import TokenKind
from stations.models import CommandKind, ConnectorStatus
from stations.neutral import (
    AuthorizeRequest,
    BootReport,
    EventReport,
    MeterReport,
    StatusReport,
    TokenShown,
    TransactionAnswer,
    TransactionEvent,
    VariableReport,
)
from stations.ocpp import v16, wire
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say, Version
from stations.ocpp.wire import optional, wanted
from stations.services import boot, sessions, transactions
from tenants.errors import Invalid

STATUS = {
    "Available": ConnectorStatus.AVAILABLE,
    "Occupied": ConnectorStatus.OCCUPIED,
    "Reserved": ConnectorStatus.RESERVED,
    "Unavailable": ConnectorStatus.UNAVAILABLE,
    "Faulted": ConnectorStatus.FAULTED,
}
KIND = {"Started": "started", "Updated": "updated", "Ended": "ended"}
CHARGING_STATE = {
    "EVConnected": "ev_connected",
    "Charging": "charging",
    "SuspendedEV": "suspended_ev",
    "SuspendedEVSE": "suspended_evse",
    "Idle": "idle",
}


# --- what we answer ---


def token_info(answer: Any) -> Payload:
    """IdTokenInfoType (2.28)."""
    info: Payload = {"status": wire.VERDICT[answer.verdict]}
    if answer.group:
        info["groupIdToken"] = {"idToken": answer.group, "type": "Central"}
    if answer.expires_at is not None:
        info["cacheExpiryDateTime"] = wire.stamp(answer.expires_at)
    return info


def _boot(asked: Asked) -> BootReport:
    station = asked.payload["chargingStation"]
    modem = station.get("modem") or {}
    return BootReport(
        station_id=asked.station_id,
        received_at=asked.received_at,
        vendor=station.get("vendorName", ""),
        model=station.get("model", ""),
        serial_number=station.get("serialNumber", ""),
        firmware_version=station.get("firmwareVersion", ""),
        iccid=modem.get("iccid", ""),
        imsi=modem.get("imsi", ""),
        reason=asked.payload.get("reason", ""),
        detail=asked.payload,
    )


def _authorize(asked: Asked) -> AuthorizeRequest:
    token = wire.token_2x(asked.payload["idToken"])
    return AuthorizeRequest(asked.station_id, token or TokenShown(""), asked.received_at)


def _event(asked: Asked) -> TransactionEvent:
    told = asked.payload
    info, evse = told["transactionInfo"], told.get("evse") or {}
    return TransactionEvent(
        station_id=asked.station_id,
        kind=KIND[told["eventType"]],
        transaction_id=info["transactionId"],
        seq_no=told["seqNo"],
        raw_timestamp=told["timestamp"],
        received_at=asked.received_at,
        payload=told,
        trigger=told.get("triggerReason", ""),
        offline=bool(told.get("offline", False)),
        evse=evse.get("id", 0),
        connector=evse.get("connectorId", 0),
        token=wire.token_2x(told.get("idToken")),
        charging_state=CHARGING_STATE.get(info.get("chargingState", ""), ""),
        stopped_reason=info.get("stoppedReason", ""),
        remote_start_id=info.get("remoteStartId"),
        samples=wire.samples_2x(told.get("meterValue", ())),
    )


def record_events(*, tenant_id: int, requests: Sequence[TransactionEvent]) -> list[TransactionAnswer]:
    return transactions.record(tenant_id=tenant_id, events=requests)


def _event_recorded(answer: TransactionAnswer, asked: Asked) -> Payload:
    return {"idTokenInfo": token_info(answer)} if answer.verdict is not None else {}


def _status(asked: Asked) -> list[StatusReport]:
    told = asked.payload
    status = STATUS.get(told["connectorStatus"], ConnectorStatus.UNKNOWN)
    return [
        StatusReport(
            station_id=asked.station_id,
            evse=told["evseId"],
            connector=told["connectorId"],
            status=status,
            raw_timestamp=told["timestamp"],
            received_at=asked.received_at,
            error_code="Faulted" if status == ConnectorStatus.FAULTED else "",
        )
    ]


def _meter_values(asked: Asked) -> list[MeterReport]:
    told = asked.payload
    return [
        MeterReport(asked.station_id, told["evseId"], asked.received_at, wire.samples_2x(told["meterValue"]))
    ]


_ATTRIBUTE = {"target": "Target", "min": "MinSet", "max": "MaxSet"}
_ATTRIBUTE_TOLD = {told: neutral for neutral, told in _ATTRIBUTE.items()}


def _where(entry: Payload) -> dict[str, Any]:
    """Which variable of which component an entry of a report or of an answer speaks of."""
    component, variable = entry["component"], entry["variable"]
    evse = component.get("evse") or {}
    return {
        "name": variable["name"],
        "instance": variable.get("instance", ""),
        "component": component["name"],
        "component_instance": component.get("instance", ""),
        "evse": evse.get("id", 0),
        "connector": evse.get("connectorId", 0),
    }


def _report(asked: Asked) -> list[Any]:
    """NotifyReport: each part carries some variables; an attribute without a type is the actual value."""
    return [
        VariableReport(
            **_where(entry),
            attribute=_ATTRIBUTE_TOLD.get(attribute.get("type", ""), "actual"),
            value=attribute.get("value"),
            mutability={"ReadOnly": "read_only", "WriteOnly": "write_only"}.get(
                attribute.get("mutability", ""), "read_write"
            ),
            data_type=(entry.get("variableCharacteristics") or {}).get("dataType", ""),
            unit=(entry.get("variableCharacteristics") or {}).get("unit", ""),
            values_list=(entry.get("variableCharacteristics") or {}).get("valuesList", ""),
            min_limit=(entry.get("variableCharacteristics") or {}).get("minLimit"),
            max_limit=(entry.get("variableCharacteristics") or {}).get("maxLimit"),
        )
        for entry in asked.payload.get("reportData", ())
        for attribute in entry.get("variableAttribute", ())
    ]


def _monitor(asked: Asked) -> list[EventReport]:
    return [
        EventReport(
            station_id=asked.station_id,
            kind="monitor",
            severity="warning" if entry.get("trigger") == "Alerting" and not entry.get("cleared") else "info",
            text=f"{entry['component']['name']}.{entry['variable']['name']} is {entry.get('actualValue', '')}"[
                :200
            ],
            raw_timestamp=entry.get("timestamp", ""),
            received_at=asked.received_at,
            detail=entry,
            evse=(entry["component"].get("evse") or {}).get("id"),
            connector=(entry["component"].get("evse") or {}).get("connectorId"),
        )
        for entry in asked.payload["eventData"]
    ]


ANSWERS: dict[str, Journal | Ask] = {
    "Authorize": Ask(
        sessions.authorize, _authorize, lambda answer, asked: {"idTokenInfo": token_info(answer)}
    ),
    "BootNotification": Ask(boot.register, _boot, v16.booted),
    "DataTransfer": Journal(lambda asked: {"status": "UnknownVendorId"}, v16.vendor_message),
    "FirmwareStatusNotification": Journal(v16.nothing, v16.notice("firmware", "Firmware")),
    "Heartbeat": Journal(v16.current_time),
    "LogStatusNotification": Journal(v16.nothing, v16.notice("log", "Log")),
    "MeterValues": Journal(v16.nothing, _meter_values),
    "NotifyEvent": Journal(v16.nothing, _monitor),
    "NotifyReport": Journal(v16.nothing, _report),
    "SecurityEventNotification": Journal(v16.nothing, v16.security_event),
    "StatusNotification": Journal(v16.nothing, _status),
    "TransactionEvent": Ask(record_events, _event, _event_recorded),
}


# --- what we say ---

_TRIGGERS = {
    "boot": "BootNotification",
    "heartbeat": "Heartbeat",
    "status": "StatusNotification",
    "meter_values": "MeterValues",
    "firmware": "FirmwareStatusNotification",
    "log": "LogStatusNotification",
    "transaction": "TransactionEvent",
}
_TOKEN_TYPE = {
    TokenKind.ISO14443: "ISO14443",
    TokenKind.ISO15693: "ISO15693",
    TokenKind.KEY_CODE: "KeyCode",
    TokenKind.LOCAL: "Local",
    TokenKind.CENTRAL: "Central",
    TokenKind.EMAID: "eMAID",
    TokenKind.MAC_ADDRESS: "MacAddress",
    TokenKind.NO_AUTHORIZATION: "NoAuthorization",
}


def _evse(arguments: Payload) -> Payload | None:
    if not isinstance(arguments.get("evse"), int):
        return None
    return optional(id=arguments["evse"], connectorId=arguments.get("connector"))


def _say_start(arguments: Payload, command_id: int) -> Payload:
    kind = _TOKEN_TYPE.get(arguments.get("token_kind") or TokenKind.CENTRAL, "Central")
    return optional(
        idToken={"idToken": wanted(arguments, "token_uid", str), "type": kind},
        remoteStartId=command_id % 2_147_483_647,
        evseId=arguments.get("evse"),
        chargingProfile=arguments.get("charging_profile"),
    )


def _say_unlock(arguments: Payload, command_id: int) -> Payload:
    return {"evseId": wanted(arguments, "evse", int), "connectorId": arguments.get("connector") or 1}


def _say_availability(arguments: Payload, command_id: int) -> Payload:
    operative = wanted(arguments, "operative", bool)
    return optional(operationalStatus="Operative" if operative else "Inoperative", evse=_evse(arguments))


def _component(arguments: Payload) -> Payload:
    return optional(
        name=wanted(arguments, "component", str),
        instance=arguments.get("component_instance"),
        evse=_evse(arguments),
    )


def _variable(arguments: Payload) -> Payload:
    return optional(name=wanted(arguments, "name", str), instance=arguments.get("instance"))


def _say_read(arguments: Payload, command_id: int) -> Payload:
    """GetVariables. `variables`: [{"component", "name", ...}], or `names`: ["Component.Variable", ...]."""
    chosen = arguments.get("variables")
    if not chosen:
        names = [str(name).partition(".") for name in arguments.get("names") or ()]
        chosen = [{"component": component, "name": name} for component, _dot, name in names]
    if not chosen:
        raise Invalid(fields={"variables": "OCPP 2 reads named variables; read the device model for all."})
    return {
        "getVariableData": [
            optional(
                component=_component(entry),
                variable=_variable(entry),
                attributeType=_ATTRIBUTE.get(entry.get("attribute", "")),
            )
            for entry in chosen
        ]
    }


def _say_write(arguments: Payload, command_id: int) -> Payload:
    value = wanted(arguments, "value", (str, int, float, bool))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {
        "setVariableData": [
            optional(
                attributeType=_ATTRIBUTE.get(arguments.get("attribute", "")),
                component=_component(arguments),
                variable=_variable(arguments),
            )
            | {"attributeValue": text}
        ]
    }


def _say_trigger(arguments: Payload, command_id: int) -> Payload:
    message = wanted(arguments, "message", str)
    return optional(requestedMessage=_TRIGGERS.get(message, message), evse=_evse(arguments))


def _say_reset(arguments: Payload, command_id: int) -> Payload:
    return optional(type="Immediate" if arguments.get("hard") else "OnIdle", evseId=arguments.get("evse"))


def _say_report(arguments: Payload, command_id: int) -> Payload:
    return {
        "requestId": command_id % 2_147_483_647,
        "reportBase": {"configuration": "ConfigurationInventory", "summary": "SummaryInventory"}.get(
            arguments.get("base", ""), "FullInventory"
        ),
    }


def _read_variables(answer: Payload) -> list[VariableReport]:
    return [
        VariableReport(
            **_where(entry),
            attribute=_ATTRIBUTE_TOLD.get(entry.get("attributeType", ""), "actual"),
            value=entry.get("attributeValue"),
        )
        for entry in answer.get("getVariableResult", ())
        if entry.get("attributeStatus") == "Accepted"
    ]


def _read_status(answer: Payload) -> str:
    """Accepted where any variable was read, as in 1.6, whose unknown keys are no refusal."""
    words = [entry.get("attributeStatus", "") for entry in answer.get("getVariableResult", ())]
    return "Accepted" if "Accepted" in words else next(iter(words), "")


def _first_status(member: str) -> Any:
    """The status of the first entry that was not accepted, else Accepted."""

    def status(answer: Payload) -> str:
        words = [entry.get("attributeStatus", "") for entry in answer.get(member, ())]
        return next((word for word in words if word != "Accepted"), "Accepted" if words else "")

    return status


SAYS: dict[str, Say] = {
    CommandKind.CLEAR_CACHE: Say("ClearCache", lambda arguments, command_id: {}),
    CommandKind.DATA_TRANSFER: Say("DataTransfer", v16.say_transfer),
    CommandKind.READ_CONFIGURATION: Say(
        "GetVariables", _say_read, status=_read_status, reports=_read_variables
    ),
    CommandKind.READ_REPORT: Say("GetBaseReport", _say_report),
    CommandKind.RESET: Say("Reset", _say_reset, frozenset({"Accepted", "Scheduled"})),
    CommandKind.SET_AVAILABILITY: Say(
        "ChangeAvailability", _say_availability, frozenset({"Accepted", "Scheduled"})
    ),
    CommandKind.START: Say("RequestStartTransaction", _say_start),
    CommandKind.STOP: Say(
        "RequestStopTransaction",
        lambda arguments, command_id: {"transactionId": str(wanted(arguments, "transaction_id", (str, int)))},
    ),
    CommandKind.TRIGGER: Say("TriggerMessage", _say_trigger),
    CommandKind.UNLOCK: Say("UnlockConnector", _say_unlock, frozenset({"Unlocked"})),
    CommandKind.WRITE_CONFIGURATION: Say(
        "SetVariables",
        _say_write,
        frozenset({"Accepted", "RebootRequired"}),
        status=_first_status("setVariableResult"),
    ),
}

VERSION = Version("2.0.1", "ocpp2.0.1", ANSWERS, SAYS)
