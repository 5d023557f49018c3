"""Contracts that cars show (ISO 15118, OCPP C07 and C08): is the certificate good, and what follows for the token.

`examine` looks at the certificate and asks strangers about it, outside of any transaction; `judge` brings what it
found into the one path of authorisation (`stations.services.tokens.authorize`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509
from django.utils import timezone

from fleets import emaid
from fleets.models import Reason, TokenKind, Verdict
from fleets.services.authorization import Judgement
from stations import contract_chain, pki
from stations.contract_chain import Finding, Step
from stations.models import (
    CertificateStatus,
    CertificateUse,
    Command,
    CommandKind,
    Contract,
    ContractCheck,
    IssuerCertificate,
    PlugAndCharge,
    RevocationStatus,
    TrustAnchor,
    Unchecked,
)
from stations.neutral import AuthorizeRequest, ContractFound, ContractShown
from stations.services import remote
from stations.services.pnc import revocation, settings
from stations.services.pnc.revocation import Outcome, Query
from tenants.context import tenant_scope
from tenants.errors import Invalid

log = logging.getLogger("voltyard.contracts")

SECONDS = 12.0  # for all that is asked of strangers about one contract
USES = (CertificateUse.MO_ROOT, CertificateUse.V2G_ROOT)  # a mobility operator may stand below either
MOST_ISSUERS = 500  # a company
_CANCELLED = {Reason.BLOCKED, Reason.DRIVER_BLOCKED, Reason.EXPIRED}
_PROVED_BY_NOTHING = "Neither a certificate nor hash data of one came with the contract id."


def needed(request: AuthorizeRequest) -> bool:
    """Whether there is a proof to look at."""
    return request.contract is not None


def examine(*, tenant_id: int, request: AuthorizeRequest) -> AuthorizeRequest:
    """The request with what its contract was found to be."""
    assert request.contract is not None
    now = timezone.now()
    with tenant_scope(tenant_id):
        own = settings.of(tenant_id)
        anchors = trusted(tenant_id)
        issuers = known_issuers(tenant_id)
    finding, queries = _look(request.contract, request.token.uid, anchors, issuers, now)
    flagged = False
    if finding.status == CertificateStatus.ACCEPTED:
        outcomes = _revoked(tenant_id, queries, now)
        flagged = _weigh(finding, [outcomes[query.key] for query in queries], own)
    return replace(
        request,
        found=ContractFound(
            finding.status.value,
            finding.detail,
            tuple(step.as_json() for step in finding.steps),
            tuple(pki.pem(certificate) for certificate in finding.path),
            trusted=any(step.name == "path" and step.good for step in finding.steps),
            flagged=flagged,
        ),
    )


def late(request: AuthorizeRequest) -> AuthorizeRequest:
    """What holds when `examine` has not come back in time."""
    found = ContractFound(
        CertificateStatus.NOT_AVAILABLE.value,
        "The certificate could not be checked in time.",
        (Step("revocation", None, "Not checked in time.").as_json(),),
    )
    return replace(request, found=found)


def trusted(tenant_id: int) -> list[x509.Certificate]:
    """The roots below which contracts are believed."""
    rows = TrustAnchor.objects.filter(tenant_id=tenant_id, use__in=USES, archived_at=None)
    return [pki.one(pem) for pem in rows.values_list("pem", flat=True)]


def known_issuers(tenant_id: int) -> list[x509.Certificate]:
    rows = IssuerCertificate.objects.filter(tenant_id=tenant_id).order_by("-seen_at")
    return [pki.one(pem) for pem in rows.values_list("pem", flat=True)[:MOST_ISSUERS]]


def _look(
    shown: ContractShown,
    uid: str,
    anchors: list[x509.Certificate],
    issuers: list[x509.Certificate],
    now: datetime,
) -> tuple[Finding, list[Query]]:
    """What the bytes tell, and what is to be asked."""
    if shown.chain:
        finding = contract_chain.check(shown.chain, uid, anchors=anchors, issuers=issuers, at=now)
        if finding.status != CertificateStatus.ACCEPTED:
            return finding, []
        urls = {pki.plain_serial(told.serial_number): told.responder_url for told in shown.hashes}
        below = zip(finding.path, finding.path[1:], strict=False)
        return finding, [
            revocation.query_of(certificate, issuer, urls.get(pki.serial(certificate), ""))
            for certificate, issuer in below
        ]
    finding = Finding()
    if not shown.hashes:
        return finding.fail(CertificateStatus.NOT_AVAILABLE, "contract", _PROVED_BY_NOTHING), []
    # C07.FR.01: the station has checked the chain itself and gives hash data; what is left is revocation.
    finding.steps.append(Step("path", None, "Checked by the station; only hash data came."))
    queries = [revocation.resolved(Query(told), [*anchors, *issuers]) for told in shown.hashes]
    return finding, [
        query
        if query.issuer is None or contract_chain.leads_to_root(query.issuer, anchors, issuers)
        else replace(query, issuer=None)  # its root is trusted no more
        for query in queries
    ]


def _revoked(tenant_id: int, queries: Sequence[Query], now: datetime) -> dict[str, Outcome]:
    with tenant_scope(tenant_id):
        answers = revocation.kept(tenant_id=tenant_id, queries=queries, now=now)
    asked = revocation.ask(
        [query for query in queries if query.key not in answers], deadline=time.monotonic() + SECONDS
    )
    if asked:
        with tenant_scope(tenant_id):
            revocation.keep(tenant_id=tenant_id, outcomes=asked, now=timezone.now())
    return answers | {key: outcome for key, (_query, outcome) in asked.items()}


def _weigh(finding: Finding, outcomes: Sequence[Outcome], own: PlugAndCharge) -> bool:
    """Bring the answers into the finding. Whether it is accepted though something could not be checked."""
    unclear = ""
    for outcome in outcomes:
        good = {RevocationStatus.GOOD: True, RevocationStatus.REVOKED: False}.get(outcome.status)
        told = outcome.detail or ("" if good else str(outcome.status.label))
        if outcome.status == RevocationStatus.REVOKED:
            finding.fail(CertificateStatus.REVOKED, "revocation", told)
            return False
        finding.steps.append(Step("revocation", good, told))
        if not good:
            unclear = unclear or told
    if not unclear and outcomes:
        return False
    unclear = unclear or "Nothing says where to ask whether it was revoked."
    if own.unchecked == Unchecked.ACCEPT:
        finding.detail = unclear[:300]
        return True
    finding.status, finding.detail = CertificateStatus.NOT_AVAILABLE, unclear[:300]
    return False


# --- in the path of authorisation


def judge(
    *,
    tenant_id: int,
    requests: Sequence[AuthorizeRequest],
    uids: Sequence[str],
    judged: Sequence[Judgement],
    here: Sequence[bool],
) -> list[tuple[Judgement, str]]:
    """(judgement, certificate status or "") for each token shown, and a record of each contract.

    A contract id without any proof is refused: whoever knows it could send it. Except for one that charges at this
    station already, or was asked for by a remote start of ours, or where the company accepts bare ids.
    """
    answers: list[tuple[Judgement, str]] = []
    for request, uid, one, charges in zip(requests, uids, judged, here, strict=True):
        if request.contract is not None:
            found = request.found or ContractFound(CertificateStatus.NOT_AVAILABLE.value, _PROVED_BY_NOTHING)
            answers.append(_with_contract(tenant_id, request, uid, one, found))
        elif TokenKind.EMAID in (one.kind, request.token.kind) and not charges:
            answers.append(_bare(tenant_id, request, uid, one))
        else:
            answers.append((one, ""))
    return answers


def _with_contract(
    tenant_id: int, request: AuthorizeRequest, uid: str, judged: Judgement, found: ContractFound
) -> tuple[Judgement, str]:
    status = CertificateStatus(found.status)
    if status != CertificateStatus.ACCEPTED:
        verdict = Verdict.EXPIRED if status == CertificateStatus.EXPIRED else Verdict.INVALID
        judged = replace(judged, verdict=verdict, reason=Reason.CERTIFICATE)
    elif judged.reason in _CANCELLED:
        status = CertificateStatus.CANCELLED
    if found.trusted:
        _remember(tenant_id, uid, found, status, request.received_at)
    _record(tenant_id, request, uid, judged, status, found)
    return judged, status.value


def _bare(tenant_id: int, request: AuthorizeRequest, uid: str, judged: Judgement) -> tuple[Judgement, str]:
    if judged.verdict != Verdict.ACCEPTED:
        return judged, ""
    if settings.of(tenant_id).bare or _asked_for(tenant_id, request, uid):
        return judged, ""
    found = ContractFound(CertificateStatus.NOT_AVAILABLE.value, _PROVED_BY_NOTHING)
    judged = replace(judged, verdict=Verdict.INVALID, reason=Reason.NO_CERTIFICATE)
    _record(tenant_id, request, uid, judged, CertificateStatus.NOT_AVAILABLE, found)
    return judged, CertificateStatus.NOT_AVAILABLE.value


def _asked_for(tenant_id: int, request: AuthorizeRequest, uid: str) -> bool:
    """Whether a remote start of ours named this contract at this station lately."""
    since = request.received_at - remote.PATIENCE
    recent = Command.objects.filter(
        tenant_id=tenant_id, station_id=request.station_id, kind=CommandKind.START, created_at__gte=since
    )
    named = recent.order_by("-id").values_list("arguments__token_uid", flat=True)[:20]
    return any(emaid.canonical(str(text or "")) == uid for text in named)


def _record(
    tenant_id: int,
    request: AuthorizeRequest,
    uid: str,
    judged: Judgement,
    status: CertificateStatus,
    found: ContractFound,
) -> None:
    ContractCheck.objects.create(
        tenant_id=tenant_id, station_id=request.station_id, token_id=judged.token_id, emaid=uid,
        at=request.received_at, status=status, verdict=judged.verdict, reason=judged.reason.value,
        detail=found.detail[:300], flagged=found.flagged and judged.verdict == Verdict.ACCEPTED,
        steps=list(found.steps),
    )  # fmt: skip


def _remember(
    tenant_id: int, uid: str, found: ContractFound, status: CertificateStatus, at: datetime
) -> None:
    """The contract as it was shown, and the authorities above it: of paths to trusted roots alone."""
    try:
        path = [pki.one(text) for text in found.path]
    except Invalid:
        log.exception("a path that was found good cannot be read")
        return
    leaf = path[0]
    named = emaid.canonical(pki.common_name(leaf.subject))
    if named != uid or len(path) < 2:
        return
    values = {
        "issuer": leaf.issuer.rfc4514_string()[:200], "root": pki.name(path[-1]), "serial": pki.serial(leaf)[:64],
        "fingerprint": pki.fingerprint(leaf), "key_type": contract_chain.key_type(leaf),
        "chain": "".join(found.path), "not_before": leaf.not_valid_before_utc,
        "not_after": leaf.not_valid_after_utc, "status": status, "last_seen_at": at,
    }  # fmt: skip
    Contract.objects.update_or_create(
        tenant_id=tenant_id, emaid=named, defaults=values, create_defaults={**values, "first_seen_at": at}
    )
    for authority in path[1:-1]:
        _remember_issuer(tenant_id, authority, at)


def _remember_issuer(tenant_id: int, authority: x509.Certificate, at: datetime) -> None:
    rows = IssuerCertificate.objects.filter(tenant_id=tenant_id)
    digest = pki.fingerprint(authority)
    if rows.filter(fingerprint=digest, seen_at__gt=at - timedelta(hours=1)).exists():
        return
    name_hash, _key_hash = revocation.authority_hashes(authority, "SHA256")
    rows.update_or_create(
        fingerprint=digest,
        defaults={
            "tenant_id": tenant_id, "name_hash": name_hash, "subject": pki.name(authority),
            "pem": pki.pem(authority), "not_after": authority.not_valid_after_utc, "seen_at": at,
        },
    )  # fmt: skip
    if rows.count() > MOST_ISSUERS:
        rows.order_by("seen_at").first().delete()  # type: ignore[union-attr]
