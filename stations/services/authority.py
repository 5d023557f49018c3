"""The company's own certificate authority: made at first use, replaced by one of its own PKI, or signing elsewhere."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from cryptography import x509
from django.conf import settings
from django.db import connections
from django.utils import timezone

from stations import pki
from stations.models import (
    Approval,
    Authority,
    AuthorityKind,
    CertificateUse,
    SecurityPolicy,
    SigningUse,
    StationCertificate,
    TrustAnchor,
)
from stations.services import trust
from tenants import locks
from tenants.context import current_alias
from tenants.errors import Conflict, Invalid
from tenants.models import Tenant
from tenants.permissions import Actor, Permission, system
from tenants.services import audit

ROOT_YEARS, ISSUING_YEARS = 20, 10
LIMITS = {
    "certificate_days": (1, 3650),
    "renew_days": (1, 365),
    "transition_minutes": (1, 7 * 24 * 60),
}
MAKER = system("Certificate authority")


def policy(tenant_id: int) -> SecurityPolicy:
    found, _made = SecurityPolicy.objects.get_or_create(tenant_id=tenant_id)
    return found


def organisation(tenant_id: int) -> str:
    """The O that certificates of this company's stations carry (A00.FR.511)."""
    return policy(tenant_id).organisation or Tenant.objects.get(pk=tenant_id).name[:64]


def set_policy(*, tenant_id: int, actor: Actor, changes: dict[str, Any]) -> SecurityPolicy:
    """Change approval, days and minutes. Invalid names the field."""
    actor.require(Permission.TENANT_EDIT)
    mine = policy(tenant_id)
    wrong = {
        name: f"Write a number from {least} to {most}."
        for name, (least, most) in LIMITS.items()
        if name in changes and not least <= int(changes[name]) <= most
    }
    days, ahead = (int(changes.get(name, getattr(mine, name))) for name in ("certificate_days", "renew_days"))
    if not wrong and ahead >= days:  # they would be renewed for ever
        wrong["renew_days"] = f"Write less than the {days} days for which certificates are valid."
    if changes.get("approval", Approval.MANUAL) not in Approval.values:
        wrong["approval"] = f"Choose one of {', '.join(Approval.values)}."
    if len(changes.get("organisation", "")) > 64:  # RFC 5280, upper bound of an organisation name
        wrong["organisation"] = "Write at most 64 characters."
    if wrong:
        raise Invalid(fields=wrong)
    known = {*LIMITS, "approval", "organisation"} & set(changes)
    before = {name: getattr(mine, name) for name in known}
    for name in known:
        setattr(mine, name, changes[name])
    mine.save()
    audit.record(
        tenant_id=tenant_id, actor=actor, action="security.policy", subject=mine,
        detail={"changed": audit.changes(before, {name: changes[name] for name in known})},
    )  # fmt: skip
    return mine


def current(tenant_id: int, use: str = SigningUse.STATION) -> Authority | None:
    """The authority that signs now."""
    return (
        Authority.objects.filter(tenant_id=tenant_id, use=use, active=True)
        .exclude(kind=AuthorityKind.ROOT)
        .first()
    )


def trusted(tenant_id: int, use: str = SigningUse.STATION) -> list[Authority]:
    """Authorities whose certificates let a station in, the retired ones among them until they expire."""
    rows = Authority.objects.filter(tenant_id=tenant_id, use=use, not_after__gt=timezone.now())
    return list(rows.exclude(kind=AuthorityKind.ROOT))


def create(*, tenant_id: int, actor: Actor) -> Authority:
    """Make a new issuing authority below the company's root; the root as well, at first. It signs from now on.

    Keys are kept encrypted. The root becomes one of the roots that can be installed on stations.
    """
    actor.require(Permission.TENANT_EDIT)
    _lock(tenant_id)
    return _create(tenant_id, actor)


def ensure(tenant_id: int) -> Authority:
    """The authority that signs stations' certificates, made at its first use, and anew when it has expired."""
    found = current(tenant_id)
    if found is None or _worn(found):
        _lock(tenant_id)
        found = current(tenant_id)
        if found is None or _worn(found):
            found = _create(tenant_id, MAKER)
    return found


def _worn(authority: Authority) -> bool:
    """One of our own making has expired: another is made. One of the company's own PKI is for people to replace."""
    return authority.kind == AuthorityKind.ISSUING and authority.not_after <= timezone.now()


def _lock(tenant_id: int) -> None:
    """One at a time makes or changes a company's authority."""
    locks.hold("authority", tenant_id)


def _create(tenant_id: int, actor: Actor) -> Authority:
    name, slug = organisation(tenant_id), Tenant.objects.get(pk=tenant_id).slug
    root = Authority.objects.filter(
        tenant_id=tenant_id, kind=AuthorityKind.ROOT, active=True, not_after__gt=timezone.now()
    ).first()
    if root is None:
        made, key = pki.make_authority(common_name=f"{slug} root", organisation=name, years=ROOT_YEARS)
        root = _keep(tenant_id, AuthorityKind.ROOT, made, key=pki.key_text(key))
        _offer_root(tenant_id, actor, root.pem, root.name)
    issuer = (pki.one(root.pem), pki.key_of(root.key))
    number = 1 + Authority.objects.filter(tenant_id=tenant_id, parent=root).count()
    made, key = pki.make_authority(
        common_name=f"{slug} stations {number}", organisation=name, years=ISSUING_YEARS, issuer=issuer,
        crl_url=crl_url(root),
    )  # fmt: skip
    return _activate(
        tenant_id, actor, AuthorityKind.ISSUING, SigningUse.STATION, made, parent=root, key=pki.key_text(key)
    )


def delegate(
    *,
    tenant_id: int,
    actor: Actor,
    chain: str,
    key: str = "",
    password: str = "",
    use: str = SigningUse.STATION,
) -> Authority:
    """Sign by an authority of the company's own PKI. `chain`: PEM, the issuing certificate first, up to its root.

    With its `key` we sign; without it requests wait until somebody brings the signed certificate. Invalid in words.
    """
    actor.require(Permission.TENANT_EDIT)
    _lock(tenant_id)
    if use not in SigningUse.values or use == SigningUse.V2G20:
        raise Invalid(fields={"use": "Choose station or v2g."})
    found = pki.chain(chain, field="chain")
    _check_chain(found)
    kind = AuthorityKind.EXTERNAL
    if key:
        kind = AuthorityKind.DELEGATED
        private = pki.key_of(key, password)
        if not pki.fits(private, found[0]):
            raise Invalid(fields={"key": "This key does not belong to the first certificate of the chain."})
        key = pki.key_text(private)
    root = found[-1] if pki.self_issued(found[-1]) else None
    above = "".join(pki.pem(one) for one in found[1:] if one is not root)
    made = _activate(tenant_id, actor, kind, use, found[0], key=key, above=above)
    if root is not None:
        anchor_use = CertificateUse.CSMS_ROOT if use == SigningUse.STATION else CertificateUse.V2G_ROOT
        _offer_root(tenant_id, actor, pki.pem(root), pki.common_name(root.subject), anchor_use)
    return made


def _check_chain(found: list[x509.Certificate]) -> None:
    now = timezone.now()
    for certificate in found:
        if not pki.is_authority(certificate):
            raise Invalid(fields={"chain": f"{pki.name(certificate)} is no authority and may not sign."})
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            raise Invalid(fields={"chain": f"{pki.name(certificate)} is not valid today."})
        try:
            pki.strong(certificate.public_key())
        except Invalid as error:
            raise Invalid(fields={"chain": str(error)}) from None
    for lower, upper in pairwise(found):
        if not pki.issued_by(lower, upper):
            raise Invalid(
                fields={"chain": f"{pki.name(lower)} was not signed by {pki.name(upper)}, which follows it."}
            )


def _activate(
    tenant_id: int,
    actor: Actor,
    kind: str,
    use: str,
    certificate: x509.Certificate,
    *,
    parent: Authority | None = None,
    key: str = "",
    above: str = "",
) -> Authority:
    now = timezone.now()
    if Authority.objects.filter(tenant_id=tenant_id, fingerprint=pki.fingerprint(certificate)).exists():
        raise Conflict("This authority is known here already.")
    Authority.objects.filter(tenant_id=tenant_id, use=use, active=True).exclude(
        kind=AuthorityKind.ROOT
    ).update(active=False, retired_at=now)
    made = _keep(tenant_id, kind, certificate, use=use, parent=parent, key=key, above=above)
    audit.record(
        tenant_id=tenant_id, actor=actor, action="authority.create", subject=made,
        detail={"kind": kind, "use": use, "subject": made.subject, "sha256": made.fingerprint},
    )  # fmt: skip
    return made


def _keep(tenant_id: int, kind: str, certificate: x509.Certificate, **more: Any) -> Authority:
    return Authority.objects.create(
        tenant_id=tenant_id, kind=kind, name=(pki.common_name(certificate.subject) or pki.name(certificate))[:120],
        pem=pki.pem(certificate), subject=pki.name(certificate), serial=pki.serial(certificate),
        fingerprint=pki.fingerprint(certificate), not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc, **more,
    )  # fmt: skip


def _offer_root(
    tenant_id: int, actor: Actor, pem: str, name: str, use: str = CertificateUse.CSMS_ROOT
) -> TrustAnchor | None:
    try:
        return trust.add_anchor(
            tenant_id=tenant_id, actor=actor, use=use, certificate=pem, name=name, origin="authority"
        )
    except Conflict:  # kept already
        return None


def signer(authority: Authority) -> tuple[x509.Certificate, pki.Key]:
    """For signing. Conflict where the key is kept elsewhere."""
    if not authority.key:
        raise Conflict(f"{authority.name} signs elsewhere: bring the signed certificate.")
    return pki.one(authority.pem), pki.key_of(authority.key)


# --- who is no longer believed


def crl_url(authority: Authority) -> str:
    return f"{settings.PUBLIC_URL.rstrip('/')}/crl/{authority.fingerprint}.crl" if settings.PUBLIC_URL else ""


def find(fingerprint: str) -> tuple[int, int] | None:
    """(tenant, id) of an authority by the SHA-256 of its certificate, before any tenant is entered."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute("SELECT tenant_id, id FROM stations_authority_find(%s)", [fingerprint])
        row: tuple[int, int] | None = cursor.fetchone()
        return row


def all_trusted() -> list[str]:
    """PEM of every authority of every company, for a TLS handshake, which comes before the station's name is known.
    Works outside any tenant; whose authority it was is decided after.

    OpenSSL finds an issuer by its name and then holds on to it, so a name belongs to one company: else another could
    shut its stations out by an authority of the same name. To the one for which we made it, else to who gave its key,
    else to who entered it first.
    """
    with connections[current_alias()].cursor() as cursor:
        cursor.execute("SELECT tenant_id, pem FROM stations_authorities_trusted()")
        rows = cursor.fetchall()
    owners: dict[x509.Name, int] = {}
    return [pem for tenant_id, pem in rows if owners.setdefault(pki.one(pem).subject, tenant_id) == tenant_id]


def revocation_list(authority: Authority) -> bytes:
    """DER of what it has taken back, signed now. Numbered by the second (RFC 5280 5.2.3: growing)."""
    found = StationCertificate.objects.filter(
        tenant_id=authority.tenant_id,
        authority=authority,
        revoked_at__isnull=False,
        not_after__gt=timezone.now(),
    ).order_by("revoked_at")
    revoked = [(row.serial, row.revoked_at, row.revocation_reason) for row in found if row.revoked_at]
    number = int(timezone.now().timestamp())
    return pki.revocation_list(issuer=signer(authority), revoked=revoked, number=number)
