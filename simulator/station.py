"""A virtual charging station. It knows nothing of the product's code: it speaks over the socket alone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Self

from ocpp.exceptions import OCPPError
from websockets.exceptions import WebSocketException

from simulator.car import Contract
from simulator.clock import Clock
from simulator.connector import Connector
from simulator.device import Device
from simulator.driver import Screen
from simulator.grid import Grid
from simulator.journal import Journal
from simulator.link import Link, LinkError, host_of
from simulator.local_auth import LocalAuth
from simulator.monitors import Monitors
from simulator.outbox import Outbox
from simulator.paying import Paying
from simulator.profiles import Profiles
from simulator.quirks import Quirks
from simulator.security import Security
from simulator.transaction import Transaction
from simulator.versions import VERSIONS
from simulator.wire import Silence, Wire

LOG = logging.getLogger("simulator")
LOST = (OSError, WebSocketException, TimeoutError)


class SimulatedStation(Paying):
    """One station with its connectors, cars and habits.

        async with SimulatedStation(url="ws://127.0.0.1:9000/ocpp/acme", identity="CP 1", password="...",
                                    version="1.6", speed=0) as station:
            await station.plug_in(1)
            transaction = await station.start(1, "04A1B2C3")
            await station.advance(1800)
            await station.stop(1)
            await station.unplug(1)

    url       without the identity. version: "1.6", "2.0.1", "2.1", or several to offer, the best first.
    speed     simulated seconds per real second; 0: time stands still until `advance` moves it.
    trust     PEM of the roots it knows the CSMS by; secure_url: for profiles 2 and 3, where it is not `url` with wss.
    settings  values by 1.6 key or "Component.Variable", as an installer would set them.
    """

    def __init__(
        self,
        *,
        url: str,
        identity: str,
        password: str | bytes | None = None,
        version: str | tuple[str, ...] = "1.6",
        kind: str = "ac",
        connectors: int = 1,
        max_power_w: float | None = None,
        phases: int = 3,
        seed: int | None = None,
        speed: float = 1.0,
        clock: Clock | None = None,
        quirks: Quirks | None = None,
        settings: dict[str, str] | None = None,
        back_off: tuple[float, float] = (0.05, 60.0),
        answer_timeout: float = 30.0,
        validate: bool = True,
        keep_frames: int = 2000,
        auto_plug: float | None = 0.0,
        trust: str = "",
        secure_url: str = "",
        quiet_return: bool = False,
        came_before: bool = False,
    ) -> None:
        """`quiet_return`: it comes back from a lost line without a boot; `came_before`: also when it comes first."""
        self.quiet_return = quiet_return or came_before
        self.url, self.identity = url, identity
        self.password_bytes = password.encode() if isinstance(password, str) else password
        self.versions = (version,) if isinstance(version, str) else version
        self.version = self.versions[0]
        self.kind = kind
        self.rng = Random(f"{seed}:{identity}") if seed is not None else Random()
        self.clock = clock or Clock(speed)
        self.quirks = quirks or Quirks()
        self.back_off, self.answer_timeout, self.validate = back_off, answer_timeout, validate
        self.auto_plug = auto_plug  # seconds until a driver plugs in after a remote start; None: never
        power = max_power_w or (150_000.0 if kind == "dc" else 22_000.0)
        self.connectors = {
            number: self._new_connector(number, power, phases) for number in range(1, connectors + 1)
        }
        self.device = Device(connectors, kind, **(settings or {}))
        self._describe()
        self.journal, self.monitors = Journal(), Monitors(self.device)
        self.outbox, self.profiles, self.local_auth = Outbox(), Profiles(), LocalAuth()
        self.grid = Grid()
        self.security = Security(self, trust)
        self.security.secure_url = secure_url
        self.link = Link(self)
        if came_before:
            self.link.boot_reason = "Unknown"
        self.booted, self.greeted, self.registration, self.operative = False, False, "", True
        self._told_station: dict[int, bool] = {0: True}
        self.frames: deque[tuple[str, str]] = deque(maxlen=keep_frames)
        self.calls: deque[tuple[str, dict[str, Any]]] = deque(maxlen=keep_frames)
        self.unasked: deque[Any] = deque(maxlen=20)
        self.result_errors: deque[tuple[Any, ...]] = deque(maxlen=20)
        self.complaints: deque[Exception] = deque(maxlen=50)
        self.rulings: dict[str, Any] = {}
        self.published: dict[str, str] = {}  # MD5 of an image that this local controller offers: where
        self.screen = Screen()
        self.streams: dict[int, dict[str, Any]] = {}
        self._samples, self._held = {}, []
        self.past: deque[Transaction] = deque(maxlen=50)
        self.proven: dict[str, Contract] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._deliverer: asyncio.Task[None] | None = None
        self._aligner: asyncio.Task[None] | None = None
        self._last_tick: dict[int, float] = {}
        self._drivers: dict[int, asyncio.Task[None]] = {}

    def _new_connector(self, number: int, power_w: float, phases: int) -> Connector:
        amps = min(32.0, power_w / (230 * phases)) if self.kind == "ac" else 500.0
        register_wh = float(self.rng.randrange(100_000, 9_000_000))
        dead = self.quirks.dead_contactor
        return Connector(number, self.kind, phases, amps, power_w, register_wh=register_wh, dead=dead)

    def _describe(self) -> None:
        self.model = "VY-DC 150" if self.kind == "dc" else "VY-AC 22"
        self.serial = hashlib.sha256(self.identity.encode()).hexdigest()[:12].upper()
        self.firmware = "3.2.1"
        self.device.put("ChargingStation.Model", self.model)
        self.device.put("ChargingStation.VendorName", "Voltyard")
        self.device.put("ChargingStation.SerialNumber", self.serial)
        self.device.put("SecurityCtrlr.Identity", self.identity)
        self.device.put("ISO15118Ctrlr.SeccId", f"VY{self.serial}")

    # -- connection

    @property
    def says(self) -> Any:
        return VERSIONS[self.version].says

    @property
    def where(self) -> str:
        return host_of(self.url)

    @property
    def connected(self) -> bool:
        return self.link.wire is not None

    def require_wire(self) -> Wire:
        if self.link.wire is None:
            raise ConnectionResetError(f"{self.identity} is not connected")
        return self.link.wire

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self, *, until: str = "booted", timeout: float = 30) -> None:
        """Connect and wait until "connected", "booted" or "settled". A refusal raises LinkError."""
        self.begin()
        await self.until(lambda: self.connected or self.link.last_error is not None, timeout)
        if not self.connected and self.link.last_error is not None:
            error = self.link.last_error
            await self.link.stop()
            raise error
        if until != "connected":
            await self.until(lambda: self.booted, timeout)
            await self.settled(timeout)

    def begin(self) -> None:
        """Start connecting and keep trying, without waiting for it."""
        if self._deliverer is None:
            self._deliverer = asyncio.create_task(self._deliver())
        self.align_anew()
        self.link.start()

    def align_anew(self) -> None:
        """The interval of clock-aligned readings has changed."""
        if self._aligner:
            self._aligner.cancel()
        due = self.device.number("ClockAlignedDataInterval") and not self.clock.manual
        self._aligner = asyncio.create_task(self.align()) if due else None

    async def close(self) -> None:
        """Disconnect for good. Open transactions stay open, as when the station loses its network."""
        await self.link.stop()
        tasks = [*self._tasks, *self._drivers.values()]
        tasks += [task for task in (self._deliverer, self._aligner, self._watcher) if task]
        self._deliverer = self._aligner = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def go_offline(self) -> None:
        """Leave the network; transaction messages queue up until `go_online`."""
        await self.link.stop()

    async def go_online(self) -> None:
        await self.connect()

    async def drop(self) -> None:
        """Cut the socket abruptly; the station reconnects by itself (`back` waits for it)."""
        self.link.drop()
        await self.until(lambda: not self.connected or self.link.connections > self.link.left_at)

    async def back(self, timeout: float = 30) -> None:
        """Wait until the station is connected and booted anew after a drop or a reset."""
        await self.until(lambda: self.booted and self.link.connections > self.link.left_at, timeout)
        await self.settled(timeout)

    def link_failed(self, error: LinkError) -> None:
        LOG.debug("%s: %s", self.identity, error)
        self.notify()

    def boot_pause(self, interval: int) -> float:
        """Real seconds until the next BootNotification after Pending or Rejected."""
        return float(interval or 30) / (self.clock.rate or 1.0)

    # -- waiting and background work

    def notify(self) -> None:
        """Something has changed: let those who wait look again."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, what: Callable[[], Any], timeout: float = 30) -> None:
        """Wait until `what()` is true. TimeoutError after real seconds."""
        async with asyncio.timeout(timeout):
            while not what():
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter

    async def settled(self, timeout: float = 30) -> None:
        """Wait until nothing is queued or under way (or the station is offline)."""

        def quiet() -> bool:
            return (not self.booted or (self.greeted and not self.outbox)) and not self._tasks

        await self.until(quiet, timeout)

    async def received(self, action: str, count: int = 1, timeout: float = 30) -> dict[str, Any]:
        """Wait for the `count`th CALL of this action from the other side; gives its payload."""

        def of_action() -> list[dict[str, Any]]:
            return [payload for name, payload in self.calls if name == action]

        await self.until(lambda: len(of_action()) >= count, timeout)
        return of_action()[count - 1]

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self.notify()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except LOST:
            pass
        except Exception as error:
            LOG.exception("%s: %r", self.identity, error)
            self.complaints.append(error)

    # -- frames

    def remember(self, direction: str, text: str) -> None:
        self.frames.append((direction, text))
        self.notify()

    def sent(self, action: str) -> list[dict[str, Any]]:
        """Payloads of the CALLs of this action sent so far (as far as frames are kept)."""
        frames = [json.loads(text) for direction, text in self.frames if direction == "out"]
        return [frame[3] for frame in frames if frame[0] in (2, 6) and frame[2] == action]

    async def tell(self, payload: Any) -> Any:
        """Send a CALL that is worth nothing later; gives None if it cannot be delivered."""
        with contextlib.suppress(*LOST):
            try:
                return await self.require_wire().ask(payload)
            except OCPPError as error:
                self.complaints.append(error)
        return None

    async def send_raw(self, text: str | bytes) -> None:
        """Send a frame exactly as given, well-formed or not."""
        if isinstance(text, str):
            self.remember("out", text)
        await self.require_wire()._connection.send(text)

    async def ask_raw(self, action: str, payload: dict[str, Any], *, message_id: str | None = None) -> Any:
        """Send a CALL with this payload unchecked; gives the package's CallResult or CallError."""
        return await self.require_wire().ask_raw(action, payload, message_id=message_id)

    # -- how the station answers

    def rule(self, action: str, answer: Any) -> None:
        """Answer this action with a payload (camel case), a function of its payload, or an OCPPError."""
        self.rulings[action] = answer

    def mute(self, action: str) -> None:
        """Never answer this action."""
        self.rulings[action] = Silence

    def unrule(self, action: str) -> None:
        self.rulings.pop(action, None)
