"""What a 2.x station sends. 2.1 sends the same, with its own dataclasses."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import fields
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ocpp.v21 import call as call_21
from ocpp.v201 import call as call_201

from simulator.car import Contract
from simulator.connector import Connector
from simulator.monitors import Monitor
from simulator.readings import Reading, Readings, ocmf
from simulator.transaction import Token, Transaction

if TYPE_CHECKING:
    from simulator.station import SimulatedStation

STATES = {
    "available": "Available",
    "reserved": "Reserved",
    "unavailable": "Unavailable",
    "faulted": "Faulted",
}
STOPPED_REASONS = {  # 1.6's words that 2.x calls otherwise
    "HardReset": "ImmediateReset",
    "SoftReset": "Reboot",
    "UnlockCommand": "Other",
}
ENDED_TRIGGERS = {"Local": "StopAuthorized", "Remote": "RemoteStop", "EVDisconnected": "EVDeparted"}


class Says2:
    """Payloads of 2.0.1 or 2.1, as dataclasses of the `ocpp` package."""

    def __init__(self, call: ModuleType) -> None:
        self.call = call

    def boot(self, station: SimulatedStation, reason: str) -> Any:
        about = {
            "model": station.model,
            "vendor_name": "Voltyard",
            "serial_number": station.serial,
            "firmware_version": station.firmware,
        }
        return self.call.BootNotification(charging_station=about, reason=reason)

    def heartbeat(self) -> Any:
        return self.call.Heartbeat()

    def authorize(self, token: Token) -> Any:
        return self.call.Authorize(id_token=id_token(token))

    def prove(self, contract: Contract) -> Any:
        """C07: the chain for central validation, or hash data where the station has checked it itself."""
        told = [
            {
                "hash_algorithm": one["hashAlgorithm"], "issuer_name_hash": one["issuerNameHash"],
                "issuer_key_hash": one["issuerKeyHash"], "serial_number": one["serialNumber"],
                "responder_url": one["responderURL"],
            }
            for one in contract.hashes
        ]  # fmt: skip
        # The package writes the name of this member in another way for each version.
        name = next(one.name for one in fields(self.call.Authorize) if one.name.endswith("hash_data"))
        return self.call.Authorize(
            id_token={"id_token": contract.emaid, "type": "eMAID"},
            certificate=contract.chain or None,
            **({name: told} if told else {}),
        )

    def proved(self, answer: Any) -> tuple[str, str]:
        """(verdict on the contract, verdict on its certificate)."""
        return str(answer.id_token_info["status"]), str(answer.certificate_status or "")

    def vehicle(self, mac: str) -> str:
        return mac

    def verdict(self, answer: Any) -> str:
        return str(answer.id_token_info["status"])

    def group(self, answer: Any) -> str:
        return str((answer.id_token_info.get("group_id_token") or {}).get("id_token", ""))

    def new_transaction_id(self, station: SimulatedStation) -> str:
        # The same for the same seed and moment, yet another one when a seeded simulation is run again later.
        chance = Random(f"{station.rng.getrandbits(64)}:{station.clock.stamp()}")
        text = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        return text.replace("-", "") + "vy" if station.quirks.long_transaction_ids else text

    def state_word(self, state: str) -> str:
        return STATES.get(state, "Occupied")

    def station_status(self, station: SimulatedStation) -> list[Any]:
        """2.x has no connector 0; its state follows from the EVSEs."""
        return []

    def status(self, station: SimulatedStation, connector: Connector) -> Any:
        return self.call.StatusNotification(
            timestamp=station.clock.stamp(),
            connector_status=self.state_word(connector.state),
            evse_id=connector.number,
            connector_id=1,
        )

    # -- transactions

    def _event(
        self,
        station: SimulatedStation,
        connector: Connector,
        transaction: Transaction,
        event: str,
        trigger: str,
        readings: Readings | None = None,
        with_token: bool = False,
        **info: Any,
    ) -> Any:
        seq_no = 0 if station.quirks.seq_no_always_zero else transaction.next_seq_no()
        token = transaction.token if with_token else None
        at = readings.at if readings else station.clock.now()
        more: dict[str, Any] = {}
        if connector.kind == "ac" and event == "Started":
            more["cable_max_current"] = round(connector.max_amps)
        if connector.kind == "ac" and connector.flow.power_w:
            more["number_of_phases_used"] = connector.flow.phases
        return self.call.TransactionEvent(
            event_type=event,
            timestamp=station.clock.stamp(at),
            trigger_reason=trigger,
            seq_no=seq_no,
            offline=not station.booted,
            evse={"id": connector.number, "connector_id": 1} if event == "Started" or with_token else None,
            id_token=id_token(token) if token else None,
            reservation_id=transaction.reservation_id if event == "Started" else None,
            meter_value=[self.meter_value(station, readings)] if readings and readings.values else None,
            transaction_info={
                "transaction_id": transaction.id,
                "charging_state": transaction.charging_state or None,
                "remote_start_id": transaction.remote_start_id,
                **info,
                **self._reckoned(station, transaction, event, more),
            },
            **more,
        )

    def _reckoned(
        self, station: SimulatedStation, transaction: Transaction, event: str, more: dict[str, Any]
    ) -> dict[str, Any]:
        """2.1: by which tariff, and at the end what it comes to."""
        if station.version != "2.1" or event != "Ended":
            return {}
        used = transaction.energy_wh or 0
        seconds = int(
            ((transaction.stopped_at or transaction.started_at) - transaction.started_at).total_seconds()
        )
        details = station.screen.cost_details(str(transaction.id), used, seconds, 0)
        tariff = station.screen.tariff_of(str(transaction.id))
        if details is None or tariff is None:
            return {}
        more["cost_details"] = details
        return {"tariff_id": tariff["tariff_id"]}

    def started(
        self, station: SimulatedStation, connector: Connector, transaction: Transaction, trigger: str
    ) -> Callable[[], Any]:
        payload = self._event(
            station, connector, transaction, "Started", trigger, transaction.begin, with_token=True
        )
        return lambda: payload

    def updated(
        self,
        station: SimulatedStation,
        connector: Connector,
        transaction: Transaction,
        trigger: str,
        readings: Readings | None,
    ) -> Callable[[], Any] | None:
        joined = trigger in ("Authorized", "RemoteStart")
        payload = self._event(
            station, connector, transaction, "Updated", trigger, readings, with_token=joined
        )
        return lambda: payload

    def ended(
        self,
        station: SimulatedStation,
        connector: Connector,
        transaction: Transaction,
        trigger: str,
        final: Readings,
        token: str | None,
    ) -> list[Callable[[], Any]]:
        quirks = station.quirks
        transaction.charging_state = "EVConnected" if connector.car else "Idle"
        if token and transaction.token:
            transaction.token = Token(token, transaction.token.kind)
        trigger = trigger or ENDED_TRIGGERS.get(transaction.reason, "AbnormalCondition")
        if quirks.signed_ocmf:
            final.values.append(_signed(station, transaction))

        def end() -> Any:
            return self._event(
                station,
                connector,
                transaction,
                "Ended",
                trigger,
                final,
                with_token=transaction.reason == "Local" and not quirks.bare_stop,
                stopped_reason=None
                if quirks.bare_stop
                else STOPPED_REASONS.get(transaction.reason, transaction.reason),
            )

        first = end()
        payloads = [first] * quirks.repeat_stop
        if quirks.ended_twice:
            payloads.append(first if quirks.ended_twice == "same" else end())
        return [_always(payload) for payload in payloads]

    def settlement(self, station: SimulatedStation, transaction_id: str, amount: float, **more: Any) -> Any:
        """2.1: what the payment terminal took."""
        given = {"psp_ref": f"PSP-{transaction_id[:8]}", "status": "Settled", **more}
        return self.call.NotifySettlement(
            transaction_id=transaction_id,
            settlement_amount=amount,
            settlement_time=station.clock.stamp(),
            **given,
        )

    def display_messages(self, request_id: int, messages: list[dict[str, Any]], more: bool) -> Any:
        return self.call.NotifyDisplayMessages(request_id=request_id, message_info=messages, tbc=more)

    def battery_swap(self, kind: str, request_id: int, token: Token, batteries: list[dict[str, Any]]) -> Any:
        return self.call.BatterySwap(
            event_type=kind, request_id=request_id, id_token=id_token(token), battery_data=batteries
        )

    def learn(self, transaction: Transaction, answer: Any, kind: str) -> None:
        if answer.id_token_info:
            transaction.verdict = str(answer.id_token_info["status"])
        if answer.total_cost is not None:
            transaction.total_cost = answer.total_cost
        limit = getattr(answer, "transaction_limit", None)
        if limit:
            transaction.limit = limit

    # -- readings

    def meter_values(self, station: SimulatedStation, connector: Connector, readings: Readings) -> Any:
        return self.call.MeterValues(
            evse_id=connector.number, meter_value=[self.meter_value(station, readings)]
        )

    def meter_value(self, station: SimulatedStation, readings: Readings) -> dict[str, Any]:
        return {
            "timestamp": station.clock.stamp(readings.at),
            "sampled_value": [self._sampled(station, value, readings.context) for value in readings.values],
        }

    def _sampled(self, station: SimulatedStation, reading: Reading, context: str) -> dict[str, Any]:
        value, unit = float(reading.value), reading.unit
        if station.quirks.wh_called_kwh and unit == "Wh":
            value, unit = (value / 1000, "Wh") if context == "Transaction.End" else (value, "kWh")
        return {
            "value": value,
            "context": context,
            "measurand": reading.measurand,
            "phase": reading.phase or None,
            "location": reading.location,
            "unit_of_measure": {"unit": unit},
            "signed_meter_value": {
                "signed_meter_data": reading.signed,
                "signing_method": "ECDSA-secp256r1-SHA256",
                "encoding_method": "OCMF",
                "public_key": "3059301306072A8648CE3D020106082A8648CE3D030107034200",
            }
            if reading.signed
            else None,
        }

    # -- on request

    def firmware_status(self, status: str, request_id: int | None) -> Any:
        return self.call.FirmwareStatusNotification(status=status, request_id=request_id)

    def publication_status(
        self, status: str, request_id: int | None, location: list[str] | None = None
    ) -> Any:
        return self.call.PublishFirmwareStatusNotification(
            status=status, location=location, request_id=request_id
        )

    def log_status(self, status: str, request_id: int | None) -> Any:
        return self.call.LogStatusNotification(status=status, request_id=request_id)

    def sign_certificate(self, csr: str, use: str = "ChargingStationCertificate") -> Any:
        return self.call.SignCertificate(csr=csr, certificate_type=use)

    def security_event(self, station: SimulatedStation, kind: str, info: str = "") -> Any:
        return self.call.SecurityEventNotification(
            type=kind, timestamp=station.clock.stamp(), tech_info=info or None
        )

    def data_transfer(self, vendor: str, message: str, data: str) -> Any:
        return self.call.DataTransfer(vendor_id=vendor, message_id=message or None, data=data or None)

    def reservation_status(self, reservation_id: int, status: str) -> Any:
        return self.call.ReservationStatusUpdate(
            reservation_id=reservation_id, reservation_update_status=status
        )

    def notify_events(self, station: SimulatedStation, events: list[dict[str, Any]]) -> Any:
        return self.call.NotifyEvent(
            generated_at=station.clock.stamp(), seq_no=0, event_data=events, tbc=False
        )

    def monitor(self, monitor: Monitor) -> dict[str, Any]:
        """VariableMonitoringType; 2.1 tells besides who has set it."""
        told = {
            "id": monitor.id, "transaction": monitor.transaction, "value": monitor.value, "type": monitor.kind,
            "severity": monitor.severity,
        }  # fmt: skip
        return told | ({"event_notification_type": monitor.base} if self.call is call_21 else {})

    def notify_report(
        self, station: SimulatedStation, request_id: int, seq_no: int, rows: list[dict[str, Any]], more: bool
    ) -> Any:
        return self.call.NotifyReport(
            request_id=request_id,
            generated_at=station.clock.stamp(),
            seq_no=seq_no,
            report_data=rows,
            tbc=more,
        )


def _always(payload: Any) -> Callable[[], Any]:
    return lambda: payload


def id_token(token: Token) -> dict[str, str]:
    return {"id_token": token.uid, "type": token.kind}


def _signed(station: SimulatedStation, transaction: Transaction) -> Reading:
    text = ocmf(
        station.identity, transaction.meter_start_wh, transaction.meter_stop_wh or 0, station.clock.stamp()
    )
    return Reading(
        "Energy.Active.Import.Register",
        transaction.meter_stop_wh or 0,
        "Wh",
        signed=text.encode().hex()[:2500],
    )


SAYS_201 = Says2(call_201)
SAYS_21 = Says2(call_21)
