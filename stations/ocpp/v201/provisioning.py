"""Block B: booting, the device model, resets."""

from __future__ import annotations

from typing import Any

from stations.models import CommandKind
from stations.neutral import (
    BootReport,
    VariableReport,
    VariablesTold,
)
from stations.ocpp import shared, wire
from stations.ocpp.version import Answered, Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted
from stations.services import boot
from tenants.errors import Invalid


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


def _report(asked: Asked) -> list[VariablesTold]:
    """NotifyReport: each part carries some variables; an attribute without a type is the actual value."""
    told = tuple(
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
    )
    return [VariablesTold(asked.station_id, asked.received_at, "report", told)]


def _component(arguments: Payload) -> Payload:
    return optional(
        name=wanted(arguments, "component", str),
        instance=arguments.get("component_instance"),
        evse=wire.evse_2x(arguments),
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


def _say_reset(arguments: Payload, command_id: int) -> Payload:
    return optional(type="Immediate" if arguments.get("hard") else "OnIdle", evseId=arguments.get("evse"))


def _say_report(arguments: Payload, command_id: int) -> Payload:
    return {
        "requestId": command_id % 2_147_483_647,
        "reportBase": {"configuration": "ConfigurationInventory", "summary": "SummaryInventory"}.get(
            arguments.get("base", ""), "FullInventory"
        ),
    }


def _read_variables(answered: Answered) -> list[VariablesTold]:
    told = tuple(
        VariableReport(
            **_where(entry),
            attribute=_ATTRIBUTE_TOLD.get(entry.get("attributeType", ""), "actual"),
            value=entry.get("attributeValue"),
        )
        for entry in answered.response.get("getVariableResult", ())
        if entry.get("attributeStatus") == "Accepted"
    )
    return [VariablesTold(answered.station_id, answered.received_at, "read_configuration", told)]


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


ANSWERS: dict[str, Journal | Ask] = {
    "BootNotification": Ask(boot.register, _boot, shared.booted, cases="B01 B02 B03 B04"),
    "NotifyReport": Journal(shared.nothing, _report, cases="B07 B08"),
}

SAYS: dict[str, Say] = {
    CommandKind.READ_CONFIGURATION: Say(
        "GetVariables", _say_read, status=_read_status, reports=_read_variables, cases="B06"
    ),
    CommandKind.READ_REPORT: Say("GetBaseReport", _say_report, cases="B07"),
    CommandKind.RESET: Say("Reset", _say_reset, frozenset({"Accepted", "Scheduled"}), cases="B11 B12"),
    CommandKind.WRITE_CONFIGURATION: Say(
        "SetVariables",
        _say_write,
        frozenset({"Accepted", "RebootRequired"}),
        status=_first_status("setVariableResult"),
        cases="B05",
    ),
}
