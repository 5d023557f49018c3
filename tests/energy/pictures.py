"""Pictures as who steers makes them (energy.picture), made up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from energy.models import SiteMinute, Steering
from tenants.context import tenant_scope
from tests.energy.sites import Rows


def row(node: int, part: str = "L1", **values: Any) -> dict[str, Any]:
    told = {
        "unit": "W" if part == "total" else "A",
        "limit": 63.0,
        "building": 8.0,
        "cars": 23.0,
        "committed": 32.0,
    }
    return {"node": node, "part": part} | told | values


def outlet(evse: int, why: str = "full", **values: Any) -> dict[str, Any]:
    told = {
        "plugged": why != "idle", "reachable": why != "offline", "session": None, "asked": 16.0, "granted": 16.0,
        "committed": 16.0, "draw": 15.8, "cap": 17.0, "wanted": 0.0, "default": 6.0, "need_wh": None, "departure": None,
        "priority": 0, "node": None, "part": None, "since": None,
    }  # fmt: skip
    return {"evse": evse, "why": why} | told | values


def show(
    made: Rows, *, age_s: float = 0.0, at: datetime | None = None, programme: dict[str, Any] | None = None, **parts: Any
) -> dict[str, Any]:  # fmt: skip
    """Keep a picture of the site's main breaker and its outlets, made `age_s` ago."""
    at = at or timezone.now() - timedelta(seconds=age_s)
    told = {
        "at": at.timestamp(), "owner": "test:1",
        "rows": [row(made.root.pk, part) for part in ("L1", "L2", "L3")],
        "outlets": [outlet(one.evse_id) for one in made.outlets], "meters": [], "building": {"amps": [8, 8, 8]},
        "solar_w": None, "battery_w": None, "peak_w": None, "alerts": [],
    } | parts  # fmt: skip
    with tenant_scope(made.connection.tenant_id):
        Steering.objects.filter(connection=made.connection).update(
            owner="test:1", picture=told, picture_at=at, leased_until=at + timedelta(seconds=10),
            programme=programme or {}, programme_at=at if programme else None,
        )  # fmt: skip
    return told


def minutes(made: Rows, begin: datetime, count: int, **values: Any) -> None:
    """So many minutes from `begin`, all alike."""
    with tenant_scope(made.connection.tenant_id):
        SiteMinute.objects.bulk_create(
            SiteMinute(
                tenant_id=made.connection.tenant_id, connection=made.connection,
                minute=begin + timedelta(minutes=number), **values,
            )
            for number in range(count)
        )  # fmt: skip
