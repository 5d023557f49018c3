"""What a station says of itself when it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connections

from stations import live
from stations.models import Registration
from stations.neutral import BootReport
from tenants import rows as batches
from tenants.context import current_alias


@dataclass(frozen=True, slots=True)
class BootAnswer:
    registration: str
    interval_seconds: int


def register(*, tenant_id: int, requests: Sequence[BootReport]) -> list[BootAnswer]:
    """Keep what the stations told; answer whether each is accepted and how often it shall report."""
    rows = [
        [
            r.station_id, r.vendor[:64], r.model[:64], r.serial_number[:64], r.firmware_version[:64], r.iccid[:32],
            r.imsi[:32], r.reason[:40], r.received_at.timestamp(),
            f"Booted with firmware {r.firmware_version}"[:200] if r.firmware_version else "Booted",
            r.detail,
        ]
        for r in requests
    ]  # fmt: skip
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(
            """
            WITH told AS (
                SELECT DISTINCT ON (r->>0) (r->>0)::bigint id, r->>1 vendor, r->>2 model, r->>3 serial,
                    r->>4 firmware, r->>5 iccid, r->>6 imsi, r->>7 reason,
                    to_timestamp((r->>8)::double precision) at, r->>9 note, r->10 detail
                FROM json_array_elements(%(rows)s::json) WITH ORDINALITY AS list (r, n) ORDER BY r->>0, n DESC
            ), noted AS (
                INSERT INTO stations_stationevent (tenant_id, station_id, kind, severity, text, detail, occurred_at,
                                                   received_at)
                SELECT %(tenant)s, id, 'boot', 'info', note, detail::jsonb, at, at FROM told
            )
            UPDATE stations_station s SET vendor = t.vendor, model = t.model, firmware_version = t.firmware,
                serial_number = CASE WHEN t.serial = '' THEN s.serial_number ELSE t.serial END,
                iccid = t.iccid, imsi = t.imsi, boot_reason = t.reason, booted_at = t.at
            FROM told t WHERE s.tenant_id = %(tenant)s AND s.id = t.id
            RETURNING s.id, s.registration, s.heartbeat_seconds, s.site_id
            """,
            {"rows": batches.dump(rows), "tenant": tenant_id},
        )
        known = {row[0]: row[1:] for row in cursor.fetchall()}
    events = [
        live.event(kind="station", station_id=station_id, site_id=site_id, data={"booted": True})
        for station_id, (_registration, _seconds, site_id) in known.items()
    ]
    live.publish_many(tenant_id, events)
    answers = []
    for report in requests:
        registration, seconds, _site = known.get(report.station_id, (Registration.REJECTED, None, None))
        answers.append(BootAnswer(registration, seconds or settings.OCPP_HEARTBEAT_SECONDS))
    return answers
