"""Whether a token may charge: the one path that every version, page and API asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fleets.models import Verdict
from fleets.uid import normal_uid
from tenants import rows
from tenants.rows import Ask


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
    language: str = ""  # for what the station says to the driver
    message: str = ""
    master: bool = False  # a master pass: it ends sessions and starts none


_JUDGE = "SELECT * FROM fleets_judge(%(tenant)s, %(rows)s::json)"  # fleets/database.sql


def judge(shown: Sequence[Shown]) -> rows.Lookup[list[Judgement]]:
    """A verdict for each token shown, in order. Never CONCURRENT_TX: that is for who knows the running sessions."""
    if not shown:
        return []
    asked = [[normal_uid(one.uid), one.site_id, one.at] for one in shown]
    return [Judgement(Verdict(row[0]), *row[1:]) for row in (yield Ask(_JUDGE, asked))]
