"""Children of the launcher never outlive it, and a stranger who got an old process id is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cpo.embedded import processes
from cpo.embedded.processes import Ledger

pytestmark = pytest.mark.nodb

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def eventually(holds: Callable[[], bool], patience_s: float = 20) -> bool:
    deadline = time.monotonic() + patience_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = processes.spawn(SLEEPER)
    yield child
    processes.stop(child)


def test_a_child_ends_when_its_parent_is_killed() -> None:
    code = (
        "import sys, time; from cpo.embedded import processes; "
        "print(processes.spawn([sys.executable, '-c', 'import time; time.sleep(600)']).pid, flush=True); "
        "time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    grandchild = int(parent.stdout.readline())
    assert processes.start_time(grandchild)
    parent.kill()
    parent.communicate()
    assert eventually(lambda: not processes.start_time(grandchild))


def test_leftovers_of_a_killed_run_are_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    Ledger(tmp_path / "children.json").add("sleeper", sleeper.pid)
    assert Ledger(tmp_path / "children.json").end_leftovers() == ["sleeper"]
    assert sleeper.wait(10) == -signal.SIGTERM
    assert not (tmp_path / "children.json").exists()


def test_a_stranger_with_a_recorded_id_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "children.json").write_text(f'{{"web": [{sleeper.pid}, "12345"]}}')
    assert Ledger(tmp_path / "children.json").end_leftovers() == []
    assert sleeper.poll() is None


def test_a_broken_record_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "children.json").write_text("{half a rec")
    assert Ledger(tmp_path / "children.json").end_leftovers() == []


def test_stop_ends_a_child_that_will_not_listen() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    child = processes.spawn([sys.executable, "-c", code], output=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()
        processes.stop(child, patience_s=0.1)
    assert child.returncode == -signal.SIGKILL


def test_what_children_write_is_private(tmp_path: Path) -> None:
    child = processes.spawn([sys.executable, "-c", f"open({str(tmp_path / 'file')!r}, 'w')"])
    assert child.wait(20) == 0
    assert os.stat(tmp_path / "file").st_mode & 0o077 == 0
