"""`manage.py up` as a newcomer meets it, on a data folder of its own beside the developer's."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from cpo.embedded import lan, ports, processes
from cpo.embedded.places import CHECKOUT
from tests.stations.ocpp.charger import BOOT, charger

pytestmark = pytest.mark.nodb

_OURS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "VOLTYARD_MODE", "VOLTYARD_PROCESS")


class Up:
    """One run of `manage.py up` upon a data folder."""

    def __init__(self, data: Path, *options: str, log: str = "up.log") -> None:
        self.data, self.log = data, data / log
        env = {name: value for name, value in os.environ.items() if name not in _OURS}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--no-chargers", *options],
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
        return self.told("Portal")

    def told(self, name: str) -> str:
        """What stands beside a word in the welcome."""
        found = re.search(rf"^ +{name} +(\S+)", self.said, re.MULTILINE)
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


def refuses(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


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
    assert set(running.children()) == {"postgres", "redis", "web", "gateway", "energy", "worker", "beat"}


def test_what_holds_secrets_is_closed_to_others(running: Up) -> None:
    for name in ("secrets.json", "demo.json"):
        assert (running.data / name).stat().st_mode & 0o077 == 0
    assert (running.data / "logs").stat().st_mode & 0o077 == 0


def test_only_this_machine_reaches_it(running: Up) -> None:
    known = ports.Ports(running.data / "ports.json")
    for address in lan.addresses():
        for name in ("web", "gateway", "postgres", "redis"):
            assert refuses(address, known.get(name) or 0)
    assert "Everybody on this network" not in running.said


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


def test_an_address_of_another_machine_is_refused_in_a_sentence(data: Path) -> None:
    up = Up(data, "--lan", "203.0.113.7", log="stranger.log")
    assert up.process.wait(60) == 1
    assert "'203.0.113.7' is no IPv4 address of this machine; its addresses are: " in up.said
    assert "Traceback" not in up.said


@pytest.fixture
def open_to_the_network(data: Path, running: Up) -> Iterator[Up]:
    """The same data again, reached from outside this machine. Ends the one that all others look at."""
    if not lan.addresses():
        pytest.skip("this machine has no network")
    if running.process.poll() is None:
        running.stop()
    up = Up(data, "--lan", log="lan.log")
    up.wait_running()
    yield up
    up.stop()


async def test_on_request_chargers_and_phones_of_the_network_get_in(
    data: Path, open_to_the_network: Up
) -> None:
    up, here = open_to_the_network, lan.addresses()[0]
    known = ports.Ports(data / "ports.json")
    assert up.portal() == f"http://{here}:{known.get('web')}"
    assert "the traffic is not encrypted" in up.said

    async with httpx.AsyncClient(base_url=up.portal(), follow_redirects=True, timeout=30) as phone:
        await phone.get("/login/")
        email, password = re.findall(r"^ +(operator@nordlicht\S+) +(\S+)", up.said, re.MULTILINE)[0]
        fields = {"username": email, "password": password, "csrfmiddlewaretoken": phone.cookies["csrftoken"]}
        inside = await phone.post("/login/", data=fields, headers={"Origin": up.portal()})
        assert (inside.status_code, inside.url.path) == (200, "/t/nordlicht/")
        cookies = "; ".join(f"{name}={value}" for name, value in phone.cookies.items())
        live = up.portal().replace("http", "ws") + "/live/nordlicht/"
        async with connect(live, additional_headers={"Cookie": cookies, "Origin": up.portal()}):
            pass  # live updates come through as well
        assert (await phone.get("/login/", headers={"Host": "elsewhere.example"})).status_code == 400
        assert (await phone.get("/metrics")).status_code == 403

    url, identity, password = up.told("URL"), up.told("Identity"), up.told("Password")
    assert url.startswith(f"ws://{here}:{known.get('gateway')}/ocpp/nordlicht/")
    async with charger("", "", identity, password, path=url) as wire:
        assert (await wire.ok("BootNotification", BOOT["1.6"]))["status"] == "Accepted"

    assert all(refuses(here, known.get(name) or 0) for name in ("postgres", "redis"))
