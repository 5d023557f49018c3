"""Block K of 2.1: dynamic schedules (K28), priority charging (K21, K22), ways of transfer; block Q: signals.

K18 to K20 (needs of ISO 15118-20, scheduled and dynamic control) come by the messages of 2.0.1's K15.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stations.models import CommandKind
from stations.neutral_power import (
    DynamicAnswer,
    DynamicAsked,
    NeedsAnswer,
    PriorityTold,
    TransfersAllowed,
)
from stations.ocpp import profiles, shared, wire
from stations.ocpp.profiles import tenth
from stations.ocpp.v201 import smart
from stations.ocpp.v201.smart import needs_told
from stations.ocpp.version import Answered, Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import wanted
from stations.services import dynamic, needs
from tenants.errors import Invalid


def _say_set(arguments: Payload, command_id: int) -> Payload:
    profile = profiles.read_arguments(arguments.get("profile"), command_id)
    return {"evseId": profile.evse, "chargingProfile": profiles.say_21(profile)}


def update_21(values: Any) -> Payload:
    """ChargingScheduleUpdateType of neutral values."""
    if not isinstance(values, dict) or not values or not values.keys() <= profiles.UPDATES_21.keys():
        raise Invalid(fields={"values": f"Give some of {', '.join(profiles.UPDATES_21)}."})
    return {profiles.UPDATES_21[name]: tenth(float(value)) for name, value in values.items()}


def _say_update(arguments: Payload, command_id: int) -> Payload:
    return {
        "chargingProfileId": wanted(arguments, "number", int),
        "scheduleUpdate": update_21(arguments.get("values")),
    }


def _say_priority(arguments: Payload, command_id: int) -> Payload:
    return {
        "transactionId": wanted(arguments, "transaction_id", str),
        "activate": wanted(arguments, "active", bool),
    }


def _switched(answered: Answered) -> list[PriorityTold]:
    if not answered.accepted:
        return []
    told = answered.request
    return [
        PriorityTold(
            answered.station_id, answered.received_at, told["transactionId"], told["activate"], by="command"
        )
    ]


def _say_allow(arguments: Payload, command_id: int) -> Payload:
    return {
        "transactionId": wanted(arguments, "transaction_id", str),
        "allowedEnergyTransfer": wanted(arguments, "transfers", list),
    }


def _allowed(answered: Answered) -> list[TransfersAllowed]:
    if not answered.accepted:
        return []
    told = answered.request
    return [
        TransfersAllowed(
            answered.station_id,
            answered.received_at,
            told["transactionId"],
            tuple(told["allowedEnergyTransfer"]),
        )
    ]


def _say_signal(arguments: Payload, command_id: int) -> Payload:
    """AFRRSignal: the timestamp is the signal's own, ours where none is given."""
    at = profiles.moment(arguments.get("at")) or wire.now()
    return {"timestamp": wire.stamp(at), "signal": wanted(arguments, "signal", int)}


def _priority(asked: Asked) -> list[PriorityTold]:
    told = asked.payload
    return [PriorityTold(asked.station_id, asked.received_at, told["transactionId"], told["activated"])]


def _pulled(answer: DynamicAnswer, asked: Asked) -> Payload:
    if answer.values is None:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "UnknownProfile"}}
    return {"status": "Accepted", "scheduleUpdate": update_21(dict(answer.values))}


_VERDICT = {"accepted": "Accepted", "rejected": "Rejected", "no_profile": "NoChargingProfile"}


def _needed(answer: NeedsAnswer, asked: Asked) -> Payload:
    return {"status": _VERDICT[answer.verdict]}


# An energy manager, wherever it stands, and others who set profiles are heard of by these.
_OTHERS = "K23 K24 K25 K26 K27 K29 Q05 Q06"


def _also(action: str) -> Journal:
    row = smart.ANSWERS[action]
    assert isinstance(row, Journal)
    return replace(row, cases=f"{row.cases} {_OTHERS}")


ANSWERS: dict[str, Journal | Ask] = {
    **{
        name: _also(name)
        for name in ("ClearedChargingLimit", "NotifyChargingLimit", "ReportChargingProfiles")
    },
    "NotifyEVChargingNeeds": Ask(needs.take, needs_told, _needed, cases="K15 K17 K18 K19 K20 Q01 Q02"),
    "NotifyPriorityCharging": Journal(shared.nothing, _priority, cases="K22"),
    "PullDynamicScheduleUpdate": Ask(
        dynamic.fetch,
        lambda asked: DynamicAsked(asked.station_id, asked.received_at, asked.payload["chargingProfileId"]),
        _pulled,
        cases="K28",
    ),
}

SAYS: dict[str, Say] = {
    CommandKind.AFRR_SIGNAL: Say("AFRRSignal", _say_signal, cases="Q07"),
    CommandKind.ALLOW_TRANSFER: Say("NotifyAllowedEnergyTransfer", _say_allow, reports=_allowed, cases="Q02"),
    CommandKind.SET_PROFILE: Say(
        "SetChargingProfile",
        _say_set,
        cases="K01 K02 K03 K04 K06 K07 K16 K17 K18 K19 K20 K28 Q03 Q04 Q05 Q06 Q07 Q08 Q09 Q10 Q11 Q12",
    ),
    CommandKind.UPDATE_DYNAMIC: Say("UpdateDynamicSchedule", _say_update, cases="K28"),
    CommandKind.USE_PRIORITY: Say("UsePriorityCharging", _say_priority, reports=_switched, cases="K21"),
}
