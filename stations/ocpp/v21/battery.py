"""Block S: battery swap."""

from __future__ import annotations

from stations.models import CommandKind, wire_number
from stations.neutral import BatteryTold, SwapReport, TokenShown
from stations.ocpp import shared, wire
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import wanted

_KIND = {"BatteryIn": "in", "BatteryOut": "out", "BatteryOutTimeout": "timeout"}


def _swap(asked: Asked) -> list[SwapReport]:
    told = asked.payload
    batteries = tuple(
        BatteryTold(
            evse=entry["evseId"],
            serial_number=entry["serialNumber"],
            soc_percent=float(entry["soC"]),
            soh_percent=float(entry["soH"]),
            produced_at=entry.get("productionDate", ""),
            vendor_info=entry.get("vendorInfo", ""),
        )
        for entry in told["batteryData"]
    )
    token = wire.token_2x(told["idToken"]) or TokenShown("")
    kind = _KIND[told["eventType"]]
    return [
        SwapReport(asked.station_id, asked.received_at, wire.whole(told["requestId"]), kind, token, batteries)
    ]


def _say_swap(arguments: Payload, command_id: int) -> Payload:
    return {
        "requestId": wire_number(command_id),
        "idToken": wire.id_token(wanted(arguments, "token_uid", str), arguments.get("token_kind", "")),
    }


ANSWERS: dict[str, Journal | Ask] = {"BatterySwap": Journal(shared.nothing, _swap, cases="S01 S02 S03 S04")}

SAYS: dict[str, Say] = {CommandKind.SWAP_BATTERY: Say("RequestBatterySwap", _say_swap, cases="S02")}
