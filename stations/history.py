"""Merged histories for pages: what happened to a station, what happened in a session, when a station was online."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext as _

from stations.models import (
    Authorization,
    Command,
    Connection,
    Reading,
    Session,
    SessionEvent,
    Station,
    StationEvent,
)
from stations.models.journal import Severity


@dataclass(frozen=True)
class Happening:
    """One line of a timeline."""

    at: datetime
    state: str  # gives colour and icon
    text: str
    detail: str = ""
    raw: Any = None
    icon: str = ""


def of_station(station: Station, limit: int = 80) -> list[Happening]:
    """The newest happenings of a station, newest first."""
    own = {"tenant_id": station.tenant_id, "station": station}
    found = [
        *_connections(Connection.objects.filter(**own)[:limit]),
        *(_station_event(event) for event in StationEvent.objects.filter(**own)[:limit]),
        *(_shown(card) for card in Authorization.objects.filter(**own).order_by("-at")[:limit]),
        *(_command(command) for command in Command.objects.filter(**own)[:limit]),
    ]
    return sorted(found, key=lambda happening: happening.at, reverse=True)[:limit]


def _connections(rows: Any) -> list[Happening]:
    found = []
    for row in rows:
        where = _("from %(address)s with OCPP %(version)s") % {
            "address": row.remote_address,
            "version": row.ocpp_version,
        }
        found.append(Happening(row.opened_at, "online", _("Connected"), where, icon="plug-connected"))
        if row.closed_at:
            why = row.close_reason or _("no reason given")
            code = f"{why} ({row.close_code})" if row.close_code else why
            found.append(
                Happening(row.closed_at, "offline", _("Connection ended"), code, icon="plug-connected-x")
            )
    return found


_SEVERITIES = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.ERROR: "error"}
_ICONS = {
    "boot": "power",
    "firmware": "cpu",
    "security": "shield-lock",
    "log": "list-details",
    "vendor": "message-2",
}


def _station_event(event: StationEvent) -> Happening:
    where = ""
    if event.evse_number:
        where = _("Connector %(number)s") % {"number": event.evse_number}
    return Happening(
        event.occurred_at,
        _SEVERITIES.get(Severity(event.severity), "info"),
        event.text,
        where,
        event.detail or None,
        _ICONS.get(event.kind, ""),
    )


def _shown(card: Authorization) -> Happening:
    state = "accepted" if card.verdict == "accepted" else card.verdict
    text = _("Token %(uid)s shown: %(verdict)s") % {
        "uid": card.token_uid,
        "verdict": card.get_verdict_display(),
    }
    return Happening(card.at, state, text, icon="nfc")


def _command(command: Command) -> Happening:
    text = _("%(command)s, asked by %(who)s") % {
        "command": command.get_kind_display(),
        "who": command.origin_label,
    }
    return Happening(command.created_at, command.state, text, command.get_state_display(), icon="terminal-2")


def of_session(session: Session, charge_at: datetime | None = None) -> list[Happening]:
    """Everything that happened in a session, oldest first: card, events, pauses, the end, the price."""
    found = [
        _session_event(event)
        for event in SessionEvent.objects.filter(tenant_id=session.tenant_id, session=session)[:500]
    ]
    found += _cards(session)
    if session.remote_command_id:
        command = Command.objects.filter(tenant_id=session.tenant_id, pk=session.remote_command_id).first()
        found += [_command(command)] if command else []
    if (
        session.ended_at
        and session.ended_received_at
        and session.ended_received_at - session.ended_at > timedelta(minutes=2)
    ):
        late = _("The station told of the end later, when it was connected again.")
        found.append(Happening(session.ended_received_at, "info", _("The end arrived here"), late))
    if charge_at:
        found.append(Happening(charge_at, "rated", _("Price calculated"), icon="receipt"))
    if session.held_reason:
        found.append(
            Happening(
                session.ended_received_at or session.started_at,
                "held",
                _("Held for review"),
                session.held_reason,
            )
        )
    return sorted(found, key=lambda happening: happening.at)


def _session_event(event: SessionEvent) -> Happening:
    texts = {
        "started": _("Charging began"),
        "updated": _("The station reported"),
        "ended": _("Charging ended"),
    }
    states = {"started": "active", "updated": "info", "ended": "rated"}
    detail = event.trigger
    if event.offline:
        detail = _("%(trigger)s, recorded while offline") % {"trigger": event.trigger or _("told later")}
    icons = {"started": "bolt", "updated": "activity", "ended": "plug-x"}
    return Happening(
        event.occurred_at, states.get(event.kind, "info"), texts.get(event.kind, event.kind), detail, event.payload,
        icons.get(event.kind, ""),
    )  # fmt: skip


def _cards(session: Session) -> list[Happening]:
    """Cards shown at the station around the start and the end of the session."""
    if not session.token_uid:
        return []
    end = session.ended_at or timezone.now()
    shown = Authorization.objects.filter(
        tenant_id=session.tenant_id,
        station_id=session.station_id,
        token_uid__in=[session.token_uid, session.stop_token_uid],
        at__gte=session.started_at - timedelta(minutes=10),
        at__lte=end + timedelta(minutes=2),
    )
    return [_shown(card) for card in shown[:20]]


def readings(session: Session, limit: int = 5000) -> list[Reading]:
    """Meter values of a session, oldest first, thinned to at most `limit`."""
    found = Reading.objects.filter(
        tenant_id=session.tenant_id,
        station_id=session.station_id,
        session_id=session.pk,
        sampled_at__gte=session.started_at - timedelta(hours=1),
    ).order_by("sampled_at")
    if session.ended_at:
        found = found.filter(sampled_at__lte=session.ended_at + timedelta(hours=1))
    return list(found.defer("values")[:limit])


@dataclass
class Day:
    """One day of a station: the stretches it was online, as shares of the day."""

    date: date
    stretches: list[tuple[float, float]] = field(default_factory=list)  # (start, width) in percent
    known: tuple[float, float] = (0.0, 100.0)
    share: float | None = None  # of the time that has passed, in percent


def online_days(station: Station, zone: ZoneInfo, count: int = 14) -> list[Day]:
    """The newest days first."""
    now = timezone.now()
    today = now.astimezone(zone).date()
    since = datetime.combine(today - timedelta(days=count - 1), time(), zone)
    spans = _online_spans(station, since, now)
    return [_day(today - timedelta(days=back), spans, zone, now, station.created_at) for back in range(count)]


def _day(
    day: date, spans: list[tuple[datetime, datetime]], zone: ZoneInfo, now: datetime, born: datetime
) -> Day:
    start = datetime.combine(day, time(), zone)
    end = datetime.combine(day + timedelta(days=1), time(), zone)
    length = (end - start).total_seconds()
    inside = [(max(a, start), min(b, end)) for a, b in spans if b > start and a < end]
    first, last = max(start, born), min(end, now)
    passed = (last - first).total_seconds()
    online = sum((b - a).total_seconds() for a, b in inside)
    return Day(
        date=day,
        stretches=[
            (100 * (a - start).total_seconds() / length, max(0.15, 100 * (b - a).total_seconds() / length))
            for a, b in inside
        ],
        known=(100 * (first - start).total_seconds() / length, max(0.0, 100 * passed / length)),
        share=min(100.0, 100 * online / passed) if passed > 0 else None,
    )


def _online_spans(station: Station, since: datetime, now: datetime) -> list[tuple[datetime, datetime]]:
    """When at least one socket was open, merged and in order."""
    rows = Connection.objects.filter(tenant_id=station.tenant_id, station=station).exclude(
        closed_at__lt=since
    )
    spans = sorted(
        (max(row.opened_at, since), row.closed_at or (now if station.online else row.opened_at))
        for row in rows
    )
    merged: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def uptime(station: Station, days: int = 30) -> dict[str, Any]:
    """Share online over the last days (or since the station is known), and how often the link broke."""
    now = timezone.now()
    since = max(now - timedelta(days=days), station.created_at)
    spans = _online_spans(station, since, now)
    length = (now - since).total_seconds()
    online = sum((end - start).total_seconds() for start, end in spans)
    gaps = [b[0] - a[1] for a, b in pairwise(spans)]
    return {
        "percent": min(100.0, 100 * online / length) if length > 60 else None,
        "breaks": len(gaps),
        "longest": max(gaps, default=None),
        "days": days,
    }
