"""The settings that embedded servers imply, as environment variables for the processes of a checkout."""

from __future__ import annotations

import os
from collections.abc import Mapping

from cpo.embedded import keys, lan, ports
from cpo.embedded.places import Places
from cpo.embedded.postgres import DATABASE, OWNER

WEB_PORT, GATEWAY_PORT = 8000, 9000
ROLES = ("web", "gateway", "energy", "worker", "beat")


def settings(
    *, mode: str, secrets: Mapping[str, str], database_url: str, redis_url: str, places: Places
) -> dict[str, str]:
    """Environment of a child: ours, filled up with what is not set there already."""
    implied = {
        "VOLTYARD_MODE": mode,
        "VOLTYARD_DATA_DIR": str(places.data),
        "SECRET_KEY": secrets["secret_key"],
        "ENCRYPTION_KEYS": secrets["encryption_key"],
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DJANGO_SETTINGS_MODULE": "cpo.settings",
        "PYTHONUNBUFFERED": "1",
    }
    ours = {name: value for name, value in os.environ.items() if value or name not in implied}
    return implied | ours | {"VOLTYARD_DATA_DIR": str(places.data)}


def of_checkout(places: Places) -> dict[str, str]:
    """Environment for any other command in a checkout where `up` ran or runs: the same servers, the same secrets."""
    secrets = keys.load(places.data / "secrets.json")
    known = ports.Ports(places.data / "ports.json")
    database = (
        f"postgresql://{OWNER}:{secrets['postgres']}@{ports.HOST}:{known.get('postgres') or 15432}/{DATABASE}"
    )
    redis = f"redis://:{secrets['redis']}@{ports.HOST}:{known.get('redis') or 16379}/0"
    env = settings(mode="demo", secrets=secrets, database_url=database, redis_url=redis, places=places)
    return env | addresses(known, listening_on(places))


def listening_on(places: Places) -> str:
    """Where the portal and the gateway of the newest `up` listen."""
    file = places.data / "host"
    return file.read_text() if file.exists() else ports.HOST


def addresses(known: ports.Ports, host: str = ports.HOST) -> dict[str, str]:
    """How others find a demo that listens on `host`: the addresses, unless the user set them, and the names allowed."""
    shown = lan.reached_at(host)[0]
    hosts = {} if host == ports.HOST else {"ALLOWED_HOSTS": ",".join(lan.allowed_hosts(host))}
    return {
        "PUBLIC_URL": os.environ.get("PUBLIC_URL") or f"http://{shown}:{known.get('web') or WEB_PORT}",
        "GATEWAY_URL": os.environ.get("GATEWAY_URL")
        or f"ws://{shown}:{known.get('gateway') or GATEWAY_PORT}",
    } | ({} if os.environ.get("ALLOWED_HOSTS") else hosts)


def wanted() -> bool:
    """Whether this is a desk without settings of its own; a server has at least one of these."""
    return not any(os.environ.get(name) for name in ("VOLTYARD_MODE", "DATABASE_URL"))
