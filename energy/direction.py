"""Which way the clamps of a meter look, line by line. Nights tell, for no sun shines and whatever stands there draws.

A clamp the wrong way round tells what the building draws as if it flowed out, and what flows out is room for cars. By
day nobody can tell it from a roof full of sun. So what a line says to flow out is believed once a night has shown it to
draw; until then, and where the night shows the opposite, the amount counts as drawn, whichever way it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo

import numpy as np

from energy.grid import LINES, Bools, Floats

DARK = time(0), time(3)  # by the site's clock: no sun anywhere that a clock is near the sun's
SHARE = 0.9  # of the night's readings lie at or below what is kept of it
FEWEST = 60  # readings that make a night
CLEAR_A = 0.2  # less may be the meter's own error


def dark_hours(now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Those of today, by the clock there. Over only if the second is past."""
    today = now.astimezone(zone).date()
    begins, ends = (datetime.combine(today, at, zone) for at in DARK)
    return begins, ends


def sure(night_a: Sequence[float], lines: int) -> Bools:
    """Lines that surely tell what is drawn as positive. `night_a`: A of a night (`SHARE`), of the lines that told."""
    return _told(night_a, lines) >= CLEAR_A


def turned(night_a: Sequence[float]) -> tuple[str, ...]:
    """Names of the lines on which nearly all of a night power was told to flow out."""
    return tuple(line for line, amps in zip(LINES, night_a, strict=False) if amps <= -CLEAR_A)


def _told(night_a: Sequence[float], lines: int) -> Floats:
    return np.array([*night_a, *[0.0] * lines][:lines], dtype=float)


def believed(load: Floats, *, sure: Bools, most: Floats) -> Floats:
    """A on each line to count for what a meter tells. What flows out where that is not sure counts as drawn, but with
    no more than `most`, as if the meter was silent: a site with sun is no worse off than that."""
    return np.where((load >= 0) | sure, load, np.minimum(-load, most))
