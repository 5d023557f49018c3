"""Child processes that never outlive us, and the ones that a killed run left behind.

Each child runs in a session of its own, so that Ctrl-C reaches us alone and we choose the order of the stop. It asks
the kernel to be told when we die (Linux); everywhere its process id and start time are written down, so that the
next start can end it without hitting a stranger who got the same id.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from cpo.embedded.places import Account

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def start_time(pid: int) -> str:
    """When a process began, in a form that tells it from another with the same id; empty if it is gone."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return ""
        fields = stat.rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()


def tied_to_parent(death_signal: int) -> Callable[[], None] | None:
    """What a child runs before its program: ask for `death_signal` when its parent's thread ends."""
    if _LIBC is None:
        return None
    prctl, parent = _LIBC.prctl, os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # we died before the line above
            os._exit(1)

    return tie


def spawn(
    command: Sequence[str | Path],
    *,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: IO[Any] | int | None = None,
    stdin: IO[Any] | int | None = subprocess.DEVNULL,
    death_signal: int = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a child of the calling thread, which must be the main one: the child ends when that thread does.

    By SIGKILL unless told otherwise: with us, the servers go too, and there is nothing to drain into.
    """
    drop: dict[str, Any] = {}
    if account is not None and not account.is_ours:
        drop = {"user": account.uid, "group": account.gid, "extra_groups": []}
    return subprocess.Popen(
        [str(part) for part in command],
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=True,
        umask=0o077,  # what servers and roles write may hold secrets
        preexec_fn=tied_to_parent(death_signal),
        **drop,
    )


def signal_group(pid: int, number: int) -> None:
    """Signal a child and everything it started in its session's process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def stop(child: subprocess.Popen[bytes], *, first: int = signal.SIGTERM, patience_s: float = 15) -> None:
    """Ask a child to end, wait, then end it and its group by force."""
    if child.poll() is None:
        child.send_signal(first)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience_s)
    signal_group(child.pid, signal.SIGKILL)
    child.wait()


class Ledger:
    """The children of one run, on disk, for the run after a crash."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, tuple[int, str]] = {}

    def add(self, name: str, pid: int) -> None:
        self._rows[name] = (pid, start_time(pid))
        self._write()

    def remove(self, name: str) -> None:
        if self._rows.pop(name, None):
            self._write()

    def close(self) -> None:
        self.path.unlink(missing_ok=True)

    def end_leftovers(self, patience_s: float = 10) -> list[str]:
        """End the children that an earlier run left; their names. The caller holds that run's lock."""
        left = {name: row for name, row in self._read().items() if _is_same(*row)}
        for pid, _ in left.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT if _is_postgres(pid) else signal.SIGTERM)
        deadline = time.monotonic() + patience_s
        while any(_is_same(*row) for row in left.values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid, started in left.values():
            if _is_same(pid, started):
                signal_group(pid, signal.SIGKILL)
        self.close()
        return sorted(left)

    def _read(self) -> dict[str, tuple[int, str]]:
        try:
            rows = json.loads(self.path.read_text())
            return {str(name): (int(pid), str(started)) for name, (pid, started) in rows.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write(self) -> None:
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(self._rows))
        draft.replace(self.path)


def _is_same(pid: int, started: str) -> bool:
    return bool(started) and start_time(pid) == started


def _is_postgres(pid: int) -> bool:
    """PostgreSQL's word for a quick, orderly end is SIGINT; SIGTERM waits for all clients."""
    try:
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return False
