"""What a 2.x station notices by itself and tells: events of its monitors, streams of values (2.1), grid controls."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from simulator.connector import Connector
from simulator.device import Setting
from simulator.monitors import Monitor, Monitors, Noticed
from simulator.reports import Reports

LOOK_SECONDS = 1.0  # real ones, while something must be watched and no car charges
HARDWARE_FAILURE = 1  # severity of a fault
MOST_HELD = 200  # events kept while offline
PER_PART = 2  # monitored variables in one part of NotifyMonitoringReport


class Watching(Reports):
    """Mixed into SimulatedStation, above Reports."""

    monitors: Monitors
    streams: dict[int, dict[str, Any]]
    _watcher: asyncio.Task[None] | None = None

    _held: list[dict[str, Any]]  # events that wait for the line
    _samples: dict[int, list[tuple[float, str, str]]]  # of streams: second, stamp, value
    _event_id: int = 0

    # -- looking

    def tick(self, connector: Connector) -> None:
        super().tick(connector)
        self.look_around()

    async def advance(self, seconds: float) -> None:
        self.look_around()
        await super().advance(seconds)

    def look_around(self) -> None:
        """Tell what the monitors notice now, and which controls of the grid begin and end."""
        if self.version == "1.6":
            return
        now = self.clock.seconds()
        moment = self.clock.now().timestamp()
        found = self.monitors.look(self.variable_value, self._busy, now, moment)
        streamed = [one for one in found if one.monitor.stream is not None]
        for one in streamed:
            self._samples.setdefault(one.monitor.stream or 0, []).append((now, self.clock.stamp(), one.value))
        self._send_due_streams(now)
        events = [self._noticed(one) for one in found if one not in streamed]
        if events:
            self._tell_events(events, min(one.monitor.severity for one in found))
        for control in self.grid.turned(self.clock.now()):
            self.background(self._tell_control(*control))

    async def look_now(self) -> None:
        for connector in self.connectors.values():
            self.measure(connector)
        self.look_around()

    def keep_watching(self) -> None:
        """Look again and again, on a clock that runs by itself, until there is nothing left to watch."""
        if not self.clock.manual and (self._watcher is None or self._watcher.done()):
            self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while self.monitors.watched or self.grid.waiting:
            await asyncio.sleep(LOOK_SECONDS)
            for connector in self.connectors.values():
                if connector.transaction is None:  # the others have their driver
                    self.measure(connector)
            self.look_around()

    def _longest_step(self) -> float:
        due = self.monitors.next_due(self.clock.seconds()) if self.version != "1.6" else None
        step = super()._longest_step()
        return step if due is None else max(0.001, min(step, due))

    def _busy(self, setting: Setting) -> bool:
        chosen = [self.connectors[setting.evse]] if setting.evse else list(self.connectors.values())
        return any(connector.transaction is not None for connector in chosen)

    # -- events

    def _event(self, setting: Setting, value: str, trigger: str, base: str, **more: Any) -> dict[str, Any]:
        self._event_id += 1
        running = self.connectors[setting.evse].transaction if setting.evse else None
        return {
            "event_id": self._event_id,
            "timestamp": self.clock.stamp(),
            "trigger": trigger,
            "actual_value": value,
            **named(setting),
            "event_notification_type": base,
            "transaction_id": running.id if running else None,
            **more,
        }

    def _noticed(self, noticed: Noticed) -> dict[str, Any]:
        monitor = noticed.monitor
        told = {"variable_monitoring_id": monitor.id, "cleared": True if noticed.cleared else None}
        if self.version == "2.1":
            told["severity"] = monitor.severity
        word = "over" if noticed.cleared else "noticed"
        self.note(
            f"Monitor {monitor.id} {word}: {monitor.setting.name} is {noticed.value} ({monitor.kind} "
            f"{monitor.value:g})",
            "WARN" if noticed.trigger == "Alerting" else "INFO",
        )
        return self._event(monitor.setting, noticed.value, noticed.trigger, monitor.base, **told)

    def _tell_events(self, events: list[dict[str, Any]], severity: int) -> None:
        """Now, or after the next boot where they are grave enough to be kept (OfflineQueuingSeverity)."""
        if self.booted:
            self.background(self.tell(self.says.notify_events(self, events)))
        elif severity <= self.device.number("MonitoringCtrlr.OfflineQueuingSeverity"):
            self._held = [*self._held, *events][-MOST_HELD:]

    async def tell_problem(self, connector: Connector) -> None:
        """2.x StatusNotification has no words for a fault: the Problem of its connector tells it (G05, N07)."""
        if self.version == "1.6":
            return
        setting = self.device.by_variable("Connector", "Problem", "", connector.number)
        if setting is None or bool(connector.fault) == connector.problem_told:
            return
        connector.problem_told = bool(connector.fault)
        told = {"tech_code": connector.vendor_code or None, "tech_info": connector.fault_info or None}
        if not connector.fault:
            told = {"cleared": True}  # type: ignore[dict-item]
        value = "true" if connector.fault else "false"
        event = self._event(setting, value, "Alerting", "HardWiredNotification", **told)
        self._tell_events([event], HARDWARE_FAILURE)

    async def tell_states(self) -> None:
        await super().tell_states()
        for connector in self.connectors.values():
            await self.tell_problem(connector)
        held, self._held = self._held, []
        if held and self.version != "1.6":
            await self.tell(self.says.notify_events(self, held))

    async def notify_event(
        self, component: str, variable: str, value: str, *, number: int | None = None
    ) -> None:
        """NotifyEvent: something hard-wired has noticed what no variable here tells."""
        setting = Setting("", component, variable, value, evse=number)
        event = self._event(setting, value, "Alerting", "HardWiredNotification")
        await self.tell(self.says.notify_events(self, [event]))

    # -- reports

    async def report_monitors(self, request_id: int, found: dict[int, list[Monitor]]) -> None:
        """NotifyMonitoringReport in parts (N02)."""
        rows = [
            {
                **named(monitors[0].setting),
                "variable_monitoring": [self.says.monitor(monitor) for monitor in monitors],
            }
            for monitors in found.values()
        ]
        parts = [rows[start : start + PER_PART] for start in range(0, len(rows), PER_PART)]
        for number, part in enumerate(parts):
            await self.tell(
                self.says.call.NotifyMonitoringReport(
                    request_id=request_id, seq_no=number, generated_at=self.clock.stamp(),
                    monitor=part, tbc=number < len(parts) - 1,
                )
            )  # fmt: skip

    # -- streams (2.1)

    async def open_stream(
        self, stream_id: int, monitoring_id: int = 1, *, interval: int | None = 60, values: int | None = 5
    ) -> str:
        """Offer a periodic event stream. Gives the status of the answer."""
        params = {"interval": interval, "values": values}
        data = {
            "id": stream_id,
            "params": {name: value for name, value in params.items() if value is not None},
            "variable_monitoring_id": monitoring_id,
        }
        answer = await self.tell(self.says.call.OpenPeriodicEventStream(constant_stream_data=data))
        if answer is not None and answer.status == "Accepted":
            self.streams[stream_id] = data
            if monitoring_id in self.monitors.all:
                self.monitors.all[monitoring_id].stream = stream_id
        return str(answer.status) if answer is not None else "Rejected"

    async def stream_monitor(self, stream_id: int, monitor_id: int, params: dict[str, Any]) -> None:
        """A monitor was set whose values shall come as a stream; refused, they come as events (N11)."""
        status = await self.open_stream(
            stream_id, monitor_id, interval=params.get("interval"), values=params.get("values")
        )
        if status != "Accepted":
            self.streams.pop(stream_id, None)
        await self.look_now()

    def orphaned_streams(self) -> list[int]:
        """Those whose monitor is gone."""
        known = {one.stream for one in self.monitors.all.values()}
        return [number for number in self.streams if number not in known]

    async def close_stream(self, stream_id: int) -> None:
        self.streams.pop(stream_id, None)
        self._samples.pop(stream_id, None)
        await self.tell(self.says.call.ClosePeriodicEventStream(id=stream_id))

    async def send_stream(
        self, stream_id: int, values: list[tuple[float, str]], *, basetime: str = "", pending: int = 0
    ) -> None:
        """Values of a stream, by SEND; no answer comes. Seconds since `basetime`, value."""
        from simulator.v2.wire import NotifyPeriodicEventStream

        rows = [{"t": seconds, "v": value} for seconds, value in values]
        since = basetime or self.clock.stamp()
        message = NotifyPeriodicEventStream(id=stream_id, pending=pending, basetime=since, data=rows)
        with contextlib.suppress(OSError):
            await self.require_wire().send(message)

    def _send_due_streams(self, now: float) -> None:
        """Enough values, or long enough since the first of them: both bounds are the operator's (N11, N15)."""
        for number, samples in list(self._samples.items()):
            params = self.streams.get(number, {}).get("params", {})
            enough = bool(params.get("values")) and len(samples) >= params["values"]
            long_ago = bool(params.get("interval")) and now - samples[0][0] >= params["interval"] - 1e-6
            if not self.booted or not (enough or long_ago):
                continue
            del self._samples[number]
            first, basetime, _value = samples[0]
            rows = [(round(second - first, 3), value) for second, _stamp, value in samples]
            self.background(self.send_stream(number, rows, basetime=basetime))

    # -- grid controls (2.1)

    async def _tell_control(self, control_id: str, started: bool, gone: list[str]) -> None:
        """R04: a control with a time begins, or its time is over."""
        await self.tell(
            self.says.call.NotifyDERStartStop(
                control_id=control_id, started=started, timestamp=self.clock.stamp(),
                superseded_ids=gone or None,
            )
        )  # fmt: skip


def named(setting: Setting) -> dict[str, Any]:
    """ComponentType and VariableType of a setting."""
    component: dict[str, Any] = {"name": setting.component}
    if setting.evse is not None:
        component["evse"] = {"id": setting.evse, "connector_id": setting.connector}
    return {
        "component": component,
        "variable": {"name": setting.variable, "instance": setting.instance or None},
    }
