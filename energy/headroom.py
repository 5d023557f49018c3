"""What the building takes, as its meter tells: the highest of the last half minute, or its maximum if it is mute."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from energy.grid import Floats

WINDOW_S = 30.0
SILENT_S = 5.0
FROZEN = 10  # samples in a row that are alike to the last bit: no load is so steady


@dataclass
class Meter:
    """Of one node, A on each line (or W in total). `maximum`: counted while the meter cannot be trusted."""

    maximum: Floats
    alike: int = 0
    last_at: float = -np.inf
    last: Floats | None = None
    recent: deque[tuple[float, Floats]] = field(default_factory=deque)

    def take(self, load: Floats, at: float) -> None:
        """A sample; one from the past is dropped. Negative is what flows out (solar)."""
        if at <= self.last_at or not np.all(np.isfinite(load)):
            return
        same = self.last is not None and bool(np.array_equal(load, self.last)) and bool(np.any(load))
        self.alike = self.alike + 1 if same else 0
        self.last, self.last_at = load, at
        self.recent.append((at, load))
        self._drop(at)

    def is_mute(self, now: float) -> bool:
        return now - self.last_at > SILENT_S or self.alike >= FROZEN

    def load(self, now: float) -> Floats:
        """What to count at `now`."""
        if self.is_mute(now):
            return self.maximum
        self._drop(now)
        return np.max([load for _at, load in self.recent], axis=0)

    def _drop(self, now: float) -> None:
        """What is older than the window, but never the newest."""
        while len(self.recent) > 1 and self.recent[0][0] < now - WINDOW_S:
            self.recent.popleft()
