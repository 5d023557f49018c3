"""A lock for work that must not run twice at once and opens transactions of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections


@contextmanager
def only_one(name: str) -> Iterator[bool]:
    """Whether this is the only one inside. On a session of its own: PostgreSQL frees it when the holder dies."""
    key = int.from_bytes(hashlib.sha256(f"voltyard lock {name}".encode()).digest()[:8], "big", signed=True)
    parameters = connections["default"].get_connection_params()
    for ours in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(ours, None)
    with psycopg.connect(**parameters, autocommit=True) as session:
        row = session.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
        yield bool(row and row[0])
