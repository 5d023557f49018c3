"""The reference: a bare `websockets` server that sends back what it gets. No parsing, no database.

Run as `python -m bench.echo PORT`; it prints "ready" when it listens.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, serve


async def _echo(connection: ServerConnection) -> None:
    async for text in connection:
        await connection.send(text)


async def main(port: int) -> None:
    async with serve(
        _echo,
        "127.0.0.1",
        port,
        subprotocols=["ocpp1.6"],  # type: ignore[list-item]
        compression=None,
        ping_interval=None,
        backlog=4096,
    ):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
