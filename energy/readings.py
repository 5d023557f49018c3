"""A reading of a meter, as it was told and as it is kept. Pure.

Amps are kept on each line, for fuses trip by current. What a meter tells in watts is converted by the voltage of the
supply: per line where it tells each, else spread evenly over the lines, for a total says nothing of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from energy.grid import Supply
from stations.services import clock

MOST_A = 20_000.0  # on one line: more is a broken register, not a site
MOST_W = 20_000_000.0
# Tighter than a station's clock: a sample from the future would hide all that come before its time.
MAX_AHEAD = timedelta(seconds=5)
MAX_BEHIND = timedelta(days=30)  # a gateway that was cut off catches up; 1970 is farther away


class BadReading(Exception):
    """It cannot be taken; the text says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """As a meter told it: A on each line, W in total or on each line, or both.

    `at`: ISO 8601, seconds or milliseconds since 1970, or None for the time of receipt. Nothing here is checked yet.
    """

    meter_id: int
    amps: Any = None
    watts: Any = None
    at: Any = None
    received_at: datetime | None = None  # None: now


@dataclass(frozen=True, slots=True)
class Sample:
    """As it is kept. `watts` None: not told."""

    meter_id: int
    at: datetime
    received_at: datetime
    amps: tuple[float, ...]
    watts: float | None


def sample_of(told: Told, supply: Supply, now: datetime) -> Sample:
    """BadReading says in words what cannot be taken."""
    received_at = told.received_at or now
    lines = len(supply.lines)
    amps = _numbers(told.amps, "amps", MOST_A, lines)
    per_line, watts = None, None
    if isinstance(told.watts, list | tuple):
        per_line = _numbers(told.watts, "watts", MOST_W, lines)
        watts = math.fsum(per_line) if per_line else None
    elif told.watts is not None:
        watts = _number(told.watts, "watts", MOST_W)
    if amps and per_line and len(amps) == len(per_line):
        # Most meters tell current without its direction.
        amps = [math.copysign(a, w) if w else a for a, w in zip(amps, per_line, strict=True)]
    elif not amps and per_line:
        amps = [value / supply.volts for value in per_line]
    elif not amps and watts is not None:
        amps = [watts / supply.volts / lines] * lines
    elif not amps:
        raise BadReading("It tells neither amps nor watts.")
    return Sample(told.meter_id, _time(told.at, received_at), received_at, tuple(amps), watts)


def _numbers(told: Any, name: str, most: float, lines: int) -> list[float]:
    if told is None:
        return []
    values = told if isinstance(told, list | tuple) else [told]
    if len(values) > lines:
        raise BadReading(f"The connection has {lines} lines, but {name} tells of {len(values)}.")
    return [_number(value, name, most) for value in values]


def _number(value: Any, name: str, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadReading(f"In {name} there is something that is no number.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadReading(f"In {name} there is a number without end.")
    if abs(number) > most:
        raise BadReading(f"In {name} there is {number:.0f}: no site has so much.")
    return number


def _time(told: Any, received_at: datetime) -> datetime:
    """In UTC. What is unusable is the time of receipt."""
    if told is None or isinstance(told, bool):
        return received_at
    if isinstance(told, int | float):
        try:
            told = datetime.fromtimestamp(told / 1000 if abs(told) > 1e11 else told, UTC)
        except (ValueError, OverflowError, OSError):
            return received_at
    text = told.isoformat() if isinstance(told, datetime) else str(told)[:64]
    return clock.sanitise(text, received_at, max_ahead=MAX_AHEAD, max_behind=MAX_BEHIND)[0]


def apart(samples: Sequence[Sample]) -> list[Sample]:
    """Sorted by meter and time. Those for which the time of receipt stands in are kept apart by microseconds, in the
    order in which they were told; of others that tell the same time the first stays."""
    found: dict[tuple[int, datetime], Sample] = {}
    stands_in: dict[tuple[int, datetime], int] = {}
    for sample in samples:
        place = sample.meter_id, sample.at
        if sample.at == sample.received_at:
            count = stands_in[place] = stands_in.get(place, -1) + 1
            place = sample.meter_id, sample.at + timedelta(microseconds=count)
        found.setdefault(place, replace(sample, at=place[1]))
    return [found[place] for place in sorted(found)]
