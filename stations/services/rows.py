"""Statements that take a whole batch as one JSON argument: the ORM costs 1.4 ms a message, this 20 us a row.

(`unnest` arrays through psycopg cost three times as much; COPY FROM is refused on tables with row security.)

What is looked up is a column with a type (`json_to_recordset`, or a sub-select with OFFSET 0), never `(r->>0)::bigint`
in the condition: under row security only what leaks nothing may use an index, and a cast from text might, so that all
rows would be read.

They are prepared, and planned anew whenever a connection has lived, or passed on rows, twice as long: what is right for
an empty table is wrong for a full one, and PostgreSQL itself looks again only when the table has been analysed.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from weakref import WeakKeyDictionary

import orjson
import psycopg
from django.db import connections
from psycopg.abc import Loader
from psycopg.types.numeric import Int8

from tenants.context import current_alias

_lives: WeakKeyDictionary[Any, list[float]] = WeakKeyDictionary()  # connection: [opened, rows passed on]


# psycopg's own: Django's, in Python, takes twice as long as all else that is done with a timestamp.
_TIMES = psycopg.adapters.get_loader(psycopg.adapters.types["timestamptz"].oid, psycopg.pq.Format.TEXT)


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
        now = time.monotonic()
        life = _lives.setdefault(connection.connection, [now, 0])
        life[1] += len(rows)
        generation = f"-- {int(1 + now - life[0] + life[1]).bit_length()}\n"  # another text is another plan
        arguments = {"tenant": Int8(tenant_id), "rows": dump(rows), **more}
        cursor.adapters.register_loader("timestamptz", cast(type[Loader], _TIMES))
        cursor.execute(generation + statement, arguments, prepare=True)
        return cursor.fetchall() if cursor.description else []
