"""What only a 2.x station does: reports in many parts, event streams, resets of one EVSE."""

from __future__ import annotations

from typing import Any

from simulator.commands import Commands
from simulator.device import Setting
from simulator.profiles import Profile


class Reports(Commands):
    """Mixed into SimulatedStation, above Commands."""

    streams: dict[int, dict[str, Any]]

    def variable_value(self, setting: Setting) -> str:
        """Some variables are read, not stored."""
        if setting.variable == "DateTime" and setting.component == "ClockCtrlr":
            return self.clock.stamp()
        if setting.variable == "AvailabilityState" and setting.evse is not None:
            return str(self.says.state_word(self.connectors[setting.evse].state))
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
                    charging_limit_source="CSO",
                    charging_profile=[profile.wire],
                    evse_id=profile.evse,
                    tbc=number < len(profiles) - 1,
                )
            )

    async def reset_when_idle(self) -> None:
        """Reset OnIdle: once no transaction runs."""
        await self.until(lambda: all(c.transaction is None for c in self.connectors.values()), timeout=10**9)
        await self.reboot(reason="ScheduledReset")

    async def reset_evse(self, number: int) -> None:
        if self.connectors[number].transaction is not None:
            await self.stop(number, reason="ImmediateReset", trigger="ResetCommand")
        await self.tell_changed_states()

    async def notify_event(
        self, component: str, variable: str, value: str, *, number: int | None = None
    ) -> None:
        """NotifyEvent: a hard-wired monitor has noticed something."""
        self._event_id += 1
        event = {
            "event_id": self._event_id,
            "timestamp": self.clock.stamp(),
            "trigger": "Alerting",
            "actual_value": value,
            "component": {"name": component, "evse": {"id": number} if number else None},
            "event_notification_type": "HardWiredNotification",
            "variable": {"name": variable},
        }
        await self.tell(self.says.notify_event(self, event))

    async def security_event(self, kind: str, info: str = "") -> None:
        await self.tell(self.says.security_event(self, kind, info))

    async def open_stream(
        self, stream_id: int, monitoring_id: int = 1, *, interval: int = 60, values: int = 5
    ) -> str:
        """2.1: offer a periodic event stream. Gives the status of the answer."""
        data = {
            "id": stream_id,
            "params": {"interval": interval, "values": values},
            "variable_monitoring_id": monitoring_id,
        }
        answer = await self.tell(self.says.call.OpenPeriodicEventStream(constant_stream_data=data))
        if answer is not None and answer.status == "Accepted":
            self.streams[stream_id] = data
        return str(answer.status) if answer is not None else "Rejected"

    async def send_stream(self, stream_id: int, values: list[tuple[float, str]]) -> None:
        """2.1: values of a stream, by SEND; no answer comes. Seconds since now, value."""
        from simulator.v2.wire import NotifyPeriodicEventStream

        rows = [{"t": seconds, "v": value} for seconds, value in values]
        message = NotifyPeriodicEventStream(id=stream_id, pending=0, basetime=self.clock.stamp(), data=rows)
        await self.require_wire().send(message)

    _event_id: int = 0
