"""A throw-away home for the servers of one test run, and the sweeping of homes that killed runs left."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from cpo.embedded.locks import FileLock
from cpo.embedded.places import Places, make_private
from cpo.embedded.processes import Ledger


class Run:
    """A folder for records (ours alone) and one for the servers, both gone at `close()`."""

    def __init__(self, places: Places, name: str | None = None) -> None:
        self.name = name or f"run-{os.getpid()}-{secrets.token_hex(3)}"
        self.records = make_private(places.runs / self.name)
        self.servers = places.servers / self.name
        self.lock = FileLock(self.records / "lock")
        self.ledger = Ledger(self.records / "children.json")

    def open(self) -> Run:
        self.lock.acquire()
        make_private(self.servers, 0o711)
        make_private(self.records / "static")
        return self

    def close(self) -> None:
        shutil.rmtree(self.servers, ignore_errors=True)
        self.lock.release()
        shutil.rmtree(self.records, ignore_errors=True)


def sweep(places: Places) -> None:
    """End and remove what killed runs left. A run whose lock is held is alive and left alone."""
    for records in sorted(places.runs.iterdir()):
        with contextlib.suppress(OSError):
            _sweep_one(places, records)


def _sweep_one(places: Places, records: Path) -> None:
    run = Run(places, records.name)
    if run.lock.acquire():
        run.ledger.end_leftovers()
        run.close()
