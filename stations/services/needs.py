"""What cars need and plan (ISO 15118, blocks K15 to K20): kept for their session, answered, and planned for."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from django.db import transaction
from django.utils import timezone

from stations import limits, live, schedules
from stations.models import ChargingProfile, ProfileState, Session, SessionPower, SessionState, Station
from stations.neutral import EventReport
from stations.neutral_power import NeedsAnswer, NeedsTold, PlanAnswer, PlanTold
from stations.schedules import Period, Profile
from stations.services import access, clock, events, places, profiles
from tenants import locks, rows
from tenants.errors import DomainError
from tenants.permissions import system

log = logging.getLogger("voltyard.needs")
ACTOR = system("The car's wish")
EARLY = timedelta(minutes=15)  # needs may come so long before their session does
FARTHEST = timedelta(days=7)  # of a departure
TOLERATED = 1.05  # cars round; K16: a plan above the limits is refused
MOST_WH, MOST_W = 1e7, 1e8


class Planner(Protocol):
    """Plugged in by `cpo` once load management decides who gets what: the profile for this session, None for none."""

    def __call__(self, *, tenant_id: int, session: Session, power: SessionPower) -> Profile | None: ...


planner: Planner | None = None


def take(*, tenant_id: int, requests: Sequence[NeedsTold]) -> list[NeedsAnswer]:
    """NotifyEVChargingNeeds: kept, and answered with a profile for the session (K15.FR.03, K17).

    Accepted: a profile follows at once. Without a session that is known here there is nothing to plan for: the
    station goes by its limits.
    """
    return [_take(tenant_id, told) for told in requests]


def _take(tenant_id: int, told: NeedsTold) -> NeedsAnswer:
    hold(told.station_id)
    station = Station.objects.select_related("site").filter(tenant_id=tenant_id, pk=told.station_id).first()
    if station is None or not 1 <= told.evse <= places.HIGHEST_NUMBER:
        return NeedsAnswer("rejected")
    row = of_place(tenant_id, told.station_id, told.evse)
    _keep(row, told)
    if _forbidden(row, told):
        row.needs_answer = "rejected"
        row.save()
        text = "The car wants to give energy back, which is not allowed here"
        tell(station, row, told.received_at, text, "warning")
        return NeedsAnswer("rejected")
    planned = False
    if row.session is not None:
        try:
            with transaction.atomic():
                planned = plan(station=station, row=row)
        except DomainError as error:
            log.info("no plan for a car", extra={"station": station.pk, "detail": str(error)})
    row.needs_answer = "accepted" if planned else "no_profile"
    row.save()
    wanted = amounts(row.energy_wh, row.departure_at)
    tell(station, row, told.received_at, f"The car wants {wanted or 'to charge'}")
    return NeedsAnswer(row.needs_answer)


def hold(station_id: int) -> None:
    """Hold what is known of this station's sessions to the end of the transaction, rows that are not there yet too:
    needs, plans, priority and ways of transfer are told by different messages and kept in one row."""
    locks.hold("session power", station_id)


def _forbidden(row: SessionPower, told: NeedsTold) -> bool:
    """Bidirectional where the rules forbid it in words, and nobody has allowed it to this session (Q01, Q02)."""
    if "BPT" not in told.transfer or told.transfer in row.allowed_transfers:
        return False
    said = rows.alone(row.tenant_id, access.bidirectional([row.station_id]))
    return said.get(row.station_id) is False


def of_place(tenant_id: int, station_id: int, evse: int) -> SessionPower:
    """The row of the session that runs there; without one, of what is to come. Not saved yet if it is new."""
    session = (
        Session.objects.filter(
            tenant_id=tenant_id, station_id=station_id, evse__number=evse, state=SessionState.ACTIVE
        )
        .order_by("-id")
        .first()
    )
    found = SessionPower.objects.filter(tenant_id=tenant_id, station_id=station_id, evse_number=evse)
    row = found.filter(session=session).first() if session else None
    if row is None:
        row = found.filter(session=None).order_by("-id").first()
        if row is not None and session is not None and not _belongs(row, session):
            row = None
    if row is None:
        row = SessionPower(tenant_id=tenant_id, station_id=station_id, evse_number=evse)
    row.session = session
    return row


def _belongs(row: SessionPower, session: Session) -> bool:
    told = row.needs_at or row.plan_at
    return told is not None and told > session.started_at - EARLY


def of_session(session: Session) -> SessionPower | None:
    """What is known of a session; needs that came a little before it are its own."""
    found = SessionPower.objects.filter(tenant_id=session.tenant_id)
    row = found.filter(session=session).first()
    if row is None:
        end = session.ended_at or timezone.now()
        row = found.filter(
            station_id=session.station_id, evse_number=session.evse.number, session=None,
            needs_at__gt=session.started_at - EARLY, needs_at__lte=end,
        ).first()  # fmt: skip
    return row


def _keep(row: SessionPower, told: NeedsTold) -> None:
    departure, flags = clock.sanitise(
        told.raw_departure, told.received_at, max_ahead=FARTHEST, max_behind=timedelta(hours=1)
    )
    row.needs_at = told.received_at
    row.departure_at = departure if told.raw_departure and clock.BAD_TIMESTAMP not in flags else None
    if row.departure_at == told.received_at and clock.CLOCK_AHEAD in flags:
        row.departure_at = None
    row.energy_wh = _sane(told.energy_wh, MOST_WH)
    row.soc_percent, row.target_soc_percent = (
        _sane(told.soc_percent, 100),
        _sane(told.target_soc_percent, 100),
    )
    row.max_power_w, row.max_current_a = _sane(told.max_power_w, MOST_W), _sane(told.max_current_a, 1e5)
    row.transfer = told.transfer[:20]
    row.transfers = [str(one)[:20] for one in told.transfers][:20]
    row.bidirectional = dict(told.bidirectional)
    row.most_periods = told.most_periods if told.most_periods and told.most_periods < 2**31 else None
    row.needs = dict(told.payload)


def _sane(value: float | None, most: float) -> float | None:
    return value if value is not None and 0 <= value <= most else None


def plan(*, station: Station, row: SessionPower) -> bool:
    """Send the session its profile: the plugged-in planner's, else all that the limits leave. Whether one was sent."""
    session = row.session
    if session is None:
        return False
    if planner is not None:
        profile = planner(tenant_id=station.tenant_id, session=session, power=row)
    else:
        profile = _within_limits(station, row, session)
    if profile is None:
        return False
    profiles.install(
        tenant_id=station.tenant_id, station_id=station.pk, profile=profile, actor=ACTOR, intent="plan"
    )
    return True


def _within_limits(station: Station, row: SessionPower, session: Session) -> Profile:
    """What the limits leave until departure, as a profile of the session that goes below all of an operator's."""
    known = profiles.known(station.tenant_id, [station])[station.pk]
    now = limits.of_station(station)
    plans = [
        one.number
        for one in now.profiles
        if one.intent in ("plan", "energy") and one.session_id == session.pk
    ]
    now = now.without(*plans)
    unit = known.takes.unit(now.unit(row.evse_number))
    until = row.departure_at if row.departure_at and row.departure_at > now.now else now.now + limits.HORIZON
    length = min(until - now.now, limits.HORIZON)
    start = now.now.replace(microsecond=0) - profiles.EARLIER
    offset = int((now.now - start).total_seconds())
    slices = now.composite(row.evse_number, length, unit)
    is_dc = now.is_dc.get(row.evse_number, False)
    periods = [
        Period(
            one.start_s + offset if one.start_s else 0,
            round(min(one.limit, 1e6), 1),
            None if is_dc or unit == schedules.WATTS else one.phases,
        )
        for one in slices
    ]
    most = min([count for count in (row.most_periods, known.takes.most_periods) if count] or [len(periods)])
    return Profile(
        evse=row.evse_number,
        purpose=schedules.TRANSACTION,
        kind=schedules.ABSOLUTE,
        unit=unit,
        periods=schedules.fewer(periods, most),
        stack_level=profiles.PLAN_STACK,
        starts_at=start,
        transaction_id=session.transaction_id,
    )


def replan(*, tenant_id: int, station_id: int) -> int:
    """Limits have changed: sessions that follow a plan of ours get a new one. How many."""
    planned = ChargingProfile.objects.filter(
        tenant_id=tenant_id, station_id=station_id, intent="plan", state=ProfileState.ACCEPTED,
        session__state=SessionState.ACTIVE,
    ).values_list("session_id", flat=True)  # fmt: skip
    ids = list(planned)
    if not ids:
        return 0
    station = Station.objects.select_related("site").get(tenant_id=tenant_id, pk=station_id)
    rows = SessionPower.objects.select_related("session").filter(tenant_id=tenant_id, session_id__in=ids)
    return sum(plan(station=station, row=row) for row in rows)


def take_plan(*, tenant_id: int, requests: Sequence[PlanTold]) -> list[PlanAnswer]:
    """NotifyEVChargingSchedule: the car's own plan, accepted where it keeps to the limits (K15.FR.09 to .11)."""
    return [_take_plan(tenant_id, told) for told in requests]


def _take_plan(tenant_id: int, told: PlanTold) -> PlanAnswer:
    hold(told.station_id)
    station = Station.objects.select_related("site").filter(tenant_id=tenant_id, pk=told.station_id).first()
    if station is None or not 1 <= told.evse <= places.HIGHEST_NUMBER:
        return PlanAnswer(accepted=False)
    row = of_place(tenant_id, told.station_id, told.evse)
    row.plan_at, row.plan_starts_at, row.plan_unit = told.received_at, told.starts_at, told.unit[:1]
    row.plan = [period.as_json() for period in told.periods]
    before = row.plan_accepted
    row.plan_accepted = _keeps_to(limits.of_station(station, told.received_at), told)
    row.save()
    if not row.plan_accepted and before is not False:
        _renegotiate(station, row)
    said = "The car told its plan" if row.plan_accepted else "The car's plan goes above the limits"
    tell(station, row, told.received_at, said, "info" if row.plan_accepted else "warning")
    return PlanAnswer(row.plan_accepted)


def _renegotiate(station: Station, row: SessionPower) -> None:
    """Give the car its limits anew (K15.FR.12, K16). Once: a car that insists is refused without a word more."""
    try:
        with transaction.atomic():
            plan(station=station, row=row)
    except DomainError as error:
        log.info("no plan for a car", extra={"station": station.pk, "detail": str(error)})


def _keeps_to(now: limits.Limits, told: PlanTold) -> bool:
    end = told.starts_at + limits.HORIZON
    if told.duration_s is not None:
        end = min(end, schedules.later(told.starts_at, told.duration_s))
    slices = now.calculation.composite(told.evse, told.starts_at, end, told.unit)
    for place, period in enumerate(told.periods):
        until = told.periods[place + 1].start_s if place + 1 < len(told.periods) else 10**9
        if until <= period.start_s or schedules.later(told.starts_at, period.start_s) >= end:
            continue
        holding = [one.limit for one in slices if one.start_s <= period.start_s][-1:]
        inside = [one.limit for one in slices if period.start_s < one.start_s < until]
        bound = min(
            [*holding, *inside], default=math.inf
        )  # a period before the plan begins is bound by nothing
        if (period.limit or 0) > bound * TOLERATED + 0.1:
            return False
    return True


def amounts(energy_wh: float | None, departure_at: datetime | None) -> str:
    """22.0 kWh by 17:30 UTC, for the timeline of the station. Empty: neither is known."""
    parts = [] if energy_wh is None else [f"{energy_wh / 1000:.1f} kWh"]
    parts += [] if departure_at is None else [f"by {departure_at:%H:%M} UTC"]
    return " ".join(parts)


def tell(station: Station, row: SessionPower, at: datetime, text: str, severity: str = "info") -> None:
    """On the timeline of the station, and to open pages of the session."""
    report = EventReport(
        station_id=station.pk, kind="needs", severity=severity, text=text, raw_timestamp="", received_at=at,
        evse=row.evse_number,
    )  # fmt: skip
    events.record(tenant_id=station.tenant_id, reports=[report])
    if row.session_id:
        live.publish(
            station.tenant_id, kind="session", station_id=station.pk, site_id=station.site_id,
            data={"id": row.session_id, "session_id": row.session_id},
        )  # fmt: skip
