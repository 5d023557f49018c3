"""Prices in words that a driver understands."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _


def component_name(component: str) -> str:
    """What a component of a tariff is called."""
    names = {
        "ENERGY": _("Energy"),
        "TIME": _("Charging time"),
        "PARKING_TIME": _("Parking time"),
        "FLAT": _("Starting fee"),
        "MIN_PRICE": _("Raised to the least price"),
        "MAX_PRICE": _("Cut to the highest price"),
    }
    return names.get(component, component)


def line_words(line: Mapping[str, Any], currency: str) -> str:
    """A line of a charge: "23.18 kWh × 0.49 EUR", "45 min × 6 EUR/h", "1 × 0.50 EUR"."""
    price = f"{_price(line['unit_price'])} {currency}"
    if line["component"] in ("MIN_PRICE", "MAX_PRICE"):
        return price
    if line["unit"] == "kWh":
        return f"{_stepped(line, _kwh)} × {price}"
    if line["unit"] == "s":
        return f"{_stepped(line, span)} × {price}/h"
    return f"{line['quantity']} × {price}"


def price_words(tariff: Mapping[str, Any]) -> list[str]:
    """A tariff's prices, one text a component: "0.49 EUR per kWh", "6 EUR per hour parked, in steps of 15 min"."""
    texts: list[str] = []
    seen: set[str] = set()
    for element in tariff["elements"]:
        for component in element["price_components"]:
            if component["type"] not in seen:
                seen.add(component["type"])
                texts.append(_component_words(component, tariff["currency"]))
    return texts


def _component_words(component: Mapping[str, Any], currency: str) -> str:
    price = f"{_price(component['price'])} {currency}"
    forms = {
        "ENERGY": _("%(price)s per kWh"),
        "TIME": _("%(price)s per hour of charging"),
        "PARKING_TIME": _("%(price)s per hour of parking"),
        "FLAT": _("%(price)s per session"),
    }
    text = forms[component["type"]] % {"price": price}
    step = int(component.get("step_size") or 0)
    if component["type"] in ("TIME", "PARKING_TIME") and step > 1:
        text += _(", in steps of %(step)s") % {"step": span(Decimal(step))}
    if component["type"] == "ENERGY" and step > 1:
        text += _(", in steps of %(step)s") % {"step": _kwh(Decimal(step) / 1000)}
    return text


def span(seconds: Decimal) -> str:
    """2 h 30 min, 45 min, 20 s."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else ""]
    return " ".join(part for part in parts if part) or "0 s"


def _stepped(line: Mapping[str, Any], show: Any) -> str:
    billed, measured = Decimal(line["quantity"]), Decimal(line.get("measured", line["quantity"]))
    text = str(show(billed))
    if billed != measured:
        text += " " + _("(%(measured)s, rounded up)") % {"measured": show(measured)}
    return text


def _kwh(quantity: Decimal) -> str:
    return f"{number_format(quantity.normalize() if quantity else quantity, use_l10n=True)} kWh"


def _price(text: str | Decimal) -> str:
    """At least two decimals, as prices are written; more where the tariff has more."""
    price = Decimal(str(text))
    exponent = price.normalize().as_tuple().exponent
    digits = max(2, -exponent) if isinstance(exponent, int) else 2
    return str(number_format(price, decimal_pos=digits, use_l10n=True))
