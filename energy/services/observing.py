"""What the database knows of stations, sessions, orders and meters, as the loops take it. Reads alone, of many sites of
one tenant at once: by as many statements as of one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson
from django.db.models import Q
from django.utils import timezone

from energy.queries import SiteTree, Wired
from fleets.models import Fleet
from stations import limits, schedules
from stations.models import (
    ChargingProfile,
    Command,
    CommandState,
    Connector,
    ConnectorStatus,
    PowerConstraint,
    ProfileState,
    Purpose,
    Session,
    SessionPower,
    SessionState,
    Station,
)
from stations.services import wishes
from tenants import rows as statements

AHEAD = timedelta(hours=1)  # what a station may fall to is looked at so far
OLD = timedelta(minutes=10)  # readings of a meter
MOST_SAMPLES = 5000  # of a meter at once
LIVES = timedelta(minutes=11)  # no profile of ours lasts longer
READY_PASSED = timedelta(
    hours=2
)  # a vehicle that is still there so long after its fleet's time goes the next day


@dataclass(frozen=True, slots=True)
class StationSeen:
    online: bool
    epoch: int
    booted_at: datetime | None
    clock_offset_s: float
    ever: bool  # it has been heard at all


@dataclass(frozen=True, slots=True)
class Measured:
    """A on each line of the supply, each of a connector's lines measured. `sampled_at`: by the station's own clock."""

    lines_a: tuple[float, ...]
    sampled_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """A session that runs. `draw_a`: of its newest reading on the most loaded line; None: it told none yet. `lines_a`:
    the same on each line of the supply, as far as it is known. `measured`: of the newest readings those that told all
    lines, the oldest first."""

    id: int
    evse_id: int
    began: datetime
    energy_wh: float
    read_at: datetime | None
    draw_a: float | None
    lines_a: tuple[float, ...] | None
    state: str
    fleet_id: int | None
    measured: tuple[Measured, ...] = ()


@dataclass(frozen=True, slots=True)
class NeedSeen:
    """What is wanted of the whole session: Wh, until when. None: not told. `ends`: more than that it cannot take."""

    energy_wh: float | None
    departure: datetime | None
    priority: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Fallback:
    """What an EVSE does without a profile of ours: A, after so many seconds of 0 A. `cap_a`: what others allow now."""

    amps: float
    delay_s: float
    cap_a: float


class SampleSeen(NamedTuple):
    """A reading of a meter: A on each line, W in total or None."""

    row: int
    meter_id: int
    at: datetime
    amps: list[float]
    watts: float | None


Trees = Sequence[SiteTree]  # of one tenant, at least one


def _tenant(trees: Trees) -> int:
    return trees[0].connection.tenant_id


def _stations(trees: Trees) -> list[int]:
    return [station_id for tree in trees for station_id in tree.stations]


def _wired(trees: Trees) -> dict[int, tuple[SiteTree, Wired]]:
    """By EVSE."""
    return {one.evse_id: (tree, one) for tree in trees for one in tree.wired}


def stations(trees: Trees) -> dict[int, StationSeen]:
    found = Station.objects.filter(tenant_id=_tenant(trees), pk__in=_stations(trees))
    columns = ("pk", "online", "epoch", "booted_at", "clock_offset_s", "last_seen_at")
    return {
        pk: StationSeen(online, epoch, booted, offset or 0.0, seen is not None)
        for pk, online, epoch, booted, offset, seen in found.values_list(*columns)
    }


UNDER_WAY = (ConnectorStatus.CHARGING, ConnectorStatus.SUSPENDED_EV, ConnectorStatus.SUSPENDED_EVSE)


def charging(trees: Trees) -> set[int]:
    """EVSEs that say that a car charges there, whether a session of it is known or not."""
    found = Connector.objects.filter(
        tenant_id=_tenant(trees), evse_id__in=list(_wired(trees)), status__in=UNDER_WAY
    )
    return set(found.values_list("evse_id", flat=True))


_READINGS = """
SELECT w.session, r.current_a, r.power_w, r.values::text, r.sampled_at, r.received_at
FROM json_to_recordset(%(rows)s::json) AS w(session bigint, station bigint, evse smallint, since timestamptz, most int)
CROSS JOIN LATERAL (
    SELECT current_a, power_w, values, sampled_at, received_at FROM stations_reading q
    WHERE q.tenant_id = %(tenant)s AND q.station_id = w.station AND q.evse_number = w.evse AND q.sampled_at >= w.since
        AND (q.current_a IS NOT NULL OR q.power_w IS NOT NULL)
    ORDER BY q.sampled_at DESC LIMIT w.most) r
ORDER BY w.session, r.sampled_at
"""


def sessions(trees: Trees, *, readings: int = 1) -> dict[int, SessionSeen]:
    """By EVSE, with so many of their newest readings. A car's current is that of the most loaded line; where only power
    was told, it is taken for one line's: nobody knows how many it charges on."""
    tenant_id, by_evse = _tenant(trees), _wired(trees)
    found = list(
        Session.objects.filter(tenant_id=tenant_id, evse_id__in=list(by_evse), state=SessionState.ACTIVE)
        .order_by("id")
        .values_list(
            "pk", "evse_id", "started_at", "started_received_at", "energy_wh", "last_reading_at", "power_w",
            "charging_state", "fleet_id",
        )
    )  # fmt: skip
    asked = [
        {
            "session": pk, "station": by_evse[evse][1].station_id, "evse": by_evse[evse][1].number,
            "since": read_at - timedelta(minutes=2), "most": readings,
        }
        for pk, evse, _start, _received, _wh, read_at, _power, _state, _fleet in found
        if read_at is not None
    ]  # fmt: skip
    told: dict[int, list[Sequence[Any]]] = {}
    for row in statements.run(_READINGS, tenant_id, asked) if asked else []:
        told.setdefault(row[0], []).append((row[1], row[2], orjson.loads(row[3]), row[4], row[5]))
    result = {}
    for (
        pk,
        evse,
        start,
        received,
        energy,
        read_at,
        power,
        state,
        fleet,
    ) in found:  # the newest of an EVSE counts
        amps, watts, values = told[pk][-1][:3] if pk in told else (None, None, ())
        watts = power if watts is None else watts
        tree, one = by_evse[evse]
        draw, lines = drawn(tree, one, amps, watts, values)
        result[evse] = SessionSeen(
            pk, evse, min(start, received), float(energy or 0), read_at, draw, lines, state, fleet,
            tuple(_measured(tree, one, told.get(pk, ()))),
        )  # fmt: skip
    return result


def _measured(tree: SiteTree, wired: Wired, told: Iterable[Sequence[Any]]) -> Iterator[Measured]:
    """A station that tells of some of its lines alone may have no meter on the others."""
    own = wired.leaf.lines
    for _amps, _watts, values, sampled_at, received_at in told:
        phases = _phases(values)
        if (
            not wired.is_dc
            and len(own) > 1
            and not wired.outlet.between
            and set(phases) == set(range(len(own)))
        ):
            lines = _on([0.0] * len(tree.supply.lines), own, [phases[place] for place in range(len(own))])
            yield Measured(lines, sampled_at, received_at)


def drawn(
    tree: SiteTree,
    wired: Wired,
    amps: float | None,
    watts: float | None,
    values: Sequence[dict[str, Any]] = (),
) -> tuple[float | None, tuple[float, ...] | None]:
    """(A on the most loaded line, A on each line of the supply). Where only power was told of AC it is taken for one
    line's, and no line is known: nobody knows on how many the car charges. Of DC the car's side is told: what the site
    feels is its power."""
    lines, own = [0.0] * len(tree.supply.lines), wired.leaf.lines
    if wired.is_dc:
        amps = None if watts is None else watts / wired.volts
        return amps, None if amps is None else _on(lines, own, [amps] * len(own))
    if amps is None:
        return (None, None) if watts is None else (watts / tree.supply.volts, None)
    phases = _phases(values)
    if phases:
        return amps, _on(lines, own, [phases.get(place, 0.0) for place in range(max(phases) + 1)])
    if len(own) == 1 or wired.outlet.between:
        return amps, _on(lines, own, [amps] * len(own))
    if watts is None or amps <= 0:
        return amps, None if amps > 0 else _on(lines, own, [])
    # A car that charges on fewer lines takes the first ones (IEC 61851-1: L1).
    count = min(max(round(watts / (tree.supply.volts * amps)), 1), len(own))
    return amps, _on(lines, own, [amps] * count)


def _on(lines: list[float], own: Sequence[int], amps: Sequence[float]) -> tuple[float, ...]:
    for line, value in zip(own, amps, strict=False):
        lines[line] = value
    return tuple(lines)


_PLACES = {"L1": 0, "L2": 1, "L3": 2, "L1-N": 0, "L2-N": 1, "L3-N": 2}


def _phases(values: Sequence[dict[str, Any]]) -> dict[int, float]:
    """A on each of the station's own phases, where it told them one by one; of several the highest."""
    found: dict[int, float] = {}
    for value in values:
        place = _PLACES.get(value.get("phase", ""))
        if value.get("measurand") != "Current.Import" or place is None:
            continue
        try:
            number = float(value["value"]) * 10.0 ** int(value.get("multiplier", 0))
        except (TypeError, ValueError, OverflowError):
            return {}
        if not math.isfinite(number):
            return {}
        number = number / 1000 if value.get("unit") == "mA" else number
        found[place] = max(number, found.get(place, number))
    return found


def needs(cars: Sequence[tuple[SiteTree, Sequence[SessionSeen]]], now: datetime) -> dict[int, NeedSeen]:
    """By session: what people said, else what the car told, else by when its fleet is to be ready."""
    tenant_id, all_cars = _tenant([tree for tree, _own in cars]), [one for _tree, own in cars for one in own]
    columns = ("wish_wh", "wish_departure_at", "energy_wh", "departure_at", "priority")
    told = {
        row[0]: row[1:]
        for row in SessionPower.objects.filter(
            tenant_id=tenant_id, session_id__in=[one.id for one in all_cars]
        ).values_list("session_id", *columns)
    }
    fleets = Fleet.objects.filter(tenant_id=tenant_id).in_bulk(
        {one.fleet_id for one in all_cars if one.fleet_id}
    )
    return {
        one.id: _need(tree, one, told.get(one.id, (None,) * len(columns)), fleets.get(one.fleet_id or 0), now)
        for tree, own in cars
        for one in own
    }


def _need(
    tree: SiteTree, one: SessionSeen, told: Sequence[Any], fleet: Fleet | None, now: datetime
) -> NeedSeen:
    wish_wh, wish_at, car_wh, car_at, priority = told
    wh = wish_wh if wish_wh is not None else car_wh
    departure = wish_at or car_at
    if fleet is not None:
        zone = ZoneInfo(tree.connection.site.time_zone)
        wh = fleet.ready_wh if wh is None else wh
        departure = departure or ready_at(fleet, max(one.began, now - READY_PASSED), zone)
    return NeedSeen(wh, departure, bool(priority), ends=wish_wh is None and car_wh is not None)


def ready_at(fleet: Fleet, since: datetime, zone: ZoneInfo) -> datetime | None:
    """The first moment after `since` by which the fleet is to be ready; None: it does not say."""
    return None if fleet.ready_by is None else wishes.next_at(fleet.ready_by, since, zone, fleet.ready_days)


def settled(tenant_id: int, command_ids: Sequence[int]) -> dict[int, tuple[str, bool]]:
    """Of these orders those that are over: how, and whether they went out at all."""
    if not command_ids:
        return {}
    found = Command.objects.filter(tenant_id=tenant_id, pk__in=list(command_ids)).exclude(
        state__in=(CommandState.QUEUED, CommandState.SENT)
    )
    return {pk: (state, sent is not None) for pk, state, sent in found.values_list("pk", "state", "sent_at")}


_SAMPLES = """
SELECT s.id, s.meter_id, s.at, s.amps, s.watts
FROM json_to_recordset(%(rows)s::json) AS w(meter bigint, after bigint)
CROSS JOIN LATERAL (
    SELECT id, meter_id, at, amps, watts FROM energy_metersample q
    WHERE q.tenant_id = %(tenant)s AND q.meter_id = w.meter AND q.id > w.after AND q.at > %(since)s
        AND q.received_at > %(received)s
    ORDER BY q.at DESC LIMIT %(most)s) s
ORDER BY s.id
"""


def samples(tenant_id: int, after: Mapping[int, int], now: datetime) -> list[SampleSeen]:
    """Of these meters, received since row `after` of each, in order. Old ones would change nothing any more."""
    asked = [{"meter": meter_id, "after": row} for meter_id, row in after.items()]
    if not asked:
        return []
    found = statements.run(
        _SAMPLES,
        tenant_id,
        asked,
        since=now - OLD,
        received=timezone.now() - timedelta(seconds=60),
        most=MOST_SAMPLES,
    )
    return [SampleSeen(*row) for row in found]


def constraints(trees: Trees, now: datetime) -> dict[int, tuple[float | None, float | None]]:
    """By site: (A per line, W in total) that others allow all its charging now (PowerConstraint of the site)."""
    amps: dict[int, list[float]] = defaultdict(list)
    watts: dict[int, list[float]] = defaultdict(list)
    sites = [tree.connection.site_id for tree in trees]
    for row in limits.open_constraints(_tenant(trees), now, site_id__in=sites, station=None):
        value = limit_at(row, now)
        if value is not None:
            (amps if row.unit == schedules.AMPS else watts)[row.site_id].append(value)
    return {site: (min(amps[site], default=None), min(watts[site], default=None)) for site in sites}


def limit_at(row: PowerConstraint, now: datetime) -> float | None:
    """What a constraint allows at a moment; None: it says nothing then."""
    period = limits.constraint_profile(row).period_at(now, row.starts_at)
    return None if period is None else period.limit


# --- what stations fall to ---


def _ours(row: ChargingProfile) -> bool:
    return row.intent == "energy" and row.purpose == Purpose.TRANSACTION


def profile_keys(trees: Trees) -> dict[int, int]:
    """By station: changes whenever what it holds besides our sessions' profiles does."""
    tenant_id, ids = _tenant(trees), _stations(trees)
    found = ChargingProfile.objects.filter(
        tenant_id=tenant_id, station_id__in=ids, state=ProfileState.ACCEPTED
    ).exclude(intent="energy", purpose=Purpose.TRANSACTION)
    told = PowerConstraint.objects.filter(tenant_id=tenant_id, station_id__in=ids, cleared_at=None)
    key: dict[int, list[int]] = {station_id: [] for station_id in ids}
    for station_id, pk in found.order_by("id").values_list("station_id", "pk"):
        key[station_id].append(pk)
    for station_id, pk in told.order_by("id").values_list("station_id", "pk"):
        if station_id is not None:
            key[station_id].append(-pk)
    return {station_id: hash(tuple(pks)) for station_id, pks in key.items()}


def fallbacks(trees: Trees, station_ids: Iterable[int], now: datetime) -> dict[int, Fallback]:
    """By EVSE: what these stations do without us, by all profiles that they hold."""
    found: dict[int, Fallback] = {}
    rows = Station.objects.select_related("site").filter(tenant_id=_tenant(trees), pk__in=list(station_ids))
    wired: dict[int, list[Wired]] = defaultdict(list)
    for tree in trees:
        for one in tree.wired:
            wired[one.station_id].append(one)
    for known in limits.of_stations(list(rows), now).values():
        ours = [row.number for row in known.profiles if _ours(row)]
        defaults = [row.number for row in known.profiles if row.intent == "energy"]
        left, others = known.without(*ours).calculation, known.without(*defaults).calculation
        idle = replace(left, transactions={})
        for one in wired[known.station.pk]:
            found[one.evse_id] = _fallback(left, idle, others, one, now)
    return found


def _fallback(
    left: schedules.Station, idle: schedules.Station, others: schedules.Station, one: Wired, now: datetime
) -> Fallback:
    """A limit of DC counts as the power that it is, one of AC as the current of each line: one in W is more A
    where the voltage is below the one that the calculation takes."""
    unit, per = (schedules.WATTS, one.volts) if one.is_dc else (schedules.AMPS, 1.0)
    new = idle.composite(one.number, now, now + AHEAD, unit)
    running = left.composite(one.number, now, now + AHEAD, unit) if left.transactions else []
    first = next((part.start_s for part in new if part.limit > 0), AHEAD.total_seconds())
    cap = others.composite(one.number, now, now + timedelta(seconds=1), unit)
    phases = 1 if one.outlet.between else len(one.leaf.lines)
    low = 1.0 if one.is_dc else max(1.0, schedules.VOLTS * phases / one.volts)
    return Fallback(
        amps=max(part.limit * (low if _in_watts(part) else 1.0) for part in [*new, *running]) / per,
        delay_s=float(first),
        cap_a=cap[0].limit / per if cap else float("inf"),
    )


def _in_watts(part: schedules.Slice) -> bool:
    return part.binding is not None and part.binding.unit == schedules.WATTS


def held(trees: Trees) -> set[int]:
    """EVSEs whose session has a profile of ours in its station. Others may replace it, clear it, or report it gone."""
    numbers = {(one.station_id, one.number): evse_id for evse_id, (_tree, one) in _wired(trees).items()}
    found = ChargingProfile.objects.filter(
        tenant_id=_tenant(trees), station_id__in=_stations(trees), intent="energy",
        purpose=Purpose.TRANSACTION, state=ProfileState.ACCEPTED, session__state=SessionState.ACTIVE,
    )  # fmt: skip
    places = found.values_list("station_id", "evse_number")
    return {numbers[place] for place in places if place in numbers}


@dataclass(frozen=True, slots=True)
class Past:
    """A profile of a session that we sent: what the ledger must count after a restart."""

    evse_id: int
    session_id: int
    amps: float
    sent_at: datetime
    until: datetime
    state: str
    settled_at: datetime | None
    ended_at: datetime | None


def past_orders(tree: SiteTree, now: datetime) -> list[Past]:
    """Ours of the last minutes for the sessions that run, oldest first. What was never sent is left out."""
    numbers = {(one.station_id, one.number): one.evse_id for one in tree.wired}
    rows = (
        ChargingProfile.objects.filter(
            Q(command=None) | Q(command__sent_at__isnull=False) | Q(command__state=CommandState.QUEUED),
            tenant_id=tree.connection.tenant_id, station_id__in=tree.stations, intent="energy",
            purpose=Purpose.TRANSACTION, session__state=SessionState.ACTIVE, created_at__gt=now - LIVES,
        )
        .exclude(state=ProfileState.REJECTED)
        .order_by("id")
    )  # fmt: skip
    return [
        Past(
            evse_id=numbers[row.station_id, row.evse_number],
            session_id=row.session_id or 0,
            amps=float(row.more.get("amps", 0)),
            sent_at=row.created_at,
            until=datetime.fromisoformat(row.more["until"]),
            state=row.state,
            settled_at=row.settled_at,
            ended_at=row.ended_at,
        )
        for row in rows
        if (row.station_id, row.evse_number) in numbers and "until" in row.more
    ]
