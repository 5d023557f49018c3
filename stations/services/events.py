"""What stations tell besides sessions and status: firmware, logs, security, monitors, vendor messages."""

from __future__ import annotations

from collections.abc import Sequence

from stations.neutral import EventReport, TransactionStatusTold
from stations.services import clock
from tenants import rows

_WRITE = """
INSERT INTO stations_stationevent (tenant_id, station_id, evse_number, connector_number, kind, severity, text, detail,
                                   occurred_at, received_at)
SELECT %(tenant)s, (r->>0)::bigint, (r->>1)::smallint, (r->>2)::smallint, r->>3, r->>4, r->>5, (r->6)::jsonb,
       (r->>7)::timestamptz, (r->>8)::timestamptz
FROM json_array_elements(%(rows)s::json) r
"""
_SMALLINT = 32_767


def record(*, tenant_id: int, reports: Sequence[EventReport]) -> list[None]:
    """Keep the reports. An absurd time is replaced by that of receipt."""
    listed = []
    for report in reports:
        told = report.raw_timestamp.strip()
        at = clock.sanitise(told, report.received_at)[0] if told else report.received_at
        listed.append(
            [
                report.station_id, _small(report.evse), _small(report.connector), report.kind[:24], report.severity[:8],
                report.text[:200], report.detail, at, report.received_at,
            ]
        )  # fmt: skip
    if listed:
        rows.run(_WRITE, tenant_id, listed)
    return [None] * len(reports)


def _small(number: int | None) -> int | None:
    return number if number is not None and 0 <= number <= _SMALLINT else None


def record_transaction_status(*, tenant_id: int, reports: Sequence[TransactionStatusTold]) -> None:
    """E14: what a station says to whether a transaction still runs, as an event beside its session."""
    told = []
    for report in reports:
        name = f"Transaction {report.transaction_id}" if report.transaction_id else "The station"
        runs = {True: "still runs", False: "does not run", None: ""}[report.ongoing]
        waits = "messages wait to be sent" if report.queued else "no message waits"
        text = f"{name} {runs}; {waits}" if runs else f"{name}: {waits}"
        detail = {
            "transaction_id": report.transaction_id, "ongoing": report.ongoing, "queued": report.queued,
            "command": report.command_id,
        }  # fmt: skip
        told.append(
            EventReport(report.station_id, "transaction", "info", text, "", report.received_at, detail)
        )
    record(tenant_id=tenant_id, reports=told)
