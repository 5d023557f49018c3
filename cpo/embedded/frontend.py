"""The front-end packages in `frontend/node_modules`, by npm: the machine's own, or one unpacked from a wheel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from cpo.embedded import locks, processes, programs, virtualenv
from cpo.embedded.places import CHECKOUT, Places
from cpo.embedded.problems import Problem, from_output
from cpo.embedded.terminal import Progress

FOLDER = CHECKOUT / "frontend"
LOCK = FOLDER / "package-lock.json"
_STAMP = FOLDER / "node_modules" / ".voltyard-lock.sha256"
_NO_NETWORK = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET", "network")


def install(where: Places, progress: Progress) -> None:
    """`npm ci`, if the lock changed since the last time."""
    if not LOCK.exists() or _is_installed():
        return
    lock = locks.FileLock(CHECKOUT / ".venv.lock")
    lock.acquire(wait=True)
    try:
        if not _is_installed():
            npm = _npm(where, progress)
            with progress.step("Installing the front-end packages"):
                shutil.rmtree(
                    FOLDER / "node_modules", ignore_errors=True
                )  # npm stumbles over a half-made one
                _npm_ci(npm)
                _STAMP.write_text(virtualenv.digest(LOCK))
    finally:
        lock.release()


def _is_installed() -> bool:
    try:
        return _STAMP.read_text() == virtualenv.digest(LOCK)
    except OSError:
        return False


def _npm(where: Places, progress: Progress) -> list[str]:
    """How to call npm."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    node = programs.unpack(programs.NODE, where.servers, progress)
    return [str(node), str(node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _npm_ci(npm: list[str]) -> None:
    path = os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", "/usr/bin:/bin")])
    done = subprocess.run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=FOLDER,
        env={**os.environ, "PATH": path, "CI": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=processes.tied_to_parent(signal.SIGTERM),
    )
    if done.returncode:
        raise _problem(done.stdout)


def _problem(said: str) -> Problem:
    if "ENOSPC" in said:
        said += "No space left on device"
    if "EINTEGRITY" in said:
        return Problem(
            "A front-end package that arrived is not the one that was locked (its hash differs).",
            "Check the registry or mirror that npm is set up to use (`npm config get registry`).",
        )
    if any(sign in said for sign in _NO_NETWORK):
        return Problem(
            "The npm registry could not be reached.",
            "Check the network, the proxy and npm's settings (`npm config list`), and run the command again.",
        )
    last = next((line for line in said.splitlines() if "error" in line.lower()), "nothing")
    return from_output(said, FOLDER) or Problem(
        f"npm could not install the front-end packages; it said: {last.strip()}.",
        "Mend that and run the command again.",
    )
