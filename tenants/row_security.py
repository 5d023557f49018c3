"""Row security, composite keys, roles and grants: everything that keeps tenants apart inside PostgreSQL.

Idempotent: `provision` may run any number of times. Tables are found by what they have (a column
`tenant_id`), not by a list, so a new one is covered without being asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from tenants.fields import TenantForeignKey

LOGIN_ROLES = ("app", "gateway", "platform")
FUNCTION_ROLES = ("resolver", "ingest")  # NOLOGIN owners of SECURITY DEFINER functions
APPEND_ONLY = ("tenants_auditrecord",)
# What a gateway has no business with: people's logins, sessions of the portal, machine keys, webhooks.
NOT_FOR_GATEWAY = (
    "tenants_user",
    "django_session",
    "tenants_apikey",
    "tenants_webhook",
    "tenants_membership",
)
CURRENT_TENANT = "NULLIF(current_setting('app.tenant', true), '')::bigint"


def create_roles(cursor: CursorWrapper, prefix: str, passwords: dict[str, str]) -> None:
    """Make or refresh the database roles. None is superuser or may bypass row security."""
    for role in (*LOGIN_ROLES, *FUNCTION_ROLES):
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [f"{prefix}_{role}"])
        login = (
            sql.SQL("LOGIN PASSWORD {}").format(sql.Literal(passwords[role]))
            if role in LOGIN_ROLES
            else sql.SQL("NOLOGIN")
        )
        # Only a superuser may so much as name SUPERUSER in an ALTER, and the owner need not be one.
        verb = (
            "ALTER ROLE {} WITH {}"
            if cursor.fetchone()
            else ("CREATE ROLE {} WITH NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE {}")
        )
        cursor.execute(sql.SQL(verb).format(sql.Identifier(f"{prefix}_{role}"), login))
    for role in FUNCTION_ROLES:  # to hand functions over to them, and to replace those later
        cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(f"{prefix}_{role}")))
    _refuse_mighty_roles(cursor, prefix)


def _refuse_mighty_roles(cursor: CursorWrapper, prefix: str) -> None:
    names = [f"{prefix}_{role}" for role in (*LOGIN_ROLES, *FUNCTION_ROLES)]
    cursor.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND (rolsuper OR rolbypassrls)", [names]
    )
    if mighty := [name for (name,) in cursor.fetchall()]:
        raise PermissionError(
            f"Row security would not bind {', '.join(mighty)}: take SUPERUSER and BYPASSRLS away."
        )


def tenant_tables(cursor: CursorWrapper) -> list[tuple[str, bool]]:
    """(table, is a partition) of every table with a column `tenant_id`."""
    cursor.execute(
        """
        SELECT c.relname, c.relispartition
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY 1
        """
    )
    return [(name, partition) for name, partition in cursor.fetchall()]


def _plan_as_for_one_tenant(cursor: CursorWrapper, table: str) -> None:
    """Tell the planner that a tenant may own all the rows of a table, and let ANALYZE not tell it otherwise.

    A tenant that is new since the last ANALYZE counts as having no rows, so that an index on the tenant alone looks as
    good as the right one, and all its rows are read for each look-up.
    """
    cursor.execute(
        sql.SQL("ALTER TABLE {} ALTER COLUMN tenant_id SET STATISTICS 0").format(sql.Identifier(table))
    )
    cursor.execute(
        """SELECT pg_restore_attribute_stats('schemaname', 'public', 'relname', relname::text, 'attname', 'tenant_id',
               'inherited', relkind = 'p', 'null_frac', 0::real, 'avg_width', 8, 'n_distinct', 1::real)
           FROM pg_class WHERE oid = %s::regclass""",
        [table],
    )


def _secure_table(cursor: CursorWrapper, table: str, is_partition: bool, prefix: str) -> None:
    name = sql.Identifier(table)
    cursor.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(name))
    cursor.execute(sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(name))
    _plan_as_for_one_tenant(cursor, table)
    if is_partition:
        return  # reached through its parent alone: no policy and no grant of its own
    own = sql.SQL(f"tenant_id = {CURRENT_TENANT}")
    policies: list[tuple[str, tuple[str, ...], Any]] = [
        ("tenant", ("app", "gateway"), own),
        ("platform", ("platform",), sql.SQL("true")),
    ]
    for policy, roles, rule in policies:
        cursor.execute(sql.SQL("DROP POLICY IF EXISTS {} ON {}").format(sql.Identifier(policy), name))
        cursor.execute(
            sql.SQL("CREATE POLICY {} ON {} TO {} USING ({}) WITH CHECK ({})").format(
                sql.Identifier(policy),
                name,
                sql.SQL(", ").join(sql.Identifier(f"{prefix}_{role}") for role in roles),
                rule,
                rule,
            )
        )


def _tenant_foreign_keys() -> Iterator[tuple[str, str, str]]:
    """(table, column, referred table) of every TenantForeignKey."""
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if isinstance(field, TenantForeignKey):
                yield model._meta.db_table, field.column, field.related_model._meta.db_table


def _constraint_exists(cursor: CursorWrapper, name: str) -> bool:
    cursor.execute("SELECT 1 FROM pg_constraint WHERE conname = %s", [name])
    return cursor.fetchone() is not None


def _short(name: str) -> str:
    """A constraint name within PostgreSQL's 63 bytes."""
    return name if len(name) <= 60 else f"{name[:50]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def composite_keys(cursor: CursorWrapper) -> None:
    """`UNIQUE (tenant_id, id)` where referred to, and foreign keys that cannot cross tenants."""
    links = sorted(set(_tenant_foreign_keys()))
    for target in sorted({target for _table, _column, target in links}):
        key = _short(f"{target}_tenant_key")
        if not _constraint_exists(cursor, key):
            cursor.execute(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} UNIQUE (tenant_id, id)").format(
                    sql.Identifier(target), sql.Identifier(key)
                )
            )
    for table, column, target in links:
        key = _short(f"{table}_{column}_tenant_fk")
        if not _constraint_exists(cursor, key):
            cursor.execute(
                sql.SQL(
                    "ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY (tenant_id, {}) REFERENCES {} (tenant_id, id)"
                ).format(*(sql.Identifier(part) for part in (table, key, column, target)))
            )


def _grants(cursor: CursorWrapper, prefix: str, tables: list[tuple[str, bool]]) -> None:
    everyone = sql.SQL(", ").join(sql.Identifier(f"{prefix}_{role}") for role in LOGIN_ROLES)
    functions = sql.SQL(", ").join(sql.Identifier(f"{prefix}_{role}") for role in FUNCTION_ROLES)
    cursor.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}, {}").format(everyone, functions))
    cursor.execute(
        sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}").format(everyone)
    )
    cursor.execute(sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(everyone))
    for table in APPEND_ONLY:
        cursor.execute(sql.SQL("REVOKE UPDATE, DELETE ON {} FROM {}").format(sql.Identifier(table), everyone))
    cursor.execute(
        sql.SQL("REVOKE INSERT, UPDATE, DELETE ON django_migrations, tenants_tenant FROM {}, {}").format(
            sql.Identifier(f"{prefix}_app"), sql.Identifier(f"{prefix}_gateway")
        )
    )
    for table in NOT_FOR_GATEWAY:
        cursor.execute(
            sql.SQL("REVOKE ALL ON {} FROM {}").format(
                sql.Identifier(table), sql.Identifier(f"{prefix}_gateway")
            )
        )
    for table, is_partition in tables:
        if is_partition:
            cursor.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(sql.Identifier(table), everyone))


def _no_temporary_tables(cursor: CursorWrapper) -> None:
    """Nobody but the owner makes temporary tables: one could stand in for a table that a pinned function means."""
    cursor.execute("SELECT current_database()")
    [name] = cursor.fetchone()
    cursor.execute(sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def _functions(cursor: CursorWrapper, prefix: str) -> None:
    """Each app's `database.sql`: functions that act before a tenant is known. `$prefix` is the roles' prefix."""
    owners = sql.SQL(", ").join(sql.Identifier(f"{prefix}_{role}") for role in FUNCTION_ROLES)
    # The new owner of a function must be able to create in its schema, for as long as the handing over takes.
    cursor.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(owners))
    for config in apps.get_app_configs():
        script = Path(config.path) / "database.sql"
        if script.is_file():
            cursor.execute(script.read_text().replace("$prefix", prefix))
    cursor.execute(sql.SQL("REVOKE CREATE ON SCHEMA public FROM {}").format(owners))


def provision(cursor: CursorWrapper, *, prefix: str, passwords: dict[str, str]) -> None:
    """Bring roles, row security, composite keys, functions and grants to what they should be. As the owner."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtext('voltyard provision'))")
    create_roles(cursor, prefix, passwords)
    tables = tenant_tables(cursor)
    composite_keys(cursor)
    for table, is_partition in tables:
        _secure_table(cursor, table, is_partition, prefix)
    _grants(cursor, prefix, tables)
    _no_temporary_tables(cursor)
    _functions(cursor, prefix)
