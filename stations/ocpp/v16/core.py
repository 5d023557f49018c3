"""Core profile: what a station says of itself, and how it is kept in service."""

from __future__ import annotations

from stations.models import CommandKind, ConnectorStatus
from stations.neutral import (
    BootReport,
    StatusReport,
)
from stations.ocpp import shared, wire
from stations.ocpp.transfers import transfer
from stations.ocpp.v16 import plug_and_charge
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say, Transfer
from stations.ocpp.wire import wanted
from stations.services import boot

STATUS = {
    "Available": ConnectorStatus.AVAILABLE,
    "Preparing": ConnectorStatus.PREPARING,
    "Charging": ConnectorStatus.CHARGING,
    "SuspendedEV": ConnectorStatus.SUSPENDED_EV,
    "SuspendedEVSE": ConnectorStatus.SUSPENDED_EVSE,
    "Finishing": ConnectorStatus.FINISHING,
    "Reserved": ConnectorStatus.RESERVED,
    "Unavailable": ConnectorStatus.UNAVAILABLE,
    "Faulted": ConnectorStatus.FAULTED,
}


def _boot(asked: Asked) -> BootReport:
    told = asked.payload
    return BootReport(
        station_id=asked.station_id,
        received_at=asked.received_at,
        vendor=told.get("chargePointVendor", ""),
        model=told.get("chargePointModel", ""),
        serial_number=told.get("chargePointSerialNumber") or told.get("chargeBoxSerialNumber", ""),
        firmware_version=told.get("firmwareVersion", ""),
        iccid=told.get("iccid", ""),
        imsi=told.get("imsi", ""),
        detail=told,
    )


def _status(asked: Asked) -> list[StatusReport]:
    told = asked.payload
    error = told.get("errorCode", "")
    return [
        StatusReport(
            station_id=asked.station_id,
            evse=told["connectorId"],
            connector=1 if told["connectorId"] else 0,
            status=STATUS.get(told["status"], ConnectorStatus.UNKNOWN),
            raw_timestamp=told.get("timestamp", ""),
            received_at=asked.received_at,
            error_code="" if error == "NoError" else error,
            vendor_error_code=told.get("vendorErrorCode", ""),
            info=told.get("info", ""),
        )
    ]


def _say_availability(arguments: Payload, command_id: int) -> Payload:
    operative = wanted(arguments, "operative", bool)
    return {
        "connectorId": wire.connector_16(arguments) or 0,
        "type": "Operative" if operative else "Inoperative",
    }


ANSWERS: dict[str, Journal | Ask | Transfer] = {
    "BootNotification": Ask(boot.register, _boot, shared.booted, cases="4.2"),
    "DataTransfer": transfer({plug_and_charge.VENDOR: plug_and_charge.row}, "4.3"),
    "Heartbeat": Journal(shared.current_time, cases="4.6"),
    "StatusNotification": Journal(shared.nothing, _status, cases="4.9"),
}

SAYS: dict[str, Say] = {
    CommandKind.CLEAR_CACHE: Say("ClearCache", lambda arguments, command_id: {}, cases="5.4"),
    CommandKind.DATA_TRANSFER: Say("DataTransfer", shared.say_transfer, cases="5.6"),
    CommandKind.RESET: Say(
        "Reset",
        lambda arguments, command_id: {"type": "Hard" if arguments.get("hard") else "Soft"},
        cases="5.14",
    ),
    CommandKind.SET_AVAILABILITY: Say(
        "ChangeAvailability", _say_availability, frozenset({"Accepted", "Scheduled"}), cases="5.2"
    ),
}
