"""What stations say of limits, cars' wishes and the grid, in neutral words (see stations.neutral).

Profiles are `schedules.Profile`. Sources are LimitSource values, DER controls DerType values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stations.schedules import Period, Profile


@dataclass(frozen=True, slots=True)
class ProfilesTold:
    """One part of what a station holds (ReportChargingProfiles). `request` is the command's number."""

    station_id: int
    received_at: datetime
    request: int
    evse: int
    source: str
    profiles: tuple[Profile, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class CompositeAnswered:
    """What a station says it keeps to."""

    station_id: int
    evse: int
    unit: str
    starts_at: datetime
    duration_s: int
    periods: tuple[Period, ...]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class LimitTold:
    """A limit that somebody else set, or took away (`cleared`; then `source` alone may be told)."""

    station_id: int
    received_at: datetime
    source: str
    evse: int | None = None  # None: not told
    schedules: tuple[Profile, ...] = ()
    grid_critical: bool = False
    local_generation: bool = False
    cleared: bool = False


@dataclass(frozen=True, slots=True)
class NeedsTold:
    """What a car wants. Energies Wh, powers W, currents A; None: not told."""

    station_id: int
    received_at: datetime
    evse: int
    raw_timestamp: str = ""
    energy_wh: float | None = None
    raw_departure: str = ""
    soc_percent: float | None = None
    target_soc_percent: float | None = None
    max_power_w: float | None = None
    max_current_a: float | None = None
    transfer: str = ""
    transfers: tuple[str, ...] = ()
    bidirectional: Mapping[str, Any] = field(default_factory=dict)
    most_periods: int | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NeedsAnswer:
    verdict: str  # accepted | no_profile | rejected


@dataclass(frozen=True, slots=True)
class PlanTold:
    """The car's own plan."""

    station_id: int
    received_at: datetime
    evse: int
    starts_at: datetime
    unit: str
    periods: tuple[Period, ...]
    duration_s: int | None = None
    tolerated: bool | None = None


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    accepted: bool


@dataclass(frozen=True, slots=True)
class PriorityTold:
    """Priority charging was switched, at the station or (`by`) by us."""

    station_id: int
    received_at: datetime
    transaction_id: str
    active: bool
    by: str = ""


@dataclass(frozen=True, slots=True)
class TransfersAllowed:
    """The station took on which ways of energy transfer a session may use."""

    station_id: int
    received_at: datetime
    transaction_id: str
    transfers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DynamicAsked:
    """A station fetches the newest values of a dynamic profile."""

    station_id: int
    received_at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class DynamicAnswer:
    values: Mapping[str, float] | None  # None: no such profile


@dataclass(frozen=True, slots=True)
class DerTold:
    """One DER control as a station holds it."""

    control_id: str
    kind: str
    is_default: bool
    superseded: bool
    priority: int
    settings: Mapping[str, Any]
    starts_at: datetime | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class DersTold:
    """One part of what a station holds (ReportDERControl)."""

    station_id: int
    received_at: datetime
    request: int
    controls: tuple[DerTold, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class DerAnswered:
    """How a station answered to a control of ours."""

    station_id: int
    command_id: int
    accepted: bool
    reason: str
    superseded: tuple[str, ...]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class DerSwitched:
    """A control began or ended at the station."""

    station_id: int
    received_at: datetime
    control_id: str
    started: bool
    raw_timestamp: str
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DerAlarm:
    """The grid left the bounds of a control, or is back within (`over`)."""

    station_id: int
    received_at: datetime
    kind: str
    fault: str
    over: bool
    raw_timestamp: str
    text: str = ""
