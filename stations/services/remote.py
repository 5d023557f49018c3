"""Which session follows from which remote start."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from stations.services import rows

# A driver who started by app has so long to plug in; stations' own time-outs are shorter.
PATIENCE = timedelta(minutes=15)

# 2.x repeats the number we gave (the command's id, within 31 bits). 1.6 only shows the same token soon after.
_FIND = """
SELECT n, found.id FROM json_array_elements(%(rows)s::json) WITH ORDINALITY AS list (r, n)
CROSS JOIN LATERAL (
    SELECT k.id FROM (
        SELECT c.id, c.kind, c.arguments, c.sent_at FROM stations_command c
        WHERE c.tenant_id = %(tenant)s AND c.station_id = (r->>0)::bigint ORDER BY c.id DESC LIMIT 20) k
    WHERE k.kind = 'start' AND CASE WHEN r->>3 IS NOT NULL THEN k.id %% 2147483647 = (r->>3)::numeric
        ELSE upper(k.arguments->>'token_uid') = r->>1 AND k.sent_at BETWEEN (r->>2)::timestamptz - %(patience)s
             AND (r->>2)::timestamptz + interval '1 minute' END
    ORDER BY k.id DESC LIMIT 1) found
"""


def commands(tenant_id: int, starts: Sequence[tuple[int, str, datetime, int | None]]) -> list[int | None]:
    """Ids of the commands that asked for these starts: (station id, token uid, received at, number we gave)."""
    if not starts:
        return []
    found = dict(rows.run(_FIND, tenant_id, list(starts), patience=PATIENCE))
    return [found.get(n) for n in range(1, len(starts) + 1)]
