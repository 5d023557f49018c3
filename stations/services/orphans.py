"""Stops and updates for sessions that are unknown here: kept for review, never billed unseen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from stations.models import OrphanMessage
from stations.neutral import Sample, SampledValue, StopRequest, TokenShown
from stations.services.chronicle import content_hash, samples_text, token_text
from tenants import rows

STOP = "stop"
_KEEP = """
INSERT INTO stations_orphanmessage (tenant_id, station_id, action, transaction_id, content_hash, payload, received_at,
                                    told, resolution)
SELECT %(tenant)s, (r->>0)::bigint, r->>1, r->>2, r->>3, (r->4)::jsonb, (r->>5)::timestamptz, (r->6)::jsonb, ''
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
            (r.station_id, STOP, str(r.transaction_number), stop_hash(r), r.payload, r.received_at, _told(r))
            for r in requests
        ],
    )


def keep(
    tenant_id: int, orphans: Sequence[tuple[int, str, str, str, dict[str, Any], datetime, dict[str, Any]]]
) -> None:
    """(station id, what, transaction id, content hash, payload, received at, told); a repeat changes nothing."""
    if orphans:
        rows.send(_KEEP, tenant_id, list(orphans))


def _told(request: StopRequest) -> dict[str, Any]:
    """A stop as JSON; `stop_of` reads it."""
    token = request.token
    return {
        "number": request.transaction_number,
        "meter_stop_wh": str(request.meter_stop_wh),
        "raw_timestamp": request.raw_timestamp,
        "token": [token.uid, token.kind, token.group] if token else None,
        "reason": request.reason,
        "samples": [[one.raw_timestamp, [list(value) for value in one.values]] for one in request.samples],
    }


def stop_of(orphan: OrphanMessage) -> StopRequest | None:
    """The stop as it was told; None for what is no stop, or was kept by an earlier version."""
    told = orphan.told
    if orphan.action != STOP or told is None:
        return None
    return StopRequest(
        station_id=orphan.station_id,
        transaction_number=told["number"],
        meter_stop_wh=Decimal(told["meter_stop_wh"]),
        raw_timestamp=told["raw_timestamp"],
        received_at=orphan.received_at,
        payload=orphan.payload,
        token=TokenShown(*told["token"]) if told["token"] else None,
        reason=told["reason"],
        samples=tuple(
            Sample(at, tuple(_value(*value) for value in values)) for at, values in told["samples"]
        ),
    )


def _value(measurand: str, number: str | None, *rest: Any) -> SampledValue:
    return SampledValue(measurand, None if number is None else Decimal(number), *rest)
