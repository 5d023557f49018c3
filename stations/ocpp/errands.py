"""Errands: what is asked of strangers on a station's behalf, so that a slow one harms nobody else.

Threads of their own, seats a company (whose provider hangs fills its own seats alone), and a time after which the
station gets an answer without it. A thread cannot be ended: its seat is free again when its own time-outs let it go.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection

from stations.ocpp import metrics
from stations.ocpp.version import Errand

log = logging.getLogger("voltyard.gateway")

THREADS = 64  # they mostly wait; none is made before it is needed
SEATS = 8  # a company


class Errands:
    def __init__(self) -> None:
        self.seconds = float(settings.OCPP_ERRAND_SECONDS)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="errands")
        self._seats: dict[int, asyncio.Semaphore] = {}

    async def run(self, tenant_id: int, errand: Errand, request: Any) -> Any:
        """The request as the errand brings it back, or as it is without it when the time is over."""
        seats = self._seats.setdefault(tenant_id, asyncio.Semaphore(SEATS))
        try:
            async with asyncio.timeout(self.seconds):
                await seats.acquire()
                return await asyncio.shield(self._begin(seats, tenant_id, errand, request))
        except TimeoutError:
            metrics.ERRANDS.labels("late").inc()
            log.warning("errand late", extra={"tenant": tenant_id, "errand": errand.run.__name__})
        except Exception:
            metrics.ERRANDS.labels("failed").inc()
            log.exception("errand failed", extra={"tenant": tenant_id, "errand": errand.run.__name__})
        return errand.late(request)

    def _begin(
        self, seats: asyncio.Semaphore, tenant_id: int, errand: Errand, request: Any
    ) -> asyncio.Future[Any]:
        def work() -> Any:
            close_old_connections()
            try:
                return errand.run(tenant_id=tenant_id, request=request)
            finally:
                connection.close()  # back to the pool: idle threads hold none

        try:
            future: asyncio.Future[Any] = asyncio.get_running_loop().run_in_executor(self._threads, work)
        except BaseException:
            seats.release()
            raise

        def over(done: asyncio.Future[Any]) -> None:
            seats.release()
            if not done.cancelled():
                done.exception()  # seen, though nobody may wait any more

        future.add_done_callback(over)
        return future

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
