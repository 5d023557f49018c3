"""Contract certificates of ISO 15118, as far as bytes tell: the path to a trusted root, dates, constraints, keys.

RFC 5280 section 6 for the path; ISO 15118-2 annex F (P-256 with SHA-256) and ISO 15118-20 annex B (P-521 with SHA-512,
Ed448) for the shapes. Whether something was revoked is asked elsewhere (`stations.services.pnc.revocation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.x509.oid import ExtensionOID

from fleets import emaid
from stations import pki
from stations.models import CertificateStatus
from tenants.errors import Invalid

MOST_BELOW_ROOT = 3  # a contract and two authorities (ISO 15118-2 7.3.2)
MOST_TRIED = 4  # certificates of one authority
Kind = TypeVar("Kind", bound=x509.ExtensionType)
_UNDERSTOOD = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}
_CURVES = {"secp256r1": ("sha256",), "secp384r1": ("sha384",), "secp521r1": ("sha512",)}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at. `good` None: it was not possible to tell."""

    name: str
    good: bool | None
    detail: str = ""

    def as_json(self) -> dict[str, object]:
        return {"name": self.name, "good": self.good, "detail": self.detail[:300]}


@dataclass(slots=True)
class Finding:
    """What a chain was found to be. `path`: from the contract up to the root, as far as it could be built."""

    status: CertificateStatus = CertificateStatus.ACCEPTED
    detail: str = ""
    steps: list[Step] = field(default_factory=list)
    path: list[x509.Certificate] = field(default_factory=list)
    emaid: str = ""  # in the certificate

    def fine(self, name: str, detail: str = "") -> None:
        self.steps.append(Step(name, True, detail))

    def fail(self, status: CertificateStatus, name: str, detail: str) -> Finding:
        self.steps.append(Step(name, False, detail))
        self.status, self.detail = status, detail[:300]
        return self


def check(
    text: str,
    shown: str,
    *,
    anchors: Sequence[x509.Certificate],
    issuers: Sequence[x509.Certificate] = (),
    at: datetime,
) -> Finding:
    """A chain (PEM, in any order) for the contract id that was shown beside it, at a moment.

    `anchors` are trusted; `issuers` are authorities known from before, which fill gaps and are trusted no further.
    """
    found = Finding()
    try:
        given = pki.chain(text)
    except Invalid as error:
        return found.fail(CertificateStatus.CHAIN_ERROR, "readable", error.detail)
    leaves = [certificate for certificate in given if not pki.is_authority(certificate)]
    if len(leaves) != 1:
        return found.fail(
            CertificateStatus.CHAIN_ERROR, "readable", "The chain must hold one contract certificate."
        )
    leaf = leaves[0]
    found.path.append(leaf)
    found.fine("readable", pki.name(leaf))
    if not _names(found, leaf, shown):
        return found
    others = [certificate for certificate in given if certificate is not leaf]
    # A root may come along: it is trusted for being kept, not for being shown.
    others = [one for one in [*others, *issuers] if one not in anchors]
    if not _climb(found, others, list(anchors), at):
        return found
    for judge in (_dates, _constraints, _keys):
        if not judge(found, at):
            return found
    return found


def _names(found: Finding, leaf: x509.Certificate, shown: str) -> bool:
    """ISO 15118-2 annex F: the common name of a contract certificate is its eMAID."""
    told = pki.common_name(leaf.subject)
    found.emaid = emaid.canonical(told)
    if not found.emaid:
        found.fail(
            CertificateStatus.CHAIN_ERROR, "contract", f"The certificate names no contract id: {told[:60]!r}."
        )
        return False
    if not emaid.same(told, shown):
        found.fail(
            CertificateStatus.CHAIN_ERROR,
            "contract",
            f"The certificate is of contract {emaid.shown(told)}, shown was {shown[:40]}.",
        )
        return False
    found.fine("contract", emaid.shown(told))
    return True


def _climb(
    found: Finding, others: list[x509.Certificate], anchors: list[x509.Certificate], at: datetime
) -> bool:
    """Name by name and signature by signature up to a trusted root. An authority may have more than one certificate for
    its key (renewed, or signed by another root as well): each is tried until a path is valid as a whole."""
    ends: list[tuple[CertificateStatus, str, list[x509.Certificate]]] = []
    path = None
    for way in _ways(found.path, others, anchors, ends):
        path = path or way
        if all(one.not_valid_before_utc <= at <= one.not_valid_after_utc for one in way):
            path = way
            break
    if path is None:
        status, told, found.path = max(ends, key=lambda end: len(end[2]))
        found.fail(status, "path", told)
        return False
    found.path = path
    found.fine("path", " < ".join(pki.common_name(c.subject) or pki.name(c) for c in path))
    return True


def leads_to_root(
    certificate: x509.Certificate, anchors: Sequence[x509.Certificate], issuers: Sequence[x509.Certificate]
) -> bool:
    """Whether this authority stands below a root that is trusted now, or is one."""
    if certificate in anchors:
        return True
    return next(_ways([certificate], list(issuers), list(anchors), []), None) is not None


def _ways(
    path: list[x509.Certificate],
    others: list[x509.Certificate],
    anchors: list[x509.Certificate],
    ends: list[tuple[CertificateStatus, str, list[x509.Certificate]]],
) -> Iterator[list[x509.Certificate]]:
    """The path, continued to a root in each way there is. `ends`: where it went no further, and why."""
    current = path[-1]
    if len(path) > MOST_BELOW_ROOT:
        ends.append((CertificateStatus.CHAIN_ERROR, "The chain does not reach a trusted root.", path))
        return
    above = [root for root in anchors if root.subject == current.issuer]
    yield from ([*path, root] for root in above if pki.issued_by(current, root))
    between = [c for c in others if c.subject == current.issuer and c not in path]
    issuers = [c for c in between if pki.issued_by(current, c)]
    for issuer in issuers[:MOST_TRIED]:
        yield from _ways([*path, issuer], others, anchors, ends)
    if not issuers:
        who = current.issuer.rfc4514_string()[:120]
        if above or between:
            ends.append((CertificateStatus.SIGNATURE_ERROR, f"The signature of {who} is wrong.", path))
        else:
            ends.append((CertificateStatus.CHAIN_ERROR, f"No trusted root is known for {who}.", path))


def _dates(found: Finding, at: datetime) -> bool:
    for certificate in found.path:
        name = pki.common_name(certificate.subject) or pki.name(certificate)
        if at > certificate.not_valid_after_utc:
            told = f"{name} expired on {certificate.not_valid_after_utc:%d %B %Y}."
            found.fail(CertificateStatus.EXPIRED, "dates", told)
            return False
        if at < certificate.not_valid_before_utc:
            told = f"{name} is valid from {certificate.not_valid_before_utc:%d %B %Y} on."
            found.fail(CertificateStatus.EXPIRED, "dates", told)
            return False
    found.fine("dates", f"until {min(c.not_valid_after_utc for c in found.path):%d %B %Y}")
    return True


def _constraints(found: Finding, at: datetime) -> bool:
    wrong = ""
    for height, certificate in enumerate(found.path):
        wrong = wrong or _unconstrained(certificate, height)
    if wrong:
        found.fail(CertificateStatus.CHAIN_ERROR, "constraints", wrong)
        return False
    found.fine("constraints")
    return True


def _unconstrained(certificate: x509.Certificate, height: int) -> str:
    """What forbids this certificate its place, `height` above the contract; empty if nothing does."""
    name = pki.common_name(certificate.subject) or pki.name(certificate)
    extensions = certificate.extensions
    for extension in extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            return f"{name} has a critical extension that is not understood ({extension.oid.dotted_string})."
    usage = _extension(extensions, x509.KeyUsage)
    if height == 0:
        if usage is None or not usage.digital_signature:
            return f"{name} is not made for signing."
        return ""
    basic = _extension(extensions, x509.BasicConstraints)
    if basic is None or not basic.ca:
        return f"{name} is no authority."
    if basic.path_length is not None and basic.path_length < height - 1:
        return f"{name} may not stand above {height - 1} more authorities."
    if usage is None or not usage.key_cert_sign:
        return f"{name} is not made for signing certificates."
    return ""


def _extension(extensions: x509.Extensions, kind: type[Kind]) -> Kind | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _keys(found: Finding, at: datetime) -> bool:
    for certificate in found.path:
        key = certificate.public_key()
        if isinstance(key, ed448.Ed448PublicKey):
            continue
        used = certificate.signature_hash_algorithm
        fits = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
        if not fits or (used is not None and used.name not in ("sha256", "sha384", "sha512")):
            name = pki.common_name(certificate.subject) or pki.name(certificate)
            found.fail(
                CertificateStatus.CHAIN_ERROR,
                "keys",
                f"{name} uses {key_type(certificate)}: ISO 15118 knows P-256, P-521 and Ed448.",
            )
            return False
    found.fine("keys", key_type(found.path[0]))
    return True


def key_type(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"P-{key.curve.key_size}"
    return type(key).__name__.removeprefix("_").removesuffix("PublicKey").upper()
