"""What a port (EVSE) did in a time, by the rules of regulators. No sums here: sets of time, and why.

23 CFR 680.116(b)(1): a port is up when its hardware and software are online and available for use, or in use, and it
dispenses as expected. UK Public Charge Point Regulations 2023, reg. 7(3): reliable is what OCPI calls available,
charging, reserved, or unknown ("also used when offline") or blocked; inoperative and out of order are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stations import attempts, lanes, spans
from stations.models import Connection, ConnectorStatus, Evse, Exclusion, Session, Station, StatusEntry
from stations.spans import Spans

DOWN = (ConnectorStatus.FAULTED, ConnectorStatus.UNAVAILABLE)
US_CATEGORIES = ("utility", "vehicle", "maintenance", "vandalism", "disaster", "closed")
UK_CATEGORIES = ("blocked", "closed")
LONGEST_DOUBT = timedelta(hours=24)  # a failed start counts until the next that worked, at most so long


@dataclass
class Outage:
    """One time without service, with its cause."""

    start: datetime
    end: datetime
    why: str  # offline | faulted | unavailable
    detail: str = ""


@dataclass
class PortTime:
    """Sets of time of one port. All lie within `period`, but `unknown`, which is what it leaves out."""

    evse: Evse
    period: Spans = field(default_factory=list)
    unknown: Spans = field(default_factory=list)
    outage: Spans = field(default_factory=list)
    excluded: Spans = field(default_factory=list)  # within outage
    failed: Spans = field(default_factory=list)  # outside outage, and not excused (a vehicle's fault)
    uk_period: Spans = field(default_factory=list)
    uk_down: Spans = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    starts: int = 0
    failed_starts: int = 0


def known_since(station: Station) -> datetime | None:
    """Since when it is in service here: its first connection or word. None: it never was."""
    own = {"tenant_id": station.tenant_id, "station_id": station.pk}
    first = Connection.objects.filter(**own).order_by("opened_at").values_list("opened_at", flat=True).first()
    word = (
        StatusEntry.objects.filter(**own)
        .order_by("received_at")
        .values_list("received_at", flat=True)
        .first()
        if first is None
        else None
    )
    return first or word


def of_station(
    station: Station,
    since: datetime,
    until: datetime,
    exclusions: Sequence[Exclusion],
    *,
    born: datetime | None = None,
) -> list[PortTime]:
    """Each port of the station over a time that has passed. Before it was first seen and after it was removed from
    service there is no period."""
    born = born or known_since(station)
    start = max(since, born) if born else until
    end = min(until, station.archived_at) if station.archived_at else until
    evses = list(Evse.objects.filter(tenant_id=station.tenant_id, station=station).order_by("number"))
    if start >= end:
        return [PortTime(evse) for evse in evses]
    service: Spans = [(start, end)]
    online = spans.clip(lanes.online_spans(station, start, end), start, end)
    told = lanes.of_station(station, start, end)
    tried = attempts.find(
        tenant_id=station.tenant_id, station_ids=[station.pk], since=start - LONGEST_DOUBT, until=end
    )
    used = _in_use(station, start, end)
    return [_port(evse, service, online, told, tried, used.get(evse.pk, []), exclusions) for evse in evses]


def _in_use(station: Station, start: datetime, end: datetime) -> dict[int, Spans]:
    """By EVSE when energy flowed in a session: a port in use is up, though nobody heard of it then."""
    found: dict[int, Spans] = {}
    for evse_id, began, ended in (
        Session.objects.filter(
            tenant_id=station.tenant_id, station=station, started_at__lt=end,
            started_at__gt=start - timedelta(days=7), ended_at__gt=start, energy_wh__gte=attempts.LEAST_WH,
        )
        .order_by()
        .values_list("evse_id", "started_at", "ended_at")
    ):  # fmt: skip
        found.setdefault(evse_id, []).append((began, ended))
    return {evse_id: spans.clip(list_, start, end) for evse_id, list_ in found.items()}


def _port(
    evse: Evse, service: Spans, online: Spans, told: list[lanes.Lane], tried: list[attempts.Attempt],
    used: Spans, exclusions: Sequence[Exclusion],
) -> PortTime:  # fmt: skip
    (start, end) = service[0]
    own = [lane for lane in told if lane.evse_number == evse.number]
    whole = [lane for lane in told if lane.evse_number == 0]
    broken, out, silent = _conditions(own, whole)
    offline = spans.difference(spans.difference(service, online), used)
    down = spans.union([*broken, *out])
    # Online, but its state was never told: neither up nor down.
    unknown = spans.difference(spans.difference(spans.intersection(silent, service), offline), down)
    unknown = spans.difference(unknown, used)
    period = spans.difference(service, unknown)
    outage = spans.intersection(spans.union([*offline, *down]), period)
    excuses = [one for one in exclusions if _concerns(one, evse)]
    us = spans.clip(((x.starts_at, x.ends_at) for x in excuses if x.category in US_CATEGORIES), start, end)
    uk = spans.clip(((x.starts_at, x.ends_at) for x in excuses if x.category in UK_CATEGORIES), start, end)
    closed = spans.clip(((x.starts_at, x.ends_at) for x in excuses if x.category == "closed"), start, end)
    mine = [one for one in tried if one.evse_number in (0, evse.number)]
    inside = [one for one in mine if start <= one.at < end]
    doubt = spans.clip(doubtful(mine), start, end)
    return PortTime(
        evse=evse,
        period=period,
        unknown=unknown,
        outage=outage,
        excluded=spans.intersection(outage, us),
        failed=spans.difference(spans.difference(spans.intersection(doubt, period), outage), us),
        # Reg. 7(5): only the hours in which it can be accessed are looked at.
        uk_period=spans.difference(service, closed),
        # Offline is "unknown" there, which counts as reliable: only what it told counts against it.
        uk_down=spans.difference(spans.intersection(spans.intersection(down, service), online), uk),
        outages=list(_outages(outage, broken, out, own + whole)),
        starts=len(inside),
        failed_starts=sum(not one.ok for one in inside),
    )


def _conditions(own: list[lanes.Lane], whole: list[lanes.Lane]) -> tuple[Spans, Spans, Spans]:
    """When the port was (faulted, out of service, of unknown state). It takes all connectors of an EVSE to be down,
    for any of them serves a driver; the station as a whole (EVSE 0) takes all its ports with it."""

    def when(lane: lanes.Lane, *states: str) -> Spans:
        return spans.union((part.start, part.end) for part in lane.parts if part.status in states)

    def of_all(*states: str) -> Spans:
        found: Spans | None = None
        for lane in own:
            mine = when(lane, *states)
            found = mine if found is None else spans.intersection(found, mine)
        return found or []

    down = of_all(*DOWN)
    broken = spans.union(
        [
            *of_all(ConnectorStatus.FAULTED),
            *(s for lane in whole for s in when(lane, ConnectorStatus.FAULTED)),
        ]
    )
    away = [s for lane in whole for s in when(lane, ConnectorStatus.UNAVAILABLE)]
    return broken, spans.difference(spans.union([*down, *away]), broken), of_all(lanes.UNKNOWN)


def _concerns(exclusion: Exclusion, evse: Evse) -> bool:
    """Whether it speaks of this port. One for a single connector speaks of the EVSE it belongs to."""
    if exclusion.connector_id:
        return exclusion.connector is not None and exclusion.connector.evse_id == evse.pk
    return exclusion.station_id in (None, evse.station_id)


def doubtful(tried: Sequence[attempts.Attempt]) -> Spans:
    """From a failed start until the next that worked, at most LONGEST_DOUBT: so long nobody knew that it works."""
    found: Spans = []
    open_since: datetime | None = None
    last: datetime | None = None
    for one in tried:
        if one.ok and open_since is not None and last is not None:
            found.append((open_since, min(one.at, last + LONGEST_DOUBT)))
            open_since = None
        elif not one.ok:
            if open_since is not None and last is not None and one.at - last > LONGEST_DOUBT:
                found.append((open_since, last + LONGEST_DOUBT))
                open_since = None
            open_since, last = open_since or one.at, one.at
    if open_since is not None and last is not None:
        found.append((open_since, last + LONGEST_DOUBT))
    return spans.union(found)


def _outages(outage: Spans, broken: Spans, out: Spans, told: list[lanes.Lane]) -> list[Outage]:
    found = []
    for start, end in outage:
        span: Spans = [(start, end)]
        shares = {
            "faulted": spans.seconds(spans.intersection(span, broken)),
            "unavailable": spans.seconds(spans.intersection(span, out)),
        }
        shares["offline"] = spans.seconds(span) - sum(shares.values())
        why = max(shares, key=lambda name: shares[name])
        detail = next(
            (
                part.error
                for lane in told
                for part in lane.parts
                if part.error and part.status in DOWN and part.start < end and part.end > start
            ),
            "",
        )
        found.append(Outage(start, end, why, detail))
    return found
