"""A driver's visit at a 2.x station: the transaction events that it makes the station tell."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.oca.scene import Payload, Scene, stamp

START_WH, STOP_WH = 1000.0, 3500.0


def token(uid: str, kind: str = "ISO14443") -> Payload:
    return {"idToken": uid, "type": kind}


def energy(wh: float, context: str, at: datetime | None = None, **more: Any) -> list[Payload]:
    value = {"value": wh, "context": context, "measurand": "Energy.Active.Import.Register"} | more
    return [{"timestamp": stamp(at), "sampledValue": [value]}]


class Visit:
    """One transaction. Times begin ten minutes ago and go on by a minute an event."""

    def __init__(self, scene: Scene, *, evse: int = 1, transaction_id: str = "") -> None:
        self.scene, self.evse = scene, evse
        self.transaction_id = transaction_id or secrets.token_hex(8)
        self.seq_no = 0
        self.at = datetime.now(UTC) - timedelta(minutes=30)

    async def event(
        self, kind: str, trigger: str, state: str = "", *, token: Payload | None = None, wh: float | None = None,
        context: str = "Sample.Periodic", reason: str = "", info: Payload | None = None, **more: Any,
    ) -> Payload:  # fmt: skip
        """Tell one event; the answer's payload."""
        self.at += timedelta(minutes=1)
        about: Payload = {"transactionId": self.transaction_id} | (info or {})
        if state:
            about["chargingState"] = state
        if reason:
            about["stoppedReason"] = reason
        told: Payload = {
            "eventType": kind,
            "timestamp": stamp(self.at),
            "triggerReason": trigger,
            "seqNo": self.seq_no,
            "transactionInfo": about,
            "evse": {"id": self.evse, "connectorId": 1},
        }
        if token:
            told["idToken"] = token
        if wh is not None:
            told["meterValue"] = energy(wh, context, self.at)
        self.seq_no += 1
        return await self.scene.tell("TransactionEvent", told | more)

    async def plugged_in(self) -> None:
        await self.scene.status("Occupied", evse=self.evse)
        await self.event("Started", "CablePluggedIn", "EVConnected", wh=START_WH, context="Transaction.Begin")

    async def authorized(self, uid: str, status: str = "Accepted") -> Payload:
        kind = "Started" if self.seq_no == 0 else "Updated"
        begin: dict[str, Any] = {"wh": START_WH, "context": "Transaction.Begin"} if kind == "Started" else {}
        answer = await self.event(kind, "Authorized", "EVConnected", token=token(uid), **begin)
        assert answer["idTokenInfo"]["status"] == status, answer
        return answer

    async def energy_flows(self, wh: float = 2000.0) -> None:
        await self.event("Updated", "ChargingStateChanged", "Charging", wh=wh)

    async def charging(self, uid: str) -> None:
        """Plugged in, authorised, energy flows."""
        await self.plugged_in()
        await self.authorized(uid)
        await self.energy_flows()

    async def ends(
        self, trigger: str = "EVCommunicationLost", reason: str = "EVDisconnected", **more: Any
    ) -> Payload:
        return await self.event(
            "Ended", trigger, "Idle", wh=STOP_WH, context="Transaction.End", reason=reason, **more
        )

    async def was(self, reason: str, energy_wh: float = STOP_WH - START_WH) -> Payload:
        """The operator sees it ended for this reason, with this energy."""
        session = await self.scene.session()
        assert session["transaction_id"] == self.transaction_id
        assert session["state"] in ("ended", "rated"), session
        assert (session["stop_reason"], float(session["energy_wh"])) == (reason, energy_wh), session
        return session
