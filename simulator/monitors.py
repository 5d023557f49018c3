"""Monitors of a 2.x station (block N): which variables it watches, and what it notices. No wire here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from simulator.device import Device, Setting

UPPER, LOWER, DELTA = "UpperThreshold", "LowerThreshold", "Delta"
PERIODIC, ALIGNED = "Periodic", "PeriodicClockAligned"
CUSTOM, FACTORY, HARD_WIRED = "CustomMonitor", "PreconfiguredMonitor", "HardWiredMonitor"
GROUPS = {
    "ThresholdMonitoring": (UPPER, LOWER),
    "DeltaMonitoring": (DELTA,),
    "PeriodicMonitoring": (PERIODIC, ALIGNED),
}
NUMBERS = ("decimal", "integer")
DEBUG = 9  # the least grave severity


@dataclass
class Monitor:
    """`value`: a threshold, a change, or seconds. What follows `transaction` is what it saw last."""

    id: int
    setting: Setting
    kind: str
    value: float
    severity: int
    base: str = CUSTOM
    transaction: bool = False  # looks only while one runs there
    alerting: bool = False
    told: str = ""  # the value that the next change is measured from
    due: float | None = None  # simulated seconds
    stream: int | None = None  # 2.1: its values go there instead of into events


@dataclass
class Noticed:
    monitor: Monitor
    value: str
    trigger: str  # Alerting, Delta, Periodic
    cleared: bool = False


class Monitors:
    """Of one station, by id. Two for each EVSE come from the factory: a warning and the cut-off."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.all: dict[int, Monitor] = {}
        self._last_id = 0
        self.use("FactoryDefault")
        device.put("MonitoringCtrlr.ActiveMonitoringBase", "All")

    def _add(self, setting: Setting, kind: str, value: float, severity: int, base: str) -> Monitor:
        self._last_id += 1
        self.all[self._last_id] = made = Monitor(self._last_id, setting, kind, value, severity, base)
        return made

    def use(self, base: str) -> None:
        """SetMonitoringBase (N03): All keeps what is set, the others remove what was set over the wire."""
        self._device.put("MonitoringCtrlr.ActiveMonitoringBase", base)
        if base == "All":
            self._complete((HARD_WIRED, FACTORY))
            return
        kept = (HARD_WIRED,) if base == "HardWiredOnly" else (HARD_WIRED, FACTORY)
        self.all = {number: one for number, one in self.all.items() if one.base in kept}
        self._complete(kept)

    def _complete(self, bases: tuple[str, ...]) -> None:
        for setting in self._device.settings:
            if setting.component != "EVSE" or setting.variable != "Temperature":
                continue
            for base, value, severity in ((HARD_WIRED, 95.0, 1), (FACTORY, 75.0, 4)):
                there = any(one.setting is setting and one.base == base for one in self.all.values())
                if base in bases and not there:
                    self._add(setting, UPPER, value, severity, base)

    def put(
        self,
        setting: Setting,
        kind: str,
        value: float,
        severity: int,
        *,
        transaction: bool,
        number: int | None,
    ) -> tuple[str, Monitor | None]:
        """SetVariableMonitoring of one: the status, and the monitor where it is Accepted (N04)."""
        if not setting.watchable or (kind in (UPPER, LOWER) and setting.kind not in NUMBERS):
            return "UnsupportedMonitorType", None
        if kind not in (UPPER, LOWER, DELTA, PERIODIC, ALIGNED):
            return "UnsupportedMonitorType", None
        if not 0 <= severity <= DEBUG or not self._fits(setting, kind, value):
            return "Rejected", None
        present = self.all.get(number) if number is not None else None
        if number is not None and (
            present is None or present.base == HARD_WIRED or present.setting is not setting
        ):
            return "Rejected", None  # N04.FR.13, FR.16: no such monitor, hard-wired, or of another variable
        if any(
            one is not present and (one.setting, one.kind, one.severity) == (setting, kind, severity)
            for one in self.all.values()
        ):
            return "Duplicate", None
        monitor = present or self._add(setting, kind, value, severity, CUSTOM)
        self.all[monitor.id] = Monitor(
            monitor.id, setting, kind, value, severity, CUSTOM, transaction, stream=monitor.stream
        )
        return "Accepted", self.all[monitor.id]

    def _fits(self, setting: Setting, kind: str, value: float) -> bool:
        if kind in (PERIODIC, ALIGNED):
            return value >= 1
        if kind == DELTA:
            return value >= 0
        return (setting.low is None or value >= setting.low) and (
            setting.high is None or value <= setting.high
        )

    def clear(self, number: int) -> str:
        """ClearVariableMonitoring of one (N06)."""
        if number not in self.all:
            return "NotFound"
        if self.all[number].base == HARD_WIRED:
            return "Rejected"
        del self.all[number]
        return "Accepted"

    def asked_for(
        self, criteria: Iterable[str], matches: Callable[[Setting], bool]
    ) -> dict[int, list[Monitor]]:
        """Those of a report, by variable (N02)."""
        kinds = {kind for word in criteria for kind in GROUPS.get(word, ())}
        found: dict[int, list[Monitor]] = {}
        for one in self.all.values():
            if (not kinds or one.kind in kinds) and matches(one.setting):
                found.setdefault(id(one.setting), []).append(one)
        return found

    @property
    def watched(self) -> bool:
        """Whether something must be looked at while no car charges."""
        return any(one.base == CUSTOM or one.alerting for one in self.all.values())

    def look(
        self, read: Callable[[Setting], str], busy: Callable[[Setting], bool], now: float, moment: float
    ) -> list[Noticed]:
        """What is worth telling now. `now`: simulated seconds; `moment`: the station's clock, for aligned ones."""
        level = self._device.number("MonitoringCtrlr.ActiveMonitoringLevel")
        if not self._device.flag("MonitoringCtrlr.Enabled"):
            return []
        found: list[Noticed] = []
        for monitor in self.all.values():
            if monitor.transaction and not busy(monitor.setting):
                monitor.due = None
                continue
            seen = _LOOKS[monitor.kind](monitor, read(monitor.setting), now, moment)
            if seen is not None and monitor.severity <= level:
                found.append(seen)
        return found

    def next_due(self, now: float) -> float | None:
        """Simulated seconds until the next periodic one."""
        gaps = [one.due - now for one in self.all.values() if one.due is not None]
        return min(gaps) if gaps else None


def _threshold(monitor: Monitor, value: str, now: float, moment: float) -> Noticed | None:
    number = _number(value)
    beyond = number > monitor.value if monitor.kind == UPPER else number < monitor.value
    if beyond == monitor.alerting:
        return None
    monitor.alerting = beyond
    return Noticed(monitor, value, "Alerting", cleared=not beyond)


def _delta(monitor: Monitor, value: str, now: float, moment: float) -> Noticed | None:
    before = monitor.told
    if not before:
        monitor.told = value
        return None
    if monitor.setting.kind in NUMBERS:
        changed = abs(_number(value) - _number(before)) >= max(monitor.value, 1e-9)
    else:
        changed = value != before
    if not changed:
        return None
    monitor.told = value
    return Noticed(monitor, value, "Delta")


def _periodic(monitor: Monitor, value: str, now: float, moment: float) -> Noticed | None:
    if monitor.due is None:
        gap = monitor.value - moment % monitor.value if monitor.kind == ALIGNED else monitor.value
        monitor.due = now + gap
        return None
    if now < monitor.due - 1e-6:
        return None
    while monitor.due <= now + 1e-6:
        monitor.due += monitor.value
    return Noticed(monitor, value, "Periodic")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


_LOOKS: dict[str, Any] = {
    UPPER: _threshold,
    LOWER: _threshold,
    DELTA: _delta,
    PERIODIC: _periodic,
    ALIGNED: _periodic,
}
