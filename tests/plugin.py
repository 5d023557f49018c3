"""pytest plugin, loaded before Django's settings: each worker gets a database of its own.

`manage.py test` has started PostgreSQL and Redis and put their addresses into the environment. The first worker that
needs it makes the template database (migrate, provision); each worker works on a copy.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings

CHECKOUT = Path(__file__).resolve().parent.parent
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
pytest_plugins = ("tests.servers", "tests.chromium")
_LOCK_KEY = 5_370_001
_IN_A_LOOP = "DJANGO_ALLOW_ASYNC_UNSAFE"


def _url_of(database: str) -> str:
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}").geturl()


if "VOLTYARD_TEST_RUN" in os.environ:
    # Here and not in a hook: pytest-django reads the settings before any hook of ours could run.
    os.environ["DATABASE_URL"] = _url_of(f"test_{WORKER}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked `long` too")


def pytest_configure(config: pytest.Config) -> None:
    if "VOLTYARD_TEST_RUN" not in os.environ:
        raise pytest.UsageError("Run the tests by `python3 manage.py test`: it starts the servers they need.")
    # Each test client would look through all static files, for 60 ms; the roles under test serve them as ever.
    settings.WHITENOISE_USE_FINDERS = False


# A worker takes file after file: those that take minutes come first, lest one begin when all else is over.
_FIRST = (
    "portal/test_browser.py", "walks/test_strangers.py", "walks/test_roles.py", "cpo/test_up.py",
    "stations/ocpp/test_fuzz.py", "oca/test_orders.py", "stations/ocpp/test_kills.py",
)  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    place = {str(CHECKOUT / "tests" / name): number for number, name in enumerate(_FIRST)}
    items.sort(key=lambda item: place.get(str(item.path), len(place)))
    if config.getoption("--long"):
        return
    kept = [item for item in items if not item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
    items[:] = kept


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """A test with a loop of its own asks the database through a thread that gives its connection back; one taken
    inside the loop would be lost with it. (With Playwright, whose loop runs in the thread of the test, it is not.)"""
    if pyfuncitem.get_closest_marker("asyncio") is None:
        return (yield)
    allowed = os.environ.pop(_IN_A_LOOP)
    try:
        return (yield)
    finally:
        os.environ[_IN_A_LOOP] = allowed


@pytest.fixture(scope="session")
def worker_database(django_test_environment: None, django_db_blocker: Any) -> Any:
    """This worker's database, migrated and provisioned; opens Django's access to it for the session."""
    _copy_template(f"test_{WORKER}")
    with django_db_blocker.unblock():
        yield os.environ["DATABASE_URL"]
        _close_connections()


@pytest.fixture(autouse=True)
def _database(request: pytest.FixtureRequest) -> None:
    """Every test really commits to the worker's database, unless it is marked `nodb`."""
    if not request.node.get_closest_marker("nodb"):
        request.getfixturevalue("worker_database")


def _copy_template(name: str) -> None:
    import psycopg

    with psycopg.connect(_url_of("voltyard"), autocommit=True) as owner:
        owner.execute("select pg_advisory_lock(%s)", [_LOCK_KEY])
        if not owner.execute("select 1 from pg_database where datname = 'template_voltyard'").fetchone():
            owner.execute("drop database if exists draft_voltyard with (force)")
            owner.execute("create database draft_voltyard")
            prepare(_url_of("draft_voltyard"))
            owner.execute("alter database draft_voltyard rename to template_voltyard")
        owner.execute(f'create database "{name}" template template_voltyard')
        owner.execute(f'revoke temporary on database "{name}" from public')  # a copy has none of its grants


_PREPARE = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", database="owner", verbosity=0, skip_checks=True)
call_command("provision", verbosity=0, skip_checks=True)
"""


def prepare(url: str) -> None:
    """Migrate and provision another database, in one process for speed. What it said if it fails."""
    done = subprocess.run(
        [sys.executable, "-c", _PREPARE],
        cwd=CHECKOUT,
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        pytest.fail(f"The tests' database could not be prepared:\n{done.stdout[-4000:]}", pytrace=False)


def _close_connections() -> None:
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        connection.close()
        if connection.settings_dict["OPTIONS"].get("pool"):
            connection.close_pool()  # type: ignore[attr-defined]
