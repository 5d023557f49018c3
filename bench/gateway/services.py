"""The processes under test: roles as the product starts them, and the echo server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bench import processes


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Service:
    """A server process. `pin` is the core it may run on, where the machine has two or more."""

    name: str
    command: list[str]
    port: int
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = field(default_factory=Path.cwd)
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def of(cls, name: str, how: Mapping[str, Any], cwd: Path) -> Service:
        """As the file that `manage.py bench` writes describes it."""
        return cls(name, how["command"], how["port"], how["env"], cwd, Path(how["log"]))

    def start(self, timeout: float = 60, *, ready: bool = True) -> None:
        """`ready`: wait until it listens."""
        output: IO[bytes] | int = self.log.open("ab") if self.log else subprocess.DEVNULL
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.env},
            cwd=self.cwd,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        if ready:
            self._wait(timeout)

    def _wait(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process is not None and self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended at its start; see {self.log}.")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.name} does not listen after {timeout:.0f} s; see {self.log}.")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def resident(self) -> int:
        return processes.resident_bytes(processes.tree(self.pid))

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def echo_service() -> Service:
    port = free_port()
    return Service("The echo server", [sys.executable, "-m", "bench.echo", str(port)], port)
