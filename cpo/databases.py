"""One PostgreSQL database, seen through roles: DATABASE_URL is the owner's, the others derive from it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cpo import env

ROLES = ("app", "gateway", "platform")
# A server that vanishes without a word must be noticed in seconds: TCP by itself waits a quarter of an hour and more.
NETWORK: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# Most connections that a process may hold, at least: a gateway one for each verb that stations ask for at a time, and
# five for commands and liveness. Verbs that nobody asks for give theirs back (stations.ocpp.writer).
LEAST = {"gateway": 48}
# One plan for a prepared statement, whatever its arguments: to plan costs a batch as much as to do it.
PLANS = "-c plan_cache_mode=force_generic_plan"
# psycopg prepares what says `prepare=True` (tenants.rows), however often the ORM says something else.
ONLY_WHEN_ASKED = 2**31 - 1


def role_name(role: str) -> str:
    return f"{env.read('DATABASE_ROLE_PREFIX')}_{role}"


def derived_password(role: str) -> str:
    """Password of a role that has no address of its own: 43 characters, bound to SECRET_KEY."""
    key = env.read("SECRET_KEY").encode()
    return hmac.new(key, f"voltyard database role {role}".encode(), hashlib.sha256).hexdigest()[:43]


def parse(url: str) -> dict[str, Any]:
    """Django's database settings from a postgresql:// address. SettingError if it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise env.SettingError("DATABASE_URL must look like postgresql://owner:password@host:port/name.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
        "TEST": {"NAME": unquote(parts.path.lstrip("/"))},
    }


def _role(owner: dict[str, Any], role: str) -> dict[str, Any]:
    own_url = env.read(f"DATABASE_URL_{role.upper()}")
    if own_url:
        return parse(own_url)
    return owner | {
        "USER": role_name(role),
        "PASSWORD": derived_password(role),
        "OPTIONS": dict(owner["OPTIONS"]),
    }


def _pooled(database: dict[str, Any], process: str) -> dict[str, Any]:
    size = max(env.read("DATABASE_POOL_SIZE"), LEAST.get(process, 1))
    database["CONN_HEALTH_CHECKS"] = True  # after a restart of PostgreSQL the pool holds dead connections
    database["OPTIONS"] = NETWORK | database["OPTIONS"]
    database["OPTIONS"] |= {
        "application_name": f"voltyard-{process}",
        "prepare_threshold": ONLY_WHEN_ASKED,
        "options": PLANS if process == "gateway" else "",
        "pool": {"min_size": 0, "max_size": size, "timeout": 10, "max_idle": 60},
    }
    return database


def databases(process: str) -> dict[str, Any]:
    """`default` acts as the application (in the gateway: as the gateway), `platform` as the admin, `owner` migrates."""
    url = env.read("DATABASE_URL")
    if not url:
        return {}
    owner = parse(url)
    own_role = "gateway" if process == "gateway" else "app"
    return {
        "default": _pooled(_role(owner, own_role), process),
        "platform": _pooled(_role(owner, "platform"), process),
        "owner": owner,
    }


class Router:
    """Migrations run as the owner alone; the admin's requests act as the platform role."""

    def db_for_read(self, model: type, **hints: Any) -> str | None:
        from tenants.context import current_alias

        return current_alias()

    db_for_write = db_for_read

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True  # aliases are roles upon the same database

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "owner"
