"""Block R: distributed energy resources. Controls are set, read back and cleared (R04); events are told (R05)."""

from __future__ import annotations

from typing import Any

from stations.models import CommandKind, DerType, wire_number
from stations.neutral_power import DerAlarm, DerAnswered, DersTold, DerSwitched, DerTold
from stations.ocpp import profiles, shared, wire
from stations.ocpp.version import Answered, Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted
from tenants.errors import Invalid

KIND = {
    DerType.ENTER_SERVICE: "EnterService",
    DerType.FREQ_DROOP: "FreqDroop",
    DerType.FREQ_WATT: "FreqWatt",
    DerType.FIXED_PF_ABSORB: "FixedPFAbsorb",
    DerType.FIXED_PF_INJECT: "FixedPFInject",
    DerType.FIXED_VAR: "FixedVar",
    DerType.GRADIENTS: "Gradients",
    DerType.HF_MUST_TRIP: "HFMustTrip",
    DerType.HF_MAY_TRIP: "HFMayTrip",
    DerType.HV_MUST_TRIP: "HVMustTrip",
    DerType.HV_MOM_CESS: "HVMomCess",
    DerType.HV_MAY_TRIP: "HVMayTrip",
    DerType.LIMIT_MAX_DISCHARGE: "LimitMaxDischarge",
    DerType.LF_MUST_TRIP: "LFMustTrip",
    DerType.LV_MUST_TRIP: "LVMustTrip",
    DerType.LV_MOM_CESS: "LVMomCess",
    DerType.LV_MAY_TRIP: "LVMayTrip",
    DerType.POWER_MONITORING_MUST_TRIP: "PowerMonitoringMustTrip",
    DerType.VOLT_VAR: "VoltVar",
    DerType.VOLT_WATT: "VoltWatt",
    DerType.WATT_PF: "WattPF",
    DerType.WATT_VAR: "WattVar",
}
KIND_TOLD = {word: kind for kind, word in KIND.items()}
UNIT = {
    "none": "Not_Applicable",
    "pct_max_w": "PctMaxW",
    "pct_max_var": "PctMaxVar",
    "pct_w_available": "PctWAvail",
    "pct_var_available": "PctVarAvail",
    "pct_effective_v": "PctEffectiveV",
}
UNIT_TOLD = {word: unit for unit, word in UNIT.items()}
# Of those that are no curve: the member that holds them, and {neutral name: (wire name, must it be there)}.
PLAIN: dict[str, tuple[str, dict[str, tuple[str, bool]]]] = {
    DerType.ENTER_SERVICE: (
        "enterService",
        {
            "high_voltage": ("highVoltage", True),
            "low_voltage": ("lowVoltage", True),
            "high_freq": ("highFreq", True),
            "low_freq": ("lowFreq", True),
            "delay_s": ("delay", False),
            "random_delay_s": ("randomDelay", False),
            "ramp_rate": ("rampRate", False),
        },
    ),
    DerType.FIXED_PF_ABSORB: (
        "fixedPFAbsorb",
        {"displacement": ("displacement", True), "excitation": ("excitation", True)},
    ),
    DerType.FIXED_PF_INJECT: (
        "fixedPFInject",
        {"displacement": ("displacement", True), "excitation": ("excitation", True)},
    ),
    DerType.FIXED_VAR: ("fixedVar", {"setpoint": ("setpoint", True), "unit": ("unit", True)}),
    DerType.FREQ_DROOP: (
        "freqDroop",
        {
            "over_freq": ("overFreq", True),
            "under_freq": ("underFreq", True),
            "over_droop": ("overDroop", True),
            "under_droop": ("underDroop", True),
            "response_time_s": ("responseTime", True),
        },
    ),
    DerType.GRADIENTS: (
        "gradient",
        {"gradient": ("gradient", True), "soft_gradient": ("softGradient", True)},
    ),
    DerType.LIMIT_MAX_DISCHARGE: (
        "limitMaxDischarge",
        {"percent": ("pctMaxDischargePower", False)},
    ),
}
UNTIMED = (DerType.ENTER_SERVICE, DerType.GRADIENTS)  # they know no start and no duration
_HYSTERESIS = {
    "high": "hysteresisHigh",
    "low": "hysteresisLow",
    "delay_s": "hysteresisDelay",
    "gradient": "hysteresisGradient",
}
_REACTIVE = {
    "v_ref": "vRef",
    "autonomous": "autonomousVRefEnable",
    "autonomous_s": "autonomousVRefTimeConstant",
}
_VOLTAGE = {
    "mean_10_min": "hv10MinMeanValue",
    "mean_10_min_delay_s": "hv10MinMeanTripDelay",
    "cessation": "powerDuringCessation",
}
_PART = {"hysteresis": _HYSTERESIS, "reactive": _REACTIVE, "voltage": _VOLTAGE}
_PART_WIRE = {
    "hysteresis": "hysteresis",
    "reactive": "reactivePowerParams",
    "voltage": "voltageParams",
}
GETS = {  # in ReportDERControl: list -> member of its entries
    "curve": "curve",
    "enterService": "enterService",
    "fixedPFAbsorb": "fixedPF",
    "fixedPFInject": "fixedPF",
    "fixedVar": "fixedVar",
    "freqDroop": "freqDroop",
    "gradient": "gradient",
    "limitMaxDischarge": "limitMaxDischarge",
}
_OF_MEMBER = {member: kind for kind, (member, _names) in PLAIN.items()}


def control_id(command_id: int) -> str:
    return f"VY{command_id}"


def _curve(settings: Payload, head: Payload) -> Payload:
    points = settings.get("points")
    if not isinstance(points, list) or not 1 <= len(points) <= 10:
        raise Invalid(fields={"points": "A curve has 1 to 10 points."})
    parts = {
        _PART_WIRE[part]: {
            names[name]: value
            for name, value in settings[part].items()
            if name in names and value is not None
        }
        for part, names in _PART.items()
        if settings.get(part)
    }
    return (
        head
        | {
            "curveData": [{"x": float(x), "y": float(y)} for x, y in points],
            "yUnit": UNIT.get(settings.get("y_unit") or "none", "Not_Applicable"),
        }
        | optional(responseTime=settings.get("response_time_s"))
        | parts
    )


def _say_set(arguments: Payload, command_id: int) -> Payload:
    kind = arguments.get("type")
    settings = arguments.get("settings")
    if kind not in KIND or not isinstance(settings, dict):
        raise Invalid(fields={"type": "This command needs `type` and `settings`."})
    is_default = bool(arguments.get("is_default", True))
    start = profiles.moment(arguments.get("starts_at"))
    head: Payload = {"priority": int(arguments.get("priority") or 0)}
    if not is_default and kind not in UNTIMED:
        head |= optional(startTime=start and wire.stamp(start), duration=arguments.get("duration_s"))
    told = {
        "isDefault": is_default,
        "controlId": str(arguments.get("control_id") or control_id(command_id))[:36],
        "controlType": KIND[DerType(kind)],
    }
    if kind not in PLAIN:
        return told | {"curve": _curve(settings, head)}
    member, names = PLAIN[kind]
    missing = [name for name, (_wire, needed) in names.items() if needed and settings.get(name) is None]
    if missing:
        raise Invalid(fields={missing[0]: f"This control needs {', '.join(missing)}."})
    body = {
        wire_name: settings[name]
        for name, (wire_name, _needed) in names.items()
        if settings.get(name) is not None
    }
    if kind == DerType.FIXED_VAR:
        body["unit"] = UNIT.get(settings["unit"], settings["unit"])
    if kind == DerType.LIMIT_MAX_DISCHARGE and settings.get("must_trip"):
        body["powerMonitoringMustTrip"] = _curve(settings["must_trip"], {"priority": head["priority"]})
    return told | {member: head | body}


def _answered(answered: Answered) -> list[DerAnswered]:
    return [
        DerAnswered(
            station_id=answered.station_id,
            command_id=answered.command_id,
            accepted=answered.accepted,
            reason=profiles.reason(answered.response),
            superseded=tuple(answered.response.get("supersededIds") or ())[:24],
            received_at=answered.received_at,
        )
    ]


def _criteria(arguments: Payload) -> Payload:
    kind = arguments.get("type")
    if kind and kind not in KIND:
        raise Invalid(fields={"type": f"There is no control {kind}."})
    return optional(controlType=KIND[DerType(kind)] if kind else None, controlId=arguments.get("control_id"))


def _say_read(arguments: Payload, command_id: int) -> Payload:
    return (
        optional(isDefault=arguments.get("is_default"))
        | _criteria(arguments)
        | {"requestId": wire_number(command_id)}
    )


def _say_clear(arguments: Payload, command_id: int) -> Payload:
    return {"isDefault": wanted(arguments, "is_default", bool)} | _criteria(arguments)


# --- in ---


def _settings(kind: str, told: Payload) -> Payload:
    """The wire's shape in neutral words."""
    if kind not in PLAIN:
        found: Payload = {
            "points": [[point["x"], point["y"]] for point in told.get("curveData", ())][:10],
            "y_unit": UNIT_TOLD.get(told.get("yUnit", ""), "none"),
        } | optional(response_time_s=told.get("responseTime"))
        for part, names in _PART.items():
            if inner := told.get(_PART_WIRE[part]):
                found[part] = {
                    name: inner[wire_name] for name, wire_name in names.items() if wire_name in inner
                }
        return found
    _member, plain = PLAIN[kind]
    found = {name: told[wire_name] for name, (wire_name, _needed) in plain.items() if wire_name in told}
    if kind == DerType.FIXED_VAR:
        found["unit"] = UNIT_TOLD.get(found.get("unit", ""), "none")
    if told.get("powerMonitoringMustTrip"):
        found["must_trip"] = _settings(DerType.POWER_MONITORING_MUST_TRIP, told["powerMonitoringMustTrip"])
    return found


def _report(asked: Asked) -> list[DersTold]:
    told = asked.payload
    found = []
    for member, inner in GETS.items():
        for entry in (told.get(member) or ())[:24]:
            kind = KIND_TOLD.get(entry.get("curveType", "")) if member == "curve" else _OF_MEMBER[member]
            if kind is None:
                continue
            body = entry[inner]
            found.append(
                DerTold(
                    control_id=entry["id"],
                    kind=str(kind),
                    is_default=bool(entry.get("isDefault", True)),
                    superseded=bool(entry.get("isSuperseded", False)),
                    priority=body.get("priority", 0),
                    settings=_settings(kind, body),
                    starts_at=profiles.moment(body.get("startTime")),
                    duration_s=profiles.finite(body.get("duration")),
                )
            )
    return [
        DersTold(
            asked.station_id,
            asked.received_at,
            wire.whole(told["requestId"]),
            tuple(found),
            bool(told.get("tbc", False)),
        )
    ]


def _switched(asked: Asked) -> list[DerSwitched]:
    told = asked.payload
    return [
        DerSwitched(
            station_id=asked.station_id,
            received_at=asked.received_at,
            control_id=told["controlId"],
            started=told["started"],
            raw_timestamp=told["timestamp"],
            superseded=tuple(told.get("supersededIds") or ())[:24],
        )
    ]


def _alarm(asked: Asked) -> list[DerAlarm]:
    told = asked.payload
    return [
        DerAlarm(
            station_id=asked.station_id,
            received_at=asked.received_at,
            kind=str(KIND_TOLD.get(told["controlType"], "")),
            fault=_snake(told.get("gridEventFault", "")),
            over=bool(told.get("alarmEnded", False)),
            raw_timestamp=told["timestamp"],
            text=told.get("extraInfo", "")[:200],
        )
    ]


def _snake(word: Any) -> str:
    """OverVoltage -> over_voltage."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in str(word)).lstrip("_")[
        :24
    ]


ANSWERS: dict[str, Journal | Ask] = {
    "NotifyDERAlarm": Journal(shared.nothing, _alarm, cases="R05"),
    "NotifyDERStartStop": Journal(shared.nothing, _switched, cases="R04"),
    "ReportDERControl": Journal(shared.nothing, _report, cases="R04"),
}

SAYS: dict[str, Say] = {
    CommandKind.CLEAR_DER: Say("ClearDERControl", _say_clear, cases="R04"),
    CommandKind.READ_DER: Say("GetDERControl", _say_read, cases="R04"),
    CommandKind.SET_DER: Say("SetDERControl", _say_set, reports=_answered, cases="R01 R02 R03 R04"),
}
