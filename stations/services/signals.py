"""The table of signals: one small function each over rows, from what stations told to what is wrong.

A function gets the tenant, now and a threshold in the signal's unit, and gives findings. A `lasting` signal is there
as long as its function finds it. One `of events` is news: each finding says when the newest evidence came, so that
after a step of recovery only what is newer speaks against it. A `sticky` one goes away by a person alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.db.models import Count, Exists, Max, Min, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from stations import attempts
from stations.models import (
    Alert,
    Command,
    CommandKind,
    CommandState,
    Connection,
    Connector,
    ConnectorStatus,
    Evse,
    Registration,
    Session,
    SessionState,
    Signal,
    Station,
    StationEvent,
    StatusEntry,
)
from stations.services.connections import PROCESS_ENDED, RESTARTS

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ENDED_BY_US = (PROCESS_ENDED, RESTARTS)
# What a station boots after, if it takes it.
BOOTING = (CommandKind.RESET, CommandKind.UPDATE_FIRMWARE, CommandKind.UPDATE_SIGNED_FIRMWARE)


@dataclass(frozen=True)
class Finding:
    """Something wrong at one place. `at` is the newest evidence. Of a whole site: no station, and `site_id`."""

    station_id: int | None
    connector_id: int | None
    since: datetime
    at: datetime
    evidence: dict[str, Any] = field(default_factory=dict)
    site_id: int | None = None


Find = Callable[[int, datetime, float], Iterable[Finding]]


@dataclass(frozen=True)
class Detector:
    """A signal: how it is found, what its threshold means."""

    find: Find
    says: Any  # what it means for drivers or the operator
    unit: str  # minutes | hours | count | seconds | times
    threshold: float
    least: float = 0  # smallest threshold that makes sense
    of_events: bool = False
    sticky: bool = False
    needs_socket: bool = True  # whether a command can reach the station while it is there
    waits: bool = (
        False  # the threshold is for how long it must last; back for less than that, it is not over either
    )


def _stations(tenant_id: int) -> Any:
    return Station.objects.filter(tenant_id=tenant_id, archived_at=None)


def _connectors(tenant_id: int) -> Any:
    """Of stations that can be heard: what an offline one told last is no news."""
    return Connector.objects.filter(
        tenant_id=tenant_id, evse__station__archived_at=None, evse__station__online=True
    ).select_related("evse")


def _at_connector(row: Connector, since: datetime | None, now: datetime, **evidence: Any) -> Finding:
    told = {"error": row.error_code, "vendor_error": row.vendor_error_code, "info": row.info}
    kept = {name: text for name, text in (told | evidence).items() if text not in ("", None)}
    return Finding(row.evse.station_id, row.pk, since or now, now, kept)


# --- the connection


def offline(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    found = _stations(tenant_id).filter(online=False, last_seen_at__isnull=False)
    running = dict(
        Session.objects.filter(tenant_id=tenant_id, station__online=False, state=SessionState.ACTIVE)
        .order_by()
        .values_list("station_id")
        .annotate(n=Count("id"))
    )
    for row in found.exclude(online_changed_at__gt=now - timedelta(minutes=minutes)):
        told = {"running": running.get(row.pk, 0)}
        yield Finding(row.pk, None, row.online_changed_at or row.last_seen_at, now, told)


def silent(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    """A socket is open, but neither a heartbeat nor anything else came for longer than the station's interval."""
    found = _stations(tenant_id).filter(online=True, last_seen_at__lt=now - timedelta(minutes=minutes))
    for row in found:
        if row.last_seen_at < now - timedelta(seconds=2.5 * (row.heartbeat_seconds or 0)):
            yield Finding(row.pk, None, row.last_seen_at, now)


def flapping(tenant_id: int, now: datetime, times: float) -> Iterator[Finding]:
    """So many connections within an hour, those aside that we ended."""
    rows = (
        Connection.objects.filter(tenant_id=tenant_id, opened_at__gt=now - HOUR, station__archived_at=None)
        .exclude(close_reason__in=ENDED_BY_US)
        .order_by()
        .values("station_id")
        .annotate(n=Count("id"), first=Min("opened_at"), last=Max("opened_at"))
        .filter(n__gte=ceil(times))
    )
    for row in rows:
        yield Finding(row["station_id"], None, row["first"], row["last"], {"count": row["n"]})


def not_accepted(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    """It connects, and its boot is answered with pending or rejected: it may not charge anybody."""
    found = _stations(tenant_id).filter(online=True).exclude(registration=Registration.ACCEPTED)
    for row in found.exclude(online_changed_at__gt=now - timedelta(minutes=minutes)):
        evidence = {"registration": row.registration}
        yield Finding(row.pk, None, row.online_changed_at or now, now, evidence)


# --- connectors


def faulted(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    rows = list(
        _connectors(tenant_id)
        .filter(status=ConnectorStatus.FAULTED)
        .exclude(status_since__gt=now - timedelta(minutes=minutes))
    )
    told = causes(tenant_id, {row.evse.station_id for row in rows if not row.vendor_error_code})
    for row in rows:
        cause = {} if row.vendor_error_code else told.get((row.evse.station_id, row.evse.number), {})
        yield _at_connector(row, row.status_since or row.status_at, now, **cause)
    yield from _station_faults(tenant_id, now, minutes)


def causes(tenant_id: int, station_ids: set[int]) -> dict[tuple[int, int], dict[str, str]]:
    """2.x: a status has no words for a fault; what the station's own monitors told of the EVSE meanwhile has (N07)."""
    if not station_ids:
        return {}
    told = Alert.objects.filter(tenant_id=tenant_id, station_id__in=station_ids, cleared_at=None)
    return {
        (row.station_id, row.evse_number): {"error": "", "vendor_error": row.tech_code, "info": row.tech_info}
        for row in told.order_by("opened_at", "id")
        if row.tech_code or row.tech_info
    }


def fault_words(connectors: Sequence[Connector]) -> dict[int, str]:
    """What stations said of these connectors' faults, their own words first; none for who gave no reason."""
    silent = [one for one in connectors if not (one.info or one.vendor_error_code)]
    told = causes(silent[0].tenant_id, {one.evse.station_id for one in silent}) if silent else {}
    words = {}
    for one in connectors:
        cause = told.get((one.evse.station_id, one.evse.number), {})
        parts = (
            one.info or cause.get("info"), one.error_code, one.vendor_error_code or cause.get("vendor_error")
        )  # fmt: skip
        words[one.pk] = ", ".join(part for part in parts if part)
    return words


def _station_faults(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    """1.6: connector 0 is the station as a whole."""
    told = (
        StatusEntry.objects.filter(tenant_id=tenant_id, evse_number=0, station__archived_at=None)
        .filter(station__online=True)
        .order_by("station_id", "-at", "-id")
        .distinct("station_id")
    )
    for row in told:
        if row.status == ConnectorStatus.FAULTED and row.received_at <= now - timedelta(minutes=minutes):
            evidence = {"error": row.error_code, "vendor_error": row.vendor_error_code, "info": row.info}
            kept = {name: text for name, text in evidence.items() if text}
            yield Finding(row.station_id, None, row.at, now, kept)


def out_of_service(tenant_id: int, now: datetime, hours: float) -> Iterator[Finding]:
    rows = _connectors(tenant_id).filter(status=ConnectorStatus.UNAVAILABLE)
    for row in rows.filter(status_since__lt=now - timedelta(hours=hours)):
        yield _at_connector(row, row.status_since or row.status_at, now)


def _free_of_session(rows: Any) -> Any:
    running = Session.objects.filter(
        tenant_id=OuterRef("tenant_id"), evse_id=OuterRef("evse_id"), state=SessionState.ACTIVE
    )
    return rows.exclude(Exists(running))


def plugged_idle(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    """A cable is in, and no session begins: a stuck lock, a reader that does not read, a driver who gave up."""
    plugged = (ConnectorStatus.PREPARING, ConnectorStatus.OCCUPIED)
    rows = _connectors(tenant_id).filter(
        status__in=plugged, status_since__lt=now - timedelta(minutes=minutes)
    )
    for row in _free_of_session(rows):
        yield _at_connector(row, row.status_since or row.status_at, now)


PAUSED = (ConnectorStatus.SUSPENDED_EV.value, ConnectorStatus.SUSPENDED_EVSE.value)


def _running(tenant_id: int) -> Any:
    return (
        Session.objects.filter(tenant_id=tenant_id, state=SessionState.ACTIVE, station__online=True)
        .filter(station__archived_at=None)
        .select_related("connector", "evse")
    )


def _connector_of(session: Session) -> int | None:
    if session.connector_id:
        return session.connector_id
    own = Connector.objects.filter(tenant_id=session.tenant_id, evse_id=session.evse_id)
    return own.order_by("number").values_list("id", flat=True).first()


def no_energy(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    """A session runs, nobody has paused it, and no energy came for so long."""
    limit = now - timedelta(minutes=minutes)
    rows = _running(tenant_id).filter(started_at__lt=limit).exclude(charging_state__in=PAUSED)
    rows = rows.exclude(connector__status__in=[*PAUSED, "finishing", "faulted"])
    for row in rows.exclude(last_progress_at__gte=limit).exclude(power_w__gt=500):
        since = row.last_progress_at or row.started_at
        yield Finding(
            row.station_id, _connector_of(row), since, now,
            {"session": row.pk, "energy_wh": float(row.energy_wh), "power_w": row.power_w or 0},
        )  # fmt: skip


def meter_stuck(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    """Power is told, but the register does not move: the session cannot be billed."""
    limit = now - timedelta(minutes=minutes)
    rows = _running(tenant_id).filter(started_at__lt=limit, power_w__gt=500, last_reading_at__gt=limit)
    for row in rows.exclude(last_progress_at__gte=limit):
        yield Finding(
            row.station_id, _connector_of(row), row.last_progress_at or row.started_at, now,
            {"session": row.pk, "power_w": row.power_w},
        )  # fmt: skip


def meter_jumped(tenant_id: int, now: datetime, times: float) -> Iterator[Finding]:
    """Sessions of the last day whose meter went back or leapt."""
    odd = Q(flags__contains=["energy_absurd"]) | Q(flags__contains=["meter_rollback"])
    recent = Session.objects.filter(
        odd, tenant_id=tenant_id, started_at__gt=now - DAY, station__archived_at=None
    )
    rows = (
        recent.order_by()
        .values("station_id", "evse_id")
        .annotate(n=Count("id"), first=Min("started_at"), last=Max("started_at"), session=Max("id"))
        .filter(n__gte=ceil(times))
    )
    for row in rows:
        place = _first_connector(tenant_id, row["evse_id"])
        evidence = {"count": row["n"], "session": row["session"]}
        yield Finding(row["station_id"], place, row["first"], row["last"], evidence)


def _first_connector(tenant_id: int, evse_id: int) -> int | None:
    own = Connector.objects.filter(tenant_id=tenant_id, evse_id=evse_id).order_by("number")
    return own.values_list("id", flat=True).first()


def suspended(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    """The station, not the car, holds back the power for so long."""
    limit = now - timedelta(minutes=minutes)
    rows = _connectors(tenant_id).filter(status=ConnectorStatus.SUSPENDED_EVSE, status_since__lt=limit)
    for row in rows:
        yield _at_connector(row, row.status_since or row.status_at, now)
    told = _running(tenant_id).filter(charging_state=ConnectorStatus.SUSPENDED_EVSE)
    for session in told.exclude(connector__status=ConnectorStatus.SUSPENDED_EVSE).exclude(
        last_progress_at__gte=limit
    ):
        if (since := session.last_progress_at or session.started_at) < limit:
            yield Finding(session.station_id, _connector_of(session), since, now, {"session": session.pk})


def failed_starts(tenant_id: int, now: datetime, times: float) -> Iterator[Finding]:
    """So many attempts in a row failed, the newest of them within a day, and none worked since."""
    online = list(_stations(tenant_id).filter(online=True).values_list("id", flat=True))
    found = attempts.find(tenant_id=tenant_id, station_ids=online, since=now - DAY, until=now)
    failed: dict[tuple[int, int], list[attempts.Attempt]] = {}
    for one in found:
        place = (one.station_id, one.evse_number)
        if not one.ok:
            failed.setdefault(place, []).append(one)
            continue
        failed.pop(place, None)
        failed.pop((one.station_id, 0), None)
    for (station_id, number), rows in failed.items():
        if len(rows) >= times:
            connector = (
                Connector.objects.filter(
                    tenant_id=tenant_id, evse__station_id=station_id, evse__number=number
                )
                .order_by("number")
                .values_list("id", flat=True)
                .first()
            )
            whys = sorted({one.why for one in rows})
            yield Finding(
                station_id, connector, rows[0].at, rows[-1].at, {"count": len(rows), "why": ", ".join(whys)}
            )


LOOK_BACK = timedelta(days=60)
ENOUGH_SESSIONS = 10
LEAST_UNUSED = timedelta(hours=36)


def unused(tenant_id: int, now: datetime, times: float) -> Iterator[Finding]:
    """Nobody charged for so many times the usual gap at this very port, and for 36 hours at least."""
    own = Q(sessions__started_at__gt=now - LOOK_BACK)
    rows = (
        Evse.objects.filter(tenant_id=tenant_id, station__archived_at=None, station__online=True)
        .annotate(
            n=Count("sessions", filter=own),
            first=Min("sessions__started_at", filter=own),
            last=Max("sessions__started_at", filter=own),
            ended=Max("sessions__ended_at", filter=own),
        )
        .filter(n__gte=ENOUGH_SESSIONS)
        .filter(last__lt=now - LEAST_UNUSED)
    )
    for row in rows:
        if Session.objects.filter(tenant_id=tenant_id, evse=row, state=SessionState.ACTIVE).exists():
            continue
        usual = (row.last - row.first) / (row.n - 1)
        since = row.ended or row.last
        if now - since > max(LEAST_UNUSED, usual * times):
            evidence = {"usual_hours": round(usual.total_seconds() / 3600, 1), "sessions": row.n}
            yield Finding(row.station_id, _first_connector(tenant_id, row.pk), since, now, evidence)


# --- the station


def clock_drift(tenant_id: int, now: datetime, seconds: float) -> Iterator[Finding]:
    wrong = Q(clock_offset_s__gt=seconds) | Q(clock_offset_s__lt=-seconds)
    for row in _stations(tenant_id).filter(wrong, online=True):
        yield Finding(row.pk, None, row.online_changed_at or now, now, {"ahead_s": round(row.clock_offset_s)})


def _events(tenant_id: int, kind: str, since: datetime) -> Any:
    return StationEvent.objects.filter(
        tenant_id=tenant_id, kind=kind, occurred_at__gt=since, station__archived_at=None
    )


def reboots(tenant_id: int, now: datetime, times: float) -> Iterator[Finding]:
    """So many boots within an hour that nobody here asked for: a reset or an update of ours explains one."""
    asked: dict[int, int] = dict(
        Command.objects.filter(
            tenant_id=tenant_id, kind__in=BOOTING, state=CommandState.ACCEPTED, settled_at__gt=now - HOUR
        ).order_by().values_list("station_id").annotate(Count("id"))
    )  # fmt: skip
    rows = (
        _events(tenant_id, "boot", now - HOUR)
        .order_by()
        .values("station_id")
        .annotate(n=Count("id"), first=Min("occurred_at"), last=Max("occurred_at"))
        .filter(n__gte=ceil(times))
    )
    for row in rows:
        count = row["n"] - asked.get(row["station_id"], 0)
        if count >= times:
            yield Finding(row["station_id"], None, row["first"], row["last"], {"count": count})


def _serious(tenant_id: int, now: datetime, times: float, kind: str) -> Iterator[Finding]:
    serious = _events(tenant_id, kind, now - DAY).filter(severity__in=("error", "critical"))
    counted = (
        serious.order_by()
        .values("station_id")
        .annotate(n=Count("id"), first=Min("occurred_at"), last=Max("occurred_at"))
        .filter(n__gte=ceil(times))
    )
    for row in counted:
        newest = serious.filter(station_id=row["station_id"]).order_by("-occurred_at", "-id").first()
        evidence = {"count": row["n"], "text": newest.text if newest else ""}
        yield Finding(row["station_id"], None, row["first"], row["last"], evidence)


def security(tenant_id: int, now: datetime, times: float) -> Iterator[Finding]:
    """Security events of high severity within a day."""
    return _serious(tenant_id, now, times, "security")


def alert(tenant_id: int, now: datetime, times: float) -> Iterator[Finding]:
    """Alerts of the station's own monitors (NotifyEvent) of high severity within a day."""
    return _serious(tenant_id, now, times, "monitor")


# --- what a layer above sees

_above: dict[str, Find] = {}


def plug_in(signal: str, find: Find) -> None:
    """`cpo` plugs in what only a layer above can read. Until then nothing is found."""
    _above[signal] = find


def _from_above(signal: str) -> Find:
    def find(tenant_id: int, now: datetime, threshold: float) -> Iterable[Finding]:
        return _above[signal](tenant_id, now, threshold) if signal in _above else ()

    return find


DETECTORS: dict[str, Detector] = {
    Signal.OFFLINE: Detector(
        offline, _("It cannot be steered; cards work only if the station decides by itself."), "minutes", 10,
        needs_socket=False,
    ),
    Signal.SILENT: Detector(
        silent, _("The line is open, but the station does not speak. It may hang."), "minutes", 15, 2
    ),
    Signal.FLAPPING: Detector(
        flapping, _("A weak signal or a router that drops it. Remote starts get lost."), "count", 6, 2,
        of_events=True,
    ),
    Signal.NOT_ACCEPTED: Detector(
        not_accepted, _("Its registration here is pending or rejected, so it serves nobody."), "minutes", 30
    ),
    Signal.FAULTED: Detector(
        faulted, _("Nobody can charge here until it is cleared."), "minutes", 1, waits=True
    ),
    Signal.OUT_OF_SERVICE: Detector(
        out_of_service, _("Taken out of service long ago. It may have been forgotten."), "hours", 24, waits=True
    ),
    Signal.PLUGGED_IDLE: Detector(
        plugged_idle, _("A cable is plugged in, but no session begins."), "minutes", 30, 2
    ),
    Signal.NO_ENERGY: Detector(
        no_energy, _("A driver waits for energy that does not come."), "minutes", 20, 2
    ),
    Signal.FAILED_STARTS: Detector(
        failed_starts, _("Drivers try and fail, though the station says it is well."), "count", 3, 1,
        of_events=True,
    ),
    Signal.SUSPENDED: Detector(
        suspended, _("The station, not the car, holds back the power."), "minutes", 60, 5
    ),
    Signal.METER_STUCK: Detector(
        meter_stuck, _("Power flows, but the meter does not count. It cannot be billed."), "minutes", 30, 5
    ),
    Signal.METER_JUMPED: Detector(
        meter_jumped, _("Its meter went back or leapt. Sessions are held for review."), "count", 1, 1,
        of_events=True,
    ),
    Signal.UNUSED: Detector(
        unused, _("Nobody has charged here for far longer than usual. Go and look."), "times", 8, 2
    ),
    Signal.CLOCK_DRIFT: Detector(
        clock_drift, _("Its messages carry wrong times."), "seconds", 120, 5
    ),
    Signal.REBOOTS: Detector(
        reboots, _("It restarts again and again; running sessions are cut."), "count", 4, 2, of_events=True
    ),
    Signal.SECURITY: Detector(
        security, _("Somebody may have tampered with it."), "count", 1, 1, of_events=True, sticky=True
    ),
    Signal.ALERT: Detector(
        alert, _("The station itself raised an alarm."), "count", 1, 1, of_events=True
    ),
    Signal.LOAD_SHORT: Detector(
        _from_above(Signal.LOAD_SHORT), _("The site cannot carry what its cars and its building want."), "minutes", 20,
        needs_socket=False,
    ),
    Signal.DISOBEYS: Detector(
        _from_above(Signal.DISOBEYS), _("It counts with the most that it can take, so others get less."), "seconds", 30,
        needs_socket=False,
    ),
    Signal.NO_DEFAULT: Detector(
        _from_above(Signal.NO_DEFAULT),
        _("Cars there wait whenever this system or the line to it is down: their defaults have no room beside others."),
        "minutes", 0, needs_socket=False,
    ),
    Signal.METER_MUTE: Detector(
        _from_above(Signal.METER_MUTE), _("The most that it may show is counted meanwhile, so cars get less."),
        "minutes", 5, needs_socket=False,
    ),
    Signal.KEPT_OUT: Detector(
        _from_above(Signal.KEPT_OUT),
        _(
            "The station has no room for load management beside that limit. Clear it, and enter it as the connector's "
            "most in the grid tree of its site."
        ),
        "minutes", 5, needs_socket=False,
    ),
    Signal.UNSTEERED: Detector(
        _from_above(Signal.UNSTEERED), _("Stations fall back to their defaults. Cars may get less, or wait."),
        "minutes", 1, needs_socket=False,
    ),
}  # fmt: skip
UNITS = {
    "minutes": _("minutes"),
    "hours": _("hours"),
    "seconds": _("seconds"),
    "count": _("times"),
    "times": _("times the usual gap"),
}

# --- clocks


def measure_clocks(*, tenant_id: int, now: datetime) -> int:
    """How far stations' clocks are off, from what they told in the last minutes. A message may have waited in a
    station's queue, never come early: the largest difference is the truest. Right after a reconnection, behind says
    nothing."""
    told = (
        StatusEntry.objects.filter(
            tenant_id=tenant_id, received_at__gt=now - timedelta(minutes=15), clock_ahead_s__isnull=False
        )
        .order_by()
        .values("station_id")
        .annotate(ahead=Max("clock_ahead_s"))
    )
    done = 0
    for row in told:
        ahead = row["ahead"]
        found = Station.objects.filter(tenant_id=tenant_id, pk=row["station_id"])
        found = found.filter(
            Q(clock_offset_s=None) | Q(clock_offset_s__lt=ahead - 5) | Q(clock_offset_s__gt=ahead + 5)
        )
        if ahead < -120:
            found = found.filter(online_changed_at__lt=now - timedelta(minutes=20))
        done += found.update(clock_offset_s=ahead)
    return done
