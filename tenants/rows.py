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
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, cast

import orjson
import psycopg
from django.db import connections
from psycopg.abc import Loader
from psycopg.types.numeric import Int8

from tenants.context import current_alias

T = TypeVar("T")
Rows = list[tuple[Any, ...]]


class Ask(NamedTuple):
    """A statement, its %(rows)s, and its other arguments."""

    statement: str
    rows: Sequence[Any]
    more: Mapping[str, Any] = MappingProxyType({})


Lookup = Generator[Ask, Rows, T]

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


class _Life:
    """What is kept with a connection, and on it, for a table beside it would keep it alive: cursors (to make one costs
    as much as to bind a statement), when it was opened, how many rows were passed on, and what waits to be sent."""

    __slots__ = ("connection", "cursors", "opened", "passed", "waiting")

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.cursors: list[psycopg.Cursor[Any]] = []
        self.opened, self.passed = time.monotonic(), 0
        self.waiting: list[tuple[int, Ask]] | None = None

    def execute(self, place: int, tenant_id: int, ask: Ask) -> psycopg.Cursor[Any]:
        if place == len(self.cursors):
            self.cursors.append(psycopg.Cursor(self.connection))
            self.cursors[place].adapters.register_loader("timestamptz", cast(type[Loader], _TIMES))
        arguments = {"tenant": Int8(tenant_id), "rows": dump(ask.rows), **ask.more}
        self.passed += len(ask.rows)
        age = int(1 + time.monotonic() - self.opened + self.passed)
        # Another text is another plan.
        statement: Any = f"-- {age.bit_length()}\n{ask.statement}"
        return self.cursors[place].execute(statement, arguments, prepare=True)

    def execute_all(self, asked: Sequence[tuple[int, Ask]]) -> list[Rows]:
        if len(asked) == 1:
            return [_fetched(self.execute(0, *asked[0]))]
        with self.connection.pipeline():
            cursors = [self.execute(place, *one) for place, one in enumerate(asked)]
        return [_fetched(cursor) for cursor in cursors]


def _fetched(cursor: psycopg.Cursor[Any]) -> Rows:
    result = cursor.pgresult  # not `description`, which describes every column
    return cursor.fetchall() if result is not None and result.nfields else []


def _life() -> tuple[Any, _Life]:
    wrapper = connections[current_alias()]
    wrapper.ensure_connection()
    connection: Any = wrapper.connection
    life = getattr(connection, "voltyard_life", None)
    if life is None:
        life = connection.voltyard_life = _Life(connection)
    return wrapper, life


def _execute(asked: Sequence[tuple[int, Ask]]) -> list[Rows]:
    wrapper, life = _life()
    if life.waiting:
        raise RuntimeError("Statements wait to be sent: what is asked now would overtake them.")
    with wrapper.wrap_database_errors:
        return life.execute_all(asked)


def run(statement: str, tenant_id: int, rows: Sequence[Any], **more: Any) -> Rows:
    """Execute with %(tenant)s and %(rows)s (JSON); the rows it returns, if it returns any."""
    return _execute([(tenant_id, Ask(statement, rows, more))])[0]


def alone(tenant_id: int, lookup: Lookup[T]) -> T:
    """The answer of a look-up: a generator that yields what it asks, is sent the rows, and returns its answer."""
    answer: T = together(tenant_id, lookup)[0]
    return answer


def together(tenant_id: int, *lookups: Lookup[Any]) -> list[Any]:
    """The answers of many look-ups. What they ask goes to PostgreSQL together, in their order, a round trip a round:
    waiting for each in turn costs both sides as much as the work."""
    answers: list[Any] = [None] * len(lookups)
    told: dict[int, Any] = dict.fromkeys(range(len(lookups)))
    while told:
        asked: dict[int, Ask] = {}
        for place, rows in told.items():
            try:
                asked[place] = lookups[place].send(rows)
            except StopIteration as end:
                answers[place] = end.value
        found = _execute([(tenant_id, ask) for ask in asked.values()]) if asked else []
        told = dict(zip(asked, found, strict=True))
    return answers


def send(statement: str, tenant_id: int, rows: Sequence[Any]) -> None:
    """Execute as `run` does what returns nothing; within `at_once` together with the others."""
    _wrapper, life = _life()
    if life.waiting is None:
        run(statement, tenant_id, rows)
    else:
        life.waiting.append((tenant_id, Ask(statement, rows)))


@contextmanager
def at_once() -> Iterator[None]:
    """What is sent within goes to PostgreSQL at the end, together and in order; an error is raised there."""
    _wrapper, life = _life()
    if life.waiting is not None:
        raise RuntimeError("Statements wait to be sent already: one block sends them all.")
    life.waiting = []
    try:
        yield
        waiting, life.waiting = life.waiting, None
        if waiting:
            _execute(waiting)
    finally:
        life.waiting = None
