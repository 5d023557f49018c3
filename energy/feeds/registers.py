"""Registers of a Modbus meter: how values lie in them, and which are read together. Pure."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from energy.feeds import values
from energy.feeds.problems import NO_VALUE, FeedError

# By type: format, registers, and the pattern by which SunSpec says "not implemented".
TYPES: dict[str, tuple[str, int, int]] = {
    "u16": ("H", 1, 0xFFFF),
    "i16": ("h", 1, 0x8000),
    "u32": ("I", 2, 0xFFFFFFFF),
    "i32": ("i", 2, 0x80000000),
    "float32": ("f", 2, 0x7FC00000),
}
KINDS = ("input", "holding")
WORDS = ("big", "little")
MOST_AT_ONCE = 120  # the protocol allows 125
MOST_GAP = 10  # registers between two values that are read along
MOST_ADDRESS = 65_535
MOST_FACTOR = 10  # SunSpec's powers of ten go from -10 to 10
_KEYS = {"of", "line", "scale", "kind", "address", "type", "words", "model", "factor"}


def checked(told: Any) -> dict[str, Any]:
    """One value's settings in full. BadValue says what is wrong."""
    if not isinstance(told, dict) or told.keys() - _KEYS:
        raise values.BadValue(
            "A value has of, line, scale, kind, address, type, words, and for SunSpec model, factor."
        )
    model, factor = told.get("model"), told.get("factor")
    found = {
        "kind": told.get("kind", "holding"),
        "address": told.get("address"),
        "type": told.get("type"),
        "words": told.get("words", "big"),
    }
    if found["kind"] not in KINDS:
        raise values.BadValue("Registers are input or holding.")
    if found["type"] not in TYPES:
        raise values.BadValue(f"A type is one of {', '.join(TYPES)}.")
    if found["words"] not in WORDS:
        raise values.BadValue("Words are big (the high one first) or little.")
    for name, number in (("address", found["address"]), ("model", model), ("factor", factor)):
        is_number = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < MOST_ADDRESS
        if not is_number and (name == "address" or number is not None):
            raise values.BadValue(f"{name} is a number from 0 to {MOST_ADDRESS - 1}.")
    if model is not None and found["kind"] != "holding":
        raise values.BadValue("SunSpec models lie in holding registers.")
    return values.check_key(told) | found | {"model": model, "factor": factor}


@dataclass(frozen=True)
class Block:
    """Registers read by one request."""

    kind: str
    address: int
    count: int


Placed = tuple[Mapping[str, Any], int, int | None]  # a value, its address, and that of its factor


def places(listed: Sequence[Mapping[str, Any]], models: Mapping[int, int]) -> list[Placed]:
    """Each value, its address and that of its factor. `models`: where each SunSpec model begins."""
    found: list[Placed] = []
    for value in listed:
        base = models[value["model"]] if value["model"] is not None else 0
        factor = None if value["factor"] is None else base + value["factor"]
        found.append((value, base + value["address"], factor))
    return found


def blocks(listed: Sequence[Placed]) -> list[Block]:
    """As few requests as there may be."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for value, address, factor in listed:
        of_kind = spans.setdefault(value["kind"], [])
        of_kind.append((address, address + TYPES[value["type"]][1]))
        if factor is not None:
            of_kind.append((factor, factor + 1))
    made = []
    for kind, wanted in spans.items():
        first, last = None, 0
        for begin, end in sorted(wanted):
            if first is not None and (begin > last + MOST_GAP or end - first > MOST_AT_ONCE):
                made.append(Block(kind, first, last - first))
                first = None
            first, last = (begin, end) if first is None else (first, max(last, end))
        if first is not None:
            made.append(Block(kind, first, last - first))
    return made


def value_of(value: Mapping[str, Any], told: Sequence[int], factor: int | None) -> float:
    """The number in its registers. FeedError where SunSpec says that it is not there."""
    form, count, absent = TYPES[value["type"]]
    words = list(told if value["words"] == "big" else reversed(told))
    raw = b"".join(word.to_bytes(2, "big") for word in words)
    where = f"{value['of']} L{value['line']}"
    if value["model"] is not None and int.from_bytes(raw, "big") == absent:
        raise FeedError(NO_VALUE, f"{where}, SunSpec {value['model']}")
    number = float(struct.unpack(f">{form}", raw)[0]) * value["scale"]
    if factor is not None:
        power = factor - 0x10000 if factor >= 0x8000 else factor
        if abs(power) > MOST_FACTOR:
            raise FeedError(NO_VALUE, f"{where}, 10^{power}")
        number *= 10.0**power
    if not math.isfinite(number) or len(words) != count:
        raise FeedError(NO_VALUE, where)
    return number


# --- in a form ---


def read_line(line: str) -> dict[str, Any]:
    """`amps L1 input 6 float32`, and after that `little`, `*0.001`; of SunSpec `amps L1 model203 3 i16 factor=6`."""
    told, rest = values.read_key(line.split())
    if len(rest) < 3:
        raise values.BadValue("After the line stand input or holding, the address from 0, and the type.")
    kind, address, told["type"] = rest[0].lower(), rest[1], rest[2].lower()
    if kind.startswith("model"):
        told["kind"], told["model"] = "holding", _number(kind.removeprefix("model"))
    else:
        told["kind"] = kind
    told["address"] = _number(address)
    for word in rest[3:]:
        if word.lower() in WORDS:
            told["words"] = word.lower()
        elif word.lower().startswith("factor="):
            told["factor"] = _number(word[7:])
        else:
            raise values.BadValue(f"{word[:20]}: only big, little and factor= may stand there.")
    return checked(told)


def _number(text: str) -> int:
    """Decimal, or hexadecimal as in data sheets (0x000C)."""
    try:
        return int(text[:10], 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        raise values.BadValue(f"{text[:20]} is no address: write a number, such as 6 or 0x000C.") from None


def write_line(value: Mapping[str, Any]) -> str:
    kind = value["kind"] if value.get("model") is None else f"model{value['model']}"
    words = " little" if value.get("words") == "little" else ""
    factor = "" if value.get("factor") is None else f" factor={value['factor']}"
    return values.write_key(value, f"{kind} {value['address']} {value['type']}{words}{factor}")
