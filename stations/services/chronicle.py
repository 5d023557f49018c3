"""What was told of a session, word by word, and what others are told of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stations import live
from stations.models import SessionState
from stations.neutral import Sample, TokenShown
from stations.services import readings
from stations.services.sheet import Sheet
from tenants import rows
from tenants.services import facts


@dataclass(slots=True)
class Told:
    """One start, update or stop."""

    sheet: Sheet
    kind: str
    occurred_at: datetime
    raw_timestamp: str
    received_at: datetime
    content_hash: str
    payload: dict[str, Any]
    trigger: str = ""
    seq_no: int | None = None
    offline: bool = False


def content_hash(*parts: object) -> str:
    """Recognises a message told again: the same in all that it says, whatever its message id and whenever it came."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def samples_text(samples: Iterable[Sample]) -> str:
    return ";".join(
        sample.raw_timestamp
        + ",".join(
            f"{v.measurand}|{v.raw}|{v.unit}|{v.phase}|{v.location}|{v.context}|{v.multiplier}"
            for v in sample.values
        )
        for sample in samples
    )


def token_text(token: TokenShown | None) -> str:
    return "" if token is None else f"{token.kind}:{token.uid}"


_WRITE = """
INSERT INTO stations_sessionevent (tenant_id, session_id, kind, trigger, seq_no, occurred_at, raw_timestamp,
                                   received_at, offline, content_hash, payload)
SELECT %(tenant)s, (r->>0)::bigint, r->>1, r->>2, (r->>3)::int, (r->>4)::timestamptz, r->>5, (r->>6)::timestamptz,
       (r->>7)::boolean, r->>8, (r->9)::jsonb
FROM json_array_elements(%(rows)s::json) r
ON CONFLICT (tenant_id, session_id, content_hash) DO NOTHING
"""


def write(tenant_id: int, told: Sequence[Told]) -> None:
    """Keep the messages that are not known yet."""
    if not told:
        return
    listed = [
        [
            one.sheet.id, one.kind, one.trigger[:40], one.seq_no, one.occurred_at, one.raw_timestamp[:64],
            one.received_at, one.offline, one.content_hash, one.payload,
        ]
        for one in told
    ]  # fmt: skip
    rows.send(_WRITE, tenant_id, listed)


def announce(tenant_id: int, sheets: Iterable[Sheet], *, started: Iterable[Sheet] = ()) -> None:
    """Publish what became of sessions, and move open pages. Call once a verb has saved its sheets."""
    news: list[tuple[str, str, int, dict[str, Any]]] = []
    for sheet in started:
        news.append(("session.started", "session", sheet.id, _payload(sheet)))
    over = []
    for sheet in sheets:
        if sheet.state == sheet.state_before:
            continue
        if sheet.state_before == SessionState.ACTIVE:
            news.append(("session.ended", "session", sheet.id, _payload(sheet)))
            over.append(sheet)
        if sheet.state == SessionState.HELD:
            news.append(("session.held", "session", sheet.id, _payload(sheet)))
        elif sheet.state_before == SessionState.HELD and sheet.state == SessionState.ENDED:
            news.append(("session.released", "session", sheet.id, _payload(sheet)))
    facts.publish_many(tenant_id=tenant_id, facts=news)
    readings.zero_power(tenant_id, over)
    changed = {id(sheet): sheet for sheet in [*started, *sheets]}.values()
    live.publish_many(tenant_id, [readings.update(sheet) for sheet in changed])


def _payload(sheet: Sheet) -> dict[str, Any]:
    return {
        "station_id": sheet.station_id,
        "evse_id": sheet.evse_id,
        "site_id": sheet.site_id,
        "state": sheet.state,
        "energy_wh": str(sheet.energy_wh),
        "started_at": sheet.started_at.isoformat(),
        "ended_at": sheet.ended_at.isoformat() if sheet.ended_at else None,
    }
