"""Applies the journal: frames that were acknowledged on being stored become status, readings and events.

A process of its own beside each gateway, so that applying never delays acknowledging. Any applier may take up any
gateway's journal (an advisory lock keeps two from the same one), so what a killed gateway left is applied by others.
Effects and cursor commit together: each frame is applied once.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from psycopg.errors import DeadlockDetected

from stations.neutral import EventReport
from stations.ocpp import recording
from stations.ocpp.version import Asked, Journal, Transfer
from stations.ocpp.versions import BY_NAME
from stations.services import events
from tenants import rows
from tenants.context import tenant_scope

log = logging.getLogger("voltyard.gateway.applier")

# Between two looks: what has gathered by then is applied at half the cost of piece by piece.
PACE_SECONDS = 0.2
# From so many frames on the pause is longer: each sweep saves every session that was heard of.
BUSY, BUSY_PACE_SECONDS = 200, 0.5
LAG = timedelta(days=2)  # a journal that waited longer is left to a person; its frames stay in the log
BATCH = 2000


class Applier:
    def __init__(self) -> None:
        self.stopping = False

    def stop(self, *_signal: Any) -> None:
        self.stopping = True

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the gateway ends us
        while not self.stopping:
            begun = time.monotonic()
            try:
                applied = sweep()
            except Exception:  # whatever it was, the journal is still there: go on
                log.exception("journal not applied")
                connection.close()
                applied = 0
                time.sleep(1)
            if applied < BATCH:
                pace = PACE_SECONDS if applied < BUSY else BUSY_PACE_SECONDS
                time.sleep(max(0.0, begun + pace - time.monotonic()))


def sweep() -> int:
    """Apply a batch of every journal that waits. Returns how many frames were applied."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, gateway FROM stations_journal_waiting()")
        waiting = cursor.fetchall()
    return sum(apply_batch(tenant_id, gateway) for tenant_id, gateway in waiting)


_STANDING = """
SELECT coalesce((SELECT c.applied_id FROM stations_journalcursor c
                 WHERE c.tenant_id = %(tenant)s AND c.gateway = %(gateway)s), 0),
       coalesce((SELECT h.last_id FROM stations_journalhead h
                 WHERE h.tenant_id = %(tenant)s AND h.gateway = %(gateway)s), 0)
"""
# `received_at` spares looking into the partitions of other days.
_WAITING = """
SELECT f.id, f.station_id, f.received_at, f.action, f.message_type, f.ocpp_version, f.payload FROM stations_frame f
WHERE f.tenant_id = %(tenant)s AND f.gateway = %(gateway)s AND f.apply AND f.id > %(applied)s
    AND f.received_at > %(since)s
ORDER BY f.id LIMIT %(most)s
"""
_ADVANCE = """
INSERT INTO stations_journalcursor (tenant_id, gateway, applied_id) VALUES (%(tenant)s, %(gateway)s, %(to)s)
ON CONFLICT (tenant_id, gateway) DO UPDATE SET applied_id = excluded.applied_id
"""


def apply_batch(tenant_id: int, gateway: str) -> int:
    with tenant_scope(tenant_id):
        with connection.cursor() as cursor:
            # What is lost with the machine is lost together with the cursor, and applied again: no wait for the disk.
            cursor.execute(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, %s)), "
                "set_config('synchronous_commit', 'off', true)",
                [f"journal {gateway}", tenant_id],
            )
            if not cursor.fetchone()[0]:
                return 0
        # The head before the frames are looked for: what is stored in between must not count as passed.
        [(applied, head)] = rows.run(_STANDING, tenant_id, [], gateway=gateway)
        since = timezone.now() - LAG
        waiting = rows.run(_WAITING, tenant_id, [], gateway=gateway, applied=applied, since=since, most=BATCH)
        if waiting:
            _apply(tenant_id, waiting)
            rows.run(_ADVANCE, tenant_id, [], gateway=gateway, to=waiting[-1][0])
        elif head > applied:
            log.error(
                "journal passed over: its frames are older than its patience", extra={"gateway": gateway}
            )
            rows.run(_ADVANCE, tenant_id, [], gateway=gateway, to=head)
    return len(waiting)


def _apply(tenant_id: int, taken: Sequence[Any]) -> None:
    """All together; if that fails, halves, so that a poison frame is left out alone."""
    try:
        with transaction.atomic():
            _record(tenant_id, taken)
    except DatabaseError as error:
        if isinstance(error.__cause__, DeadlockDetected):
            raise  # others wait for the same rows: all of it again, and in vain for none
        if connection.closed_in_transaction or not connection.is_usable():
            raise
        _divide(tenant_id, taken, error)
    except Exception as error:
        _divide(tenant_id, taken, error)


def _divide(tenant_id: int, taken: Sequence[Any], error: Exception) -> None:
    if len(taken) > 1:
        half = len(taken) // 2
        _apply(tenant_id, taken[:half])
        _apply(tenant_id, taken[half:])
        return
    frame_id, station_id, received_at, action, *_rest = taken[0]
    log.error("frame not applied", exc_info=error, extra={"frame": frame_id, "action": action})
    note = EventReport(
        station_id=station_id, kind="note", severity="warning", text=f"A {action} could not be understood; it is kept.",
        raw_timestamp="", received_at=received_at, detail={"frame": frame_id},
    )  # fmt: skip
    events.record(tenant_id=tenant_id, reports=[note])


def _record(tenant_id: int, taken: Sequence[Any]) -> None:
    told = []
    for _id, station_id, received_at, action, message_type, version, payload in taken:
        table: Any = BY_NAME[version].sends if message_type == 6 else BY_NAME[version].answers
        asked = Asked(station_id, received_at, orjson.loads(payload))
        journal = table[action]
        if isinstance(journal, Transfer):
            journal = journal.row(asked)
        assert isinstance(journal, Journal) and journal.decode is not None
        told += journal.decode(asked)
    recording.record(tenant_id=tenant_id, reports=told)
