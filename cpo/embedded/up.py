"""`manage.py up`: the whole product with demo data on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from cpo.embedded import environment, frontend, keys, lan, programs, welcome
from cpo.embedded.locks import FileLock
from cpo.embedded.places import Places, make_private, places
from cpo.embedded.ports import ALL, HOST, Ports, is_free, is_held_by
from cpo.embedded.postgres import Postgres
from cpo.embedded.prepared import Prepared
from cpo.embedded.problems import Problem, from_output, last_words
from cpo.embedded.processes import Ledger
from cpo.embedded.redis import Redis
from cpo.embedded.supervisor import Service, Stopped, Supervisor, logged, rotate
from cpo.embedded.terminal import Progress

_READY_TIMEOUT_S = 120
_FALLS_ALLOWED = 3
_FIRST_PORTS = {"web": environment.WEB_PORT, "gateway": environment.GATEWAY_PORT}
_STAGE_CHARGERS, _STAGE_ROLES, _STAGE_REDIS, _STAGE_POSTGRES = range(4)


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="manage.py up", description=__doc__)
    words.add_argument("--web-port", type=int, help="port of the portal (8000 or the next free one)")
    words.add_argument(
        "--gateway-port", type=int, help="port that stations connect to (9000 or the next free one)"
    )
    words.add_argument(
        "--lan",
        nargs="?",
        const=ALL,
        default=HOST,
        metavar="ADDRESS",
        help="let chargers and phones on the local network in: listen on this address of the machine, or on all",
    )
    words.add_argument("--no-chargers", action="store_true", help="do not start the simulated chargers")
    return words


def main(args: list[str], progress: Progress) -> int:
    """Exit code: 0 after Ctrl-C or SIGTERM."""
    options = parser().parse_args(args)
    if os.environ.get("VOLTYARD_MODE", "demo") != "demo":
        raise Problem(
            f"`up` fills the database with demo data, and VOLTYARD_MODE is {os.environ['VOLTYARD_MODE']!r}.",
            "Unset VOLTYARD_MODE, or start the roles one by one with `manage.py serve` (docs/operations.md).",
        )
    lan.check(options.lan)
    begun = time.monotonic()
    where = places()
    lock = FileLock(where.data / "up.lock")
    if not lock.acquire():
        raise Problem(
            f"Voltyard is already running from this checkout (process {lock.holder()}).",
            f"Use it at {environment.of_checkout(where)['PUBLIC_URL']}, or end it first.",
        )
    try:
        return _Up(where, options, progress).run(begun)
    finally:
        lock.release()


class _Up:
    """The steps of one `up`, in order."""

    def __init__(self, where: Places, options: argparse.Namespace, progress: Progress) -> None:
        self.where, self.options, self.progress = where, options, progress
        self.host: str = options.lan
        self.ledger = Ledger(where.data / "children.json")
        self.supervisor = Supervisor(self.ledger, self._tell)
        self.secrets = keys.load(where.data / "secrets.json")
        self.ports = Ports(where.data / "ports.json")
        self.env: dict[str, str] = {}
        self.fixed: set[str] = set()
        self.prepared = Prepared(None)
        make_private(where.data / "static")  # the web server looks for it at its start

    def run(self, begun: float) -> int:
        self.supervisor.catch_signals()
        self.progress.say(self.progress.bold("Voltyard"))
        try:
            self._clean_up_after_a_killed_run()
            (self.where.data / "host").write_text(self.host)
            self._fix_ports()
            frontend.install(self.where, self.progress)
            self._start_servers()
            self._prepare_database()
            self._open_doors()
            self._start_chargers()
            self._welcome(begun)
            self.supervisor.watch(self._tick())
        except Stopped:
            pass
        finally:
            self._stop()
        return 0

    def _stop(self) -> None:
        if not self.supervisor.services:
            return
        with self.progress.step("Stopping", done="Stopped. The data stay for the next time."):
            self.supervisor.stop_all()

    def _clean_up_after_a_killed_run(self) -> None:
        if self.ledger.path.exists():
            with self.progress.step("Ending what a killed run left behind"):
                self.ledger.end_leftovers()

    def _fix_ports(self) -> None:
        """Ports that the user gave: told now if they are in use, before anything is started."""
        for name in _FIRST_PORTS:
            option, variable = f"--{name}-port", f"VOLTYARD_{name.upper()}_PORT"
            fixed = getattr(self.options, f"{name}_port") or os.environ.get(variable)
            if fixed and not str(fixed).isdigit():
                raise Problem(
                    f"{variable} is {fixed!r}, which is no port number.", "Write a number such as 8000."
                )
            if fixed:
                self.fixed.add(name)
                self.ports.fix(name, int(fixed), option, self.host)

    def _start_servers(self) -> None:
        database_url, redis_url = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", "")
        if not database_url:
            database_url = self._start_postgres()
        if not redis_url:
            redis_url = self._start_redis()
        self.env = environment.settings(
            mode="demo",
            secrets=self.secrets,
            database_url=database_url,
            redis_url=redis_url,
            places=self.where,
        ) | environment.addresses(self.ports, self.host)

    def _start_postgres(self) -> str:
        program = programs.unpack(programs.POSTGRES, self.where.servers, self.progress)
        server = Postgres(
            programs=program,
            home=self.where.servers / "postgres",
            account=self.where.account,
            log=self.where.logs / "postgres.log",
            password=self.secrets["postgres"],
        )
        self.prepared = Prepared(server.home)
        if not server.exists:
            with self.progress.step("Creating the database cluster"):
                server.make()

        def start() -> subprocess.Popen[bytes]:
            # A port that the processes know already must stay; before that it may move.
            server.start(server.port or None, remembered=self.ports)
            assert server.process is not None
            return server.process

        with self.progress.step("Starting PostgreSQL 18"):
            self.supervisor.add(Service("postgres", _STAGE_POSTGRES, start, server.stop))
        return server.url

    def _start_redis(self) -> str:
        program = programs.unpack(programs.REDIS, self.where.servers, self.progress)
        server = Redis(
            program=program,
            account=self.where.account,
            log=self.where.logs / "redis.log",
            password=self.secrets["redis"],
        )

        def start() -> subprocess.Popen[bytes]:
            server.start(server.port or None, remembered=self.ports)
            assert server.process is not None
            return server.process

        with self.progress.step("Starting Redis"):
            self.supervisor.add(Service("redis", _STAGE_REDIS, start, server.stop))
        return server.url

    def _prepare_database(self) -> None:
        if not self.prepared.is_current("database"):
            self._manage("Migrating the database", "migrate", "--database", "owner", "--verbosity", "0")
            self._manage("Setting up roles and row security", "provision")
            self.prepared.note("database")

    def _prepare_demo(self) -> None:
        addresses = (self.env["PUBLIC_URL"], self.env["GATEWAY_URL"])
        if not self.prepared.is_current("demo", *addresses) or not (self.where.data / "demo.json").exists():
            self._manage("Creating the demo operators", "demo")
            self.prepared.note("demo", *addresses)

    def _manage(self, title: str, *command: str) -> None:
        with self.progress.step(title):
            done = subprocess.run(
                [sys.executable, "manage.py", *command, "--skip-checks"],
                cwd=self.where.checkout,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                umask=0o077,  # demo.json holds passwords
            )
            log = self.where.logs / "setup.log"
            with log.open("a") as file:
                file.write(done.stdout)
            if done.returncode:
                raise from_output(done.stdout, self.where.data) or Problem(
                    f"`manage.py {command[0]}` failed; it said: {last_words(done.stdout)}",
                    f"The whole story is in {log}.",
                )

    def _open_doors(self) -> None:
        """Start the roles on free ports; on others if somebody takes one before we do."""
        for _attempt in range(5):
            for name, first in _FIRST_PORTS.items():
                if name not in self.fixed:
                    self.ports.choose(name, first, self.host)
            self.env |= environment.addresses(self.ports, self.host)
            self._prepare_demo()
            with self.progress.step("Starting web, gateway, energy, worker and beat"):
                roles = [self._serve(name) for name in environment.ROLES]
                if all(self._wait_ready(role) for role in roles if role.name in _FIRST_PORTS):
                    return
                self.supervisor.drop(roles)
        raise Problem(
            "Other programs took every port that was tried.", "Run the command again with --web-port."
        )

    def _start_chargers(self) -> None:
        if not self.options.no_chargers:
            with self.progress.step("Starting the simulated chargers"):
                stations = str(self.where.data / "demo.json")
                # Chargers stay on while the platform is away; that they booted each time would look like a fault.
                before = ["--came-before"] if self.prepared.is_current("chargers") else []
                self._keep(
                    "chargers", _STAGE_CHARGERS, "simulate", "--demo", stations, *before, patience_s=10
                )
                self.prepared.note("chargers")

    def _serve(self, name: str) -> Service:
        door = ["--host", self.host, "--port", str(self.ports.get(name))] if name in _FIRST_PORTS else []
        return self._keep(name, _STAGE_ROLES, "serve", name, *door)

    def _keep(self, name: str, stage: int, *command: str, patience_s: float = 15) -> Service:
        words = [sys.executable, "manage.py", *command]
        log = self.where.logs / f"{name}.log"
        service = Service(name, stage, lambda: logged(words, log, self.env, self.where.checkout))
        service.patience_s = patience_s
        self.supervisor.add(service)
        return service

    def _wait_ready(self, role: Service) -> bool:
        """True when it serves; False if its port was taken by another program meanwhile."""
        port = self.ports.get(role.name) or 0
        near = lan.reached_at(self.host)[-1]  # loopback where it listens there too
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while True:
            ours = role.process is not None and is_held_by(role.process.pid, port, self.host)
            if ours and _is_ready(f"http://{near}:{port}/health/ready"):
                return True
            if not ours and role.falls and not is_free(port, self.host) and role.name not in self.fixed:
                return False
            if time.monotonic() > deadline:
                log = self.where.logs / f"{role.name}.log"
                raise Problem(f"The {role.name} process did not get ready.", f"Its log is {log}.")
            self.supervisor.revive()
            self._give_up_on_the_falling()
            time.sleep(0.1)

    def _give_up_on_the_falling(self) -> None:
        for service in self.supervisor.services:
            if service.falls >= _FALLS_ALLOWED:
                log = self.where.logs / f"{service.name}.log"
                last = last_words(log.read_text(errors="replace"))
                raise Problem(
                    f"The {service.name} process ended {service.falls} times; its last words: {last}",
                    f"The whole story is in {log}.",
                )

    def _welcome(self, begun: float) -> None:
        seconds = time.monotonic() - begun
        also = [f"http://{one}:{self.ports.get('web')}" for one in lan.reached_at(self.host)[1:]]
        for line in welcome.lines(
            self.where, self._addresses(), seconds, self.progress, also=also, is_open=lan.is_open(self.host)
        ):
            self.progress.say(line)

    def _addresses(self) -> Mapping[str, str]:
        return {"web": self.env["PUBLIC_URL"], "gateway": self.env["GATEWAY_URL"]}

    def _tick(self) -> _Tick:
        return _Tick(self.where.logs)

    def _tell(self, text: str) -> None:
        self.progress.say(f"{time.strftime('%H:%M:%S')}  {text}")


class _Tick:
    """Looks at the size of the logs now and then."""

    def __init__(self, logs: Path) -> None:
        self._logs, self._turn = logs, 0

    def __call__(self) -> None:
        self._turn += 1
        if self._turn % 50 == 0:
            rotate(self._logs)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
