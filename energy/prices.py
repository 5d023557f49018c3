"""What power costs a site, by its wall clock: read from the policy of its connection.

    {"price": {"per_kwh": 0.30, "per_kw": 120.0,
               "windows": [{"begins": "17:00", "ends": "20:00", "weekdays": [0, 1], "per_kwh": 0.45}]}}

Per kWh and per kW of the highest quarter of an hour, in the company's currency. The first window that is open counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any


@dataclass(frozen=True)
class PriceWindow:
    """One that ends before it begins goes past midnight. `weekdays`: 0 is Monday; none: all."""

    begins: time
    ends: time
    per_kwh: float
    weekdays: frozenset[int] = frozenset()

    def is_open(self, local: datetime) -> bool:
        clock, day = local.time().replace(tzinfo=None), local.weekday()
        if self.ends <= self.begins and clock < self.ends:
            day = (day - 1) % 7
        elif clock < self.begins or (self.begins < self.ends <= clock):
            return False
        return not self.weekdays or day in self.weekdays


@dataclass(frozen=True)
class SitePrices:
    per_kwh: float
    windows: tuple[PriceWindow, ...] = ()
    per_kw: float = 0.0

    def at(self, local: datetime) -> float:
        """Per kWh."""
        return next((one.per_kwh for one in self.windows if one.is_open(local)), self.per_kwh)


def of_policy(policy: Mapping[str, Any]) -> SitePrices | None:
    """None where no price is entered."""
    told = policy.get("price")
    if not isinstance(told, dict) or told.get("per_kwh") is None:
        return None
    windows = tuple(
        PriceWindow(
            time.fromisoformat(one["begins"]), time.fromisoformat(one["ends"]), float(one["per_kwh"]),
            frozenset(one.get("weekdays") or ()),
        )
        for one in told.get("windows") or ()
    )  # fmt: skip
    return SitePrices(float(told["per_kwh"]), windows, float(told.get("per_kw") or 0))
