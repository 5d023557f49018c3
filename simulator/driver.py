"""What a station shows to drivers and how they pay there, in words that both versions share."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

COST_VENDOR = "org.openchargealliance.costmsg"  # 1.6: OCPP & California Pricing Requirements
MOST_MESSAGES = 10


@dataclass
class Battery:
    serial: str
    soc: float
    soh: float = 98.0
    made: str = "2025-03-01T00:00:00Z"


@dataclass
class Screen:
    """The display, the tariffs it knows, and the slots of a swap station."""

    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    tariffs: dict[int, dict[str, Any]] = field(default_factory=dict)  # default, by EVSE; 0: all
    of_transactions: dict[str, dict[str, Any]] = field(default_factory=dict)
    user_price: str = ""
    running: dict[str, float] = field(default_factory=dict)  # transaction -> what is shown
    final: dict[str, float] = field(default_factory=dict)
    payments: dict[int, int] = field(default_factory=dict)  # EVSE -> seconds the place is kept
    slots: dict[int, Battery | None] = field(default_factory=dict)

    # -- messages (2.x, block O)

    def show(self, message: dict[str, Any], running: set[Any]) -> str:
        if message["message"]["format"] not in ("ASCII", "UTF8", "QRCODE"):
            return "NotSupportedMessageFormat"
        if message.get("transaction_id") and message["transaction_id"] not in running:
            return "UnknownTransaction"
        if message["id"] not in self.messages and len(self.messages) >= MOST_MESSAGES:
            return "Rejected"
        self.messages[message["id"]] = message
        return "Accepted"

    def asked_for(
        self, ids: list[int] | None, priority: str | None, state: str | None
    ) -> list[dict[str, Any]]:
        return [
            message
            for number, message in sorted(self.messages.items())
            if (not ids or number in ids)
            and (priority is None or message["priority"] == priority)
            and (state is None or message.get("state") == state)
        ]

    def over(self, transaction_id: Any) -> None:
        """A transaction ended: messages of it alone go (O02.FR.02)."""
        self.messages = {
            number: message
            for number, message in self.messages.items()
            if message.get("transaction_id") != transaction_id
        }

    # -- prices

    def tell(self, message_id: str, data: str) -> str:
        """1.6: SetUserPrice, RunningCost, FinalCost over DataTransfer."""
        try:
            told = json.loads(data)
        except ValueError:
            return "Rejected"
        if message_id == "SetUserPrice":
            self.user_price = str(told.get("priceText", ""))
        elif message_id == "RunningCost":
            self.running[str(told["transactionId"])] = float(told["cost"])
        elif message_id == "FinalCost":
            self.final[str(told["transactionId"])] = float(told["cost"])
        else:
            return "UnknownMessageId"
        return "Accepted"

    def install(self, evse: int, tariff: dict[str, Any]) -> str:
        """2.1 SetDefaultTariff."""
        known = {one["tariff_id"]: one for one in self.tariffs.values()}
        if tariff["tariff_id"] in known and known[tariff["tariff_id"]] != tariff:
            return "DuplicateTariffId"
        if evse == 0:
            self.tariffs.clear()
        self.tariffs[evse] = tariff
        return "Accepted"

    def assigned(self, evse: int) -> list[dict[str, Any]]:
        return [
            {
                "tariff_id": tariff["tariff_id"],
                "tariff_kind": "DefaultTariff",
                "evse_ids": [number] if number else None,
            }
            for number, tariff in self.tariffs.items()
            if evse in (0, number) or number == 0
        ]

    def forget(self, ids: list[str] | None, evse: int | None) -> list[dict[str, Any]]:
        """2.1 ClearTariffs: what became of each."""
        gone = {
            number: tariff
            for number, tariff in self.tariffs.items()
            if (not ids or tariff["tariff_id"] in ids) and (evse is None or number in (evse, 0))
        }
        for number in gone:
            del self.tariffs[number]
        found = {tariff["tariff_id"] for tariff in gone.values()}
        results = [{"status": "Accepted", "tariff_id": name} for name in sorted(found)]
        results += [{"status": "NoTariff", "tariff_id": name} for name in ids or [] if name not in found]
        return results or [{"status": "NoTariff"}]

    def tariff_of(self, transaction_id: str) -> dict[str, Any] | None:
        return self.of_transactions.get(transaction_id) or next(iter(self.tariffs.values()), None)

    def cost_details(
        self, transaction_id: str, wh: int, charging_s: int, idle_s: int
    ) -> dict[str, Any] | None:
        """2.1 CostDetailsType by the tariff that counts; None where there is none. Conditions are not simulated."""
        tariff = self.tariff_of(transaction_id)
        if tariff is None:
            return None
        amounts = {"energy": (wh / 1000, "price_kwh"), "charging_time": (charging_s / 60, "price_minute"),
                   "idle_time": (idle_s / 60, "price_minute"), "fixed_fee": (1.0, "price_fixed")}  # fmt: skip
        net = gross = 0.0
        for part, (amount, word) in amounts.items():
            if part in tariff:
                price = tariff[part]["prices"][0][word] * amount
                rate = 1 + sum(one["tax"] for one in tariff[part].get("tax_rates") or ()) / 100
                net, gross = net + price, gross + price * rate
        return {
            "total_cost": {
                "currency": tariff["currency"], "type_of_cost": "NormalCost",
                "total": {"excl_tax": round(net, 2), "incl_tax": round(gross, 2)},
            },
            "total_usage": {"energy": wh, "charging_time": charging_s, "idle_time": idle_s},
        }  # fmt: skip
