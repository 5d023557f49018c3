"""One number out of a message: plain, or somewhere in JSON. Strangers write these messages."""

from __future__ import annotations

import math
import re
from typing import Any

import orjson

from energy.feeds.problems import NO_JSON, NO_NUMBER, NO_VALUE, FeedError

MOST_BYTES = 65_536
MOST_STEPS = 12
_STEP = re.compile(r"[^.\[\]]+")
_PATH = re.compile(r"[^.\[\]\s]+(\.[^.\[\]\s]+|\[\d{1,3}\])*")


def is_path(text: object) -> bool:
    """`ENERGY.Current[0]`; empty: the message is the number itself."""
    if not isinstance(text, str) or len(text) > 120:
        return False
    return text == "" or (_PATH.fullmatch(text) is not None and len(_STEP.findall(text)) <= MOST_STEPS)


def parsed(payload: bytes) -> Any:
    """FeedError if it is no JSON."""
    try:
        return orjson.loads(payload)
    except (ValueError, RecursionError):
        raise FeedError(NO_JSON, _shown(payload)) from None


def number_at(payload: bytes, document: Any, path: str) -> float:
    """The number at a path of a parsed message; with no path, the message itself."""
    value = payload.decode("ascii", "replace").strip() if path == "" else _step(document, path)
    if isinstance(value, str) and len(value) <= 40 and "_" not in value:
        try:
            value = float(value)
        except ValueError:
            pass
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FeedError(NO_NUMBER, f"{path} {_shown(payload)}")
    number = float(value)
    if not math.isfinite(number):
        raise FeedError(NO_NUMBER, f"{path} {_shown(payload)}")
    return number


def _step(document: Any, path: str) -> Any:
    value = document
    for step in _STEP.findall(path):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise FeedError(NO_VALUE, path)
    return value


def at_of(document: Any, path: str) -> Any:
    """When it was measured, as told; None where it is not."""
    try:
        found = _step(document, path)
    except FeedError:
        return None
    return found if isinstance(found, str | int | float) and not isinstance(found, bool) else None


def _shown(payload: bytes) -> str:
    """The beginning of a message, for who enters the meter."""
    text = payload[:60].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)
