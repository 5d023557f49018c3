"""The loop of one site: rows in, orders out. Between two looks nothing is remembered that the rows do not tell, but for
what was learned of the cars."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from energy import picture, queries
from energy.composing import defaults_of
from energy.control import Controller, Order, Policy
from energy.grid import BadTree, Floats
from energy.headroom import Draws, Meter
from energy.ledger import NEVER, Ledger
from energy.models import MeterKind, SiteMeter, Steering
from energy.policy import NEED, Policies
from energy.queries import SiteTree, Version, Wired
from energy.readings import MAX_AHEAD
from energy.services import habits, observing, orders
from energy.services.habits import Habit
from energy.services.observing import Fallback, Measured, NeedSeen, SampleSeen, SessionSeen, StationSeen
from stations.models import CommandState, ProfileState

log = logging.getLogger("voltyard.energy")

LOOK_S = 5.0  # everything is looked at so often, should nobody tell
FALLBACK_S = 60.0  # what stations fall to is calculated anew so often, for their profiles know the clock
CARS_WINDOW_S = 60.0  # of a meter that counts the cars: as long as their readings are apart
READ, REMEMBERED = 3, 12  # readings of each car that a look takes for its lines; after a start
LEAST_LEARNED_WH, LEAST_LEARNED_S = 1000.0, 1800.0  # a car that stays beyond what was learned wants more
PRIORITY = 1.0  # of a car that its station or an operator lets go first


@dataclass(eq=False)
class Loop:
    """Of one site that this process owns. Not shared between threads: who runs it has `Running.busy`."""

    tenant_id: int
    connection_id: int
    site_id: int
    token: int
    clock: Callable[[], float]
    tree: SiteTree | None = None
    version: Version | None = None  # of the tree, read before it
    control: Controller | None = None
    broken: str = ""  # why nothing is steered: the tree has faults
    policy: Policy = field(default_factory=Policy)
    policies: Policies = field(default_factory=Policies)
    meters: dict[int, Meter] = field(default_factory=dict)
    draws: dict[int, Draws] = field(default_factory=dict)  # by meter that counts the cars too
    leaf_of: dict[int, int] = field(default_factory=dict)  # EVSE -> leaf
    sessions: dict[int, SessionSeen] = field(default_factory=dict)  # by leaf
    heard: dict[int, StationSeen] = field(default_factory=dict)
    delays: dict[int, float] = field(
        default_factory=lambda: defaultdict(float)
    )  # by leaf: s of 0 A of its default
    commands: dict[int, int] = field(default_factory=dict)  # command -> number of the order
    profiles: dict[int, int] = field(default_factory=dict)  # by station: what it holds besides ours
    needs: dict[int, NeedSeen] = field(default_factory=dict)  # by session: what was told
    habits: dict[int, Habit | None] = field(default_factory=dict)  # by session
    stated: dict[int, bool] = field(default_factory=dict)  # by leaf: energy and departure were told
    caps: Floats = field(default_factory=lambda: np.empty(0))  # A, what others allow each leaf now
    held_once: dict[int, bool] = field(default_factory=lambda: defaultdict(bool))  # by leaf: at the last look
    samples: dict[int, int] = field(default_factory=dict)  # by meter: the newest row that was read
    later: Floats = field(
        default_factory=lambda: np.empty(0)
    )  # A, where the programme lets a car wait for cheap power
    owes_defaults: bool = True  # a station may not hold the default that it should
    looked_at: float = -NEVER
    fallbacks_at: float = -NEVER
    site_a: float | None = None  # what others allow all charging: A per line, W
    site_w: float | None = None
    short_since: dict[int, float] = field(default_factory=dict)  # by row of the grid: over what it may carry
    moved_s: float | None = None  # by which the clock was set since the last look

    # --- what was seen ---

    def build_anew(self, version: Version | None) -> None:
        """Where the tree has changed."""
        if self.tree is None or version != self.version:
            self._build(queries.tree_of(self.tenant_id, self.site_id))
            self._condemn(self.clock())
            self.version = version

    def changed(self, keys: Mapping[int, int]) -> list[int]:
        """Stations whose fallback is to be calculated anew: of changed profiles, and all now and then."""
        assert self.tree is not None
        old = not self.heard or self.clock() - self.fallbacks_at > FALLBACK_S
        return [
            station for station in self.tree.stations if old or keys[station] != self.profiles.get(station)
        ]

    def clock_moved(self, by_s: float) -> None:
        """The clock of this machine was set. When a profile ends by its station's clock nobody knows any more: the next
        look begins anew, and counts all that was sent beside the defaults until it is sent again."""
        self.version, self.moved_s, self.looked_at, self.short_since = None, by_s, -NEVER, {}

    def take_samples(self, found: Iterable[SampleSeen]) -> None:
        latest = (
            self.moment() + MAX_AHEAD
        )  # one from later was kept by a clock that was wrong, and would hide the next
        for one in found:
            self.samples[one.meter_id] = max(self.samples[one.meter_id], one.row)
            meter, draws = self.meters[one.meter_id], self.draws.get(one.meter_id)
            if self.control is None or one.at > latest:
                continue
            at = one.at.timestamp()
            cars = draws.bounds(at, self.control.ledger, self.control.changed_at) if draws else None
            meter.take(self._per_line(one.meter_id, one.amps, one.watts), at, cars=cars)

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    def _build(self, tree: SiteTree | None) -> None:
        """A new tree: the ledger begins with what the rows say may be in force."""
        self.tree, self.control, self.broken = tree, None, ""
        self.heard, self.sessions, self.commands, self.profiles = {}, {}, {}, {}
        self.meters, self.samples, self.owes_defaults = {}, {}, True
        if tree is None:
            return
        try:
            grid = tree.grid
        except BadTree as error:
            self.broken = str(error)
            log.error("a tree cannot be steered", extra={"site": self.site_id, "detail": self.broken[:300]})
            return
        ledger = Ledger.of(grid, default=grid.max_a)
        stations = {station_id: place for place, station_id in enumerate(tree.stations)}
        station_of = np.array([stations[one.station_id] for one in tree.wired], dtype=np.intp)
        self.policies = Policies.of_row(tree.connection.policy)
        self.policy = replace(
            self.policy, turn_s=self.policies.turn_minutes * 60, by_need=self.policies.share == NEED
        )
        self.control = Controller(grid, ledger, station_of, tree.building_most, self.policy)
        guaranteed = [max(one.outlet.guaranteed_a, self.policies.guaranteed_a) for one in tree.wired]
        self.control.floor = np.maximum(grid.min_a, guaranteed)
        self.leaf_of = {one.evse_id: leaf for leaf, one in enumerate(tree.wired)}
        self.caps = np.full(len(grid.leaves), np.inf)
        self.later = np.full(len(grid.leaves), np.inf)
        self.draws, self.held_once, self.delays = {}, defaultdict(bool), defaultdict(float)
        self.samples = {meter.pk: 0 for meter in tree.meters}
        for meter in tree.meters:
            self.meters[meter.pk] = Meter(np.array(tree.most_of(meter)), sure=tree.sure_of(meter))
            if meter.kind == MeterKind.GRID:
                below = np.array([_is_below(tree, one, meter) for one in tree.wired])
                self.draws[meter.pk] = Draws.of(grid.leaves, len(tree.supply.lines), below=below)
                self.meters[meter.pk].window_s = CARS_WINDOW_S
                self.meters[meter.pk].limit = _limit(tree, meter)

    def _condemn(self, now: float) -> None:
        """Who did not obey, by the newest picture, is not believed because the tree or its owner is another."""
        if self.control is None:
            return
        steering = Steering.objects.filter(tenant_id=self.tenant_id, connection_id=self.connection_id)
        told = steering.values_list("picture", flat=True).first() or {}
        for one in told.get("alerts", ()):
            leaf = self.leaf_of.get(one.get("evse"))
            if one.get("kind") == picture.DISOBEYS and leaf is not None:
                self.control.watch.condemn(leaf, one.get("draws", 0.0), one.get("over", 0.0), now)

    def _per_line(self, meter_id: int, amps: list[float], watts: float | None) -> Floats:
        """A on each line; a total is taken to be on all alike. A line that was not told may carry as much as any that
        was; of the sun it may give nothing."""
        assert self.tree is not None
        lines = len(self.tree.supply.lines)
        if not amps:
            return np.full(lines, (watts or 0.0) / self.tree.supply.volts / lines)
        is_sun = any(meter.pk == meter_id and meter.kind == MeterKind.SOLAR for meter in self.tree.meters)
        rest = 0.0 if is_sun else max(0.0, *amps)
        return np.array([*amps, *[rest] * lines][:lines], dtype=float)

    def take_fallbacks(
        self, keys: Mapping[int, int], changed: Sequence[int], found: Mapping[int, Fallback]
    ) -> None:
        """What stations do without us, of those that have changed."""
        assert self.tree is not None and self.control is not None
        if len(changed) == len(self.tree.stations):
            self.fallbacks_at = self.clock()
        self.profiles = {station: keys[station] for station in self.tree.stations}
        self.owes_defaults = self.owes_defaults or bool(changed)
        for evse_id, leaf in self.leaf_of.items():
            fallback = found.get(evse_id)
            if fallback is None:
                continue
            most = float(self.control.grid.max_a[leaf])
            self.control.ledger.took_default(leaf, min(fallback.amps, most), fallback.delay_s)
            self.delays[leaf] = fallback.delay_s
            self.caps[leaf] = fallback.cap_a

    def take_stations(self, all_seen: Mapping[int, StationSeen]) -> None:
        assert self.tree is not None and self.control is not None
        now, first = self.clock(), not self.heard
        seen = {station: all_seen[station] for station in self.tree.stations if station in all_seen}
        if first:
            self._remember(seen, now)
        for place, station_id in enumerate(self.tree.stations):
            new, old = seen.get(station_id), self.heard.get(station_id)
            if new is None:
                continue
            rebooted = old is not None and new.booted_at != old.booted_at
            if not new.online:
                if old is None or old.online:
                    self.control.away(place, now)
            elif old is None or not old.online:
                self.control.back(place, now, rebooted=rebooted)
                self.owes_defaults = True
            elif new.epoch != old.epoch or rebooted:
                self.control.away(place, now)
                self.control.back(place, now, rebooted=rebooted)
        self.heard = seen
        if first:
            self._remember_lines(now)

    def _remember(self, seen: dict[int, StationSeen], now: float) -> None:
        """After a start: what orders of the last minutes, ours or an earlier owner's, may still do."""
        assert self.tree is not None and self.control is not None
        running = observing.sessions([self.tree])
        for evse_id, session in running.items():
            leaf = self.leaf_of[evse_id]
            self._plug(leaf, session, now)
            self.sessions[leaf] = session
        ledger, latest = self.control.ledger, now + observing.LIVES.total_seconds()
        moved_s, since = self.moved_s, self.moment() - timedelta(seconds=max(0.0, self.moved_s or 0.0))
        for past in observing.past_orders(self.tree, since):
            leaf, until = self.leaf_of[past.evse_id], past.until.timestamp()
            by_another_clock = moved_s is not None or until > latest
            until = latest if by_another_clock else until
            running_one = self.sessions.get(leaf)
            if running_one is None or running_one.id != past.session_id:
                continue
            ledger.sent(leaf, now, past.amps, until)
            station = seen.get(self.tree.wired[leaf].station_id)
            booted = station.booted_at if station else None
            is_sure = past.state in (ProfileState.ACCEPTED, ProfileState.REPLACED) and not by_another_clock
            if is_sure and not (booted and past.settled_at and booted > past.settled_at):
                ledger.accepted(leaf, now)  # what it replaced may be drawn for some seconds more
            else:
                ledger.lost(leaf, now)

    def take_strangers(self, evses: set[int]) -> None:
        """Cars without a session that is known: it was refused, or is held to be over. No delay holds them back."""
        assert self.control is not None
        for evse_id, leaf in self.leaf_of.items():
            self.control.ledger.delay[leaf] = 0.0 if evse_id in evses else self.delays[leaf]

    def _remember_lines(self, now: float) -> None:
        """After a start: cars whose lines were known need not give way until they are known again."""
        assert self.tree is not None and self.control is not None
        control = self.control
        for evse_id, session in observing.sessions([self.tree], readings=REMEMBERED).items():
            leaf = self.leaf_of[evse_id]
            offered = float(control.ledger.granted(now, leaf))
            for one in session.measured:
                control.lines.read(leaf, np.array(one.lines_a), self._measured_at(leaf, one), offered=offered)

    def _measured_at(self, leaf: int, one: Measured) -> float:
        """By our clock: what a station kept back is old, and what it tells of the future is of now."""
        assert self.tree is not None
        station = self.heard.get(self.tree.wired[leaf].station_id)
        sampled = one.sampled_at.timestamp() - (station.clock_offset_s if station else 0.0)
        return min(sampled, one.received_at.timestamp())

    def take_settled(self, found: Mapping[int, tuple[str, bool]]) -> None:
        """How orders ended, by command."""
        assert self.control is not None
        now = self.clock()
        for command in found.keys() & self.commands.keys():
            (state, was_sent), number = found[command], self.commands.pop(command)
            if state == CommandState.ACCEPTED:
                self.control.answered(number, now, accepted=True)
            elif state == CommandState.REJECTED:
                self.control.answered(number, now, accepted=False)
            elif was_sent:
                self.control.unanswered(number, now)
            else:
                self.control.unsent(number, now)

    def take_sessions(self, seen: Mapping[int, SessionSeen]) -> None:
        assert self.control is not None
        now = self.clock()
        for evse_id, leaf in self.leaf_of.items():
            new, old = seen.get(evse_id), self.sessions.get(leaf)
            if old is not None and (new is None or new.id != old.id):
                self.control.unplug(leaf, now)
                self.later[leaf] = np.inf
                for draws in self.draws.values():
                    draws.gone(leaf)
                del self.sessions[leaf]
                old = None
            if new is None:
                continue
            if old is None:
                self._plug(leaf, new, now)
            if new.read_at is not None and (old is None or new.read_at != old.read_at):
                self._read(leaf, new, old, now)
            self.sessions[leaf] = new

    def _read(self, leaf: int, new: SessionSeen, old: SessionSeen | None, now: float) -> None:
        assert self.control is not None and new.read_at is not None
        at = new.read_at.timestamp()
        if new.draw_a is not None:
            given = max(0.0, new.energy_wh - old.energy_wh) if old else 0.0
            self.control.reading(leaf, new.draw_a, now, given_wh=given, at=at)
        if new.lines_a is not None:
            limit = float(self.control.ledger.told(now)[leaf])
            for draws in self.draws.values():
                draws.take(leaf, np.array(new.lines_a), at, limit=limit)
        for one in new.measured:
            self.control.read_lines(leaf, np.array(one.lines_a), now, at=self._measured_at(leaf, one))

    def _plug(self, leaf: int, session: SessionSeen, now: float) -> None:
        assert self.control is not None
        self.control.plug(leaf, min(now, session.began.timestamp()))

    def take_held(self, evses: set[int]) -> None:
        """What others took away is no longer held, whatever the station once acknowledged."""
        assert self.control is not None
        now = self.clock()
        for evse_id, leaf in self.leaf_of.items():
            believed = leaf in self.sessions and self.control.ledger.held_until[leaf] > now
            if believed and evse_id not in evses and self.held_once[leaf]:
                self.control.taken_away(leaf, now)
            self.held_once[leaf] = evse_id in evses

    def take_needs(self, told: Mapping[int, NeedSeen]) -> None:
        """What was told; else what is learned. It plans but ends no charge: only a car knows that it takes no more."""
        assert self.tree is not None and self.control is not None
        self.needs = {one.id: told[one.id] for one in self.sessions.values() if one.id in told}
        new = [session.id for session in self.sessions.values() if session.id not in self.habits]
        if new:
            self.habits |= dict.fromkeys(new) | habits.of_sessions(self.tree, new)
        cars, now = self.control.cars, self.clock()
        for leaf, session in self.sessions.items():
            need, habit = told.get(session.id), self.habits[session.id]
            first = self.policies.priority_by_fleet.get(session.fleet_id or 0, 0)
            cars.priority[leaf] = self.tree.wired[leaf].outlet.priority + first
            wh, departure = (need.energy_wh, need.departure) if need else (None, None)
            if need and need.priority:
                cars.priority[leaf] += PRIORITY
            self.stated[leaf] = wh is not None and departure is not None
            if wh is not None:
                least = 0.0 if need and need.ends else LEAST_LEARNED_WH
                cars.need_wh[leaf] = max(least, wh - session.energy_wh)
            elif habit is not None:
                cars.need_wh[leaf] = max(LEAST_LEARNED_WH, habit.wh - session.energy_wh)
            if departure is not None:
                cars.departure[leaf] = departure.timestamp()
            elif habit is not None:
                cars.departure[leaf] = max(now + LEAST_LEARNED_S, session.began.timestamp() + habit.stay_s)
            if not np.isfinite(cars.asked_wh[leaf]):
                cars.asked_wh[leaf] = cars.need_wh[leaf] + session.energy_wh

    def wanted(self) -> dict[int, NeedSeen | None]:
        """By session that runs: what was told of it."""
        return {one.id: self.needs.get(one.id) for one in self.sessions.values()}

    # --- what the site leaves ---

    def building(self, now: float) -> Floats:
        """By row: what is not charging takes now, as the meters tell. Of a meter of the building and one that counts
        the cars too the higher counts."""
        assert self.tree is not None
        tree = self.tree
        total, measured = np.zeros(len(tree.grid.rows)), False
        for meter in self._of_kind(MeterKind.BUILDING):
            total += tree.rows_of(meter.node_id, self.meters[meter.pk].load(now))
            measured = True
        for meter in self._of_kind(MeterKind.BATTERY):  # what it gives may end at any time
            total += tree.rows_of(meter.node_id, np.maximum(self.meters[meter.pk].load(now), 0.0))
        for meter in self._of_kind(MeterKind.SOLAR):
            total -= tree.rows_of(meter.node_id, self.meters[meter.pk].least(now))
        for meter in self._of_kind(MeterKind.GRID):
            if not measured or not self.meters[meter.pk].is_mute(now):
                total = np.maximum(total, tree.rows_of(meter.node_id, self.meters[meter.pk].load(now)))
                measured = True
        if not measured:
            total += tree.rows_of(None, [tree.connection.building_most_a] * len(tree.supply.lines))
        return total

    def _of_kind(self, kind: str) -> list[SiteMeter]:
        return [meter for meter in self.tree.meters if meter.kind == kind] if self.tree else []

    def limits(self, now: float) -> Floats:
        """By row: the limits of this moment, windows and reserve included."""
        assert self.tree is not None
        zone = ZoneInfo(self.tree.connection.site.time_zone)
        return self.tree.limits_at(datetime.fromtimestamp(now, zone)) * (
            1 - self.policies.reserve_percent / 100
        )

    def room(self, now: float) -> Floats:
        """By row: what is left for cars. Limits that others set hold for all charging of the site."""
        assert self.tree is not None
        room = self.limits(now) - self.building(now)
        root = self.tree.root
        for number, row in enumerate(self.tree.grid.rows):
            if root is not None and row.node == str(root.pk):
                other = self.site_w if row.unit == "W" else self.site_a
                room[number] = room[number] if other is None else min(room[number], other)
        return room

    # --- deciding ---

    def tick(self) -> list[orders.Wanted]:
        """What to send now. It counts as under way from this moment on."""
        if self.control is None or self.tree is None:
            return []
        now = self.clock()
        self.control.allowed = np.minimum(self.caps, self.later)
        found = self.control.tick(now, self.room(now))
        return [self._wanted(order) for order in found if order.leaf in self.sessions]

    def _wanted(self, order: Order) -> orders.Wanted:
        assert self.tree is not None
        return orders.Wanted(
            number=order.number, wired=self.tree.wired[order.leaf], session_id=self.sessions[order.leaf].id,
            amps=order.amps, until=datetime.fromtimestamp(order.until, UTC), why=order.why,
        )  # fmt: skip

    def sent(self, told: list[orders.Sent]) -> None:
        """What became of them; those that could not even be queued are not in force."""
        assert self.control is not None
        for one in told:
            if one.command is None:
                self.control.unsent(one.number, self.clock())
            else:
                self.commands[one.command] = one.number

    def due(self) -> float:
        """When to look again if nobody tells."""
        soon = self.looked_at + LOOK_S
        return soon if self.control is None else min(soon, max(self.control.due, self.clock() + 0.2))

    # --- what stations fall to ---

    def wanted_defaults(self) -> dict[int, float]:
        """By EVSE: the default profile that each should hold, A, so that all fit when nobody steers."""
        if self.tree is None or self.control is None:
            return {}
        return defaults_of(self.tree, self.policies.default_cap_a)


# --- many sites of one tenant, within its scope ---


def look(loops: Sequence[Loop]) -> None:
    """Everything. Builds anew where the tree has changed."""
    tenant_id = loops[0].tenant_id
    versions = queries.versions_of(tenant_id, [loop.connection_id for loop in loops])
    for loop in loops:
        loop.build_anew(versions.get(loop.connection_id))
    steered = {loop: loop.tree for loop in loops if loop.control is not None and loop.tree is not None}
    if steered:
        _take_all(steered)


def _take_all(steered: Mapping[Loop, SiteTree]) -> None:
    loops, trees = list(steered), list(steered.values())
    at = min(loop.moment() for loop in loops)
    stations, keys = observing.stations(trees), observing.profile_keys(trees)
    changed = {loop: loop.changed(keys) for loop in loops}
    anew = [station for of_loop in changed.values() for station in of_loop]
    fallbacks = observing.fallbacks(trees, anew, at) if anew else {}
    for loop in loops:
        loop.take_fallbacks(keys, changed[loop], fallbacks)
        loop.take_stations(stations)
    settle(loops)
    sessions = observing.sessions(trees, readings=READ)
    strangers, held = observing.charging(trees) - sessions.keys(), observing.held(trees)
    for loop in loops:
        loop.take_strangers(strangers)
        loop.take_sessions(sessions)
    needs = observing.needs([(tree, list(loop.sessions.values())) for loop, tree in steered.items()], at)
    for loop in loops:
        loop.take_needs(needs)
        loop.take_held(held)
    read_meters(loops)
    constraints = observing.constraints(trees, at)
    for loop in loops:
        loop.site_a, loop.site_w = constraints[loop.site_id]
        loop.looked_at, loop.moved_s = loop.clock(), None


def glance(loops: Sequence[Loop]) -> None:
    """What must be quick: the meters, and how orders ended."""
    settle(loops)
    read_meters(loops)


def settle(loops: Sequence[Loop]) -> None:
    waiting = [command for loop in loops for command in loop.commands]
    found = observing.settled(loops[0].tenant_id, waiting) if waiting else {}
    for loop in loops:
        if loop.commands:
            loop.take_settled(found)


def read_meters(loops: Sequence[Loop]) -> None:
    after = {meter_id: row for loop in loops for meter_id, row in loop.samples.items()}
    told: dict[int, list[SampleSeen]] = defaultdict(list)
    for one in observing.samples(loops[0].tenant_id, after, min(loop.moment() for loop in loops)):
        told[one.meter_id].append(one)
    for loop in loops:
        loop.take_samples(one for meter_id in loop.samples for one in told[meter_id])


def _place(tree: SiteTree, meter: SiteMeter) -> str:
    return str(meter.node_id or (tree.root.pk if tree.root else 0))


def _limit(tree: SiteTree, meter: SiteMeter) -> Floats:
    """Of the meter's node, A on each line."""
    limits = {row.part: row.limit for row in tree.grid.rows if row.node == _place(tree, meter)}
    return np.array([limits.get(line, np.inf) for line in tree.supply.lines])


def _is_below(tree: SiteTree, one: Wired, meter: SiteMeter) -> bool:
    return _place(tree, meter) in tree.above(one.outlet.node_id)
