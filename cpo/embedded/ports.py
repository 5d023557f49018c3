"""Ports, on loopback unless said otherwise: chosen free once, then remembered."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from cpo.embedded.problems import Problem

HOST = "127.0.0.1"
ALL = "0.0.0.0"  # every interface


def is_free(port: int, host: str = HOST) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def is_held_by(pid: int, port: int, host: str = HOST) -> bool:
    """Whether it is this process that listens on the port, and no stranger. Always true where there is no /proc."""
    try:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return True
    wanted = f"{socket.inet_aton(host)[::-1].hex().upper()}:{port:04X}"
    rows = [line.split() for line in lines]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1] == wanted and row[3] == "0A"}
    return any(link in sockets for link in _open_files(pid))


def _open_files(pid: int) -> Iterator[str]:
    folder = Path(f"/proc/{pid}/fd")
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            with contextlib.suppress(OSError):
                yield os.readlink(file)


def next_free(first: int, taken: frozenset[int] = frozenset(), host: str = HOST) -> int:
    for port in range(first, min(first + 2000, 65536)):
        if port not in taken and is_free(port, host):
            return port
    raise Problem(
        f"No port from {first} to {first + 1999} is free.", "End some programs and run the command again."
    )


def any_free() -> int:
    """A port that is free now, for a run that is soon over."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Ports:
    """The ports of one checkout. A port of our choice moves when somebody else took it; one given by the user never."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._known: dict[str, int] = {k: int(v) for k, v in json.loads(path.read_text()).items()}
        except (OSError, ValueError, AttributeError):
            self._known = {}

    def get(self, name: str) -> int | None:
        return self._known.get(name)

    def choose(self, name: str, first: int, host: str = HOST) -> int:
        """The remembered port if it is still free, else the next free one from `first`."""
        known = self._known.get(name)
        if known is None or not is_free(known, host):
            others = frozenset(port for other, port in self._known.items() if other != name)
            self._known[name] = next_free(first, others, host)
            self._save()
        return self._known[name]

    def fix(self, name: str, port: int, option: str, host: str = HOST) -> int:
        """The port the user asked for, or a sentence that it is in use."""
        if not 0 < port < 65536:
            raise Problem(f"{port} is no port number.", f"Give {option} a number from 1 to 65535.")
        if port < 1024 and os.geteuid() != 0:
            raise Problem(f"Only root may use port {port}.", f"Give {option} a number of 1024 or more.")
        if not is_free(port, host):
            raise Problem(
                f"Port {port} on {host} is in use by another program.",
                f"End that program, or give {option} another port, or leave it out and a free one is chosen.",
            )
        self._known[name] = port
        self._save()
        return port

    def _save(self) -> None:
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(self._known, indent=1))
        draft.replace(self.path)
