"""What the connectors of a station are doing, as it tells by StatusNotification."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stations import live
from stations.models import ConnectorStatus
from stations.neutral import StatusReport
from stations.services import clock, places
from tenants import rows

MOST_AN_HOUR = 240  # entries of the history at one connector
_WORST = {ConnectorStatus.FAULTED: "error", ConnectorStatus.UNAVAILABLE: "warning"}


def record_status(*, tenant_id: int, reports: Sequence[StatusReport]) -> list[None]:
    """Bring connectors up to date, in order; a change leaves a StationEvent.

    Late news (from an offline queue) that is dated before what is known changes nothing. What is told live counts
    always: a clock that was set back must not freeze a connector's status."""
    where = rows.alone(
        tenant_id,
        places.find((r.station_id, r.evse, max(r.connector, 0)) for r in reports if _has_place(r)),
    )
    listed = []
    for n, report in enumerate(reports):
        place = where.get((report.station_id, report.evse, max(report.connector, 0)))
        at, _flags = clock.sanitise(report.raw_timestamp, report.received_at)
        listed.append(_row(n, report, place, at))
    live.publish_many(
        tenant_id,
        [
            live.event(
                kind="connector",
                station_id=station_id,
                site_id=site_id,
                data={"id": connector_id, "evse": number, **data},
            )
            for connector_id, station_id, site_id, number, data in _apply(tenant_id, listed)
        ],
    )
    return [None] * len(reports)


def _has_place(report: StatusReport) -> bool:
    return 1 <= report.evse <= places.HIGHEST_NUMBER and report.connector <= places.HIGHEST_NUMBER


def _row(n: int, report: StatusReport, place: places.Place | None, at: datetime) -> dict[str, Any]:
    return {
        "n": n, "connector": place.connector_id if place else None, "station": report.station_id,
        "evse": place.evse_number if place else 0, "plug": place.connector_number if place else 0,
        "status": report.status, "error": report.error_code[:60], "vendor_error": report.vendor_error_code[:60],
        "info": report.info[:200], "at": at, "received": report.received_at,
        "keep": place is not None or report.evse == 0,
        "ahead": clock.ahead_seconds(report.raw_timestamp, report.received_at),
        "severity": "error" if report.error_code else _WORST.get(ConnectorStatus(report.status), "info"),
    }  # fmt: skip


# A connector that begins to charge draws nobody knows how much until it tells: not the 0 W of before.
# Each report is compared with the one before it (in this batch, else the stored one); the last that counts is stored.
# Events are written for changes alone.
# EVSE 0 is the station as a whole: no connector, compared with its latest status event.
# The history keeps every report at its time, late ones too, unless it repeats the one before; of a flood (more than so
# many an hour at one place) only the first: what holds now is at the connector itself.
_APPLY = """
WITH told AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS w(n int, connector bigint, station bigint, evse int, plug int,
        status text, error text, vendor_error text, info text, at timestamptz, received timestamptz, severity text,
        keep boolean, ahead float8)
), locked AS (
    SELECT c.id, c.status, c.error_code, c.vendor_error_code, c.info, c.status_at, c.status_received_at
    FROM stations_connector c
    WHERE c.tenant_id = %(tenant)s AND c.id = ANY (ARRAY (SELECT connector FROM told))
    ORDER BY c.id FOR NO KEY UPDATE
), ranked AS (
    SELECT told.*, locked.status_at AS known_at,
        max(told.at) OVER earlier AS newest_before,
        coalesce(lag(told.status) OVER series, locked.status, station.status, '') AS status_before,
        coalesce(lag(told.error) OVER series, locked.error_code, station.error, '') AS error_before
    FROM told LEFT JOIN locked ON locked.id = told.connector
    LEFT JOIN LATERAL (
        SELECT e.detail->>'status' AS status, e.detail->>'error' AS error FROM stations_stationevent e
        WHERE told.connector IS NULL AND e.tenant_id = %(tenant)s AND e.station_id = told.station
            AND e.kind = 'status' AND e.evse_number = 0 ORDER BY e.occurred_at DESC, e.id DESC LIMIT 1) station ON true
    WINDOW series AS (PARTITION BY told.station, told.connector ORDER BY told.n),
        earlier AS (PARTITION BY told.station, told.connector ORDER BY told.n
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), counting AS (
    SELECT * FROM ranked
    WHERE received - at < interval '2 minutes'
       OR (coalesce(at >= known_at, true) AND coalesce(at >= newest_before, true))
), events AS (
    INSERT INTO stations_stationevent (tenant_id, station_id, evse_number, connector_number, kind, severity, text,
                                       detail, occurred_at, received_at)
    SELECT %(tenant)s, station, evse, plug, 'status', severity,
        left(status || CASE WHEN error <> '' THEN ': ' || error ELSE '' END
             || CASE WHEN info <> '' THEN ' (' || info || ')' ELSE '' END, 200),
        json_build_object('status', status, 'before', status_before, 'error', error, 'vendor_error', vendor_error,
                          'info', info), at, received
    FROM counting WHERE status <> status_before OR error <> error_before ORDER BY n
), kept AS (
    INSERT INTO stations_statusentry (tenant_id, station_id, evse_number, connector_number, status, error_code,
                                      vendor_error_code, info, at, received_at, clock_ahead_s)
    SELECT %(tenant)s, t.station, t.evse, t.plug, t.status, t.error, t.vendor_error, t.info, t.at, t.received, t.ahead
    FROM (SELECT told.*, count(*) OVER (PARTITION BY station, evse, plug ORDER BY at
                                        RANGE BETWEEN '1 hour' PRECEDING AND CURRENT ROW) AS beside
          FROM told WHERE keep) t
    CROSS JOIN LATERAL (SELECT count(*) AS stored FROM (
        SELECT 1 FROM stations_statusentry e WHERE e.tenant_id = %(tenant)s AND e.station_id = t.station
            AND e.evse_number = t.evse AND e.connector_number = t.plug
            AND e.at > t.at - interval '1 hour' AND e.at <= t.at + interval '1 hour' LIMIT %(most)s) near) around
    LEFT JOIN LATERAL (SELECT e.status, e.error_code, e.vendor_error_code FROM stations_statusentry e
        WHERE e.tenant_id = %(tenant)s AND e.station_id = t.station AND e.evse_number = t.evse
            AND e.connector_number = t.plug AND e.at = t.at ORDER BY e.id DESC LIMIT 1) same ON true
    WHERE around.stored + t.beside <= %(most)s AND
        (t.status, t.error, t.vendor_error) IS DISTINCT FROM (same.status, same.error_code, same.vendor_error_code)
    ORDER BY t.n
), newest AS (
    SELECT DISTINCT ON (connector) * FROM counting WHERE connector IS NOT NULL ORDER BY connector, n DESC
)
UPDATE stations_connector c SET status = w.status, status_at = w.at, status_received_at = w.received,
    status_since = CASE WHEN c.status = w.status AND c.error_code = w.error
                        THEN coalesce(c.status_since, c.status_received_at) ELSE w.received END,
    error_code = w.error, vendor_error_code = w.vendor_error, info = w.info,
    power_w = CASE WHEN w.status NOT IN ('charging', 'occupied') THEN 0
                   WHEN c.status IN ('charging', 'occupied') THEN c.power_w END
FROM newest w CROSS JOIN LATERAL (
    SELECT k.id, k.site_id FROM stations_station k WHERE k.tenant_id = %(tenant)s AND k.id = w.station LIMIT 1) s
WHERE c.tenant_id = %(tenant)s AND c.id = w.connector
RETURNING c.id, s.id, s.site_id, w.evse,
    json_build_object('connector', w.plug, 'status', c.status, 'error_code', c.error_code, 'power_w', c.power_w)
"""


def _apply(tenant_id: int, listed: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return rows.run(_APPLY, tenant_id, listed, most=MOST_AN_HOUR) if listed else []
