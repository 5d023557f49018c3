"""Attempts to charge, and which of them failed: what a driver would call "it does not work"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tenants import rows

LEAST_WH = 50  # less is no charge
# A session that ended with nothing, a remote start that the station refused or never answered, and a card that was
# accepted with no session to follow. Cards shown around the end of a session are there to stop it.
_FIND = """
WITH wanted AS (SELECT station FROM json_to_recordset(%(rows)s::json) AS w(station bigint) OFFSET 0)
SELECT w.station, found.evse, found.at, found.ok, found.why, found.id FROM wanted w CROSS JOIN LATERAL (
    SELECT e.number AS evse, s.started_at AS at, s.energy_wh >= %(least)s OR s.ended_at IS NULL AS ok,
           'no_energy' AS why, s.id
    FROM stations_session s JOIN stations_evse e ON e.tenant_id = s.tenant_id AND e.id = s.evse_id
    WHERE s.tenant_id = %(tenant)s AND s.station_id = w.station AND s.started_at >= %(since)s
        AND s.started_at < %(until)s
        AND (s.ended_at IS NOT NULL OR s.energy_wh >= %(least)s) AND s.verdict = 'accepted'
  UNION ALL
    SELECT CASE WHEN c.arguments->>'evse' ~ '^[0-9]{1,4}$' THEN (c.arguments->>'evse')::int ELSE 0 END,
        c.created_at, false, 'start_' || c.state, c.id
    FROM stations_command c
    WHERE c.tenant_id = %(tenant)s AND c.station_id = w.station AND c.kind = 'start'
        AND c.state IN ('rejected', 'failed', 'timed_out') AND c.created_at >= %(since)s AND c.created_at < %(until)s
  UNION ALL
    SELECT 0, a.at, false, 'no_session', a.id FROM stations_authorization a
    WHERE a.tenant_id = %(tenant)s AND a.station_id = w.station AND a.verdict = 'accepted'
        AND a.at >= %(since)s AND a.at < least(%(until)s, now() - interval '5 minutes')
        AND NOT EXISTS (
            SELECT 1 FROM stations_session s WHERE s.tenant_id = %(tenant)s AND s.station_id = w.station
            AND s.started_at > a.at - interval '2 days' AND s.started_at < a.at + interval '5 minutes'
            AND coalesce(s.ended_at, 'infinity') > a.at - interval '5 minutes')
  ORDER BY 2 DESC, 1 LIMIT %(most)s) found
ORDER BY w.station, found.at
"""
MOST = 5_000  # of one station in one look


@dataclass(frozen=True)
class Attempt:
    """One attempt. EVSE 0: the station, for nobody knows at which."""

    station_id: int
    evse_number: int
    at: datetime
    ok: bool
    why: str  # no_energy | start_rejected | start_failed | start_timed_out | no_session
    source_id: int


def find(*, tenant_id: int, station_ids: Sequence[int], since: datetime, until: datetime) -> list[Attempt]:
    """Attempts of these stations, station by station, oldest first."""
    listed = [{"station": station_id} for station_id in station_ids]
    if not listed:
        return []
    found = rows.run(_FIND, tenant_id, listed, since=since, until=until, least=LEAST_WH, most=MOST)
    return [Attempt(*row) for row in found]
