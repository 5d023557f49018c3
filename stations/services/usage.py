"""When a session charged and when the car just stood: from registers and states to the neutral usage that is priced.

Pure. Registers tell how much flowed between two instants; states (1.6 connector status, 2.x charging state) tell when
within that time. Energy flowed wins over a state that denies it; the sum is stop minus start to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise

from billing.usage import Usage, UsagePeriod

# A register that counts in tenths of a kWh stands still for minutes while a car charges slowly.
COARSE = timedelta(minutes=5)
# StartTransaction comes before the status "charging", and the status after charging before StopTransaction. What lies
# between is the station at work (locking, pre-charge, the network), not a car that parks.
HANDSHAKE = timedelta(minutes=1)
_MILLI = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Point:
    """What the import register showed."""

    at: datetime
    register_wh: Decimal


@dataclass(frozen=True, slots=True)
class State:
    """From `at` on the station said that the car charges, or that it does not."""

    at: datetime
    charging: bool


@dataclass(slots=True)
class _Stretch:
    start: datetime
    end: datetime
    energy_wh: Decimal
    charging: bool
    told: bool  # a state said so

    @property
    def length(self) -> timedelta:
        return self.end - self.start


def usage(
    *,
    started_at: datetime,
    ended_at: datetime,
    meter_start_wh: Decimal,
    energy_wh: Decimal,
    time_zone: str,
    points: Iterable[Point] = (),
    states: Iterable[State] = (),
) -> Usage:
    """The use of a session that drew `energy_wh` from `meter_start_wh` on. Points that contradict it are left out."""
    line = _line(started_at, ended_at, meter_start_wh, energy_wh, points)
    told = sorted(states, key=lambda state: state.at)
    stretches = [piece for a, b in pairwise(line) for piece in _between(a, b, told)]
    _bridge(stretches)
    periods = tuple(
        UsagePeriod(one.start, one.end, one.energy_wh, one.charging) for one in _joined(stretches)
    )
    return Usage(started_at, ended_at, time_zone, periods)


def _line(
    started_at: datetime, ended_at: datetime, begin: Decimal, energy: Decimal, points: Iterable[Point]
) -> list[Point]:
    """A rising line from start to stop through the points that fit."""
    end = begin + energy
    line = [Point(started_at, begin)]
    for point in sorted(points, key=lambda one: (one.at, one.register_wh)):
        if line[-1].at < point.at < ended_at and line[-1].register_wh <= point.register_wh <= end:
            line.append(point)
    return [*line, Point(ended_at, end)]


def _between(a: Point, b: Point, states: Sequence[State]) -> list[_Stretch]:
    """The stretches between two points, cut where the state changed; the energy is shared by time charging."""
    energy = b.register_wh - a.register_wh
    pieces = _cut(a.at, b.at, states)
    flowing = [piece for piece in pieces if piece.charging] if energy else []
    if energy and not flowing:  # the state denies it, the meter proves it
        flowing = pieces
        for piece in pieces:
            piece.charging = True
    if not energy:
        for piece in pieces:
            piece.charging = False
    _share(energy, flowing)
    return pieces


def _cut(start: datetime, end: datetime, states: Sequence[State]) -> list[_Stretch]:
    now = [state for state in states if state.at <= start]
    changes = [state for state in states if start < state.at < end]
    edges = [start, *(state.at for state in changes), end]
    values: list[bool | None] = [now[-1].charging if now else None, *(state.charging for state in changes)]
    return [
        _Stretch(a, b, Decimal(0), value is not False, value is not None)
        for (a, b), value in zip(pairwise(edges), values, strict=True)
        if b > a or len(values) == 1
    ]


def _share(energy: Decimal, pieces: Sequence[_Stretch]) -> None:
    total = sum((piece.length for piece in pieces), timedelta(0))
    left = energy
    for piece in pieces[:-1]:
        part = energy * (piece.length // _MICRO) / (total // _MICRO) if total else Decimal(0)
        piece.energy_wh = part.quantize(_MILLI, rounding=ROUND_DOWN)
        left -= piece.energy_wh
    if pieces:
        pieces[-1].energy_wh = left


_MICRO = timedelta(microseconds=1)


def _bridge(stretches: list[_Stretch]) -> None:
    """A short standstill of a coarse register between charging is charging, unless a state says otherwise."""
    joined = _joined(stretches)
    bridges = {
        (gap.start, gap.end)
        for before, gap, after in zip(joined, joined[1:], joined[2:], strict=False)
        if before.charging and after.charging and not gap.charging and gap.length < COARSE
    }
    for stretch in stretches:
        if any(start <= stretch.start and stretch.end <= end for start, end in bridges):
            stretch.charging = stretch.charging or not stretch.told or stretch.length < COARSE
    joined = _joined(stretches)
    for edge in (joined[0], joined[-1]):
        if edge.length < HANDSHAKE:
            for stretch in stretches:
                stretch.charging |= edge.start <= stretch.start and stretch.end <= edge.end


def _joined(stretches: Iterable[_Stretch]) -> list[_Stretch]:
    joined: list[_Stretch] = []
    for one in stretches:
        if joined and joined[-1].charging == one.charging:
            last = joined[-1]
            joined[-1] = _Stretch(last.start, one.end, last.energy_wh + one.energy_wh, one.charging, one.told)
        else:
            joined.append(_Stretch(one.start, one.end, one.energy_wh, one.charging, one.told))
    return joined
