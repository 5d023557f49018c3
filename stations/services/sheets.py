"""Sheets of sessions, loaded under lock and written back many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from stations.services.evidence import Evidence
from stations.services.sheet import Sheet
from tenants import rows
from tenants.rows import Ask

# Look-ups of one row each, in the order written: a join would be planned by what statistics say of the tenant.
_LOAD = """
SELECT s.id, s.station_id, s.evse_id,
    (SELECT e.number FROM stations_evse e WHERE e.tenant_id = %(tenant)s AND e.id = s.evse_id),
    s.connector_id, s.site_id,
    coalesce((SELECT c.max_power_w FROM stations_connector c
              WHERE c.tenant_id = %(tenant)s AND c.id = s.connector_id), 0),
    s.transaction_id, s.state, s.token_uid, s.token_id, s.driver_id, s.fleet_id, s.verdict, s.stop_token_uid,
    s.started_at, s.ended_at, s.started_received_at, s.ended_received_at, s.energy_wh, s.power_w, s.soc_percent,
    s.last_reading_at, s.last_progress_at, s.charging_state, s.stop_reason, s.held_reason, s.transaction_number,
    s.evidence::text, s.row_version
FROM (SELECT DISTINCT id FROM ({finder}) found (id) ORDER BY id) f
CROSS JOIN LATERAL (SELECT k.*, k.xmin::text AS row_version FROM stations_session k
                    WHERE k.tenant_id = %(tenant)s AND k.id = f.id {lock}) s
"""


BY_TRANSACTION = """
    SELECT x.id FROM json_array_elements(%(rows)s::json) r CROSS JOIN LATERAL (
        SELECT k.id FROM stations_session k
        WHERE k.tenant_id = %(tenant)s AND k.station_id = (r->>0)::bigint AND k.transaction_id = r->>1 LIMIT 1) x
"""
BY_ID = "SELECT (r#>>'{}')::bigint FROM json_array_elements(%(rows)s::json) r"
OTHERS_ON_EVSE = """
    SELECT x.id FROM json_array_elements(%(rows)s::json) r CROSS JOIN LATERAL (
        SELECT k.id FROM stations_session k
        WHERE k.tenant_id = %(tenant)s AND k.evse_id = (r->>0)::bigint AND k.state = 'active'
          AND k.start_key <> r->>1 LIMIT 20) x
"""
WAIT, SKIP, LOOK = "FOR NO KEY UPDATE", "FOR NO KEY UPDATE SKIP LOCKED", ""


def load(finder: str, wanted: Sequence[Any], *, lock: str = WAIT) -> rows.Lookup[list[Sheet]]:
    """Sheets under lock, in the order of their ids: two batches must not wait for each other in a circle.

    `finder` is one of the statements above, which give ids for the JSON array `wanted`. Who holds sheets already and
    asks for more of them leaves out those that are locked (SKIP). Who only looks (LOOK) asks `hold` before he saves.
    """
    if not wanted:
        return []
    return [_sheet(row) for row in (yield Ask(_LOAD.format(finder=finder, lock=lock), wanted))]


def by_transaction(wanted: Iterable[tuple[int, str]]) -> rows.Lookup[dict[tuple[int, str], Sheet]]:
    """Sheets by (station id, transaction id as on the wire)."""
    found = yield from load(BY_TRANSACTION, sorted(set(wanted)))
    return {(sheet.station_id, sheet.transaction_id): sheet for sheet in found}


def by_ids(tenant_id: int, ids: Iterable[int]) -> dict[int, Sheet]:
    return {sheet.id: sheet for sheet in rows.alone(tenant_id, load(BY_ID, sorted(set(ids))))}


def _sheet(row: tuple[Any, ...]) -> Sheet:
    values = [*row[:-2], Evidence.from_json(orjson.loads(row[-2]))]
    sheet = Sheet(*values)
    sheet.state_before, sheet.version = sheet.state, row[-1]
    return sheet


_SAVE = """
UPDATE stations_session s SET
    evse_id = w.evse_id, connector_id = w.connector_id, state = w.state, token_uid = w.token_uid,
    token_id = w.token_id, driver_id = w.driver_id, fleet_id = w.fleet_id, verdict = w.verdict,
    stop_token_uid = w.stop_token_uid, started_at = w.started_at, ended_at = w.ended_at,
    ended_received_at = w.ended_received_at, meter_start_wh = w.meter_start_wh, meter_stop_wh = w.meter_stop_wh,
    meter_last_wh = w.meter_last_wh, energy_wh = w.energy_wh, power_w = w.power_w, soc_percent = w.soc_percent,
    last_reading_at = w.last_reading_at, last_progress_at = w.last_progress_at, charging_state = w.charging_state,
    stop_reason = w.stop_reason, last_seq_no = w.last_seq_no, flags = w.flags, held_reason = w.held_reason,
    evidence = w.evidence
FROM json_to_recordset(%(rows)s::json) AS w(
    id bigint, evse_id bigint, connector_id bigint, state text, token_uid text, token_id bigint, driver_id bigint,
    fleet_id bigint, verdict text, stop_token_uid text, started_at timestamptz, ended_at timestamptz,
    ended_received_at timestamptz, meter_start_wh numeric, meter_stop_wh numeric, meter_last_wh numeric,
    energy_wh numeric, power_w float8, soc_percent float8, last_reading_at timestamptz, last_progress_at timestamptz,
    charging_state text, stop_reason text, last_seq_no int, flags jsonb, held_reason text, evidence jsonb)
WHERE s.tenant_id = %(tenant)s AND s.id = w.id
"""


def save(tenant_id: int, sheets: Iterable[Sheet]) -> None:
    listed = [_row(sheet) for sheet in sheets]
    if listed:
        rows.send(_SAVE, tenant_id, listed)


_HOLD = """
SELECT s.id, s.row_version
FROM (SELECT DISTINCT (r#>>'{}')::bigint AS id FROM json_array_elements(%(rows)s::json) r ORDER BY id) f
CROSS JOIN LATERAL (SELECT k.id, k.xmin::text AS row_version FROM stations_session k
                    WHERE k.tenant_id = %(tenant)s AND k.id = f.id FOR NO KEY UPDATE) s
"""


def hold(tenant_id: int, looked_at: Iterable[Sheet]) -> set[int]:
    """Lock the sessions of sheets that were loaded without a lock, in the order of their ids. Returns the ids of those
    that somebody has changed since."""
    versions = {sheet.id: sheet.version for sheet in looked_at}
    held = rows.run(_HOLD, tenant_id, sorted(versions)) if versions else []
    return {session_id for session_id, version in held if version != versions[session_id]}


# What a reading can change while a session runs: the bulk of all writes.
_SAVE_PROGRESS = """
UPDATE stations_session s SET
    meter_start_wh = w.meter_start_wh, meter_last_wh = w.meter_last_wh, energy_wh = w.energy_wh, power_w = w.power_w,
    soc_percent = w.soc_percent, last_reading_at = w.last_reading_at, last_progress_at = w.last_progress_at,
    flags = w.flags, evidence = w.evidence
FROM json_to_recordset(%(rows)s::json) AS w(
    id bigint, meter_start_wh numeric, meter_last_wh numeric, energy_wh numeric, power_w float8,
    soc_percent float8, last_reading_at timestamptz, last_progress_at timestamptz, flags jsonb, evidence jsonb)
WHERE s.tenant_id = %(tenant)s AND s.id = w.id
"""


def save_progress(tenant_id: int, sheets: Iterable[Sheet]) -> None:
    """Write back running sheets into which readings were entered."""
    listed = [
        {
            "id": sheet.id, "meter_start_wh": sheet.meter_start_wh, "meter_last_wh": sheet.meter_last_wh,
            "energy_wh": sheet.energy_wh, "power_w": sheet.power_w, "soc_percent": sheet.soc_percent,
            "last_reading_at": sheet.last_reading_at, "last_progress_at": sheet.last_progress_at,
            "flags": sheet.flags, "evidence": sheet.evidence.to_json(),
        }
        for sheet in sheets
    ]  # fmt: skip
    if listed:
        rows.send(_SAVE_PROGRESS, tenant_id, listed)


_INSERT = """
INSERT INTO stations_session (tenant_id, station_id, evse_id, connector_id, site_id, transaction_number,
    transaction_id, start_key, state, token_uid, token_id, driver_id, fleet_id, verdict, stop_token_uid, started_at,
    started_received_at, meter_start_wh, energy_wh, charging_state, stop_reason, flags, held_reason, tariff, currency,
    remote_command_id, evidence)
SELECT %(tenant)s, w.station_id, w.evse_id, w.connector_id, w.site_id, n.number,
    coalesce(w.transaction_id, n.number::text), w.start_key, w.state, w.token_uid, w.token_id, w.driver_id, w.fleet_id,
    w.verdict, '', w.started_at, w.started_received_at, w.meter_start_wh, 0, '', '', w.flags, '', w.tariff, w.currency,
    w.remote_command_id, w.evidence
FROM json_to_recordset(%(rows)s::json) AS w(
    n int, numbered boolean, station_id bigint, evse_id bigint, connector_id bigint, site_id bigint,
    transaction_id text, start_key text, state text, token_uid text, token_id bigint, driver_id bigint,
    fleet_id bigint, verdict text, started_at timestamptz, started_received_at timestamptz, meter_start_wh numeric,
    flags jsonb, tariff jsonb, currency text, remote_command_id bigint, evidence jsonb)
CROSS JOIN LATERAL (
    SELECT CASE WHEN w.numbered THEN nextval('stations_transaction_number') END AS number) n
ORDER BY w.n
ON CONFLICT (tenant_id, station_id, start_key) DO UPDATE SET start_key = excluded.start_key
RETURNING station_id, start_key, id, transaction_number, xmax::text = '0'
"""


def insert(sheets: Sequence[Sheet], *, numbered: bool) -> rows.Lookup[list[bool]]:
    """Write new sheets and give them their ids and, if `numbered`, numbers. Tells which are new: the others had been
    written by somebody else in the meantime."""
    if not sheets:
        return []
    listed = []
    for n, sheet in enumerate(sorted(sheets, key=lambda one: (one.station_id, one.start_key))):
        row = _row(sheet)
        row |= {
            "n": n, "numbered": numbered, "station_id": sheet.station_id, "site_id": sheet.site_id,
            "transaction_id": None if numbered else sheet.transaction_id, "start_key": sheet.start_key,
            "started_received_at": sheet.started_received_at, "tariff": sheet.tariff, "currency": sheet.currency,
            "remote_command_id": sheet.remote_command_id,
        }  # fmt: skip
        listed.append(row)
    written = {(row[0], row[1]): row[2:] for row in (yield Ask(_INSERT, listed))}
    fresh = []
    for sheet in sheets:
        sheet.id, sheet.transaction_number, is_new = written[sheet.station_id, sheet.start_key]
        if numbered:
            sheet.transaction_id = str(sheet.transaction_number)
        fresh.append(is_new)
    return fresh


def _row(sheet: Sheet) -> dict[str, Any]:
    return {
        "id": sheet.id, "evse_id": sheet.evse_id, "connector_id": sheet.connector_id, "state": sheet.state,
        "token_uid": sheet.token_uid, "token_id": sheet.token_id, "driver_id": sheet.driver_id,
        "fleet_id": sheet.fleet_id, "verdict": sheet.verdict, "stop_token_uid": sheet.stop_token_uid,
        "started_at": sheet.started_at, "ended_at": sheet.ended_at, "ended_received_at": sheet.ended_received_at,
        "meter_start_wh": sheet.meter_start_wh, "meter_stop_wh": sheet.meter_stop_wh,
        "meter_last_wh": sheet.meter_last_wh, "energy_wh": sheet.energy_wh, "power_w": sheet.power_w,
        "soc_percent": sheet.soc_percent, "last_reading_at": sheet.last_reading_at,
        "last_progress_at": sheet.last_progress_at, "charging_state": sheet.charging_state,
        "stop_reason": sheet.stop_reason, "last_seq_no": sheet.last_seq_no, "flags": sheet.flags,
        "held_reason": sheet.held_reason, "evidence": sheet.evidence.to_json(),
    }  # fmt: skip


_RETIRE = """
UPDATE stations_session s SET transaction_id = left(s.transaction_id, 40) || '#' || s.id,
    start_key = left(s.start_key, 40) || '#' || s.id
WHERE s.tenant_id = %(tenant)s AND s.id = ANY (ARRAY (
    SELECT (r#>>'{}')::bigint FROM json_array_elements(%(rows)s::json) r))
"""


def retire(tenant_id: int, ids: list[int]) -> None:
    """Free the transaction ids of sessions that are over: their station has begun to use them again."""
    if ids:
        rows.send(_RETIRE, tenant_id, sorted(ids))


_LINK = """
UPDATE stations_session s SET remote_command_id = w.command
FROM (SELECT (r->>0)::bigint id, (r->>1)::bigint command FROM json_array_elements(%(rows)s::json) r OFFSET 0) w
WHERE s.tenant_id = %(tenant)s AND s.id = w.id
"""


def link(tenant_id: int, pairs: Sequence[tuple[int, int]]) -> None:
    """(session id, command id): the command asked for the session."""
    if pairs:
        rows.send(_LINK, tenant_id, pairs)
