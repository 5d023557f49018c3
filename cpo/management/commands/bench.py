"""`manage.py bench`: measure the product on a PostgreSQL and a Redis of its own, gone afterwards."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cpo.embedded import environment, keys, ports, programs
from cpo.embedded.places import CHECKOUT, Places, places
from cpo.embedded.postgres import Postgres
from cpo.embedded.redis import Redis
from cpo.embedded.run import Run, sweep
from cpo.embedded.terminal import Progress

# The limits on one station's frames and one key's requests would be what is measured: a bench station talks like a
# hundred.
UNLIMITED = {
    "OCPP_FRAMES_PER_SECOND": "1000000",
    "OCPP_FRAME_BURST": "1000000",
    "API_REQUESTS_PER_MINUTE": "0",
    "LOG_LEVEL": "WARNING",
}

ROLES = ("gateway", "web", "energy")
MODULES = {"gateway": "bench.gateway", "commands": "bench.commands", "energy": "bench.energy.latency"}

# Settings of the caller must not steer the bench, least of all to real data.
THEIRS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "VOLTYARD_MODE", "VOLTYARD_DATA_DIR")


def cut(argv: list[str]) -> tuple[list[str], list[str]]:
    """What stands before -- and after it. argparse itself takes the latter only where no option stands before."""
    end = argv.index("--") if "--" in argv else len(argv)
    return argv[:end], argv[end + 1 :]


class Command(BaseCommand):
    help = (
        "Measure the gateway beside a bare echo server (calls/s, CPU, latency, memory, return after a drop), "
        "how long a command takes from REST to the station's socket, or how long a reading of a site's meter takes "
        "until its cars are lowered. What stands after -- goes to `python -m bench.gateway`, `bench.commands` or "
        "`bench.energy.latency`."
    )
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        ours, self.rest = cut(argv)
        super().run_from_argv(ours)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("what", choices=tuple(MODULES), help="what to measure")
        parser.add_argument("--quick", action="store_true", help="a look, not a measurement")
        parser.add_argument("--known", type=int, default=5000, help="stations in the database")
        parser.add_argument("--sites", type=int, default=1, help="of `energy`: with two stations each")

    def handle(self, *args: Any, **options: Any) -> None:
        where, progress = places(), Progress()
        sweep(where)
        run = Run(where).open()
        try:
            code = _Bench(run, where, progress).measure(options, self.rest)
        finally:
            run.close()
        if code:
            raise SystemExit(code)


class _Bench:
    """Servers, database and the generator of one run."""

    def __init__(self, run: Run, where: Places, progress: Progress) -> None:
        self.run, self.where, self.progress = run, where, progress
        self.secrets = keys.fresh()
        self.postgres = Postgres(
            programs=programs.unpack(programs.POSTGRES, where.servers, progress),
            home=run.servers / "postgres",
            account=where.account,
            log=run.records / "postgres.log",
            password=self.secrets["postgres"],
        )
        self.redis = Redis(
            program=programs.unpack(programs.REDIS, where.servers, progress),
            account=where.account,
            log=run.records / "redis.log",
            password=self.secrets["redis"],
        )

    def measure(self, options: dict[str, Any], rest: list[str]) -> int:
        try:
            with self.progress.step("Starting PostgreSQL (with fsync) and Redis"):
                self.postgres.make()
                self.postgres.start()
                self.redis.start()
            env = self._environment()
            with self.progress.step("Preparing the database"):
                self._manage(env, "migrate", "--database", "owner", "--verbosity", "0")
                self._manage(env, "provision", "--verbosity", "0")
                known = 500 if options["quick"] else options["known"]
                sites = options["sites"] if options["what"] == "energy" else 0
                setup = ["bench_setup", str(2 * sites or known), "--sites", str(sites)]
                stations = json.loads(self._manage(env, *setup).splitlines()[-1])
            target = self._write_target(env, stations)
            what = [MODULES[options["what"]], *(["--quick"] if options["quick"] else []), *rest]
            return self._generate(env, target, what)
        finally:
            self.redis.stop()
            self.postgres.stop()

    def _environment(self) -> dict[str, str]:
        for name in THEIRS:
            os.environ.pop(name, None)
        env = environment.settings(
            mode="test",
            secrets=self.secrets,
            database_url=self.postgres.url,
            redis_url=self.redis.url,
            places=self.where,
        )
        return env | UNLIMITED | {"VOLTYARD_DATA_DIR": str(self.run.records)}

    def _manage(self, env: dict[str, str], *command: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *command], cwd=CHECKOUT, env=env, capture_output=True, text=True
        )
        if done.returncode:
            raise CommandError(f"`manage.py {command[0]}` failed; it said:\n{done.stderr[-3000:]}")
        return done.stdout

    def _write_target(self, env: dict[str, str], stations: dict[str, Any]) -> Path:
        """How to start the roles, and whose CPU to count, for a generator that knows nothing of the product."""
        assert self.postgres.process is not None and self.redis.process is not None
        setup = stations | {role: self._role(env, role) for role in ROLES}
        setup |= {"cwd": str(CHECKOUT), "pids": {"database": self.postgres.process.pid}}
        setup["redis"] = self.redis.process.pid  # apart: it has no part in the cost of a call
        target = self.run.records / "bench.json"
        target.touch(mode=0o600)
        target.write_text(json.dumps(setup))
        return target

    def _role(self, env: dict[str, str], role: str) -> dict[str, Any]:
        port = ports.any_free()
        door = [] if role == "energy" else ["--port", str(port)]
        return {
            "command": [sys.executable, "manage.py", "serve", role, *door],
            "env": env | {"VOLTYARD_PROCESS": role},
            "port": port,
            "log": str(self._log(role)),
        }

    def _log(self, role: str) -> Path:
        return self.run.records / f"{role}.log"

    def _generate(self, env: dict[str, str], target: Path, what: list[str]) -> int:
        module, *options = what
        command = [sys.executable, "-m", module, "--target", str(target), *options]
        code = subprocess.run(command, cwd=CHECKOUT, env=env).returncode
        for role in ROLES:
            log = self._log(role)
            if log.exists() and (said := log.read_text(errors="replace").strip()):
                self.progress.say(f"The log of {role}, its last lines:\n{said[-2000:]}")
        return code
