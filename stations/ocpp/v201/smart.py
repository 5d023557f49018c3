"""Block K: charging profiles, limits from outside, what cars need."""

from __future__ import annotations

from stations.models import CommandKind, wire_number
from stations.neutral_power import (
    CompositeAnswered,
    LimitTold,
    NeedsAnswer,
    NeedsTold,
    PlanAnswer,
    PlanTold,
    ProfilesTold,
)
from stations.ocpp import profiles, shared, wire
from stations.ocpp.profiles import finite
from stations.ocpp.version import Answered, Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional
from stations.services import needs
from tenants.errors import Invalid

MOST_TOLD = 200  # profiles and schedules of one message: no station holds more


def say_set(arguments: Payload, command_id: int) -> Payload:
    profile = profiles.read_arguments(arguments.get("profile"), command_id)
    return {"evseId": profile.evse, "chargingProfile": profiles.say_201(profile)}


def _purpose(arguments: Payload) -> str | None:
    purpose = arguments.get("purpose")
    if purpose and purpose not in profiles.PURPOSE_21:
        raise Invalid(
            fields={"purpose": f"Profiles of this purpose are not ours to clear or read: {purpose}."}
        )
    return profiles.PURPOSE_21[purpose] if purpose else None


def _say_clear(arguments: Payload, command_id: int) -> Payload:
    """K10: an id alone, or what all of those share that go; with neither all go."""
    if arguments.get("number") is not None:
        return {"chargingProfileId": arguments["number"]}
    criteria = optional(
        evseId=arguments.get("evse"),
        chargingProfilePurpose=_purpose(arguments),
        stackLevel=arguments.get("stack_level"),
    )
    return {"chargingProfileCriteria": criteria}


_SOURCE_WORD = {neutral: word for word, neutral in profiles.SOURCE.items()}


def _say_read(arguments: Payload, command_id: int) -> Payload:
    """By number, or by what profiles share: purpose, stack level, who set them.

    `sources`: operator, energy_management, grid_operator; other words go out as they are.
    """
    sources = arguments.get("sources") or ()
    criterion = optional(
        chargingProfilePurpose=_purpose(arguments),
        stackLevel=arguments.get("stack_level"),
        chargingLimitSource=[_SOURCE_WORD.get(source, str(source)) for source in sources] or None,
    )
    if arguments.get("number") is not None:
        criterion = {"chargingProfileId": [arguments["number"]]}
    return optional(requestId=wire_number(command_id), evseId=arguments.get("evse")) | {
        "chargingProfile": criterion
    }


def _say_composite(arguments: Payload, command_id: int) -> Payload:
    return {
        "duration": arguments.get("duration_s") or 86_400,
        "evseId": arguments.get("evse") or 0,
    } | optional(chargingRateUnit=arguments.get("unit"))


def _composite(answered: Answered) -> list[CompositeAnswered]:
    schedule = answered.response.get("schedule")
    if not answered.accepted or not schedule:
        return []
    return [
        CompositeAnswered(
            station_id=answered.station_id,
            evse=schedule.get("evseId", answered.request["evseId"]),
            unit=schedule.get("chargingRateUnit", "A"),
            starts_at=profiles.moment(schedule.get("scheduleStart")) or answered.received_at,
            duration_s=schedule.get("duration") or answered.request["duration"],
            periods=profiles.periods_told(schedule),
            received_at=answered.received_at,
        )
    ]


def _told(asked: Asked) -> list[ProfilesTold]:
    told = asked.payload
    found = [profiles.told_2x(entry, told["evseId"]) for entry in told["chargingProfile"][:MOST_TOLD]]
    return [
        ProfilesTold(
            station_id=asked.station_id,
            received_at=asked.received_at,
            request=wire.whole(told["requestId"]),
            evse=told["evseId"],
            source=profiles.SOURCE.get(told["chargingLimitSource"], "other"),
            profiles=tuple(profile for profile in found if profile is not None),
            more=bool(told.get("tbc", False)),
        )
    ]


def _limit(asked: Asked) -> list[LimitTold]:
    told = asked.payload
    limit, evse = told["chargingLimit"], told.get("evseId")
    return [
        LimitTold(
            station_id=asked.station_id,
            received_at=asked.received_at,
            source=profiles.SOURCE.get(limit["chargingLimitSource"], "other"),
            evse=evse,
            schedules=tuple(
                profiles.limit_told(schedule, evse or 0)
                for schedule in (told.get("chargingSchedule") or ())[:MOST_TOLD]
            ),
            grid_critical=bool(limit.get("isGridCritical", False)),
            local_generation=bool(limit.get("isLocalGeneration", False)),
        )
    ]


def _cleared(asked: Asked) -> list[LimitTold]:
    told = asked.payload
    source = profiles.SOURCE.get(told["chargingLimitSource"], "other")
    return [LimitTold(asked.station_id, asked.received_at, source, told.get("evseId"), cleared=True)]


def needs_told(asked: Asked) -> NeedsTold:
    """NotifyEVChargingNeeds. AC and DC parameters of 15118-2, v2x ones of 15118-20 (2.1), whichever there are."""
    told, wish = asked.payload, asked.payload["chargingNeeds"]
    ac, dc = wish.get("acChargingParameters") or {}, wish.get("dcChargingParameters") or {}
    v2x = wish.get("v2xChargingParameters") or {}
    volts, amps = finite(ac.get("evMaxVoltage")), finite(ac.get("evMaxCurrent"))
    phases = {"AC_single_phase": 1, "AC_two_phase": 2}.get(wish["requestedEnergyTransfer"], 3)
    power = finite(v2x.get("maxChargePower")) or finite(dc.get("evMaxPower"))
    if power is None and volts and amps:
        # 15118-2 EVMaxVoltage is between phase and neutral; some cars tell the voltage between phases
        power = amps * (volts / 3**0.5 if volts > 300 else volts) * phases
    return NeedsTold(
        station_id=asked.station_id,
        received_at=asked.received_at,
        evse=told["evseId"],
        raw_timestamp=told.get("timestamp", ""),
        energy_wh=finite(v2x.get("evTargetEnergyRequest"))
        or finite(ac.get("energyAmount"))
        or finite(dc.get("energyAmount")),
        raw_departure=wish.get("departureTime", ""),
        soc_percent=finite(dc.get("stateOfCharge")),
        target_soc_percent=finite(v2x.get("targetSoC")) or finite(dc.get("fullSoC")),
        max_power_w=power,
        max_current_a=amps or finite(dc.get("evMaxCurrent")) or finite(v2x.get("maxChargeCurrent")),
        transfer=str(wish["requestedEnergyTransfer"])[:20],
        transfers=tuple(wish.get("availableEnergyTransfer") or ())[:20],
        bidirectional={name: value for name, value in v2x.items() if finite(value) is not None},
        most_periods=told.get("maxScheduleTuples"),
        payload=wish,
    )


_VERDICT = {"accepted": "Accepted", "rejected": "Rejected", "no_profile": "Rejected"}


def _plan(asked: Asked) -> PlanTold:
    told, schedule = asked.payload, asked.payload["chargingSchedule"]
    return PlanTold(
        station_id=asked.station_id,
        received_at=asked.received_at,
        evse=told["evseId"],
        starts_at=profiles.moment(told["timeBase"]) or asked.received_at,
        unit=schedule.get("chargingRateUnit", "W"),
        periods=profiles.periods_told(schedule),
        duration_s=schedule.get("duration"),
        tolerated=told.get("powerToleranceAcceptance"),
    )


def _planned(answer: PlanAnswer, asked: Asked) -> Payload:
    return {"status": "Accepted" if answer.accepted else "Rejected"}


def _needed(answer: NeedsAnswer, asked: Asked) -> Payload:
    return {"status": _VERDICT[answer.verdict]}


ANSWERS: dict[str, Journal | Ask] = {
    "ClearedChargingLimit": Journal(shared.nothing, _cleared, cases="K13"),
    "NotifyChargingLimit": Journal(shared.nothing, _limit, cases="K11 K12 K14"),
    "NotifyEVChargingNeeds": Ask(needs.take, needs_told, _needed, cases="K15 K17"),
    "NotifyEVChargingSchedule": Ask(needs.take_plan, _plan, _planned, cases="K15 K16 K17"),
    "ReportChargingProfiles": Journal(shared.nothing, _told, cases="K09"),
}

SAYS: dict[str, Say] = {
    CommandKind.CLEAR_PROFILE: Say("ClearChargingProfile", _say_clear, cases="K10"),
    CommandKind.READ_COMPOSITE: Say("GetCompositeSchedule", _say_composite, reports=_composite, cases="K08"),
    CommandKind.READ_PROFILES: Say("GetChargingProfiles", _say_read, cases="K09"),
    CommandKind.SET_PROFILE: Say("SetChargingProfile", say_set, cases="K01 K02 K03 K04 K06 K07 K16 K17"),
}
