"""The connection of a station: connect, boot, heartbeats, reconnect with back-off."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from ocpp.exceptions import OCPPError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, NegotiationError, WebSocketException
from websockets.typing import Origin, Subprotocol

from simulator.versions import BY_SUBPROTOCOL, VERSIONS
from simulator.wire import Wire

if TYPE_CHECKING:
    from simulator.station import SimulatedStation

RESET_PAUSE = 1.0  # simulated seconds that a reboot takes


class LinkError(Exception):
    """A connection that did not come about; the text is one sentence for people."""

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused  # the other side answered and said no: trying again will not help


class Link:
    """Keeps one station connected while `wanted`."""

    def __init__(self, station: SimulatedStation) -> None:
        self.station = station
        self.wire: Wire | None = None
        self.wanted = False
        self.boot_reason = "PowerUp"
        self.connections = 0
        self.left_at = 0  # the number of the connection that was last given up
        self.last_error: LinkError | None = None
        self._connection: ClientConnection | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._greeting: asyncio.Task[None] | None = None
        self._wake_boot = asyncio.Event()
        self._pause = 0.0

    @property
    def address(self) -> str:
        slash = "//" if self.station.quirks.doubled_slash else "/"
        return self.station.security.way.url.rstrip("/") + slash + quote(self.station.identity, safe="")

    def start(self) -> None:
        self.wanted = True
        if self._supervisor is None or self._supervisor.done():
            self._supervisor = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """Close in order and stay closed."""
        self.wanted = False
        await self.close()
        if self._supervisor:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.left_at = self.connections
        if self._connection:
            await self._connection.close(code, reason)

    def drop(self) -> None:
        """Cut the line without a word, as a lost radio link does."""
        self.left_at = self.connections
        if self._connection and self._connection.transport:
            self._connection.transport.abort()

    def pause(self, seconds: float) -> None:
        """Wait this long, real seconds, before the next attempt."""
        self._pause = seconds

    def boot_now(self) -> None:
        """The other side asked for a BootNotification (TriggerMessage) while it keeps us Pending."""
        self._wake_boot.set()

    async def _supervise(self) -> None:
        failures = 0
        while self.wanted:
            try:
                connection = await self.open()
                failures = 0
                self.last_error = None
                await self._converse(connection)
            except LinkError as error:
                failures += 1
                self.last_error = error
                self.station.security.failed()
                self.station.link_failed(error)
            except Exception as error:  # whatever it was, the station connects anew
                failures += 1
                self.station.complaints.append(error)
            if self.wanted:
                await asyncio.sleep(self._pause or self._back_off(failures))
                self._pause = 0.0

    def _back_off(self, failures: int) -> float:
        first, most = self.station.back_off
        return min(most, first * 2 ** min(failures, 20)) * self.station.rng.uniform(0.5, 1.5)

    async def open(self) -> ClientConnection:
        station = self.station
        headers = {}
        by_password = station.security.way.profile < 3
        if by_password and not station.quirks.forgets_password and station.password_bytes is not None:
            user = station.identity.encode() + b":" + station.password_bytes
            headers["Authorization"] = "Basic " + base64.b64encode(user).decode()
        ping = station.device.number("WebSocketPingInterval") or None
        try:
            return await connect(
                self.address,
                subprotocols=[Subprotocol(VERSIONS[version].subprotocol) for version in station.versions],
                additional_headers=headers,
                origin=Origin(station.quirks.origin) if station.quirks.origin else None,
                user_agent_header="Voltyard-Simulator",
                compression=None,
                proxy=None,
                ping_interval=ping,
                open_timeout=station.answer_timeout,
                close_timeout=2,
                max_size=2**20,
                ssl=station.security.context(),
            )
        except (OSError, WebSocketException, TimeoutError, ValueError) as error:
            raise explain(error, station) from error

    async def _converse(self, connection: ClientConnection) -> None:
        station = self.station
        if connection.subprotocol not in BY_SUBPROTOCOL:
            await connection.close(1002)
            raise LinkError(
                f"{station.where} has no OCPP version in common with {station.identity}.", refused=True
            )
        station.version = BY_SUBPROTOCOL[connection.subprotocol]
        self._connection = connection
        station.security.came_in()
        self.wire = VERSIONS[station.version].wire(station, connection)
        self.connections += 1
        station.notify()
        self._greeting = asyncio.create_task(self._greet())
        try:
            with contextlib.suppress(WebSocketException, OSError):
                await self.wire.serve()
        finally:
            self._hang_up()

    def _hang_up(self) -> None:
        wire, self.wire, self._connection = self.wire, None, None
        self.station.booted = self.station.greeted = False
        if wire:
            wire.lost()
            self.station.note("The connection ended", "WARN" if self.wanted else "INFO")
        if self._greeting:
            self._greeting.cancel()
        self.station.notify()

    async def _greet(self) -> None:
        """Boot until accepted, tell each connector's state, then beat."""
        station = self.station
        try:
            if self._must_boot():
                if station.quirks.status_before_boot:
                    station.background(station.tell_states())
                await self._boot()
            station.booted = True
            station.notify()
            if not station.quirks.status_before_boot:
                await station.tell_states()
            station.greeted = True
            station.notify()
            await self._beat()
        except (OSError, WebSocketException, TimeoutError):
            self.drop()

    def _must_boot(self) -> bool:
        """A line that was lost and is back is no boot (1.6 section 4.2, 2.x B01); many tell one all the same."""
        if self.station.quirks.no_boot_after_reconnect and self.connections > 1:
            return False
        return not self.station.quiet_return or self.boot_reason != "Unknown"

    async def _boot(self) -> None:
        station = self.station
        while True:
            self._wake_boot.clear()
            interval, status = 30, ""
            try:
                answer = await station.require_wire().ask(station.says.boot(station, self.boot_reason))
                interval, status = answer.interval, answer.status
            except OCPPError as error:
                station.complaints.append(error)
            station.registration = status
            station.notify()
            if status == "Accepted":
                station.note(
                    f"Registered at {station.where} after {self.boot_reason}, firmware {station.firmware}"
                )
                self.boot_reason = "Unknown"
                station.device.put("HeartbeatInterval", str(interval or 300))
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(station.boot_pause(interval)):
                    await self._wake_boot.wait()

    async def _beat(self) -> None:
        station = self.station
        silent = station.quirks.no_heartbeat
        silent |= station.quirks.no_boot_after_reconnect and self.connections > 1
        while not silent:
            await asyncio.sleep(station.device.number("HeartbeatInterval"))
            with contextlib.suppress(OCPPError):
                await station.require_wire().ask(station.says.heartbeat())

    def beat_anew(self) -> None:
        """The heartbeat interval has changed."""
        if self._greeting and self.station.booted and self.wire:
            self._greeting.cancel()
            self._greeting = asyncio.create_task(self._beat_again())

    async def _beat_again(self) -> None:
        with contextlib.suppress(OSError, WebSocketException, TimeoutError):
            await self._beat()


def explain(error: BaseException, station: Any) -> LinkError:
    """One sentence for people from what went wrong while connecting."""
    where, who = station.where, station.identity
    match error:
        case InvalidStatus(response=response) if response.status_code == 401:
            text = f"{where} refused {who}: the identity is unknown there or the password is wrong (401)."
            return LinkError(text, refused=True)
        case InvalidStatus(response=response) if response.status_code == 404:
            return LinkError(f"{where} knows no such address (404); check the path of the URL.", refused=True)
        case InvalidStatus(response=response) if b"subprotocol" in (response.body or b""):
            return LinkError(f"{where} has no OCPP version in common with {who}.", refused=True)
        case InvalidStatus(response=response):
            return LinkError(f"{where} refused {who} with HTTP status {response.status_code}.", refused=True)
        case NegotiationError():
            return LinkError(f"{where} has no OCPP version in common with {who}.", refused=True)
        case ssl.SSLError():
            return LinkError(f"{where} and {who} do not trust each other's certificate: {error.reason}.")
        case ConnectionRefusedError():
            return LinkError(f"Nothing listens at {where}; is the gateway running there?")
        case TimeoutError():
            return LinkError(f"{where} did not answer in time.")
        case InvalidHandshake() | ValueError():
            return LinkError(f"{where} is not a WebSocket address: {error}.", refused=True)
    return LinkError(f"Cannot reach {where}: {getattr(error, 'strerror', None) or error}.")


def host_of(url: str) -> str:
    """ws://host:port of an address, for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
