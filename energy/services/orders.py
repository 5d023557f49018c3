"""What the loop decided, as profiles on their way to stations."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.db.models import Q
from django.utils import timezone

from energy.queries import SiteTree, Wired
from energy.services import ownership
from stations import schedules
from stations.models import ChargingProfile, ProfileState, Purpose, Station
from stations.schedules import AMPS, Period, Profile
from stations.services import profiles
from stations.services.commands import LOAD_MANAGEMENT
from tenants.errors import DomainError

log = logging.getLogger("voltyard.energy")
One = TypeVar("One")

EARLIER = timedelta(minutes=1)  # it begins a little earlier: clocks of stations run behind
WAITS_SECONDS = 10  # in the queue: later it would say what is no longer so
AGAIN = timedelta(minutes=15)  # after a station refused its default


@dataclass(frozen=True, slots=True)
class Wanted:
    """A of pilot for the session that runs at an EVSE, until when; `why` and `node` go with the profile."""

    number: int  # of the controller's order
    wired: Wired
    session_id: int
    amps: float
    until: datetime
    why: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """`command`: that carries the order; None: it could not be sent at all, and `error` says why."""

    number: int
    command: int | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What goes out at one site, by the token of who steers it."""

    tree: SiteTree
    token: int
    wanted: Sequence[Wanted]


def send(*, tenant_id: int, sites: Sequence[Outgoing]) -> dict[int, list[Sent]]:
    """Send all of it, in one transaction, while the sites are ours: by grid connection, without those that no longer
    are."""
    held = ownership.hold(tenant_id=tenant_id, tokens=[(one.tree.connection.pk, one.token) for one in sites])
    wanted = [(site.tree.connection.pk, one) for site in sites for one in site.wanted]
    wanted = [(connection_id, one) for connection_id, one in wanted if connection_id in held]
    known = _known(tenant_id, {one.wired.station_id for _connection_id, one in wanted})
    told: dict[int, list[Sent]] = {connection_id: [] for connection_id in held}
    going: list[tuple[tuple[int, Wanted], profiles.Installing]] = []
    for connection_id, one in wanted:
        try:
            found = _installing(tenant_id, known.get(one.wired.station_id), one)
        except DomainError as error:
            found = _refused(one, error)
        if isinstance(found, Sent):
            told[connection_id].append(found)
        else:
            going.append(((connection_id, one), found))
    for (connection_id, one), row in _install(tenant_id, going):
        told[connection_id].append(
            _refused(one, row) if isinstance(row, DomainError) else Sent(one.number, row.command_id)
        )
    return told


def _installing(tenant_id: int, of: profiles.Known | None, one: Wanted) -> profiles.Installing | Sent:
    session = of.sessions.get(one.wired.number) if of else None
    if of is None or session is None or session.pk != one.session_id:
        return Sent(one.number, None, "The session is over.")
    profile = replace(_of_session(one, of), transaction_id=session.transaction_id)
    if not profiles.make_way(tenant_id=tenant_id, of=of, profile=profile, actor=LOAD_MANAGEMENT):
        return Sent(one.number, None, "A limit of somebody else moves down first.")
    ahead = timedelta(seconds=round(of.station.clock_offset_s or 0.0))
    return profiles.Installing(of, profile, WAITS_SECONDS, ahead)


def _install(
    tenant_id: int, going: Sequence[tuple[One, profiles.Installing]]
) -> list[tuple[One, ChargingProfile | DomainError]]:
    made = profiles.install_many(
        tenant_id=tenant_id,
        wanted=[found for _one, found in going],
        actor=LOAD_MANAGEMENT,
        intent=profiles.ENERGY,
    )
    return [(one, row) for (one, _found), row in zip(going, made, strict=True)]


def _refused(one: Wanted, error: DomainError) -> Sent:
    _note("a share of power was not sent", one.wired, error)
    return Sent(one.number, None, str(error))


def _note(what: str, one: Wired, error: DomainError) -> None:
    log.warning(what, extra={"station": one.station_id, "detail": str(error)[:200]})


def _known(tenant_id: int, station_ids: set[int]) -> dict[int, profiles.Known]:
    rows = Station.objects.select_related("site").filter(
        tenant_id=tenant_id, pk__in=station_ids, archived_at=None
    )
    return profiles.known(tenant_id, list(rows))


def _of_session(one: Wanted, of: profiles.Known) -> Profile:
    start = (timezone.now() - EARLIER).replace(microsecond=0)
    until = one.until.replace(microsecond=0)
    unit, period = _amount(one.wired, of, one.amps)
    return Profile(
        evse=one.wired.number,
        purpose=schedules.TRANSACTION,
        kind=schedules.ABSOLUTE,
        unit=unit,
        periods=(period,),
        stack_level=of.level(profiles.ENERGY_STACK),
        starts_at=start,
        duration_s=max(1, int((until - start).total_seconds())),
        valid_to=until,
        more={"amps": one.amps, "until": until.isoformat(), "why": one.why, "node": one.node},
    )


def _amount(wired: Wired, of: profiles.Known, amps: float, start_s: int = 0) -> tuple[str, Period]:
    """In a unit that the station takes. W are those of all phases together: an AC station makes A of each phase from
    them by the area's voltage and the number of phases beside them (1.6 7.8, 2.x ChargingRateUnitEnumType)."""
    unit = of.takes.unit(schedules.WATTS if wired.is_dc else AMPS)
    phases = None if wired.is_dc else 1 if wired.outlet.between else len(wired.leaf.lines)
    return unit, Period(start_s, _down(amps if unit == AMPS else amps * wired.volts), phases)


def _down(value: float) -> float:
    """One decimal (1.6 7.14), never upwards."""
    return int(value * 10 + 1e-6) / 10


# --- what stations fall to ---


@dataclass(frozen=True, slots=True)
class Defaults:
    """The default profiles that EVSEs of a site are to hold: A by EVSE, after `delay_s` of 0 A in each session."""

    tree: SiteTree
    token: int
    amps: dict[int, float]
    delay_s: float


def send_defaults(*, tenant_id: int, sites: Sequence[Defaults]) -> set[int]:
    """Have EVSEs hold their default profiles. The grid connections of those sites that are still ours.

    What a station holds already, or refused a while ago, is not sent. One that refuses a profile that counts from the
    start of the session gets a plain one.
    """
    held = ownership.hold(tenant_id=tenant_id, tokens=[(one.tree.connection.pk, one.token) for one in sites])
    wanted = [
        (site, one)
        for site in sites
        if site.tree.connection.pk in held
        for one in site.tree.wired
        if one.evse_id in site.amps
    ]
    known = _known(tenant_id, {one.station_id for _site, one in wanted})
    now = timezone.now()
    past, refused = _past_defaults(tenant_id, list(known), now)
    going: list[tuple[Wired, profiles.Installing]] = []
    for site, one in wanted:
        of, place = known.get(one.station_id), (one.station_id, one.number)
        if of is None or not of.station.online:
            continue
        profile = _default(one, of, site.amps[one.evse_id], site.delay_s, relative=place not in refused)
        last = past.get(place)
        if last is not None and _is_there(last, profile, now, of.station.booted_at):
            continue
        try:
            if profiles.make_way(tenant_id=tenant_id, of=of, profile=profile, actor=LOAD_MANAGEMENT):
                going.append((one, profiles.Installing(of, profile)))
        except DomainError as error:
            _note("a default was not sent", one, error)
    for one, row in _install(tenant_id, going):
        if isinstance(row, DomainError):
            _note("a default was not sent", one, row)
    return held


def _past_defaults(
    tenant_id: int, station_ids: list[int], now: datetime
) -> tuple[dict[tuple[int, int], ChargingProfile], set[tuple[int, int]]]:
    """By (station, EVSE number): the newest of ours; and where those that count from the start were refused."""
    past: dict[tuple[int, int], ChargingProfile] = {}
    refused: set[tuple[int, int]] = set()
    rows = ChargingProfile.objects.filter(
        Q(state=ProfileState.ACCEPTED) | Q(created_at__gt=now - timedelta(days=1)),
        tenant_id=tenant_id, station_id__in=station_ids, intent="energy", purpose=Purpose.DEFAULT,
    )  # fmt: skip
    for row in rows.order_by("id"):
        place = row.station_id, row.evse_number
        past[place] = row
        was_refused = row.state == ProfileState.REJECTED and row.kind == schedules.RELATIVE
        if was_refused or (row.state == ProfileState.ACCEPTED and row.kind == schedules.ABSOLUTE):
            refused.add(place)
    return past, refused


def _default(one: Wired, of: profiles.Known, amps: float, delay_s: float, *, relative: bool) -> Profile:
    unit, period = _amount(one, of, amps)
    periods: tuple[Period, ...] = (period,)
    if relative and amps > 0 and delay_s > 0:
        periods = (replace(period, limit=0.0), replace(period, start_s=int(delay_s)))
    return Profile(
        evse=one.number,
        purpose=schedules.DEFAULT,
        kind=schedules.RELATIVE if relative else schedules.ABSOLUTE,
        unit=unit,
        periods=periods,
        stack_level=of.level(profiles.ENERGY_STACK),
        starts_at=None if relative else datetime(2020, 1, 1, tzinfo=UTC),
    )


def _is_there(last: ChargingProfile, profile: Profile, now: datetime, booted_at: datetime | None) -> bool:
    """Whether the station holds it, is about to, or has just refused it. Not every one keeps it through a restart."""
    was_there = last.state == ProfileState.ACCEPTED
    if was_there and booted_at is not None and (last.settled_at or last.created_at) < booted_at:
        return False
    if was_there:
        told = [period.as_json() for period in profile.periods]
        return (last.kind, last.unit, last.periods) == (profile.kind, profile.unit, told)
    if last.state == ProfileState.SENT:
        return now - last.created_at < timedelta(minutes=2)
    if last.state in (ProfileState.REJECTED, ProfileState.FAILED) and last.kind == profile.kind:
        return now - (last.ended_at or last.created_at) < AGAIN
    return False
