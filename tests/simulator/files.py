"""A small HTTP server for stations: gives out one file, takes others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Files:
    def __init__(self) -> None:
        self.content = b"voltyard-firmware 4.0.0\nrest"
        self.taken: dict[str, bytes] = {}
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _version = head.split("\r\n", 1)[0].split(" ")
        length = next(
            (int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0
        )
        body = await reader.readexactly(length)
        status, answer = "200 OK", self.content
        if method in ("PUT", "POST"):
            self.taken[path], answer = body, b""
        elif path != "/fw.bin":
            status, answer = "404 Not Found", b""
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n".encode()
            + answer
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def files() -> AsyncIterator[Files]:
    own = Files()
    server = await asyncio.start_server(own.serve, "127.0.0.1", 0)
    own.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield own
