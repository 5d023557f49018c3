"""`manage.py test`: checks, then pytest, on servers of its own that are gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from types import FrameType

from cpo.embedded import environment, frontend, keys, processes, programs
from cpo.embedded.places import CHECKOUT, Places, places
from cpo.embedded.postgres import Postgres
from cpo.embedded.redis import Redis
from cpo.embedded.run import Run, sweep
from cpo.embedded.terminal import Progress

CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff check", ("-m", "ruff", "check", ".")),
    ("ruff format", ("-m", "ruff", "format", "--check", ".")),
    ("import-linter", ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")),
    ("mypy", ("-m", "mypy", ".")),
    ("migrations", ("manage.py", "makemigrations", "--check", "--dry-run")),
)
HELP = """\
usage: manage.py test [--no-lint] [--long] [pytest's arguments]

Checks (ruff, import-linter, mypy, migrations), then the tests, on a PostgreSQL and a Redis of their own that are gone
afterwards. Runs may go side by side, and beside `up`.

  --no-lint   leave out the checks
  --long      run the tests marked `long` too
  -n 0        in one process, to use a debugger (--pdb does the same)

For example: manage.py test --no-lint tests/billing -k invoice -x"""


def main(args: list[str], progress: Progress) -> int:
    """Exit code: pytest's, or 1 if a check failed. No tests found is a failure too."""
    if {"-h", "--help"} & set(args):
        print(HELP)
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    where = places()
    sweep(where)
    frontend.install(where, progress)
    run = Run(where).open()
    try:
        return _within(run, where, args, progress)
    finally:
        run.close()


class Terminated(KeyboardInterrupt):
    """We were told to end, and pytest does not know yet (of Ctrl-C the terminal tells it too)."""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def _within(run: Run, where: Places, args: list[str], progress: Progress) -> int:
    secrets = keys.fresh()
    postgres = Postgres(
        programs=programs.unpack(programs.POSTGRES, where.servers, progress),
        home=run.servers / "postgres",
        account=where.account,
        log=run.records / "postgres.log",
        password=secrets["postgres"],
    )
    redis = Redis(
        program=programs.unpack(programs.REDIS, where.servers, progress),
        account=where.account,
        log=run.records / "redis.log",
        password=secrets["redis"],
    )
    try:
        with progress.step("Starting a throw-away PostgreSQL and Redis"):
            postgres.make(throw_away=True)
            postgres.start()
            assert postgres.process is not None
            run.ledger.add("postgres", postgres.process.pid)
            redis.start()
            assert redis.process is not None
            run.ledger.add("redis", redis.process.pid)
        env = _environment(run, where, secrets, postgres, redis)
        lint = "--no-lint" not in args
        failed = _failed_checks(env, progress) if lint else []
        code = _pytest([arg for arg in args if arg != "--no-lint"], env, failed)
        return code or (1 if failed else 0)
    finally:
        redis.stop()
        postgres.stop()


def _environment(
    run: Run, where: Places, secrets: Mapping[str, str], postgres: Postgres, redis: Redis
) -> dict[str, str]:
    theirs = (
        "DATABASE_URL",
        "REDIS_URL",
        "SECRET_KEY",
        "ENCRYPTION_KEYS",
        "VOLTYARD_MODE",
        "VOLTYARD_DATA_DIR",
    )
    for name in theirs:  # a developer's settings must not steer the tests, least of all to real data
        os.environ.pop(name, None)
    env = environment.settings(
        mode="test", secrets=secrets, database_url=postgres.url, redis_url=redis.url, places=where
    )
    return env | {
        "FILES_URL": "http://files.test",  # told to stations; tests put a gateway's own address in its place
        "VOLTYARD_TEST_RUN": str(run.records),
        "VOLTYARD_TEST_SERVERS": str(run.servers),
        "VOLTYARD_TEST_PROGRAMS": str(where.servers),
        "VOLTYARD_DATA_DIR": str(run.records),
        "DJANGO_ALLOW_ASYNC_UNSAFE": "1",  # Playwright's loop runs in the thread of the test
        "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
    }


def _failed_checks(env: Mapping[str, str], progress: Progress) -> list[str]:
    """Names of the checks that failed; their output is shown, that of the others is not."""
    failed = []
    for name, command in CHECKS:
        try:
            with progress.step(f"Checking: {name}"):
                _check(command, env)
        except CheckFailed as failure:
            failed.append(name)
            progress.say(str(failure))
    return failed


class CheckFailed(Exception):
    """What a check complained about."""


def _check(command: tuple[str, ...], env: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=CHECKOUT,
        env=dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise CheckFailed(done.stdout)


def _pytest(args: list[str], env: Mapping[str, str], failed: list[str]) -> int:
    """pytest's exit code. Its closing line is the last one of the whole command."""
    command = [sys.executable, "-m", "pytest", *args]
    if not any(arg.startswith(("-n", "--numprocesses", "-p", "--pdb", "--trace")) for arg in args):
        workers = max(3, os.cpu_count() or 1)  # they wait more than they work
        # By files, so that what a file shares is made once; in the order of tests/plugin.py.
        command += ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]
    if failed:
        print(f"The command will end with 1, whatever the tests say: {', '.join(failed)} failed.", flush=True)
    tie = processes.tied_to_parent(signal.SIGTERM)
    child = subprocess.Popen(command, cwd=CHECKOUT, env=dict(env), preexec_fn=tie)
    try:
        return child.wait()
    except KeyboardInterrupt as stop:
        if isinstance(stop, Terminated):
            child.send_signal(signal.SIGINT)
        _wait_or_kill(child)
        return 130


def _wait_or_kill(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(60)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()
