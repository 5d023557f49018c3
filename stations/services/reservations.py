"""Reservations: a place kept for one token, from its planning to its use, or to nobody's coming.

OCPP reserves from now until an expiry. A reservation for later is a row here until shortly before it begins; then the
station is asked. What ends it is told by a session that uses it, by the station (2.x H04), by people, or by the sweep
(1.6 sections 5.1 and 5.13; 2.x block H).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from fleets import queries as fleets
from fleets.models import Driver, Token, Verdict
from fleets.services import authorization
from fleets.services.authorization import Shown
from fleets.uid import normal_uid
from stations import live
from stations.models import (
    LIVE_RESERVATIONS,
    Command,
    CommandKind,
    CommandState,
    Connector,
    ConnectorStatus,
    Evse,
    Reservation,
    ReservationState,
    Session,
    SessionState,
    Station,
    Variable,
)
from stations.neutral import ReservationAnswered, ReservationTold
from stations.services import access, commands
from tenants import rows
from tenants.context import current_alias
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.permissions import Actor, Permission, system
from tenants.services import audit, facts

log = logging.getLogger("voltyard.reservations")
US = system("Reservations")
LEAD = timedelta(minutes=1)  # the station is asked so long before the start
GRACE = timedelta(minutes=1)  # clocks differ, and the start may be on its way
UNHEARD = timedelta(hours=1)  # an offline station may bring the session along when it is back
SHORTEST = timedelta(minutes=1)
PAST = timedelta(minutes=2)  # a start that was "now" when the form was filled in
LONGEST = timedelta(hours=24)
FARTHEST = timedelta(days=30)
TRIES = 3
NO_SHOW_DAYS = timedelta(days=30)

S = ReservationState
# Why a station would not, in words. English here: the text is stored; pages translate it.
WHY = {
    "occupied": "The connector is in use or reserved already.",
    "faulted": "The connector is faulted.",
    "unavailable": "The connector is out of service.",
    "refused": "The station refused it.",
    "unsupported": "The station knows no reservations.",
    "silent": "The station did not answer.",
    "offline": "The station was not connected in time.",
    "unheard": "The station was offline; whether somebody came is not known.",
    "gone": "The station did not know it any more.",
    "removed": "The station removed it, for the connector failed or was taken out of service.",
    "archived": "The station was taken out of use.",
    "no_right": "The card may not charge there any more.",
    "no_transaction": "The card was shown, but no car was plugged in.",
}


# --- people ask ---


def reserve(
    *,
    station: Station,
    actor: Actor,
    token_uid: str,
    expires_at: datetime,
    starts_at: datetime | None = None,
    evse: int | None = None,
    standard: str = "",
) -> Reservation:
    """Keep a place for a token: an EVSE by its number, any with this plug (OCPP 2), or any at all.

    Invalid for what makes no sense, Conflict where it would overlap with another reservation.
    """
    actor.require(Permission.STATION_COMMAND, site_id=station.site_id)
    return _create(station, actor, token_uid, starts_at, expires_at, evse, standard, by_driver=False)


def reserve_own(
    *,
    driver: Driver,
    actor: Actor,
    station: Station,
    evse: int,
    minutes: int,
    starts_at: datetime | None = None,
    token: Token | None = None,
) -> Reservation:
    """A driver reserves for themselves, within the rules of the site."""
    if driver.user_id is None or driver.user_id != actor.user_id:
        raise Forbidden("This is another driver.")
    # Who asks at two stations at once gets one.
    Driver.objects.select_for_update(no_key=True).get(tenant_id=driver.tenant_id, pk=driver.pk)
    rules = access.of_station(station)
    now = timezone.now()
    begin = max(starts_at or now, now)
    problem = refusal(driver, rules, now)
    if problem:
        raise Conflict(problem)
    if not 1 <= minutes <= rules.reserve_minutes:
        raise Invalid(fields={"minutes": f"Choose 1 to {rules.reserve_minutes} minutes."})
    if begin > now + timedelta(minutes=rules.reserve_ahead_minutes, seconds=30):
        raise Invalid(
            fields={"starts_at": f"Here one can reserve {rules.reserve_ahead_minutes} minutes ahead at most."}
        )
    chosen = token or driver.tokens.filter(tenant_id=driver.tenant_id, blocked=False).order_by("pk").first()
    if chosen is None or chosen.driver_id != driver.pk:
        raise Conflict("You have no card yet that a charger could be kept for.")
    return _create(
        station, actor, chosen.uid, starts_at, begin + timedelta(minutes=minutes), evse, "", by_driver=True
    )


def refusal(driver: Driver, rules: access.Rules, now: datetime) -> str:
    """Why a driver may not reserve at a site with these rules; empty if they may."""
    if not rules.reservations:
        return "Chargers cannot be reserved here."
    own = Reservation.objects.filter(tenant_id=driver.tenant_id, driver=driver)
    if own.filter(state__in=LIVE_RESERVATIONS).exists():
        return "You have a reservation already. Cancel it first."
    missed = own.filter(state=S.NO_SHOW, expires_at__gt=now - NO_SHOW_DAYS).count()
    if rules.no_show_limit and missed >= rules.no_show_limit:
        return f"You did not come to {missed} reservations in 30 days; you can reserve again later."
    return ""


def _create(
    station: Station, actor: Actor, token_uid: str, starts_at: datetime | None, expires_at: datetime,
    evse: int | None, standard: str, *, by_driver: bool,
) -> Reservation:  # fmt: skip
    now = timezone.now()
    begin = max(starts_at or now, now)
    if starts_at is not None and starts_at < now - PAST:
        raise Invalid(fields={"starts_at": "That time has passed."})
    _check_times(begin, expires_at, now)
    uid = normal_uid(token_uid)
    token = fleets.token_by_uid(station.tenant_id, uid)
    _check_token(station, uid, token, begin)
    own = {"tenant_id": station.tenant_id, "station": station}
    place = Evse.objects.filter(**own, number=evse).first() if evse is not None else None
    if evse is not None and place is None:
        raise Invalid(fields={"evse": f"{station} has no connector {evse}."})
    _check_any(station, place, standard)
    _lock(station)
    if place is None:
        _require_room(station, begin, expires_at, standard)
    else:
        _require_free(station, place, begin, expires_at)
    try:
        with transaction.atomic(using=current_alias()):
            made = Reservation.objects.create(
                tenant_id=station.tenant_id, station=station, site_id=station.site_id, evse=place,
                standard=standard, token=token, token_uid=uid, token_kind=token.kind if token else "",
                token_group=token.group if token else "", driver=token.driver if token else None,
                starts_at=begin, expires_at=expires_at, by_driver=by_driver, asked_by=actor.label[:120],
            )  # fmt: skip
    except IntegrityError:  # the database's own word on it (reservation_apart)
        raise Conflict(OVERLAP) from None
    audit.record(
        tenant_id=made.tenant_id, actor=actor, action="reservation.create", subject=made, site_id=made.site_id,
        detail={"station": str(station), "evse": evse, "token": uid, "from": begin.isoformat(),
                "until": expires_at.isoformat()},
    )  # fmt: skip
    _tell(made, "created")
    if begin <= now + LEAD:
        _ask(made, now)
    return made


OVERLAP = "Somebody has reserved this for part of that time."


def _check_times(begin: datetime, expires_at: datetime, now: datetime) -> None:
    problems = {}
    if begin > now + FARTHEST:
        problems["starts_at"] = "Reserve at most 30 days ahead."
    if not SHORTEST <= expires_at - begin <= LONGEST:
        problems["expires_at"] = "A reservation lasts from one minute to 24 hours."
    if problems:
        raise Invalid(fields=problems)


def _check_token(station: Station, uid: str, token: Token | None, begin: datetime) -> None:
    longest = {"1.6": 20, "2.0.1": 36}.get(station.ocpp_version, 255)
    if not 1 <= len(uid) <= longest:
        raise Invalid(fields={"token_uid": f"This station takes tokens of 1 to {longest} characters."})
    if token is None:
        return  # a partner's, perhaps: the station lets in who shows it, and it is judged then
    verdict = _verdict(station, uid, begin)
    if verdict != "accepted":
        raise Invalid(fields={"token_uid": f"{token} may not charge there then: {verdict.label.lower()}."})


def _verdict(station: Station, uid: str, at: datetime) -> Verdict:
    (judged,) = rows.alone(station.tenant_id, authorization.judge([Shown(uid, station.site_id, at)]))
    return judged.verdict


def _check_any(station: Station, place: Evse | None, standard: str) -> None:
    """ "Any" is optional for stations (1.6 ReserveConnectorZeroSupported, 2.x H01.FR.18 NonEvseSpecific)."""
    if place is not None:
        return
    if standard and station.ocpp_version == "1.6":
        raise Invalid(
            fields={"standard": "OCPP 1.6 reserves one connector or any, not one with a certain plug."}
        )
    told = Variable.objects.filter(
        Q(name="ReserveConnectorZeroSupported") | Q(component="ReservationCtrlr", name="NonEvseSpecific"),
        tenant_id=station.tenant_id, station=station, attribute="actual",
    ).first()  # fmt: skip
    if told is not None and (told.value or "").strip().lower() == "false":
        raise Invalid(fields={"evse": f"{station} reserves single connectors only: choose one."})


def _lock(station: Station) -> None:
    """Two who reserve at one station come one after the other."""
    Station.objects.select_for_update(no_key=True).get(tenant_id=station.tenant_id, pk=station.pk)


def _overlapping(
    station: Station, begin: datetime, end: datetime, but: Reservation | None
) -> QuerySet[Reservation]:
    # Of two ends the later counts: until the station agrees to the new one, it may go on by the old one.
    found = Reservation.objects.filter(
        Q(expires_at__gt=begin) | Q(extended_from__gt=begin), tenant_id=station.tenant_id, station=station,
        state__in=LIVE_RESERVATIONS, starts_at__lt=end,
    )  # fmt: skip
    return found.exclude(pk=but.pk) if but else found


def _require_free(
    station: Station, place: Evse, begin: datetime, end: datetime, but: Reservation | None = None
) -> None:
    others = _overlapping(station, begin, end, but)
    total = Evse.objects.filter(tenant_id=station.tenant_id, station=station).count()
    if others.filter(evse=place).exists() or others.count() >= total:
        raise Conflict(OVERLAP)


def _require_room(
    station: Station, begin: datetime, end: datetime, standard: str, but: Reservation | None = None
) -> None:
    """Of the EVSEs that would do, one must be left once all others have theirs."""
    fitting = Evse.objects.filter(tenant_id=station.tenant_id, station=station)
    others = _overlapping(station, begin, end, but)
    if standard:
        fitting = fitting.filter(connectors__standard=standard).distinct()
        others = others.filter(Q(evse__in=fitting) | Q(evse=None))
    if others.count() >= fitting.count():
        raise Conflict("No such connector is left for that time." if standard else OVERLAP)


def cancel(*, reservation: Reservation, actor: Actor, reason: str = "") -> Reservation:
    """Give the place free. Conflict once it is over."""
    own = reservation.by_driver and reservation.driver is not None and reservation.driver.user_id is not None
    if not (own and reservation.driver.user_id == actor.user_id):  # type: ignore[union-attr]
        actor.require(Permission.STATION_COMMAND, site_id=reservation.site_id)
    _lock(reservation.station)
    held = _held(reservation.tenant_id, pk=reservation.pk)
    if held is None or not held.live:
        raise Conflict("This reservation is over already.")
    audit.record(
        tenant_id=held.tenant_id, actor=actor, action="reservation.cancel", subject=held, site_id=held.site_id,
        detail={"reason": reason},
    )  # fmt: skip
    held.reason = reason.strip()[:200]
    if held.state == S.PLANNED or (held.state == S.REQUESTED and _withdrawn(held)):
        _end(held, S.CANCELLED)
    elif held.state != S.CANCELLING:
        _ask_back(held, timezone.now())
    return held


def _withdrawn(held: Reservation) -> bool:
    """Whether the station was not asked yet, and will not be."""
    command = held.command
    if command is None:
        return True
    if command.state != CommandState.QUEUED:
        return command.settled and command.state in (CommandState.EXPIRED, CommandState.CANCELLED)
    held.command_id = None
    held.save(update_fields=["command_id"])
    try:
        with transaction.atomic(using=current_alias()):
            commands.cancel(command=command, actor=US)
    except Conflict:  # it has just gone out
        held.command_id = command.pk
        return False
    return True


def extend(*, reservation: Reservation, actor: Actor, expires_at: datetime) -> Reservation:
    """Another end. OCPP replaces a reservation by one of its number; until the station agrees, the old end holds."""
    actor.require(Permission.STATION_COMMAND, site_id=reservation.site_id)
    _lock(reservation.station)
    held = _held(reservation.tenant_id, pk=reservation.pk)
    now = timezone.now()
    if held is None or held.state not in (S.PLANNED, S.RESERVED):
        raise Conflict("Only a reservation that waits or is held can get another end.")
    if expires_at <= now:
        raise Invalid(fields={"expires_at": "This time is over already."})
    _check_times(max(held.starts_at, now - LONGEST), expires_at, now)
    if held.evse is not None:
        _require_free(held.station, held.evse, held.starts_at, expires_at, held)
    else:
        _require_room(held.station, held.starts_at, expires_at, held.standard, held)
    audit.record(
        tenant_id=held.tenant_id, actor=actor, action="reservation.extend", subject=held, site_id=held.site_id,
        detail={"until": expires_at.isoformat()},
    )  # fmt: skip
    if held.state == S.RESERVED:
        held.extended_from = held.extended_from or held.expires_at
    held.expires_at = expires_at
    try:
        with transaction.atomic(using=current_alias()):
            held.save()
    except IntegrityError:
        raise Conflict(OVERLAP) from None
    if held.state == S.RESERVED:
        _ask(held, now)
    else:
        _show(held)
    return held


# --- stations are asked ---


def _ask(one: Reservation, now: datetime) -> None:
    one.attempts += 1
    arguments = {
        "reservation_id": one.number, "expires_at": one.expires_at.isoformat(), "token_uid": one.token_uid,
        "evse": one.evse.number if one.evse else None, "standard": one.standard, "plug": _plug(one),
        "token_kind": one.token_kind, "token_group": one.token_group,
    }  # fmt: skip
    one.command_id = _send(one, CommandKind.RESERVE, arguments, now)
    if one.state != S.RESERVED:
        one.state = S.REQUESTED
    one.save()
    _show(one)


def _ask_back(one: Reservation, now: datetime) -> None:
    one.command_id = _send(one, CommandKind.CANCEL_RESERVATION, {"reservation_id": one.number}, now)
    one.state = S.CANCELLING
    one.save()
    _show(one)


def _send(one: Reservation, kind: str, arguments: dict[str, Any], now: datetime) -> int:
    """The command waits for an offline station, until the reservation ends anyway."""
    seconds = max(5, min(86_400, int((one.expires_at - now).total_seconds())))
    command = commands.request_command(
        tenant_id=one.tenant_id, station_id=one.station_id, kind=kind, actor=US, expires_in_seconds=seconds,
        arguments={name: value for name, value in arguments.items() if value not in (None, "")},
    )  # fmt: skip
    return command.pk


def _plug(one: Reservation) -> str:
    """What the station itself calls such a plug: "cType2" or "sType2", only it knows."""
    if not one.standard:
        return ""
    ending = {"IEC_62196_T2": "type2", "IEC_62196_T1": "type1"}.get(one.standard, "")
    told = Variable.objects.filter(
        tenant_id=one.tenant_id, station_id=one.station_id, component="Connector", name="ConnectorType"
    ).values_list("value", flat=True)
    return next((text for text in told if ending and text and text.lower().endswith(ending)), "")


# --- stations answer ---


def _held(tenant_id: int, **which: Any) -> Reservation | None:
    found = Reservation.objects.select_for_update(of=("self",), no_key=True).select_related(
        "station", "evse", "driver"
    )
    return found.filter(tenant_id=tenant_id, **which).first()


def answered(*, tenant_id: int, reports: Sequence[ReservationAnswered]) -> None:
    """What stations said to a reservation, or to its cancelling."""
    for report in reports:
        one = _held(tenant_id, station_id=report.station_id, command_id=report.command_id)
        if one is None or not one.live:
            continue
        one.command_id = None
        if report.outcome in ("cancelled", "unknown"):
            one.reason = one.reason or (WHY["gone"] if report.outcome == "unknown" else "")
            _end(one, S.CANCELLED)
        elif report.outcome == "held":
            _hold(one)
        else:
            _refuse(one, WHY[report.outcome])


def _hold(one: Reservation) -> None:
    one.attempts, one.extended_from = 0, None
    if one.held_at is None:
        one.held_at = timezone.now()
    if one.state == S.REQUESTED:
        one.state = S.RESERVED
        _tell(one, "reserved")
    one.save()
    _show(one)
    if one.expires_at <= timezone.now():
        return
    if one.state == S.CANCELLING:  # taken back while the station thought about it
        _ask_back(one, timezone.now())


def _refuse(one: Reservation, why: str) -> None:
    if one.state == S.RESERVED and one.extended_from is not None:  # the old end holds on
        new = one.expires_at
        one.expires_at, one.extended_from, one.reason, one.attempts = one.extended_from, None, why, 0
        try:
            with transaction.atomic(using=current_alias()):
                one.save()
        except IntegrityError:  # somebody else has the time between by now: theirs it stays
            one.expires_at = new
            one.save()
        _show(one)
    elif one.state == S.CANCELLING:
        _end(one, S.CANCELLED)
    else:
        one.reason = why
        _end(one, S.REFUSED)


def follow(*, command: Command) -> None:
    """The end of a command about a reservation that brought no answer."""
    one = _held(command.tenant_id, station_id=command.station_id, command_id=command.pk)
    if one is None or not one.live:
        return
    now = timezone.now()
    one.command_id = None
    again = one.attempts < TRIES and one.expires_at > now + GRACE
    if command.kind == CommandKind.CANCEL_RESERVATION:
        if command.state == CommandState.TIMED_OUT and again:
            one.attempts += 1
            _ask_back(one, now)
        else:
            one.reason = one.reason or WHY["silent"]
            _end(one, S.CANCELLED)
    elif command.state == CommandState.TIMED_OUT and again:  # a repeat of the same number is harmless (5.13)
        _ask(one, now)
    elif command.state == CommandState.EXPIRED and one.state == S.REQUESTED:
        one.reason = WHY["offline"]
        _end(one, S.EXPIRED)
    elif command.state == CommandState.CANCELLED and one.state == S.REQUESTED:
        _end(one, S.CANCELLED)
    else:
        unknown = command.answer in ("NotSupported", "NotImplemented")
        silent = command.state in (CommandState.TIMED_OUT, CommandState.EXPIRED)
        _refuse(one, WHY["unsupported" if unknown else "silent" if silent else "refused"])


def told(*, tenant_id: int, reports: Sequence[ReservationTold]) -> None:
    """What stations say of reservations unasked (2.x ReservationStatusUpdate). Unknown numbers are nobody's."""
    for report in reports:
        recent = Reservation.objects.filter(
            tenant_id=tenant_id, station_id=report.station_id, starts_at__gt=report.received_at - FARTHEST
        ).order_by("-id")[:500]
        chosen = next((row.pk for row in recent if row.number == report.number), None)
        one = _held(tenant_id, pk=chosen) if chosen is not None else None
        if one is None or not one.live:
            continue
        if report.outcome == "removed":
            one.reason = one.reason or WHY["removed"]
            _end(one, S.CANCELLED)
        elif one.state == S.CANCELLING:
            _end(one, S.CANCELLED)
        else:
            one.reason = WHY["no_transaction"] if report.outcome == "no_transaction" else ""
            _end(one, S.NO_SHOW)


# --- sessions use them ---


@dataclass(frozen=True, slots=True)
class Use:
    """A session that may be what somebody reserved for. `number` as told by the station, if it did."""

    station_id: int
    evse_id: int
    session_id: int
    number: int | None
    token_uid: str
    token_group: str
    at: datetime


# By the number the station tells; else, since some tell none and some a wrong one, by the token or its group at the
# place and time. What was given up here already (nobody seemed to come) is mended by a late word of the station.
_USE = """
WITH told AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS w(station bigint, evse bigint, session bigint, number bigint,
        uid text, grp text, at timestamptz)
), hit AS (
    SELECT DISTINCT ON (r.id) r.id, told.session, told.at
    FROM told CROSS JOIN LATERAL (
        SELECT k.id FROM stations_reservation k
        WHERE k.tenant_id = %(tenant)s AND k.station_id = told.station AND k.session_id IS NULL
          AND k.starts_at > told.at - interval '40 days'
          AND ((k.id %% 2147483647 = told.number AND k.state <> 'refused')
            OR (k.state IN ('requested', 'reserved', 'cancelling')
                AND (k.token_uid = told.uid OR (k.token_group <> '' AND k.token_group = told.grp))
                AND (k.evse_id IS NULL OR k.evse_id = told.evse)
                AND told.at BETWEEN k.starts_at - interval '5 minutes'
                    AND greatest(k.expires_at, k.extended_from) + interval '2 minutes'))
        ORDER BY (k.id %% 2147483647 = told.number) IS TRUE DESC, k.id DESC LIMIT 1) r
    ORDER BY r.id, told.at
), used AS (
    UPDATE stations_reservation k SET state = 'used', session_id = hit.session, ended_at = hit.at, reason = '',
        command_id = NULL, extended_from = NULL
    FROM hit WHERE k.tenant_id = %(tenant)s AND k.id = hit.id RETURNING k.id, k.station_id, k.session_id, k.token_uid
)
INSERT INTO tenants_fact (tenant_id, kind, subject_type, subject_id, payload, created_at)
SELECT %(tenant)s, 'reservation.used', 'reservation', id,
    jsonb_build_object('station', station_id, 'session', session_id, 'token', token_uid), now() FROM used
"""


def _sane(number: int | None) -> int | None:
    """A number that can be one of ours: some stations tell 0 or -1 for none, hostile ones what no column holds."""
    return number if number is not None and 0 < number < 2_147_483_647 else None


def use(tenant_id: int, uses: Iterable[Use]) -> None:
    """Link reservations to the sessions that use them."""
    listed = [
        {
            "station": one.station_id, "evse": one.evse_id, "session": one.session_id, "number": _sane(one.number),
            "uid": one.token_uid, "grp": one.token_group, "at": one.at,
        }
        for one in uses
        if one.number is not None or one.token_uid
    ]  # fmt: skip
    if listed:
        rows.send(_USE, tenant_id, listed)


# --- time passes ---


def sweep(*, tenant_id: int, now: datetime) -> int:
    """Ask stations for what begins now, and end what is over. Returns how many changed."""
    late, unheard = now - GRACE, Q(state=S.RESERVED, station__online=False, expires_at__gt=now - UNHEARD)
    # Of two ends the later counts: the station has not agreed to the new one yet. What waits to be heard of takes no
    # place of what is due.
    over = Q(expires_at__lte=late) & (Q(extended_from=None) | Q(extended_from__lte=late)) & ~unheard
    due = Q(state=S.PLANNED, starts_at__lte=now + LEAD) | over | Q(station__archived_at__isnull=False)
    found = (
        Reservation.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("station", "evse", "driver")
        .filter(due, tenant_id=tenant_id, state__in=LIVE_RESERVATIONS)
        .order_by("starts_at", "id")
    )
    changed = 0
    for one in found[:200]:
        try:
            with transaction.atomic(using=current_alias()):
                changed += _bring_forward(one, now)
        except Exception:  # the trouble of one is not the next one's
            log.exception("reservation not brought forward", extra={"reservation": one.pk})
    return changed


def _bring_forward(one: Reservation, now: datetime) -> bool:
    if one.station.archived_at is not None:
        one.reason = WHY["archived"]
        _end(one, S.CANCELLED)
    elif one.holds_until <= now:
        return _lapse(one, now)
    elif one.token_kind and _verdict(one.station, one.token_uid, one.starts_at) != "accepted":
        one.reason = WHY["no_right"]
        _end(one, S.CANCELLED)
    else:
        _ask(one, now)
    return True


def _lapse(one: Reservation, now: datetime) -> bool:
    """Its time is over. A station that was silent throughout may still bring the session along."""
    if one.state == S.CANCELLING:
        _end(one, S.CANCELLED)
    elif one.state in (S.PLANNED, S.REQUESTED):
        one.reason = WHY["offline"] if not one.station.online else WHY["silent"]
        _end(one, S.EXPIRED)
    elif one.station.online:
        _end(one, S.NO_SHOW)
    elif one.expires_at <= now - UNHEARD:
        one.reason = WHY["unheard"]
        _end(one, S.EXPIRED)
    else:
        return False
    return True


def _end(one: Reservation, state: str) -> None:
    one.state, one.ended_at, one.command_id = state, timezone.now(), None
    one.save()
    _tell(one, state)
    _show(one)


def _tell(one: Reservation, what: str) -> None:
    facts.publish(
        tenant_id=one.tenant_id, kind=f"reservation.{what}", subject_type="reservation", subject_id=one.pk,
        payload={
            "station": one.station_id, "evse": one.evse.number if one.evse else None, "token": one.token_uid,
            "driver": one.driver_id, "from": one.starts_at.isoformat(), "until": one.expires_at.isoformat(),
            "reason": one.reason,
        },
    )  # fmt: skip


def _show(one: Reservation) -> None:
    live.publish(
        one.tenant_id, kind="reservation", station_id=one.station_id, site_id=one.site_id,
        data={"id": one.pk, "state": one.state},
    )  # fmt: skip


# --- what can be reserved ---


def free_places(stations: Iterable[Station], now: datetime) -> list[Connector]:
    """Connectors that a driver could reserve now: free, at a station that is online."""
    listed = [station for station in stations if station.online]
    taken = Reservation.objects.filter(
        Q(expires_at__gt=now) | Q(extended_from__gt=now),
        station__in=listed,
        state__in=LIVE_RESERVATIONS,
        starts_at__lte=now + LEAD,
    ).exclude(evse=None)
    running = Session.objects.filter(station__in=listed, state=SessionState.ACTIVE)
    found = Connector.objects.filter(evse__station__in=listed, status=ConnectorStatus.AVAILABLE)
    return list(
        found.exclude(evse__in=taken.values("evse"))
        .exclude(evse__in=running.values("evse"))
        .select_related("evse__station__site")
        .order_by("evse__station__site__name", "evse__station__name", "evse__number", "number")
    )
