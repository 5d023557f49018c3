"""Block B: the device model. Variables, several at once (B05, B06), and reports in parts (B07, B08)."""

from __future__ import annotations

from typing import Any

from stations.models import CommandKind, wire_number
from stations.neutral import (
    ReportPart,
    ReportPromised,
    SettingAnswer,
    SettingsAnswered,
    VariableReport,
    VariablesTold,
)
from stations.ocpp import shared, wire
from stations.ocpp.version import Answered, Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted
from tenants.errors import Invalid

_ATTRIBUTE = {"target": "Target", "min": "MinSet", "max": "MaxSet"}
_ATTRIBUTE_TOLD = {told: neutral for neutral, told in _ATTRIBUTE.items()}
_MUTABILITY = {"ReadOnly": "read_only", "WriteOnly": "write_only"}
_SETTING = {"Accepted": "accepted", "RebootRequired": "reset", "Rejected": "refused"}
_BASES = {"full": "FullInventory", "configuration": "ConfigurationInventory", "summary": "SummaryInventory"}
_CRITERIA = {"active": "Active", "available": "Available", "enabled": "Enabled", "problem": "Problem"}


def where(entry: Payload) -> dict[str, Any]:
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
    payload = asked.payload
    told = tuple(
        VariableReport(
            **where(entry),
            attribute=_ATTRIBUTE_TOLD.get(attribute.get("type", ""), "actual"),
            value=attribute.get("value"),
            mutability=_MUTABILITY.get(attribute.get("mutability", ""), "read_write"),
            persistent=attribute.get("persistent", False),
            constant=attribute.get("constant", False),
            **_characteristics(entry.get("variableCharacteristics") or {}),
        )
        for entry in payload.get("reportData", ())
        for attribute in entry.get("variableAttribute", ())
    )
    return [
        VariablesTold(asked.station_id, asked.received_at, "report", told),
        part(asked, "report", len(told)),
    ]


def part(asked: Asked, kind: str, items: int) -> ReportPart:
    """Which part of a report this message is (`kind`: report | monitors)."""
    payload = asked.payload
    return ReportPart(
        asked.station_id, asked.received_at, kind, wire.whole(payload["requestId"]), wire.whole(payload["seqNo"]),
        bool(payload.get("tbc", False)), items, payload.get("generatedAt", ""),
    )  # fmt: skip


def _characteristics(told: Payload) -> dict[str, Any]:
    return {
        "data_type": told.get("dataType", ""),
        "unit": told.get("unit", ""),
        "values_list": told.get("valuesList", ""),
        "min_limit": told.get("minLimit"),
        "max_limit": told.get("maxLimit"),
        "max_elements": told.get("maxElements"),
        "supports_monitoring": told.get("supportsMonitoring"),
    }


def component(arguments: Payload) -> Payload:
    return optional(
        name=wanted(arguments, "component", str),
        instance=arguments.get("component_instance"),
        evse=wire.evse_2x(arguments),
    )


def variable(arguments: Payload) -> Payload:
    return optional(name=wanted(arguments, "name", str), instance=arguments.get("instance"))


def chosen(arguments: Payload) -> list[Payload]:
    """`variables`: [{"component", "name", ...}], or `names`: ["Component.Variable", ...]."""
    listed = arguments.get("variables")
    if not listed:
        names = [str(name).partition(".") for name in arguments.get("names") or ()]
        listed = [optional(component=component, name=name) for component, _dot, name in names]
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise Invalid(fields={"variables": 'A list of {"component": ..., "name": ...}.'})
    return listed


def components(arguments: Payload) -> list[Payload] | None:
    """ComponentVariableType[] of a report on a part of the device model; without a variable all of the component."""
    listed = [
        optional(component=component(entry), variable=variable(entry) if entry.get("name") else None)
        for entry in chosen(arguments)
    ]
    return listed or None


def _say_read(arguments: Payload, command_id: int) -> Payload:
    listed = chosen(arguments)
    if not listed:
        raise Invalid(fields={"variables": "OCPP 2 reads named variables; read the device model for all."})
    return {
        "getVariableData": [
            optional(
                component=component(entry),
                variable=variable(entry),
                attributeType=_ATTRIBUTE.get(entry.get("attribute", "")),
            )
            for entry in listed
        ]
    }


def _say_write(arguments: Payload, command_id: int) -> Payload:
    listed = chosen(arguments) or [arguments]
    return {"setVariableData": [_set(entry) for entry in listed]}


def _set(entry: Payload) -> Payload:
    value = wanted(entry, "value", (str, int, float, bool))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return optional(
        attributeType=_ATTRIBUTE.get(entry.get("attribute", "")),
        component=component(entry),
        variable=variable(entry),
    ) | {"attributeValue": text}


def _say_base_report(arguments: Payload, command_id: int) -> Payload:
    base = _BASES.get(arguments.get("base", ""), "FullInventory")
    return {"requestId": wire_number(command_id), "reportBase": base}


def _say_report(arguments: Payload, command_id: int) -> Payload:
    criteria = arguments.get("criteria") or ()
    return optional(
        requestId=wire_number(command_id),
        componentVariable=components(arguments),
        componentCriteria=[_CRITERIA.get(word, word) for word in criteria] or None,
    )


def promised(kind: str) -> Any:
    """Reports of an answer that says whether parts will follow."""

    def reports(answered: Answered) -> list[ReportPromised]:
        word = str(answered.response.get("status", ""))
        base = answered.arguments.get("base") or "full"
        return [
            ReportPromised(
                answered.station_id, answered.command_id, answered.request["requestId"], answered.received_at, kind,
                base if "reportBase" in answered.request else "criteria", answered.accepted, word == "EmptyResultSet",
            )
        ]  # fmt: skip

    return reports


def _read_variables(answered: Answered) -> list[VariablesTold]:
    read: list[VariableReport] = []
    absent: list[VariableReport] = []
    for entry in answered.response.get("getVariableResult", ()):
        word = entry.get("attributeStatus")
        if word == "Rejected":  # write-only, for one: it is there
            continue
        told = VariableReport(
            **where(entry),
            attribute=_ATTRIBUTE_TOLD.get(entry.get("attributeType", ""), "actual"),
            value=entry.get("attributeValue"),
        )
        (read if word == "Accepted" else absent).append(told)
    at = answered.received_at
    return [VariablesTold(answered.station_id, at, "read_configuration", tuple(read), absent=tuple(absent))]


def _read_status(answer: Payload) -> str:
    """Accepted where any variable was read, as in 1.6, whose unknown keys are no refusal."""
    words = [entry.get("attributeStatus", "") for entry in answer.get("getVariableResult", ())]
    return "Accepted" if "Accepted" in words else next(iter(words), "")


def _written(answered: Answered) -> list[SettingsAnswered]:
    results = tuple(
        SettingAnswer(
            VariableReport(
                **where(entry),
                attribute=_ATTRIBUTE_TOLD.get(entry.get("attributeType", ""), "actual"),
                value=None,
            ),
            _SETTING.get(entry.get("attributeStatus", ""), "unknown"),
            reason(entry.get("attributeStatus", ""), entry.get("attributeStatusInfo")),
        )
        for entry in answered.response.get("setVariableResult", ())
    )
    return [SettingsAnswered(answered.station_id, answered.command_id, answered.received_at, results)]


def reason(word: str, info: Payload | None) -> str:
    """A status word with what the station says to it."""
    told = [
        str(part) for part in ((info or {}).get("reasonCode"), (info or {}).get("additionalInfo")) if part
    ]
    return f"{word}: {', '.join(told)}" if told else str(word)


def _write_status(answer: Payload) -> str:
    """The word of the first variable that was refused; else that of one that counts after a reset; else Accepted."""
    words = [entry.get("attributeStatus", "") for entry in answer.get("setVariableResult", ())]
    refused = [word for word in words if word not in ("Accepted", "RebootRequired")]
    return next(iter(refused), "RebootRequired" if "RebootRequired" in words else "Accepted" if words else "")


ANSWERS: dict[str, Journal | Ask] = {"NotifyReport": Journal(shared.nothing, _report, cases="B07 B08")}

_REPORTS = frozenset({"Accepted", "EmptyResultSet"})

SAYS: dict[str, Say] = {
    CommandKind.READ_COMPONENTS: Say(
        "GetReport", _say_report, _REPORTS, reports=promised("report"), cases="B08"
    ),
    CommandKind.READ_CONFIGURATION: Say(
        "GetVariables", _say_read, status=_read_status, reports=_read_variables, cases="B06"
    ),
    CommandKind.READ_REPORT: Say(
        "GetBaseReport", _say_base_report, _REPORTS, reports=promised("report"), cases="B07"
    ),
    CommandKind.WRITE_CONFIGURATION: Say(
        "SetVariables",
        _say_write,
        frozenset({"Accepted", "RebootRequired"}),
        status=_write_status,
        reports=_written,
        cases="A01 A05 B05 I04 I05",
    ),
}
