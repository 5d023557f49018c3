"""The fast loop of one site: what happens goes in, orders to connectors come out. Pure: the caller has clock and wire.

`tick` is called on every event and at `due`. It looks who may have how much (`allocate`), lowers at once who must give
way, raises from what the ledger leaves, and sends again what would end soon. It sends as little as it can: a limit
that is off by less than a dead band stays, and profiles that fit even beside the building's maximum last longer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from energy.allocation import Allocation, Wishes, allocate
from energy.filling import TINY, fitting, in_order
from energy.grid import Bools, Floats, Grid
from energy.ledger import NEVER, SETTLE_S, SKEW_S, Ledger
from energy.lines import Lines
from energy.obedience import Disobedience, Watch

OLD_S = 2 * SKEW_S  # a reading from longer ago, by any clock, was kept back
LOWER, RAISE, AGAIN = "lower", "raise", "again"


@dataclass(frozen=True)
class Policy:
    """Seconds and A. `high_s`: life of a profile above the default; `low_s`: of one at it or below, and of those that
    fit beside the building's maximum. At most ten minutes."""

    high_s: float = 120.0
    low_s: float = 600.0
    answer_s: float = 30.0
    patience_s: float = 4.0  # without an answer to a lowering, then others give way in its stead
    band_a: float = 2.0
    turn_s: float = 900.0
    by_need: bool = True  # else all alike, whatever each needs and the programme wants
    quiet_s: float = 20.0  # after a change of its limit until a car's draw says something
    margin_a: float = 1.0
    over_a: float = 1.5  # above its limit, until a reading says that a station disobeys
    probe_a: float = 4.0

    def __post_init__(self) -> None:
        if not 2 * SKEW_S < self.high_s < self.low_s - 2 * SKEW_S or self.low_s > 600:
            raise ValueError("High profiles end before low ones, and none lasts longer than ten minutes.")

    @property
    def delay_s(self) -> float:
        """How long a default profile must hold back a car that plugs in while we are silent."""
        return self.high_s + 2 * SKEW_S


@dataclass(frozen=True, slots=True)
class Order:
    """Send this leaf a profile of the session: A of pilot, until when. `number` comes back with the answer."""

    number: int
    leaf: int
    amps: float
    until: float
    why: str

    @property
    def urgent(self) -> bool:
        return self.why == LOWER


@dataclass
class Cars:
    """What is known of the sessions, by leaf. A of pilot, Wh, seconds of the clock."""

    wants: Bools
    need_wh: Floats  # still; inf: not told
    asked_wh: Floats  # when it came
    came_at: Floats
    departure: Floats  # inf: not told
    priority: Floats  # higher goes first
    wanted: Floats  # by the programme of the day
    draw: Floats  # newest reading; nan: none yet
    cap: Floats  # most that it was seen to take, and a margin
    charged_at: Floats  # since when it has had current without a break; inf: it waits
    waited_at: Floats  # since when it waits

    @classmethod
    def none(cls, grid: Grid) -> Cars:
        count = len(grid.leaves)
        full = lambda value: np.full(count, value, dtype=float)  # noqa: E731
        return cls(
            wants=np.zeros(count, dtype=bool), need_wh=full(np.inf), asked_wh=full(np.inf), came_at=full(0),
            departure=full(np.inf), priority=full(0), wanted=full(0), draw=full(np.nan), cap=grid.max_a.copy(),
            charged_at=full(np.inf), waited_at=full(0),
        )  # fmt: skip


@dataclass
class Controller:
    """`station_of`: leaf -> number of its station. `building_most`: in each row, for what fits without us. `grid`: as
    wired; from the first tick on with the lines that cars are known to draw on."""

    grid: Grid
    ledger: Ledger
    station_of: NDArray[np.intp]
    building_most: Floats
    policy: Policy = field(default_factory=Policy)
    cars: Cars = field(init=False)
    asked: Floats = field(init=False)  # A, of the newest order (or what rules without any)
    asked_until: Floats = field(init=False)
    changed_at: Floats = field(init=False)
    watch: Watch = field(init=False)
    lines: Lines = field(init=False)
    counted: Bools = field(init=False)  # lines x leaves: on which each counts
    allowed: Floats = field(init=False)  # A, what limits of others leave each connector
    floor: Floats = field(init=False)  # A, what each has at least once it charges
    refusals: Floats = field(init=False)  # of orders, in a row
    again_at: Floats = field(init=False)  # who refused is not asked before, and counts with what it may take
    peak: Floats | None = None  # of the programme, in each row: kept to unless what it wants needs more
    open: dict[int, tuple[Order, float]] = field(default_factory=dict)  # by leaf: with when it was sent
    last: Allocation | None = None
    due: float = 0.0
    count: int = 0

    def __post_init__(self) -> None:
        size = len(self.grid.leaves)
        self.cars = Cars.none(self.grid)
        self.asked, self.asked_until = np.zeros(size), np.full(size, -NEVER)
        self.changed_at = np.full(size, -NEVER)
        self.refusals, self.again_at = np.zeros(size), np.full(size, -NEVER)
        self.watch = Watch.of(self.ledger, self.policy.over_a)
        self.lines = Lines.of(self.grid)
        self.counted = self.lines.wired
        self.allowed, self.floor = self.grid.max_a.copy(), self.grid.min_a.copy()

    # --- what happens ---

    def plug(
        self,
        leaf: int,
        now: float,
        *,
        need_wh: float = np.inf,
        departure: float = np.inf,
        priority: float = 0,
    ) -> None:
        """A session begins."""
        self._close(leaf, now)
        self.ledger.started(leaf, now)
        cars = self.cars
        cars.wants[leaf], cars.waited_at[leaf] = True, now
        cars.need_wh[leaf], cars.departure[leaf], cars.priority[leaf] = need_wh, departure, priority
        cars.asked_wh[leaf], cars.came_at[leaf] = need_wh, now
        cars.draw[leaf], cars.cap[leaf] = np.nan, self.grid.max_a[leaf]
        cars.charged_at[leaf], cars.wanted[leaf] = np.inf, 0.0
        self.watch.begin(leaf, now)
        self.lines.forget(leaf)
        self.refusals[leaf], self.again_at[leaf] = 0, -NEVER
        waits = self.ledger.delay[leaf] > 0
        self.asked[leaf] = 0.0 if waits else self.ledger.default[leaf]
        self.asked_until[leaf] = self.ledger.held_until[leaf] if waits else NEVER

    def unplug(self, leaf: int, now: float) -> None:
        """A session is over."""
        self._close(leaf, now)
        self.ledger.ended(leaf, now)
        self.cars.wants[leaf] = False
        self.asked[leaf], self.asked_until[leaf] = 0.0, -NEVER

    def reading(
        self, leaf: int, amps: float, now: float, *, given_wh: float = 0.0, at: float | None = None
    ) -> None:
        """What the car draws, A on its most loaded line, and what it was given since the last reading. `at`: when it
        was measured, if not just now: what a station kept while it was offline says nothing of its draw now."""
        cars = self.cars
        cars.need_wh[leaf] = max(0.0, cars.need_wh[leaf] - given_wh)
        if at is not None and now - at > OLD_S:
            return
        cars.draw[leaf] = amps
        if self.ledger.plugged[leaf] and self.watch.see(leaf, amps, now):
            self._unsure(leaf, now)
        limit = float(self.ledger.granted(now, leaf))
        about_to_end = (
            abs(now - self.ledger.held_until[leaf]) < SKEW_S + SETTLE_S
        )  # by the station's own clock
        unsettled = about_to_end or now - self.changed_at[leaf] < self.policy.quiet_s
        if unsettled or limit < self.grid.min_a[leaf]:
            return
        if amps < min(limit, cars.cap[leaf]) - 1.5 * self.policy.margin_a:
            cars.cap[leaf] = max(self.grid.min_a[leaf], np.ceil(amps + self.policy.margin_a))
        elif amps >= cars.cap[leaf] - self.policy.margin_a - TINY:
            more = max(self.policy.probe_a, self.grid.step_a[leaf])  # less than a step asks nothing
            cars.cap[leaf] = min(self.grid.max_a[leaf], cars.cap[leaf] + more)

    def read_lines(self, leaf: int, amps: Floats, now: float, *, at: float) -> None:
        """The same by phase: A on each line of the supply, each of them measured, at `at` by our clock."""
        settled = leaf not in self.open and at >= self.ledger.fading_until[leaf]
        self.lines.read(leaf, amps, at, offered=float(self.ledger.granted(now, leaf)) if settled else None)

    def away(self, station: int, now: float) -> None:
        """Its socket is gone."""
        mine = np.flatnonzero(self.station_of == station)
        for leaf in mine:
            self._close(int(leaf), now)
        self.ledger.away(mine, now)

    def back(self, station: int, now: float, *, rebooted: bool) -> None:
        mine = np.flatnonzero(self.station_of == station)
        self.ledger.back(mine, now, rebooted=rebooted)
        for leaf in mine:
            self._unsure(int(leaf), now)
            self.lines.doubt(int(leaf))

    def answered(self, number: int, now: float, *, accepted: bool) -> None:
        """The station's word on an order. A late one, after another order or time-out, says nothing any more."""
        leaf = self._leaf_of(number)
        if leaf is None:
            return
        if not accepted:
            self.unsent(number, now)
            return
        del self.open[leaf]
        self.refusals[leaf], self.again_at[leaf] = 0, -NEVER
        self.ledger.accepted(leaf, now)

    def unsent(self, number: int, now: float) -> None:
        """The order never left (it expired or was withdrawn before): surely not in force. As if it was refused."""
        leaf = self._leaf_of(number)
        if leaf is not None:
            del self.open[leaf]
            self.ledger.refused(leaf)
            self._unsure(leaf, now)
            self.refusals[leaf] += 1
            wait = self.policy.patience_s * 2.0 ** min(self.refusals[leaf] - 1, 4)
            self.again_at[leaf] = now + wait if self.refusals[leaf] > 1 else now

    def unanswered(self, number: int, now: float) -> None:
        """No answer will come (the call timed out, its socket ended): it may be in force or not."""
        leaf = self._leaf_of(number)
        if leaf is not None:
            self._close(leaf, now)
            self._unsure(leaf, now)

    def _leaf_of(self, number: int) -> int | None:
        """Whose newest order this is; None: another has taken its place, or it is settled."""
        return next((leaf for leaf, (order, _at) in self.open.items() if order.number == number), None)

    def _unsure(self, leaf: int, now: float) -> None:
        """What was asked may not be in force: it is said anew, though never more than what is surely granted."""
        self.asked[leaf] = min(self.asked[leaf], float(self.ledger.granted(now, leaf)))
        self.asked_until[leaf] = -NEVER

    def _close(self, leaf: int, now: float) -> None:
        if self.open.pop(leaf, None) is not None:
            self.ledger.lost(leaf, now)

    def taken_away(self, leaf: int, now: float) -> None:
        """Somebody else has replaced or cleared what the station held: its default rules, or what they set."""
        self.ledger.taken_away(leaf, now)
        self._unsure(leaf, now)
        self.changed_at[leaf] = now

    def doubt(self, leaf: int, now: float) -> None:
        """What the station holds may be something else than it took: it is sent anew."""
        self._unsure(leaf, now)

    def disobeys(self) -> list[Disobedience]:
        """Stations that draw more than their limit and count with their hardware: for alerts."""
        return self.watch.disobeys()

    # --- what follows ---

    def tick(self, now: float, room: Floats) -> list[Order]:
        """Orders to send now. `room`: what each row leaves to connectors (limit less building)."""
        self._time_out(now)
        self._count_lines(now)
        ledger, steered = self.ledger, self.ledger.reachable & self.ledger.plugged & self.ledger.obeys
        steered &= self.again_at <= now
        for leaf, (order, at) in self.open.items():
            steered[leaf] &= order.why != LOWER or now - at < self.policy.patience_s
        told = ledger.told(now)
        self.watch.allow(told)
        taken = np.where(steered, 0.0, np.where(ledger.obeys, told, self.grid.max_a))
        limits = np.maximum(room - self.grid.loads(taken), 0.0)
        wishes = self.wishes(now, steered)
        peak = None if self.peak is None else np.maximum(self.peak - self.grid.loads(taken), 0.0)
        self.last = allocate(self.grid, wishes, limits, peak=peak)
        self.turns(now, self.last)
        if peak is not None:  # what is nearly right may stay below the peak alone
            limits = np.minimum(limits, np.maximum(peak, self.grid.loads(self.last.pilots)))
        target = self._settled(self.last.pilots, steered, limits)
        # A lowering that was refused or lost is not in force: it goes out again, whatever else may go on or not.
        unsure = self.asked_until == -NEVER
        falls = steered & (target < np.where(unsure, np.maximum(self.asked, told), self.asked) - TINY)
        orders = self._send(now, falls, target, LOWER)
        orders += self._raise(now, target, steered, wishes, room)
        orders += self._refresh(now, steered, room)
        orders += self._pause_disobedient(now)
        self.due = self._next(now)
        return orders

    def _time_out(self, now: float) -> None:
        for order, at in list(self.open.values()):
            if now - at >= self.policy.answer_s - TINY:
                self.unanswered(order.number, now)
        ledger = self.ledger
        over = ledger.plugged & (self.asked_until > -NEVER) & (self.asked_until <= now)
        self.changed_at[over & (np.abs(ledger.default - self.asked) > TINY)] = now
        self.asked[over], self.asked_until[over] = ledger.default[over], NEVER  # it ended without a new one

    def _count_lines(self, now: float) -> None:
        """Count each car where it is known to draw now. Who does not obey may do anything; behind a default that does
        not wait the next car may draw before it is heard of."""
        ledger = self.ledger
        charges = ledger.plugged & ledger.obeys
        gone = ~ledger.plugged & ledger.reachable & (ledger.delay > 0)
        counted = self.lines.counted(now, charges=charges, gone=gone)
        if not np.array_equal(counted, self.counted):
            self.counted, self.grid = counted, ledger.wired.on(counted)
            ledger.grid = self.grid

    def wishes(self, now: float, steered: Bools) -> Wishes:
        """What the cars that are steered could take now, and who goes first."""
        cars, grid = self.cars, self.grid
        wants = steered & cars.wants & (cars.need_wh > 0)
        upper = np.where(wants, np.minimum(cars.cap, np.minimum(grid.max_a, self.allowed)), 0.0)
        left_h = np.maximum(cars.departure - now, 300.0) / 3600
        rate = np.where(np.isfinite(cars.need_wh), cars.need_wh, 0.0) / left_h / grid.volts
        known = np.isfinite(left_h) & np.isfinite(cars.need_wh) & self.policy.by_need
        weight = np.where(known, np.clip(rate, 1.0, 80.0), 6.0)
        return Wishes(
            upper=upper,
            weight=weight,
            rank=self._rank(now, rate),
            wanted=cars.wanted if self.policy.by_need else np.zeros(len(upper)),
            floor=np.minimum(self.floor, upper),
        )

    def _rank(self, now: float, rate: Floats) -> Floats:
        """Priority classes first; then those who draw before those who do not; then whose turn has not ended; then
        whoever waited longest, and of all alike whoever needs most until departure."""
        cars, turn = self.cars, self.policy.turn_s
        idle = (cars.draw < 0.5) & np.isfinite(cars.charged_at) & (now - cars.charged_at > 120.0)
        in_turn = np.isfinite(cars.charged_at) & (now - cars.charged_at < turn)
        waited = np.where(np.isfinite(cars.charged_at), 0.0, np.minimum(now - cars.waited_at, 86_400.0))
        urgent = np.clip(rate / self.grid.max_a, 0.0, 1.0)
        return cars.priority * 1e8 - idle * 1e7 + in_turn * 1e6 + waited + urgent

    def turns(self, now: float, shares: Allocation) -> None:
        """Who has current and who waits, from this allocation on."""
        has, cars = shares.pilots > 0, self.cars
        began = has & ~np.isfinite(cars.charged_at)
        stopped = ~has & np.isfinite(cars.charged_at)
        cars.charged_at[began] = now
        cars.charged_at[stopped] = np.inf
        cars.waited_at[stopped] = now

    def _settled(self, target: Floats, steered: Bools, limits: Floats) -> Floats:
        """The target with what is nearly right left as it is, where it fits."""
        band = self.policy.band_a
        off = target - self.asked
        small_raise = steered & (off > 0) & (off < band) & (self.asked >= self.grid.min_a)
        small_raise &= self.asked >= np.minimum(self.cars.wanted, target) - 0.25  # what is needed, is needed
        kept = np.where(small_raise, self.asked, target)
        may_stay = steered & (off < 0) & (self.asked >= self.grid.min_a) & (self.asked <= self.allowed + TINY)
        surplus = np.where(may_stay, -off, 0.0)
        if not surplus.any():
            return kept
        order = in_order(surplus > TINY, surplus)
        stays = fitting(self.grid, kept, more=surplus, order=order, limits=limits)
        return kept + np.where(stays, surplus, 0.0)

    def _raise(self, now: float, target: Floats, steered: Bools, wishes: Wishes, room: Floats) -> list[Order]:
        rises = steered & (target > self.asked + TINY)
        rises[list(self.open)] = False
        target = self.lines.rises(
            now, rises, asked=self.asked, target=target, rank=wishes.rank, counted=self.counted
        )
        rises &= target > self.asked + TINY
        if not rises.any():
            return []
        wish = np.where(rises, target, 0.0)
        granted = self.ledger.grant(
            now, wish=wish, weight=wishes.weight, limits=room, high_until=now + self.policy.high_s
        )
        granted = np.floor(granted / self.grid.step_a + 1e-6) * self.grid.step_a
        enough = (granted >= target - TINY) | (granted >= self.asked + self.policy.band_a)
        rises &= enough & (granted >= self.grid.min_a) & (granted > self.asked + TINY)
        return self._send(now, rises, granted, RAISE)

    def _refresh(self, now: float, steered: Bools, room: Floats) -> list[Order]:
        """What would end soon, and what is not sure to be in force. High profiles go on only where all that may be in
        force until they end leaves room for it: else they end by themselves."""
        soon = steered & ((self._ends_soon() <= now) | (self.asked_until == -NEVER))
        soon[list(self.open)] = False
        if not soon.any():
            return []
        high = self.asked > self.ledger.default + TINY
        orders = self._send(now, soon & ~high, self.asked, AGAIN)
        goes_on = self.ledger.may_go_on(now, limits=room, high_until=now + self.policy.high_s)
        return orders + self._send(now, soon & high & goes_on, self.asked, AGAIN)

    def _pause_disobedient(self, now: float) -> list[Order]:
        """Who does not obey is told to stop: it shows whether it does again."""
        if self.ledger.obeys.all():
            return []
        early = self.policy.high_s + 4 * SKEW_S
        who = self.watch.to_pause(now, self.asked, self.asked_until, early)
        who[list(self.open)] = False
        return self._send(now, who, np.zeros(len(who)), LOWER)

    def _ends_soon(self) -> Floats:
        """When each profile needs to be sent again. A low one must outlive every high one that is sent meanwhile; one
        at its default may end."""
        high = self.asked > self.ledger.default + TINY
        low = self.asked < self.ledger.default - TINY
        early = np.where(high, 0.25 * self.policy.high_s, self.policy.high_s + 4 * SKEW_S)
        return np.where(high | low, self.asked_until - early, NEVER)

    def _send(self, now: float, who: Bools, amps: Floats, why: str) -> list[Order]:
        if not who.any():
            return []
        orders = []
        lasts = self._long(now, amps, who)
        for leaf in np.flatnonzero(who):
            until = now + (self.policy.low_s if lasts[leaf] else self.policy.high_s)
            self.count += 1
            order = Order(self.count, int(leaf), float(amps[leaf]), until, why)
            self.open.pop(int(leaf), None)
            self.ledger.sent(int(leaf), now, order.amps, until)
            self.open[int(leaf)] = (order, now)
            if abs(order.amps - self.asked[leaf]) > TINY:
                self.changed_at[leaf] = now
            self.asked[leaf], self.asked_until[leaf] = order.amps, until
            orders.append(order)
        return orders

    def _long(self, now: float, amps: Floats, who: Bools) -> Bools:
        """Whose profile may last: low ones must, high ones where all fits without us."""
        high = amps > self.ledger.default + TINY
        spare = self.ledger.may_last(
            now, amps=amps, who=who & high, limits=self.grid.limits - self.building_most,
            high_until=now + self.policy.high_s,
        )  # fmt: skip
        return spare | ~high

    def _next(self, now: float) -> float:
        """When to look again if nothing happens."""
        moments = [now + 60.0]
        for order, at in self.open.values():
            patience = self.policy.patience_s if order.why == LOWER else self.policy.answer_s
            moments += [at + wait for wait in (patience, self.policy.answer_s) if at + wait > now]
        ends = (
            self.ledger.fading_until, self._ends_soon(), self.asked_until, self.again_at, self.lines.ends() + 0.1,
        )  # fmt: skip
        for times in ends:
            later = times[(times > now) & np.isfinite(times)]
            moments += [float(later.min())] if len(later) else []
        return min(moments)
