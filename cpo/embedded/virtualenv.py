"""The project's own virtual environment, made and kept in step with the lock by whoever starts first."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from cpo.embedded import locks, pip
from cpo.embedded.places import CHECKOUT
from cpo.embedded.problems import Problem
from cpo.embedded.terminal import Progress

VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = CHECKOUT / "requirements.txt"
_STAMP = VENV / "voltyard-lock.sha256"
_BUSY = VENV / "voltyard-installing"


def digest(*files: Path) -> str:
    together = hashlib.sha256()
    for file in files:
        together.update(file.read_bytes())
    return together.hexdigest()


def enter(argv: list[str], progress: Progress) -> None:
    """Return if we run in the environment and it is complete; else complete it and start again inside it."""
    if not _is_complete():
        _complete(progress)
    if not _is_inside():
        os.environ["VIRTUAL_ENV"] = str(VENV)
        os.execv(PYTHON, [str(PYTHON), str(CHECKOUT / "manage.py"), *argv[1:]])


def _is_inside() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def _is_complete() -> bool:
    try:
        return _STAMP.read_text() == digest(LOCK) and PYTHON.exists()
    except OSError:
        return False


def _complete(progress: Progress) -> None:
    if not os.access(CHECKOUT, os.W_OK):
        raise Problem(
            f"The checkout {CHECKOUT} cannot be written by this user.",
            "Run the command as its owner, or clone it into a folder of your own.",
        )
    lock = locks.FileLock(CHECKOUT / ".venv.lock")
    if not lock.acquire():
        with progress.step("Waiting for another command that installs"):
            lock.acquire(wait=True)
    try:
        if not _is_complete():
            _make(progress)
            _install(progress)
    finally:
        lock.release()


def _make(progress: Progress) -> None:
    """A working environment with pip; an unfinished or broken one is made anew."""
    if not _BUSY.exists() and _works([PYTHON, "-m", "pip", "--version"]):
        return
    with progress.step("Making the virtual environment"):
        shutil.rmtree(VENV, ignore_errors=True)
        base = getattr(sys, "_base_executable", sys.executable)
        if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
            made = _run([base, "-m", "venv", VENV])
        elif _works([base, "-m", "virtualenv", "--version"]):
            made = _run([base, "-m", "virtualenv", VENV])
        else:
            raise _no_venv()
        if made.returncode or not _works([PYTHON, "-m", "pip", "--version"]):
            shutil.rmtree(VENV, ignore_errors=True)
            raise pip.problem(made.stdout, VENV) or _no_venv()


def _no_venv() -> Problem:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return Problem(
        "This Python cannot make virtual environments: its parts venv and ensurepip are missing.",
        f"Install them (on Debian and Ubuntu `apt install {version}-venv`) and run the command again.",
    )


def _install(progress: Progress) -> None:
    with progress.step("Installing the locked requirements"):
        _BUSY.touch()
        pip.run(
            [PYTHON, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "-r", LOCK],
            where=VENV,
            progress=progress,
        )
        _STAMP.write_text(digest(LOCK))
        _BUSY.unlink()


def _run(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _works(command: list[str | Path]) -> bool:
    try:
        return _run(command).returncode == 0
    except OSError:
        return False
