"""Periodic event streams (N11 to N15). Their data come by SEND (part 4, 4.2.5)."""

from __future__ import annotations

from typing import Any

from stations.models import CommandKind
from stations.neutral import StreamClosed, StreamOffer, StreamsListed, StreamTold
from stations.ocpp import shared
from stations.ocpp.v21.monitoring import params
from stations.ocpp.version import Answered, Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import wanted
from stations.services import streams
from tenants.errors import Invalid


def _offer(station_id: int, at: Any, told: Payload) -> StreamOffer:
    given = told.get("params") or {}
    return StreamOffer(
        station_id,
        at,
        told["id"],
        told.get("variableMonitoringId"),
        given.get("interval"),
        given.get("values"),
    )


def _values(asked: Asked) -> list[StreamTold]:
    """NotifyPeriodicEventStream (N11)."""
    told = asked.payload
    return [
        StreamTold(
            asked.station_id, asked.received_at, told["id"], told.get("basetime", ""), told.get("pending", 0),
            tuple((entry["t"], str(entry["v"])) for entry in told.get("data", ())),
        )
    ]  # fmt: skip


def _say_adjust(arguments: Payload, command_id: int) -> Payload:
    told = params(arguments)
    if not told:
        raise Invalid(fields={"interval_s": "Give an interval in seconds, a number of values, or both."})
    return {"id": wanted(arguments, "id", int), "params": told}


def _adjusted(answered: Answered) -> list[StreamOffer]:
    if not answered.accepted:
        return []
    given = answered.request["params"]
    return [
        StreamOffer(
            answered.station_id, answered.received_at, answered.request["id"], None, given.get("interval"),
            given.get("values"),
        )
    ]  # fmt: skip


def _listed(answered: Answered) -> list[StreamsListed]:
    found = answered.response.get("constantStreamData") or ()
    offers = tuple(_offer(answered.station_id, answered.received_at, entry) for entry in found)
    return [StreamsListed(answered.station_id, answered.received_at, offers)]


ANSWERS: dict[str, Journal | Ask] = {
    "ClosePeriodicEventStream": Journal(
        shared.nothing,
        lambda asked: [StreamClosed(asked.station_id, asked.received_at, asked.payload["id"])],
        cases="N13",
    ),
    "OpenPeriodicEventStream": Ask(
        streams.open_stream,
        lambda asked: _offer(asked.station_id, asked.received_at, asked.payload["constantStreamData"]),
        lambda accepted, asked: {"status": "Accepted" if accepted else "Rejected"},
        cases="N11 N12",
    ),
}

SENDS: dict[str, Journal] = {"NotifyPeriodicEventStream": Journal(lambda asked: {}, _values, cases="N11")}

SAYS: dict[str, Say] = {
    CommandKind.ADJUST_STREAM: Say("AdjustPeriodicEventStream", _say_adjust, reports=_adjusted, cases="N15"),
    CommandKind.READ_STREAMS: Say(
        "GetPeriodicEventStream",
        lambda arguments, command_id: {},
        frozenset({""}),
        status=lambda answer: "",
        reports=_listed,
        cases="N14",
    ),
}
