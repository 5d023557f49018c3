"""`manage.py bench`: measure the OCPP gateway on a PostgreSQL and a Redis of its own, gone afterwards."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cpo.embedded import environment, keys, ports, programs
from cpo.embedded.places import CHECKOUT, Places, places
from cpo.embedded.postgres import Postgres
from cpo.embedded.redis import Redis
from cpo.embedded.run import Run, sweep
from cpo.embedded.terminal import Progress

# The limit on one station's frames would be what is measured: a bench station talks like a hundred.
UNLIMITED = {"OCPP_FRAMES_PER_SECOND": "1000000", "OCPP_FRAME_BURST": "1000000", "LOG_LEVEL": "WARNING"}

# Settings of the caller must not steer the bench, least of all to real data.
THEIRS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "VOLTYARD_MODE", "VOLTYARD_DATA_DIR")


class Command(BaseCommand):
    help = (
        "Measure the gateway beside a bare echo server: calls/s, CPU, latency, memory, return after a drop."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("what", choices=("gateway",), help="what to measure")
        parser.add_argument("--quick", action="store_true", help="a look of a minute, not a measurement")
        parser.add_argument("--known", type=int, default=5000, help="stations in the database")
        parser.add_argument("rest", nargs="*", help="further options of `python -m bench.gateway`, after --")

    def handle(self, *args: Any, **options: Any) -> None:
        where, progress = places(), Progress()
        sweep(where)
        run = Run(where).open()
        try:
            code = _Bench(run, where, progress).measure(options)
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

    def measure(self, options: dict[str, Any]) -> int:
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
                stations = json.loads(self._manage(env, "bench_setup", str(known)).splitlines()[-1])
            return self._generate(env, stations, options)
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

    def _generate(self, env: dict[str, str], stations: dict[str, Any], options: dict[str, Any]) -> int:
        assert self.postgres.process is not None
        port = ports.any_free()
        log = self.run.records / "gateway.log"
        setup = stations | {
            "command": [sys.executable, "manage.py", "serve", "gateway", "--port", str(port)],
            "cwd": str(CHECKOUT),
            "env": env | {"VOLTYARD_PROCESS": "gateway"},
            "port": port,
            "pids": {"database": self.postgres.process.pid},
            "log": str(log),
        }
        target = self.run.records / "bench.json"
        target.touch(mode=0o600)
        target.write_text(json.dumps(setup))
        command = [sys.executable, "-m", "bench.gateway", "--target", str(target), *options["rest"]]
        code = subprocess.run(
            [*command, "--quick"] if options["quick"] else command, cwd=CHECKOUT, env=env
        ).returncode
        if log.exists() and (said := log.read_text(errors="replace").strip()):
            self.progress.say(f"The gateway's log, its last lines:\n{said[-2000:]}")
        return code
