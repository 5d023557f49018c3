"""What every source is given, and the threads on which it may wait: names and connecting, the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import close_old_connections, connection

from energy.readings import Told
from tenants.context import tenant_scope

T = TypeVar("T")
CONNECTING = 64  # at once: who cannot be reached holds a thread for `address.CONNECT_S`
ASKING = 4


@dataclass(frozen=True)
class Feed:
    """A meter as its source sees it. `lines`: of its supply. `retained`: what a broker has kept counts too (to try it
    once)."""

    tenant_id: int
    meter_id: int
    settings: Mapping[str, Any]
    secret: str = field(default="", repr=False)
    lines: int = 3
    retained: bool = False


class Threads:
    """Of one loop. `close` when it ends."""

    def __init__(self) -> None:
        self._net = ThreadPoolExecutor(CONNECTING, thread_name_prefix="feeds-net")
        self._data = ThreadPoolExecutor(ASKING, thread_name_prefix="feeds-data")

    async def net(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._net, function, *arguments)

    async def within(self, tenant_id: int, function: Callable[[], T]) -> T:
        """In one transaction of the tenant; no connection is held between two."""

        def guarded() -> T:
            close_old_connections()
            try:
                with tenant_scope(tenant_id):
                    return function()
            finally:
                connection.close()

        return await asyncio.get_running_loop().run_in_executor(self._data, guarded)

    def close(self) -> None:
        self._net.shutdown(wait=False, cancel_futures=True)
        self._data.shutdown(wait=True, cancel_futures=True)


# Tells one reading after the other, until it is closed or raises FeedError.
Readings = AsyncGenerator[Told, None]
Reader = Callable[[Feed, Threads], Readings]
