"""Roots that stations trust: those we keep to install, and what stations hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.utils import timezone

from stations import pki
from stations.models import (
    CertificateUse,
    Command,
    CommandKind,
    InstalledCertificate,
    Station,
    TrustAnchor,
)
from stations.neutral import CertificateGone, CertificatesTold, CertificateTaken, CertificateTold
from stations.services import commands
from tenants.errors import Conflict, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit

INSTALLABLE = tuple(use for use in CertificateUse if use != CertificateUse.V2G_CHAIN)
MOST_ANCHORS = 500  # a tenant
MOST_HELD = 500  # certificates a station: what it tells beyond is left out
DAY_SECONDS = 86_400


def add_anchor(
    *, tenant_id: int, actor: Actor, use: str, certificate: str, name: str = "", origin: str = "uploaded"
) -> TrustAnchor:
    """Keep a root certificate (PEM), so that it can be installed on stations. Invalid in words; Conflict if known."""
    actor.require(Permission.STATION_CONFIGURE)
    if use not in INSTALLABLE:
        raise Invalid(fields={"use": f"Choose one of {', '.join(INSTALLABLE)}."})
    found = pki.one(certificate)
    if not pki.is_authority(found):
        raise Invalid(
            fields={"certificate": "This certificate belongs to no authority; stations trust authorities."}
        )
    if found.not_valid_after_utc <= timezone.now():
        raise Invalid(fields={"certificate": f"It has expired on {found.not_valid_after_utc:%d %B %Y}."})
    mine = TrustAnchor.objects.filter(tenant_id=tenant_id)
    known = mine.filter(use=use, fingerprint=pki.fingerprint(found)).first()
    if known is not None and known.archived_at is None:
        raise Conflict(f"This certificate is kept already, as {known.name}.")
    if mine.count() >= MOST_ANCHORS:
        raise Conflict(f"No more than {MOST_ANCHORS} roots are kept. Remove some first.")
    if known is not None:
        known.archived_at, known.name = None, name.strip()[:120] or known.name
        known.save(update_fields=["archived_at", "name"])
        anchor = known
    else:
        hashes = pki.hash_data(found)
        anchor = TrustAnchor.objects.create(
            tenant_id=tenant_id, use=use, name=name.strip()[:120] or _short_name(found), pem=pki.pem(found),
            subject=pki.name(found), serial=pki.serial(found), fingerprint=pki.fingerprint(found),
            issuer_name_hash=hashes.issuer_name_hash, issuer_key_hash=hashes.issuer_key_hash,
            not_before=found.not_valid_before_utc, not_after=found.not_valid_after_utc, origin=origin,
        )  # fmt: skip
    _match_unknown(anchor)
    audit.record(
        tenant_id=tenant_id, actor=actor, action="certificate.root_add", subject=anchor,
        detail={"use": use, "subject": anchor.subject, "sha256": anchor.fingerprint},
    )  # fmt: skip
    return anchor


def _short_name(certificate: Any) -> str:
    return (pki.common_name(certificate.subject) or pki.name(certificate) or "Root")[:120]


def archive_anchor(*, anchor: TrustAnchor, actor: Actor) -> None:
    """No longer offered for installing. Stations that hold it keep it."""
    actor.require(Permission.STATION_CONFIGURE)
    anchor.archived_at = timezone.now()
    anchor.save(update_fields=["archived_at"])
    audit.record(tenant_id=anchor.tenant_id, actor=actor, action="certificate.root_remove", subject=anchor)


def _match_unknown(anchor: TrustAnchor) -> None:
    """Stations that told of it before we knew it."""
    for held in InstalledCertificate.objects.filter(
        tenant_id=anchor.tenant_id, use=anchor.use, serial=anchor.serial, anchor=None
    )[:10_000]:
        if is_anchor(anchor, held):
            held.anchor = anchor
            held.save(update_fields=["anchor"])


def is_anchor(anchor: TrustAnchor, told: CertificateTold | InstalledCertificate) -> bool:
    """Whether the hash data that a station told are those of this certificate."""
    if told.serial != anchor.serial or told.hash_algorithm not in pki.ALGORITHMS:
        return False
    ours = pki.hash_data(pki.one(anchor.pem), algorithm=told.hash_algorithm)
    same_key = not ours.issuer_key_hash or ours.issuer_key_hash == told.issuer_key_hash.lower()
    return ours.issuer_name_hash == told.issuer_name_hash.lower() and same_key


# --- what stations tell


def record_listing(*, tenant_id: int, reports: Sequence[CertificatesTold]) -> None:
    """A station's whole list of the uses it was asked for: what it does not name, it does not hold."""
    for report in reports:
        held = InstalledCertificate.objects.filter(tenant_id=tenant_id, station_id=report.station_id)
        if report.uses:
            held = held.filter(use__in=report.uses)
        kept = [
            _keep(tenant_id, report.station_id, told, told_at=report.received_at)
            for told in report.certificates[:MOST_HELD]
        ]
        held.exclude(pk__in=[row.pk for row in kept]).delete()


def record_taken(*, tenant_id: int, reports: Sequence[CertificateTaken]) -> None:
    """A station took a certificate of ours."""
    for report in reports:
        try:
            found = pki.one(report.pem)
        except Invalid:
            continue  # it took what we cannot read: its own list will tell
        hashes = pki.hash_data(found)
        told = CertificateTold(
            report.use,
            hashes.algorithm,
            hashes.issuer_name_hash,
            hashes.issuer_key_hash,
            hashes.serial_number,
        )
        _keep(tenant_id, report.station_id, told, installed_at=report.received_at)


def record_gone(*, tenant_id: int, reports: Sequence[CertificateGone]) -> None:
    for report in reports:
        InstalledCertificate.objects.filter(
            tenant_id=tenant_id, station_id=report.station_id, hash_algorithm=report.hash_algorithm,
            issuer_name_hash=report.issuer_name_hash.lower(), serial=pki.plain_serial(report.serial),
        ).filter(Q(issuer_key_hash=report.issuer_key_hash.lower()) | Q(issuer_key_hash="")).delete()  # fmt: skip


def _keep(tenant_id: int, station_id: int, told: CertificateTold, **times: Any) -> InstalledCertificate:
    told = CertificateTold(
        told.use, told.hash_algorithm[:8], told.issuer_name_hash.lower()[:128],
        told.issuer_key_hash.lower()[:128], pki.plain_serial(told.serial), told.children,
    )  # fmt: skip
    anchors = TrustAnchor.objects.filter(tenant_id=tenant_id, use=told.use, serial=told.serial)
    values = {
        "anchor": next((anchor for anchor in anchors if is_anchor(anchor, told)), None),
        "children": [list(child) for child in told.children],
        **times,
    }
    row, _made = InstalledCertificate.objects.update_or_create(
        tenant_id=tenant_id, station_id=station_id, use=told.use, hash_algorithm=told.hash_algorithm,
        issuer_name_hash=told.issuer_name_hash, issuer_key_hash=told.issuer_key_hash, serial=told.serial,
        defaults=values,
    )  # fmt: skip
    return row


# --- what we ask of stations


def install(*, station: Station, anchor: TrustAnchor, actor: Actor) -> Command:
    """Have the station install this root. It waits a day for a station that is offline."""
    if anchor.not_after <= timezone.now():
        raise Invalid(f"{anchor.name} has expired; stations refuse it.")
    return commands.request_command(
        tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.INSTALL_CERTIFICATE,
        arguments={"use": anchor.use, "certificate": anchor.pem}, actor=actor, expires_in_seconds=DAY_SECONDS,
    )  # fmt: skip


def delete(*, held: InstalledCertificate, actor: Actor) -> Command:
    """Have the station delete a certificate that it holds."""
    return commands.request_command(
        tenant_id=held.tenant_id, station_id=held.station_id, kind=CommandKind.DELETE_CERTIFICATE,
        arguments={
            "hash_algorithm": held.hash_algorithm, "issuer_name_hash": held.issuer_name_hash,
            "issuer_key_hash": held.issuer_key_hash, "serial_number": held.serial, "use": held.use,
        },
        actor=actor, expires_in_seconds=DAY_SECONDS,
    )  # fmt: skip


def read(*, station: Station, actor: Actor) -> list[Command]:
    """Ask the station for all it holds: 1.6 tells one use a message."""
    asked: list[dict[str, Any]] = [{}]
    if station.ocpp_version in ("", "1.6"):
        asked = [
            {"uses": [use.value]} for use in (CertificateUse.CSMS_ROOT, CertificateUse.MANUFACTURER_ROOT)
        ]
    return [
        commands.request_command(
            tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.READ_CERTIFICATES,
            arguments=arguments, actor=actor,
        )
        for arguments in asked
    ]  # fmt: skip
