"""Local lists and reservations: what 1.6 and 2.x say alike."""

from __future__ import annotations

from typing import Any

from fleets.models import Verdict
from stations.neutral import ListAnswered, ReservationAnswered
from stations.ocpp import wire
from stations.ocpp.version import Answered, Payload
from tenants.errors import Invalid

_LIST = {"Accepted": "taken", "VersionMismatch": "mismatch", "NotSupported": "unsupported"}
_RESERVE = {
    "Accepted": "held", "Occupied": "occupied", "Faulted": "faulted", "Unavailable": "unavailable",
}  # fmt: skip


def entries(arguments: Payload) -> list[Payload]:
    """`entries` of a command: [{"uid", "kind", "verdict", "group", "expires_at"}]; no verdict: removed."""
    listed: Any = arguments.get("entries") or []
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise Invalid(fields={"entries": "Write a list of entries, each with its `uid`."})
    return listed


def verdict(entry: Payload) -> str:
    try:
        return wire.VERDICT[Verdict(entry["verdict"])]
    except ValueError:
        raise Invalid(fields={"entries": f"A verdict is one of {', '.join(Verdict.values)}."}) from None


def answered(told: Answered) -> list[ListAnswered]:
    word = str(told.response.get("status", ""))
    return [ListAnswered(told.station_id, told.command_id, _LIST.get(word, "refused"))]


def reserved(told: Answered) -> list[ReservationAnswered]:
    word = str(told.response.get("status", ""))
    return [ReservationAnswered(told.station_id, told.command_id, _RESERVE.get(word, "refused"))]


def cancelled(told: Answered) -> list[ReservationAnswered]:
    outcome = "cancelled" if told.response.get("status") == "Accepted" else "unknown"
    return [ReservationAnswered(told.station_id, told.command_id, outcome)]
