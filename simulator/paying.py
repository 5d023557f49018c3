"""What only a station with a display, a payment terminal or battery slots does."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from simulator.connector import Connector
from simulator.customers import Customers
from simulator.driver import Battery, Screen
from simulator.transaction import Token, Transaction

BASE62 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
READY_PERCENT = 80.0
PER_PART = 2  # messages in one part of NotifyDisplayMessages


class Paying(Customers):
    """Mixed into SimulatedStation, above Customers."""

    screen: Screen
    identity: str

    async def report_messages(self, request_id: int, messages: list[dict[str, Any]]) -> None:
        """NotifyDisplayMessages, in parts."""
        parts = [messages[start : start + PER_PART] for start in range(0, len(messages), PER_PART)]
        for number, part in enumerate(parts):
            await self.tell(self.says.display_messages(request_id, part, number < len(parts) - 1))

    # -- what bounds a transaction (2.1)

    def tick(self, connector: Connector) -> None:
        super().tick(connector)
        transaction = connector.transaction
        if transaction is not None and transaction.limit and not transaction.limit.get("reached"):
            trigger = self._limit_reached(connector, transaction)
            if trigger:
                transaction.limit["reached"] = trigger
                reason = {"CostLimitReached": "LocalOutOfCredit", "EnergyLimitReached": "EnergyLimitReached"}
                why = reason.get(trigger, "TimeLimitReached")
                self.background(self._stop_at_limit(connector.number, why, trigger))

    async def _stop_at_limit(self, number: int, reason: str, trigger: str) -> None:
        await self.stop(number, reason=reason, trigger=trigger)

    def _limit_reached(self, connector: Connector, transaction: Transaction) -> str:
        limit = transaction.limit
        wh = int(connector.register_wh) - transaction.meter_start_wh
        seconds = int((self.clock.now() - transaction.started_at).total_seconds())
        if limit.get("max_energy") is not None and wh >= limit["max_energy"]:
            return "EnergyLimitReached"
        if limit.get("max_time") is not None and seconds >= limit["max_time"]:
            return "TimeLimitReached"
        details = self.screen.cost_details(str(transaction.id), wh, seconds, 0)
        total = details["total_cost"]["total"]["incl_tax"] if details else transaction.total_cost
        if limit.get("max_cost") is not None and total is not None and total >= limit["max_cost"]:
            return "CostLimitReached"
        return ""

    # -- payment (2.1)

    async def settle_payment(self, transaction: Transaction, amount: float, **more: Any) -> Any:
        """The terminal reports what it took."""
        return await self.tell(self.says.settlement(self, str(transaction.id), amount, **more))

    async def check_vat(self, number: str, evse: int | None = None) -> Any:
        return await self.tell(self.says.call.VatNumberValidation(vat_number=number, evse_id=evse))

    def payment_address(self, evse: int = 1) -> str:
        """What the QR code on the display holds now; empty while it is not set up (C25)."""
        values = {
            name: self.device.by_variable("WebPaymentsCtrlr", name, "", None)
            for name in ("Enabled", "URLTemplate", "SharedSecret", "ValidityTime", "Length")
        }
        told = {name: setting.value if setting else "" for name, setting in values.items()}
        if told["Enabled"].lower() != "true" or not told["URLTemplate"] or not told["SharedSecret"]:
            return ""
        interval = int(self.clock.now().timestamp()) // int(told["ValidityTime"])
        digest = hmac.new(told["SharedSecret"].encode(), interval.to_bytes(8, "big"), hashlib.sha256).digest()
        start = digest[-1] & 15
        code = "".join(
            BASE62[digest[(start + n) % len(digest)] % len(BASE62)] for n in range(int(told["Length"]))
        )
        address = told["URLTemplate"]
        for name, value in (("chargingStationId", self.identity), ("evse", str(evse)), ("totp", code)):
            address = address.replace(f"{{{name}}}", value)
        return address

    # -- battery swap (2.1)

    @property
    def can_swap(self) -> bool:
        batteries = [battery for battery in self.screen.slots.values() if battery]
        return (
            any(battery.soc >= READY_PERCENT for battery in batteries) and None in self.screen.slots.values()
        )

    async def swap(self, token: str, kind: str, request_id: int, *, brought: Battery | None = None) -> None:
        """A driver puts a battery into the empty slot and takes the fullest."""
        slots = self.screen.slots
        empty = next(number for number, battery in slots.items() if battery is None)
        best = max((n for n, battery in slots.items() if battery), key=lambda n: slots[n].soc)  # type: ignore[union-attr]
        slots[empty] = brought or Battery(f"B{request_id % 10_000:04d}", 12.0)
        for event, number in (("BatteryIn", empty), ("BatteryOut", best)):
            battery = slots[number]
            assert battery is not None
            row = {
                "evse_id": number, "serial_number": battery.serial, "so_c": battery.soc, "so_h": battery.soh,
                "production_date": battery.made,
            }  # fmt: skip
            await self.tell(self.says.battery_swap(event, request_id, Token(token, kind), [row]))
        slots[best] = None
