"""A WebSocket client as cheap as Python allows, so that the generator is not what is measured.

Frames are masked with zeros, which RFC 6455 permits and which costs nothing.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import cast
from urllib.parse import quote, urlsplit

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame."""
    size = len(payload)
    if size < 126:
        return bytes((opcode, 0x80 | size)) + b"\0\0\0\0" + payload
    if size < 65536:
        return bytes((opcode, 0xFE)) + size.to_bytes(2, "big") + b"\0\0\0\0" + payload
    return bytes((opcode, 0xFF)) + size.to_bytes(8, "big") + b"\0\0\0\0" + payload


class Refused(Exception):
    """The server answered the upgrade with something else than 101."""


class Socket(asyncio.Protocol):
    """One connection. `on_text` gets each whole message; `on_lost` is told when it ends."""

    def __init__(self, url: str, identity: str, password: str, subprotocol: str) -> None:
        parts = urlsplit(url)
        path = f"{parts.path.rstrip('/')}/{quote(identity, safe='')}"
        headers = [
            f"GET {path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Protocol: {subprotocol}",
        ]
        if password:
            text = base64.b64encode(f"{identity}:{password}".encode()).decode()
            headers.append(f"Authorization: Basic {text}")
        self._request = ("\r\n".join(headers) + "\r\n\r\n").encode()
        self._buffer = b""
        self._open = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_text: Callable[[bytes], None] = lambda _text: None
        self.on_lost: Callable[[], None] = lambda: None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._open:
            self._read_head()
        if self._open and self._buffer:
            self._read_frames()

    def _read_head(self) -> None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if b" 101 " not in head[:20]:
            self.ready.set_exception(Refused(head.splitlines()[0].decode(errors="replace")))
            self.abort()
            return
        self._open, self._buffer = True, rest
        self.ready.set_result(None)

    def _read_frames(self) -> None:
        data, at, end = self._buffer, 0, len(self._buffer)
        while end - at >= 2:
            opcode, size, start = data[at], data[at + 1], at + 2
            if size == 126:
                if end - at < 4:
                    break
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                if end - at < 10:
                    break
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if end - start < size:
                break
            at = start + size
            self._take(opcode, data[start:at])
        self._buffer = data[at:]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self.on_text(payload)
        elif opcode == PING:
            self.write(frame(payload, PONG))
        elif opcode == CLOSE:
            self.abort()

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def send(self, text: bytes) -> None:
        self.write(frame(text))

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, _error: BaseException | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionResetError("lost during the upgrade"))
        self.transport = None
        self.on_lost()


async def connect(url: str, identity: str, password: str, subprotocol: str = "ocpp1.6") -> Socket:
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    _transport, socket = await loop.create_connection(
        lambda: Socket(url, identity, password, subprotocol), parts.hostname or "127.0.0.1", parts.port or 80
    )
    await socket.ready
    return socket
