"""Locks by name, for what has no row of its own that could be locked, or not yet."""

from __future__ import annotations

from django.db import connections

from tenants.context import current_alias


def hold(name: str, number: int, *, waits: bool = True) -> bool:
    """Hold the lock of this name and number (a bigint) to the end of the transaction. Whether it was to be had:
    without `waits` somebody else may have it."""
    function = "pg_advisory_xact_lock" if waits else "pg_try_advisory_xact_lock"
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtextextended(%s, %s))", [f"voltyard {name}", number])
        return waits or bool(cursor.fetchone()[0])
