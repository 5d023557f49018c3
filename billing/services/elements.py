"""Whether the elements of a tariff are what OCPI 2.2.1 mod_tariffs calls elements. Says where they are not."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from tenants.errors import Invalid

TYPES = ("ENERGY", "TIME", "PARKING_TIME", "FLAT")
_MOST_ELEMENTS = 50
_HIGHEST_PRICE = Decimal(100_000)
_LONGEST_STEP = 1_000_000


def checked_elements(elements: Any) -> list[dict[str, Any]]:
    """The elements with prices as plain text. Invalid with a path as field: `elements.0.price_components.1.price`."""
    problems: dict[str, str] = {}
    if not isinstance(elements, list) or not elements:
        raise Invalid(fields={"elements": "A tariff needs at least one element with a price."})
    if len(elements) > _MOST_ELEMENTS:
        raise Invalid(fields={"elements": f"A tariff has at most {_MOST_ELEMENTS} elements."})
    checked = [_element(one, f"elements.{index}", problems) for index, one in enumerate(elements)]
    if problems:
        raise Invalid(fields=problems)
    return checked


def _element(element: Any, path: str, problems: dict[str, str]) -> dict[str, Any]:
    if not isinstance(element, Mapping):
        problems[path] = "Write an object with price_components."
        return {}
    for name in sorted(set(element) - {"price_components", "restrictions"}):
        problems[f"{path}.{name}"] = "There is no such field."
    if element.get("restrictions"):
        problems[f"{path}.restrictions"] = "Restrictions are not priced yet: leave them out."
    components = element.get("price_components")
    if not isinstance(components, list) or not components:
        problems[f"{path}.price_components"] = "Name at least one price component."
        return {}
    here = f"{path}.price_components"
    checked = [_component(one, f"{here}.{index}", problems) for index, one in enumerate(components)]
    types = [one.get("type") for one in checked]
    for index, kind in enumerate(types):
        if kind in types[:index]:
            problems[f"{here}.{index}.type"] = f"{kind} is priced twice in this element."
    return {"price_components": checked}


def _component(component: Any, path: str, problems: dict[str, str]) -> dict[str, Any]:
    if not isinstance(component, Mapping):
        problems[path] = "Write an object with type and price."
        return {}
    for name in sorted(set(component) - {"type", "price", "vat", "step_size"}):
        problems[f"{path}.{name}"] = "There is no such field."
    kind = component.get("type")
    if kind not in TYPES:
        problems[f"{path}.type"] = f"Choose one of {', '.join(TYPES)}."
    price = _number(component.get("price"), _HIGHEST_PRICE)
    if price is None:
        problems[f"{path}.price"] = "Write a price of zero or more, such as 0.49."
    vat = _number(component.get("vat"), Decimal(100))
    if vat is None and component.get("vat") not in (None, ""):
        problems[f"{path}.vat"] = "Write a tax rate in percent, such as 19, or leave it empty."
    step = component.get("step_size", 1)
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= _LONGEST_STEP:
        problems[f"{path}.step_size"] = "Write whole Wh (energy) or seconds (time), such as 1."
    return {
        "type": kind,
        "price": None if price is None else f"{price:f}",
        "vat": None if vat is None else f"{vat:f}",
        "step_size": step,
    }


def _number(value: Any, most: Decimal) -> Decimal | None:
    """A number of zero to `most` from a number or text; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number <= most else None
