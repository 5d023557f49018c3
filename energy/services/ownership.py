"""One owner of a site at a time. A lease says who; its token, held where orders are sent, fences off all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connections
from django.db.models import F, Q
from django.db.models.functions import Now

from energy.models import Steering
from tenants import rows
from tenants.context import current_alias

LEASE_SECONDS = 10
LEASE_END = Now() + timedelta(seconds=LEASE_SECONDS)


@dataclass(frozen=True, slots=True)
class Steered:
    """A site that is to be steered. `owner` empty: nobody does. `is_free`: by the database's clock, as all leases are:
    those of the processes' machines may differ, and jump."""

    tenant_id: int
    connection_id: int
    site_id: int
    owner: str = ""
    is_free: bool = True


def steered() -> list[Steered]:
    """All sites of all tenants that are to be steered. Works outside any tenant."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id, connection_id, site_id, owner,"
            " owner = '' OR coalesce(leased_until <= statement_timestamp(), true) FROM energy_steered()"
        )
        return [Steered(*row) for row in cursor.fetchall()]


def claim(*, tenant_id: int, connection_id: int, owner: str) -> int | None:
    """Become the owner of a site that has none: the token. None if another was first."""
    free = Steering.objects.filter(
        Q(owner="") | Q(leased_until=None) | Q(leased_until__lte=Now()),
        tenant_id=tenant_id,
        connection_id=connection_id,
    )
    taken = free.update(owner=owner, token=F("token") + 1, leased_until=LEASE_END)
    if not taken:
        return None
    mine = Steering.objects.get(tenant_id=tenant_id, connection_id=connection_id)
    return mine.token if mine.owner == owner else None


# In the order in which `hold` holds them: they never wait for each other in a circle.
_RENEW = """
WITH mine AS (
    SELECT s.id FROM energy_steering s
    JOIN json_to_recordset(%(rows)s::json) AS t(connection bigint, token bigint)
      ON s.connection_id = t.connection AND s.token = t.token
    WHERE s.tenant_id = %(tenant)s ORDER BY s.connection_id FOR NO KEY UPDATE OF s
)
UPDATE energy_steering s SET leased_until = statement_timestamp() + make_interval(secs => %(seconds)s)
FROM mine WHERE s.tenant_id = %(tenant)s AND s.id = mine.id
RETURNING s.connection_id
"""


def renew(*, tenant_id: int, tokens: Sequence[tuple[int, int]]) -> set[int]:
    """Keep sites (connection, token) for another while: those that are still ours."""
    return {row[0] for row in rows.run(_RENEW, tenant_id, _listed(tokens), seconds=LEASE_SECONDS)}


_RELEASE = """
UPDATE energy_steering s SET owner = '', leased_until = NULL
FROM json_to_recordset(%(rows)s::json) AS t(connection bigint, token bigint)
WHERE s.tenant_id = %(tenant)s AND s.connection_id = t.connection AND s.token = t.token
"""


def release(*, tenant_id: int, tokens: Sequence[tuple[int, int]]) -> None:
    """Give sites (connection, token) up, so that the next owner need not wait for the lease to end."""
    rows.run(_RELEASE, tenant_id, _listed(tokens))


_HOLD = """
SELECT s.connection_id FROM energy_steering s
JOIN json_to_recordset(%(rows)s::json) AS t(connection bigint, token bigint)
  ON s.connection_id = t.connection AND s.token = t.token
WHERE s.tenant_id = %(tenant)s ORDER BY s.connection_id FOR SHARE OF s
"""


def hold(*, tenant_id: int, tokens: Sequence[tuple[int, int]]) -> set[int]:
    """Hold sites (connection, token) to the end of this transaction, so that nobody takes them over meanwhile: those
    that are still ours."""
    return {row[0] for row in rows.run(_HOLD, tenant_id, _listed(tokens))}


def _listed(tokens: Sequence[tuple[int, int]]) -> list[dict[str, int]]:
    return [{"connection": connection_id, "token": token} for connection_id, token in tokens]
