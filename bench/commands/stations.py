"""Stations that answer at once what they are told, and know when it came."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from bench.gateway.loops import Station, Target


@dataclass(frozen=True)
class Order:
    """A command as REST words it, the CALL it becomes, and a station's answer."""

    kind: str
    arguments: dict[str, Any]
    action: bytes
    answer: bytes


ORDERS = (
    Order("unlock", {"evse": 1, "connector": 1}, b"UnlockConnector", b'{"status":"Unlocked"}'),
    Order("clear_cache", {}, b"ClearCache", b'{"status":"Accepted"}'),
    Order(
        "set_availability", {"evse": 1, "operative": True}, b"ChangeAvailability", b'{"status":"Accepted"}'
    ),
    Order("trigger", {"message": "heartbeat"}, b"TriggerMessage", b'{"status":"Rejected"}'),
)
_ANSWERS = {order.action: order.answer for order in ORDERS}


class Commanded(Station):
    """A connected station that waits for commands."""

    def __init__(self, number: int, target: Target) -> None:
        super().__init__(number, target)
        self.last_call = 0.0
        self._expected: tuple[bytes, asyncio.Future[float]] | None = None

    def expect(self, order: Order) -> asyncio.Future[float]:
        """The moment (`time.perf_counter`) at which the order's CALL is there."""
        arrival: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._expected = order.action, arrival
        return arrival

    def _answer(self, text: bytes) -> None:
        self.last_call = now = time.perf_counter()
        message_id, action = text.split(b'"', 4)[1:4:2]
        if self._expected is not None and action == self._expected[0]:
            if not self._expected[1].done():  # nobody waits for one that came too late
                self._expected[1].set_result(now)
            self._expected = None
        answer = _ANSWERS.get(action)
        if answer is None or self.socket is None:
            super()._answer(text)
        else:
            self.socket.send(b'[3,"%s",%s]' % (message_id, answer))
