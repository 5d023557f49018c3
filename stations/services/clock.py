"""What a station says of time, made usable. The raw text is kept beside it by every caller.

Seen on the wire: 1970 after a power cut, year 222222017, ten years ahead, no zone, garbage. Messages from an offline
queue are legitimately weeks old, so being late is no fault in itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MAX_AHEAD = timedelta(minutes=10)  # a clock that runs ahead by less is taken at its word
MAX_BEHIND = timedelta(days=90)  # queues of 60 days have been seen; 1970 is farther away
ABSURDLY_AHEAD = timedelta(hours=26)  # less is a zone told wrongly (UTC+14 at most, and a day's slip)

NO_ZONE = "no_zone"  # taken as UTC, and close to the time of receipt: harmless
ZONE_UNKNOWN = "zone_unknown"  # taken as UTC, but away from receipt: may be local time
CLOCK_AHEAD = "clock_ahead"  # later than now by hours: the time of receipt stands in
BAD_TIMESTAMP = "bad_timestamp"  # absurd or unreadable: the time of receipt stands in


def sanitise(
    raw: str, received_at: datetime, *, max_ahead: timedelta = MAX_AHEAD, max_behind: timedelta = MAX_BEHIND
) -> tuple[datetime, tuple[str, ...]]:
    """(time in UTC, flags). Where the told time cannot be used, `received_at` takes its place."""
    try:
        told = datetime.fromisoformat(raw.strip())
        flags: tuple[str, ...] = ()
        if told.tzinfo is None:
            told = told.replace(tzinfo=UTC)
            flags = (NO_ZONE,) if abs(told - received_at) <= max_ahead else (NO_ZONE, ZONE_UNKNOWN)
        told = told.astimezone(UTC)
    except (ValueError, OverflowError):
        return received_at, (BAD_TIMESTAMP,)
    if told - received_at > max_ahead:
        absurd = told - received_at > ABSURDLY_AHEAD
        return received_at, (BAD_TIMESTAMP if absurd else CLOCK_AHEAD,)
    if received_at - told > max_behind:
        return received_at, (BAD_TIMESTAMP,)
    return told, flags


def ahead_seconds(raw: str, received_at: datetime) -> float | None:
    """By how much the time as told is ahead of that of receipt, however absurd. None where it has no zone."""
    try:
        told = datetime.fromisoformat(raw.strip())
    except ValueError:
        return None
    if told.tzinfo is None:
        return None
    return max(-1e10, min(1e10, (told - received_at).total_seconds()))


def milliseconds(at: datetime) -> int:
    """Since 1970, exact."""
    return (at - _EPOCH) // _MILLISECOND


def from_milliseconds(value: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
