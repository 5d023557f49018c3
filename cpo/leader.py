"""One leader among many processes, by an advisory lock that PostgreSQL frees when its holder is gone."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections

log = logging.getLogger(__name__)

POLL_S = 2.0


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"voltyard leader {name}".encode()).digest()[:8], "big", signed=True)


def _connect() -> psycopg.Connection[tuple[object, ...]]:
    """A session of our own: the lock must neither end with a request nor travel through a pool."""
    parameters = connections["default"].get_connection_params()
    for ours in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(ours, None)
    parameters |= {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
    return psycopg.connect(**parameters, autocommit=True)


def _acquire(name: str) -> psycopg.Connection[tuple[object, ...]]:
    told = False
    while True:
        try:
            session = _connect()
            while True:
                row = session.execute("SELECT pg_try_advisory_lock(%s)", [_key(name)]).fetchone()
                if row and row[0]:
                    return session
                if not told:
                    log.info("another %s leads, waiting to take over", name)
                    told = True
                time.sleep(POLL_S)
        except psycopg.OperationalError as error:
            log.warning("no leader for %s can be chosen, the database does not answer: %s", name, error)
            time.sleep(POLL_S)


def _watch(name: str, session: psycopg.Connection[tuple[object, ...]], over: threading.Event) -> None:
    """End this process as soon as the lock may be another's."""
    while not over.wait(POLL_S):
        try:
            session.execute("SELECT 1")
        except psycopg.Error:
            if over.is_set():
                return
            log.error("the leader's lock of %s is lost, ending so that another may lead", name)
            os.kill(os.getpid(), signal.SIGTERM)
            if not over.wait(10):
                os._exit(1)


@contextmanager
def lead(name: str) -> Iterator[None]:
    """Wait until this process is the one leader called `name`; if that is lost later, the process ends."""
    session, over = _acquire(name), threading.Event()
    log.info("leading %s", name)
    threading.Thread(target=_watch, args=(name, session, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        session.close()
