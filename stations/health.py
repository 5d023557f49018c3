"""The health of a station as a picture: lanes of states over time, marks of what happened, and what needs somebody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.template.defaultfilters import date as format_date
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from stations import attempts, lanes
from stations.models import Command, Connector, ConnectorStatus, Session, Station, StationEvent
from stations.spans import difference

SPANS = {"1": 1, "7": 7, "30": 30}  # days
MOST_PARTS = 1_500  # drawn of a lane: more are merged by eye anyway
BUCKETS = 160  # marks closer than this share of the width become one
# What a mark means, most telling first: of several at one place the first is drawn.
MARKS = {
    "fault": ("faulted", "alert-triangle"),
    "failed_start": ("warning", "plug-x"),
    "boot": ("neutral", "power"),
    "firmware": ("reserved", "cpu"),
    "security": ("faulted", "shield-lock"),
    "command": ("charging", "terminal-2"),
}


@dataclass(frozen=True)
class Stretch:
    """A part of a lane as drawn: place and width in percent."""

    x: float
    width: float
    state: str
    tells: str
    matters: bool  # stands out, and is reached by keyboard


@dataclass(frozen=True)
class Mark:
    """One or several happenings at a place."""

    x: float
    kind: str
    tells: str
    tone: str
    icon: str


@dataclass
class Row:
    """A lane as drawn, with its parts for the table behind it."""

    name: str
    stretches: list[Stretch] = field(default_factory=list)
    parts: list[lanes.Part] = field(default_factory=list)


@dataclass
class Picture:
    since: datetime
    until: datetime
    rows: list[Row]
    marks: list[Mark]
    ticks: list[tuple[float, str]]
    span: str


def span_of(asked: str) -> str:
    return asked if asked in SPANS else "1"


def picture(station: Station, span: str, until: datetime) -> Picture:
    """What its lanes showed in the days before `until`. Times are said in the zone in force."""
    since = until - timedelta(days=SPANS[span])
    now = min(until, timezone.now())
    online = lanes.online_spans(station, since, now)
    sessions = _sessions(station, since, now)
    rows = [_connection(online, since, until, now)]
    for lane in lanes.of_station(station, since, now):
        rows.append(_row(lane, station, online, sessions.get(lane.evse_number, []), since, until, now))
    return Picture(since, until, rows, _marks(station, since, until), _ticks(since, until, SPANS[span]), span)


def _share(at: datetime, since: datetime, until: datetime) -> float:
    return 100 * (at - since) / (until - since)


def _connection(
    online: list[tuple[datetime, datetime]], since: datetime, until: datetime, now: datetime
) -> Row:
    gone = [lanes.Part(a, b, "offline") for a, b in difference([(since, now)], online)]
    there = [lanes.Part(a, b, "online") for a, b in online]
    parts = sorted([*gone, *there], key=lambda part: part.start)
    return Row(_("Connection"), [_stretch(part, since, until) for part in parts[:MOST_PARTS]], parts)


def _row(
    lane: lanes.Lane, station: Station, online: list[tuple[datetime, datetime]],
    sessions: list[tuple[datetime, datetime]], since: datetime, until: datetime, now: datetime,
) -> Row:  # fmt: skip
    """A connector's lane. Where the station could not be heard, that is what counts: what it told last is no news."""
    parts: list[lanes.Part] = []
    for part in lane.parts:
        for start, end in difference([(part.start, part.end)], online):
            parts.append(lanes.Part(start, end, "offline"))
        for start, end in difference([(part.start, part.end)], difference([(since, now)], online)):
            parts += _told(lanes.Part(start, end, part.status, part.error), sessions)
    drawn = list(lanes.merged(sorted(parts, key=lambda part: part.start)))
    return Row(_name(lane, station), [_stretch(part, since, until) for part in _thinned(drawn)], drawn)


def _told(part: lanes.Part, sessions: list[tuple[datetime, datetime]]) -> list[lanes.Part]:
    """2.x has one word for a place with a car, "Occupied"; while a session runs there, it is charging."""
    if part.status != ConnectorStatus.OCCUPIED:
        return [part]
    apart = difference([(part.start, part.end)], sessions)
    running = difference([(part.start, part.end)], apart)
    found = [lanes.Part(start, end, ConnectorStatus.CHARGING.value) for start, end in running]
    return found + [lanes.Part(start, end, part.status, part.error) for start, end in apart]


def _sessions(
    station: Station, since: datetime, until: datetime
) -> dict[int, list[tuple[datetime, datetime]]]:
    """When sessions ran at each EVSE."""
    found: dict[int, list[tuple[datetime, datetime]]] = {}
    rows = Session.objects.filter(tenant_id=station.tenant_id, station=station, started_at__lt=until)
    for number, start, end in (
        rows.exclude(ended_at__lt=since).order_by("started_at")
        .values_list("evse__number", "started_at", "ended_at")[:5000]
    ):  # fmt: skip
        found.setdefault(number, []).append((start, end or until))
    return found


def _thinned(parts: list[lanes.Part]) -> list[lanes.Part]:
    """The most that a picture can bear: the shortest go first."""
    if len(parts) <= MOST_PARTS:
        return parts
    least = sorted((part.length for part in parts), reverse=True)[MOST_PARTS - 1]
    return [part for part in parts if part.length >= least][:MOST_PARTS]


def _name(lane: lanes.Lane, station: Station) -> str:
    if lane.evse_number == 0:
        return _("Station itself")
    many = Connector.objects.filter(
        tenant_id=station.tenant_id, evse__station=station, evse__number=lane.evse_number
    ).count()
    if many > 1:
        return _("Connector %(evse)s, plug %(plug)s") % {
            "evse": lane.evse_number,
            "plug": lane.connector_number,
        }
    return _("Connector %(number)s") % {"number": lane.evse_number}


def state_word(status: str) -> str:
    words = {"offline": _("Offline"), "online": _("Online")}
    return words.get(status) or str(
        ConnectorStatus(status).label if status in ConnectorStatus.values else status
    )


def _moment(at: datetime) -> str:
    return format_date(timezone.localtime(at), "D j M, H:i")


def _stretch(part: lanes.Part, since: datetime, until: datetime) -> Stretch:
    start, end = _share(part.start, since, until), _share(part.end, since, until)
    word = f"{state_word(part.status)} ({part.error})" if part.error else state_word(part.status)
    tells = _("%(state)s from %(start)s to %(end)s, %(length)s") % {
        "state": word,
        "start": _moment(part.start),
        "end": _moment(part.end),
        "length": length_text(part.length),
    }
    matters = part.status in ("faulted", "unavailable", "offline")
    return Stretch(start, max(0.12 if matters else 0.04, end - start), part.status, tells, matters)


def length_text(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    if minutes < 60:
        return ngettext("%(count)s minute", "%(count)s minutes", minutes) % {"count": minutes}
    if minutes < 48 * 60:
        return _("%(hours)s h %(minutes)s min") % {"hours": minutes // 60, "minutes": f"{minutes % 60:02d}"}
    return _("%(days)s days %(hours)s h") % {"days": minutes // 1440, "hours": minutes % 1440 // 60}


def _marks(station: Station, since: datetime, until: datetime) -> list[Mark]:
    """Marks that fall on one place become one that counts them."""
    found: dict[int, list[tuple[datetime, str, str]]] = {}
    for at, kind, text in _happenings(station, since, until):
        found.setdefault(int(BUCKETS * (at - since) / (until - since)), []).append((at, kind, text))
    marks = []
    for place, rows in sorted(found.items()):
        kinds = list(MARKS)
        first = min(rows, key=lambda row: (kinds.index(row[1]), row[0]))
        texts = [f"{_moment(at)}: {text}" for at, _kind, text in rows[:4]]
        if len(rows) > 4:
            more = len(rows) - 4
            texts.append(ngettext("%(count)s more", "%(count)s more", more) % {"count": more})
        tone, icon = MARKS[first[1]]
        marks.append(Mark(100 * (place + 0.5) / BUCKETS, first[1], "; ".join(texts), tone, icon))
    return marks


def _happenings(station: Station, since: datetime, until: datetime) -> Iterator[tuple[datetime, str, str]]:
    own: dict[str, Any] = {"tenant_id": station.tenant_id, "station": station}
    events = StationEvent.objects.filter(
        **own,
        kind__in=["boot", "firmware", "security", "status"],
        occurred_at__gte=since,
        occurred_at__lt=until,
    )
    firmware = ""
    for event in events.order_by("occurred_at", "id")[:5000]:
        if event.kind == "boot":
            changed = bool(firmware) and event.text != firmware
            firmware = event.text
            yield event.occurred_at, "firmware" if changed else "boot", event.text
        elif event.kind == "status":
            if event.detail.get("status") == "faulted" or event.detail.get("error_code"):
                where = _("connector %(number)s") % {"number": event.evse_number} if event.evse_number else ""
                yield event.occurred_at, "fault", ", ".join(filter(None, (_fault(event), where)))
        elif event.kind == "security" and event.severity == "info":
            continue
        else:
            yield event.occurred_at, event.kind, event.text
    for tried in attempts.find(
        tenant_id=station.tenant_id, station_ids=[station.pk], since=since, until=until
    ):
        if not tried.ok:
            yield tried.at, "failed_start", failure_text(tried.why)
    commands = Command.objects.filter(**own, created_at__gte=since, created_at__lt=until)
    for command in commands.order_by("id")[:2000]:
        text = _("%(command)s, asked by %(who)s") % {
            "command": command.get_kind_display(),
            "who": command.origin_label,
        }
        yield command.created_at, "command", text


def _fault(event: StationEvent) -> str:
    told = event.detail
    parts = [told.get(name) for name in ("info", "error", "error_code", "vendor_error")]
    return ", ".join(dict.fromkeys(str(part) for part in parts if part)) or _("Faulted")


def failure_text(why: str) -> str:
    """Why an attempt to charge failed, in words."""
    return {
        "no_energy": _("a session ended without energy"),
        "no_session": _("a card was accepted, but no session began"),
        "start_rejected": _("a remote start was refused"),
        "start_failed": _("a remote start failed"),
        "start_timed_out": _("a remote start was never answered"),
    }.get(why, why)


def _ticks(since: datetime, until: datetime, days: int) -> list[tuple[float, str]]:
    """Marks of the axis, in the zone in force."""
    local = timezone.localtime(since)
    at = local.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    if days > 1:
        at = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    ticks = []
    while at < until:
        if days == 1 and at.hour % 3 == 0:
            ticks.append((_share(at, since, until), f"{at:%H:%M}"))
        elif days == 7 or (days == 30 and at.day % 5 == 0):
            ticks.append((_share(at, since, until), format_date(at, "D j" if days == 7 else "j M")))
        at += timedelta(hours=1) if days == 1 else timedelta(days=1)
    return [tick for tick in ticks if 1 < tick[0] < 98]


def table(rows: Iterable[Row], most: int = 200) -> list[tuple[str, lanes.Part]]:
    """All parts, newest first, for those who cannot see the picture."""
    listed = [(row.name, part) for row in rows for part in row.parts]
    return sorted(listed, key=lambda one: one[1].start, reverse=True)[:most]
