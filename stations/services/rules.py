"""What a station takes of charging profiles, by the specification and by its own word; told before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from stations import schedules
from stations.models import Station, Variable
from stations.schedules import AMPS, WATTS, Profile
from tenants.errors import Invalid

NEW_IN_21 = (schedules.PRIORITY, schedules.LOCAL_GENERATION)
MODES = (
    "charging_only", "central_setpoint", "external_setpoint", "external_limits", "central_frequency",
    "local_frequency", "local_load_balancing", "idle",
)  # fmt: skip
# Which values a period needs in each operation mode (2.1 part 2, block Q), and which it must not have.
_MODE_NEEDS = {"central_setpoint": "setpoint", "central_frequency": "setpoint"}


@dataclass(frozen=True)
class Allowed:
    """As the station told by its variables; None: it told nothing of it."""

    units: tuple[str, ...] = (AMPS, WATTS)
    most_stack: int | None = None
    most_periods: int | None = None
    most_profiles: int | None = None
    phase_switching: bool | None = None
    modes: tuple[str, ...] = ()

    def stack(self, wanted: int) -> int:
        """The stack level wanted, or the highest that the station knows."""
        return wanted if self.most_stack is None else min(wanted, self.most_stack)

    def unit(self, wanted: str) -> str:
        return wanted if wanted in self.units else self.units[0]


_UNITS = {"Current": AMPS, "Power": WATTS, "A": AMPS, "W": WATTS}
_NAMES = {
    "ChargeProfileMaxStackLevel": "stack",
    "ProfileStackLevel": "stack",
    "ChargingScheduleAllowedChargingRateUnit": "units",
    "RateUnit": "units",
    "ChargingScheduleMaxPeriods": "periods",
    "PeriodsPerSchedule": "periods",
    "MaxChargingProfilesInstalled": "profiles",
    "Entries": "profiles",
    "ConnectorSwitch3to1PhaseSupported": "switching",
    "Phases3to1": "switching",
    "SupportedOperationModes": "modes",
}
_COMPONENTS = ("", "SmartChargingCtrlr", "V2XChargingCtrlr")


def allowed(tenant_id: int, station_ids: Sequence[int]) -> dict[int, Allowed]:
    """What each of these stations takes, by one look."""
    told: dict[int, dict[str, str]] = {station_id: {} for station_id in station_ids}
    found = Variable.objects.filter(
        tenant_id=tenant_id,
        station_id__in=list(station_ids),
        name__in=list(_NAMES),
        component__in=_COMPONENTS,
    ).order_by("evse_number")
    for row in found:
        if row.name == "Entries":
            if row.instance != "ChargingProfiles":
                continue
            value = (
                row.max_limit if row.max_limit is not None else row.value if row.attribute == "max" else None
            )
            if value is None:
                continue
            told[row.station_id]["profiles"] = str(value)
        elif row.value and row.attribute == "actual":
            told[row.station_id].setdefault(_NAMES[row.name], row.value)
    return {station_id: _read(values) for station_id, values in told.items()}


def _read(values: Mapping[str, str]) -> Allowed:
    units = tuple(
        dict.fromkeys(
            _UNITS[word.strip()] for word in values.get("units", "").split(",") if word.strip() in _UNITS
        )
    )
    switching = values.get("switching", "").strip().lower()
    return Allowed(
        units=units or (AMPS, WATTS),
        most_stack=_whole(values.get("stack")),
        most_periods=_whole(values.get("periods")) or None,
        most_profiles=_whole(values.get("profiles")) or None,
        phase_switching={"true": True, "false": False}.get(switching),
        modes=tuple(word.strip() for word in values.get("modes", "").split(",") if word.strip()),
    )


def _whole(text: str | None) -> int | None:
    try:
        return None if text is None else max(0, int(float(text)))
    except (ValueError, OverflowError):
        return None


def check(profile: Profile, station: Station, takes: Allowed, *, held: int = 0) -> None:
    """Invalid, with what is wrong and what would be right, for a profile that this station cannot take.

    `held`: how many profiles it holds that this one would not replace.
    """
    wrong: dict[str, str] = {}
    for name, text in _faults(profile, station.ocpp_version, takes, held):
        wrong.setdefault(name, text)
    if wrong:
        raise Invalid(fields=wrong)


def _faults(profile: Profile, version: str, takes: Allowed, held: int) -> Iterable[tuple[str, str]]:
    yield from _place(profile, version)
    yield from _times(profile, version)
    yield from _periods(profile, version, takes)
    if profile.unit not in takes.units:
        yield "unit", f"This station takes limits in {' or '.join(takes.units)} alone."
    if takes.most_stack is not None and profile.stack_level > takes.most_stack:
        yield "stack_level", f"This station knows stack levels up to {takes.most_stack}."
    if profile.stack_level < 0:
        yield "stack_level", "A stack level is 0 or more."
    if takes.most_profiles is not None and held >= takes.most_profiles:
        yield (
            "profile",
            f"This station holds {held} profiles and takes no more than {takes.most_profiles}: clear one first.",
        )


def _place(profile: Profile, version: str) -> Iterable[tuple[str, str]]:
    """Which purpose goes where (1.6 3.13.1, K01.FR.03, .16, .22, .29)."""
    if profile.purpose == schedules.EXTERNAL:
        yield "purpose", "Limits from outside are told by the station, never sent to it."
    if profile.purpose in NEW_IN_21 and version and version != "2.1":
        yield "purpose", f"This purpose needs OCPP 2.1; the station speaks {version}."
    if profile.evse < 0:
        yield "evse", "There is no such connector."
    if profile.purpose in (schedules.STATION_MAX, schedules.LOCAL_GENERATION) and profile.evse:
        yield "evse", "A limit of the whole station names no connector."
    if profile.purpose == schedules.TRANSACTION and not profile.evse:
        yield "evse", "A profile for a session names its connector."
    if profile.purpose == schedules.TRANSACTION and not profile.transaction_id and version != "1.6":
        yield "transaction_id", "Name the session that this profile is for."
    if profile.purpose != schedules.TRANSACTION and profile.transaction_id:
        yield "transaction_id", "Only a profile for a session names one."


def _times(profile: Profile, version: str) -> Iterable[tuple[str, str]]:
    """When it holds (1.6 7.13, K01.FR.38, .40, .41; K28 for dynamic ones)."""
    if profile.kind in (schedules.ABSOLUTE, schedules.RECURRING) and profile.starts_at is None:
        yield "starts_at", "Say when the schedule begins."
    if profile.kind in (schedules.RELATIVE, schedules.DYNAMIC) and profile.starts_at is not None:
        yield "starts_at", "A schedule of this kind begins with the session: it names no time."
    if profile.kind == schedules.RELATIVE and profile.purpose == schedules.STATION_MAX:
        yield "kind", "A limit of the whole station cannot count from the start of a session."
    if profile.kind == schedules.RECURRING and profile.recurrency not in schedules.CYCLES:
        yield "recurrency", "Say whether it recurs daily or weekly."
    if profile.kind == schedules.DYNAMIC and version and version != "2.1":
        yield "kind", f"Dynamic limits need OCPP 2.1; the station speaks {version}."
    if profile.duration_s is not None and profile.duration_s <= 0:
        yield "duration_s", "It must last for a while."
    if profile.valid_from and profile.valid_to and profile.valid_from >= profile.valid_to:
        yield "valid_to", "It ends before it begins."


def _periods(profile: Profile, version: str, takes: Allowed) -> Iterable[tuple[str, str]]:
    """Its periods (K01.FR.19, .20, .31, .35, .44; Q for operation modes)."""
    starts = [period.start_s for period in profile.periods]
    if not starts or starts[0] != 0:
        yield "periods", "The first period begins at 0 seconds."
    if any(later <= earlier for earlier, later in pairwise(starts)):
        yield "periods", "Periods follow one another."
    if takes.most_periods is not None and len(starts) > takes.most_periods:
        yield "periods", f"This station takes {takes.most_periods} periods at most; these are {len(starts)}."
    if profile.kind == schedules.DYNAMIC and len(starts) != 1:
        yield "periods", "A dynamic limit has one period."
    for period in profile.periods:
        yield from _period(period, version, takes)


def _period(period: schedules.Period, version: str, takes: Allowed) -> Iterable[tuple[str, str]]:
    is_21 = version in ("", "2.1")
    if period.limit is not None and not 0 <= period.limit <= 10_000_000:
        yield "limit", "A limit is a number from 0 up."
    if period.phases is not None and period.phases not in (1, 2, 3):
        yield "phases", "There are 1 to 3 phases."
    if period.phase_to_use is not None and period.phases != 1:
        yield "phase_to_use", "One phase can be chosen where one phase is used."
    if period.phase_to_use is not None and takes.phase_switching is False:
        yield "phase_to_use", "This station cannot choose its phase."
    bidirectional = period.discharge_limit is not None or period.setpoint is not None
    if (bidirectional or period.mode) and not is_21:
        yield "mode", f"Discharging and setpoints need OCPP 2.1; the station speaks {version}."
    if period.discharge_limit is not None and period.discharge_limit > 0:
        yield "discharge_limit", "A limit of discharging is 0 or negative."
    if period.mode and period.mode not in MODES:
        yield "mode", f"Choose one of {', '.join(MODES)}."
    needed = _MODE_NEEDS.get(period.mode)
    if needed and period.setpoint is None:
        yield "setpoint", "This way of charging needs a setpoint."
    if period.mode == "local_frequency" and not period.more.get("freq_watt"):
        yield "freq_watt", "Local frequency control needs a curve of power over frequency."
    if period.mode in ("", "charging_only") and period.limit is None and not bidirectional:
        yield "limit", "Each period needs a limit."
    if period.mode in ("", "charging_only") and bidirectional:
        yield "mode", "Discharging and setpoints need a way of charging other than charging only."
    if period.mode and takes.modes and _WIRE_MODE.get(period.mode) not in takes.modes:
        yield "mode", f"This station knows {', '.join(takes.modes)} alone."


_WIRE_MODE: dict[str, Any] = {  # as V2XChargingCtrlr.SupportedOperationModes lists them
    mode: "".join(word.capitalize() for word in mode.split("_")) for mode in MODES
}
