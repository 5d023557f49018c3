"""Transaction messages wait here until they are acknowledged, in order, over reconnects and reboots."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulator.transaction import Transaction


@dataclass
class Entry:
    """`build` makes the payload at the moment of sending: 1.6 learns the transaction id from an answer."""

    build: Callable[[], Any]
    transaction: Transaction | None
    kind: str  # start | update | stop
    done: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    attempts: int = 0

    def settle(self, answer: Any) -> None:
        if not self.done.done():
            self.done.set_result(answer)


class Outbox:
    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> Entry:
        self._entries.append(entry)
        self._filled.set()
        return entry

    async def head(self) -> Entry:
        """The oldest message; it stays until `drop` is told that it is settled."""
        while not self._entries:
            self._filled.clear()
            await self._filled.wait()
        return self._entries[0]

    def drop(self, entry: Entry) -> None:
        if self._entries and self._entries[0] is entry:
            self._entries.popleft()
