"""What a 2.x station keeps of a customer: its lists and the transactions it remembers (N09, N10)."""

from __future__ import annotations

from typing import Any

from simulator.watching import Watching

MOST_LETTERS = 512  # in one part of NotifyCustomerInformation
NOTHING = "Nothing is kept of this customer."


class Customers(Watching):
    """Mixed into SimulatedStation, above Watching."""

    def uids_of(
        self, token: dict[str, Any] | None, identifier: str | None, certificate: dict[str, Any] | None
    ) -> set[str]:
        """The tokens of the customer who is named by a token, by an identifier or by a contract certificate."""
        if token:
            return {token["id_token"]}
        if identifier:
            return {identifier}
        serial = str((certificate or {}).get("serial_number", "")).lower()
        return {
            emaid
            for emaid, contract in self.proven.items()
            if any(one["serialNumber"].lower() == serial for one in contract.hashes)
        }

    def known_of(self, uids: set[str]) -> str:
        lines = []
        for uid in sorted(uids):
            if uid in self.local_auth.entries:
                lines.append(f"{uid}: {self.local_auth.entries[uid]} in the local list.")
            if uid in self.local_auth.cache:
                lines.append(f"{uid}: {self.local_auth.cache[uid]} in the cache.")
        running = [one.transaction for one in self.connectors.values() if one.transaction]
        for transaction in [*self.past, *running]:
            if transaction.token and transaction.token.uid in uids:
                stopped = self.clock.stamp(transaction.stopped_at) if transaction.stopped_at else "now"
                lines.append(
                    f"Transaction {transaction.id} at EVSE {transaction.connector}, "
                    f"{self.clock.stamp(transaction.started_at)} to {stopped}, {transaction.energy_wh or 0} Wh."
                )
        return "\n".join(lines) or NOTHING

    def forget_customer(self, uids: set[str]) -> None:
        """All but the local list, which is the operator's and has a version (N10.FR.06), and what runs now."""
        for uid in uids:
            self.local_auth.cache.pop(uid, None)
            self.proven.pop(uid, None)
        for transaction in list(self.past):
            if transaction.token and transaction.token.uid in uids:
                self.past.remove(transaction)

    async def report_customer(self, request_id: int, text: str) -> None:
        parts = [text[start : start + MOST_LETTERS] for start in range(0, len(text), MOST_LETTERS)]
        for number, part in enumerate(parts):
            await self.tell(
                self.says.call.NotifyCustomerInformation(
                    data=part, seq_no=number, generated_at=self.clock.stamp(), request_id=request_id,
                    tbc=number < len(parts) - 1,
                )
            )  # fmt: skip
