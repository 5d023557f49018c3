"""A charger of few words for tests of the wire: what it sends is written out frame by frame."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import websockets
from websockets.asyncio.client import ClientConnection, connect

from stations.models import Station
from tenants.models import Tenant

SUBPROTOCOL = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1", "2.1": "ocpp2.1"}
VERSIONS = tuple(SUBPROTOCOL)
BOOT: dict[str, dict[str, Any]] = {
    "1.6": {"chargePointVendor": "Acme", "chargePointModel": "One", "firmwareVersion": "1.2.3"},
    "2.0.1": {
        "reason": "PowerUp",
        "chargingStation": {"vendorName": "Acme", "model": "One", "firmwareVersion": "1.2.3"},
    },
}
BOOT["2.1"] = BOOT["2.0.1"]


def basic(user: str, password: str | bytes) -> str:
    secret = password.encode() if isinstance(password, str) else password
    return "Basic " + base64.b64encode(user.encode() + b":" + secret).decode()


def upgrade(tenant: Tenant, station: Station) -> bytes:
    """The request of a station of 1.6 that writes its own bytes."""
    password = station.password  # type: ignore[attr-defined]
    return (
        f"GET /ocpp/{tenant.slug}/{station.identity} HTTP/1.1\r\nHost: localhost\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
        f"Authorization: {basic(station.identity, password)}\r\n\r\n"
    ).encode()


class Charger:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._ids = itertools.count(1)
        self.calls: asyncio.Queue[list[Any]] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[list[Any]]] = {}
        self.others: asyncio.Queue[list[Any]] = asyncio.Queue()  # answers to nothing of ours
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for text in self.socket:
                frame = json.loads(text)
                if frame[0] == 2:
                    await self.calls.put(frame)
                elif frame[1] in self._answers:
                    self._answers.pop(frame[1]).set_result(frame)
                else:
                    await self.others.put(frame)
        except websockets.ConnectionClosed:
            pass
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("closed"))

    async def call(self, action: str, payload: dict[str, Any], message_id: str = "") -> list[Any]:
        """Send a CALL and wait for its answer, the whole frame."""
        message_id = message_id or f"m{next(self._ids)}"
        answer = self._answers[message_id] = asyncio.get_running_loop().create_future()
        await self.raw(json.dumps([2, message_id, action, payload]))
        return await asyncio.wait_for(answer, 15)

    async def ok(self, action: str, payload: dict[str, Any], message_id: str = "") -> dict[str, Any]:
        """The payload of a CALLRESULT; fails on a CALLERROR."""
        frame = await self.call(action, payload, message_id)
        assert frame[0] == 3, frame
        return dict(frame[2])

    async def raw(self, text: str | bytes) -> None:
        await self.socket.send(text)

    async def next_call(self) -> list[Any]:
        """The next CALL to us. ConnectionError if the socket ends first."""
        if not self.calls.empty():
            return self.calls.get_nowait()
        call = asyncio.create_task(self.calls.get())
        await asyncio.wait((call, self._reader), timeout=15, return_when=asyncio.FIRST_COMPLETED)
        if call.done():
            return call.result()
        call.cancel()
        if self._reader.done():
            raise ConnectionError(f"closed: {self.socket.close_code} {self.socket.close_reason}")
        raise TimeoutError

    async def next_of(self, action: str) -> list[Any]:
        """The next CALL of this action to us; others before it are refused as not implemented."""
        while (call := await self.next_call())[2] != action:
            await self.raw(json.dumps([4, call[1], "NotImplemented", "", {}]))
        return call

    async def next_other(self) -> list[Any]:
        return await asyncio.wait_for(self.others.get(), 15)

    async def answer(self, call: list[Any], payload: dict[str, Any]) -> None:
        await self.raw(json.dumps([3, call[1], payload]))

    async def closed(self) -> tuple[int, str]:
        """(code, reason) of the other side's close."""
        await asyncio.wait_for(self.socket.wait_closed(), 15)
        return self.socket.close_code or 0, self.socket.close_reason or ""


def elsewhere() -> str:
    """An address of this machine that nobody else uses: who is refused is made to wait at the next try from there."""
    return f"127.{1 + secrets.randbelow(250)}.{secrets.randbelow(250)}.{1 + secrets.randbelow(250)}"


@asynccontextmanager
async def charger(
    ws_url: str,
    tenant: str,
    identity: str,
    password: str | bytes | None,
    version: str | None = "1.6",
    *,
    path: str = "",
    user: str = "",
    headers: dict[str, str] | None = None,
    tls: Any = None,
    source: str = "",
) -> AsyncIterator[Charger]:
    """A connected charger. InvalidStatus (of `websockets`) where the upgrade is refused.
    `version` may name several, best first. `tls` is its SSLContext, `source` the address it comes from:
    each from its own, as a rule."""
    path = path or f"/ocpp/{tenant}/{quote(identity, safe='')}"
    sent = dict(headers or {})
    if password is not None:
        sent["Authorization"] = basic(user or identity, password)
    offered = version.split(", ") if version else []
    protocols: Any = [SUBPROTOCOL.get(one, one) for one in offered] or None
    async with connect(
        ws_url + path,
        subprotocols=protocols,
        additional_headers=sent,
        open_timeout=30,
        max_size=None,
        ssl=tls,
        proxy=None,
        local_addr=(source or elsewhere(), 0),
    ) as socket:
        yield Charger(socket)
