"""Core profile: configuration keys."""

from __future__ import annotations

from stations.models import CommandKind
from stations.neutral import SettingAnswer, SettingsAnswered, VariableReport, VariablesTold
from stations.ocpp.version import Answered, Payload, Say
from stations.ocpp.wire import optional, wanted
from tenants.errors import Invalid

_SETTING = {"Accepted": "accepted", "RebootRequired": "reset", "NotSupported": "unknown"}


def _say_read(arguments: Payload, command_id: int) -> Payload:
    names = arguments.get("names") or [entry.get("name") for entry in arguments.get("variables") or ()]
    return optional(key=names or None)


def _say_write(arguments: Payload, command_id: int) -> Payload:
    listed = arguments.get("variables") or [arguments]
    if len(listed) > 1:
        raise Invalid(fields={"variables": "OCPP 1.6 changes one key a message."})
    value = wanted(listed[0], "value", (str, int, float, bool))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {"key": wanted(listed[0], "name", str), "value": text}


def _keys(answered: Answered) -> list[VariablesTold]:
    told = tuple(
        VariableReport(
            name=entry["key"],
            value=entry.get("value"),
            mutability="read_only" if entry.get("readonly") else "read_write",
        )
        for entry in answered.response.get("configurationKey", ())
    )
    absent = tuple(
        VariableReport(name=str(key), value=None) for key in answered.response.get("unknownKey") or ()
    )
    whole = not answered.request.get("key")  # 5.8: without keys it tells all that it has
    return [
        VariablesTold(answered.station_id, answered.received_at, "read_configuration", told, whole, absent)
    ]


def _changed(answered: Answered) -> list[SettingsAnswered]:
    word = str(answered.response.get("status", ""))
    key = VariableReport(name=answered.request["key"], value=None)
    result = SettingAnswer(key, _SETTING.get(word, "refused"), word)
    return [SettingsAnswered(answered.station_id, answered.command_id, answered.received_at, (result,))]


SAYS: dict[str, Say] = {
    CommandKind.READ_CONFIGURATION: Say(
        "GetConfiguration", _say_read, frozenset({""}), status=lambda answer: "", reports=_keys, cases="5.8"
    ),
    CommandKind.WRITE_CONFIGURATION: Say(
        "ChangeConfiguration",
        _say_write,
        frozenset({"Accepted", "RebootRequired"}),
        reports=_changed,
        cases="5.3",
    ),
}
