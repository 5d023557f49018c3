"""Whether certificates were revoked: OCSP (RFC 6960) and revocation lists (RFC 5280), asked, checked and kept.

In three steps, so that no transaction is open while a stranger thinks: `kept`, `ask`, `keep`.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from stations import pki
from stations.models import RevocationCheck, RevocationSource, RevocationStatus
from stations.neutral import CertificateHash
from tenants.services import outbound

log = logging.getLogger("voltyard.contracts")

MOST_OCSP_BYTES = 32_768
MOST_CRL_BYTES = 2_000_000
SECONDS = 4.0  # for one responder: a car waits
SKEW = timedelta(minutes=5)
LONGEST_KEPT = timedelta(days=1)  # news of a revocation must not wait for the responder's week
UNDATED_KEPT = timedelta(minutes=10)  # a response that does not say how long it holds
FAILURE_KEPT = timedelta(seconds=30)  # a responder that is down is not asked by each car
MOST_KEPT = 20_000  # rows a company


@dataclass(frozen=True, slots=True)
class Query:
    """One certificate, and where to ask for it. `issuer`: None where it is not known here.

    `proof`: the answer counts only if it can be proved to be the issuer's; else that is for who gets it, unless the
    issuer is known.
    """

    hash: CertificateHash
    source: str = RevocationSource.OCSP
    issuer: x509.Certificate | None = None
    proof: bool = True

    @property
    def key(self) -> str:
        told = self.hash
        text = "|".join(
            (
                self.source, told.algorithm, told.issuer_name_hash, told.issuer_key_hash, told.serial_number,
                told.responder_url, "proof" if self.proof else "",
            )
        )  # fmt: skip
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class Outcome:
    status: RevocationStatus
    detail: str = ""
    response: bytes | None = None
    next_update: datetime | None = None
    revoked_at: datetime | None = None
    fresh: bool = True  # just asked: worth keeping


class Unusable(Exception):
    """An answer that proves nothing; the text says why."""


def query_of(certificate: x509.Certificate, issuer: x509.Certificate, url: str = "") -> Query:
    """For a certificate that is here with its issuer; asked where it says itself, unless an address is given."""
    told = pki.hash_data(certificate, issuer)
    source = RevocationSource.OCSP
    address = url or _responder(certificate)
    if not address and (listed := _list_address(certificate)):
        source, address = RevocationSource.CRL, listed
    named = CertificateHash(
        told.algorithm, told.issuer_name_hash, told.issuer_key_hash, told.serial_number, address
    )
    return Query(named, source, issuer)


def _responder(certificate: x509.Certificate) -> str:
    try:
        listed = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ""
    places = (
        one.access_location for one in listed if one.access_method == AuthorityInformationAccessOID.OCSP
    )
    return next(
        (str(place.value) for place in places if isinstance(place, x509.UniformResourceIdentifier)), ""
    )


def _list_address(certificate: x509.Certificate) -> str:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return ""
    names = (name for point in points for name in point.full_name or ())
    return next((str(name.value) for name in names if isinstance(name, x509.UniformResourceIdentifier)), "")


def issuer_of(told: CertificateHash, known: Iterable[x509.Certificate]) -> x509.Certificate | None:
    """The authority that the hash data name."""
    if told.algorithm not in pki.ALGORITHMS:
        return None
    for certificate in known:
        # Of one that issued itself, name and key are those of the authority that the hash data mean.
        name_hash, key_hash = authority_hashes(certificate, told.algorithm)
        if name_hash == told.issuer_name_hash.lower() and key_hash == told.issuer_key_hash.lower():
            return certificate
    return None


def authority_hashes(authority: x509.Certificate, algorithm: str) -> tuple[str, str]:
    name = hashlib.new(algorithm, authority.subject.public_bytes()).hexdigest()
    return name, hashlib.new(algorithm, pki.key_bits(authority)).hexdigest()


# --- what is kept


def kept(*, tenant_id: int, queries: Sequence[Query], now: datetime) -> dict[str, Outcome]:
    """What is known already and still holds, by key. What an authority said that is trusted no more does not."""
    rows = RevocationCheck.objects.filter(
        tenant_id=tenant_id, key__in=[query.key for query in queries], good_until__gt=now
    )
    proved = {query.key for query in queries if query.issuer is not None or not query.proof}
    return {
        row.key: Outcome(
            RevocationStatus(row.status), row.detail, bytes(row.response) if row.response else None,
            row.next_update, row.revoked_at, fresh=False,
        )
        for row in rows
        if row.key in proved or row.status == RevocationStatus.FAILED
    }  # fmt: skip


def keep(*, tenant_id: int, outcomes: Mapping[str, tuple[Query, Outcome]], now: datetime) -> None:
    """Keep what was just found, as long as it holds."""
    for key, (query, outcome) in sorted(outcomes.items()):
        if outcome.fresh:
            RevocationCheck.objects.update_or_create(
                tenant_id=tenant_id, key=key, defaults=_columns(query, outcome, now)
            )
    rows = RevocationCheck.objects.filter(tenant_id=tenant_id)
    if rows.count() > MOST_KEPT:
        rows.filter(good_until__lt=now).delete()


def _columns(query: Query, outcome: Outcome, now: datetime) -> dict[str, Any]:
    if outcome.status == RevocationStatus.FAILED:
        until = now + FAILURE_KEPT
    else:
        until = min(outcome.next_update or now + UNDATED_KEPT, now + LONGEST_KEPT)
    return {
        "source": query.source, "serial": query.hash.serial_number[:64],
        "responder": query.hash.responder_url[:512], "status": outcome.status, "detail": outcome.detail[:200],
        "response": outcome.response, "checked_at": now, "next_update": outcome.next_update,
        "good_until": until, "revoked_at": outcome.revoked_at,
    }  # fmt: skip


# --- asking


def ask(queries: Iterable[Query], *, deadline: float) -> dict[str, tuple[Query, Outcome]]:
    """Ask for each, outside of any transaction. `deadline`: of time.monotonic(); what comes later counts as failed."""
    found = {}
    for query in queries:
        left = deadline - time.monotonic()
        if left <= 0.1:
            outcome = Outcome(RevocationStatus.FAILED, "There was no time left to ask.", fresh=False)
        else:
            outcome = ask_one(query, seconds=min(SECONDS, left))
        found[query.key] = query, outcome
    return found


def ask_one(query: Query, *, seconds: float = SECONDS) -> Outcome:
    url = query.hash.responder_url
    if not url:
        return Outcome(RevocationStatus.FAILED, "The certificate does not say where to ask.", fresh=False)
    host = url[:80]
    try:
        host = (urlsplit(url).hostname or url)[:80]
        if query.source == RevocationSource.CRL:
            return _ask_list(query, seconds)
        return _ask_responder(query, seconds)
    except outbound.Refused as refused:
        return Outcome(RevocationStatus.FAILED, str(refused))
    except Unusable as unusable:
        return Outcome(RevocationStatus.FAILED, f"{host}: {unusable}")
    except (OSError, ValueError) as error:
        told = str(error) or type(error).__name__
        return Outcome(RevocationStatus.FAILED, f"{host} cannot be reached: {told}"[:200])
    except Exception as error:  # of the many errors that hostile DER causes, some are no ValueError
        log.warning("an answer about revocation cannot be read", extra={"error": str(error)[:200]})
        return Outcome(RevocationStatus.FAILED, f"{host}: its answer cannot be read")


def _ask_responder(query: Query, seconds: float) -> Outcome:
    nonce = secrets.token_bytes(32)  # RFC 8954: 1 to 32 bytes
    answer = outbound.exchange(
        query.hash.responder_url, method="POST", body=request_for(query.hash, nonce), plain=True,
        headers={"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"},
        most_bytes=MOST_OCSP_BYTES, deadline_s=seconds,
    )  # fmt: skip
    if answer.status != 200:
        raise Unusable(f"it answered with HTTP {answer.status}")
    return read_response(answer.body, query, nonce=nonce, now=datetime.now(UTC))


def request_for(told: CertificateHash, nonce: bytes | None) -> bytes:
    """An OCSP request made of hash data alone (OCPP OCSPRequestDataType). ValueError where they are none."""
    algorithm = pki.ALGORITHMS.get(told.algorithm)
    if algorithm is None:
        raise ValueError(f"the hash algorithm {told.algorithm[:20]} is unknown")
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        bytes.fromhex(told.issuer_name_hash),
        bytes.fromhex(told.issuer_key_hash),
        int(told.serial_number, 16),
        algorithm,
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def read_response(der: bytes, query: Query, *, nonce: bytes | None, now: datetime) -> Outcome:
    """What a response says of the certificate. Unusable where it is not signed by who may, is old, or is another's."""
    response = ocsp.load_der_ocsp_response(der)
    if response.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise Unusable(f"it answered {response.response_status.name.lower()}")
    if query.issuer is not None:
        _check_signature(response, query.issuer, now)
    elif query.proof:
        raise Unusable("its answers cannot be checked, for the issuing authority is not known here")
    _check_nonce(response, nonce)
    single = _single(response, query.hash)
    if single.this_update_utc > now + SKEW:
        raise Unusable("its answer is dated in the future")
    until = single.next_update_utc
    if (until or single.this_update_utc + LONGEST_KEPT) < now - SKEW:
        raise Unusable("its answer is out of date")
    status = {
        ocsp.OCSPCertStatus.GOOD: RevocationStatus.GOOD,
        ocsp.OCSPCertStatus.REVOKED: RevocationStatus.REVOKED,
        ocsp.OCSPCertStatus.UNKNOWN: RevocationStatus.UNKNOWN,
    }[single.certificate_status]
    detail = ""
    if status == RevocationStatus.REVOKED:
        why = single.revocation_reason.value if single.revocation_reason else "no reason given"
        detail = f"Revoked on {single.revocation_time_utc:%d %B %Y} ({why})."
    return Outcome(status, detail, der, until, single.revocation_time_utc)


def _single(response: ocsp.OCSPResponse, told: CertificateHash) -> Any:
    for single in response.responses:
        same = single.serial_number == int(told.serial_number, 16) and (
            single.hash_algorithm.name == told.algorithm.lower()
            and single.issuer_name_hash.hex() == told.issuer_name_hash.lower()
            and single.issuer_key_hash.hex() == told.issuer_key_hash.lower()
        )
        if same:
            return single
    raise Unusable("its answer is about another certificate")


def _check_nonce(response: ocsp.OCSPResponse, nonce: bytes | None) -> None:
    """RFC 8954 2.1: a responder may leave it out (it answers from stock); one that differs is a replay."""
    try:
        told = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return
    if nonce is not None and told != nonce:
        raise Unusable("its answer belongs to another question")


def _check_signature(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> None:
    """RFC 6960 4.2.2.2: signed by the authority itself, or by one that it made a responder."""
    for signer in (issuer, *response.certificates):
        if signer is not issuer and not _may_respond(signer, issuer, now):
            continue
        if _signed(signer.public_key(), response):
            return
    raise Unusable("its answer is not signed by the authority of the certificate")


def _may_respond(signer: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    try:
        usages = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    current = signer.not_valid_before_utc - SKEW <= now <= signer.not_valid_after_utc + SKEW
    return current and ExtendedKeyUsageOID.OCSP_SIGNING in usages and pki.issued_by(signer, issuer)


def _signed(key: Any, response: ocsp.OCSPResponse) -> bool:
    signature, data = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(_algorithm(response)))
        elif isinstance(key, ed448.Ed448PublicKey | ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), _algorithm(response))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _algorithm(response: ocsp.OCSPResponse) -> hashes.HashAlgorithm:
    used = response.signature_hash_algorithm
    if used is None or used.name not in ("sha256", "sha384", "sha512"):
        raise ValueError("not signed with SHA-2")
    return used


# --- revocation lists


def _ask_list(query: Query, seconds: float) -> Outcome:
    answer = outbound.exchange(
        query.hash.responder_url, plain=True, most_bytes=MOST_CRL_BYTES, deadline_s=seconds
    )
    if answer.status != 200:
        raise Unusable(f"it answered with HTTP {answer.status}")
    return read_list(answer.body, query, now=datetime.now(UTC))


def read_list(body: bytes, query: Query, *, now: datetime) -> Outcome:
    """What a revocation list (DER or PEM) says. Unusable where the authority did not sign it, or it is old."""
    load = x509.load_pem_x509_crl if body.lstrip().startswith(b"-----BEGIN") else x509.load_der_x509_crl
    listed = load(body)
    if query.issuer is None:  # whose list it is cannot be told either
        raise Unusable("its list cannot be checked, for the issuing authority is not known here")
    if listed.issuer != query.issuer.subject or not listed.is_signature_valid(query.issuer.public_key()):  # type: ignore[arg-type]
        raise Unusable("its list is not signed by the authority of the certificate")
    if any(one.critical and not _covers(one.value, query.hash.responder_url) for one in listed.extensions):
        raise Unusable("its list is a partial one, or holds what is not understood here")
    until = listed.next_update_utc
    if (until or listed.last_update_utc + LONGEST_KEPT) < now - SKEW:
        raise Unusable("its list is out of date")
    entry = listed.get_revoked_certificate_by_serial_number(int(query.hash.serial_number, 16))
    if entry is None:
        return Outcome(RevocationStatus.GOOD, "", None, until)
    return Outcome(
        RevocationStatus.REVOKED, f"Revoked on {entry.revocation_date_utc:%d %B %Y}.", None, until,
        entry.revocation_date_utc,
    )  # fmt: skip


def _covers(told: x509.ExtensionType, address: str) -> bool:
    """RFC 5280 5.2.5, 6.3.3: a list of changes, of some reasons or of another's entries proves no certificate good; one
    of a part does for those whose certificates name its address."""
    if not isinstance(told, x509.IssuingDistributionPoint):
        return False
    names = [name.value for name in told.full_name or () if isinstance(name, x509.UniformResourceIdentifier)]
    return address in names and not (
        told.indirect_crl or told.only_some_reasons or told.only_contains_attribute_certs
    )


def resolved(query: Query, known: Iterable[x509.Certificate]) -> Query:
    """The query with its issuer, if that is known."""
    return query if query.issuer is not None else replace(query, issuer=issuer_of(query.hash, known))
