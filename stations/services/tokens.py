"""Verdicts on tokens that are shown at stations: the fleet's judgement, and who is charging elsewhere already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fleets.models import Reason, Verdict
from fleets.services import authorization
from fleets.services.authorization import Judgement, Shown
from fleets.uid import normal_uid
from stations.neutral import AuthorizeAnswer, AuthorizeRequest
from stations.services import access, master_passes, texts
from stations.services.pnc import contracts, vehicles
from tenants import rows
from tenants.rows import Ask

# A session told this late (offline queue) does not overlap with what runs now.
LATE = timedelta(hours=1)
# One told this late began while the station could ask nobody.
QUEUED = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Use:
    """An accepted session that a token has running."""

    station_id: int
    evse_id: int


_RUNNING = """
SELECT x.* FROM json_array_elements_text(%(rows)s::json) uid CROSS JOIN LATERAL (
    SELECT s.token_uid, s.station_id, s.evse_id FROM stations_session s
    WHERE s.tenant_id = %(tenant)s AND s.ended_at IS NULL AND s.verdict = 'accepted' AND s.token_uid = uid LIMIT 50) x
"""


def running(uids: Iterable[str]) -> rows.Lookup[dict[str, set[Use]]]:
    """Where each token is charging now."""
    uses: dict[str, set[Use]] = {}
    listed = sorted(set(uids) - {""})
    for uid, station_id, evse_id in (yield Ask(_RUNNING, listed)) if listed else ():
        uses.setdefault(uid, set()).add(Use(station_id, evse_id))
    return uses


def concurrent(judgement: Judgement, elsewhere: bool) -> Judgement:
    """The verdict, once it is known whether the token is charging elsewhere."""
    if elsewhere and judgement.verdict == Verdict.ACCEPTED and not judgement.concurrent:
        return replace(judgement, verdict=Verdict.CONCURRENT_TX, reason=Reason.ELSEWHERE)
    return judgement


_SITES = """
SELECT x.* FROM json_array_elements_text(%(rows)s::json) station CROSS JOIN LATERAL (
    SELECT s.id, s.site_id FROM stations_station s
    WHERE s.tenant_id = %(tenant)s AND s.id = station::bigint LIMIT 1) x
"""
_NOTE = """
INSERT INTO stations_authorization (tenant_id, station_id, token_uid, token_id, verdict, at, reason, kind)
SELECT %(tenant)s, (r->>0)::bigint, r->>1, (r->>2)::bigint, r->>3, (r->>4)::timestamptz, r->>5, r->>6
FROM json_array_elements(%(rows)s::json) r
"""


def authorize(*, tenant_id: int, requests: Sequence[AuthorizeRequest]) -> list[AuthorizeAnswer]:
    """May this token charge here now? A token that charges at this same station is accepted: it may want to stop.

    A contract must be proved as well (C07); what a car says of itself counts only where that is switched on.
    """
    if not requests:
        return []
    uids = [normal_uid(request.token.uid)[:255] for request in requests]
    (judgements, sites), uses = rows.together(tenant_id, _judged_at(uids, requests), running(uids))
    admitted = access.admitted(
        tenant_id,
        [
            (request.station_id, request.token, judged)
            for request, judged in zip(requests, judgements, strict=True)
        ],
        starts=[False] * len(requests),
    )
    here = [
        request.station_id in {use.station_id for use in uses.get(uid, ())}
        for uid, request in zip(uids, requests, strict=True)
    ]
    judged = [
        concurrent(judgement, bool(uses.get(uid)) and not charges)
        for uid, judgement, charges in zip(uids, admitted, here, strict=True)
    ]
    judged = vehicles.judge(tenant_id=tenant_id, requests=requests, uids=uids, judged=judged, sites=sites)
    proved = contracts.judge(tenant_id=tenant_id, requests=requests, uids=uids, judged=judged, here=here)
    notes = [
        [
            request.station_id, uid, one.token_id, one.verdict, request.received_at, one.reason,
            request.token.kind or one.kind,
        ]
        for uid, request, (one, _status) in zip(uids, requests, proved, strict=True)
    ]  # fmt: skip
    rows.run(_NOTE, tenant_id, notes)
    master_passes.end_sessions(
        tenant_id,
        [request for request, judged in zip(requests, admitted, strict=True) if judged.master],
    )
    return [answer_of(tenant_id, one, status) for one, status in proved]


def answer_of(tenant_id: int, judged: Judgement, certificate: str) -> AuthorizeAnswer:
    return AuthorizeAnswer(
        judged.verdict, judged.group, judged.expires_at, judged.language, texts.said(tenant_id, judged),
        certificate=certificate, reason=judged.reason.value, priority=judged.priority,
    )  # fmt: skip


def _judged_at(
    uids: Sequence[str], requests: Sequence[AuthorizeRequest]
) -> rows.Lookup[tuple[list[Judgement], dict[int, int]]]:
    """The verdicts at the sites of the stations that ask, and the sites by station."""
    sites: dict[int, int] = dict((yield Ask(_SITES, sorted({request.station_id for request in requests}))))
    judged = yield from authorization.judge(
        [
            Shown(uid, sites[request.station_id], request.received_at, request.token.kind)
            for uid, request in zip(uids, requests, strict=True)
        ]
    )
    return judged, sites


def is_late(at: datetime, received_at: datetime) -> bool:
    return received_at - at > LATE
