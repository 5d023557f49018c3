"""Block G: status, heartbeat, in and out of service."""

from __future__ import annotations

from stations.models import CommandKind, ConnectorStatus
from stations.neutral import (
    StatusReport,
)
from stations.ocpp import shared, wire
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted

STATUS = {
    "Available": ConnectorStatus.AVAILABLE,
    "Occupied": ConnectorStatus.OCCUPIED,
    "Reserved": ConnectorStatus.RESERVED,
    "Unavailable": ConnectorStatus.UNAVAILABLE,
    "Faulted": ConnectorStatus.FAULTED,
}


def _status(asked: Asked) -> list[StatusReport]:
    told = asked.payload
    status = STATUS.get(told["connectorStatus"], ConnectorStatus.UNKNOWN)
    return [
        StatusReport(
            station_id=asked.station_id,
            evse=told["evseId"],
            connector=told["connectorId"],
            status=status,
            raw_timestamp=told["timestamp"],
            received_at=asked.received_at,
        )
    ]


def _say_availability(arguments: Payload, command_id: int) -> Payload:
    operative = wanted(arguments, "operative", bool)
    return optional(
        operationalStatus="Operative" if operative else "Inoperative", evse=wire.evse_2x(arguments)
    )


ANSWERS: dict[str, Journal | Ask] = {
    "Heartbeat": Journal(shared.current_time, cases="G02"),
    "StatusNotification": Journal(shared.nothing, _status, cases="G01"),
}

SAYS: dict[str, Say] = {
    CommandKind.SET_AVAILABILITY: Say(
        "ChangeAvailability", _say_availability, frozenset({"Accepted", "Scheduled"}), cases="G03 G04"
    ),
}
