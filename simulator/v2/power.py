"""What a 2.1 station answers about power: dynamic limits, priority charging, ways of transfer, grid controls."""

from __future__ import annotations

from typing import Any

from ocpp.routing import on
from ocpp.v21.enums import Action

from simulator.grid import Control
from simulator.v2.charge import Answers

BODIES = (
    "curve", "enter_service", "fixed_pf_absorb", "fixed_pf_inject", "fixed_var", "freq_droop", "gradient",
    "limit_max_discharge",
)  # fmt: skip


class Power(Answers):
    @on(Action.update_dynamic_schedule)
    def on_update_dynamic_schedule(
        self, charging_profile_id: int, schedule_update: dict[str, Any], **_: Any
    ) -> Any:
        known = self.station.profiles.update_dynamic(charging_profile_id, schedule_update)
        self.station.limits_changed()
        return self.call_result.UpdateDynamicSchedule(status="Accepted" if known else "Rejected")

    @on(Action.use_priority_charging)
    def on_use_priority_charging(self, transaction_id: str, activate: bool, **_: Any) -> Any:
        station = self.station
        number = station.connector_of(transaction_id)
        if number is None:
            return self.call_result.UsePriorityCharging(status="Rejected")
        if not any(profile.purpose == "PriorityCharging" for profile in station.profiles.all):
            return self.call_result.UsePriorityCharging(status="NoProfile")
        station.profiles.give_priority(number, activate)
        station.limits_changed()
        return self.call_result.UsePriorityCharging(status="Accepted")

    @on(Action.notify_allowed_energy_transfer)
    def on_allowed_energy_transfer(
        self, transaction_id: str, allowed_energy_transfer: list[str], **_: Any
    ) -> Any:
        number = self.station.connector_of(transaction_id)
        transaction = self.station.connectors[number].transaction if number else None
        if transaction is None:
            return self.call_result.NotifyAllowedEnergyTransfer(status="Rejected")
        transaction.allowed = allowed_energy_transfer
        self.station.limits_changed()
        return self.call_result.NotifyAllowedEnergyTransfer(status="Accepted")

    @on(Action.afrr_signal)
    def on_afrr_signal(self, timestamp: str, signal: int, **_: Any) -> Any:
        self.station.grid.signals.append(signal)
        return self.call_result.AFRRSignal(status="Accepted")

    @on(Action.set_der_control)
    def on_set_der_control(self, is_default: bool, control_id: str, control_type: str, **bodies: Any) -> Any:
        member = next((name for name in BODIES if bodies.get(name)), None)
        if member is None:
            return self.call_result.SetDERControl(status="Rejected")
        gone = self.station.grid.take(
            Control(control_id, control_type, is_default, member, bodies[member]), self.station.clock.now()
        )
        return self.call_result.SetDERControl(status="Accepted", superseded_ids=gone or None)

    @on(Action.get_der_control)
    def on_get_der_control(self, request_id: int, **criteria: Any) -> Any:
        found = self.station.grid.matching(**criteria)
        if not found:
            return self.call_result.GetDERControl(status="NotFound")
        self.then(lambda: self.station.report_controls(request_id, found))
        return self.call_result.GetDERControl(status="Accepted")

    @on(Action.clear_der_control)
    def on_clear_der_control(self, **criteria: Any) -> Any:
        gone = self.station.grid.clear(**criteria)
        return self.call_result.ClearDERControl(status="Accepted" if gone else "NotFound")
