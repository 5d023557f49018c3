"""Keeps the processes of `up` running: starts them, starts the fallen again, ends them in order."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from cpo.embedded import processes
from cpo.embedded.processes import Ledger

_LOG_LIMIT_BYTES = 10_000_000
_LOGS_KEPT = 3
_FIRST_WAIT_S, _LONGEST_WAIT_S, _STEADY_AFTER_S = 0.5, 30.0, 60.0


class Stopped(KeyboardInterrupt):
    """Ctrl-C, SIGTERM, or the terminal is gone: end everything in order."""


@dataclass
class Service:
    """A process to keep running. Services of a lower `stage` are ended first."""

    name: str
    stage: int
    start: Callable[[], subprocess.Popen[bytes]]
    stop: Callable[[], None] | None = None
    patience_s: float = 15
    process: subprocess.Popen[bytes] | None = None
    begun: float = 0.0
    wait_s: float = _FIRST_WAIT_S
    again_at: float = 0.0
    falls: int = 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Owns the signals and the children of one `up`."""

    def __init__(self, ledger: Ledger, say: Callable[[str], None]) -> None:
        self.services: list[Service] = []
        self._ledger, self._say = ledger, say
        self._stopping = self._hurry = self._busy = self._pending = False

    def catch_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def add(self, service: Service) -> None:
        """Start a service and keep it running from now on."""
        with self._undisturbed():
            self._start(service)
            self.services.append(service)

    def watch(self, tick: Callable[[], None] = lambda: None) -> None:
        """Run until a signal raises Stopped."""
        while True:
            self.revive()
            tick()
            time.sleep(0.2)

    def revive(self) -> None:
        """Start again what has ended, after a wait that grows while it keeps ending."""
        now = time.monotonic()
        for service in self.services:
            if service.is_running:
                if now - service.begun > _STEADY_AFTER_S:
                    service.wait_s = _FIRST_WAIT_S
            elif service.process is not None:
                self._note_end(service, now)
            elif now >= service.again_at:
                with self._undisturbed():
                    self._try_start(service, now)

    def drop(self, services: Sequence[Service]) -> None:
        """End these and forget them."""
        with self._undisturbed():
            self._stop_stage(services)
            for service in services:
                self.services.remove(service)
                self._ledger.remove(service.name)

    def stop_all(self) -> None:
        """End all, stage by stage. A second signal ends what is left at once."""
        self._stopping = True
        for stage in sorted({service.stage for service in self.services}):
            self._stop_stage([service for service in self.services if service.stage == stage])
        self._ledger.close()

    def _try_start(self, service: Service, now: float) -> None:
        try:
            self._start(service)
        except Exception as error:  # a server that will not start now may start later
            self._say(f"{service.name} did not start: {error}")
            self._back_off(service, now)

    def _start(self, service: Service) -> None:
        service.process = service.start()
        service.begun = time.monotonic()
        self._ledger.add(service.name, service.process.pid)

    def _note_end(self, service: Service, now: float) -> None:
        assert service.process is not None
        code = service.process.returncode
        processes.signal_group(service.process.pid, signal.SIGKILL)
        service.process = None
        service.falls += 1
        self._ledger.remove(service.name)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._back_off(service, now)
        self._say(
            f"{service.name} ended ({how}), starting again in {service.again_at - now:.1f} s; see its log"
        )

    def _back_off(self, service: Service, now: float) -> None:
        service.again_at = now + service.wait_s
        service.wait_s = min(service.wait_s * 2, _LONGEST_WAIT_S)

    def _stop_stage(self, services: Sequence[Service]) -> None:
        alive = [service for service in services if service.is_running]
        for service in alive:
            if service.stop is None and service.process:
                service.process.terminate()
        for service in alive:
            if service.stop is not None:
                service.stop()
        deadline = time.monotonic() + max((service.patience_s for service in alive), default=0)
        while (
            any(service.is_running for service in alive) and time.monotonic() < deadline and not self._hurry
        ):
            time.sleep(0.05)
        for service in services:
            if service.is_running:
                self._say(f"{service.name} did not end when told and was ended by force; see its log")
            if service.process is not None:
                processes.signal_group(service.process.pid, signal.SIGKILL)
                service.process.wait()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            self._hurry = True
        elif self._busy:
            self._pending = True
        else:
            raise Stopped

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """No signal may come between the birth of a child and its record."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
        if self._pending:
            self._pending = False
            raise Stopped


def logged(
    command: Sequence[str | Path], log: Path, env: Mapping[str, str], cwd: Path
) -> subprocess.Popen[bytes]:
    """A child whose output is appended to a log."""
    with log.open("ab") as output:
        return processes.spawn(command, env=env, cwd=cwd, output=output)


def rotate(folder: Path) -> None:
    """Move what is in a log that has grown large to `.1`, `.2`, ...; its writer goes on in the same file."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > _LOG_LIMIT_BYTES:
            for number in range(_LOGS_KEPT - 1, 0, -1):
                older = log.with_suffix(f".log.{number}")
                if older.exists():
                    older.replace(log.with_suffix(f".log.{number + 1}"))
            shutil.copyfile(log, log.with_suffix(".log.1"))
            with log.open("r+b") as file:
                file.truncate(0)
