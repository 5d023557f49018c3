"""Settings that are fine on a desk and dangerous in front of customers are refused outside demo mode."""

from __future__ import annotations

from collections.abc import Iterator

from cpo import env

MODES = ("demo", "test", "production")
DEMO_SECRET = "demo-only-secret-key-never-use-it-in-front-of-customers"


def _problems() -> Iterator[str]:
    if env.read("DEBUG"):
        yield "DEBUG is on: error pages would show code and data to strangers. Remove DEBUG."
    secret = env.read("SECRET_KEY")
    if len(secret) < 40 or secret == DEMO_SECRET:
        yield "SECRET_KEY is missing, short or the demo one. Set 40 or more random characters."
    if not env.read("ENCRYPTION_KEYS"):
        yield (
            "ENCRYPTION_KEYS is empty: stored partner secrets would be unprotected. "
            "Make one with `manage.py generate_key`."
        )
    if not env.read("ALLOWED_HOSTS") or "*" in env.read("ALLOWED_HOSTS"):
        yield "ALLOWED_HOSTS must list the portal's host names."
    if not env.read("PUBLIC_URL").startswith("https://"):
        yield "PUBLIC_URL must start with https://: put a TLS proxy in front of the portal (docs/operations.md)."
    if not env.read("GATEWAY_URL").startswith("wss://"):
        yield "GATEWAY_URL must start with wss://: station passwords must not travel in clear text."
    if not env.read("DATABASE_URL"):
        yield "DATABASE_URL is missing: give the address of a PostgreSQL 18 or newer server."
    if not env.read("REDIS_URL"):
        yield "REDIS_URL is missing: give the address of a Redis server."


def refuse_unsafe(mode: str) -> None:
    """Raise SettingError naming every unsafe setting at once. Demo and test modes accept them."""
    if mode not in MODES:
        raise env.SettingError(f"VOLTYARD_MODE is {mode!r}; use one of {', '.join(MODES)}.")
    if mode != "production":
        return
    problems = list(_problems())
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise env.SettingError(
            f"Voltyard refuses to run in production with these settings:\n{lines}\n"
            "To look around on one machine, run `python3 manage.py up`."
        )
