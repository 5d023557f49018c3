"""Statements that take a whole batch as one JSON argument: the ORM costs 1.4 ms a message, this 20 us a row.

(`unnest` arrays through psycopg cost three times as much; COPY FROM is refused on tables with row security.)

How rows are found: `= ANY (ARRAY (SELECT ...))` over a LATERAL look-up with LIMIT 1 for each JSON element. A plain join
with the JSON is planned by what the statistics say of the tenant, and a new tenant has none: all its rows were read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import psycopg
from django.db import connections
from psycopg.types.numeric import Int8

from tenants.context import current_alias


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")  # PostgreSQL's text holds none


def dump(value: Any) -> str:
    """JSON text of plain values; Decimals as text, which PostgreSQL's casts take."""
    try:
        text = orjson.dumps(value, default=str)
    except TypeError:  # an integer of more than 64 bits
        text = json.dumps(value, default=_plain).encode()
    if b"\\u0000" in text:
        text = _NUL.sub(rb"\1", text)
    return text.decode()


def run(statement: str, tenant_id: int, rows: Sequence[Any], **more: Any) -> list[tuple[Any, ...]]:
    """Execute with %(tenant)s and %(rows)s (JSON); the rows it returns, if it returns any."""
    connection = connections[current_alias()]
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, {"tenant": Int8(tenant_id), "rows": dump(rows), **more}, prepare=False)
        return cursor.fetchall() if cursor.description else []
