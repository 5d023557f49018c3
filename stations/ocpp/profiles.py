"""Charging profiles on the wire: what 1.6 and 2.x write alike, and how each differs.

1.6 7.8 (ChargingProfile), 7.13 (ChargingSchedule); 2.0.1 and 2.1 2.11, 2.14, 2.15. Limits go out with one decimal at
most. Commands name a profile in the words of `schedules.as_json`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from stations import schedules
from stations.ocpp import wire
from stations.ocpp.version import Payload
from stations.ocpp.wire import optional
from stations.schedules import Period, Profile
from tenants.errors import Invalid

MOST_PERIODS = 1024  # 2.x: no schedule has more
PURPOSE_16 = {
    schedules.STATION_MAX: "ChargePointMaxProfile",
    schedules.DEFAULT: "TxDefaultProfile",
    schedules.TRANSACTION: "TxProfile",
}
PURPOSE_201 = PURPOSE_16 | {schedules.STATION_MAX: "ChargingStationMaxProfile"}
PURPOSE_21 = PURPOSE_201 | {
    schedules.PRIORITY: "PriorityCharging",
    schedules.LOCAL_GENERATION: "LocalGeneration",
}
PURPOSE_TOLD = {word: neutral for neutral, word in (PURPOSE_16 | PURPOSE_21).items()} | {
    "ChargePointMaxProfile": schedules.STATION_MAX,
    "ChargingStationExternalConstraints": schedules.EXTERNAL,
}
KIND = {
    schedules.ABSOLUTE: "Absolute",
    schedules.RECURRING: "Recurring",
    schedules.RELATIVE: "Relative",
    schedules.DYNAMIC: "Dynamic",
}
KIND_TOLD = {word: neutral for neutral, word in KIND.items()}
RECURRENCY = {"daily": "Daily", "weekly": "Weekly"}
SOURCE = {
    "CSO": "operator",
    "EMS": "energy_management",
    "SO": "grid_operator",
}
MODE = {
    "idle": "Idle",
    "charging_only": "ChargingOnly",
    "central_setpoint": "CentralSetpoint",
    "external_setpoint": "ExternalSetpoint",
    "external_limits": "ExternalLimits",
    "central_frequency": "CentralFrequency",
    "local_frequency": "LocalFrequency",
    "local_load_balancing": "LocalLoadBalancing",
}
MODE_TOLD = {word: neutral for neutral, word in MODE.items()}
# Members of 2.1's period and of its updates: neutral name -> wire name.
VALUES_21 = {
    "limit_l2": "limit_L2",
    "limit_l3": "limit_L3",
    "discharge_limit_l2": "dischargeLimit_L2",
    "discharge_limit_l3": "dischargeLimit_L3",
    "setpoint_l2": "setpoint_L2",
    "setpoint_l3": "setpoint_L3",
    "setpoint_reactive": "setpointReactive",
    "setpoint_reactive_l2": "setpointReactive_L2",
    "setpoint_reactive_l3": "setpointReactive_L3",
}
MORE_21 = VALUES_21 | {
    "preconditioning": "preconditioningRequest",
    "evse_sleep": "evseSleep",
    "baseline_w": "v2xBaseline",
}
UPDATES_21 = {"limit": "limit", "discharge_limit": "dischargeLimit", "setpoint": "setpoint"} | VALUES_21


# --- what commands carry ---


def read_arguments(told: Any, command_id: int) -> Profile:
    """The profile of a command's arguments; without a number it gets that of the command. Invalid where it is none."""
    if not isinstance(told, Mapping):
        raise Invalid(fields={"profile": "This command needs `profile`."})
    try:
        profile = schedules.read(told)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Invalid(fields={"profile": f"This is no charging profile ({error})."}) from error
    return profile if profile.number else replace(profile, number=schedules.number_of(command_id))


# --- out ---


def tenth(value: float | None) -> float | int | None:
    """One decimal at most (1.6 7.14, 2.x 2.14); whole numbers without."""
    if value is None:
        return None
    if not math.isfinite(value):
        raise Invalid(fields={"limit": "A limit must be a number."})
    rounded = round(value, 1)
    return int(rounded) if rounded == int(rounded) else rounded


def _common(profile: Profile, purposes: Mapping[str, str]) -> Payload:
    if profile.purpose not in purposes:
        raise Invalid(fields={"purpose": f"A profile of this purpose is not sent: {profile.purpose}."})
    if profile.kind not in KIND:
        raise Invalid(fields={"kind": f"There is no kind of profile {profile.kind}."})
    if not profile.periods:
        raise Invalid(fields={"periods": "A profile needs a period at least."})
    return optional(
        stackLevel=profile.stack_level,
        chargingProfilePurpose=purposes[profile.purpose],
        chargingProfileKind=KIND[profile.kind],
        recurrencyKind=RECURRENCY.get(profile.recurrency) if profile.kind == schedules.RECURRING else None,
        validFrom=profile.valid_from and wire.stamp(profile.valid_from),
        validTo=profile.valid_to and wire.stamp(profile.valid_to),
    )


def _schedule(profile: Profile) -> Payload:
    return optional(
        duration=profile.duration_s,
        startSchedule=profile.starts_at and wire.stamp(profile.starts_at),
        chargingRateUnit=profile.unit,
        minChargingRate=tenth(profile.min_rate),
    )


def say_16(profile: Profile, *, remote_start: bool = False) -> Payload:
    """ChargingProfile. In a remote start there is no transaction to name yet (5.11)."""
    if profile.kind == schedules.DYNAMIC:
        raise Invalid(fields={"kind": "Dynamic limits need OCPP 2.1."})
    text = profile.transaction_id
    if text and not text.isdecimal():
        raise Invalid(fields={"transaction_id": "OCPP 1.6 knows transactions by a whole number."})
    periods = [
        optional(startPeriod=period.start_s, limit=tenth(_needed(period)), numberPhases=period.phases)
        for period in profile.periods
    ]
    return (
        {"chargingProfileId": profile.number}
        | ({"transactionId": int(text)} if text and not remote_start else {})
        | _common(profile, PURPOSE_16)
        | {"chargingSchedule": _schedule(profile) | {"chargingSchedulePeriod": periods}}
    )


def _needed(period: Period) -> float:
    if period.limit is None:
        raise Invalid(fields={"periods": "Each period needs a limit."})
    return period.limit


def say_201(profile: Profile, *, remote_start: bool = False) -> Payload:
    """ChargingProfileType. In a remote start there is no transaction to name yet (F01.FR.11)."""
    if profile.kind == schedules.DYNAMIC:
        raise Invalid(fields={"kind": "Dynamic limits need OCPP 2.1."})
    periods = [
        optional(
            startPeriod=period.start_s,
            limit=tenth(_needed(period)),
            numberPhases=period.phases,
            phaseToUse=period.phase_to_use,
        )
        for period in profile.periods
    ]
    return _say_2x(profile, PURPOSE_201, periods, remote_start)


def say_21(profile: Profile, *, remote_start: bool = False) -> Payload:
    """ChargingProfileType of 2.1, which also knows discharge, setpoints, frequency and dynamic profiles."""
    periods = [_period_21(period) for period in profile.periods]
    told = _say_2x(profile, PURPOSE_21, periods, remote_start)
    more = profile.more
    told |= optional(
        dynUpdateInterval=more.get("dyn_update_interval_s"),
        dynUpdateTime=more.get("dyn_update_time"),
        maxOfflineDuration=more.get("max_offline_s"),
        invalidAfterOfflineDuration=more.get("invalid_after_offline"),
    )
    schedule = told["chargingSchedule"][0]
    schedule |= optional(
        useLocalTime=more.get("local_time"),
        randomizedDelay=more.get("randomized_delay_s"),
        powerTolerance=more.get("power_tolerance_w"),
        limitAtSoC=more.get("limit_at_soc"),
    )
    return told


def _period_21(period: Period) -> Payload:
    more = period.more
    if period.mode and period.mode not in MODE:
        raise Invalid(fields={"mode": f"There is no operation mode {period.mode}."})
    told = optional(
        startPeriod=period.start_s,
        limit=tenth(period.limit),
        numberPhases=period.phases,
        phaseToUse=period.phase_to_use,
        dischargeLimit=tenth(period.discharge_limit),
        setpoint=tenth(period.setpoint),
        operationMode=MODE.get(period.mode),
        v2xFreqWattCurve=[{"frequency": x, "power": y} for x, y in more.get("freq_watt", ())] or None,
        v2xSignalWattCurve=[{"signal": int(x), "power": y} for x, y in more.get("signal_watt", ())] or None,
    )
    return told | {wire_name: more[name] for name, wire_name in MORE_21.items() if more.get(name) is not None}


def _say_2x(
    profile: Profile, purposes: Mapping[str, str], periods: list[Payload], remote_start: bool
) -> Payload:
    return (
        {"id": profile.number}
        | _common(profile, purposes)
        | optional(transactionId=None if remote_start else profile.transaction_id)
        | {
            "chargingSchedule": [
                {"id": profile.number} | _schedule(profile) | {"chargingSchedulePeriod": periods}
            ]
        }
    )


def of_start(arguments: Payload, command_id: int, say: Callable[..., Payload]) -> Payload | None:
    """The profile that goes with a remote start: for the transaction that it begins (1.6 5.11, 2.x K05)."""
    if not arguments.get("charging_profile"):
        return None
    profile = read_arguments(arguments["charging_profile"], command_id)
    if profile.purpose != schedules.TRANSACTION:
        raise Invalid(fields={"charging_profile": "A start takes a profile for its own session alone."})
    return say(profile, remote_start=True)


# --- in ---


def told_2x(told: Payload, evse: int) -> Profile | None:
    """A profile as a station reports it; None for what cannot be kept (no schedule, no purpose known)."""
    schedule = (told.get("chargingSchedule") or [None])[0]
    purpose = PURPOSE_TOLD.get(told.get("chargingProfilePurpose", ""))
    if schedule is None or purpose is None:
        return None
    return Profile(
        evse=evse,
        purpose=purpose,
        kind=KIND_TOLD.get(told.get("chargingProfileKind", ""), schedules.ABSOLUTE),
        unit=schedule.get("chargingRateUnit", "A"),
        number=told["id"],
        stack_level=told.get("stackLevel", 0),
        recurrency=str(told.get("recurrencyKind", "")).lower()[:6],
        starts_at=moment(schedule.get("startSchedule")),
        duration_s=schedule.get("duration"),
        valid_from=moment(told.get("validFrom")),
        valid_to=moment(told.get("validTo")),
        transaction_id=told.get("transactionId", ""),
        min_rate=schedule.get("minChargingRate"),
        periods=periods_told(schedule),
        more=optional(
            dyn_update_interval_s=told.get("dynUpdateInterval"),
            local_time=schedule.get("useLocalTime"),
        ),
    )


def limit_told(schedule: Payload, evse: int) -> Profile:
    """A schedule without profile: of a limit from outside."""
    return Profile(
        evse=evse,
        purpose=schedules.EXTERNAL,
        kind=schedules.ABSOLUTE,
        unit=schedule.get("chargingRateUnit", "A"),
        starts_at=moment(schedule.get("startSchedule")),
        duration_s=schedule.get("duration"),
        periods=periods_told(schedule),
    )


def periods_told(schedule: Payload) -> tuple[Period, ...]:
    told = schedule.get("chargingSchedulePeriod") or ()
    found = [
        Period(
            start_s=period.get("startPeriod", 0),
            limit=finite(period.get("limit")),
            phases=period.get("numberPhases") or None,
            phase_to_use=period.get("phaseToUse"),
            discharge_limit=finite(period.get("dischargeLimit")),
            setpoint=finite(period.get("setpoint")),
            mode=MODE_TOLD.get(period.get("operationMode", ""), ""),
            more={
                name: period[wire_name]
                for name, wire_name in MORE_21.items()
                if period.get(wire_name) is not None
            },
        )
        for period in told[:MOST_PERIODS]
        if isinstance(period, dict)
    ]
    return tuple(sorted(found, key=lambda period: period.start_s))


def finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e12 else None


def moment(text: Any) -> datetime | None:
    """A time as told; None where it is unreadable or absurd."""
    try:
        at = datetime.fromisoformat(str(text).strip()) if text else None
        told = None if at is None else (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return told if told is not None and 2000 <= told.year < 2100 else None


def reason(response: Payload) -> str:
    """Why a station of 2.x refused (StatusInfoType), as it said it."""
    info = response.get("statusInfo") or {}
    return ": ".join(str(part) for part in (info.get("reasonCode"), info.get("additionalInfo")) if part)[:200]
