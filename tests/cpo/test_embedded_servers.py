"""The embedded PostgreSQL and Redis: passwords, loopback, recovery."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis as redis_client

from cpo.embedded import ports, programs
from cpo.embedded.places import server_account
from cpo.embedded.postgres import Postgres
from cpo.embedded.redis import Redis
from cpo.embedded.terminal import Progress

pytestmark = pytest.mark.nodb


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    server = Postgres(
        programs=programs.unpack(programs.POSTGRES, Path(os.environ["VOLTYARD_TEST_PROGRAMS"]), Progress()),
        home=Path(os.environ["VOLTYARD_TEST_SERVERS"]) / f"own-{secrets.token_hex(4)}",
        account=server_account(),
        log=tmp_path / "postgres.log",
        password=secrets.token_hex(8),
    )
    server.make(throw_away=True)
    server.start()
    yield server
    server.stop()


def one(url: str, query: str) -> object:
    with psycopg.connect(url, connect_timeout=10) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_the_owner_needs_its_password_and_is_no_superuser(postgres: Postgres) -> None:
    assert one(postgres.url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        one(postgres.url.replace(postgres.password, "wrong"), "SELECT 1")


def test_it_listens_on_loopback_alone_and_has_no_socket_file(postgres: Postgres) -> None:
    _pid, _data, _begun, port, socket_folder, address, *_ = (
        (postgres.data / "postmaster.pid").read_text().split("\n")
    )
    assert (int(port), socket_folder, address) == (postgres.port, "", "127.0.0.1")


def test_its_data_are_closed_to_others_and_it_is_not_root(postgres: Postgres) -> None:
    assert postgres.process is not None
    assert postgres.home.stat().st_mode & 0o077 == 0
    assert Path(f"/proc/{postgres.process.pid}").stat().st_uid == server_account().uid != 0


def test_a_killed_server_starts_again_with_all_committed_rows(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert postgres.process is not None
    postgres.process.send_signal(signal.SIGKILL)
    postgres.process.wait()
    postgres.start(postgres.port)
    assert one(postgres.url, "SELECT answer FROM kept") == 42


def test_a_stale_pid_file_that_names_a_stranger_is_no_hindrance(postgres: Postgres) -> None:
    postgres.stop()
    (postgres.data / "postmaster.pid").write_text(
        f"{os.getpid()}\n{postgres.data}\n1\n1\n\n127.0.0.1\n1 1\nready\n"
    )
    postgres.start()
    assert one(postgres.url, "SELECT 1") == 1


def test_a_port_that_somebody_took_is_passed_over(postgres: Postgres, tmp_path: Path) -> None:
    postgres.stop()
    with socket.socket() as stranger:
        stranger.bind((ports.HOST, 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        (tmp_path / "ports.json").write_text(f'{{"postgres": {taken}}}')
        postgres.start(remembered=ports.Ports(tmp_path / "ports.json"))
    assert postgres.port != taken
    assert one(postgres.url, "SELECT 1") == 1


def test_redis_asks_for_its_password_and_shows_it_nowhere(own_redis: Redis) -> None:
    assert redis_client.Redis.from_url(own_redis.url).ping()
    with pytest.raises(redis_client.AuthenticationError):
        redis_client.Redis(port=own_redis.port).ping()
    assert own_redis.process is not None
    assert own_redis.password.encode() not in Path(f"/proc/{own_redis.process.pid}/cmdline").read_bytes()
