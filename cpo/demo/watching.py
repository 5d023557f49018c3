"""Monitors of a fast charger: what they watch, what they noticed, and the temperature that it streams."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from random import Random

from cpo.demo.founding import Company
from stations.models import (
    Monitor,
    MonitorBase,
    MonitorKind,
    MonitorState,
    Station,
    Stream,
    StreamValue,
)
from stations.neutral import MonitorEvent, VariableReport
from stations.services import alerts

# (component, EVSE, variable, kind, value, severity, who set it)
_MONITORS = (
    ("CoolingSystem", 0, "Temperature", MonitorKind.UPPER, 70.0, 3, MonitorBase.CUSTOM),
    ("CoolingSystem", 0, "FanSpeed", MonitorKind.LOWER, 600.0, 5, MonitorBase.PRECONFIGURED),
    ("CableCoolingFluid", 1, "Level", MonitorKind.LOWER, 20.0, 4, MonitorBase.PRECONFIGURED),
    ("CableCoolingFluid", 2, "Level", MonitorKind.LOWER, 20.0, 4, MonitorBase.PRECONFIGURED),
    ("EmergencyStopSensor", 0, "Active", MonitorKind.DELTA, 1.0, 0, MonitorBase.HARD_WIRED),
)
_EVERY = timedelta(seconds=30)
_VALUES = 240


def write(company: Company, station: Station, now: datetime) -> None:
    scope = {"tenant_id": company.tenant.pk, "station": station}
    for number, (component, evse, name, kind, value, severity, base) in enumerate(_MONITORS, 1):
        custom = base == MonitorBase.CUSTOM
        Monitor.objects.create(
            **scope, number=number, component=component, evse_number=evse, name=name, kind=kind, value=value,
            severity=severity, base=base, state=MonitorState.SET, created_at=now, told_at=now,
            stream_interval_s=_EVERY.seconds if custom else None, stream_values=10 if custom else None,
            origin_label="Jonas Petersen" if custom else "",
        )  # fmt: skip
    _noticed(company, station, now)
    _stream(company, station, now)


def _noticed(company: Company, station: Station, now: datetime) -> None:
    """A fan that stood still for a while, and coolant that is low since the morning."""

    def told(
        number: int, ago: timedelta, name: str, value: str, *, cleared: bool = False, info: str = ""
    ) -> MonitorEvent:
        at = now - ago
        component, evse = ("CoolingSystem", 0) if name == "FanSpeed" else ("CableCoolingFluid", 2)
        return MonitorEvent(
            station.pk, at, at.isoformat(), number, VariableReport(name, None, component=component, evse=evse),
            "alert", value, "preconfigured", cleared=cleared, monitor_number=2 if name == "FanSpeed" else 4,
            severity=5 if name == "FanSpeed" else 4, tech_info=info,
        )  # fmt: skip

    alerts.record(
        tenant_id=company.tenant.pk,
        reports=[
            told(811, timedelta(hours=53), "FanSpeed", "0", info="fan 2 does not turn"),
            told(812, timedelta(hours=52, minutes=41), "FanSpeed", "1240", cleared=True),
            told(840, timedelta(hours=4), "Level", "18", info="refill cable coolant"),
        ],
    )


def _stream(company: Company, station: Station, now: datetime) -> None:
    rng = Random("stream")
    opened = now - _VALUES * _EVERY
    stream = Stream.objects.create(
        tenant_id=company.tenant.pk, station=station, number=1, monitor_number=1, interval_s=_EVERY.seconds,
        values_per_message=10, opened_at=opened, last_at=now, pending=0, received=_VALUES,
    )  # fmt: skip
    values = []
    for step in range(_VALUES):
        degrees = round(41 + 13 * math.sin(step / 24) + rng.uniform(-0.8, 0.8), 1)
        values.append(
            StreamValue(
                tenant_id=company.tenant.pk, stream=stream, at=opened + (step + 1) * _EVERY, value=str(degrees),
                number=degrees,
            )
        )  # fmt: skip
    StreamValue.objects.bulk_create(values)
