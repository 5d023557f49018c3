"""Periodic event streams (N11 to N15). Their data come by SEND (part 4, 4.2.5)."""

from __future__ import annotations

from stations.neutral import EventReport
from stations.ocpp.version import Asked, Journal


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


SENDS: dict[str, Journal] = {"NotifyPeriodicEventStream": Journal(lambda asked: {}, _stream, cases="N11")}
