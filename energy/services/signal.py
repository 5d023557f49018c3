"""Wakes who steers a site, from any process, once the transaction is committed."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connections

from tenants.context import current_alias

CHANNEL = "energy"  # PostgreSQL NOTIFY, payload "<tenant id>:<site id>"


def wake(*, tenant_id: int, site_ids: Iterable[int]) -> None:
    """Something of these sites has changed: their tree, their policy, a reading of their meters."""
    with connections[current_alias()].cursor() as cursor:
        told = [f"{tenant_id}:{site_id}" for site_id in site_ids]
        cursor.execute("SELECT pg_notify(%s, site) FROM unnest(%s::text[]) site", [CHANNEL, told])
