"""One Redis on loopback, with a password and nothing on disk: what it holds is disposable."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from cpo.embedded import ports, processes
from cpo.embedded.places import Account
from cpo.embedded.problems import Problem, from_output

_FIRST_PORT = 16379
_START_TIMEOUT_S = 30
_CONFIG = """
bind 127.0.0.1
port {port}
requirepass {password}
daemonize no
save ""
appendonly no
databases 1
loglevel notice
"""


class Redis:
    """`start()` gives it to the calling main thread."""

    def __init__(self, *, program: Path, account: Account, log: Path, password: str) -> None:
        self.program, self.account, self.log, self.password = program, account, log, password
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{ports.HOST}:{self.port}/0"

    def start(self, port: int | None = None, *, remembered: ports.Ports | None = None) -> None:
        """Start and wait until it answers. Tries other ports if somebody takes ours first."""
        said = ""
        for attempt in range(5):
            self.port = self._choose(port, remembered, attempt)
            said = self._launch()
            if not said:
                return
            if "Address already in use" not in said:
                break
        raise from_output(said, self.log) or Problem(
            f"Redis did not start; it said: {said.strip().splitlines()[-1]}",
            f"The whole story is in {self.log}.",
        )

    def stop(self) -> None:
        if self.process:
            processes.stop(self.process, first=signal.SIGTERM, patience_s=5)
            self.process = None

    def _choose(self, port: int | None, remembered: ports.Ports | None, attempt: int) -> int:
        if port:
            return port
        if remembered:
            return remembered.choose("redis", _FIRST_PORT + attempt)
        return ports.next_free(_FIRST_PORT + 4000 + os.getpid() % 3000 + attempt)

    def _launch(self) -> str:
        begun = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = processes.spawn(
                [self.program, "-"],  # settings by pipe: the password is in no file and on no command line
                account=self.account,
                cwd=Path("/"),
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                stdin=subprocess.PIPE,
                output=log,
            )
        assert self.process.stdin is not None
        self.process.stdin.write(_CONFIG.format(port=self.port, password=self.password).encode())
        self.process.stdin.close()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return ""
            time.sleep(0.02)
        self.stop()
        with self.log.open("rb") as log:
            log.seek(begun)
            return log.read().decode(errors="replace") or "nothing"

    def _answers(self) -> bool:
        """Whether it is our Redis that answers on the port: a stranger's does not know the password."""
        try:
            with socket.create_connection((ports.HOST, self.port), timeout=1) as line:
                line.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return b"+PONG" in line.recv(200)
        except OSError:
            return False
