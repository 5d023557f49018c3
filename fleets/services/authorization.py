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
        cursor.execute("SELECT * FROM fleets_judge(%s, %s::json)", [tenant_id, batch])  # fleets/database.sql
        return [Judgement(Verdict(row[0]), *row[1:]) for row in cursor.fetchall()]
