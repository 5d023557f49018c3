"""What sampled values mean together: import register in Wh, power in W, and so on. Pure.

Stations mix totals with phases, kWh with Wh, Outlet with Inlet and EV. Rules: the location nearest to the car's plug
wins (OCPP's default Outlet, then Cable, Inlet, EV); a total wins over its phases; without one, energy and power of the
phases add up, currents give the highest, voltages the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
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

# Powers of ten to the base unit.
_POWERS: dict[str, dict[str, int]] = {
    REGISTER: {"": 0, "wh": 0, "kwh": 3, "mwh": 6},
    POWER: {"": 0, "w": 0, "kw": 3, "mw": 6},
    CURRENT: {"": 0, "a": 0, "amp": 0, "ma": -3},
    VOLTAGE: {"": 0, "v": 0, "kv": 3},
    SOC: {"": 0, "percent": 0, "%": 0},
}
_POWERS[INTERVAL] = _POWERS[REGISTER]
_POWERS[OFFERED] = _POWERS[POWER]
_LOCATIONS = {"": 0, "outlet": 0, "cable": 1, "inlet": 2, "ev": 3}
_LINES = {"L1": 0, "L1-N": 0, "L2": 1, "L2-N": 1, "L3": 2, "L3-N": 2}
_PAIRS = ("L1-L2", "L2-L3", "L3-L1")
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
    numbers = [value.value for value in values]
    shape = [
        (
            value.measurand, value.unit, value.phase, value.location, value.multiplier,
            _UNTOLD if (number := value.value) is None else _USABLE if is_possible(number) else _ABSURD,
        )
        for value in values
    ]  # fmt: skip
    recipe_of = _recipe if len(shape) <= MOST_KEPT else _recipe.__wrapped__
    recipe = recipe_of(tuple(shape))
    absurd = [place for place, shift in recipe.shifts if not is_possible(numbers[place], shift)]
    if absurd:
        for place in absurd:
            shape[place] = (*shape[place][:-1], _ABSURD)
        recipe = recipe_of(tuple(shape))
    result = Measured(flags=recipe.flags)
    for column, combine, finish, parts in recipe.columns:
        setattr(result, column, finish(combine([_scaled(numbers[place], shift) for place, shift in parts])))
    return result


MOST_KEPT = 40  # values of a shape that is remembered: a hostile station's cost no memory
_USABLE, _UNTOLD, _ABSURD = range(3)
# Of each value: measurand, unit, phase, location, multiplier, and one of the three above.
_Shape = tuple[tuple[str, str, str, str, int, int], ...]
_Combine = Callable[[list[Decimal]], Decimal]
_Finish = Callable[[Decimal], Any]
_Part = tuple[int, int]  # which value, and the power of ten that brings it to its base unit


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How values of one shape become columns. Stations tell the same shape all day."""

    columns: tuple[tuple[str, _Combine, _Finish, tuple[_Part, ...]], ...]
    shifts: tuple[_Part, ...]  # of values that are not told in their base unit
    flags: tuple[str, ...]


@lru_cache(maxsize=1024)
def _recipe(shape: _Shape) -> _Recipe:
    flags: set[str] = set()
    told: dict[str, list[tuple[int, str, _Part]]] = {}
    for place, (named, unit, phase, location, multiplier, state) in enumerate(shape):
        measurand = named or REGISTER
        if state == _UNTOLD or measurand not in _POWERS:
            continue
        power = _POWERS[measurand].get(unit.strip().lower())
        if power is None or not -12 <= multiplier <= 12:
            flags.add(UNIT_UNKNOWN)
        elif state == _ABSURD:
            flags.add(VALUE_ABSURD)
        else:
            part = place, multiplier + power
            told.setdefault(measurand, []).append((_LOCATIONS.get(location.lower(), 9), phase, part))
    columns = []
    for measurand, column, combine, finish in _COLUMNS:
        parts, of_pairs = _pick(told.get(measurand, ()), pairs=measurand == VOLTAGE)
        if parts:
            columns.append((column, _mean_of_pairs if of_pairs else combine, finish, parts))
    shifts = tuple(part for parts in told.values() for _place, _phase, part in parts if part[1])
    return _Recipe(tuple(columns), shifts, tuple(sorted(flags)))


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


def is_possible(number: Decimal | None, power: int = 0) -> bool:
    """Can a meter show this times ten to the power? Told by the exponent, before it is computed with: a huge one would
    overflow. 1 TWh: no meter shows it, and numeric(16, 3) holds it."""
    if number is None:
        return False
    return number.is_finite() and not (number and number.adjusted() + power >= 12)


def _scaled(number: Decimal | None, power: int) -> Decimal:
    assert number is not None
    return number.scaleb(power) if power else number


def _pick(told: Sequence[tuple[int, str, _Part]], *, pairs: bool) -> tuple[tuple[_Part, ...], bool]:
    """The values that count, of (distance from the plug, phase, value); whether they are between phases."""
    if not told:
        return (), False
    nearest = min(place for place, _phase, _part in told)
    phases: dict[str, _Part] = {}
    for place, phase, part in told:
        if place == nearest:
            phases.setdefault(phase, part)
    if "" in phases:
        return (phases[""],), False
    lines: dict[int, _Part] = {}
    for phase, part in phases.items():
        if phase in _LINES:
            lines.setdefault(_LINES[phase], part)
    if lines:
        return tuple(lines.values()), False
    between = tuple(phases[pair] for pair in _PAIRS if pair in phases)
    return (between, True) if between and pairs else ((), False)


def _sum(numbers: list[Decimal]) -> Decimal:
    return sum(numbers, Decimal(0))


def _highest(numbers: list[Decimal]) -> Decimal:
    return max(numbers)


def _mean(numbers: list[Decimal]) -> Decimal:
    return sum(numbers, Decimal(0)) / len(numbers)


def _mean_of_pairs(numbers: list[Decimal]) -> Decimal:
    return _mean(numbers) / _SQRT3


def _to_milli(number: Decimal) -> Decimal:
    return number.quantize(_MILLI)


def _to_float(number: Decimal) -> float:
    return round(float(number), 3)


_COLUMNS: tuple[tuple[str, str, _Combine, _Finish], ...] = (
    (REGISTER, "energy_wh", _sum, _to_milli),
    (INTERVAL, "interval_wh", _sum, _to_milli),
    (POWER, "power_w", _sum, _to_float),
    (OFFERED, "offered_w", _sum, _to_float),
    (CURRENT, "current_a", _highest, _to_float),
    (VOLTAGE, "voltage_v", _mean, _to_float),
    (SOC, "soc_percent", _highest, _to_float),
)
