"""What was used, in neutral words: the snapshot a price is made from, as an OCPI CDR keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class UsagePeriod:
    """A stretch of a session. `charging`: energy flowed (OCPI TIME); otherwise the car stood (PARKING_TIME)."""

    start: datetime
    end: datetime
    energy_wh: Decimal
    charging: bool

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a period ends ({self.end}) before it starts ({self.start})")
        if self.energy_wh < 0:
            raise ValueError(f"a period has {self.energy_wh} Wh; energy is never negative")

    @property
    def seconds(self) -> Decimal:
        return seconds(self.end - self.start)


@dataclass(frozen=True, slots=True)
class Usage:
    """One session's use. Times are aware; `time_zone` is the site's (IANA name), for wall-clock rules and display."""

    started_at: datetime
    ended_at: datetime
    time_zone: str
    periods: tuple[UsagePeriod, ...]

    def __post_init__(self) -> None:
        if self.started_at.tzinfo is None or self.ended_at.tzinfo is None:
            raise ValueError("usage needs aware times")
        if self.ended_at < self.started_at:
            raise ValueError(f"usage ends ({self.ended_at}) before it starts ({self.started_at})")

    @property
    def energy_wh(self) -> Decimal:
        return sum((period.energy_wh for period in self.periods), Decimal(0))

    @property
    def charging_seconds(self) -> Decimal:
        return sum((period.seconds for period in self.periods if period.charging), Decimal(0))

    @property
    def parking_seconds(self) -> Decimal:
        return sum((period.seconds for period in self.periods if not period.charging), Decimal(0))


def seconds(span: timedelta) -> Decimal:
    """Exact: a float of seconds would carry binary noise into a price."""
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000


def simple_usage(
    *,
    started_at: datetime,
    ended_at: datetime,
    time_zone: str,
    energy_wh: Decimal,
    parking: timedelta = timedelta(0),
) -> Usage:
    """Charging first, then `parking`: what is known of a running session, and an example for a preview."""
    stopped = max(started_at, ended_at - parking)
    periods = [UsagePeriod(started_at, stopped, energy_wh, True)]
    if stopped < ended_at:
        periods.append(UsagePeriod(stopped, ended_at, Decimal(0), False))
    return Usage(started_at, ended_at, time_zone, tuple(periods))


def to_json(usage: Usage) -> dict[str, Any]:
    return {
        "started_at": usage.started_at.isoformat(),
        "ended_at": usage.ended_at.isoformat(),
        "time_zone": usage.time_zone,
        "periods": [
            {
                "start": period.start.isoformat(),
                "end": period.end.isoformat(),
                "energy_wh": str(period.energy_wh),
                "charging": period.charging,
            }
            for period in usage.periods
        ],
    }


def from_json(stored: dict[str, Any]) -> Usage:
    return Usage(
        started_at=datetime.fromisoformat(stored["started_at"]),
        ended_at=datetime.fromisoformat(stored["ended_at"]),
        time_zone=stored["time_zone"],
        periods=tuple(
            UsagePeriod(
                start=datetime.fromisoformat(period["start"]),
                end=datetime.fromisoformat(period["end"]),
                energy_wh=Decimal(period["energy_wh"]),
                charging=period["charging"],
            )
            for period in stored["periods"]
        ),
    )
