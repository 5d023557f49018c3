"""Block D: local authorisation lists."""

from __future__ import annotations

from stations.models import CommandKind
from stations.neutral import ListVersionTold
from stations.ocpp import lists, wire
from stations.ocpp.v201.charging import spoken
from stations.ocpp.version import Answered, Payload, Say
from stations.ocpp.wire import optional, wanted


def _entry(entry: Payload) -> Payload:
    """AuthorizationData: without info, the entry is removed (D01.FR.16)."""
    told: Payload = {"idToken": wire.id_token(wanted(entry, "uid", str), entry.get("kind", ""))}
    if entry.get("verdict"):
        until = wire.moment(entry, "expires_at") if entry.get("expires_at") else None
        info = optional(
            status=lists.verdict(entry),
            cacheExpiryDateTime=until,
            groupIdToken=wire.group_2x(entry.get("group")),
        )
        told["idTokenInfo"] = info | spoken(entry.get("language", ""), entry.get("message", ""))
    return told


def _say_list(arguments: Payload, command_id: int) -> Payload:
    """A full list without entries empties the station's (D01.FR.04)."""
    return optional(
        versionNumber=wanted(arguments, "version", int),
        updateType="Full" if arguments.get("full") else "Differential",
        localAuthorizationList=[_entry(entry) for entry in lists.entries(arguments)] or None,
    )


def _version(answered: Answered) -> list[ListVersionTold]:
    told = int(answered.response["versionNumber"])
    return [ListVersionTold(answered.station_id, answered.command_id, answered.received_at, told)]


SAYS: dict[str, Say] = {
    CommandKind.SEND_LIST: Say("SendLocalList", _say_list, reports=lists.answered, cases="D01 C13 C14"),
    CommandKind.READ_LIST_VERSION: Say(
        "GetLocalListVersion", lambda arguments, command_id: {}, frozenset({""}), status=lambda answer: "",
        reports=_version, cases="D02",
    ),
}  # fmt: skip
