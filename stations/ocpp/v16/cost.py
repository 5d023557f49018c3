"""Prices on the display of 1.6: "OCPP & California Pricing Requirements" (Open Charge Alliance), over DataTransfer.

Stations that know it have the key CustomDisplayCostAndPrice. `data` is JSON written as text.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from stations.models import CommandKind
from stations.ocpp import wire
from stations.ocpp.v16.charging import transaction_number
from stations.ocpp.v201.cost import amount, plain
from stations.ocpp.version import Payload, Say
from stations.ocpp.wire import optional, wanted

VENDOR = "org.openchargealliance.costmsg"
_PRICES = {"energy_price": "kWhPrice", "hour_price": "hourPrice", "flat_fee": "flatFee"}


def _transfer(message: str, data: Payload) -> Payload:
    return {"vendorId": VENDOR, "messageId": message, "data": json.dumps(data, ensure_ascii=False)}


def _price(arguments: Payload, name: str) -> Any:
    value = wire.number(arguments.get(name)) if arguments.get(name) is not None else None
    return None if value is None else plain(value)


def _say_cost(arguments: Payload, command_id: int) -> Payload:
    """RunningCost, or FinalCost where `final` is true."""
    number, total = transaction_number(arguments), amount(arguments, "total")
    if arguments.get("final"):
        words = str(arguments.get("text") or f"{arguments.get('total')} {arguments.get('currency', '')}")
        return _transfer(
            "FinalCost", {"transactionId": number, "cost": total, "priceText": words.strip()[:512]}
        )
    meter = _price(arguments, "meter_wh")
    data: Payload = {
        "transactionId": number,
        "timestamp": wire.stamp(datetime.now(UTC)),
        "meterValue": None if meter is None else int(meter),
        "cost": total,
        "state": "Charging" if arguments.get("charging", True) else "Idle",
        "chargingPrice": {word: _price(arguments, name) for name, word in _PRICES.items()},
    }
    if arguments.get("idle_price") is not None:
        data["idlePrice"] = {"graceMinutes": 0, "hourPrice": _price(arguments, "idle_price")}
    data["chargingPrice"] = optional(**data["chargingPrice"])
    return _transfer("RunningCost", {name: value for name, value in data.items() if value not in (None, {})})


def _say_price(arguments: Payload, command_id: int) -> Payload:
    return _transfer(
        "SetUserPrice",
        {"idToken": wanted(arguments, "token_uid", str), "priceText": wanted(arguments, "text", str)[:512]},
    )


SAYS: dict[str, Say] = {
    CommandKind.TELL_COST: Say("DataTransfer", _say_cost, cases="5.6"),
    CommandKind.TELL_PRICE: Say("DataTransfer", _say_price, cases="5.6"),
}
