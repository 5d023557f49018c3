"""Live updates for open pages: small messages to the tenant's group, after the commit. Losing one is harmless.

What was sent lately is remembered in a stream of the tenant, for pages that were drawn before it and listen since.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import transaction
from redis.asyncio import Redis

from tenants.context import current_alias

log = logging.getLogger("voltyard.live")

Event = dict[str, Any]
GATHER_SECONDS = 0.05  # what happens within it goes out together
MOST_WAITING = 10_000
REMEMBERED_SECONDS = 60


def group(tenant_id: int) -> str:
    return f"live.{tenant_id}"


def event(*, kind: str, station_id: int, site_id: int, data: dict[str, Any]) -> Event:
    """`kind`: station | connector | session | command; `data`: {"id": ..., "session_id": ...} and what a tile needs."""
    return {"kind": kind, "station_id": station_id, "site_id": site_id, "data": data}


def publish(tenant_id: int, *, kind: str, station_id: int, site_id: int, data: dict[str, Any]) -> None:
    """Tell open pages, once the transaction is committed, that something changed."""
    publish_many(tenant_id, [event(kind=kind, station_id=station_id, site_id=site_id, data=data)])


def publish_many(tenant_id: int, events: Sequence[Event]) -> None:
    """The same for all that a batch has changed."""
    if events:
        transaction.on_commit(lambda: _sender().put(tenant_id, events), using=current_alias(), robust=True)


async def recent(tenant_id: int, seconds: float) -> list[Event]:
    """What was sent within so many seconds, at most REMEMBERED_SECONDS, oldest first."""
    since = int((time.time() - min(seconds, REMEMBERED_SECONDS)) * 1000)
    async with Redis.from_url(settings.REDIS_URL) as redis:
        batches: Any = await redis.xrange(stream(tenant_id), min=since)
    return _newest([one for _id, fields in batches for one in read(fields)])


def stream(tenant_id: int) -> str:
    """The Redis stream that remembers a tenant's events; `read` takes its entries."""
    return f"voltyard.{group(tenant_id)}"


def read(fields: Mapping[bytes, bytes]) -> list[Event]:
    events: list[Event] = orjson.loads(fields[b"events"])
    return events


class _Sender(threading.Thread):
    """Sends from one event loop of its own: a loop for each message would open a Redis connection for each (700 us)."""

    def __init__(self) -> None:
        super().__init__(name="live", daemon=True)
        self.pid = os.getpid()
        self.waiting: deque[tuple[int, Sequence[Event]]] = deque(maxlen=MOST_WAITING)
        self.loop = asyncio.new_event_loop()
        self.wake = asyncio.Event()
        self.redis: Redis | None = None
        self.start()

    def put(self, tenant_id: int, events: Sequence[Event]) -> None:
        self.waiting.append((tenant_id, events))
        if not self.wake.is_set():
            self.loop.call_soon_threadsafe(self.wake.set)

    def run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._send_for_ever())

    async def _send_for_ever(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            await self._send_waiting()
            await asyncio.sleep(GATHER_SECONDS)

    async def _send_waiting(self) -> None:
        gathered: dict[int, list[Event]] = {}
        while self.waiting:
            tenant_id, events = self.waiting.popleft()
            gathered.setdefault(tenant_id, []).extend(events)
        for tenant_id, events in gathered.items():
            try:
                await self._send(tenant_id, _newest(events))
            except Exception as error:  # Redis away in any of its ways: pages catch up when they load again
                log.warning("live update not sent", extra={"error": str(error)[:200]})

    async def _send(self, tenant_id: int, events: list[Event]) -> None:
        layer = get_channel_layer()
        if layer is None or not settings.REDIS_URL:
            return
        if self.redis is None:
            self.redis = Redis.from_url(settings.REDIS_URL)
        key = stream(tenant_id)
        since = int((time.time() - REMEMBERED_SECONDS) * 1000)
        # Remembered first: a page that begins to listen in between hears of it twice, not never.
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.xadd(key, {"events": orjson.dumps(events)}, minid=since)
            pipe.expire(key, REMEMBERED_SECONDS)
            await pipe.execute()
        await layer.group_send(group(tenant_id), {"type": "live.events", "events": events})


def _newest(events: list[Event]) -> list[Event]:
    """One event for each thing: pages fetch what is now, not what was."""
    return list({(one["kind"], one["station_id"], one["data"].get("id")): one for one in events}.values())


_lock = threading.Lock()
_running: list[_Sender] = []


def _sender() -> _Sender:
    with _lock:
        if not _running or _running[0].pid != os.getpid():  # a forked worker has none
            _running[:] = [_Sender()]
        return _running[0]
