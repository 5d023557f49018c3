"""Frames as TCP may cut them: the short way for whole text frames and the long way for all else are one stream."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn import Config
from websockets.http11 import Request
from websockets.server import ServerProtocol

from stations.models import Station
from stations.ocpp.socket import StationSocket
from tenants.models import Tenant
from tests.servers import Role
from tests.stations.ocpp.charger import upgrade

TEXT, CONTINUED, CLOSE, PING, PONG = 1, 0, 8, 9, 10
MASK = b"\x12\xfe\x56\x9a"


def frame(
    payload: bytes, opcode: int = TEXT, *, last: bool = True, mask: bytes = MASK, masked: bool = True
) -> bytes:
    """As a client sends it (RFC 6455 section 5.2)."""
    length, bit = len(payload), 0x80 if masked else 0
    head = bytes([(0x80 if last else 0) | opcode])
    if length < 126:
        head += bytes([bit | length])
    elif length < 65_536:
        head += bytes([bit | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    return head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))


def beat(message_id: str, padding: int = 0) -> bytes:
    """A Heartbeat; white space makes it longer."""
    return f'[2,"{message_id}","Heartbeat",{" " * padding}{{}}]'.encode()


class Raw:
    """A station's socket whose bytes are written out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, *segments: bytes) -> None:
        """Each in a segment of its own."""
        for n, segment in enumerate(segments):
            if n:
                await asyncio.sleep(0.02)
            self.writer.write(segment)
            await self.writer.drain()

    async def hear(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next frame."""
        async with asyncio.timeout(15):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self.reader.readexactly(2), "big")
            return first & 0x0F, await self.reader.readexactly(length)

    async def answered(self) -> str:
        """The message id of the next answer."""
        opcode, payload = await self.hear()
        assert opcode == TEXT, (opcode, payload)
        answer: list[Any] = json.loads(payload)
        assert answer[0] == 3, answer
        return str(answer[1])

    async def closed(self) -> int:
        """The code with which the gateway closes, whatever it says before."""
        while True:
            opcode, payload = await self.hear()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")


@asynccontextmanager
async def raw(gateway: Role, tenant: Tenant, station: Station) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    writer.write(upgrade(tenant, station))
    assert b" 101 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 15)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


ONE, TWO = frame(beat("one")), frame(beat("two"))
CUTS = {
    "whole": (ONE, TWO),
    "both at once": (ONE + TWO,),
    "byte by byte": (*(bytes([byte]) for byte in ONE), TWO),
    "after the first two bytes": (ONE[:2], ONE[2:], TWO),
    "after the head": (ONE[:6], ONE[6:], TWO),
    "in the middle of the second": (ONE + TWO[:9], TWO[9:]),
    "in fragments": (
        frame(beat("one")[:5], last=False),
        frame(beat("one")[5:9], CONTINUED, last=False),
        frame(beat("one")[9:], CONTINUED),
        TWO,
    ),
    "of middling length": (frame(beat("one", 300)), frame(beat("two", 125))),
    "long": (frame(beat("one", 70_000)), TWO),
    "without a mask to speak of": (frame(beat("one"), mask=b"\0\0\0\0"), TWO),
}


@pytest.mark.parametrize("segments", CUTS.values(), ids=CUTS.keys())
async def test_messages_are_understood_however_tcp_cuts_them(
    gateway: Role, tenant: Tenant, station: Station, segments: tuple[bytes, ...]
) -> None:
    async with raw(gateway, tenant, station) as wire:
        await wire.say(*segments)
        assert [await wire.answered(), await wire.answered()] == ["one", "two"]


async def test_a_ping_between_fragments_is_answered_and_disturbs_nothing(
    gateway: Role, tenant: Tenant, station: Station
) -> None:
    async with raw(gateway, tenant, station) as wire:
        await wire.say(frame(beat("one")[:9], last=False), frame(b"there?", PING))
        assert await wire.hear() == (PONG, b"there?")
        await wire.say(frame(beat("one")[9:], CONTINUED))
        assert await wire.answered() == "one"
        await wire.say(TWO)
        assert await wire.answered() == "two"


@pytest.mark.parametrize("first", [2, 4, 8], ids=["type and length", "half the head", "the head"])
async def test_what_looks_like_a_frame_within_another_is_none(
    gateway: Role, tenant: Tenant, station: Station, first: int
) -> None:
    outer = frame(ONE + b" " * 200, mask=b"\0\0\0\0")
    assert outer[8:].startswith(ONE)
    async with raw(gateway, tenant, station) as wire:
        await wire.say(outer[:first], outer[first:8], ONE, outer[8 + len(ONE) :])
        assert await wire.closed() == 1007  # its first byte is no UTF-8


async def test_a_fragment_is_not_overtaken_by_a_whole_message(
    gateway: Role, tenant: Tenant, station: Station
) -> None:
    async with raw(gateway, tenant, station) as wire:
        await wire.say(frame(beat("one")[:9], last=False), TWO)
        assert await wire.closed() == 1002  # RFC 6455 section 5.4: fragments of messages do not mix


@pytest.mark.parametrize(
    ("segment", "code"),
    [
        (frame(b'[2,"one","Heartbeat",{"\xff":1}]'), 1007),
        (frame(beat("one"), masked=False), 1002),
        (bytes([ONE[0] | 0x40]) + ONE[1:], 1002),
        (frame(b"x" * 2_000_000)[:1000], 1009),  # the head tells; the rest would meet a reset
    ],
    ids=["no UTF-8", "no mask", "a reserved bit", "too long"],
)
async def test_a_frame_that_breaks_the_rules_ends_the_socket(
    gateway: Role, tenant: Tenant, station: Station, segment: bytes, code: int
) -> None:
    async with raw(gateway, tenant, station) as wire:
        await wire.say(ONE)
        assert await wire.answered() == "one"
        await wire.say(segment)
        assert await wire.closed() == code


async def test_messages_sent_ahead_are_answered_in_order(
    gateway: Role, tenant: Tenant, station: Station
) -> None:
    async with raw(gateway, tenant, station) as wire:
        for n in range(40):
            await wire.say(frame(beat(f"m{n}")))
        assert [await wire.answered() for _n in range(40)] == [f"m{n}" for n in range(40)]


def test_a_whole_text_frame_goes_the_short_way() -> None:
    conn = ServerProtocol()
    conn.receive_data(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    [request] = conn.events_received()
    assert isinstance(request, Request)
    conn.send_response(conn.accept(request))
    one = StationSocket.__new__(StationSocket)
    one.conn, one.handshake_complete, one.close_sent = conn, True, False
    one.config = Config("cpo.asgi:gateway", ws_max_size=1000)
    assert one._whole_text(ONE) == beat("one").decode()
    conn.receive_data(TWO[:2])
    assert one._whole_text(ONE) is None
