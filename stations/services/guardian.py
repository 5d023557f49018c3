"""Ends sessions that never end by themselves: replaced by a newer one, without energy for long, station gone.

They are closed from the last known reading. Where that reading is old, nobody knows what flowed after it: such a
session is held for review. A late stop corrects it (stations.services.sessions).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from stations.models import SessionState
from stations.services import clock, evidence, holding, sheets
from stations.services.sheets import Sheet

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
        known.note(sheets.GUARDIAN_UNSURE)
    sheet.conclude()


def replace_older(older: Sheet, newer_started_at: datetime) -> bool:
    """Close a session whose EVSE has begun a newer one: one EVSE charges one car at a time."""
    if not older.is_active or older.started_at > newer_started_at:
        return False
    close(older, at=newer_started_at, why=REPLACED)
    return True


def running_on(tenant_id: int, evse_ids: list[int]) -> dict[int, list[Sheet]]:
    """Sessions that run on EVSEs, under lock."""
    found: dict[int, list[Sheet]] = {}
    condition = """s.state = 'active' AND s.evse_id IN (
        SELECT (r#>>'{}')::bigint FROM json_array_elements(%(rows)s::json) r)"""
    for sheet in sheets.load(tenant_id, condition, sorted(set(evse_ids))) if evse_ids else ():
        found.setdefault(sheet.evse_id, []).append(sheet)
    return found


def note_late_stop(sheet: Sheet) -> None:
    """A stop came for a session that has its price already. Other figures than those priced need a person."""
    if sheet.state_before != SessionState.RATED or sheet.evidence.ended is None:
        return
    told = evidence.conclude(sheet.evidence, rating_w=sheet.rating_w)
    if abs(told.energy - sheets.milli(sheet.energy_wh)) > evidence.TOLERANCE_MWH:
        sheet.evidence.note(sheets.LATE_STOP)
        sheet.flags = sorted({*sheet.flags, sheets.LATE_STOP})
        sheet.state = SessionState.HELD.value
        sheet.held_reason = holding.reason(
            [sheets.LATE_STOP], verdict=sheet.verdict, energy_wh=sheet.energy_wh
        )
