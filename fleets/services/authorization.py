"""Whether a token may charge: the one path that every version, page and API asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fleets.models import Reason, Verdict
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


VERDICTS = {
    Reason.FINE: Verdict.ACCEPTED,
    Reason.UNKNOWN: Verdict.INVALID,
    Reason.BLOCKED: Verdict.BLOCKED,
    Reason.DRIVER_BLOCKED: Verdict.BLOCKED,
    Reason.NOT_YET_VALID: Verdict.EXPIRED,
    Reason.EXPIRED: Verdict.EXPIRED,
    Reason.OTHER_SITE: Verdict.INVALID,
    Reason.AUTOCHARGE_OFF: Verdict.INVALID,
}


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
    kind: str = ""  # of the token as it is entered, whatever the station took it for
    priority: int | None = None
    reason: Reason = Reason.FINE
    master: bool = False  # a master pass: it ends sessions and starts none


_JUDGE = "SELECT * FROM fleets_judge(%(tenant)s, %(rows)s::json)"  # fleets/database.sql


def judge(shown: Sequence[Shown]) -> rows.Lookup[list[Judgement]]:
    """A verdict for each token shown, in order. Never CONCURRENT_TX: that is for who knows the running sessions."""
    if not shown:
        return []
    asked = [[normal_uid(one.uid), one.site_id, one.at] for one in shown]
    return [_judgement(*row) for row in (yield Ask(_JUDGE, asked))]


def _judgement(
    reason: str,
    token_id: int | None,
    driver_id: int | None,
    fleet_id: int | None,
    group: str,
    expires_at: datetime | None,
    concurrent: bool,
    language: str,
    message: str,
    kind: str,
    priority: int | None,
) -> Judgement:
    why = Reason(reason)
    return Judgement(
        VERDICTS[why], token_id, driver_id, fleet_id, group, expires_at, concurrent, language, message, kind,
        priority, why,
    )  # fmt: skip
