"""The last 24 hours of a site, and the hours to come: series for charts, figures, a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.utils.translation import gettext as _

from energy import demand, prices, replay
from energy.grid import Floats
from energy.policy import Policies
from energy.queries import NO_LIMIT_A, SiteTree
from energy.replay import Car, Steps

STEP_S = 300.0
PER_QUARTER = int(demand.QUARTER_S / STEP_S)
MOST_PERIODS = 500


@dataclass(frozen=True)
class DayFigures:
    """`peak_w`: highest quarter of an hour. `free_peak_w`: the same had each car charged at once with the most that it
    was seen to take; None: nothing was recorded, or nobody charged. `costs`: of the cars' energy, really and so."""

    energy_wh: float
    peak_w: float | None
    free_peak_w: float | None
    costs: tuple[float, float] | None
    sessions: int

    @property
    def avoided_w(self) -> float | None:
        """None where there is nothing to tell. Below zero is none: a mean of quarters may waver."""
        if self.peak_w is None or self.free_peak_w is None:
            return None
        return max(0.0, self.free_peak_w - self.peak_w)


@dataclass(frozen=True)
class Hour:
    """A line of the table, W: means, but `grid_w` and `limit_w`, the highest and the lowest."""

    at: datetime
    cars_w: float | None
    building_w: float | None
    solar_w: float | None
    grid_w: float | None
    limit_w: float | None
    waiting: int


@dataclass
class Day:
    """24 hours up to now, in steps of five minutes that begin on a quarter of an hour."""

    tree: SiteTree
    now: datetime
    steps: Steps
    minutes: demand.Minutes

    @cached_property
    def cars(self) -> Sequence[Car]:
        return demand.cars_of(self.tree, datetime.fromtimestamp(self.steps.begin, UTC), self.now)

    @classmethod
    def until(cls, tree: SiteTree, now: datetime) -> Day:
        begin = demand.quarter(now - timedelta(hours=24))
        count = int(np.ceil((now - begin).total_seconds() / STEP_S))
        steps = Steps(begin.timestamp(), STEP_S, count)
        return cls(tree, now, steps, demand.minutes_of(tree, steps))

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.tree.connection.site.time_zone)

    @property
    def site_w(self) -> Floats:
        """What the site takes: its meter's word, else cars and building."""
        minutes = self.minutes
        own = minutes.cars_w + np.nan_to_num(minutes.net_w)
        return np.where(np.isfinite(minutes.grid_w), minutes.grid_w, own)

    @property
    def limit_w(self) -> Floats:
        """nan where nothing limits the root."""
        supply = self.tree.supply
        left = 1 - Policies.of_row(self.tree.connection.policy).reserve_percent / 100
        none = NO_LIMIT_A * supply.volts * len(supply.lines) * left * 0.999
        return np.where(self.minutes.limit_w < none, self.minutes.limit_w, np.nan)

    def figures(self) -> DayFigures:
        minutes = self.minutes
        free = replay.free(self.cars, self.steps)
        rest = self.site_w - minutes.cars_w
        peak = highest_quarter(self.site_w)
        there = np.isfinite(minutes.cars_w)
        free_peak = highest_quarter(np.where(there, rest + free.cars_w, np.nan)) if self.cars else None
        energy = float(np.nansum(minutes.cars_w)) * STEP_S / 3600
        return DayFigures(
            energy, peak, None if peak is None else free_peak, self._costs(free.cars_w), len(self.cars)
        )

    def _costs(self, free_w: Floats) -> tuple[float, float] | None:
        told = prices.of_policy(self.tree.connection.policy)
        if told is None or not np.isfinite(self.minutes.cars_w).any():
            return None
        price = price_of_steps(told, self.steps, self.zone)
        kwh = STEP_S / 3_600_000
        really = float(np.nansum(self.minutes.cars_w * price)) * kwh
        return really, float(np.sum(np.where(np.isfinite(self.minutes.cars_w), free_w, 0.0) * price)) * kwh

    def hours(self) -> list[Hour]:
        """Newest first."""
        found = []
        site_w = self.site_w
        for first in range(0, self.steps.count, 12):
            part = slice(first, first + 12)
            minutes = self.minutes
            if not np.isfinite(minutes.cars_w[part]).any():
                continue
            found.append(Hour(
                datetime.fromtimestamp(self.steps.start(first), UTC), _mean(minutes.cars_w[part]),
                _mean(minutes.building_w[part]), _mean(minutes.solar_w[part]), _most(site_w[part]),
                None if (low := _most(-self.limit_w[part])) is None else -low,
                int(_most(np.ceil(minutes.waiting[part])) or 0),
            ))  # fmt: skip
        return found[::-1]

    def chart(self) -> dict[str, Any]:
        minutes = self.minutes
        series = [
            line(_("Cars"), "charging", minutes.cars_w, "area"),
            line(_("Building"), "ink-soft", minutes.building_w),
            line(_("Solar"), "preparing", minutes.solar_w, "dotted"),
            line(_("Whole site"), "ink", self.site_w),
            line(_("Limit"), "faulted", self.limit_w, "limit"),
        ]
        x = [self.steps.start(number) for number in range(self.steps.count)]
        shown = [one for one in series if any(value is not None for value in one["values"])]
        told = prices.of_policy(self.tree.connection.policy)
        return {
            "x": x if shown else [], "zone": str(self.zone), "series": shown,
            "bands": bands(x, price_of_steps(told, self.steps, self.zone), STEP_S) if told else [],
        }  # fmt: skip


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _most(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else None


def quarters(values: Floats) -> Floats:
    """Means of the quarters of an hour; the last may be shorter. nan where nothing is known."""
    parts = [values[first : first + PER_QUARTER] for first in range(0, len(values), PER_QUARTER)]
    return np.array([np.nan if (mean := _mean(part)) is None else mean for part in parts])


def highest_quarter(values: Floats) -> float | None:
    return _most(quarters(values))


def price_of_steps(told: prices.SitePrices, steps: Steps, zone: ZoneInfo) -> Floats:
    return np.array(
        [told.at(datetime.fromtimestamp(steps.start(number), zone)) for number in range(steps.count)]
    )


def line(label: str, state: str, watts: Sequence[float] | Floats, kind: str = "line") -> dict[str, Any]:
    """A series of charts.js in kW."""
    values = [
        None if value is None or not np.isfinite(value) else round(float(value) / 1000, 2) for value in watts
    ]
    return {"label": label, "unit": "kW", "state": state, "kind": kind, "values": values}


def bands(x: Sequence[float], price: Sequence[float] | Floats, step_s: float) -> list[dict[str, Any]]:
    """Times in which power is dearer than at its cheapest, for the ground of a chart."""
    found: list[dict[str, Any]] = []
    cheapest = min(price, default=0.0)
    for at, value in zip(x, price, strict=True):
        if value <= cheapest + 1e-9:
            continue
        if found and found[-1]["to"] == at and found[-1]["price"] == round(float(value), 4):
            found[-1]["to"] = at + step_s
        else:
            found.append({"from": at, "to": at + step_s, "price": round(float(value), 4)})
    return found


# --- the hours to come


@dataclass(frozen=True)
class Period:
    at: datetime
    cars_w: float
    building_w: float | None
    limit_w: float | None
    price: float | None


def _numbers(told: Any, count: int) -> list[float | None]:
    given = told if isinstance(told, list) else []
    found = [
        float(one) if isinstance(one, int | float) and np.isfinite(one) else None for one in given[:count]
    ]
    return found + [None] * (count - len(found))


def periods(programme: dict[str, Any]) -> list[Period]:
    """Of a programme (energy.picture); empty where there is none or it cannot be read."""
    start, length = programme.get("start"), programme.get("period_s")
    total = programme.get("total_w")
    if (
        not isinstance(start, int | float)
        or not isinstance(length, int | float)
        or not isinstance(total, list)
    ):
        return []
    count = min(len(total), MOST_PERIODS)
    columns = zip(
        _numbers(total, count), _numbers(programme.get("building_w"), count),
        _numbers(programme.get("limit_w"), count), _numbers(programme.get("price"), count), strict=True,
    )  # fmt: skip
    return [
        Period(datetime.fromtimestamp(start + number * length, UTC), cars or 0.0, building, limit, price)
        for number, (cars, building, limit, price) in enumerate(columns)
    ]


def plan_chart(found: Sequence[Period], period_s: float, zone: str) -> dict[str, Any]:
    if not found:
        return {"x": [], "zone": zone, "series": []}
    x = [one.at.timestamp() for one in found]
    cars, building = [one.cars_w for one in found], [_nan(one.building_w) for one in found]
    series = [
        line(_("Cars, as planned"), "charging", cars, "step"),
        line(_("Building, expected"), "ink-soft", building, "step"),
        line(_("Limit"), "faulted", [_nan(one.limit_w) for one in found], "limit"),
    ]
    price = [_nan(one.price) for one in found]
    known = not any(np.isnan(price))
    shown = [one for one in series if any(value is not None for value in one["values"])]
    return {"x": x, "zone": zone, "series": shown, "bands": bands(x, price, period_s) if known else []}


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value
