"""Single values put together to one reading: A on a line, W on a line, W in total. Shared by MQTT and Modbus.

In settings {"of": "amps" | "watts", "line": 1, ...}; line 0: all of it. In a form, one a line: `amps L1 ...`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

AMPS, WATTS = "amps", "watts"
TOTAL = 0
MOST_VALUES = 12
Key = tuple[str, int]


class BadValue(Exception):
    """A value's settings cannot be used; the text says why."""


def key_of(value: Mapping[str, Any]) -> Key:
    return value["of"], value["line"]


def check_key(told: Mapping[str, Any]) -> dict[str, Any]:
    """`of`, `line` and `scale` of one value."""
    of, line, scale = told.get("of"), told.get("line", TOTAL), told.get("scale", 1)
    if of not in (AMPS, WATTS):
        raise BadValue("A value is of amps or of watts.")
    if isinstance(line, bool) or line not in (0, 1, 2, 3):
        raise BadValue("A line is 1, 2 or 3, and 0 for all of them.")
    if of == AMPS and line == TOTAL:
        raise BadValue("Amps are told line by line: a sum says nothing of a fuse.")
    is_number = isinstance(scale, int | float) and not isinstance(scale, bool)
    if not is_number or not math.isfinite(scale) or not 1e-9 <= abs(scale) <= 1e9:
        raise BadValue("A scale is a number other than 0.")
    return {"of": of, "line": int(line), "scale": float(scale)}


def check_all(checked: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The values of a meter. BadValue where they are none, too many, or one is told twice."""
    values = list(checked)
    if not values:
        raise BadValue("Name at least one value: amps of a line, or watts.")
    if len(values) > MOST_VALUES:
        raise BadValue(f"A meter has {MOST_VALUES} values at most.")
    keys = [key_of(value) for value in values]
    if len(set(keys)) < len(keys):
        raise BadValue("One value is named twice.")
    return values


def together(found: Mapping[Key, float]) -> tuple[list[float] | None, list[float] | float | None]:
    """(amps, watts) as energy.readings.Told takes them. Lines that are not told below one that is are 0."""
    amps, watts = _lines(found, AMPS), _lines(found, WATTS)
    return amps, watts if watts is not None else found.get((WATTS, TOTAL))


def _lines(found: Mapping[Key, float], of: str) -> list[float] | None:
    told = [line for kind, line in found if kind == of and line != TOTAL]
    return [found.get((of, line), 0.0) for line in range(1, max(told) + 1)] if told else None


# --- in a form ---


def read_key(words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """`amps L1 ... *0.001`: of, line and scale, and the words between."""
    if len(words) < 3:
        raise BadValue("Too short: write what, which line, and where it is found.")
    lines = {"l1": 1, "l2": 2, "l3": 3, "total": TOTAL}
    if words[1].lower() not in lines:
        raise BadValue(f"{words[1][:20]}: write L1, L2, L3 or total.")
    told: dict[str, Any] = {"of": words[0].lower(), "line": lines[words[1].lower()]}
    rest = words[2:]
    if rest[-1].startswith("*"):
        try:
            told["scale"] = float(rest.pop()[1:])
        except ValueError:
            raise BadValue("After * stands a number, such as *0.001.") from None
    return told, rest


def write_key(value: Mapping[str, Any], between: str) -> str:
    line = f"L{value['line']}" if value["line"] else "total"
    scale = f" *{value['scale']:g}" if value.get("scale", 1) != 1 else ""
    return f"{value['of']} {line} {between}{scale}"
