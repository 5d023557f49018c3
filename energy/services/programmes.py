"""The slow loop of a site: the programme of the next hours, from its cars, its limits and what power costs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.utils import timezone

from energy.clock import open_since
from energy.control import Cars, Controller
from energy.day import Horizon, adopt, draft
from energy.departures import Departures
from energy.grid import TOTAL, Bools, Floats
from energy.models import Steering
from energy.policy import HOLD, NO_PEAK, SAVE, Policies
from energy.programme import Prices, Programme
from energy.services.loops import Loop
from energy.services.observing import NeedSeen

log = logging.getLogger("voltyard.energy")

PERIOD_S, PERIODS = 900.0, 48
EVERY_S, SOON_S = 300.0, 20.0  # again; after a car has come or gone, or wants something else
DAY_S = 86_400.0
CO2_PRICE = 0.0005  # what a gram is held to cost where CO2 alone counts: only ratios matter
HELD_PEAK = 500.0  # per kW above a peak that is to be held: below what unmet energy costs


@dataclass(frozen=True)
class Draft:
    """What a programme is made from, as it was at one moment: the fast loop goes on meanwhile."""

    control: Controller
    sessions: dict[int, int]  # by leaf
    stated: Bools
    cars: Cars
    plugged: Bools
    now: float
    horizon: Horizon
    departures: Departures | None
    price: Floats
    limits: Floats
    base_w: Floats
    total: int | None  # the root's row of all lines together

    @property
    def varies(self) -> bool:
        return bool(np.ptp(self.price) > 1e-9)

    def solve(self) -> Programme | None:
        """Pure, and slow: up to some seconds. None: there is none in time."""
        grid = self.control.grid
        return draft(self.cars, self.plugged, grid, self.now, self.horizon, self.departures)


@dataclass
class Slow:
    """Of one site. `job`: what is being solved, by whom."""

    made_at: float = 0.0
    cars: dict[int, NeedSeen | None] = field(default_factory=dict)  # sessions that the last one was made for
    paid_w: float = 0.0  # the highest of cars and building since the process began
    departures: Departures = field(default_factory=Departures)
    told: dict[int, tuple[float, float]] = field(default_factory=dict)  # session -> (came, was to leave)
    job: tuple[Draft, Future[Programme | None]] | None = None

    def is_due(self, loop: Loop) -> bool:
        now, cars = loop.clock(), loop.wanted()
        wait = EVERY_S if cars == self.cars else SOON_S
        return loop.control is not None and self.job is None and now - self.made_at >= wait

    def begin(self, loop: Loop, solving: Executor, ready: Callable[[], None]) -> None:
        """Have the next programme made elsewhere: the fast loop waits for nothing. `ready` is called when it is."""
        made = self._draft(loop)
        future = solving.submit(made.solve)
        self.job = made, future
        future.add_done_callback(lambda _done: ready())

    def take(self, loop: Loop) -> dict[str, Any] | None:
        """Hand the programme to the fast loop if it is ready. As Steering.programme (energy.picture); None: there is
        none, or it was made for a tree that is no more."""
        if self.job is None or not self.job[1].done():
            return None
        (made, future), self.job = self.job, None
        control = made.control
        if future.cancelled() or loop.control is not control:
            self.made_at = 0.0
            return None
        if error := future.exception():
            log.error("no programme was made", exc_info=error, extra={"site": loop.site_id})
        found = None if error else future.result()
        loop.later = np.full(len(control.grid.leaves), np.inf)
        if found is None:
            return None
        same = np.array([
            leaf in loop.sessions and loop.sessions[leaf].id == made.sessions.get(leaf)
            for leaf in range(len(control.grid.leaves))
        ], dtype=bool)  # fmt: skip
        adopt(control, found, made.horizon, who=same)
        if made.varies:
            self._wait_for_cheap(loop, made, found, same)
        return _as_json(loop, found, made)

    def _draft(self, loop: Loop) -> Draft:
        control, tree, now = loop.control, loop.tree, loop.clock()
        assert control is not None and tree is not None
        self._learn(loop, now)
        self.made_at, self.cars = now, loop.wanted()
        policies, zone = loop.policies, ZoneInfo(tree.connection.site.time_zone)
        moments = [datetime.fromtimestamp(now + PERIOD_S * n, UTC).astimezone(zone) for n in range(PERIODS)]
        building = loop.building(now)
        limits = np.array([tree.limits_at(moment) for moment in moments]) * (
            1 - policies.reserve_percent / 100
        )
        room = np.maximum(limits - building, 0.0)
        root = tree.root.pk if tree.root else 0
        total = next(
            (n for n, row in enumerate(control.grid.rows) if (row.node, row.part) == (str(root), TOTAL)), None
        )
        base_w = np.full(PERIODS, 0.0 if total is None else float(building[total]))
        price = prices_at(policies, moments)
        self._note_peak(loop, float(base_w[0]))
        horizon = Horizon(
            np.full(PERIODS, PERIOD_S), room, self._prices(policies, price, base_w), base_w=base_w
        )
        stated = np.array(
            [loop.stated.get(leaf, False) for leaf in range(len(control.grid.leaves))], dtype=bool
        )
        sessions = {leaf: session.id for leaf, session in loop.sessions.items()}
        # Who doubts a departure charges at once: where waiting is cheaper, drivers are taken at their word.
        varies = bool(np.ptp(price) > 1e-9)
        return Draft(
            control, sessions, stated, deepcopy(control.cars), control.ledger.plugged.copy(), now, horizon,
            None if varies else deepcopy(self.departures), price, limits, base_w, total,
        )  # fmt: skip

    def _prices(self, policies: Policies, price: Floats, base_w: Floats) -> Prices:
        if policies.peak_mode == NO_PEAK:
            return Prices(price)
        if policies.peak_mode == HOLD:
            return Prices(price, peak_kw=HELD_PEAK, paid_peak_w=(policies.peak_limit_kw or 0.0) * 1000)
        assert policies.peak_mode == SAVE
        paid = max(policies.peak_paid_kw * 1000, self.paid_w, float(base_w.max()))
        return Prices(price, peak_kw=policies.per_kw, paid_peak_w=paid)

    def _note_peak(self, loop: Loop, building_w: float) -> None:
        assert loop.control is not None
        draw = np.where(loop.control.ledger.plugged, np.nan_to_num(loop.control.cars.draw), 0.0)
        self.paid_w = max(self.paid_w, building_w + float((draw * loop.control.grid.volts).sum()))

    def _wait_for_cheap(self, loop: Loop, made: Draft, found: Programme, same: Bools) -> None:
        """Cars that tell need and departure, and lack nothing by it, take now what the programme wants now, if power is
        cheaper later while they are there."""
        begins = made.now + PERIOD_S * np.arange(PERIODS)
        there = begins[:, None] < made.cars.departure
        cheapest = np.where(there, made.price[:, None], np.inf).min(axis=0)
        sure = same & made.stated & (found.unmet_wh < 100.0) & (cheapest < made.price[0] - 1e-9)
        least = made.control.grid.min_a
        wanted = np.where(found.pilots[0] > 0.05, np.maximum(found.pilots[0], least), 0.0)
        loop.later = np.where(sure, wanted, np.inf)

    def _learn(self, loop: Loop, now: float) -> None:
        """When cars leave, beside what was told. Seconds whose days begin at the site's midnight."""
        control, tree = loop.control, loop.tree
        assert control is not None and tree is not None
        shift = (
            datetime.fromtimestamp(now, ZoneInfo(tree.connection.site.time_zone)).utcoffset() or timedelta()
        )
        there = {one.id: leaf for leaf, one in loop.sessions.items()}
        for session, (came, leaves) in list(self.told.items()):
            if session not in there:
                self.departures.learn(came=came, told=leaves, left=now + shift.total_seconds())
                del self.told[session]
        for session, leaf in there.items():
            if loop.stated.get(leaf) and np.isfinite(control.cars.departure[leaf]):
                self.told[session] = (
                    loop.sessions[leaf].began.timestamp() + shift.total_seconds(),
                    float(control.cars.departure[leaf]) + shift.total_seconds(),
                )


def _is_priced(policies: Policies) -> bool:
    return policies.per_kwh is not None or any(window.per_kwh is not None for window in policies.windows)


def prices_at(policies: Policies, moments: list[datetime]) -> Floats:
    """What a kWh is held to cost at these wall-clock times: money and CO2 by their weight."""
    found = []
    for moment in moments:
        window = next((one for one in policies.windows if open_since(one, moment)), None)
        money = policies.per_kwh if window is None or window.per_kwh is None else window.per_kwh
        grams = (
            policies.co2_g_per_kwh if window is None or window.co2_g_per_kwh is None else window.co2_g_per_kwh
        )
        weight = policies.co2_weight
        found.append((1 - weight) * (money or 0.0) + weight * (grams or 0.0) * CO2_PRICE)
    return np.array(found)


def _as_json(loop: Loop, found: Programme, made: Draft) -> dict[str, Any]:
    control, tree, now = made.control, loop.tree, made.now
    assert tree is not None
    price = made.price if _is_priced(loop.policies) else None
    cars_w = (found.pilots * control.grid.volts).sum(axis=1)
    limit_w = root_limit_w(loop, made.limits, made.total)
    served = [
        leaf for leaf in range(len(tree.wired)) if found.pilots[:, leaf].any() or found.unmet_wh[leaf] > 1
    ]
    return {
        "at": now, "start": now, "period_s": PERIOD_S,
        "total_w": [round(float(one)) for one in cars_w],
        "building_w": [round(float(one)) for one in made.base_w],
        "limit_w": [None if one is None else round(one) for one in limit_w],
        "price": None if price is None else [round(float(one), 5) for one in price],
        "peak_w": round(float(found.peak_w)) if control.peak is not None else None,
        "outlets": {
            str(tree.wired[leaf].evse_id): [round(float(one), 1) for one in found.pilots[:, leaf]] for leaf in served
        },
        "unmet_wh": {
            str(tree.wired[leaf].evse_id): round(float(found.unmet_wh[leaf])) for leaf in served
            if found.unmet_wh[leaf] > 1
        },
        "ready": {str(tree.wired[leaf].evse_id): at for leaf in served if (at := _ready(made, found, leaf))},
    }  # fmt: skip


def _ready(made: Draft, found: Programme, leaf: int) -> float | None:
    """When its car has what it needs; None: not within these hours."""
    need = float(made.cars.need_wh[leaf])
    wh = np.cumsum(found.pilots[:, leaf]) * made.control.grid.volts[leaf] * PERIOD_S / 3600
    enough = np.flatnonzero(wh >= need - 1.0)
    if not len(enough) or not need:
        return None
    last = int(enough[0])
    before = float(wh[last - 1]) if last else 0.0
    at = made.now + PERIOD_S * (last + (need - before) / max(float(wh[last]) - before, 1.0))
    return round(min(at, max(made.now, float(made.cars.departure[leaf]))))


def root_limit_w(loop: Loop, limits: Floats, total: int | None) -> list[float | None]:
    """W that the connection carries in each period: its limit in total, or of its lines together."""
    assert loop.tree is not None and loop.tree.root is not None
    lines = [
        n
        for n, row in enumerate(loop.tree.grid.rows)
        if row.node == str(loop.tree.root.pk) and row.part != TOTAL
    ]
    of_lines = limits[:, lines].sum(axis=1) * loop.tree.supply.volts
    whole = of_lines if total is None else np.minimum(of_lines, limits[:, total])
    return [float(one) if one < 1e7 else None for one in whole]


def keep(*, loop: Loop, programme: dict[str, Any]) -> None:
    mine = Steering.objects.filter(
        tenant_id=loop.tenant_id, connection_id=loop.connection_id, token=loop.token
    )
    mine.update(programme=programme, programme_at=timezone.now())
