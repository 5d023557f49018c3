"""Stops and updates for sessions that are unknown here: kept for review, never billed unseen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stations.neutral import StopRequest
from stations.services import rows
from stations.services.chronicle import content_hash, samples_text, token_text

_KEEP = """
INSERT INTO stations_orphanmessage (tenant_id, station_id, action, transaction_id, content_hash, payload, received_at,
                                    resolution)
SELECT %(tenant)s, (r->>0)::bigint, r->>1, r->>2, r->>3, (r->4)::jsonb, (r->>5)::timestamptz, ''
FROM json_array_elements(%(rows)s::json) r
ON CONFLICT (tenant_id, station_id, content_hash) DO NOTHING
"""


def stop_hash(request: StopRequest) -> str:
    return content_hash(
        "stop", request.transaction_number, request.meter_stop_wh, request.raw_timestamp, request.reason,
        token_text(request.token), samples_text(request.samples),
    )  # fmt: skip


def keep_stops(tenant_id: int, requests: Sequence[StopRequest]) -> None:
    keep(
        tenant_id,
        [
            (r.station_id, "stop", str(r.transaction_number), stop_hash(r), r.payload, r.received_at)
            for r in requests
        ],
    )


def keep(tenant_id: int, orphans: Sequence[tuple[int, str, str, str, dict[str, Any], datetime]]) -> None:
    """(station id, what, transaction id, content hash, payload, received at); a repeat changes nothing."""
    if orphans:
        rows.run(_KEEP, tenant_id, list(orphans))
