"""Whether a token may charge: the one path that every version, page and API asks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connections

from fleets.models import Verdict
from fleets.uid import normal_uid
from tenants.context import current_alias, current_tenant_id, tenant_scope


@dataclass(frozen=True, slots=True)
class Shown:
    """A token shown at a site. `kind` is told for the record; a verdict does not depend on it (1.6 never tells)."""

    uid: str
    site_id: int
    at: datetime
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`token_id` and what follows it are given for refused tokens too; all None or empty for unknown ones."""

    verdict: Verdict
    token_id: int | None = None
    driver_id: int | None = None
    fleet_id: int | None = None
    group: str = ""
    expires_at: datetime | None = None
    concurrent: bool = False


# One statement for a whole batch. `uid` is stored upper case, so that the unique index answers; LIMIT 1 keeps the
# planner from reading all tokens of a tenant for the sake of twenty.
_JUDGE = """
SELECT CASE
         WHEN t.id IS NULL THEN 'invalid'
         WHEN t.blocked THEN 'blocked'
         WHEN t.valid_from > s.at OR t.expires_at <= s.at THEN 'expired'
         WHEN s.site_id = ANY (t.site_ids) OR t.site_ids = '{}' THEN 'accepted'
         ELSE 'invalid'
       END,
       t.id, t.driver_id, t.fleet_id, coalesce(t."group", ''), t.expires_at, coalesce(t.concurrent, false)
FROM (SELECT n, row->>0 AS uid, (row->>1)::bigint AS site_id, (row->>2)::timestamptz AS at
      FROM json_array_elements(%(shown)s::json) WITH ORDINALITY AS list(row, n)) s
LEFT JOIN LATERAL (
    SELECT k.id, k.driver_id, coalesce(k.fleet_id, d.fleet_id) AS fleet_id, k."group", k.valid_from, k.expires_at,
           k.concurrent, k.blocked OR coalesce(d.blocked, false) AS blocked,
           ARRAY (SELECT l.site_id FROM fleets_tokensite l WHERE l.tenant_id = k.tenant_id AND l.token_id = k.id)
             AS site_ids
    FROM fleets_token k LEFT JOIN fleets_driver d ON d.tenant_id = k.tenant_id AND d.id = k.driver_id
    WHERE k.tenant_id = %(tenant)s AND k.uid = s.uid LIMIT 1) t ON true
ORDER BY s.n
"""


def judge(*, tenant_id: int, shown: Sequence[Shown]) -> list[Judgement]:
    """A verdict for each token shown, in order. Never CONCURRENT_TX: that is for who knows the running sessions."""
    if not shown:
        return []
    if current_tenant_id() != tenant_id or not connections[current_alias()].in_atomic_block:
        with tenant_scope(tenant_id):
            return _judge(tenant_id, shown)
    return _judge(tenant_id, shown)  # no savepoint of its own: this is the hot path


def _judge(tenant_id: int, shown: Sequence[Shown]) -> list[Judgement]:
    batch = json.dumps([[normal_uid(one.uid), one.site_id, one.at.isoformat()] for one in shown])
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(_JUDGE, {"shown": batch, "tenant": tenant_id})
        return [Judgement(Verdict(row[0]), *row[1:]) for row in cursor.fetchall()]
