"""A station for code that does not run in an event loop, such as browser tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from simulator.station import SimulatedStation

T = TypeVar("T")


class StationThread:
    """A SimulatedStation in an event loop of its own.

    with StationThread(url=..., identity=..., password=...) as own:
        own.do(own.station.plug_in(1))
        own.do(own.station.start(1, "04A1B2C3"))
    """

    def __init__(self, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="simulated station")
        self._thread.start()
        self.station: SimulatedStation = self.do(_make(options))

    def do(self, work: Coroutine[Any, Any, T], timeout: float = 60) -> T:
        """Run one of the station's coroutines to its end, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def __enter__(self) -> Self:
        try:
            self.do(self.station.connect())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self.station.close())
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _make(options: dict[str, Any]) -> SimulatedStation:
    return SimulatedStation(**options)
