"""What sampled values mean together: import register in Wh, power in W, and so on. Pure.

Stations mix totals with phases, kWh with Wh, Outlet with Inlet and EV. Rules: the location nearest to the car's plug
wins (OCPP's default Outlet, then Cable, Inlet, EV); a total wins over its phases; without one, energy and power of the
phases add up, currents give the highest, voltages the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from stations.neutral import SampledValue

REGISTER = "Energy.Active.Import.Register"  # OCPP's default where no measurand is told
INTERVAL = "Energy.Active.Import.Interval"
POWER = "Power.Active.Import"
OFFERED = "Power.Offered"
CURRENT = "Current.Import"
VOLTAGE = "Voltage"
SOC = "SoC"

BEGIN = "Transaction.Begin"
END = "Transaction.End"
_DEFAULT_CONTEXT = "Sample.Periodic"

_FACTORS: dict[str, dict[str, Decimal]] = {
    REGISTER: {"": Decimal(1), "wh": Decimal(1), "kwh": Decimal(1000), "mwh": Decimal(1000000)},
    POWER: {"": Decimal(1), "w": Decimal(1), "kw": Decimal(1000), "mw": Decimal(1000000)},
    CURRENT: {"": Decimal(1), "a": Decimal(1), "amp": Decimal(1), "ma": Decimal("0.001")},
    VOLTAGE: {"": Decimal(1), "v": Decimal(1), "kv": Decimal(1000)},
    SOC: {"": Decimal(1), "percent": Decimal(1), "%": Decimal(1)},
}
_FACTORS[INTERVAL] = _FACTORS[REGISTER]
_FACTORS[OFFERED] = _FACTORS[POWER]
_LOCATIONS = {"": 0, "outlet": 0, "cable": 1, "inlet": 2, "ev": 3}
_LINES = {"L1": 0, "L1-N": 0, "L2": 1, "L2-N": 1, "L3": 2, "L3-N": 2}
_PAIRS = ("L1-L2", "L2-L3", "L3-L1")
_LIMIT = Decimal(10) ** 12  # 1 TWh: no meter shows it, and numeric(16, 3) holds it
_SQRT3 = Decimal("1.7320508")
_MILLI = Decimal("0.001")

UNIT_UNKNOWN = "unit_unknown"
VALUE_ABSURD = "value_absurd"


@dataclass(slots=True)
class Measured:
    energy_wh: Decimal | None = None
    interval_wh: Decimal | None = None
    power_w: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    soc_percent: float | None = None
    offered_w: float | None = None
    flags: tuple[str, ...] = ()


def by_context(values: Iterable[SampledValue]) -> dict[str, list[SampledValue]]:
    """The values of one instant, apart by why they were sampled (Sample.Periodic where not told)."""
    groups: dict[str, list[SampledValue]] = {}
    for value in values:
        groups.setdefault(value.context or _DEFAULT_CONTEXT, []).append(value)
    return groups


def measured(values: Sequence[SampledValue]) -> Measured:
    """The columns of a reading from what was told of one instant in one context."""
    flags: set[str] = set()
    told: dict[str, list[tuple[int, str, Decimal]]] = {}
    for value in values:
        measurand = value.measurand or REGISTER
        if value.value is None or measurand not in _FACTORS:
            continue
        number = _in_base_unit(value, measurand, flags)
        if number is not None:
            place = _LOCATIONS.get(value.location.lower(), 9)
            told.setdefault(measurand, []).append((place, value.phase, number))
    result = Measured()
    if told:
        energy, interval = _pick(told, REGISTER, _sum), _pick(told, INTERVAL, _sum)
        result.energy_wh = None if energy is None else energy.quantize(_MILLI)
        result.interval_wh = None if interval is None else interval.quantize(_MILLI)
        result.power_w = _float(_pick(told, POWER, _sum))
        result.offered_w = _float(_pick(told, OFFERED, _sum))
        result.current_a = _float(_pick(told, CURRENT, _highest))
        result.voltage_v = _float(_pick(told, VOLTAGE, _mean))
        result.soc_percent = _float(_pick(told, SOC, _highest))
    result.flags = tuple(sorted(flags))
    return result


def as_told(values: Sequence[SampledValue]) -> list[dict[str, Any]]:
    """For keeping: every value as received, what was not told left out."""
    kept = []
    for value in values:
        entry: dict[str, Any] = {"measurand": value.measurand or REGISTER, "value": value.raw}
        if value.unit:
            entry["unit"] = value.unit
        if value.phase:
            entry["phase"] = value.phase
        if value.location:
            entry["location"] = value.location
        if value.context:
            entry["context"] = value.context
        if value.multiplier:
            entry["multiplier"] = value.multiplier
        if value.signed:
            entry["signed"] = True
        kept.append(entry)
    return kept


def digest(context: str, values: Sequence[SampledValue]) -> str:
    """Recognises the same values told again. 32 hexadecimal digits."""
    text = "\n".join(f"{v.measurand}|{v.raw}|{v.unit}|{v.phase}|{v.location}|{v.multiplier}" for v in values)
    return blake2b(f"{context}\n{text}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _in_base_unit(value: SampledValue, measurand: str, flags: set[str]) -> Decimal | None:
    factor = _FACTORS[measurand].get(value.unit.strip().lower())
    if factor is None or not -12 <= value.multiplier <= 12:
        flags.add(UNIT_UNKNOWN)
        return None
    number = value.value
    assert number is not None
    if not is_possible(number):
        flags.add(VALUE_ABSURD)
        return None
    if value.multiplier or factor != 1:
        number = number.scaleb(value.multiplier) * factor
    if abs(number) >= _LIMIT:
        flags.add(VALUE_ABSURD)
        return None
    return number


def is_possible(number: Decimal) -> bool:
    """Can a meter show this? Told by the exponent, before it is computed with: a huge one would overflow."""
    return number.is_finite() and not (number and number.adjusted() >= 12)


_Combine = Callable[[list[Decimal]], Decimal]


def _pick(
    told: dict[str, list[tuple[int, str, Decimal]]], measurand: str, combine: _Combine
) -> Decimal | None:
    values = told.get(measurand)
    if values is None:
        return None
    if len(values) == 1 and not values[0][1]:
        return values[0][2]
    nearest = min(place for place, _phase, _number in values)
    phases: dict[str, Decimal] = {}
    for place, phase, number in values:
        if place == nearest:
            phases.setdefault(phase, number)
    if "" in phases:
        return phases[""]
    lines: dict[int, Decimal] = {}
    for phase, number in phases.items():
        if phase in _LINES:
            lines.setdefault(_LINES[phase], number)
    if lines:
        return combine(list(lines.values()))
    pairs = [phases[pair] for pair in _PAIRS if pair in phases]
    if pairs and measurand == VOLTAGE:
        return _mean(pairs) / _SQRT3
    return None


def _sum(numbers: list[Decimal]) -> Decimal:
    return sum(numbers, Decimal(0))


def _highest(numbers: list[Decimal]) -> Decimal:
    return max(numbers)


def _mean(numbers: list[Decimal]) -> Decimal:
    return sum(numbers, Decimal(0)) / len(numbers)


def _float(number: Decimal | None) -> float | None:
    return None if number is None else round(float(number), 3)
