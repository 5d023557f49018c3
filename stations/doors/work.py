"""What both doors share: database and disk on threads, the bytes of an upload, a bound on what moves at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.conf import settings
from django.db import close_old_connections, connection

from stations.models import LogFile
from stations.services import words
from stations.services.files import logs, store, tickets
from tenants.context import tenant_scope
from tenants.errors import DomainError, TooMany

T = TypeVar("T")
THREADS = 8
PROGRESS_SECONDS = 1.0
IDLE_SECONDS = 60.0  # without a byte a transfer ends
LONGEST_SECONDS = 6 * 3600.0  # who gives a byte now and then keeps its place no longer than this
MOST_OF_A_TICKET = 4  # transfers at once: one station leaves the places of the others alone


class Threads:
    """Threads that hold no database connection between two calls."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="files")

    async def run(self, function: Callable[[], T]) -> T:
        def guarded() -> T:
            close_old_connections()
            try:
                return function()
            finally:
                connection.close()

        return await asyncio.get_running_loop().run_in_executor(self._pool, guarded)

    async def within(self, tenant_id: int, function: Callable[[], T]) -> T:
        """In one transaction of the tenant."""

        def inside() -> T:
            with tenant_scope(tenant_id):
                return function()

        return await self.run(inside)


class Moving:
    """How many files move now, and by which tickets."""

    def __init__(self) -> None:
        self._tickets: Counter[int] = Counter()

    @property
    def full(self) -> bool:
        return self._tickets.total() >= settings.FILES_TRANSFERS

    @contextlib.contextmanager
    def one(self, ticket_id: int) -> Iterator[None]:
        """A place for a transfer by this ticket. TooMany where it has enough of them."""
        if self._tickets[ticket_id] >= MOST_OF_A_TICKET:
            raise TooMany("Files of this address are moving already. Wait until they have ended.")
        self._tickets[ticket_id] += 1
        try:
            yield
        finally:
            self._tickets[ticket_id] -= 1
            if not self._tickets[ticket_id]:
                del self._tickets[ticket_id]


async def begin_upload(
    threads: Threads, found: tickets.Found, *, expected: int | None, address: str
) -> logs.Upload:
    """Leave to upload one file. A refusal is kept for who waits for it, in a transaction of its own."""
    tenant_id, ticket_id = found.tenant_id, found.ticket_id
    try:
        return await threads.within(
            tenant_id,
            lambda: logs.begin_upload(
                tenant_id=tenant_id, ticket_id=ticket_id, expected=expected, address=address
            ),
        )
    except DomainError as error:
        why = describe(error)
        await threads.within(
            tenant_id, lambda: logs.turned_away(tenant_id=tenant_id, ticket_id=ticket_id, why=why)
        )
        raise


class Receiving:
    """One upload from its first byte to its row. Leave it by `keep` or by `drop`."""

    def __init__(self, threads: Threads, upload: logs.Upload, protocol: str) -> None:
        self.upload, self.protocol = upload, protocol
        self._threads = threads
        self._spooled = store.spool(upload.limit)
        self._told = time.monotonic()

    @property
    def size(self) -> int:
        return self._spooled.size

    async def write(self, data: bytes) -> None:
        """TooLarge once the request's limit is passed."""
        self._spooled.write(data)  # into the page cache: microseconds
        if time.monotonic() - self._told > PROGRESS_SECONDS:
            self._told = time.monotonic()
            upload, size = self.upload, self._spooled.size
            await self._threads.within(upload.tenant_id, lambda: logs.progress(upload=upload, received=size))

    async def keep(self, name: str) -> LogFile:
        upload, spooled = self.upload, self._spooled

        def stored() -> LogFile:
            size, sha256, head = spooled.size, spooled.sha256, spooled.head
            storage_name = spooled.keep(logs.folder(upload.tenant_id))
            try:
                with tenant_scope(upload.tenant_id):
                    return logs.finish_upload(
                        upload=upload, storage_name=storage_name, name=name, size=size, sha256=sha256,
                        head=head, protocol=self.protocol,
                    )  # fmt: skip
            except BaseException:
                store.forget(storage_name)
                raise

        try:
            return await self._threads.run(stored)
        finally:
            spooled.discard()

    async def drop(self, why: str) -> None:
        self._spooled.discard()
        upload = self.upload
        await self._threads.within(upload.tenant_id, lambda: logs.broken_upload(upload=upload, why=why))


class BrokeOff(Exception):
    """The peer went away, or fell silent."""


def describe(error: BaseException) -> str:
    """For the peer, and for who waits for the file: nothing of our inside."""
    if isinstance(error, DomainError):
        return error.detail[:300]
    if isinstance(error, BrokeOff) and str(error):
        return str(error)
    if isinstance(error, ConnectionError | TimeoutError | asyncio.CancelledError | BrokeOff):
        return words.BROKE_OFF
    return words.OUR_TROUBLE
