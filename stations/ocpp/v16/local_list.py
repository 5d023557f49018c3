"""LocalAuthListManagement profile (3.5, 5.10, 5.15)."""

from __future__ import annotations

from stations.models import CommandKind
from stations.neutral import ListVersionTold
from stations.ocpp import lists, wire
from stations.ocpp.version import Answered, Payload, Say
from stations.ocpp.wire import optional, wanted


def _entry(entry: Payload) -> Payload:
    """AuthorizationData: without info, the entry is removed."""
    told: Payload = {"idTag": wanted(entry, "uid", str)}
    if entry.get("verdict"):
        until = wire.moment(entry, "expires_at") if entry.get("expires_at") else None
        told["idTagInfo"] = optional(
            status=lists.verdict(entry), expiryDate=until, parentIdTag=str(entry.get("group") or "")[:20]
        )
    return told


def _say_list(arguments: Payload, command_id: int) -> Payload:
    return {
        "listVersion": wanted(arguments, "version", int),
        "updateType": "Full" if arguments.get("full") else "Differential",
        "localAuthorizationList": [_entry(entry) for entry in lists.entries(arguments)],
    }


def _version(answered: Answered) -> list[ListVersionTold]:
    told = int(answered.response["listVersion"])
    return [ListVersionTold(answered.station_id, answered.command_id, answered.received_at, told)]


SAYS: dict[str, Say] = {
    CommandKind.SEND_LIST: Say("SendLocalList", _say_list, reports=lists.answered, cases="5.15"),
    CommandKind.READ_LIST_VERSION: Say(
        "GetLocalListVersion", lambda arguments, command_id: {}, frozenset({""}), status=lambda answer: "",
        reports=_version, cases="5.10",
    ),
}  # fmt: skip
