"""What a 1.6 station sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ocpp.v16 import call
from ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus

from simulator.car import Contract
from simulator.connector import Connector
from simulator.readings import Reading, Readings, ocmf
from simulator.security import OWN
from simulator.transaction import Token, Transaction
from simulator.v16.plug_and_charge import PNC

if TYPE_CHECKING:
    from simulator.station import SimulatedStation

STATES = {
    "available": ChargePointStatus.available,
    "preparing": ChargePointStatus.preparing,
    "charging": ChargePointStatus.charging,
    "suspended_ev": ChargePointStatus.suspended_ev,
    "suspended_evse": ChargePointStatus.suspended_evse,
    "finishing": ChargePointStatus.finishing,
    "reserved": ChargePointStatus.reserved,
    "unavailable": ChargePointStatus.unavailable,
    "faulted": ChargePointStatus.faulted,
}
REASONS = {
    *("DeAuthorized", "EmergencyStop", "EVDisconnected", "HardReset", "Local", "Other", "PowerLoss"),
    *("Reboot", "Remote", "SoftReset", "UnlockCommand"),
}


class Says16:
    """Payloads, as dataclasses of the `ocpp` package. Transaction messages come as functions, for the
    transaction id is known only when the other side has answered the start."""

    def boot(self, station: SimulatedStation, reason: str) -> Any:
        empty = "" if station.quirks.empty_strings else None
        return call.BootNotification(
            charge_point_model=station.model,
            charge_point_vendor="Voltyard",
            charge_point_serial_number=station.serial,
            firmware_version=station.firmware,
            meter_type="VY-M3",
            meter_serial_number=f"M{station.serial}",
            iccid=empty,
            imsi=empty,
        )

    def heartbeat(self) -> Any:
        return call.Heartbeat()

    def authorize(self, token: Token) -> Any:
        return call.Authorize(id_tag=token.uid)

    def verdict(self, answer: Any) -> str:
        return str(answer.id_tag_info["status"])

    def prove(self, contract: Contract) -> Any:
        """OCA application note on Plug & Charge with 1.6: the message of 2.0.1 inside DataTransfer."""
        told: dict[str, Any] = {"idToken": {"idToken": contract.emaid, "type": "eMAID"}}
        if contract.chain:
            told["certificate"] = contract.chain
        if contract.hashes:
            told["iso15118CertificateHashData"] = list(contract.hashes)
        return call.DataTransfer(vendor_id=PNC, message_id="Authorize", data=json.dumps(told))

    def proved(self, answer: Any) -> tuple[str, str]:
        """(verdict on the contract, verdict on its certificate)."""
        if answer.status != "Accepted":
            return str(answer.status), ""
        told = json.loads(answer.data)
        return str(told["idTokenInfo"]["status"]), str(told.get("certificateStatus", ""))

    def vehicle(self, mac: str) -> str:
        return f"VID:{mac.replace(':', '').upper()}"

    def group(self, answer: Any) -> str:
        return str(answer.id_tag_info.get("parent_id_tag") or "")

    def new_transaction_id(self, station: SimulatedStation) -> None:
        return None

    def state_word(self, state: str) -> str:
        return str(STATES[state])

    def station_status(self, station: SimulatedStation) -> list[Any]:
        """Connector 0 is the station itself."""
        state = ChargePointStatus.available if station.operative else ChargePointStatus.unavailable
        return [
            call.StatusNotification(0, ChargePointErrorCode.no_error, state, timestamp=station.clock.stamp())
        ]

    def status(self, station: SimulatedStation, connector: Connector) -> Any:
        code: str = ChargePointErrorCode.no_error
        if connector.fault:
            known = connector.fault in {str(member.value) for member in ChargePointErrorCode}
            code = connector.fault if known else ChargePointErrorCode.other_error
        if station.quirks.unknown_enum and connector.fault:
            code = "VendorSpecificFault"
        empty = "" if station.quirks.empty_strings else None
        return call.StatusNotification(
            connector_id=connector.number,
            error_code=code,
            status=STATES[connector.state],
            timestamp=station.clock.stamp(),
            info=(connector.fault_info[:50] if connector.fault else "") or empty,
            vendor_id="Voltyard" if connector.fault else None,
            vendor_error_code=(connector.vendor_code if connector.fault else "") or empty,
        )

    def started(
        self, station: SimulatedStation, connector: Connector, transaction: Transaction, trigger: str
    ) -> Callable[[], Any]:
        payload = call.StartTransaction(
            connector_id=connector.number,
            id_tag=transaction.token.uid if transaction.token else "",
            meter_start=transaction.meter_start_wh,
            timestamp=station.clock.stamp(transaction.started_at),
            reservation_id=transaction.reservation_id,
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
        """Readings only; 1.6 tells states by StatusNotification."""
        if readings is None:
            return None
        meter_value = [self.meter_value(station, readings)]
        return lambda: call.MeterValues(connector.number, meter_value, transaction.id)

    def ended(
        self,
        station: SimulatedStation,
        connector: Connector,
        transaction: Transaction,
        trigger: str,
        final: Readings,
        token: str | None,
    ) -> list[Callable[[], Any]]:
        bare = station.quirks.bare_stop
        own = transaction.token.uid if transaction.token else None
        reason = transaction.reason if transaction.reason in REASONS else "Other"
        data = [self.meter_value(station, final, ended=transaction)]

        def stop() -> Any:
            return call.StopTransaction(
                meter_stop=transaction.meter_stop_wh or 0,
                timestamp=station.clock.stamp(transaction.stopped_at),
                transaction_id=transaction.id if transaction.id is not None else -1,
                reason=None if bare else reason,
                id_tag=None if bare else (token or (own if reason == "Local" else None)),
                transaction_data=data,
            )

        return [stop] * station.quirks.repeat_stop

    def learn(self, transaction: Transaction, answer: Any, kind: str) -> None:
        """From the answer to a start: the id, and what the other side thinks of the token."""
        if kind == "start":
            transaction.id = answer.transaction_id
            transaction.verdict = str(answer.id_tag_info["status"])

    def meter_values(self, station: SimulatedStation, connector: Connector, readings: Readings) -> Any:
        return call.MeterValues(connector.number, [self.meter_value(station, readings)])

    def meter_value(
        self, station: SimulatedStation, readings: Readings, ended: Transaction | None = None
    ) -> dict[str, Any]:
        values = [self._sampled(station, value, readings.context) for value in readings.values]
        if station.quirks.signed_ocmf and ended:
            text = ocmf(
                station.identity, ended.meter_start_wh, ended.meter_stop_wh or 0, station.clock.stamp()
            )
            values.append({"value": text, "context": "Transaction.End", "format": "SignedData"})
        return {"timestamp": station.clock.stamp(readings.at), "sampled_value": values}

    def _sampled(self, station: SimulatedStation, reading: Reading, context: str) -> dict[str, Any]:
        value, unit = reading.value, reading.unit
        if station.quirks.wh_called_kwh and unit == "Wh":
            value, unit = (value / 1000, "Wh") if context == "Transaction.End" else (value, "kWh")
        sampled = {
            "value": f"{value:g}" if isinstance(value, float) and unit != "Wh" else str(value),
            "context": context,
            "measurand": reading.measurand,
            "phase": reading.phase or None,
            "location": reading.location,
            "unit": unit,
        }
        if unit in ("Hertz",):  # 1.6 has no word for it
            del sampled["unit"]
        return sampled

    # -- on request

    def firmware_status(self, status: str, request_id: int | None) -> Any:
        if request_id is not None:
            return call.SignedFirmwareStatusNotification(status=status, request_id=request_id)
        return call.FirmwareStatusNotification(status=status)

    def log_status(self, status: str, request_id: int | None) -> Any:
        if request_id is not None:
            return call.LogStatusNotification(status=status, request_id=request_id)
        return call.DiagnosticsStatusNotification(status=status)

    def sign_certificate(self, csr: str, use: str = OWN) -> Any:
        if use == OWN:
            return call.SignCertificate(csr=csr)
        told = json.dumps({"csr": csr, "certificateType": use})
        return call.DataTransfer(vendor_id=PNC, message_id="SignCertificate", data=told)

    def security_event(self, station: SimulatedStation, kind: str, info: str = "") -> Any:
        return call.SecurityEventNotification(
            type=kind, timestamp=station.clock.stamp(), tech_info=info or None
        )

    def data_transfer(self, vendor: str, message: str, data: str) -> Any:
        return call.DataTransfer(vendor_id=vendor, message_id=message or None, data=data or None)
