"""What both doors share: database and disk on threads, the bytes of an upload, a bound on what moves at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.conf import settings
from django.db import close_old_connections, connection

from stations.models import LogFile
from stations.services.files import logs, store
from tenants.context import tenant_scope

T = TypeVar("T")
THREADS = 8
PROGRESS_SECONDS = 1.0
IDLE_SECONDS = 60.0  # without a byte a transfer ends


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
    """How many files move now."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def full(self) -> bool:
        return self._count >= settings.FILES_TRANSFERS

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1


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


def describe(error: Exception) -> str:
    detail: Any = getattr(error, "detail", "")
    return str(detail or error)[:300]
