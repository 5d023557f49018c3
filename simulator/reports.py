"""What only a 2.x station does: reports in many parts, limits from outside, resets of one EVSE."""

from __future__ import annotations

from typing import Any

from simulator.commands import Commands
from simulator.device import Setting
from simulator.grid import Control, Grid
from simulator.profiles import Period, Profile

EXTERNAL = "ChargingStationExternalConstraints"


class Reports(Commands):
    """Mixed into SimulatedStation, above Commands."""

    grid: Grid

    def variable_value(self, setting: Setting) -> str:
        """Some variables are read, not stored."""
        if setting.variable == "DateTime" and setting.component == "ClockCtrlr":
            return self.clock.stamp()
        if (setting.component, setting.variable) == ("Controller", "FirmwareVersion"):
            return self.firmware
        if (setting.component, setting.variable) == ("ChargingStation", "Problem"):
            return str(any(one.fault for one in self.connectors.values())).lower()
        return self._seen(setting) if setting.evse is not None else setting.value

    def _seen(self, setting: Setting) -> str:
        """What is measured at an EVSE."""
        connector = self.connectors[setting.evse or 0]
        match setting.variable:
            case "AvailabilityState":
                return str(self.says.state_word(connector.state))
            case "Problem":
                return str(bool(connector.fault)).lower()
            case "Temperature":
                return f"{connector.temperature_c:.1f}"
            case "ActivePower":
                return f"{connector.flow.power_w:.0f}"
        return setting.value

    async def report_settings(self, request_id: int, settings: list[Setting]) -> None:
        """NotifyReport in parts of ItemsPerMessage."""
        from simulator.v2.variables import report_row

        size = self.device.number("DeviceDataCtrlr.ItemsPerMessage[GetReport]")
        rows = [report_row(setting, self.variable_value(setting)) for setting in settings]
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        for number, part in enumerate(parts):
            more = number < len(parts) - 1
            await self.tell(self.says.notify_report(self, request_id, number, part, more))

    async def report_profiles(self, request_id: int, profiles: list[Profile]) -> None:
        for number, profile in enumerate(profiles):
            await self.tell(
                self.says.call.ReportChargingProfiles(
                    request_id=request_id,
                    charging_limit_source="SO" if profile.purpose == EXTERNAL else "CSO",
                    charging_profile=[profile.wire],
                    evse_id=profile.evse,
                    tbc=number < len(profiles) - 1,
                )
            )

    async def report_controls(self, request_id: int, controls: list[Control]) -> None:
        """2.1 ReportDERControl, a part for each control."""
        for number, control in enumerate(controls):
            await self.tell(
                self.says.call.ReportDERControl(
                    request_id=request_id,
                    tbc=number < len(controls) - 1,
                    **{control.member: [control.report()]},
                )
            )

    async def grid_alarm(self, control_type: str, fault: str, *, over: bool = False) -> None:
        """2.1: the grid left the bounds of a control, or is back."""
        await self.tell(
            self.says.call.NotifyDERAlarm(
                control_type=control_type,
                grid_event_fault=fault,
                alarm_ended=over or None,
                timestamp=self.clock.stamp(),
            )
        )

    async def need(self, number: int, energy_wh: float, departure: str | None = None) -> str:
        """A car of ISO 15118 tells its needs at this connector. Gives the status of the answer."""
        connector = self.connectors[number]
        needs = {
            "requested_energy_transfer": "DC" if connector.kind == "dc" else "AC_three_phase",
            "departure_time": departure,
        }
        if connector.kind == "dc":
            needs["dc_charging_parameters"] = {  # type: ignore[assignment]
                "ev_max_current": 300, "ev_max_voltage": 450, "energy_amount": int(energy_wh),
                "state_of_charge": round(100 * connector.car.soc) if connector.car else None,
            }  # fmt: skip
        else:
            needs["ac_charging_parameters"] = {  # type: ignore[assignment]
                "energy_amount": int(energy_wh), "ev_min_current": 6, "ev_max_current": 16, "ev_max_voltage": 230,
            }  # fmt: skip
        if connector.car and connector.car.gives_w and self.version == "2.1":
            needs["requested_energy_transfer"] = "DC_BPT" if connector.kind == "dc" else "AC_BPT"
            needs["v2x_charging_parameters"] = {  # type: ignore[assignment]
                "max_charge_power": connector.best_power_w, "max_discharge_power": connector.car.gives_w,
                "ev_target_energy_request": energy_wh,
            }  # fmt: skip
        answer = await self.tell(
            self.says.call.NotifyEVChargingNeeds(charging_needs=needs, evse_id=number, max_schedule_tuples=12)
        )
        return str(answer.status) if answer is not None else "Rejected"

    async def outside_limit(self, watts: float | None, *, source: str = "SO", number: int = 0) -> None:
        """An energy management or the grid operator limits the station directly; None: no longer."""
        self.profiles.all = [p for p in self.profiles.all if p.purpose != EXTERNAL or p.evse != number]
        if watts is None:
            self.limits_changed()
            await self.tell(self.says.call.ClearedChargingLimit(charging_limit_source=source, evse_id=number))
            return
        schedule = {
            "id": 1,
            "charging_rate_unit": "W",
            "start_schedule": self.clock.stamp(),
            "charging_schedule_period": [{"start_period": 0, "limit": watts}],
        }
        wire: dict[str, Any] = {
            "id": 900 + number,
            "stack_level": 0,
            "charging_profile_purpose": EXTERNAL,
            "charging_profile_kind": "Absolute",
            "charging_schedule": [schedule],
        }
        self.profiles.add(
            Profile(
                wire["id"],
                number,
                EXTERNAL,
                0,
                "Absolute",
                "W",
                [Period(0, watts)],
                start=self.clock.now(),
                wire=wire,
            )
        )
        self.limits_changed()
        await self.tell(
            self.says.call.NotifyChargingLimit(
                charging_limit={"charging_limit_source": source}, charging_schedule=[schedule], evse_id=number
            )
        )

    async def reset_when_idle(self) -> None:
        """Reset OnIdle: once no transaction runs."""
        await self.until(lambda: all(c.transaction is None for c in self.connectors.values()), timeout=10**9)
        await self.reboot(reason="ScheduledReset", hard=False)

    async def reset_evse(self, number: int) -> None:
        if self.connectors[number].transaction is not None:
            await self.stop(number, reason="ImmediateReset", trigger="ResetCommand")
        await self.tell_changed_states()

    async def security_event(self, kind: str, info: str = "") -> None:
        self.note(f"{kind} {info}".strip(), "WARN", security=True)
        await self.tell(self.says.security_event(self, kind, info))
