"""The states of a station's connectors and of its connection over a time, as intervals without gaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stations.models import Connection, Connector, ConnectorStatus, Station, StatusEntry

UNKNOWN = ConnectorStatus.UNKNOWN.value
MOST_ENTRIES = 50_000  # of one station in one look


@dataclass(frozen=True)
class Part:
    """A time in one state."""

    start: datetime
    end: datetime
    status: str
    error: str = ""  # what the station said of it

    @property
    def length(self) -> timedelta:
        return self.end - self.start


@dataclass
class Lane:
    """One connector, or the station as a whole (EVSE 0), over a time."""

    evse_number: int
    connector_number: int
    parts: list[Part] = field(default_factory=list)
    connector: Connector | None = None


def of_station(station: Station, since: datetime, until: datetime) -> list[Lane]:
    """A lane for each connector and, where it told of itself, one for the station as a whole (EVSE 0, first)."""
    connectors = {
        (one.evse.number, one.number): one
        for one in Connector.objects.filter(tenant_id=station.tenant_id, evse__station=station)
        .select_related("evse")
        .order_by("evse__number", "number")
    }
    told = _entries(station, since, until)
    places = sorted({*connectors, *told})
    return [
        Lane(
            *place,
            list(_parts(told.get(place, []), connectors.get(place), since, until)),
            connectors.get(place),
        )
        for place in places
    ]


def _entries(station: Station, since: datetime, until: datetime) -> dict[tuple[int, int], list[StatusEntry]]:
    """By place: the entry in force at `since`, then those up to `until`."""
    own = StatusEntry.objects.filter(tenant_id=station.tenant_id, station_id=station.pk)
    before = (
        own.filter(at__lte=since)
        .order_by("evse_number", "connector_number", "-at", "-id")
        .distinct("evse_number", "connector_number")
    )
    found: dict[tuple[int, int], list[StatusEntry]] = {}
    for entry in [*before, *own.filter(at__gt=since, at__lt=until).order_by("at", "id")[:MOST_ENTRIES]]:
        found.setdefault((entry.evse_number, entry.connector_number), []).append(entry)
    return found


def _parts(
    entries: list[StatusEntry], connector: Connector | None, since: datetime, until: datetime
) -> Iterator[Part]:
    """Merged intervals. What the connector shows now ends the list: a flood may have hidden it from the history."""
    points = [(entry.at, entry.status, error_text(entry)) for entry in entries]
    if connector and connector.status_at and connector.status != UNKNOWN and connector.status_at < until:
        now = (connector.status_at, connector.status, error_text(connector))
        if not points or points[-1][0] <= now[0]:
            points.append(now)
    yield from merged(_between(points, since, until))


def _between(points: list[tuple[datetime, str, str]], since: datetime, until: datetime) -> Iterator[Part]:
    at, status, error = since, UNKNOWN, ""
    for next_at, next_status, next_error in points:
        if next_at > at:
            yield Part(at, min(next_at, until), status, error)
            at = next_at
        status, error = next_status, next_error
    if at < until:
        yield Part(at, until, status, error)


def merged(parts: Iterable[Part]) -> Iterator[Part]:
    """Neighbours in the same state become one."""
    last: Part | None = None
    for part in parts:
        if last and last.end == part.start and (last.status, last.error) == (part.status, part.error):
            last = Part(last.start, part.end, part.status, part.error)
            continue
        if last:
            yield last
        last = part
    if last:
        yield last


def error_text(row: StatusEntry | Connector) -> str:
    """The station's own words first, then the codes, the vendor's last."""
    parts = [part for part in (row.info, row.error_code, row.vendor_error_code) if part]
    return ", ".join(dict.fromkeys(parts))


def online_spans(station: Station, since: datetime, now: datetime) -> list[tuple[datetime, datetime]]:
    """When at least one socket was open, merged and in order."""
    found = Connection.objects.filter(
        tenant_id=station.tenant_id, station=station, opened_at__lt=now
    ).exclude(closed_at__lt=since)
    newest = station.epoch
    spans = sorted(
        (
            max(row.opened_at, since),
            min(now, row.closed_at or (now if station.online and row.epoch == newest else row.opened_at)),
        )
        for row in found
    )
    joined: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if end <= start:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
