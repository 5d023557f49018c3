"""What power costs a site at a moment of its wall clock, by its policy (energy.policy)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from energy.clock import open_since
from energy.policy import Policies, PriceWindow


@dataclass(frozen=True)
class SitePrices:
    """`per_kwh` outside of the windows, `per_kw` of the peak; in the company's currency."""

    per_kwh: float
    windows: tuple[PriceWindow, ...] = ()
    per_kw: float = 0.0

    def at(self, local: datetime) -> float:
        """Per kWh. The first window that is open counts; one without a price of its own changes nothing."""
        found = next((one.per_kwh for one in self.windows if open_since(one, local)), None)
        return self.per_kwh if found is None else found


def of_policy(policy: Mapping[str, Any]) -> SitePrices | None:
    """None where no price is entered."""
    told = Policies.of_row(policy)
    return None if told.per_kwh is None else SitePrices(told.per_kwh, told.windows, told.per_kw)
