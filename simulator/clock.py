"""A station's idea of time: how fast its world runs, and what it writes on the wire."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

# A world that only `advance` moves begins in the past, so that hours may pass in it without its stamps
# running ahead of wall time.
MANUAL_START = timedelta(hours=6)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Simulated seconds for the physics, and timestamps for the frames.

    speed      simulated seconds per real second. 0: only `advance()` moves time (tests); it begins six hours ago.
    since      the station's world starts at this past moment and runs at `speed` until it has caught
               up with wall time, then at wall speed. Without it timestamps are wall time at any speed,
               so that with speed 60 energy grows sixty times as fast as the timestamps tell.
    offset     how wrong the clock is.
    stuck_1970 a station without a battery for its clock: counts from the epoch.
    zone       False: timestamps without "Z", as some stations write them.
    """

    def __init__(
        self,
        speed: float = 1.0,
        *,
        since: datetime | None = None,
        offset: timedelta = timedelta(0),
        stuck_1970: bool = False,
        zone: bool = True,
    ) -> None:
        self.speed = speed
        self.offset = offset
        self.stuck_1970 = stuck_1970
        self.zone = zone
        self._advanced = 0.0
        self._real_start = time.monotonic()
        self._start = since or datetime.now(UTC) - (MANUAL_START if speed == 0 else timedelta(0))
        self._backlog = max(0.0, (datetime.now(UTC) - self._start).total_seconds()) if since else 0.0

    @property
    def manual(self) -> bool:
        return self.speed == 0

    @property
    def rate(self) -> float:
        """Simulated seconds per real second at this moment."""
        if self._backlog and self._caught_up():
            return 1.0
        return self.speed

    def _real(self) -> float:
        return time.monotonic() - self._real_start

    def _catch_up_real(self) -> float:
        """Real seconds after which a world that began in the past meets wall time."""
        return self._backlog / (self.speed - 1) if self.speed > 1 else float("inf")

    def _caught_up(self) -> bool:
        return self._real() >= self._catch_up_real()

    def seconds(self) -> float:
        """Simulated seconds since the station was made."""
        if self.manual:
            return self._advanced
        if self._backlog and self._caught_up():
            meeting = self._catch_up_real()
            return meeting * self.speed + (self._real() - meeting)
        return self._real() * self.speed

    def true_time(self) -> datetime:
        """The moment the station's world is at, before its clock gets it wrong."""
        if self.manual or self._backlog:
            return self._start + timedelta(seconds=self.seconds())
        return datetime.now(UTC)

    def now(self) -> datetime:
        """The moment the station believes it is."""
        if self.stuck_1970:
            return EPOCH + timedelta(seconds=self.seconds())
        return self.true_time() + self.offset

    def stamp(self, at: datetime | None = None) -> str:
        """An OCPP timestamp (RFC 3339, milliseconds) of `at`, or of now."""
        text = (at or self.now()).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        return text + "Z" if self.zone else text

    def advance(self, seconds: float) -> None:
        """Move a manual clock. Use `SimulatedStation.advance`, which lets the cars charge meanwhile."""
        self._advanced += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait for simulated seconds; on a manual clock for real ones, at most one."""
        await asyncio.sleep(min(seconds, 1.0) if self.manual else seconds / self.rate)


def read_stamp(text: str) -> datetime:
    """The moment that an OCPP timestamp names; one without zone counts as UTC."""
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
