"""The price of a use under a tariff: pure arithmetic after OCPI 2.2.1/2.3.0 mod_tariffs, no database.

Two steps: `_quantities` decides which component prices how much (this is where restrictions will cut the session),
`_line` turns each into money. Amounts are exact fractions until the totals are rounded, once, half up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.money import half_up, minor_digits
from billing.usage import Usage, simple_usage

_LINE_DIGITS = 6
_SECONDS_PER_HOUR = 3600


class NotRatable(ValueError):
    """A price list that this engine cannot price."""


@dataclass(frozen=True, slots=True)
class Line:
    """One component's share. `quantity` is billed (after step_size), `measured` is used; `unit` kWh, s or x.

    `unit_price` is per kWh, per hour or once, as the tariff states it (with tax if that says so). `component` is an
    OCPI TariffDimensionType, or MIN_PRICE / MAX_PRICE for what lifted the total to the least or cut it to the highest.
    """

    component: str
    quantity: Decimal
    measured: Decimal
    unit: str
    unit_price: Decimal
    vat: Decimal | None
    excl: Fraction
    incl: Fraction

    def to_json(self) -> dict[str, str | None]:
        excl, incl = half_up(self.excl, _LINE_DIGITS), half_up(self.incl, _LINE_DIGITS)
        return {
            "component": self.component,
            "quantity": plain(self.quantity),
            "measured": plain(self.measured),
            "unit": self.unit,
            "unit_price": plain(self.unit_price),
            "vat": None if self.vat is None else plain(self.vat),
            "excl": plain(excl),
            "tax": plain(incl - excl),
            "incl": plain(incl),
        }


@dataclass(frozen=True, slots=True)
class Rated:
    """A price. `excl_tax`, `tax` and `incl_tax` are rounded to the currency's minor unit, `exact_*` are not."""

    currency: str
    lines: tuple[Line, ...]
    energy_wh: Decimal
    exact_excl_tax: Fraction
    exact_incl_tax: Fraction

    @property
    def excl_tax(self) -> Decimal:
        return half_up(self.exact_excl_tax, minor_digits(self.currency))

    @property
    def incl_tax(self) -> Decimal:
        return half_up(self.exact_incl_tax, minor_digits(self.currency))

    @property
    def tax(self) -> Decimal:
        return self.incl_tax - self.excl_tax


@dataclass(frozen=True, slots=True)
class _Quantity:
    component: Mapping[str, Any]
    billed: Decimal
    measured: Decimal


def rate(*, tariff: Mapping[str, Any], usage: Usage) -> Rated:
    """The price of `usage` under a frozen `tariff` (billing.services.tariffs.snapshot). NotRatable if it cannot be."""
    if any(element.get("restrictions") for element in tariff["elements"]):
        raise NotRatable("The tariff has restrictions, which are not priced yet.")
    lines = [_line(quantity, bool(tariff.get("tax_included"))) for quantity in _quantities(tariff, usage)]
    excl = sum((line.excl for line in lines), Fraction(0))
    incl = sum((line.incl for line in lines), Fraction(0))
    for limit in _limits(tariff, excl, incl):
        lines.append(limit)
        excl, incl = excl + limit.excl, incl + limit.incl
    return Rated(tariff["currency"], tuple(lines), usage.energy_wh, excl, incl)


def estimate(
    *,
    tariff: Mapping[str, Any],
    started_at: datetime,
    at: datetime,
    time_zone: str,
    energy_wh: Decimal,
    parking: timedelta = timedelta(0),
) -> Rated:
    """The price if the session ended at `at`: live cost, and a preview of an example session."""
    usage = simple_usage(
        started_at=started_at, ended_at=at, time_zone=time_zone, energy_wh=energy_wh, parking=parking
    )
    return rate(tariff=tariff, usage=usage)


def plain(number: Decimal) -> str:
    """Without exponent and needless zeros: 5, 20.5, 0.25."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _component(tariff: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """The first element with such a component prices it; the others never do (mod_tariffs, Tariff elements)."""
    return next((component for component in _components(tariff) if component["type"] == kind), None)


def _components(tariff: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [component for element in tariff["elements"] for component in element["price_components"]]


def _quantities(tariff: Mapping[str, Any], usage: Usage) -> Iterator[_Quantity]:
    """How much of what is billed.

    step_size counts once for energy and once for TIME and PARKING_TIME together: with both used, the total
    parking duration alone is rounded up (mod_cdrs, step_size).
    """
    flat, energy = _component(tariff, "FLAT"), _component(tariff, "ENERGY")
    time, parking = _component(tariff, "TIME"), _component(tariff, "PARKING_TIME")
    if flat:
        yield _Quantity(flat, Decimal(1), Decimal(1))
    if energy and usage.energy_wh:
        billed_wh = _stepped(usage.energy_wh, energy)
        yield _Quantity(energy, billed_wh / 1000, usage.energy_wh / 1000)
    charging_s, parking_s = usage.charging_seconds, usage.parking_seconds
    if time and charging_s:
        parked_at_a_price = bool(parking and parking_s)
        yield _Quantity(time, charging_s if parked_at_a_price else _stepped(charging_s, time), charging_s)
    if parking and parking_s:
        yield _Quantity(parking, _stepped(parking_s, parking), parking_s)


def _stepped(amount: Decimal, component: Mapping[str, Any]) -> Decimal:
    """Rounded up to whole steps. The specification's own free tariff has step_size 0: no steps."""
    step = Decimal(component.get("step_size") or 0)
    if step <= 0:
        return amount
    whole, rest = divmod(amount, step)
    return (whole + 1 if rest else whole) * step


_UNITS = {"ENERGY": ("kWh", 1), "TIME": ("s", _SECONDS_PER_HOUR), "PARKING_TIME": ("s", _SECONDS_PER_HOUR)}


def _line(quantity: _Quantity, tax_included: bool) -> Line:
    component = quantity.component
    unit, divisor = _UNITS.get(component["type"], ("x", 1))
    price = Decimal(str(component["price"]))
    vat = None if component.get("vat") is None else Decimal(str(component["vat"]))
    amount = Fraction(quantity.billed) * Fraction(price) / divisor
    factor = 1 + Fraction(vat or 0) / 100
    excl, incl = (amount / factor, amount) if tax_included else (amount, amount * factor)
    return Line(component["type"], quantity.billed, quantity.measured, unit, price, vat, excl, incl)


def _limits(tariff: Mapping[str, Any], excl: Fraction, incl: Fraction) -> Iterator[Line]:
    """What lifts the totals to min_price or cuts them to max_price; before and after tax each on its own."""
    for name, wins in (("min_price", max), ("max_price", min)):
        limit = tariff.get(name)
        if not limit:
            continue
        limit_excl, limit_incl = _both(limit, incl / excl if excl else _first_tax(tariff))
        new_excl, new_incl = wins(excl, limit_excl), wins(incl, limit_incl)
        if (new_excl, new_incl) != (excl, incl):
            stated = Decimal(limit["excl_tax"] if limit.get("incl_tax") is None else limit["incl_tax"])
            once = Decimal(1)
            yield Line(name.upper(), once, once, "x", stated, None, new_excl - excl, new_incl - incl)
            excl, incl = new_excl, new_incl


def _both(limit: Mapping[str, Any], factor: Fraction) -> tuple[Fraction, Fraction]:
    """A limit before and after tax. The side that is not stated bears the tax that the session has on average."""
    excl, incl = limit.get("excl_tax"), limit.get("incl_tax")
    if excl is None:
        return Fraction(str(incl)) / factor, Fraction(str(incl))
    return Fraction(excl), Fraction(excl) * factor if incl is None else Fraction(incl)


def _first_tax(tariff: Mapping[str, Any]) -> Fraction:
    """1.19 for 19 %: the tax of a least price when nothing was used."""
    rates = [Fraction(str(one["vat"])) for one in _components(tariff) if one.get("vat") is not None]
    return 1 + (rates[0] if rates else Fraction(0)) / 100
