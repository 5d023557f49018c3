"""Block I of 2.1: tariffs on the station (I07 to I12), and what the station reckons with them.

Our price lists have OCPI's shape (2.2.1 mod_tariffs). They are said exactly, or refused with the reason: steps of
billing have no word in OCPP 2.1, and its prices are per minute, without tax, with six digits more than money has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from stations.models import CommandKind
from stations.neutral import CostReckoned, SessionLimit, TariffAssigned, TariffsTold
from stations.ocpp import wire
from stations.ocpp.v201.cost import plain
from stations.ocpp.version import Answered, Payload, Say
from stations.ocpp.wire import optional, wanted
from tenants.errors import Invalid

_DIGITS = Decimal("0.0000000001")
_DAYS = {
    "MONDAY": "Monday",
    "TUESDAY": "Tuesday",
    "WEDNESDAY": "Wednesday",
    "THURSDAY": "Thursday",
    "FRIDAY": "Friday",
    "SATURDAY": "Saturday",
    "SUNDAY": "Sunday",
}
# OCPI's restriction -> (OCPP's condition, factor)
_CONDITIONS: dict[str, tuple[str, int]] = {
    "start_time": ("startTimeOfDay", 0),
    "end_time": ("endTimeOfDay", 0),
    "start_date": ("validFromDate", 0),
    "end_date": ("validToDate", 0),
    "min_kwh": ("minEnergy", 1000),
    "max_kwh": ("maxEnergy", 1000),
    "min_current": ("minCurrent", 1),
    "max_current": ("maxCurrent", 1),
    "min_power": ("minPower", 1000),
    "max_power": ("maxPower", 1000),
    "min_duration": ("minTime", 1),
    "max_duration": ("maxTime", 1),
}
_FIXED_ONLY = {"startTimeOfDay", "endTimeOfDay", "dayOfWeek", "validFromDate", "validToDate"}
# OCPI's component -> (part of the tariff, its list's price, divisor of ours)
_PARTS = {
    "ENERGY": ("energy", "priceKwh", 1),
    "TIME": ("chargingTime", "priceMinute", 60),
    "PARKING_TIME": ("idleTime", "priceMinute", 60),
    "FLAT": ("fixedFee", "priceFixed", 1),
}
_RESERVED = {
    "TIME": ("reservationTime", "priceMinute", 60),
    "FLAT": ("reservationFixed", "priceFixed", 1),
}


def wire_id(terms: Mapping[str, Any]) -> str:
    """The name of these very terms: other terms have another one, so that a station never holds an old price."""
    exact = json.dumps(terms, sort_keys=True, default=str).encode()
    return f"T{terms.get('id') or 0}-{hashlib.sha256(exact).hexdigest()[:16]}"


def tariff(terms: Mapping[str, Any]) -> Payload:
    """TariffType (2.1, 2.70). Invalid for what it cannot say."""
    parts: dict[str, Payload] = {}
    for element in terms.get("elements") or ():
        restrictions = element.get("restrictions") or {}
        for component in element["price_components"]:
            _enter(parts, component, restrictions, bool(terms.get("tax_included")))
    said: Payload = {"tariffId": wire_id(terms), "currency": str(terms["currency"]), **parts}
    if terms.get("name"):
        said["description"] = [{"format": "UTF8", "content": str(terms["name"])[:512]}]
    for name, word in (("min_price", "minCost"), ("max_price", "maxCost")):
        if terms.get(name):
            said[word] = _limit(terms[name])
    return said


def _enter(
    parts: dict[str, Payload], component: Mapping[str, Any], restrictions: Any, included: bool
) -> None:
    table = _RESERVED if restrictions.get("reservation") else _PARTS
    if component["type"] not in table:
        raise Invalid(f"OCPP 2.1 has no price for {component['type']} of this kind.")
    step = int(component.get("step_size") or 0)
    if step > 1:
        raise Invalid(f"OCPP 2.1 knows no steps: {component['type']} is billed in steps of {step}.")
    name, word, divisor = table[component["type"]]
    vat = Decimal(str(component["vat"])) if component.get("vat") not in (None, "") else None
    price = Decimal(str(component["price"])) / divisor
    if included and vat:
        price = price / (1 + vat / 100)
    conditions = _conditions(restrictions, fixed=word == "priceFixed")
    rates = [{"type": "VAT", "tax": plain(vat)}] if vat else None
    part = parts.setdefault(name, optional(prices=[], taxRates=rates))
    if part.get("taxRates") != rates:
        raise Invalid("OCPP 2.1 knows one tax for each kind of price; this tariff has several.")
    part["prices"].append(optional(conditions=conditions) | {word: plain(price.quantize(_DIGITS))})


def _conditions(restrictions: Mapping[str, Any], *, fixed: bool) -> Payload | None:
    said: Payload = {}
    for name, value in restrictions.items():
        if value in (None, "", []) or name == "reservation":
            continue
        if name == "day_of_week":
            said["dayOfWeek"] = [_DAYS[str(day).upper()] for day in value]
        elif name in _CONDITIONS:
            word, factor = _CONDITIONS[name]
            said[word] = str(value) if not factor else plain(Decimal(str(value)) * factor)
        else:
            raise Invalid(f"OCPP 2.1 has no condition {name}.")
    if fixed and (beyond := said.keys() - _FIXED_ONLY):
        raise Invalid(f"OCPP 2.1 cannot make a fixed fee depend on {', '.join(sorted(beyond))}.")
    for word in ("minTime", "maxTime"):
        if word in said:
            said[word] = int(said[word])
    return said or None


def _limit(price: Mapping[str, Any]) -> Payload:
    excl, incl = price.get("excl_tax"), price.get("incl_tax")
    return optional(
        exclTax=None if excl is None else plain(Decimal(str(excl))),
        inclTax=None if incl is None else plain(Decimal(str(incl))),
    )


def _say_set(arguments: Payload, command_id: int) -> Payload:
    return {"evseId": arguments.get("evse") or 0, "tariff": tariff(_terms(arguments))}


def _terms(arguments: Payload) -> Mapping[str, Any]:
    terms: Mapping[str, Any] = wanted(arguments, "tariff", dict)
    if not isinstance(terms.get("elements"), list) or not terms.get("currency"):
        raise Invalid(
            fields={"tariff": "Write a tariff with currency and elements, as the tariff's page shows them."}
        )
    return terms


def _say_change(arguments: Payload, command_id: int) -> Payload:
    return {
        "transactionId": str(wanted(arguments, "transaction_id", (str, int))),
        "tariff": tariff(_terms(arguments)),
    }


def _say_clear(arguments: Payload, command_id: int) -> Payload:
    return optional(tariffIds=arguments.get("wire_ids") or None, evseId=arguments.get("evse"))


def _cleared(answer: Payload) -> str:
    words = [entry.get("status", "") for entry in answer.get("clearTariffsResult", ())]
    return next((word for word in words if word not in ("Accepted", "NoTariff")), "Accepted" if words else "")


def _assigned(answered: Answered) -> list[TariffsTold]:
    told = tuple(
        TariffAssigned(
            wire_id=entry["tariffId"],
            kind="driver" if entry.get("tariffKind") == "DriverTariff" else "default",
            evses=tuple(entry.get("evseIds", ())[:1000]),
            tokens=len(entry.get("idTokens", ())),
            valid_from=entry.get("validFrom", ""),
        )
        for entry in answered.response.get("tariffAssignments", ())
    )
    if answered.response.get("status") not in ("Accepted", "NoTariff"):
        return []
    evse = int(answered.request.get("evseId", 0))
    return [TariffsTold(answered.station_id, answered.received_at, evse, told)]


def reckoned(told: Payload | None) -> CostReckoned | None:
    """CostDetailsType (I12)."""
    if not told:
        return None
    total = told["totalCost"]
    price = total.get("total") or {}
    return CostReckoned(
        total_incl=wire.number(price["inclTax"]) if "inclTax" in price else None,
        total_excl=wire.number(price["exclTax"]) if "exclTax" in price else None,
        currency=total.get("currency", ""),
        details={name: value for name, value in told.items() if name != "chargingPeriods"},
        failure=(told.get("failureReason") or "not told") if told.get("failureToCalculate") else "",
    )


def limit(told: Payload | None) -> SessionLimit | None:
    """TransactionLimitType (E16)."""
    if not told:
        return None
    return SessionLimit(
        cost=wire.number(told["maxCost"]) if "maxCost" in told else None,
        energy_wh=wire.number(told["maxEnergy"]) if "maxEnergy" in told else None,
        seconds=told.get("maxTime"),
        soc_percent=told.get("maxSoC"),
    )


def say_limit(bound: SessionLimit) -> Payload:
    return optional(
        maxCost=None if bound.cost is None else plain(bound.cost),
        maxEnergy=None if bound.energy_wh is None else plain(bound.energy_wh),
        maxTime=bound.seconds,
        maxSoC=bound.soc_percent,
    )


SAYS: dict[str, Say] = {
    CommandKind.SET_TARIFF: Say("SetDefaultTariff", _say_set, cases="I07"),
    CommandKind.READ_TARIFFS: Say(
        "GetTariffs",
        lambda arguments, command_id: {"evseId": arguments.get("evse") or 0},
        frozenset({"Accepted", "NoTariff"}),
        reports=_assigned,
        cases="I09",
    ),
    CommandKind.CLEAR_TARIFFS: Say("ClearTariffs", _say_clear, status=_cleared, cases="I10"),
    CommandKind.CHANGE_TARIFF: Say("ChangeTransactionTariff", _say_change, cases="I11"),
}
