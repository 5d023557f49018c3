"""Group commit: what many stations say at once becomes durable together.

A lane's thread with a database connection takes all that has gathered, commits it (verbs one transaction a tenant,
frames in one statement), and only then are the callers answered. A poison row fails alone: a failed batch is halved
until the culprit stands by itself. An unreachable database is waited for, up to PATIENCE_SECONDS.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import psycopg
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from stations.ocpp import metrics
from tenants.context import tenant_scope

log = logging.getLogger("voltyard.gateway.writer")

LINGER_SECONDS = 0.003  # gathers larger batches: 15 % less CPU at load, 3 ms at rest
IDLE_SECONDS = 5.0  # then a lane gives its database connection back
PATIENCE_SECONDS = 20.0
MAX_WAITING = 20_000  # beyond it callers wait for room, and with them their stations
BATCH = 2_000
Verb = Callable[..., Sequence[Any]]  # verb(tenant_id=..., requests=[...]) -> one answer a request


class Item:
    """One thing to make durable: a frame row, or a request to a verb."""

    __slots__ = ("future", "key", "payload")

    def __init__(
        self, key: tuple[int, Verb] | None, payload: Any, future: asyncio.Future[Any] | None
    ) -> None:
        self.key, self.payload, self.future = key, payload, future


class Lane:
    """A queue, and the thread that commits what has gathered in it."""

    def __init__(
        self, name: str, commit_group: Callable[[tuple[int, Verb] | None, list[Any]], Sequence[Any]]
    ) -> None:
        self.waiting: list[Item] = []
        self.closing = False
        self._commit_group = commit_group
        self.loop = asyncio.get_running_loop()  # kept: to ask for it costs a system call each time
        self._room = asyncio.Event()
        self._work = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._task = asyncio.create_task(self._run())

    def put(self, item: Item) -> None:
        self.waiting.append(item)
        self._work.set()

    async def room(self) -> None:
        while len(self.waiting) >= MAX_WAITING:
            self._room.clear()
            await self._room.wait()

    async def close(self) -> None:
        """Commit what waits, then end the thread."""
        self.closing = True
        self._work.set()
        await self._task
        await self._give_back()
        self._thread.shutdown()

    async def _give_back(self) -> None:
        # The lambda, because `connection` means the one of the thread on which it is asked for.
        await self.loop.run_in_executor(self._thread, lambda: connection.close())

    async def _run(self) -> None:
        holds = False
        while not (self.closing and not self.waiting):
            try:
                async with asyncio.timeout(IDLE_SECONDS if holds else None):
                    await self._work.wait()
            except TimeoutError:
                await self._give_back()
                holds = False
                continue
            if not self.closing:
                await asyncio.sleep(LINGER_SECONDS)
            batch, self.waiting = self.waiting[:BATCH], self.waiting[BATCH:]
            if not self.waiting and not self.closing:
                self._work.clear()
            self._room.set()
            if not batch:
                continue
            metrics.BATCH_SIZE.observe(len(batch))
            holds = True
            outcomes = await self.loop.run_in_executor(self._thread, self._commit, batch)
            for item, outcome in zip(batch, outcomes, strict=True):
                if item.future is None or item.future.done():
                    continue
                if isinstance(outcome, BaseException):
                    item.future.set_exception(outcome)
                else:
                    item.future.set_result(outcome)

    # --- on the lane's thread ---

    def _commit(self, batch: list[Item]) -> list[Any]:
        """The outcome of each item, an exception where it failed."""
        groups: dict[tuple[int, Verb] | None, list[int]] = {}
        for place, item in enumerate(batch):
            groups.setdefault(item.key, []).append(place)
        outcomes: list[Any] = [None] * len(batch)
        for key, places in groups.items():
            answers = self._stubbornly(key, [batch[place].payload for place in places])
            for place, answer in zip(places, answers, strict=True):
                outcomes[place] = answer
        return outcomes

    def _stubbornly(self, key: tuple[int, Verb] | None, payloads: list[Any]) -> list[Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return list(self._commit_group(key, payloads))
            except (OperationalError, InterfaceError) as error:
                if time.monotonic() > deadline or self.closing:
                    return [error] * len(payloads)
                log.warning("database away, trying again", extra={"error": str(error).splitlines()[0][:200]})
                close_old_connections()
                connection.close()
                time.sleep(0.2)
            except Exception as error:
                if len(payloads) == 1:
                    log.exception("not stored", extra={"verb": key[1].__name__ if key else "frame"})
                    return [error]
                half = len(payloads) // 2
                return self._stubbornly(key, payloads[:half]) + self._stubbornly(key, payloads[half:])


class Writer:
    """A lane for frames, which are many and alike, and one for each verb, so that none waits for another's thinking.

    Each keeps the order of a station's requests.
    """

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        self._frame_lane = Lane("frames", self._store_frames)
        self._verb_lanes: dict[Verb, Lane] = {}

    async def call(self, tenant_id: int, verb: Verb, request: Any) -> Any:
        """The verb's answer to this request, once it is committed. Tenant 0: before any tenant is known."""
        lane = self._verb_lanes.get(verb)
        if lane is None:
            lane = self._verb_lanes[verb] = Lane(verb.__name__, self._run_verb)
        return await self._wait(lane, (tenant_id, verb), request)

    async def frame(self, row: dict[str, Any]) -> None:
        """Returns once the frame is durable."""
        await self._wait(self._frame_lane, None, row)

    async def _wait(self, lane: Lane, key: tuple[int, Verb] | None, payload: Any) -> Any:
        if len(lane.waiting) >= MAX_WAITING:
            await lane.room()
        future: asyncio.Future[Any] = lane.loop.create_future()
        lane.put(Item(key, payload, future))
        return await future

    def note_frame(self, row: dict[str, Any]) -> None:
        """Keep a frame whose durability nobody waits for. Left out, and counted, when the queue is full."""
        if len(self._frame_lane.waiting) >= MAX_WAITING:
            metrics.FRAMES_NOT_KEPT.inc()
            return
        self._frame_lane.put(Item(None, row, None))

    async def close(self) -> None:
        await asyncio.gather(*(lane.close() for lane in self._verb_lanes.values()))
        await self._frame_lane.close()

    def _store_frames(self, key: Any, rows: list[Any]) -> list[None]:
        connection.ensure_connection()
        with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
            batch = orjson.dumps(rows).decode()
            cursor.execute("SELECT stations_ingest_frames(%s, %s::json)", [self.gateway, batch], prepare=True)
        return [None] * len(rows)

    def _run_verb(self, key: Any, requests: list[Any]) -> Sequence[Any]:
        tenant_id, verb = key
        if not tenant_id:
            return verb(requests=requests)
        with tenant_scope(tenant_id):
            return verb(tenant_id=tenant_id, requests=requests)
