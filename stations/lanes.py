"""The states of a station's connectors and of its connection over a time, as intervals without gaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stations.models import Connection, Connector, ConnectorStatus, GatewayProcess, Station, StatusEntry
from stations.spans import union

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
    open_now = station.epoch if station.online else None
    return union(
        (max(row.opened_at, since), min(now, row.closed_at or (now if row.epoch == open_now else _lost(row))))
        for row in found
    )


def _lost(row: Connection) -> datetime:
    """When a socket ended whose end nobody wrote, for its gateway was killed and the station came back to another one
    at once: by the next one's beginning, and no later than that gateway lived."""
    later = Connection.objects.filter(
        tenant_id=row.tenant_id, station_id=row.station_id, epoch__gt=row.epoch
    ).order_by("epoch")
    lived = GatewayProcess.objects.filter(name=row.gateway).values_list("alive_at", flat=True).first()
    ends = [at for at in (later.values_list("opened_at", flat=True).first(), lived) if at]
    return max(row.opened_at, min(ends)) if ends else row.opened_at
