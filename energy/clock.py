"""Windows of the day by a site's wall clock: of limits, and of prices. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Protocol


class Window(Protocol):
    """`weekdays`: 0 is Monday; none: all."""

    @property
    def begins(self) -> time: ...
    @property
    def ends(self) -> time: ...
    @property
    def weekdays(self) -> Sequence[int]: ...


def open_since(window: Window, local: datetime) -> date | None:
    """The day on which the window that is open at this time began; None: it is shut. One that ends before it begins
    goes past midnight, and belongs to the day on which it began."""
    clock, day = local.time().replace(tzinfo=None), local.date()
    overnight = window.ends <= window.begins
    if overnight and clock < window.ends:
        day -= timedelta(days=1)
    elif clock < window.begins or (not overnight and clock >= window.ends):
        return None
    return None if window.weekdays and day.weekday() not in window.weekdays else day
