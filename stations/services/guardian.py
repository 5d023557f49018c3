"""Ends sessions that never end by themselves: replaced by a newer one, without energy for long, station gone.

They are closed from the last known reading. Where that reading is old, nobody knows what flowed after it: such a
session is held for review. A late stop corrects it (stations.services.sessions).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from stations.models import SessionState
from stations.services import chronicle, clock, evidence, holding, sheets
from stations.services.sheet import GUARDIAN_UNSURE, LATE_STOP, Sheet, milli
from tenants import rows

GUARDIAN_CLOSED = "guardian_closed"
REPLACED = "replaced"

# Stations sample every 1 to 15 minutes: a last reading this fresh misses at most a sample's worth of energy.
FRESH = timedelta(minutes=15)


def close(sheet: Sheet, *, at: datetime, why: str, sure: bool | None = None) -> None:
    """End a running session at its last reading. `sure` None: sure if that reading was fresh at `at`."""
    known = sheet.evidence
    if known.ended is not None or known.closed is not None:
        return
    last = known.last or (known.begins[0] if known.begins else None)
    read_at = clock.from_milliseconds(last[0]) if last else None
    if sure is None:
        sure = read_at is not None and at - read_at <= FRESH
    ended_at = (
        read_at if read_at is not None and read_at > sheet.started_at else min(at, sheet.started_at + FRESH)
    )
    known.closed = (clock.milliseconds(max(ended_at, sheet.started_at)), last[1] if last else 0)
    known.note(GUARDIAN_CLOSED, why)
    if not sure:
        known.note(GUARDIAN_UNSURE)
    sheet.conclude()


def replace_older(older: Sheet, newer_started_at: datetime) -> bool:
    """Close a session whose EVSE has begun a newer one: one EVSE charges one car at a time."""
    if not older.is_active or older.started_at > newer_started_at:
        return False
    close(older, at=newer_started_at, why=REPLACED)
    return True


def older_on(newer: list[Sheet]) -> rows.Lookup[dict[int, list[Sheet]]]:
    """By EVSE the sessions that run there beside newer ones, under lock. One that somebody else works on is left for
    the sweep to close."""
    found: dict[int, list[Sheet]] = {}
    wanted = sorted((sheet.evse_id, sheet.start_key) for sheet in newer)
    for sheet in (yield from sheets.load(sheets.OTHERS_ON_EVSE, wanted, lock=sheets.SKIP)):
        found.setdefault(sheet.evse_id, []).append(sheet)
    return found


def note_late_stop(sheet: Sheet) -> None:
    """A stop came for a session that has its price already. Other figures than those priced need a person."""
    if sheet.state_before != SessionState.RATED or sheet.evidence.ended is None:
        return
    told = evidence.conclude(sheet.evidence, rating_w=sheet.rating_w)
    if abs(told.energy - milli(sheet.energy_wh)) > evidence.TOLERANCE_MWH:
        sheet.evidence.note(LATE_STOP)
        sheet.flags = sorted({*sheet.flags, LATE_STOP})
        sheet.state = SessionState.HELD.value
        sheet.held_reason = holding.reason([LATE_STOP], verdict=sheet.verdict, energy_wh=sheet.energy_wh)


# What never ends. Each bound is longer than any honest reason to wait.
REPLACED_GRACE = timedelta(minutes=5)  # the stop of the older one may be on its way from the offline queue
FREE_GRACE = timedelta(
    minutes=15
)  # the connector is free, so no car is charging; its stop may still be queued
IDLE_LIMIT = timedelta(hours=72)  # airport parking: a full car may stand for a long weekend
OFFLINE_LIMIT = timedelta(hours=72)  # a site without a link for a weekend comes back with its queue

# (session, why, when it must have been over), the surest sign first.
_STRAYS = """
SELECT DISTINCT ON (id) id, why, at FROM (
    SELECT s.id, 1 AS rank, 'replaced' AS why, n.started_at AS at
    FROM stations_session s CROSS JOIN LATERAL (
        SELECT k.started_at FROM stations_session k
        WHERE k.tenant_id = %(tenant)s AND k.evse_id = s.evse_id AND k.station_id = s.station_id
          AND k.started_at > s.started_at AND k.started_received_at < %(replaced)s
        ORDER BY k.started_at LIMIT 1) n
    WHERE s.tenant_id = %(tenant)s AND s.state = 'active' AND s.started_received_at < %(replaced)s
    UNION ALL
    SELECT s.id, 2, 'connector_free', c.status_at
    FROM stations_session s JOIN stations_connector c ON c.tenant_id = %(tenant)s AND c.id = s.connector_id
    JOIN stations_station t ON t.tenant_id = %(tenant)s AND t.id = s.station_id
    WHERE s.tenant_id = %(tenant)s AND s.state = 'active' AND t.online AND c.status = 'available'
      AND c.status_at > s.started_at AND c.status_received_at < %(free)s AND s.started_received_at < %(free)s
      AND coalesce(s.last_reading_at < c.status_at + interval '5 minutes', true)
    UNION ALL
    SELECT s.id, 3, 'station_gone', coalesce(t.last_seen_at, s.started_received_at)
    FROM stations_session s JOIN stations_station t ON t.tenant_id = %(tenant)s AND t.id = s.station_id
    WHERE s.tenant_id = %(tenant)s AND s.state = 'active' AND NOT t.online
      AND greatest(coalesce(t.last_seen_at, s.started_received_at), s.started_received_at) < %(offline)s
    UNION ALL
    SELECT s.id, 4, 'no_energy', greatest(s.last_reading_at, s.started_at)
    FROM stations_session s
    WHERE s.tenant_id = %(tenant)s AND s.state = 'active'
      AND greatest(s.last_progress_at, s.started_at) < %(idle)s AND s.started_received_at < %(replaced)s
) strays ORDER BY id, rank LIMIT 500
"""


def sweep(*, tenant_id: int, now: datetime) -> int:
    """Close what never ends. Returns how many sessions were closed."""
    bounds = {
        "replaced": now - REPLACED_GRACE, "free": now - FREE_GRACE, "idle": now - IDLE_LIMIT,
        "offline": now - OFFLINE_LIMIT,
    }  # fmt: skip
    strays = {row[0]: row[1:] for row in rows.run(_STRAYS, tenant_id, [], **bounds)}
    closed = [sheet for sheet in sheets.by_ids(tenant_id, strays).values() if sheet.is_active]
    for sheet in closed:
        why, at = strays[sheet.id]
        close(sheet, at=at, why=why, sure=False if why == "station_gone" else None)
    sheets.save(tenant_id, closed)
    chronicle.announce(tenant_id, closed)
    return len(closed)
