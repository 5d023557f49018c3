"""Sockets of stations: who may connect, who holds the newest socket, who was refused.

These verbs take many requests of one tenant at once: thousands of stations come back together after an outage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connections, transaction
from django.db.models.functions import Now
from django.utils import timezone

from stations import live
from stations.models import GatewayProcess, QuarantinedStation, Station
from stations.services import passwords
from stations.services.stations import TAKEN_CHANNEL
from tenants import rows as batches
from tenants.context import current_alias, tenant_scope

QUARANTINE_LIMIT = 500  # rows a tenant; beyond it only known rows are counted on
GATEWAY_SILENT = timedelta(seconds=30)


PROCESS_ENDED = "The gateway process ended."
RESTARTS = "The gateway restarts; please connect again."


@dataclass(frozen=True, slots=True)
class FoundStation:
    tenant_id: int
    station_id: int | None
    site_id: int | None
    password_hash: str
    allow_unauthenticated: bool
    strict: bool
    registration: str
    security_profile: int = 0  # the least that it may come by
    highest_profile: int = 0  # the best that it was seen under
    effective_profile: int | None = None  # that of its last socket
    next_password_hash: str = ""


@dataclass(frozen=True, slots=True)
class OpenRequest:
    station_id: int
    gateway: str
    ocpp_version: str
    remote_address: str
    at: datetime
    profile: int | None = None  # the security profile it came by
    used_next: bool = False  # by the password that is to replace the old one
    password_hash: str = ""  # of the password that it came by; empty: by none


@dataclass(frozen=True, slots=True)
class CloseRequest:
    station_id: int
    epoch: int
    at: datetime
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    identity: str
    remote_address: str
    subprotocols: str
    at: datetime


def find(*, requests: Sequence[tuple[str, str]]) -> list[FoundStation | None]:
    """Stations by (tenant slug, identity), before any tenant is entered. None: no such tenant."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(
            "SELECT * FROM stations_find(%s::json)", [batches.dump([list(pair) for pair in requests])]
        )
        rows = cursor.fetchall()
    found: list[FoundStation | None] = [None] * len(requests)
    for place, tenant_id, station_id, site_id, stored, open_door, strict, registration, *security in rows:
        least, highest, effective, coming = security
        found[place - 1] = FoundStation(
            tenant_id, station_id, site_id, stored or "", bool(open_door), bool(strict), registration or "",
            least or 0, highest or 0, effective, coming or "",
        )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class Opened:
    epoch: int
    commands_wait: bool


def open_many(*, tenant_id: int, requests: Sequence[OpenRequest]) -> list[Opened | None]:
    """Each new socket's epoch; None for a station that was archived, or got another password, since it was found. The
    station is online through it; older sockets are no longer routable."""
    rows = [
        [
            request.station_id,
            request.gateway,
            request.ocpp_version,
            request.remote_address,
            request.at.timestamp(),
            request.profile,
            request.password_hash,
        ]
        for request in requests
    ]
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(
            """
            WITH wanted AS (
                SELECT (r->>0)::bigint station_id, r->>1 gateway, r->>2 version, r->>3 remote,
                       to_timestamp((r->>4)::double precision) at, (r->>5)::smallint profile, r->>6 password, n,
                       count(*) OVER (PARTITION BY r->>0 ORDER BY n) step, count(*) OVER (PARTITION BY r->>0) steps
                FROM json_array_elements(%(rows)s::json) WITH ORDINALITY AS list (r, n)
            ), bumped AS (
                UPDATE stations_station s SET epoch = s.epoch + w.steps, gateway = w.gateway, online = true,
                    online_changed_at = CASE WHEN s.online THEN s.online_changed_at ELSE w.at END,
                    last_seen_at = w.at, ocpp_version = w.version, remote_address = w.remote,
                    effective_profile = coalesce(w.profile, s.effective_profile)
                FROM wanted w WHERE s.tenant_id = %(tenant)s AND s.id = w.station_id AND w.step = w.steps
                    AND s.archived_at IS NULL
                    AND (w.password = '' OR w.password IN (s.password_hash, s.next_password_hash))
                RETURNING s.id, s.epoch, s.site_id
            ), opened AS (
                INSERT INTO stations_connection (tenant_id, station_id, epoch, gateway, ocpp_version, remote_address,
                                                 opened_at, close_reason)
                SELECT %(tenant)s, w.station_id, b.epoch - w.steps + w.step, w.gateway, w.version, w.remote, w.at, ''
                FROM wanted w JOIN bumped b ON b.id = w.station_id
            )
            SELECT w.n, b.epoch - w.steps + w.step, b.site_id, w.station_id,
                   EXISTS (SELECT 1 FROM stations_command c WHERE c.tenant_id = %(tenant)s
                           AND c.station_id = w.station_id AND c.state = 'queued'),
                   pg_notify(%(channel)s, %(tenant)s || ':' || w.station_id || ':' || (b.epoch - w.steps + w.step))
            FROM wanted w JOIN bumped b ON b.id = w.station_id ORDER BY w.n
            """,
            {"rows": batches.dump(rows), "tenant": tenant_id, "channel": TAKEN_CHANNEL},
        )
        opened = cursor.fetchall()
    events = [
        live.event(kind="station", station_id=station_id, site_id=site_id, data={"online": True})
        for _n, _epoch, site_id, station_id, *_rest in opened
    ]
    live.publish_many(tenant_id, events)
    for n, *_rest in opened:
        if requests[n - 1].used_next:
            passwords.used(station=Station.objects.get(tenant_id=tenant_id, pk=requests[n - 1].station_id))
    found = {n: Opened(epoch, wait) for n, epoch, _site, _station, wait, _notified in opened}
    return [found.get(n) for n in range(1, len(requests) + 1)]


def close_many(*, tenant_id: int, requests: Sequence[CloseRequest]) -> list[bool]:
    """Ends sockets. True where it was the newest one, so that the station is offline now."""
    rows = [[r.station_id, r.epoch, r.at.timestamp(), r.code, r.reason[:120]] for r in requests]
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(
            """
            WITH gone AS (
                SELECT (r->>0)::bigint station_id, (r->>1)::bigint epoch, to_timestamp((r->>2)::double precision) at,
                       (r->>3)::int code, r->>4 reason
                FROM json_array_elements(%(rows)s::json) AS r
            ), closed AS (
                UPDATE stations_connection c SET closed_at = g.at, close_code = g.code, close_reason = g.reason
                FROM gone g WHERE c.tenant_id = %(tenant)s AND c.station_id = g.station_id AND c.epoch = g.epoch
                    AND c.closed_at IS NULL
            )
            UPDATE stations_station s SET online = false, gateway = '', online_changed_at = g.at
            FROM gone g WHERE s.tenant_id = %(tenant)s AND s.id = g.station_id AND s.epoch = g.epoch AND s.online
            RETURNING s.id, s.epoch, s.site_id
            """,
            {"rows": batches.dump(rows), "tenant": tenant_id},
        )
        offline = {(station_id, epoch): site_id for station_id, epoch, site_id in cursor.fetchall()}
    live.publish_many(
        tenant_id,
        [
            live.event(kind="station", station_id=station_id, site_id=site_id, data={"online": False})
            for (station_id, _epoch), site_id in offline.items()
        ],
    )
    return [(request.station_id, request.epoch) in offline for request in requests]


def refuse_many(*, tenant_id: int, requests: Sequence[RefusedRequest]) -> list[None]:
    """Enter unknown stations in the quarantine list, so that an operator may adopt them."""
    known = QuarantinedStation.objects.filter(tenant_id=tenant_id)
    room = max(0, QUARANTINE_LIMIT - known.count())
    latest = {request.identity: request for request in requests}
    present = set(known.filter(identity__in=latest).values_list("identity", flat=True))
    for identity, request in latest.items():
        tries = sum(other.identity == identity for other in requests)
        if identity in present:
            row = known.select_for_update().get(identity=identity)
            row.attempts, row.last_seen_at = row.attempts + tries, request.at
            row.remote_address, row.subprotocols = request.remote_address[:64], request.subprotocols[:120]
            row.save(update_fields=["attempts", "last_seen_at", "remote_address", "subprotocols"])
        elif room > 0:
            room -= 1
            QuarantinedStation.objects.bulk_create(
                [
                    QuarantinedStation(
                        tenant_id=tenant_id, identity=identity, first_seen_at=request.at, last_seen_at=request.at,
                        attempts=tries, remote_address=request.remote_address[:64],
                        subprotocols=request.subprotocols[:120],
                    )
                ],
                ignore_conflicts=True,
            )  # fmt: skip
    return [None] * len(requests)


def seen(*, gateway: str, heard: Sequence[Sequence[float]]) -> None:
    """[tenant, station, seconds since 1970, epoch of the socket] of stations that were heard. Outside any tenant."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute("SELECT stations_seen(%s, %s::json)", [gateway, batches.dump(heard)])


def close_forgotten(*, gateway: str, held: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Stations that PostgreSQL believes here, while no such socket is held: their end could not be written. Returns the
    sockets, (station id, epoch), that PostgreSQL knows nothing of: somebody took them from their stations."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute("SELECT tenant_id, station_id, epoch FROM stations_held_by(%s)", [gateway])
        rows = cursor.fetchall()
    now = timezone.now()
    for tenant_id, station_id, epoch in rows:
        if (station_id, epoch) not in held:
            with tenant_scope(tenant_id):
                request = CloseRequest(station_id, epoch, now, 1006, "The end of this connection was missed.")
                close_many(tenant_id=tenant_id, requests=[request])
    return held - {(station_id, epoch) for _tenant, station_id, epoch in rows}


def unwelcome(*, gateway: str) -> list[int]:
    """Stations that hold a socket here and may no longer: their tenant was suspended. Works outside any tenant."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute("SELECT station_id FROM stations_unwelcome(%s)", [gateway])
        return [row[0] for row in cursor.fetchall()]


def alive(*, gateway: str, certificate: str = "") -> None:
    """A gateway says that it lives, and which certificate (PEM) it shows stations. Works outside any tenant."""
    GatewayProcess.objects.update_or_create(
        name=gateway,
        defaults={
            "alive_at": Now(),
            "certificate": certificate,
        },  # one clock for all machines: the database's
        create_defaults={"started_at": Now(), "alive_at": Now(), "certificate": certificate},
    )


def gone(*, gateway: str) -> None:
    GatewayProcess.objects.filter(name=gateway).delete()


def take_offline_orphans(*, tenant_id: int) -> int:
    """Stations whose gateway has been silent are offline since it was last alive."""
    living = list(
        GatewayProcess.objects.filter(alive_at__gte=Now() - GATEWAY_SILENT).values_list("name", flat=True)
    )
    orphans = Station.objects.filter(tenant_id=tenant_id, online=True).exclude(gateway__in=living)
    now = timezone.now()
    requests = [
        CloseRequest(station.pk, station.epoch, station.last_seen_at or now, 1006, PROCESS_ENDED)
        for station in orphans[:2000]
    ]
    if not requests:
        return 0
    with transaction.atomic():
        return sum(close_many(tenant_id=tenant_id, requests=requests))
