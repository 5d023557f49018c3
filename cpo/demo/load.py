"""Load management of the demo: a depot whose breaker does not carry all vans, a hub with a contract, meters, a week."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from cpo.demo.founding import Company
from energy.document import Document, NodePart, WindowPart
from energy.models import SiteMeter, SiteMinute
from energy.services import meters, policies, tree
from simulator.building import load_a
from stations.models import Session
from tenants.models import Tenant

_DAYS = 8
_VOLTS = 230.0
_BAYS_OF_A_PANEL = 6


@dataclass(frozen=True)
class _Steered:
    """A site that is steered. `panels`: whether its stations hang below panels, and what each carries (A)."""

    site: str
    building: str
    building_most_a: float
    policy: dict[str, Any]
    panel_a: float | None = None
    contract_w: float | None = None


_SITES = (
    _Steered(
        "depot", "Parcel hall", 60.0, panel_a=80.0,
        policy={
            "peak": {"mode": "save", "paid_kw": 60},
            "price": {
                "per_kwh": 0.24, "per_kw": 9.5,
                "windows": [
                    {"begins": "06:00", "ends": "09:00", "per_kwh": 0.31},
                    {"begins": "17:00", "ends": "21:00", "per_kwh": 0.34},
                    {"begins": "00:00", "ends": "05:00", "per_kwh": 0.17},
                ],
            },
        },
    ),
    _Steered("hub", "Rest stop", 120.0, policy={}, contract_w=450_000.0),
)  # fmt: skip


def write(company: Company, sessions: list[Session], now: datetime) -> None:
    """At the sites that are steered."""
    for plan in (one for one in _SITES if one.site in company.sites):
        site = company.sites[plan.site]
        scope: dict[str, Any] = {"tenant_id": company.tenant.pk, "site_id": site.pk, "actor": company.actor}
        made = tree.set_up(**scope, building_most_a=plan.building_most_a)
        document = _below_panels(made.document, plan.panel_a) if plan.panel_a else made.document
        document = _with_contract(document, plan.contract_w) if plan.contract_w else document
        tree.save_tree(**scope, document=document.as_json())
        policies.set_policy(**scope, policy=plan.policy)
        meter = meters.create_meter(
            **scope, name=plan.building, kind="building", source="rest", maximum_a=plan.building_most_a
        )
        own = [session for session in sessions if session.site_id == site.pk]
        _week(meter, plan, own, ZoneInfo(site.time_zone), now)
        tree.switch(**scope, on=True, accept_waiting=True)


def _below_panels(document: Document, panel_a: float) -> Document:
    """The stations below panels of six instead of below the connection."""
    [root, *stations] = document.nodes
    panels, moved = [], []
    for number, station in enumerate(stations):
        key = f"panel-{number // _BAYS_OF_A_PANEL + 1}"
        if number % _BAYS_OF_A_PANEL == 0:
            name = f"Panel {number // _BAYS_OF_A_PANEL + 1}"
            panels.append(NodePart(key=key, parent=root.key, name=name, limit_a=(panel_a,) * 3))
        moved.append(replace(station, parent=key))
    return replace(document, nodes=(root, *panels, *moved))


def _with_contract(document: Document, watts: float) -> Document:
    """Less power on weekday evenings than the fuse would carry."""
    [root, *rest] = document.nodes
    evening = WindowPart(time(17), time(20), (0, 1, 2, 3, 4), limit_w=watts, label="Contract, evening peak")
    return replace(document, nodes=(replace(root, windows=(evening,)), *rest))


def _week(meter: SiteMeter, plan: _Steered, sessions: list[Session], zone: ZoneInfo, now: datetime) -> None:
    """What flowed at the site in each minute of the days before, as if it had been measured."""
    last = now.astimezone(UTC).replace(second=0, microsecond=0)
    first = last - timedelta(days=_DAYS)
    cars = [0.0] * int((last - first) / timedelta(minutes=1))
    for session in sessions:
        for minute, watts in _drawn(session, first):
            if 0 <= minute < len(cars):
                cars[minute] += watts
    limit_w = float(meter.connection.site.grid_limit_amps or 0) * 3 * _VOLTS
    rows = []
    for minute, cars_w in enumerate(cars):
        at = first + timedelta(minutes=minute)
        building_w = sum(load_a(plan.building, plan.building_most_a, at.astimezone(zone))) * _VOLTS
        rows.append(
            SiteMinute(
                tenant_id=meter.tenant_id, connection_id=meter.connection_id, minute=at, cars_w=cars_w,
                building_w=building_w, grid_w=cars_w + building_w, most_w=cars_w + building_w,
                limit_w=limit_w,
            )
        )  # fmt: skip
    SiteMinute.objects.bulk_create(rows, batch_size=2000)


def _drawn(session: Session, first: datetime) -> Iterator[tuple[int, float]]:
    """(minute since `first`, mean W) of a session, spread evenly over the time in which it charged."""
    until = session.last_progress_at or session.started_at
    begins = int((session.started_at - first) / timedelta(minutes=1))
    count = max(1, round((until - session.started_at) / timedelta(minutes=1)))
    watts = float(session.energy_wh or 0) * 60 / count
    for minute in range(begins, begins + count):
        yield minute, watts


def buildings(tenant: Tenant, key: str) -> Iterator[dict[str, Any]]:
    """A row per simulated meter. Inside the tenant's scope."""
    base = settings.PUBLIC_URL or "http://127.0.0.1:8000"
    wanted = {(one.building, one.building_most_a) for one in _SITES}
    for meter in SiteMeter.objects.filter(tenant=tenant).select_related("connection__site"):
        if (meter.name, meter.maximum_a) in wanted:
            site = meter.connection.site
            yield {
                "name": meter.name,
                "url": f"{base}/api/v1/sites/{site.pk}/meters/{meter.pk}/readings",
                "key": key,
                "most_a": meter.maximum_a,
                "time_zone": site.time_zone,
            }
