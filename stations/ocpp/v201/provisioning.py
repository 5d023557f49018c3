"""Block B: booting and resets."""

from __future__ import annotations

from stations.models import CommandKind
from stations.neutral import BootReport
from stations.ocpp import shared
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional
from stations.services import boot


def _boot(asked: Asked) -> BootReport:
    station = asked.payload["chargingStation"]
    modem = station.get("modem") or {}
    return BootReport(
        station_id=asked.station_id,
        received_at=asked.received_at,
        vendor=station.get("vendorName", ""),
        model=station.get("model", ""),
        serial_number=station.get("serialNumber", ""),
        firmware_version=station.get("firmwareVersion", ""),
        iccid=modem.get("iccid", ""),
        imsi=modem.get("imsi", ""),
        reason=asked.payload.get("reason", ""),
        detail=asked.payload,
    )


def _say_reset(arguments: Payload, command_id: int) -> Payload:
    return optional(type="Immediate" if arguments.get("hard") else "OnIdle", evseId=arguments.get("evse"))


ANSWERS: dict[str, Journal | Ask] = {
    "BootNotification": Ask(boot.register, _boot, shared.booted, cases="B01 B02 B03 B04"),
}

SAYS: dict[str, Say] = {
    CommandKind.RESET: Say("Reset", _say_reset, frozenset({"Accepted", "Scheduled"}), cases="B11 B12"),
}
