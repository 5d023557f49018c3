"""What a station may give now and later, and by whose word: read from its profiles, constraints and sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.template.defaultfilters import date as format_date
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from stations import schedules
from stations.models import (
    ChargingProfile,
    CompositeTold,
    Connector,
    LimitSource,
    PowerConstraint,
    PowerType,
    ProfileState,
    Purpose,
    Session,
    SessionPower,
    SessionState,
    Station,
)
from stations.schedules import AMPS, WATTS, Hardware, Profile, Slice

PHASES = {PowerType.AC_1_PHASE: 1, PowerType.AC_3_PHASE: 3, PowerType.DC: 3}
UNLIMITED = Hardware(1e6, 1e9, 3)  # of a station that told of no connector yet
HORIZON = timedelta(hours=24)
DRIFT_AMPS = 0.6  # stations round
SHORTEST_DRIFT = timedelta(minutes=2)  # less is their clocks
MOST_HELD, MOST_CONSTRAINTS = 60, 50  # no station has more; a hostile one must not make pages slow


def as_profile(row: ChargingProfile) -> Profile:
    return Profile(
        evse=row.evse_number,
        purpose=row.purpose,
        kind=row.kind,
        unit=row.unit,
        periods=read_periods(row.periods),
        number=row.number,
        stack_level=row.stack_level,
        recurrency=row.recurrency,
        starts_at=row.starts_at,
        duration_s=row.duration_s,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        transaction_id=row.transaction_id,
        min_rate=row.min_rate,
        more=row.more,
    )


def read_periods(told: Iterable[Any]) -> tuple[schedules.Period, ...]:
    return tuple(schedules.read_period(period) for period in told)


def held(
    tenant_id: int, station_ids: Sequence[int], now: datetime | None = None
) -> QuerySet[ChargingProfile]:
    """Profiles that stations hold: accepted, and not over since."""
    at = now or timezone.now()
    return ChargingProfile.objects.filter(
        Q(session=None) | Q(session__ended_at=None),
        Q(valid_to=None) | Q(valid_to__gt=at),
        tenant_id=tenant_id,
        station_id__in=station_ids,
        state=ProfileState.ACCEPTED,
    ).order_by("purpose", "evse_number", "-stack_level", "id")


def open_constraints(tenant_id: int, now: datetime | None = None, **only: Any) -> QuerySet[PowerConstraint]:
    """Limits that others set and that hold now or later."""
    at = now or timezone.now()
    return PowerConstraint.objects.filter(
        Q(ends_at=None) | Q(ends_at__gt=at), tenant_id=tenant_id, cleared_at=None, **only
    ).order_by("-id")


def _constraint_number(row: PowerConstraint) -> int:
    """Apart from the ids that profiles have on the wire."""
    return -(10**12) - row.pk


def constraint_profile(row: PowerConstraint) -> Profile:
    """A constraint as the calculation takes it."""
    until = None if row.ends_at is None else max(0, int((row.ends_at - row.starts_at).total_seconds()))
    return Profile(
        evse=row.evse_number,
        purpose=schedules.EXTERNAL,
        kind=schedules.ABSOLUTE,
        unit=row.unit,
        periods=read_periods(row.periods),
        number=_constraint_number(row),
        starts_at=row.starts_at,
        duration_s=until,
    )


def hardware(connectors: Iterable[Connector]) -> Hardware:
    """Of the connectors of one EVSE: it serves one at a time, so the strongest counts."""
    best = [
        Hardware(float(c.max_amps), float(c.max_power_w), PHASES[PowerType(c.power_type)]) for c in connectors
    ]
    if not best:
        return UNLIMITED
    return Hardware(
        max(one.amps for one in best), max(one.watts for one in best), max(one.phases for one in best)
    )


@dataclass
class Limits:
    """All that limits a station. `rows` by the number of the calculation's profile."""

    station: Station
    now: datetime
    calculation: schedules.Station
    rows: dict[int, ChargingProfile | PowerConstraint]
    profiles: list[ChargingProfile]
    constraints: list[PowerConstraint]
    sessions: dict[int, Session]
    is_dc: dict[int, bool]
    told: dict[int, CompositeTold] = field(default_factory=dict)

    @property
    def evses(self) -> list[int]:
        return sorted(self.calculation.evses)

    def without(self, *numbers: int) -> Limits:
        kept = [one for one in self.calculation.profiles if one.number not in numbers]
        return replace(self, calculation=replace(self.calculation, profiles=kept))

    def with_profile(self, profile: Profile) -> Limits:
        """As it would be with this profile, which takes the place of its like."""
        kept = [one for one in self.calculation.profiles if not same_slot(one, profile)]
        return replace(self, calculation=replace(self.calculation, profiles=[*kept, profile]))

    def unit(self, evse: int) -> str:
        """In which people think of it: A for AC, W for DC."""
        return WATTS if self.is_dc.get(evse, False) else AMPS

    def composite(self, evse: int, length: timedelta = HORIZON, unit: str = "") -> list[Slice]:
        return self.calculation.composite(evse, self.now, self.now + length, unit or self.unit(evse))

    def running_w(self, evse: int) -> float:
        """What flows there now."""
        return float(self.sessions[evse].power_w or 0) if evse in self.sessions else 0.0

    def lost_wh(self, after: Limits, evse: int, length: timedelta) -> float:
        """How much less the cars that charge now get, if things become as `after`."""
        total = 0.0
        for number in [evse] if evse else self.evses:
            session = self.sessions.get(number)
            if session is None:
                continue
            most = float(session.power_w or 0) or self.calculation.evses[number].watts
            seconds = length.total_seconds()
            now, then = self.composite(number, length, WATTS), after.composite(number, length, WATTS)
            total += schedules.energy_wh(now, seconds, most) - schedules.energy_wh(then, seconds, most)
        return total


def same_slot(one: Profile, other: Profile) -> bool:
    """Whether a station keeps only the newer of both (1.6 5.16, K01.FR.05)."""
    if one.number and one.number == other.number:
        return True
    slot = (one.evse, one.purpose, one.stack_level, one.transaction_id)
    return slot == (other.evse, other.purpose, other.stack_level, other.transaction_id)


def of_station(station: Station, now: datetime | None = None) -> Limits:
    return of_stations([station], now)[station.pk]


def of_stations(stations: Sequence[Station], now: datetime | None = None) -> dict[int, Limits]:
    """The same of stations of one tenant, by as many statements as of one."""
    if not stations:
        return {}
    at, tenant_id, ids = now or timezone.now(), stations[0].tenant_id, [station.pk for station in stations]
    profiles: dict[int, list[ChargingProfile]] = defaultdict(list)
    for row in held(tenant_id, ids, at):
        if len(profiles[row.station_id]) < MOST_HELD:
            profiles[row.station_id].append(row)
    constraints: dict[int, list[PowerConstraint]] = defaultdict(list)
    for told in open_constraints(tenant_id, at, station_id__in=ids):
        if len(constraints[told.station_id or 0]) < MOST_CONSTRAINTS:
            constraints[told.station_id or 0].append(told)
    plugs: dict[int, dict[int, list[Connector]]] = defaultdict(dict)
    found = Connector.objects.filter(tenant_id=tenant_id, evse__station__in=ids)
    for connector in found.annotate(station_id=F("evse__station"), evse_number=F("evse__number")):
        plugs[connector.station_id].setdefault(connector.evse_number, []).append(connector)
    sessions: dict[int, dict[int, Session]] = defaultdict(dict)
    running = Session.objects.filter(tenant_id=tenant_id, station__in=ids, state=SessionState.ACTIVE)
    for session in running.select_related("evse"):
        sessions[session.station_id][session.evse.number] = session
    first: dict[int, set[int]] = defaultdict(set)
    of_sessions = [session for own in sessions.values() for session in own.values()]
    going_first = SessionPower.objects.filter(tenant_id=tenant_id, session__in=of_sessions, priority=True)
    for station_id, number in (
        going_first.values_list("session__station", "evse_number") if of_sessions else ()
    ):
        first[station_id].add(number)
    told_of: dict[int, dict[int, CompositeTold]] = defaultdict(dict)
    for composite in CompositeTold.objects.filter(tenant_id=tenant_id, station__in=ids):
        told_of[composite.station_id][composite.evse_number] = composite
    return {
        station.pk: _limits(
            station, at, profiles[station.pk], constraints[station.pk], plugs[station.pk], sessions[station.pk],
            first[station.pk], told_of[station.pk],
        )
        for station in stations
    }  # fmt: skip


def _limits(
    station: Station,
    at: datetime,
    profiles: list[ChargingProfile],
    constraints: list[PowerConstraint],
    plugs: dict[int, list[Connector]],
    sessions: dict[int, Session],
    first: set[int],
    told: dict[int, CompositeTold],
) -> Limits:
    evses = {number: hardware(plugs[number]) for number in sorted(plugs)}
    kept = [row for row in constraints if row.told_by == "station" and not row.local_generation]
    return Limits(
        station=station,
        now=at,
        calculation=schedules.Station(
            profiles=[as_profile(row) for row in profiles] + [constraint_profile(row) for row in kept],
            evses=evses,
            whole=Hardware(
                sum(one.amps for one in evses.values()) or UNLIMITED.amps,
                sum(one.watts for one in evses.values()) or UNLIMITED.watts,
                max([one.phases for one in evses.values()], default=3),
            ),
            transactions={
                number: (session.transaction_id, session.started_at) for number, session in sessions.items()
            },
            priority=first,
        ),
        rows={row.number: row for row in profiles} | {_constraint_number(row): row for row in kept},
        profiles=profiles,
        constraints=constraints,
        sessions=sessions,
        is_dc={number: all(plug.power_type == PowerType.DC for plug in own) for number, own in plugs.items()},
        told=told,
    )


# --- what the station itself says ---


@dataclass(frozen=True)
class Drift:
    """For a while the station keeps to something else than what follows from its profiles. In `unit`."""

    begins: datetime
    ends: datetime
    ours: float
    theirs: float
    unit: str


def drift(limits: Limits, evse: int) -> list[Drift] | None:
    """Where what the station said differs from now on; None where it said nothing of it."""
    told = limits.told.get(evse)
    if told is None:
        return None
    end = min(told.starts_at + timedelta(seconds=told.duration_s), limits.now + HORIZON)
    periods = read_periods(told.periods)
    if end <= limits.now or not periods:
        return None
    ours = limits.calculation.composite(evse, limits.now, end, told.unit)
    turns = {limits.now + timedelta(seconds=one.start_s) for one in ours}
    turns |= {told.starts_at + timedelta(seconds=period.start_s) for period in periods}
    moments = sorted({max(limits.now, turn) for turn in turns if turn < end})
    allowed = DRIFT_AMPS * (schedules.VOLTS * 3 if told.unit == WATTS else 1)
    found: list[Drift] = []
    for place, moment in enumerate(moments):
        until = moments[place + 1] if place + 1 < len(moments) else end
        if until - moment < SHORTEST_DRIFT:
            continue
        mine = [one for one in ours if limits.now + timedelta(seconds=one.start_s) <= moment][-1].limit
        passed = [p for p in periods if told.starts_at + timedelta(seconds=p.start_s) <= moment]
        theirs = passed[-1].limit if passed else None
        if theirs is None or abs(theirs - mine) <= allowed:
            continue
        if found and found[-1].ends == moment and (found[-1].ours, found[-1].theirs) == (mine, theirs):
            found[-1] = replace(found[-1], ends=until)
        else:
            found.append(Drift(moment, until, mine, theirs, told.unit))
    return found


# --- in words ---


def text_of(value: float, unit: str, phases: int = 3) -> str:
    """16 A (11 kW), 50 kW. Amps per phase, power over all of them."""
    watts = schedules.to_unit(value, unit, WATTS, phases)
    power = f"{_short(watts / 1000)}\u00a0kW"
    return power if unit == WATTS else f"{_short(value)}\u00a0A ({power})"


def _short(value: float) -> str:
    """With one decimal where it has one."""
    rounded = round(value, 1)
    return str(number_format(int(rounded) if rounded == int(rounded) else rounded))


def clock(at: datetime) -> str:
    """17:30; another day's with its date. In the zone in force."""
    local = timezone.localtime(at)
    return str(format_date(local, "H:i" if local.date() == timezone.localdate() else "j M, H:i"))


def why(row: ChargingProfile | PowerConstraint | None) -> str:
    """Who or what a limit comes from."""
    if row is None:
        return _("the most that the hardware gives")
    if isinstance(row, PowerConstraint):
        return _("limit by: %(who)s") % {"who": row.get_source_display().lower()}
    if row.intent == "limit":
        return _("limit set by %(who)s") % {"who": row.label}
    if row.intent == "recurring":
        return _("recurring limit")
    if row.intent == "plan":
        return _("plan for the car's wish")
    if row.intent == "energy":
        return _("load management")
    if row.source != LimitSource.OPERATOR:
        return _("limit by: %(who)s") % {"who": row.get_source_display().lower()}
    return str(Purpose(row.purpose).label).lower()


def until_end_of(slices: Sequence[Slice], place: int, start: datetime, end: datetime) -> datetime:
    return start + timedelta(seconds=slices[place + 1].start_s) if place + 1 < len(slices) else end


def utc_now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
