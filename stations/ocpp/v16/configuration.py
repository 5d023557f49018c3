"""Core profile: configuration keys."""

from __future__ import annotations

from stations.models import CommandKind
from stations.neutral import (
    VariableReport,
    VariablesTold,
)
from stations.ocpp.version import Answered, Payload, Say
from stations.ocpp.wire import optional, wanted


def _say_read(arguments: Payload, command_id: int) -> Payload:
    return optional(key=arguments.get("names") or None)


def _say_write(arguments: Payload, command_id: int) -> Payload:
    return {
        "key": wanted(arguments, "name", str),
        "value": str(wanted(arguments, "value", (str, int, float, bool))),
    }


def _keys(answered: Answered) -> list[VariablesTold]:
    told = tuple(
        VariableReport(
            name=entry["key"],
            value=entry.get("value"),
            mutability="read_only" if entry.get("readonly") else "read_write",
        )
        for entry in answered.response.get("configurationKey", ())
    )
    return [VariablesTold(answered.station_id, answered.received_at, "read_configuration", told)]


SAYS: dict[str, Say] = {
    CommandKind.READ_CONFIGURATION: Say(
        "GetConfiguration", _say_read, frozenset({""}), status=lambda answer: "", reports=_keys, cases="5.8"
    ),
    CommandKind.WRITE_CONFIGURATION: Say(
        "ChangeConfiguration", _say_write, frozenset({"Accepted", "RebootRequired"}), cases="5.3"
    ),
}
