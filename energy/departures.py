"""When cars really leave, whatever their drivers said: learned from sessions that ended.

Drivers are wrong by hours, and each site in its own way: who says late leaves earlier, who says early stays. So a
departure is no moment but a chance that falls with time: of earlier cars that came and were to leave at about the same
time of day, the share that stayed longer. Pure; seconds of a clock whose days begin at the site's midnight.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from energy.grid import Floats

DAY_S = 86_400.0
ALIKE_S = (3600.0, 5400.0)  # of arrivals, of told departures: so far apart they still say much of each other
SPREAD_S = 1800.0  # a car that left at a moment speaks for those around it
DOUBT_S = 7200.0  # of a site that nothing is known of: half of the cars leave further from the told time than 0.7 of it
DOUBT = 2.0  # like sessions that this is worth
MEMORY = 300


@dataclass
class Departures:
    """`ended`: (came, was to leave, left) of the last sessions, since midnight before they came."""

    ended: deque[tuple[float, float, float]] = field(default_factory=lambda: deque(maxlen=MEMORY))

    def learn(self, *, came: float, told: float, left: float) -> None:
        """A session with a told departure has ended."""
        if np.all(np.isfinite([came, told, left])):
            midnight = came - came % DAY_S
            self.ended.append((came - midnight, told - midnight, left - midnight))

    def there(self, now: float, *, came: Floats, told: Floats, at: Floats) -> Floats:
        """(times x cars) how likely each car, which is there now, is still there at each time. 1: none was told."""
        midnight = came - came % DAY_S
        known = np.isfinite(told)
        told = np.where(known, told, now)
        ended = np.array(self.ended).reshape(-1, 3).T
        apart = (came - midnight)[:, None] - ended[0], (told - midnight)[:, None] - ended[1]
        alike = np.exp(-0.5 * sum((off / wide) ** 2 for off, wide in zip(apart, ALIKE_S, strict=True)))
        stays = _stays(at[:, None] - midnight, told - midnight, ended[2], alike)
        until_now = _stays(np.full((1, len(came)), now) - midnight, told - midnight, ended[2], alike)
        return np.where(known, np.minimum(stays / until_now, 1.0), 1.0)


def _stays(time: Floats, told: Floats, left: Floats, alike: Floats) -> Floats:
    """(times x cars) the share that leaves later, never quite 0: of sessions that were alike, and of a few that leave
    around the told time, as many before as after."""
    far = (time - told) / DOUBT_S
    tail = 0.5 * np.exp(-np.minimum(np.abs(far), 30.0))
    doubt = np.where(far < 0, 1 - tail, tail)
    later = np.clip(0.5 + (left - time[..., None]) / (2 * SPREAD_S), 0.0, 1.0)
    return ((later * alike).sum(axis=-1) + DOUBT * doubt) / (alike.sum(axis=-1) + DOUBT)
