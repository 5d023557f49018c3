"""What falls is started again; what must end ends in order."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cpo.embedded import processes, supervisor
from cpo.embedded.processes import Ledger
from cpo.embedded.supervisor import Service, Supervisor

pytestmark = pytest.mark.nodb


def sleeper() -> subprocess.Popen[bytes]:
    return processes.spawn([sys.executable, "-c", "import time; time.sleep(600)"])


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def keeper(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(Ledger(tmp_path / "children.json"), said.append)
    yield made
    made.stop_all()


def revive_until(keeper: Supervisor, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        keeper.revive()
        time.sleep(0.02)
    assert holds()


def test_a_fallen_process_is_started_again(keeper: Supervisor, said: list[str]) -> None:
    service = Service("web", 1, sleeper)
    keeper.add(service)
    first = service.process
    assert first is not None
    first.kill()
    revive_until(keeper, lambda: service.is_running and service.process is not first)
    assert "web ended (signal 9), starting again" in said[0]


def test_the_wait_grows_while_it_keeps_falling(keeper: Supervisor) -> None:
    service = Service("web", 1, lambda: processes.spawn([sys.executable, "-c", "raise SystemExit(3)"]))
    keeper.add(service)
    first = service.wait_s
    revive_until(keeper, lambda: service.wait_s >= first * 4)


def test_all_end_stage_by_stage(keeper: Supervisor, tmp_path: Path) -> None:
    code = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n"
        "    with open(sys.argv[1], 'a') as file: file.write(sys.argv[2] + ' ')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); pathlib.Path(sys.argv[1] + sys.argv[2]).touch(); time.sleep(600)"
    )
    order = tmp_path / "order"
    for name, stage in (("database", 3), ("door", 1), ("tasks", 2)):
        words = [sys.executable, "-c", code, str(order), name]
        keeper.add(Service(name, stage, lambda words=words: processes.spawn(words)))  # type: ignore[misc]
    revive_until(keeper, lambda: len(list(tmp_path.glob("order?*"))) == 3)
    keeper.stop_all()
    assert order.read_text().split() == ["door", "tasks", "database"]
    assert not (tmp_path / "children.json").exists()


def test_a_large_log_moves_aside_and_its_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_LOG_LIMIT_BYTES", 10)
    with (tmp_path / "web.log").open("ab") as log:
        log.write(b"a long enough line\n")
        log.flush()
        supervisor.rotate(tmp_path)
        log.write(b"next\n")
    assert (tmp_path / "web.log.1").read_bytes() == b"a long enough line\n"
    assert (tmp_path / "web.log").read_bytes() == b"next\n"
