"""Wakes who steers a site, from any process, once the transaction is committed."""

from __future__ import annotations

from django.db import connections

from tenants.context import current_alias

CHANNEL = "energy"  # PostgreSQL NOTIFY, payload "<tenant id>:<site id>"


def wake(*, tenant_id: int, site_id: int) -> None:
    """Something of this site has changed: its tree, its policy, a reading of its meters."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"{tenant_id}:{site_id}"])
