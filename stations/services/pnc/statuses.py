"""Whether certificates were revoked, for stations that ask us to ask (M06, and 2.1 GetCertificateChainStatus)."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import replace

from cryptography import x509
from django.utils import timezone

from stations import pki
from stations.models import RevocationStatus, TrustAnchor
from stations.neutral import EventReport, StatusQuestion, StatusRequest, StatusTold
from stations.services import events
from stations.services.pnc import contracts, revocation
from stations.services.pnc.revocation import Outcome, Query
from tenants.context import tenant_scope

SECONDS = 12.0
_LABELS = {
    RevocationStatus.GOOD: "good",
    RevocationStatus.REVOKED: "revoked",
    RevocationStatus.UNKNOWN: "unknown to the responder",
    RevocationStatus.FAILED: "could not be found out",
}


def fetch(*, tenant_id: int, request: StatusRequest) -> StatusRequest:
    """The request with what responders said: from what is kept while it holds, else asked now."""
    now = timezone.now()
    deadline = time.monotonic() + SECONDS
    with tenant_scope(tenant_id):
        known = _authorities(tenant_id)
        queries = {place: _queries(one, known) for place, one in enumerate(request.questions)}
        kept = revocation.kept(
            tenant_id=tenant_id, queries=[q for some in queries.values() for q in some], now=now
        )
    asked: dict[str, tuple[Query, Outcome]] = {}
    answers = []
    for place, question in enumerate(request.questions):
        outcome = Outcome(RevocationStatus.FAILED, "No address to ask at was given.")
        for query in queries[place]:
            if query.key in kept:
                outcome = kept[query.key]
            else:
                asked |= revocation.ask([query], deadline=deadline)
                outcome = asked[query.key][1]
            if outcome.status != RevocationStatus.FAILED:
                break
        answers.append(_told(question, outcome, request.most_answer))
    if asked:
        with tenant_scope(tenant_id):
            revocation.keep(tenant_id=tenant_id, outcomes=asked, now=timezone.now())
    return replace(request, answers=tuple(answers))


def _authorities(tenant_id: int) -> list[x509.Certificate]:
    rows = TrustAnchor.objects.filter(tenant_id=tenant_id, archived_at=None)
    return [pki.one(pem) for pem in rows.values_list("pem", flat=True)] + contracts.known_issuers(tenant_id)


def _queries(question: StatusQuestion, known: list[x509.Certificate]) -> list[Query]:
    """One for each address. Whoever gets the answer checks it again: it need not be provable here."""
    issuer = revocation.issuer_of(question.hash, known)
    return [
        Query(replace(question.hash, responder_url=url), question.source, issuer, proof=False)
        for url in question.urls[:5]
    ]


def _told(question: StatusQuestion, outcome: Outcome, most_answer: int) -> StatusTold:
    response = base64.b64encode(outcome.response).decode() if outcome.response else ""
    status, detail = outcome.status, outcome.detail
    if most_answer and len(response) > most_answer:
        status, response = RevocationStatus.FAILED, ""
        detail = (
            f"The responder's answer is longer than this OCPP version carries ({most_answer} characters)."
        )
    return StatusTold(question, status.value, detail, response, outcome.next_update)


def late(request: StatusRequest) -> StatusRequest:
    outcome = Outcome(RevocationStatus.FAILED, "The responder did not answer in time.")
    return replace(
        request,
        answers=tuple(_told(question, outcome, request.most_answer) for question in request.questions),
    )


def record(*, tenant_id: int, requests: Sequence[StatusRequest]) -> list[tuple[StatusTold, ...]]:
    """Note at the stations what was asked and found."""
    reports = [
        EventReport(
            station_id=request.station_id, kind="certificate",
            severity="info" if told.status == RevocationStatus.GOOD else "warning",
            text=f"Certificate {told.question.hash.serial_number[:40]}: {_LABELS[RevocationStatus(told.status)]}",
            raw_timestamp="", received_at=request.received_at,
            detail={"reason": told.detail, "asked_at": list(told.question.urls)} if told.detail else {},
        )
        for request in requests
        for told in request.answers
    ]  # fmt: skip
    events.record(tenant_id=tenant_id, reports=reports)
    return [request.answers for request in requests]
