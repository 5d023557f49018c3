"""Charging profiles: checked, sent, kept as rows through their life, and held against what stations report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from stations import limits, schedules
from stations.models import (
    ChargingProfile,
    Command,
    CommandKind,
    CommandState,
    CompositeTold,
    ProfileState,
    Session,
    SessionState,
    Station,
    wire_number,
)
from stations.neutral_power import CompositeAnswered, ProfilesTold
from stations.schedules import AMPS, WATTS, Period, Profile
from stations.services import commands, rules
from tenants import rows as statements
from tenants.errors import Conflict, DomainError, Invalid, NotFound
from tenants.permissions import Actor, Permission, system

# Stack levels: what an operator says now goes before what recurs, and that before plans of cars. Load management goes
# before all, for it keeps breakers: it reads the others, and gives no more than they allow. Where a station knows fewer
# levels the highest is load management's, and the others move down (`Known.level`, `make_way`).
PLAN_STACK, RECURRING_STACK, LIMIT_STACK, ENERGY_STACK = 0, 1, 2, 3
EARLIER = timedelta(minutes=1)  # a limit of now begins a little earlier: clocks of stations run behind
ENERGY = "energy"  # intent of load management's own
PATIENCE = timedelta(hours=1)  # a profile that went with a remote start waits so long for its session
MOST_TOLD = 500


@dataclass
class Known:
    """What decides on profiles of a station: what it takes, what it holds or will, which sessions run."""

    station: Station
    takes: rules.Allowed
    rows: list[ChargingProfile]
    sessions: dict[int, Session]

    @property
    def is_steered(self) -> bool:
        """Whether load management holds something there."""
        return any(row.intent == ENERGY for row in self.rows)

    def level(self, wanted: int) -> int:
        """The stack level for it, or as near as the station knows one."""
        most = self.takes.most_stack
        if most is None or most >= ENERGY_STACK:
            return wanted
        above = ENERGY_STACK - most if self.is_steered or wanted == ENERGY_STACK else 0
        return max(0, min(wanted - above, most))

    def slot(self, profile: Profile) -> ChargingProfile | None:
        """The row whose place in the station the profile takes."""
        return next((row for row in self.rows if limits.same_slot(limits.as_profile(row), profile)), None)


def known(tenant_id: int, stations: Sequence[Station]) -> dict[int, Known]:
    """For so many stations with three statements."""
    ids = [station.pk for station in stations]
    takes = rules.allowed(tenant_id, ids)
    found = {station.pk: Known(station, takes[station.pk], [], {}) for station in stations}
    now = timezone.now()
    waiting = ChargingProfile.objects.filter(
        tenant_id=tenant_id, station_id__in=ids, state=ProfileState.SENT, created_at__gt=now - PATIENCE
    ).order_by("id")
    for row in [*limits.held(tenant_id, ids, now), *waiting]:
        found[row.station_id].rows.append(row)
    for session in Session.objects.filter(
        tenant_id=tenant_id, station_id__in=ids, state=SessionState.ACTIVE
    ).select_related("evse"):
        found[session.station_id].sessions[session.evse.number] = session
    return found


def station_of(tenant_id: int, station_id: int, actor: Actor) -> Station:
    """The station, if the actor may limit it."""
    station = (
        Station.objects.select_related("site")
        .filter(tenant_id=tenant_id, pk=station_id, archived_at=None)
        .first()
    )
    if station is None or (actor.site_ids is not None and station.site_id not in actor.site_ids):
        raise NotFound("There is no such station.")
    actor.require(Permission.STATION_COMMAND, site_id=station.site_id)
    return station


def install(
    *,
    tenant_id: int,
    station_id: int,
    profile: Profile,
    actor: Actor,
    intent: str = "raw",
    known_of: Known | None = None,
    expires_in_seconds: int = 60,
    clock_ahead: timedelta = timedelta(0),
) -> ChargingProfile:
    """Send a profile. It takes the id of the one whose place it takes, and the place of one that waits to be sent.

    Who sends many passes `known_of` (see `known`). `clock_ahead`: times go out by the station's own clock. Invalid for
    what the specification or the station does not take, Conflict where load management has the place.
    """
    of = known_of or known(tenant_id, [station_of(tenant_id, station_id, actor)])[station_id]
    wanted = [Installing(of, profile, expires_in_seconds, clock_ahead)]
    (made,) = install_many(tenant_id=tenant_id, wanted=wanted, actor=actor, intent=intent)
    if isinstance(made, DomainError):
        raise made
    return made


@dataclass(frozen=True, slots=True)
class Installing:
    """A profile on its way to a station; see `install`."""

    of: Known
    profile: Profile
    expires_in_seconds: int = 60
    clock_ahead: timedelta = timedelta(0)


def install_many(
    *, tenant_id: int, wanted: Sequence[Installing], actor: Actor, intent: str
) -> list[ChargingProfile | DomainError]:
    """Send many, no two of them for the same place, by as many statements as for one. Of each its row, or why it did
    not go."""
    ready: list[_Ready | DomainError] = []
    for asked in wanted:
        try:
            ready.append(_checked(asked, actor, intent))
        except DomainError as error:
            ready.append(error)
    going = [one for one in ready if not isinstance(one, DomainError)]
    for one in going:
        if one.before is not None and one.before.state == ProfileState.SENT:
            _overtake(one.before)
            one.of.rows.remove(one.before)
    made = commands.request_many(tenant_id=tenant_id, asked=[one.asked for one in going], actor=actor)
    rows = []
    for one, command in zip(going, made, strict=True):
        row = _row(tenant_id, one.of.station.pk, one.profile, command)
        row.session, row.intent, row.label = one.session, intent, actor.label[:120]
        rows.append(row)
    ChargingProfile.objects.bulk_create(rows)
    for one, row in zip(going, rows, strict=True):
        one.of.rows.append(row)
    entered = iter(rows)
    return [one if isinstance(one, DomainError) else next(entered) for one in ready]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A profile that may go. `before`: the row whose place it takes."""

    of: Known
    profile: Profile
    before: ChargingProfile | None
    session: Session | None
    asked: commands.Asked


def _checked(one: Installing, actor: Actor, intent: str) -> _Ready:
    of, profile = one.of, one.profile
    actor.require(Permission.STATION_COMMAND, site_id=of.station.site_id)
    session = of.sessions.get(profile.evse) if profile.purpose == schedules.TRANSACTION else None
    if profile.purpose == schedules.TRANSACTION:
        profile = _of_session(profile, session)
    before = of.slot(profile)
    if before is not None and before.intent == ENERGY and intent != ENERGY:
        raise Conflict(_taken(of, profile))
    if before is not None and not profile.number:
        profile = replace(profile, number=before.number)
    elsewhere = sum(row.state == ProfileState.ACCEPTED for row in of.rows) - (before is not None)
    rules.check(profile, of.station, of.takes, held=elsewhere)
    asked = commands.Asked(
        of.station, CommandKind.SET_PROFILE,
        {"evse": profile.evse, "profile": schedules.as_json(_shifted(profile, one.clock_ahead))},
        _is_decrease(profile, before), one.expires_in_seconds,
    )  # fmt: skip
    return _Ready(of, profile, before, session, asked)


def _taken(of: Known, profile: Profile) -> str:
    if of.level(ENERGY_STACK) == 0:
        return (
            "Load management uses the only stack level that this station knows. Limit the connector where it is wired, "
            "on the site's page Load, or take it out of load management."
        )
    return f"Stack level {profile.stack_level} is load management's at this station: choose a lower one."


def make_way(*, tenant_id: int, of: Known, profile: Profile, actor: Actor) -> bool:
    """Whether load management can take a place: what others hold there goes a level down first, one after the other.
    Conflict where there is none left: their limit stays."""
    before = of.slot(profile)
    if before is None or before.intent == ENERGY:
        return True
    return _move_down(tenant_id, of, before, actor)


def in_the_way(of: Known, evse: int) -> ChargingProfile | None:
    """The limit because of which load management finds no place at an EVSE (`make_way` raises Conflict)."""
    session, level = of.sessions.get(evse), of.level(ENERGY_STACK)
    places = [Profile(evse, schedules.DEFAULT, schedules.ABSOLUTE, AMPS, (), stack_level=level)]
    if session is not None:
        transaction_id = session.transaction_id
        places.append(replace(places[0], purpose=schedules.TRANSACTION, transaction_id=transaction_id))
    return next((row for place in places if (row := _without_a_place_below(of, place)) is not None), None)


def _without_a_place_below(of: Known, place: Profile) -> ChargingProfile | None:
    row = of.slot(place)
    while row is not None and row.intent != ENERGY:
        if row.stack_level < 1:
            return row
        copy = replace(limits.as_profile(row), stack_level=row.stack_level - 1, number=0)
        below = of.slot(copy)
        if below is not None and replace(limits.as_profile(below), number=0) == copy:
            return None  # it has moved already
        row = below
    return None


def _move_down(tenant_id: int, of: Known, row: ChargingProfile, actor: Actor) -> bool:
    """Whether the station holds the same a level below."""
    if row.stack_level < 1:
        raise Conflict(
            "This station knows too few stack levels for load management beside the limits that others set: clear one."
        )
    own = limits.as_profile(row)
    copy = replace(own, stack_level=own.stack_level - 1, number=0)
    there = of.slot(copy)
    if there is not None:
        if replace(limits.as_profile(there), number=0) == copy:
            return there.state == ProfileState.ACCEPTED
        if not _move_down(tenant_id, of, there, actor):
            return False
    made = install(
        tenant_id=tenant_id,
        station_id=of.station.pk,
        profile=copy,
        actor=actor,
        intent=row.intent,
        known_of=of,
    )
    made.label = row.label
    made.save(update_fields=["label"])
    return False


def _shifted(profile: Profile, ahead: timedelta) -> Profile:
    def at(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment + ahead

    return (
        replace(
            profile,
            starts_at=at(profile.starts_at),
            valid_from=at(profile.valid_from),
            valid_to=at(profile.valid_to),
        )
        if ahead
        else profile
    )


def _of_session(profile: Profile, session: Session | None) -> Profile:
    """A profile for a session needs one that runs (1.6 5.16.1, K01.FR.09)."""
    if session is None:
        raise Conflict("No session runs at this connector: a profile for a session needs one.")
    if profile.transaction_id and profile.transaction_id != session.transaction_id:
        raise Conflict("Another session runs at this connector now.")
    return replace(profile, transaction_id=session.transaction_id)


def _overtake(row: ChargingProfile) -> None:
    """A newer profile for the same place: the one that still waits need not go out. One that is being sent in this
    moment does: the station may hold it, whatever comes after."""
    command = Command.objects.filter(tenant_id=row.tenant_id, pk=row.command_id or 0).first()
    if command is not None and commands.hold(command=command):
        _end([row], ProfileState.REPLACED, "A newer one was sent instead.")
        commands.settle(
            tenant_id=row.tenant_id, command_id=command.pk, state=CommandState.CANCELLED, answer="replaced"
        )


def _is_decrease(profile: Profile, before: ChargingProfile | None) -> bool:
    """Limits that fall are urgent. Where nothing was, anything is less."""
    first = profile.periods[0].limit if profile.periods else None
    if first is None or before is None or not before.periods:
        return first is not None
    earlier = limits.read_periods(before.periods)[0]
    if earlier.limit is None:
        return True
    return first < schedules.to_unit(earlier.limit, before.unit, profile.unit, earlier.phases or 3)


def _row(tenant_id: int, station_id: int, profile: Profile, command: Command) -> ChargingProfile:
    return ChargingProfile(
        tenant_id=tenant_id,
        station_id=station_id,
        command_id=command.pk,
        number=profile.number or schedules.number_of(command.pk),
        **_columns(profile),
    )


def _columns(profile: Profile) -> dict[str, Any]:
    return {
        "evse_number": min(max(profile.evse, 0), 32_767),
        "purpose": profile.purpose,
        "kind": profile.kind,
        "recurrency": profile.recurrency,
        "stack_level": min(profile.stack_level, 2**31 - 1),
        "unit": profile.unit[:1],
        "periods": [period.as_json() for period in profile.periods],
        "starts_at": profile.starts_at,
        "duration_s": None if profile.duration_s is None else min(profile.duration_s, 2**31 - 1),
        "valid_from": profile.valid_from,
        "valid_to": profile.valid_to,
        "min_rate": profile.min_rate,
        "more": dict(profile.more),
        "transaction_id": profile.transaction_id[:64],
    }


def _end(rows: Iterable[ChargingProfile], state: str, reason: str) -> None:
    ids = [row.pk for row in rows]
    if ids:
        ChargingProfile.objects.filter(pk__in=ids).update(
            state=state, reason=reason[:200], ended_at=timezone.now()
        )


# --- the operator's flows ---


def limit(
    *,
    tenant_id: int,
    station_id: int,
    evse: int,
    actor: Actor,
    amps: float | None = None,
    power_w: float | None = None,
    until: datetime | None = None,
    intent: str = "limit",
) -> list[ChargingProfile]:
    """Limit a connector (or with evse 0 the whole station) from now on, until then or until cleared.

    At a connector the limit is the default of every session there, and a profile of its own for one that runs: the
    default alone leaves a running session alone in 1.6, and everywhere where another profile rules it.
    """
    station = station_of(tenant_id, station_id, actor)
    of = known(tenant_id, [station])[station_id]
    profiles = _limiting(of, evse, amps, power_w, until)
    return [
        install(
            tenant_id=tenant_id,
            station_id=station_id,
            profile=profile,
            actor=actor,
            intent=intent,
            known_of=of,
        )
        for profile in profiles
    ]


def preview(
    *,
    station: Station,
    evse: int,
    amps: float | None = None,
    power_w: float | None = None,
    until: datetime | None = None,
) -> tuple[limits.Limits, limits.Limits]:
    """What holds at a station now, and what would with this limit."""
    of = known(station.tenant_id, [station])[station.pk]
    now = after = limits.of_station(station)
    for profile in _limiting(of, evse, amps, power_w, until):
        after = after.with_profile(profile)
    return now, after


def _limiting(
    of: Known, evse: int, amps: float | None, power_w: float | None, until: datetime | None
) -> list[Profile]:
    now = timezone.now().replace(microsecond=0)
    if until is not None and until <= now:
        raise Invalid(fields={"until": "This time is over already."})
    start = now - EARLIER
    unit, period = _amount(of, evse, amps, power_w)
    flat = Profile(
        evse=evse,
        purpose=schedules.DEFAULT if evse else schedules.STATION_MAX,
        kind=schedules.ABSOLUTE,
        unit=unit,
        periods=(period,),
        stack_level=of.level(LIMIT_STACK),
        starts_at=start,
        duration_s=None if until is None else int((until - start).total_seconds()),
        valid_to=until,
    )
    session = of.sessions.get(evse)
    if session is None:
        return [flat]
    own = replace(flat, purpose=schedules.TRANSACTION, transaction_id=session.transaction_id)
    return [own, flat]


def _amount(of: Known, evse: int, amps: float | None, power_w: float | None) -> tuple[str, Period]:
    """In a unit that the station takes."""
    if (amps is None) == (power_w is None):
        raise Invalid(fields={"amps": "Give either amps or a power."})
    value, given = (amps, AMPS) if amps is not None else (power_w, WATTS)
    assert value is not None
    if not 0 <= value < 10_000_000:
        raise Invalid(fields={"amps" if amps is not None else "power_w": "A limit is a number from 0 up."})
    now = limits.of_station(of.station)
    phases = now.calculation.evses.get(evse, now.calculation.whole).phases
    unit = of.takes.unit(given)
    return unit, Period(0, round(schedules.to_unit(value, given, unit, phases), 1))


def limit_daily(
    *,
    tenant_id: int,
    station_id: int,
    evse: int,
    begins: time,
    ends: time,
    actor: Actor,
    amps: float | None = None,
    power_w: float | None = None,
) -> ChargingProfile:
    """Limit a connector or the whole station every day between two times of the site's zone."""
    station = station_of(tenant_id, station_id, actor)
    of = known(tenant_id, [station])[station_id]
    unit, period = _amount(of, evse, amps, power_w)
    starts_at, duration_s = daily_window(station, begins, ends)
    profile = Profile(
        evse=evse,
        purpose=schedules.DEFAULT if evse else schedules.STATION_MAX,
        kind=schedules.RECURRING,
        recurrency="daily",
        unit=unit,
        periods=(period,),
        stack_level=of.level(RECURRING_STACK),
        starts_at=starts_at,
        duration_s=duration_s,
        more={"begins": begins.strftime("%H:%M"), "ends": ends.strftime("%H:%M")},
    )
    return install(
        tenant_id=tenant_id,
        station_id=station_id,
        profile=profile,
        actor=actor,
        intent="recurring",
        known_of=of,
    )


def daily_window(station: Station, begins: time, ends: time) -> tuple[datetime, int]:
    """When today's window begins, and how long it lasts; one that ends before it begins goes past midnight."""
    if begins == ends:
        raise Invalid(fields={"ends": "It must last for a while."})
    zone = ZoneInfo(station.site.time_zone)
    today = timezone.now().astimezone(zone).date()
    start = datetime.combine(today, begins, zone)
    length = (datetime.combine(today, ends) - datetime.combine(today, begins)).total_seconds() % 86_400
    return start.astimezone(ZoneInfo("UTC")), int(length)


def clear(*, tenant_id: int, profile_id: int, actor: Actor) -> Command:
    """Have a profile taken out of its station. Conflict for one that is not in there, or not ours to take."""
    row = ChargingProfile.objects.filter(tenant_id=tenant_id, pk=profile_id).first()
    if row is None:
        raise NotFound("There is no such profile.")
    station_of(tenant_id, row.station_id, actor)
    if row.state != ProfileState.ACCEPTED:
        raise Conflict("This profile is not in the station.")
    if row.purpose == schedules.EXTERNAL:
        raise Conflict("A limit from outside goes when whoever set it takes it back.")
    return commands.request_command(
        tenant_id=tenant_id,
        station_id=row.station_id,
        kind=CommandKind.CLEAR_PROFILE,
        arguments={"number": row.number},
        actor=actor,
    )


# --- how commands end (outcomes.FOLLOWERS) ---


def settled(*, command: Command) -> None:
    """A profile was taken or not. One that was sent without a row (as a bare command) gets its row here."""
    row = ChargingProfile.objects.filter(
        tenant_id=command.tenant_id, command_id=command.pk, state=ProfileState.SENT
    ).first()
    accepted = command.state == CommandState.ACCEPTED
    if row is None:
        if not accepted:
            return
        row = _of_command(command, command.arguments.get("profile"))
        if row is None:
            return
    now = timezone.now()
    row.settled_at = now
    if accepted:
        _take_place(row)
        row.state = ProfileState.ACCEPTED
    else:
        refused = command.state == CommandState.REJECTED
        row.state = ProfileState.REJECTED if refused else ProfileState.FAILED
        row.ended_at = now
        row.reason = (command.detail or command.get_state_display())[:200]
    row.save()


def _of_command(command: Command, told: Any) -> ChargingProfile | None:
    try:
        profile = schedules.read(told)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    row = _row(command.tenant_id, command.station_id, profile, command)
    row.intent, row.label = "raw", command.origin_label
    return row


def _take_place(row: ChargingProfile) -> None:
    """What the station dropped for it: the same id, or the same place (1.6 5.16, K01.FR.05)."""
    Station.objects.select_for_update(no_key=True).get(tenant_id=row.tenant_id, pk=row.station_id)
    mine = limits.as_profile(row)
    rivals = ChargingProfile.objects.filter(
        tenant_id=row.tenant_id, station_id=row.station_id, state=ProfileState.ACCEPTED
    ).exclude(pk=row.pk)
    gone = [rival for rival in rivals if limits.same_slot(limits.as_profile(rival), mine)]
    _end(gone, ProfileState.REPLACED, "")


def started(*, command: Command) -> None:
    """A remote start took its profile along; its session follows (see `sweep`)."""
    told = command.arguments.get("charging_profile")
    if told and command.state == CommandState.ACCEPTED and (row := _of_command(command, told)):
        row.evse_number = row.evse_number or int(command.arguments.get("evse") or 0)
        row.state, row.settled_at = ProfileState.ACCEPTED, timezone.now()
        row.save()


def cleared(*, command: Command) -> None:
    """What was cleared is gone; so is what the station did not know ("Unknown", 1.6 5.5, K10.FR.08)."""
    if command.state != CommandState.ACCEPTED and command.answer != "Unknown":
        return
    told = command.arguments
    columns = {
        "number": "number",
        "evse": "evse_number",
        "purpose": "purpose",
        "stack_level": "stack_level",
    }
    if "number" in told:
        columns = {"number": "number"}
    chosen = {column: told[name] for name, column in columns.items() if told.get(name) is not None}
    gone = ChargingProfile.objects.filter(
        tenant_id=command.tenant_id, station_id=command.station_id, state=ProfileState.ACCEPTED, **chosen
    ).exclude(purpose=schedules.EXTERNAL)
    reason = "" if command.state == CommandState.ACCEPTED else "The station did not have it."
    _end(gone, ProfileState.CLEARED, reason or command.origin_label)


# --- what stations report ---


def record_reports(*, tenant_id: int, reports: Sequence[ProfilesTold]) -> None:
    """ReportChargingProfiles: rows come to agree with what the station has. After the last part, what was asked for
    and not told is gone."""
    for told in reports:
        Station.objects.select_for_update(no_key=True).get(tenant_id=tenant_id, pk=told.station_id)
        have = {
            row.number: row
            for row in ChargingProfile.objects.filter(
                tenant_id=tenant_id, station_id=told.station_id, state=ProfileState.ACCEPTED
            )
        }
        for profile in {profile.number: profile for profile in told.profiles}.values():
            if len(have) >= MOST_TOLD and profile.number not in have:
                continue
            row = have.get(profile.number) or ChargingProfile(
                tenant_id=tenant_id,
                station_id=told.station_id,
                number=profile.number,
                settled_at=told.received_at,
            )
            more = row.more | dict(profile.more)
            for name, value in (_columns(profile) | {"more": more}).items():
                setattr(row, name, value)
            row.state, row.source, row.told_at = ProfileState.ACCEPTED, told.source, told.received_at
            row.session_id = row.session_id or _session_of(row)
            row.save()
            have[row.number] = row
        if not told.more:
            _reconcile(tenant_id, told, list(have.values()))


def _session_of(row: ChargingProfile) -> int | None:
    if not row.transaction_id:
        return None
    found = Session.objects.filter(
        tenant_id=row.tenant_id, station_id=row.station_id, transaction_id=row.transaction_id
    )
    return found.values_list("pk", flat=True).first()


def _reconcile(tenant_id: int, told: ProfilesTold, have: list[ChargingProfile]) -> None:
    asked = (
        Command.objects.filter(
            tenant_id=tenant_id, station_id=told.station_id, kind=CommandKind.READ_PROFILES
        )
        .order_by("-id")
        .first()
    )
    if asked is None or wire_number(asked.pk) != told.request or not asked.sent_at:
        return
    if asked.arguments.keys() - {"evse"}:
        return  # only some were asked for
    since, evse = asked.sent_at, asked.arguments.get("evse")
    # Parts come source by source and EVSE by EVSE: what this part's source and EVSE tell is complete.
    gone = [
        row
        for row in have
        if row.source == told.source
        and row.evse_number == told.evse
        and (evse is None or row.evse_number == evse)
        and (row.told_at is None or row.told_at < since)
        and (row.settled_at is None or row.settled_at < since)
    ]
    _end(gone, ProfileState.CLEARED, "The station no longer tells of it.")


def read(*, command: Command) -> None:
    """The station has none of what was asked for (NoProfiles, K09.FR.02)."""
    if command.answer != "NoProfiles" or command.arguments.keys() - {"evse"} or command.sent_at is None:
        return
    gone = ChargingProfile.objects.filter(
        tenant_id=command.tenant_id,
        station_id=command.station_id,
        state=ProfileState.ACCEPTED,
        settled_at__lt=command.sent_at,
    )
    if (evse := command.arguments.get("evse")) is not None:
        gone = gone.filter(evse_number=evse)
    _end(gone, ProfileState.CLEARED, "The station says that it has no profile.")


def record_composites(*, tenant_id: int, reports: Sequence[CompositeAnswered]) -> None:
    """GetCompositeSchedule: the newest answer for each EVSE."""
    for told in reports:
        CompositeTold.objects.update_or_create(
            tenant_id=tenant_id,
            station_id=told.station_id,
            evse_number=min(max(told.evse, 0), 32_767),
            defaults={
                "unit": told.unit[:1],
                "starts_at": told.starts_at,
                "duration_s": min(max(told.duration_s, 0), 2**31 - 1),
                "periods": [period.as_json() for period in told.periods],
                "told_at": told.received_at,
            },
        )


# --- time goes by ---

_JOIN = """
UPDATE stations_chargingprofile p SET session_id = s.id, transaction_id = s.transaction_id, evse_number = s.number
FROM (SELECT w.id AS row, k.id, k.transaction_id, e.number FROM (
        SELECT q.id, q.station_id, q.command_id, q.created_at FROM stations_chargingprofile q
        WHERE q.tenant_id = %(tenant)s AND q.state = 'accepted' AND q.purpose = 'transaction'
            AND q.session_id IS NULL AND q.command_id IS NOT NULL OFFSET 0) w
    CROSS JOIN LATERAL (
        SELECT x.id, x.transaction_id, x.evse_id FROM stations_session x
        WHERE x.tenant_id = %(tenant)s AND x.station_id = w.station_id AND x.remote_command_id = w.command_id
            AND x.started_at > w.created_at - interval '1 day' LIMIT 1) k
    JOIN stations_evse e ON e.tenant_id = %(tenant)s AND e.id = k.evse_id) s
WHERE p.tenant_id = %(tenant)s AND p.id = s.row
"""
_OVER = """
UPDATE stations_chargingprofile p SET state = w.state, ended_at = now(), reason = w.reason
FROM (SELECT q.id,
        CASE WHEN s.ended_at IS NOT NULL THEN 'ended' ELSE 'expired' END AS state,
        CASE WHEN s.id IS NULL AND q.purpose = 'transaction' THEN 'No session followed.' ELSE '' END AS reason
    FROM stations_chargingprofile q
    LEFT JOIN stations_session s ON s.tenant_id = %(tenant)s AND s.id = q.session_id
    WHERE q.tenant_id = %(tenant)s AND q.state = 'accepted' AND (
        s.ended_at IS NOT NULL
        OR q.valid_to < now()
        OR (q.kind = 'absolute' AND q.starts_at + make_interval(secs => q.duration_s) < now())
        OR (q.purpose = 'transaction' AND q.session_id IS NULL AND q.created_at < now() - interval '1 hour'))
    LIMIT 5000) w
WHERE p.tenant_id = %(tenant)s AND p.id = w.id
RETURNING p.id
"""


def sweep(*, tenant_id: int) -> int:
    """Profiles of remote starts find their sessions; those that are over are ended; daily ones keep to local time."""
    statements.run(_JOIN, tenant_id, [])
    over = statements.run(_OVER, tenant_id, [])
    return len(over) + _keep_local_time(tenant_id)


def _keep_local_time(tenant_id: int) -> int:
    """The wire knows UTC alone: where summer time came or went, daily windows are sent again."""
    daily = ChargingProfile.objects.filter(
        tenant_id=tenant_id, state=ProfileState.ACCEPTED, intent="recurring", more__has_key="begins"
    ).select_related("station__site")
    sent = 0
    for row in daily:
        begins, ends = (time.fromisoformat(row.more[name]) for name in ("begins", "ends"))
        starts_at, duration_s = daily_window(row.station, begins, ends)
        if row.starts_at is None or starts_at.time() == row.starts_at.astimezone(starts_at.tzinfo).time():
            continue
        waiting = ChargingProfile.objects.filter(
            tenant_id=tenant_id, station_id=row.station_id, number=row.number,
            created_at__gt=timezone.now() - PATIENCE, state=ProfileState.SENT,
        )  # fmt: skip
        if waiting.exists():
            continue
        profile = replace(limits.as_profile(row), starts_at=starts_at, duration_s=duration_s)
        install(
            tenant_id=tenant_id, station_id=row.station_id, profile=profile, actor=system("Summer time"),
            intent="recurring", expires_in_seconds=3600,
        )  # fmt: skip
        sent += 1
    return sent
