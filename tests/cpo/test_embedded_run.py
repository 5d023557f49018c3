"""Test runs clean up after themselves, and after those that could not."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from cpo.embedded import processes
from cpo.embedded.places import Account, Places
from cpo.embedded.run import Run, sweep

pytestmark = pytest.mark.nodb


@pytest.fixture
def where(tmp_path: Path) -> Places:
    (tmp_path / "data").mkdir()
    return Places(checkout=tmp_path, data=tmp_path / "data", account=Account(os.geteuid(), os.getegid()))


def test_a_run_leaves_nothing(where: Places) -> None:
    run = Run(where).open()
    (run.servers / "postgres").mkdir()
    run.close()
    assert list(where.runs.iterdir()) == []
    assert list(where.servers.iterdir()) == []


def test_a_killed_run_is_ended_and_removed_by_the_next(where: Places) -> None:
    left = Run(where)
    left.servers.mkdir()
    child = processes.spawn([sys.executable, "-c", "import time; time.sleep(600)"])
    left.ledger.add("redis", child.pid)
    sweep(where)
    assert child.wait(10) == -signal.SIGTERM
    assert list(where.runs.iterdir()) == []
    assert list(where.servers.iterdir()) == []


def test_a_run_that_is_alive_is_left_alone(where: Places) -> None:
    run = Run(where).open()
    sweep(where)
    assert run.records.exists()
    assert run.servers.exists()
    run.close()
