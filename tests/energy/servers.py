"""Real servers on loopback: an MQTT broker, and Modbus devices."""

from __future__ import annotations

import asyncio
import os
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from cpo.embedded import ports, programs
from cpo.embedded.problems import Problem
from tests.servers import server_program
from tests.stations import pki

USER, PASSWORD = "meter", "correct horse"


@dataclass
class Broker:
    """A NATS server as an MQTT broker. `stop` and `start` keep the port."""

    program: str
    home: Path
    port: int = 0
    tls: tuple[Path, Path] | None = None  # certificate, key
    process: subprocess.Popen[bytes] | None = None
    root: Path | None = None

    def start(self) -> None:
        self.port = self.port or ports.any_free()
        files = f'cert_file: "{self.tls[0]}", key_file: "{self.tls[1]}"' if self.tls else ""
        text = f"""
            server_name: broker
            listen: "127.0.0.1:{ports.any_free()}"
            jetstream {{ store_dir: "{self.home}/store", max_memory_store: 16MB, max_file_store: 64MB }}
            mqtt {{
                listen: "127.0.0.1:{self.port}"
                {f"tls {{ {files} }}" if files else ""}
            }}
            authorization {{ users: [ {{
                user: "{USER}", password: "{PASSWORD}"
                permissions: {{ subscribe: {{ deny: ["secret", "secret.>"] }} }}
            }} ] }}
        """
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "nats.conf").write_text(text)
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "-c", str(self.home / "nats.conf")], stdout=log, stderr=log
            )
        for _try in range(200):
            if self.process.poll() is not None:
                raise RuntimeError((self.home / "log").read_text())
            try:
                create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("the broker does not listen")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    @contextmanager
    def publisher(self) -> Iterator[paho.Client]:
        client = paho.Client(CallbackAPIVersion.VERSION2, "publisher")
        client.username_pw_set(USER, PASSWORD)
        if self.root is not None:
            client.tls_set(ca_certs=str(self.root))
        ready = threading.Event()
        client.on_connect = lambda *_told: ready.set()
        client.connect("localhost", self.port)
        client.loop_start()
        assert ready.wait(10)
        try:
            yield client
        finally:
            client.disconnect()
            client.loop_stop()


def _nats() -> str:
    """Out of its wheel; else the machine's own; else the test is skipped."""
    try:
        return str(server_program(programs.NATS))
    except (Problem, OSError, StopIteration) as problem:
        found = shutil.which("nats-server", path=os.environ.get("PATH", ""))
        if found is None:
            pytest.skip(f"There is no MQTT broker here: {problem}")
        return found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(_nats(), tmp_path / "broker")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def tls_broker(tmp_path: Path) -> Iterator[Broker]:
    """With a certificate for localhost by a root of its own: `root`."""
    root = pki.Authority("Brokers")
    certificate, key = root.issue("localhost", names=("localhost",))
    (tmp_path / "broker.pem").write_text(certificate)
    (tmp_path / "broker.key").write_text(key)
    (tmp_path / "root.pem").write_text(root.pem)
    made = Broker(_nats(), tmp_path / "broker", tls=(tmp_path / "broker.pem", tmp_path / "broker.key"))
    made.root = tmp_path / "root.pem"
    made.start()
    yield made
    made.stop()


class Device(threading.Thread):
    """A Modbus TCP server with one unit of 45,000 registers of each kind, written by `put`.

    `delay_s` and `refusal`: how it answers from now on.
    """

    SIZE = 45_000

    def __init__(self, unit_id: int = 1) -> None:
        super().__init__(daemon=True)
        self.port, self.unit_id = ports.any_free(), unit_id
        self.delay_s = 0.0
        self.refusal: ExcCodes | None = None
        self.asked: list[tuple[int, int, int]] = []  # function, address, count
        self._words: dict[tuple[int, int], int] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.start()
        assert self._ready.wait(10)

    def put(self, kind: str, address: int, form: str, *numbers: float) -> None:
        """Numbers as struct packs them, the high word first."""
        raw = struct.pack(f">{len(numbers)}{form}", *numbers)
        for place, (word,) in enumerate(struct.iter_unpack(">H", raw)):
            self._words[_FUNCTIONS[kind], address + place] = word

    async def _answer(
        self, function: int, first: int, address: int, count: int, registers: list[int], _written: Any
    ) -> ExcCodes | None:
        self.asked.append((function, address, count))
        await asyncio.sleep(self.delay_s)
        for place in range(address, address + count):
            registers[place - first] = self._words.get((function, place), 0)
        return self.refusal

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        bits = [SimData(0, values=False, datatype=DataType.BITS)]
        words = [SimData(0, count=self.SIZE, datatype=DataType.REGISTERS)]
        unit = SimDevice(self.unit_id, simdata=(bits, bits, words, words), action=self._answer)
        server = ModbusTcpServer(unit, address=("127.0.0.1", self.port))
        await server.serve_forever(background=True)
        self._stopped = asyncio.Event()
        self._ready.set()
        await self._stopped.wait()
        await server.shutdown()

    def close(self) -> None:
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self.join(10)


_FUNCTIONS = {"holding": 3, "input": 4}


@pytest.fixture
def device() -> Iterator[Device]:
    made = Device()
    yield made
    made.close()
