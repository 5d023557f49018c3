"""OCPP 2.1: an extension of 2.0.1. New blocks follow with their own issues; SEND (part 4, 4.2.5) is taken."""

from __future__ import annotations

from stations.neutral import EventReport
from stations.ocpp import v201
from stations.ocpp.version import Asked, Journal, Version


def _stream(asked: Asked) -> list[EventReport]:
    """NotifyPeriodicEventStream (N11)."""
    told = asked.payload
    values = told.get("data", ())
    return [
        EventReport(
            station_id=asked.station_id,
            kind="monitor",
            severity="info",
            text=f"Event stream {told['id']}: {len(values)} values",
            raw_timestamp=told.get("basetime", ""),
            received_at=asked.received_at,
            detail=told,
        )
    ]


SENDS = {"NotifyPeriodicEventStream": Journal(lambda asked: {}, _stream)}

VERSION = Version("2.1", "ocpp2.1", v201.ANSWERS, v201.SAYS, sends=SENDS)
