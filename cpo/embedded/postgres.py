"""One PostgreSQL cluster on loopback, with passwords and without any socket file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from cpo.embedded import ports, processes
from cpo.embedded.places import Account
from cpo.embedded.problems import Problem, from_output

OWNER = "voltyard"
DATABASE = "voltyard"
_FIRST_PORT = 15432
_START_TIMEOUT_S = 120  # after a crash it first replays its log
_SETTINGS = """
# Written by Voltyard
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 200
shared_buffers = '128MB'
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %a '
max_wal_size = '512MB'
"""
_THROW_AWAY = """
# A crash of the machine may take this cluster with it; a crash of PostgreSQL alone loses nothing.
fsync = off
full_page_writes = off
autovacuum_naptime = '10min'
"""


class Postgres:
    """A cluster in `home`. `start()` makes it if needed; the process belongs to the calling main thread."""

    def __init__(self, *, programs: Path, home: Path, account: Account, log: Path, password: str) -> None:
        self.bin = programs.parent
        self.home, self.data = home, home / "data"
        self.account, self.log, self.password = account, log, password
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        return f"postgresql://{OWNER}:{self.password}@{ports.HOST}:{self.port}/{database}"

    @property
    def exists(self) -> bool:
        return (self.home / "made").exists()

    def make(self, *, throw_away: bool = False) -> None:
        """Create the cluster, its owner role (no superuser, as on a managed server) and an empty database."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(mode=0o700)
        self.account.own(self.home)
        with tempfile.NamedTemporaryFile("w", dir=self.home) as secret:
            secret.write(self.password + "\n")
            secret.flush()
            self.account.own(Path(secret.name))
            command: list[str | Path] = [self.bin / "initdb", "-D", self.data, "-U", "postgres"]
            command += [
                "--auth=scram-sha-256",
                f"--pwfile={secret.name}",
                "--encoding=UTF8",
                "--no-instructions",
            ]
            command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            self._run([*command, "--no-sync"] if throw_away else command)
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(_SETTINGS + (_THROW_AWAY if throw_away else ""))
        self._create_owner()
        (self.home / "made").touch()

    def start(self, port: int | None = None, *, remembered: ports.Ports | None = None) -> None:
        """Start and wait until it answers. Tries other ports if somebody takes ours first."""
        self._clear_stale_pid()
        for attempt in range(5):
            self.port = self._choose(port, remembered, attempt)
            said = self._launch()
            if said is None:
                return
            if "could not bind" not in said and "Address already in use" not in said:
                break
        raise self._problem(said or "")

    def stop(self, number: int = signal.SIGINT) -> None:
        """End the server: SIGINT is the quick orderly way, SIGQUIT the immediate one (as after a crash)."""
        if self.process:
            processes.stop(self.process, first=number, patience_s=30)
            self.process = None

    def _choose(self, port: int | None, remembered: ports.Ports | None, attempt: int) -> int:
        if port:
            return port
        if remembered:
            return remembered.choose("postgres", _FIRST_PORT + attempt)
        return ports.next_free(_FIRST_PORT + 1000 + os.getpid() % 3000 + attempt)

    def _launch(self) -> str | None:
        """None once the server answers, else what it wrote before it ended."""
        begun = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = processes.spawn(
                [self.bin / "postgres", "-D", self.data, "-p", str(self.port)],
                account=self.account,
                env=self._environment(),
                cwd=self.home if self.account.is_ours else Path("/"),
                output=log,
                death_signal=signal.SIGINT,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return None
            time.sleep(0.02)
        self.stop()
        with self.log.open("rb") as log:
            log.seek(begun)
            return log.read().decode(errors="replace")

    def _answers(self) -> bool:
        assert self.process is not None
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    def _clear_stale_pid(self) -> None:
        """PostgreSQL refuses to start if the id in its pid file now belongs to anybody; ours is surely over."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return
        if not self._is_our_postmaster(pid):
            pid_file.unlink(missing_ok=True)

    def _is_our_postmaster(self, pid: int) -> bool:
        if not processes.start_time(pid):
            return False
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return True  # no /proc: let PostgreSQL judge
        return bytes(self.data) in words

    def _create_owner(self) -> None:
        statements = (
            f"CREATE ROLE {OWNER} LOGIN CREATEDB CREATEROLE PASSWORD '{self.password}'\n"
            f"CREATE DATABASE {DATABASE} OWNER {OWNER}\n"
        )
        self._run(
            [self.bin / "postgres", "--single", "-j", "-D", self.data, "postgres"],
            statements.replace("\n", ";\n\n"),
        )

    def _run(self, command: list[str | Path], text: str = "") -> None:
        drop = (
            {}
            if self.account.is_ours
            else {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        )
        done = subprocess.run(
            [str(part) for part in command],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=self._environment(),
            cwd="/",
            **drop,  # type: ignore[call-overload]
        )
        if done.returncode or "ERROR:" in done.stdout or "FATAL:" in done.stdout:
            raise self._problem(done.stdout)

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    def _problem(self, said: str) -> Problem:
        known = from_output(said, self.home)
        if known:
            return known
        signs = ("FATAL", "PANIC", "ERROR", "error")
        telling = [line for line in said.splitlines() if any(sign in line for sign in signs)]
        last = (telling or said.splitlines() or ["nothing"])[0].strip()
        return Problem(f"PostgreSQL did not start; it said: {last}", f"The whole story is in {self.log}.")
