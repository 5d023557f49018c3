"""Stored secrets under the newest key."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.db import connections, transaction
from psycopg import sql

from tenants import secrets
from tenants.context import current_alias
from tenants.fields import SecretField

_AT_ONCE = 500


def secret_columns() -> Iterator[tuple[str, str]]:
    """(table, column) of every SecretField."""
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if isinstance(field, SecretField):
                yield model._meta.db_table, str(field.column)


def rotate(table: str, column: str) -> int:
    """Encrypt all secrets of a column anew. As the platform role, for it sees every tenant. Returns how many."""
    last, count = 0, 0
    names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    select = sql.SQL(
        "SELECT id, {column} FROM {table} WHERE id > %s AND {column} <> '' ORDER BY id LIMIT %s FOR UPDATE"
    ).format(**names)
    update = sql.SQL("UPDATE {table} SET {column} = %s WHERE id = %s").format(**names)
    while True:
        alias = current_alias()
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(select, [last, _AT_ONCE])
            rows = cursor.fetchall()
            cursor.executemany(update, [(secrets.rotated(stored), number) for number, stored in rows])
        count += len(rows)
        if len(rows) < _AT_ONCE:
            return count
        last = rows[-1][0]
