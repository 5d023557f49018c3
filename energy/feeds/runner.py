"""The feeds of the sites that one process steers: one task a meter, all in one loop. Broken ones harm no other.

What they tell is taken in batches, a transaction a tenant; while one is written the next gathers. Runs inside the
role `energy`: `Feeds("host:123").run(stop)` in a thread of its own, `keep(sites)` when the process has others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from functools import partial

from django.db import DatabaseError, InterfaceError

from energy.feeds.feed import Feed, Threads
from energy.feeds.problems import INTERNAL, UNUSABLE, FeedError
from energy.feeds.sources import SOURCES
from energy.models import SiteMeter
from energy.queries import SUPPLIES
from energy.readings import Told
from energy.services import meters
from tenants.errors import Invalid

log = logging.getLogger("voltyard.feeds")
LOOK_S = 3.0  # for meters that were changed
LEAST_WAIT_S, MOST_WAIT_S = 1.0, 60.0
STEADY_S = 30.0  # a feed that told readings for this long begins with the least wait again
MOST_WAITING = 5_000  # samples of a tenant, while the database is away; the oldest go first
AGAIN_S = 1.0
Site = tuple[int, int]  # tenant, grid connection


class Feeds:
    """`owner`: of the process, for its log."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._sites: frozenset[Site] = frozenset()
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def keep(self, sites: Iterable[Site]) -> None:
        """These sites from now on, and no others. From any thread; again when their meters have changed."""
        with self._lock:
            self._sites = frozenset(sites)
            if self._running is not None:
                self._running.look_soon()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        asyncio.run(self._main(stop))

    async def _main(self, stop: threading.Event) -> None:
        running = _Running(lambda: self._sites)
        with self._lock:
            self._running = running
        try:
            await running.until(stop)
        finally:
            with self._lock:
                self._running = None
            await running.end()


async def ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel them until they have ended: the `wait_for` of Python 3.11, which pymodbus uses, loses a cancellation that
    comes together with its answer."""
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _done, waiting = await asyncio.wait(waiting, timeout=AGAIN_S / 2)


class _Running:
    def __init__(self, sites: Callable[[], frozenset[Site]]) -> None:
        self._sites = sites
        self._loop = asyncio.get_running_loop()
        self._look = asyncio.Event()
        self._threads = Threads()
        self._tasks: dict[int, tuple[tuple[Feed, str], asyncio.Task[None]]] = {}
        self._writer = _Writer(self._threads)

    def look_soon(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has just ended
            self._loop.call_soon_threadsafe(self._look.set)

    async def until(self, stop: threading.Event) -> None:
        looked = 0.0
        while not stop.is_set():
            if self._look.is_set() or self._loop.time() - looked >= LOOK_S:
                self._look.clear()
                looked = self._loop.time()
                await self._tend()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), 0.2)

    async def end(self) -> None:
        await ended(task for _feed, task in self._tasks.values())
        await self._writer.end()
        await asyncio.to_thread(self._threads.close)

    async def _tend(self) -> None:
        """Feeds of meters that are gone or were changed end; those of new ones begin."""
        wanted: dict[int, tuple[Feed, str]] = {}
        by_tenant: dict[int, list[int]] = defaultdict(list)
        for tenant_id, connection_id in self._sites():
            by_tenant[tenant_id].append(connection_id)
        for tenant_id, connections in by_tenant.items():
            try:
                wanted |= await self._threads.within(tenant_id, partial(_feeds, tenant_id, connections))
            except Exception:  # the database is away, or a secret cannot be read: what runs goes on
                log.exception("meters could not be looked up", extra={"tenant": tenant_id})
                mine = {
                    key: one for key, (one, _task) in self._tasks.items() if one[0].tenant_id == tenant_id
                }
                wanted |= mine
        for meter_id, (known, task) in list(self._tasks.items()):
            if wanted.get(meter_id) != known or task.done():
                await ended([task])
                del self._tasks[meter_id]
        for meter_id, one in wanted.items():
            if meter_id not in self._tasks:
                self._tasks[meter_id] = one, self._loop.create_task(self._serve(*one))

    async def _serve(self, feed: Feed, source: str) -> None:
        """One meter, for as long as it is wanted."""
        wait = LEAST_WAIT_S
        while True:
            began = self._loop.time()
            try:
                await self._read(feed, source)
                error = FeedError(INTERNAL)
            except FeedError as found:
                error = found
            except Exception:
                log.exception("a feed broke", extra={"meter": feed.meter_id, "tenant": feed.tenant_id})
                error = FeedError(INTERNAL)
            if self._loop.time() - began > STEADY_S:
                wait = LEAST_WAIT_S
            self._writer.failed(feed, str(error))
            await asyncio.sleep(wait * random.uniform(0.75, 1.25))
            wait = min(wait * 2, MOST_WAIT_S)

    async def _read(self, feed: Feed, source: str) -> None:
        read = SOURCES[source].read
        assert read is not None
        async with contextlib.aclosing(read(feed, self._threads)) as readings:
            async for told in readings:
                self._writer.take(feed.tenant_id, told)


class _Writer:
    """What was told, and what is wrong, on its way to the database. A tenant has one batch under way at a time."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._told: dict[int, deque[Told]] = defaultdict(lambda: deque(maxlen=MOST_WAITING))
        self._errors: dict[int, dict[int, str]] = defaultdict(dict)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def take(self, tenant_id: int, told: Told) -> None:
        self._told[tenant_id].append(told)
        self._errors[tenant_id].pop(told.meter_id, None)
        self._start(tenant_id)

    def failed(self, feed: Feed, error: str) -> None:
        self._errors[feed.tenant_id][feed.meter_id] = error
        self._start(feed.tenant_id)

    def _start(self, tenant_id: int) -> None:
        task = self._tasks.get(tenant_id)
        if task is None or task.done():
            self._tasks[tenant_id] = asyncio.get_running_loop().create_task(self._write(tenant_id))

    async def _write(self, tenant_id: int) -> None:
        told, errors = self._told[tenant_id], self._errors[tenant_id]
        while told or errors:
            batch, wrong = list(told), dict(errors)
            told.clear()
            errors.clear()
            try:
                await self._threads.within(tenant_id, partial(_keep, tenant_id, batch, wrong))
            except (DatabaseError, InterfaceError):
                log.warning(
                    "readings wait for the database", extra={"tenant": tenant_id, "count": len(batch)}
                )
                told.extendleft(
                    reversed(batch[-(MOST_WAITING - len(told)) :] if len(told) < MOST_WAITING else [])
                )
                self._errors[tenant_id] = errors = wrong | errors
                await asyncio.sleep(AGAIN_S)
            except Exception:
                log.exception("readings could not be kept", extra={"tenant": tenant_id, "count": len(batch)})
        del self._told[tenant_id], self._errors[tenant_id]

    async def end(self) -> None:
        """What is under way is still written."""
        if waiting := [task for task in self._tasks.values() if not task.done()]:
            _done, late = await asyncio.wait(waiting, timeout=2)
            for task in late:
                task.cancel()


def _keep(tenant_id: int, batch: list[Told], wrong: dict[int, str]) -> None:
    taken = meters.take(tenant_id=tenant_id, samples=batch) if batch else meters.Taken()
    wrong |= {refused.meter_id: str(FeedError(UNUSABLE, refused.why)) for refused in taken.refused}
    for meter_id, error in sorted(wrong.items()):
        meters.fail(tenant_id=tenant_id, meter_id=meter_id, error=error)


def _feeds(tenant_id: int, connections: list[int]) -> dict[int, tuple[Feed, str]]:
    """By meter: what is read of these sites, with settings that can be used."""
    found = {}
    read = [source for source, one in SOURCES.items() if one.read is not None]
    rows = SiteMeter.objects.select_related("connection").filter(
        tenant_id=tenant_id, connection_id__in=connections, enabled=True, source__in=read
    )
    for meter in rows:
        try:
            settings = SOURCES[meter.source].checked(meter.settings)
        except Invalid:  # of an earlier version: who looks at the meter sees it
            log.warning("settings of a meter cannot be used", extra={"meter": meter.pk, "tenant": tenant_id})
            continue
        lines = len(SUPPLIES[meter.connection.supply].lines)
        found[meter.pk] = Feed(tenant_id, meter.pk, settings, meter.secret, lines), meter.source
    return found
