"""Reads over several apps for the overview, the sites and the search. Tenant first, narrowed to the actor."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connections
from django.db.models import Count, Q, Sum
from django.utils import timezone

from billing.models import Charge, ChargeState
from portal.vocabulary import CONNECTOR_STATES
from stations import visible
from stations.models import Session, SessionState
from tenants import queries as tenants
from tenants.context import current_alias
from tenants.models import Site, Tenant
from tenants.permissions import Actor


@dataclass
class Figures:
    """The numbers of now and today."""

    power_w: float = 0.0
    running: int = 0
    energy_wh: Decimal = Decimal(0)
    sessions: int = 0
    revenue: Decimal = Decimal(0)
    states: list[tuple[str, int]] = field(default_factory=list)
    connectors: int = 0


@dataclass
class SiteState:
    """One site with its live state, for lists and the map."""

    site: Site
    states: list[tuple[str, int]]
    connectors: int
    stations: int
    power_w: float
    running: int
    worst: str


def midnight(tenant: Tenant) -> datetime:
    return (
        timezone.now()
        .astimezone(ZoneInfo(tenant.time_zone))
        .replace(hour=0, minute=0, second=0, microsecond=0)
    )


def figures(tenant: Tenant, actor: Actor, site: Site | None = None) -> Figures:
    """Live and since midnight, of all the actor's sites or of one."""
    since = midnight(tenant)
    sessions = visible.sessions(tenant.pk, actor)
    connectors = visible.connectors(tenant.pk, actor)
    charges = Charge.objects.filter(tenant_id=tenant.pk, state=ChargeState.RATED, occurred_at__gte=since)
    if actor.site_ids is not None:
        charges = charges.filter(site_id__in=actor.site_ids)
    if site is not None:
        sessions, charges = sessions.filter(site=site), charges.filter(site=site)
        connectors = connectors.filter(evse__station__site=site)
    today = sessions.filter(started_at__gte=since).aggregate(energy=Sum("energy_wh"), count=Count("pk"))
    running = sessions.filter(state=SessionState.ACTIVE).aggregate(power=Sum("power_w"), count=Count("pk"))
    counted = Counter(dict(connectors.values_list("effective").annotate(n=Count("pk")).order_by()))
    return Figures(
        power_w=running["power"] or 0.0,
        running=running["count"],
        energy_wh=today["energy"] or Decimal(0),
        sessions=today["count"],
        revenue=charges.filter(currency=tenant.currency).aggregate(sum=Sum("incl_tax"))["sum"] or Decimal(0),
        states=in_order(counted),
        connectors=counted.total(),
    )


def in_order(counted: Counter[str]) -> list[tuple[str, int]]:
    return [(state, counted[state]) for state in CONNECTOR_STATES if counted[state]]


def site_states(tenant: Tenant, actor: Actor) -> list[SiteState]:
    """Every site with its counts, in four queries however many sites there are."""
    by_site: dict[int, Counter[str]] = defaultdict(Counter)
    rows = visible.connectors(tenant.pk, actor).values_list("evse__station__site_id", "effective")
    for site_id, state, count in rows.annotate(n=Count("pk")).order_by():
        by_site[site_id][state] = count
    running = _running_by_site(tenant, actor)
    stations = dict(
        visible.stations(tenant.pk, actor).values_list("site_id").annotate(n=Count("pk")).order_by()
    )
    return [
        SiteState(
            site=site,
            states=in_order(by_site[site.pk]),
            connectors=by_site[site.pk].total(),
            stations=stations.get(site.pk, 0),
            power_w=running.get(site.pk, (0.0, 0))[0],
            running=running.get(site.pk, (0.0, 0))[1],
            worst=worst(by_site[site.pk]),
        )
        for site in tenants.sites(tenant.pk, actor)
    ]


def _running_by_site(tenant: Tenant, actor: Actor) -> dict[int, tuple[float, int]]:
    found = visible.sessions(tenant.pk, actor).filter(state=SessionState.ACTIVE).order_by()
    rows = found.values_list("site_id").annotate(power=Sum("power_w"), n=Count("pk"))
    return {site_id: (power or 0.0, count) for site_id, power, count in rows}


def worst(counted: Counter[str]) -> str:
    """The state that a whole site shows: trouble first, then whether anybody charges."""
    for state in ("faulted", "offline", "charging", "available"):
        if counted[state]:
            return state
    return "unknown"


# Stations that tell energy alone (their sessions know no peak): the mean between two registers of one session, for each
# quarter it touches. The register of the start leads in. What no connector could give proves nothing.
_POWER_SQL = """
    WITH silent AS (
        SELECT r.session_id, s.station_id, s.evse_id, s.started_at, s.meter_start_wh, r.sampled_at, r.energy_wh
        FROM stations_reading r JOIN stations_session s ON s.tenant_id = r.tenant_id AND s.id = r.session_id
        WHERE r.tenant_id = %(tenant)s AND r.sampled_at >= %(since)s AND r.sampled_at <= %(until)s
          AND r.power_w IS NULL AND r.energy_wh IS NOT NULL AND coalesce((s.evidence->>'peak_w')::float8, 0) = 0
          AND (%(sites)s::bigint[] IS NULL OR s.site_id = ANY(%(sites)s))
    ), steps AS (
        SELECT session_id, station_id, evse_id, sampled_at, energy_wh,
            coalesce(lag(sampled_at) OVER series, CASE WHEN meter_start_wh IS NOT NULL THEN started_at END) AS since,
            coalesce(lag(energy_wh) OVER series, meter_start_wh) AS before
        FROM silent WINDOW series AS (PARTITION BY session_id ORDER BY sampled_at, energy_wh)
    ), derived AS (
        SELECT station_id, evse_id, since, sampled_at,
            (energy_wh - before)::float8 * 3600 / extract(epoch FROM sampled_at - since)::float8 AS power
        FROM steps WHERE sampled_at - since >= interval '5 seconds' AND energy_wh >= before
    )
    SELECT bucket, sum(power) FROM (
        SELECT bucket, sum(d.power * extract(epoch FROM least(d.sampled_at, bucket + interval '15 minutes')
                                                        - greatest(d.since, bucket))::float8)
                       / greatest(extract(epoch FROM least(bucket + interval '15 minutes', %(until)s) - bucket), 60)
                       AS power
        FROM derived d CROSS JOIN LATERAL generate_series(
            date_bin('15 minutes', greatest(d.since, %(since)s), timestamptz '2000-01-01'), d.sampled_at,
            interval '15 minutes') AS bucket
        WHERE d.power <= 1000000
        GROUP BY bucket, d.station_id, d.evse_id
        UNION ALL
        SELECT date_bin('15 minutes', r.sampled_at, timestamptz '2000-01-01') AS bucket, avg(r.power_w) AS power
        FROM stations_reading r JOIN stations_station s ON s.tenant_id = r.tenant_id AND s.id = r.station_id
        WHERE r.tenant_id = %(tenant)s AND r.sampled_at >= %(since)s AND r.sampled_at <= %(until)s
          AND r.power_w IS NOT NULL AND r.session_id IS NOT NULL
          AND (%(sites)s::bigint[] IS NULL OR s.site_id = ANY(%(sites)s))
        GROUP BY bucket, r.station_id, r.evse_number
    ) AS parts GROUP BY bucket ORDER BY bucket
"""


def power_curve(tenant: Tenant, actor: Actor, site_id: int | None = None) -> list[tuple[datetime, float]]:
    """(start of a quarter of an hour, mean power in W) of the last 24 hours; a quarter without readings is 0."""
    until = timezone.now()
    since = until - timedelta(hours=24)
    sites = [site_id] if site_id is not None else None if actor.site_ids is None else sorted(actor.site_ids)
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(_POWER_SQL, {"tenant": tenant.pk, "since": since, "until": until, "sites": sites})
        found = dict(cursor.fetchall())
    step = timedelta(minutes=15)
    start = since.replace(minute=since.minute // 15 * 15, second=0, microsecond=0)
    points = [start + step * number for number in range(97)]
    return [(point, float(found.get(point) or 0.0)) for point in points if point <= until]


@dataclass(frozen=True)
class Hit:
    """One thing the search found."""

    kind: str
    title: str
    detail: str
    url_name: str
    pk: int
    state: str = ""


def recent_sessions(tenant: Tenant, actor: Actor, site: Site | None = None, limit: int = 8) -> list[Session]:
    found = visible.sessions(tenant.pk, actor)
    if site is not None:
        found = found.filter(site=site)
    return list(found.select_related("station", "evse", "site", "driver", "token")[:limit])


def held(tenant: Tenant, actor: Actor) -> int:
    return visible.sessions(tenant.pk, actor).filter(state=SessionState.HELD).count()


def search_sessions(tenant: Tenant, actor: Actor, text: str) -> Any:
    wanted = (
        Q(transaction_id__icontains=text) | Q(token_uid__icontains=text) | Q(driver__name__icontains=text)
    )
    if text.lstrip("#").isdigit() and len(text) < 18:
        wanted |= Q(pk=int(text.lstrip("#")))
    return visible.sessions(tenant.pk, actor).filter(wanted).select_related("station")[:10]
