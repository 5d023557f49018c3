"""Blocks A04 and N: notices of security and monitors; block P: vendor messages."""

from __future__ import annotations

from stations.models import CommandKind
from stations.neutral import (
    EventReport,
)
from stations.ocpp import shared
from stations.ocpp.version import Ask, Asked, Journal, Say


def _monitor(asked: Asked) -> list[EventReport]:
    return [
        EventReport(
            station_id=asked.station_id,
            kind="monitor",
            severity="warning" if entry.get("trigger") == "Alerting" and not entry.get("cleared") else "info",
            text=f"{entry['component']['name']}.{entry['variable']['name']} is {entry.get('actualValue', '')}"[
                :200
            ],
            raw_timestamp=entry.get("timestamp", ""),
            received_at=asked.received_at,
            detail=entry,
            evse=(entry["component"].get("evse") or {}).get("id"),
            connector=(entry["component"].get("evse") or {}).get("connectorId"),
        )
        for entry in asked.payload["eventData"]
    ]


ANSWERS: dict[str, Journal | Ask] = {
    "DataTransfer": Journal(lambda asked: {"status": "UnknownVendorId"}, shared.vendor_message, cases="P02"),
    "NotifyEvent": Journal(shared.nothing, _monitor, cases="N07 N08 G05"),
    "SecurityEventNotification": Journal(shared.nothing, shared.security_event, cases="A04"),
}

SAYS: dict[str, Say] = {
    CommandKind.DATA_TRANSFER: Say("DataTransfer", shared.say_transfer, cases="P01"),
}
