"""Block O: messages on the display."""

from __future__ import annotations

from typing import Any

from stations.models import CommandKind, DisplayFormat, DisplayPriority, DisplayState, wire_number
from stations.neutral import DisplaysTold, DisplayTold
from stations.ocpp import shared, wire
from stations.ocpp.version import Answered, Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted
from tenants.errors import Invalid

PRIORITY = {
    DisplayPriority.ALWAYS_FRONT: "AlwaysFront",
    DisplayPriority.IN_FRONT: "InFront",
    DisplayPriority.NORMAL_CYCLE: "NormalCycle",
}
STATE = {
    DisplayState.CHARGING: "Charging",
    DisplayState.FAULTED: "Faulted",
    DisplayState.IDLE: "Idle",
    DisplayState.UNAVAILABLE: "Unavailable",
    DisplayState.SUSPENDED: "Suspended",  # from 2.1 on; the schema of 2.0.1 refuses it
    DisplayState.DISCHARGING: "Discharging",
}
FORMAT = {
    DisplayFormat.UTF8: "UTF8",
    DisplayFormat.ASCII: "ASCII",
    DisplayFormat.HTML: "HTML",
    DisplayFormat.URI: "URI",
    DisplayFormat.QRCODE: "QRCODE",
}
_PRIORITY_TOLD = {told: neutral for neutral, told in PRIORITY.items()}
_STATE_TOLD = {told: neutral for neutral, told in STATE.items()}
_FORMAT_TOLD = {told: neutral for neutral, told in FORMAT.items()}


def content(entry: Any) -> Payload:
    if not isinstance(entry, dict):
        raise Invalid(fields={"contents": "Write a list of texts with language and format."})
    told = entry.get("format") or DisplayFormat.UTF8
    return optional(
        format=FORMAT.get(told, str(told)),
        language=entry.get("language"),
    ) | {"content": wanted(entry, "text", str)}


def say_show(arguments: Payload, command_id: int, *, extra: bool = False) -> Payload:
    """SetDisplayMessage. `extra`: 2.1 takes up to four more languages in the same message."""
    contents = [content(entry) for entry in wanted(arguments, "contents", list)]
    if not contents:
        raise Invalid(fields={"contents": "Write at least one text."})
    message = optional(
        id=wanted(arguments, "number", int),
        priority=_word(PRIORITY, arguments.get("priority") or DisplayPriority.NORMAL_CYCLE),
        state=_word(STATE, arguments.get("state")),
        startDateTime=arguments.get("starts_at"),
        endDateTime=arguments.get("ends_at"),
        transactionId=arguments.get("transaction_id"),
        message=contents[0],
        messageExtra=contents[1:5] if extra and len(contents) > 1 else None,
    )
    if arguments.get("evse"):
        message["display"] = {"name": "Display", "evse": {"id": wanted(arguments, "evse", int)}}
    return {"message": message}


def _word(words: Any, neutral: Any) -> Any:
    return words.get(neutral, neutral) if neutral else None


def _say_list(arguments: Payload, command_id: int) -> Payload:
    return optional(
        requestId=wire_number(command_id),
        id=arguments.get("numbers") or None,
        priority=_word(PRIORITY, arguments.get("priority")),
        state=_word(STATE, arguments.get("state")),
    )


def message(told: Payload) -> DisplayTold:
    return DisplayTold(
        number=told["id"],
        priority=_PRIORITY_TOLD.get(told["priority"], DisplayPriority.NORMAL_CYCLE),
        state=_STATE_TOLD.get(told.get("state", ""), ""),
        contents=tuple(
            {
                "language": entry.get("language", ""),
                "format": _FORMAT_TOLD.get(entry["format"], DisplayFormat.UTF8),
                "text": entry["content"],
            }
            for entry in [told["message"], *told.get("messageExtra", ())]
        ),
        starts_at=told.get("startDateTime", ""),
        ends_at=told.get("endDateTime", ""),
        transaction_id=told.get("transactionId", ""),
        evse=((told.get("display") or {}).get("evse") or {}).get("id", 0),
    )


def _told(asked: Asked) -> list[DisplaysTold]:
    told = asked.payload
    messages = tuple(message(entry) for entry in told.get("messageInfo", ()))
    last = not told.get("tbc", False)
    return [DisplaysTold(asked.station_id, asked.received_at, wire.whole(told["requestId"]), messages, last)]


def _listed(answered: Answered) -> list[DisplaysTold]:
    """GetDisplayMessages answered with Unknown: nothing that was asked for is shown."""
    if answered.response.get("status") != "Unknown":
        return []
    request = answered.request.get("requestId", 0)
    return [DisplaysTold(answered.station_id, answered.received_at, request, (), True)]


ANSWERS: dict[str, Journal | Ask] = {
    "NotifyDisplayMessages": Journal(shared.nothing, _told, cases="O03 O04"),
}

SAYS: dict[str, Say] = {
    CommandKind.SHOW_MESSAGE: Say(
        "SetDisplayMessage",
        lambda arguments, command_id: say_show(
            {**arguments, "contents": list(arguments.get("contents") or ())[:1]}, command_id
        ),
        cases="O01 O02 O06",
    ),
    CommandKind.READ_MESSAGES: Say(
        "GetDisplayMessages",
        _say_list,
        frozenset({"Accepted", "Unknown"}),
        reports=_listed,
        cases="O03 O04",
    ),
    CommandKind.CLEAR_MESSAGE: Say(
        "ClearDisplayMessage",
        lambda arguments, command_id: {"id": wanted(arguments, "number", int)},
        frozenset({"Accepted", "Unknown"}),  # Unknown: it is not there, which is what was wanted
        cases="O05",
    ),
}
