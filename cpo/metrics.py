"""Prometheus metrics: what this process did, and (in `web`) how the whole installation stands."""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

REQUESTS = Counter("voltyard_http_requests_total", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram(
    "voltyard_http_request_seconds",
    "Time to answer",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# name, help, labels, SQL giving (labels..., value). Over all tenants, as the platform role.
GAUGES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (
        "voltyard_stations",
        "Stations in use, by whether they are connected",
        ("online",),
        "SELECT CASE WHEN online THEN 'true' ELSE 'false' END, count(*) FROM stations_station "
        "WHERE archived_at IS NULL GROUP BY 1",
    ),
    (
        "voltyard_connectors",
        "Connectors, by the status their station last told",
        ("status",),
        "SELECT status, count(*) FROM stations_connector GROUP BY 1",
    ),
    (
        "voltyard_sessions_open",
        "Sessions that are not settled: active, ended (price follows), held (for review)",
        ("state",),
        "SELECT state, count(*) FROM stations_session WHERE state IN ('active', 'ended', 'held') GROUP BY 1",
    ),
    (
        "voltyard_commands_open",
        "Commands under way",
        ("state",),
        "SELECT state, count(*) FROM stations_command WHERE state IN ('queued', 'sent') GROUP BY 1",
    ),
    (
        "voltyard_facts_waiting",
        "Facts that not all subscribers have heard of",
        (),
        "SELECT count(*) FROM tenants_fact WHERE dispatched_at IS NULL",
    ),
    (
        "voltyard_facts_oldest_seconds",
        "Age of the oldest fact that waits",
        (),
        "SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM tenants_fact "
        "WHERE dispatched_at IS NULL",
    ),
    (
        "voltyard_journal_lag_frames",
        "Frames stored and not yet applied, at most",
        (),
        "SELECT coalesce(sum(greatest(h.last_id - coalesce(c.applied_id, 0), 0)), 0) "
        "FROM stations_journalhead h LEFT JOIN stations_journalcursor c "
        "ON c.tenant_id = h.tenant_id AND c.gateway = h.gateway",
    ),
)


class Installation(Collector):
    """Figures out of the database. They are read at most every FRESH_S seconds, however often they are asked for."""

    FRESH_S = 5.0

    def __init__(self) -> None:
        self.read_at = float("-inf")
        self.families: list[GaugeMetricFamily] = []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        if time.monotonic() - self.read_at > self.FRESH_S:
            self.families = list(self._read())
            self.read_at = time.monotonic()
        return self.families

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return []

    def _read(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("voltyard_database_up", "Whether the database answers")
        try:
            with connections["platform"].cursor() as cursor:
                for name, text, labels, query in GAUGES:
                    family = GaugeMetricFamily(name, text, labels=labels)
                    cursor.execute(query)
                    for *values, figure in cursor.fetchall():
                        family.add_metric([str(value) for value in values], float(figure))
                    yield family
            up.add_metric([], 1)
        except DatabaseError:
            up.add_metric([], 0)
        yield up


INSTALLATION = Installation()
if settings.PROCESS in ("web", "manage"):  # a gateway counts its own doings alone
    REGISTRY.register(INSTALLATION)


class RequestMetricsMiddleware:
    """Counts and times requests by the route they took, never by their address: that could be anything."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        match: Any = request.resolver_match
        method = request.method if request.method in METHODS else "other"
        route = match.route if match else "none"
        REQUESTS.labels(method, route, str(response.status_code)).inc()
        SECONDS.labels(method, route).observe(time.perf_counter() - began)
        return response


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text. By METRICS_TOKEN if one is set, else for callers on this machine."""
    refusal = _refusal(request)
    if refusal is not None:
        return refusal
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    if settings.METRICS_TOKEN:
        given = request.META.get("HTTP_AUTHORIZATION", "").encode()
        if hmac.compare_digest(given, f"Bearer {settings.METRICS_TOKEN}".encode()):
            return None
        text = "Send the METRICS_TOKEN as Authorization: Bearer."
        return HttpResponse(
            text, status=401, content_type="text/plain", headers={"WWW-Authenticate": "Bearer"}
        )
    if _is_loopback(request.META.get("REMOTE_ADDR", "")) and "HTTP_X_FORWARDED_FOR" not in request.META:
        return None  # a proxy on this machine would make everybody look local, hence the second condition
    return HttpResponse(
        "Set METRICS_TOKEN to read the metrics from elsewhere.", status=403, content_type="text/plain"
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
