"""Which session follows from which remote start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tenants import rows
from tenants.rows import Ask

# A driver who started by app has so long to plug in; stations' own time-outs are shorter.
PATIENCE = timedelta(minutes=15)

# 2.x repeats the number we gave (the command's id, within 31 bits). 1.6 only shows the same token soon after: there a
# command that was not refused and named this EVSE, or none, counts for the first session alone.
_FIND = """
SELECT n, found.id, coalesce(found.arguments->>'token_uid', ''), coalesce(found.arguments->>'token_kind', '')
FROM json_array_elements(%(rows)s::json) WITH ORDINALITY AS list (r, n)
CROSS JOIN LATERAL (
    SELECT k.id, k.arguments FROM (
        SELECT c.id, c.kind, c.state, c.arguments, c.sent_at FROM stations_command c
        WHERE c.tenant_id = %(tenant)s AND c.station_id = (r->>0)::bigint ORDER BY c.id DESC LIMIT 20) k
    WHERE k.kind = 'start' AND CASE WHEN r->>3 IS NOT NULL THEN k.id %% 2147483647 = (r->>3)::numeric
        ELSE upper(k.arguments->>'token_uid') = r->>1 AND k.sent_at BETWEEN (r->>2)::timestamptz - %(patience)s
             AND (r->>2)::timestamptz + interval '1 minute'
             AND k.state IN ('sent', 'accepted', 'timed_out') AND coalesce(k.arguments->>'evse', r->>4) = r->>4
             AND NOT EXISTS (
                SELECT 1 FROM stations_session s WHERE s.tenant_id = %(tenant)s AND s.station_id = (r->>0)::bigint
                AND s.started_at > k.sent_at - interval '1 hour' AND s.remote_command_id = k.id) END
    ORDER BY k.id DESC LIMIT 1) found
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """The command behind a start, and for whom it asked."""

    command_id: int
    token_uid: str
    token_kind: str


def commands(
    starts: Sequence[tuple[int, str, datetime, int | None, int]],
) -> rows.Lookup[list[Asked | None]]:
    """What asked for these starts: (station id, token uid, received at, number we gave, EVSE)."""
    if not starts:
        return []
    found = {row[0]: Asked(*row[1:]) for row in (yield Ask(_FIND, starts, {"patience": PATIENCE}))}
    return [found.get(n) for n in range(1, len(starts) + 1)]
