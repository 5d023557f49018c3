"""`manage.py up` as a newcomer meets it, on a data folder of its own beside the developer's."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cpo.embedded import ports, processes
from cpo.embedded.places import CHECKOUT

pytestmark = pytest.mark.nodb

_OURS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "VOLTYARD_MODE", "VOLTYARD_PROCESS")


class Up:
    """One run of `manage.py up` upon a data folder."""

    def __init__(self, data: Path, log: str = "up.log") -> None:
        self.data, self.log = data, data / log
        env = {name: value for name, value in os.environ.items() if name not in _OURS}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--no-chargers"],
                cwd=CHECKOUT,
                env=env | {"VOLTYARD_DATA_DIR": str(data)},
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=processes.tied_to_parent(signal.SIGTERM),
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait_running(self) -> None:
        deadline = time.monotonic() + 180
        while "Ctrl-C stops everything" not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    def children(self) -> dict[str, tuple[int, str]]:
        """Process id and start time by name."""
        return {
            name: tuple(row) for name, row in json.loads((self.data / "children.json").read_text()).items()
        }

    def portal(self) -> str:
        found = re.search(r"Portal +(\S+)", self.said)
        assert found is not None
        return found.group(1)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def eventually(holds: Callable[[], bool], patience_s: float = 60) -> bool:
    deadline = time.monotonic() + patience_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds()


def is_gone(pid: int, started: str) -> bool:
    return processes.start_time(pid) != started


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """A data folder that already has the programs, so that the test needs no network."""
    folder = Path(os.environ["VOLTYARD_TEST_SERVERS"]) / f"up-{secrets.token_hex(4)}"
    (folder / "servers").mkdir(parents=True)
    for path in (folder, folder / "servers"):
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    for program in Path(os.environ["VOLTYARD_TEST_PROGRAMS"]).glob("*-*.*"):
        (folder / "servers" / program.name).symlink_to(program)
    yield folder


@pytest.fixture(scope="module")
def running(data: Path) -> Iterator[Up]:
    """One that all tests look at which leave it running."""
    up = Up(data)
    up.wait_running()
    yield up
    if up.process.poll() is None:
        up.stop()


def test_it_serves_the_portal_and_tells_how_to_get_in(running: Up) -> None:
    with urllib.request.urlopen(f"{running.portal()}/health/ready", timeout=10) as answer:
        assert answer.status == 200
    assert "Sign in as" in running.said
    assert "@" in running.said
    assert re.search(r"URL +ws://127\.0\.0\.1:\d+/ocpp/\S+/\S+", running.said)
    assert set(running.children()) == {"postgres", "redis", "web", "gateway", "worker", "beat"}


def test_what_holds_secrets_is_closed_to_others(running: Up) -> None:
    for name in ("secrets.json", "demo.json"):
        assert (running.data / name).stat().st_mode & 0o077 == 0
    assert (running.data / "logs").stat().st_mode & 0o077 == 0


def test_a_second_one_in_the_same_checkout_is_refused_in_a_sentence(running: Up) -> None:
    second = Up(running.data, log="second.log")
    assert second.process.wait(60) == 1
    assert f"already running from this checkout (process {running.process.pid})" in second.said
    assert "Traceback" not in second.said


def test_a_fallen_role_is_started_again(running: Up) -> None:
    first = running.children()["web"]
    os.kill(first[0], signal.SIGKILL)
    assert eventually(lambda: running.children().get("web") not in (None, first))
    assert "web ended (signal 9), starting again" in running.said


def test_a_killed_one_leaves_nothing_and_the_next_has_all_data(running: Up) -> None:
    children, charger = running.children(), json.loads((running.data / "demo.json").read_text())["charger"]
    running.process.kill()
    running.process.wait()
    assert eventually(lambda: all(is_gone(*row) for row in children.values()))

    again = Up(running.data, log="again.log")
    again.wait_running()
    assert "Creating the database cluster" not in again.said
    assert json.loads((running.data / "demo.json").read_text())["charger"] == charger

    children, known = again.children(), ports.Ports(running.data / "ports.json")
    assert again.stop() == 0
    assert all(is_gone(*row) for row in children.values())
    assert all(ports.is_free(known.get(name) or 0) for name in ("web", "gateway", "postgres", "redis"))
    assert not (running.data / "up.lock").exists()
    assert not (running.data / "children.json").exists()
