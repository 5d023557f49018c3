"""A charger made of the `ocpp` package's own client classes alone: not a line of ours on its side of the wire."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import ocpp.v16
import ocpp.v21
import ocpp.v201
from ocpp.routing import on
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

CHARGE = timedelta(minutes=30)
METER_START_WH, METER_STOP_WH = 10_000, 18_250


def stamp(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


class Client(Protocol):
    """What the scenario asks of a charger, whatever its version."""

    stopped: asyncio.Event

    async def start(self) -> None: ...
    async def boot(self) -> str: ...
    async def authorize(self, uid: str) -> str: ...
    async def begin(self, uid: str, at: datetime) -> str: ...
    async def meter(self, wh: int, watts: int, at: datetime) -> None: ...
    async def end(self, uid: str, at: datetime) -> None: ...


class Charger16(ocpp.v16.ChargePoint):
    def __init__(self, identity: str, socket: Any) -> None:
        super().__init__(identity, socket)
        self.stopped = asyncio.Event()
        self.transaction_id = 0

    @on("RemoteStopTransaction")
    def on_stop(self, transaction_id: int) -> Any:
        known = transaction_id == self.transaction_id
        if known:
            self.stopped.set()
        return result16.RemoteStopTransaction(status="Accepted" if known else "Rejected")

    async def boot(self) -> str:
        answer = await self.call(
            call16.BootNotification(charge_point_model="One", charge_point_vendor="Acme")
        )
        await self._status("Available")
        return str(answer.status)

    async def authorize(self, uid: str) -> str:
        return str((await self.call(call16.Authorize(id_tag=uid))).id_tag_info["status"])

    async def begin(self, uid: str, at: datetime) -> str:
        answer = await self.call(
            call16.StartTransaction(
                connector_id=1, id_tag=uid, meter_start=METER_START_WH, timestamp=stamp(at)
            )
        )
        self.transaction_id = answer.transaction_id
        await self._status("Charging")
        return str(answer.transaction_id)

    async def meter(self, wh: int, watts: int, at: datetime) -> None:
        values = [
            {"value": str(wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": str(watts), "measurand": "Power.Active.Import", "unit": "W"},
        ]
        meter_value = [{"timestamp": stamp(at), "sampled_value": values}]
        await self.call(
            call16.MeterValues(connector_id=1, transaction_id=self.transaction_id, meter_value=meter_value)
        )

    async def end(self, uid: str, at: datetime) -> None:
        await self.call(
            call16.StopTransaction(
                meter_stop=METER_STOP_WH,
                timestamp=stamp(at),
                transaction_id=self.transaction_id,
                reason="Remote",
            )
        )
        await self._status("Available")

    async def _status(self, status: str) -> None:
        await self.call(call16.StatusNotification(connector_id=1, error_code="NoError", status=status))


class Charger2x:
    """2.0.1 and 2.1 differ in their classes, not in what this scenario says."""

    call_module: Any = call201
    result_module: Any = result201
    stopped: asyncio.Event
    call: Any

    def _prepare(self) -> None:
        self.stopped = asyncio.Event()
        self.transaction_id = f"tx-{datetime.now(UTC).timestamp()}"
        self.seq_no = 0

    @on("RequestStopTransaction")
    def on_stop(self, transaction_id: str, **_more: Any) -> Any:
        known = transaction_id == self.transaction_id
        if known:
            self.stopped.set()
        return self.result_module.RequestStopTransaction(status="Accepted" if known else "Rejected")

    async def boot(self) -> str:
        station = {"model": "One", "vendor_name": "Acme"}
        answer = await self.call(
            self.call_module.BootNotification(charging_station=station, reason="PowerUp")
        )
        await self._status("Available")
        return str(answer.status)

    async def authorize(self, uid: str) -> str:
        answer = await self.call(self.call_module.Authorize(id_token=self._token(uid)))
        return str(answer.id_token_info["status"])

    async def begin(self, uid: str, at: datetime) -> str:
        await self._status("Occupied")
        await self._event(
            "Started",
            "Authorized",
            at,
            "Charging",
            METER_START_WH,
            "Transaction.Begin",
            id_token=self._token(uid),
        )
        return self.transaction_id

    async def meter(self, wh: int, watts: int, at: datetime) -> None:
        await self._event("Updated", "MeterValuePeriodic", at, "Charging", wh, "Sample.Periodic", watts)

    async def end(self, uid: str, at: datetime) -> None:
        await self._event(
            "Ended", "RemoteStop", at, "Idle", METER_STOP_WH, "Transaction.End", stopped="Remote"
        )
        await self._status("Available")

    def _token(self, uid: str) -> dict[str, str]:
        return {"id_token": uid, "type": "ISO14443"}

    async def _status(self, status: str) -> None:
        await self.call(
            self.call_module.StatusNotification(
                timestamp=stamp(datetime.now(UTC)), connector_status=status, evse_id=1, connector_id=1
            )
        )

    async def _event(
        self,
        kind: str,
        trigger: str,
        at: datetime,
        state: str,
        wh: int,
        context: str,
        watts: int | None = None,
        stopped: str | None = None,
        **more: Any,
    ) -> None:
        values: list[dict[str, Any]] = [
            {"value": float(wh), "measurand": "Energy.Active.Import.Register", "context": context}
        ]
        if watts is not None:
            values.append({"value": float(watts), "measurand": "Power.Active.Import", "context": context})
        info = {"transaction_id": self.transaction_id, "charging_state": state}
        if stopped:
            info["stopped_reason"] = stopped
        await self.call(
            self.call_module.TransactionEvent(
                event_type=kind,
                timestamp=stamp(at),
                trigger_reason=trigger,
                seq_no=self.seq_no,
                transaction_info=info,
                evse={"id": 1, "connector_id": 1},
                meter_value=[{"timestamp": stamp(at), "sampled_value": values}],
                **more,
            )
        )
        self.seq_no += 1


class Charger201(Charger2x, ocpp.v201.ChargePoint):
    def __init__(self, identity: str, socket: Any) -> None:
        ocpp.v201.ChargePoint.__init__(self, identity, socket)
        self._prepare()


class Charger21(Charger2x, ocpp.v21.ChargePoint):
    call_module = call21
    result_module = result21

    def __init__(self, identity: str, socket: Any) -> None:
        ocpp.v21.ChargePoint.__init__(self, identity, socket)
        self._prepare()


CLIENTS: dict[str, Any] = {"1.6": Charger16, "2.0.1": Charger201, "2.1": Charger21}
