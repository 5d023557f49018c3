"""A station's own log: what it noticed and did, with the times of its own clock. It outlives reboots."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

MOST_LINES = 1000


@dataclass(frozen=True)
class Line:
    at: datetime
    stamp: str
    level: str  # INFO, WARN, ERROR
    text: str
    security: bool = False

    def __str__(self) -> str:
        return f"{self.stamp} {self.level:<5} {self.text}"


class Journal:
    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=MOST_LINES)

    def add(self, line: Line) -> None:
        self._lines.append(line)

    def lines(
        self, *, security: bool = False, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[str]:
        """The diagnostics log, or the security log; between two moments where they are given."""
        for line in self._lines:
            if line.security == security and (since or line.at) <= line.at <= (until or line.at):
                yield str(line)


# What a station's maker calls the errors of 1.6, and what its technician reads in the log.
VENDOR_CODES = {
    "ConnectorLockFailure": ("VY-0104", "Lock motor blocked after 3 attempts"),
    "GroundFailure": ("VY-0211", "Residual current 34 mA, limit 30 mA"),
    "HighTemperature": ("VY-0302", "Inlet at 96 C, power cut off"),
    "OverCurrentFailure": ("VY-0213", "L1 at 41 A for 10 s, limit 32 A"),
    "PowerMeterFailure": ("VY-0405", "No answer from the meter on RS-485"),
}


def explain(code: str) -> tuple[str, str]:
    """The maker's code of an error, and its sentence."""
    return VENDOR_CODES.get(code, (code, "Details are not known"))
