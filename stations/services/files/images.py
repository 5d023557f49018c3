"""Firmware images: stored once, checked against their signature, matched to stations, deleted when unused."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from django.db import IntegrityError, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from stations.models import FirmwareImage, Station
from stations.services import words
from stations.services.files import store
from tenants.context import current_alias
from tenants.errors import Conflict, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit

LONGEST_CERTIFICATE, LONGEST_SIGNATURE = 5500, 800  # characters that the messages can carry
_MOST_WORDS = 50


@dataclass(frozen=True, slots=True)
class Signed:
    by: str
    scheme: str
    until: datetime


def create(
    *,
    tenant_id: int,
    actor: Actor,
    vendor: str,
    version: str,
    models_allowed: Sequence[str] = (),
    from_versions: Sequence[str] = (),
    notes: str = "",
) -> FirmwareImage:
    """An image whose file is still to come (`attach`)."""
    actor.require(Permission.STATION_CONFIGURE)
    values = {"vendor": vendor.strip(), "version": version.strip()}
    missing = {name: "Say this." for name, value in values.items() if not value}
    if missing:
        raise Invalid(fields=missing)
    image = FirmwareImage.objects.create(
        tenant_id=tenant_id,
        vendor=values["vendor"][:64],
        version=values["version"][:64],
        models_allowed=_words(models_allowed, "models_allowed"),
        from_versions=_words(from_versions, "from_versions"),
        notes=notes[:10_000],
        created_by=actor.label[:120],
    )
    audit.record(tenant_id=tenant_id, actor=actor, action="firmware.create", subject=image)
    return image


def edit(
    *,
    image: FirmwareImage,
    actor: Actor,
    models_allowed: Sequence[str] | None = None,
    from_versions: Sequence[str] | None = None,
    notes: str | None = None,
) -> FirmwareImage:
    """What may take it, and its notes. Vendor, version and file never change: campaigns rest on them."""
    actor.require(Permission.STATION_CONFIGURE)
    names = ("models_allowed", "from_versions", "notes")
    before = {name: getattr(image, name) for name in names}
    if models_allowed is not None:
        image.models_allowed = _words(models_allowed, "models_allowed")
    if from_versions is not None:
        image.from_versions = _words(from_versions, "from_versions")
    if notes is not None:
        image.notes = notes[:10_000]
    image.save(update_fields=names)
    after = {name: getattr(image, name) for name in names}
    audit.record(
        tenant_id=image.tenant_id, actor=actor, action="firmware.edit", subject=image,
        detail=audit.changes(before, after),
    )  # fmt: skip
    return image


def _words(given: Sequence[str], field: str) -> list[str]:
    words = [word.strip()[:64] for word in given if word.strip()]
    if len(words) > _MOST_WORDS:
        raise Invalid(fields={field: f"{_MOST_WORDS} at most; a * stands for any letters."})
    return words


def add(
    *,
    tenant_id: int,
    actor: Actor,
    spooled: store.Spooled,
    name: str,
    signature: str = "",
    certificate: str = "",
    **values: Any,
) -> FirmwareImage:
    """`create` and `attach` in one: all of it, or nothing."""
    with transaction.atomic():
        image = create(tenant_id=tenant_id, actor=actor, **values)
        return attach(
            image=image, spooled=spooled, name=name, actor=actor, signature=signature, certificate=certificate
        )


def attach(
    *,
    image: FirmwareImage,
    spooled: store.Spooled,
    name: str,
    actor: Actor,
    signature: str = "",
    certificate: str = "",
) -> FirmwareImage:
    """Give an image its file, with its signature if it has one. Conflict if it has one, or the file is here already."""
    actor.require(Permission.STATION_CONFIGURE)
    image = FirmwareImage.objects.select_for_update().get(tenant_id=image.tenant_id, pk=image.pk)
    if image.ready:
        raise Conflict("This image has its file already. A new file is a new image.")
    if spooled.size == 0:
        raise Invalid(fields={"file": "The file is empty."})
    signed = verified(spooled.digest, signature, certificate) if signature or certificate else None
    twin = FirmwareImage.objects.filter(
        tenant_id=image.tenant_id, sha256=spooled.sha256, vendor=image.vendor, version=image.version
    ).first()
    if twin is not None:
        raise Conflict(f"This file is here already, as {twin} since {twin.created_at:%Y-%m-%d}.")
    image.name = store.plain_name(name, "firmware.bin")
    image.size_bytes, image.sha256, image.md5 = spooled.size, spooled.sha256, spooled.md5
    _sign(image, signed, signature, certificate)
    image.storage_name = stored = spooled.keep(f"{image.tenant_id}/firmware")
    try:
        with transaction.atomic():
            image.save()
    except IntegrityError:
        store.forget(stored)
        raise Conflict("This file is here already.") from None
    audit.record(
        tenant_id=image.tenant_id, actor=actor, action="firmware.upload", subject=image,
        detail={"sha256": image.sha256, "size_bytes": image.size_bytes, "signed_by": image.signed_by},
    )  # fmt: skip
    return image


def sign(*, image: FirmwareImage, signature: str, certificate: str, actor: Actor) -> FirmwareImage:
    """Add a signature to an image that has none."""
    actor.require(Permission.STATION_CONFIGURE)
    if not image.ready:
        raise Conflict("Upload the file first.")
    if image.signed:
        raise Conflict("This image is signed already.")
    _sign(image, verified(bytes.fromhex(image.sha256), signature, certificate), signature, certificate)
    image.save()
    audit.record(
        tenant_id=image.tenant_id, actor=actor, action="firmware.sign", subject=image,
        detail={"signed_by": image.signed_by},
    )  # fmt: skip
    return image


def _sign(image: FirmwareImage, signed: Signed | None, signature: str, certificate: str) -> None:
    if signed is not None:
        image.signature = "".join(signature.split())
        image.certificate = certificate.strip() + "\n"
        image.signed_by, image.signature_scheme = signed.by[:200], signed.scheme
        image.certificate_until = signed.until


def verified(digest: bytes, signature: str, certificate: str) -> Signed:
    """Who signed the file with this SHA-256. Invalid where the signature, or the certificate, is no good (L01.FR.11).

    RSA-PSS and ECDSA as the specification wants, RSA by PKCS #1 v1.5 as some makers do it; all over SHA-256.
    """
    text = "".join(signature.split())
    if not text or not certificate.strip():
        raise Invalid(fields={"signature": "A signature and the certificate of who signed belong together."})
    if len(text) > LONGEST_SIGNATURE:
        raise Invalid(fields={"signature": f"OCPP carries {LONGEST_SIGNATURE} characters at most."})
    if len(certificate.strip()) + 1 > LONGEST_CERTIFICATE:
        raise Invalid(fields={"certificate": f"OCPP carries {LONGEST_CERTIFICATE} characters at most."})
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(fields={"signature": "This is not base64."}) from None
    try:
        signer = x509.load_pem_x509_certificate(certificate.strip().encode())
        key = signer.public_key()
        by, until = signer.subject.rfc4514_string(), signer.not_valid_after_utc
    except Exception:
        raise Invalid(fields={"certificate": "This is no X.509 certificate in PEM."}) from None
    if until <= timezone.now():
        raise Invalid(fields={"certificate": f"This certificate expired on {until:%Y-%m-%d}."})
    scheme = _scheme(key, raw, digest)
    if not scheme:
        raise Invalid(
            fields={
                "signature": "The signature does not fit this file and certificate. Were all three made together?"
            }
        )
    return Signed(by or "–", scheme, until)


def _scheme(key: object, raw: bytes, digest: bytes) -> str:
    """How the signature was made; empty where it fits in no way."""
    prehashed = Prehashed(SHA256())
    if isinstance(key, ec.EllipticCurvePublicKey):
        try:
            key.verify(raw, digest, ec.ECDSA(prehashed))
        except InvalidSignature:
            return ""
        return "ECDSA"
    if isinstance(key, rsa.RSAPublicKey):
        ways: dict[str, padding.AsymmetricPadding] = {
            "RSA-PSS": padding.PSS(padding.MGF1(SHA256()), padding.PSS.AUTO),
            "RSA PKCS #1 v1.5": padding.PKCS1v15(),
        }
        for name, way in ways.items():
            try:
                key.verify(raw, digest, way, prehashed)
            except InvalidSignature:
                continue
            return name
    return ""


def delete(*, image: FirmwareImage, actor: Actor) -> None:
    """Conflict once a station was to get it: what was installed must stay known."""
    actor.require(Permission.STATION_CONFIGURE)
    used = image.updates.exists() or image.campaigns.exists() or image.publications.exists()
    if used:
        raise Conflict("This image was sent to stations; it stays so that one can see what they run.")
    name = image.storage_name
    audit.record(tenant_id=image.tenant_id, actor=actor, action="firmware.delete", subject=image)
    image.delete()
    transaction.on_commit(lambda: store.forget(name), using=current_alias())


# --- which stations may take it ---


def kept_obstacle(image: FirmwareImage, station: Station) -> str:
    """`obstacle` in the words that are kept with a row."""
    with translation.override("en"):
        return obstacle(image, station)


def matches(value: str, patterns: Sequence[str]) -> bool:
    """Whether a word fits one of the patterns, in which * stands for any letters; no pattern: anything fits."""
    return not patterns or any(_fits(value.lower(), pattern.lower()) for pattern in patterns)


def _fits(value: str, pattern: str) -> bool:
    """Part by part from the left, so that no pattern takes long; ? and brackets stand for themselves."""
    first, *rest = pattern.split("*")
    if not rest:
        return value == pattern
    if not value.startswith(first):
        return False
    place, last = len(first), rest.pop()
    for part in rest:
        found = value.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return value.endswith(last) and len(value) - len(last) >= place


def obstacle(image: FirmwareImage, station: Station) -> str:
    """Why this station cannot take this image, in words; empty when it can."""
    if station.archived_at is not None:
        return _(words.REMOVED)
    if not station.ocpp_version:
        return _(words.NEVER_CONNECTED)
    if image.vendor.lower() != station.vendor.lower():
        return _(words.MADE_BY) % {"vendor": station.vendor or _("nobody knows")}
    if not matches(station.model, image.models_allowed):
        return _(words.OTHER_MODEL) % {"model": station.model or "–"}
    if station.firmware_version == image.version:
        return _(words.HAS_IT)
    if not matches(station.firmware_version, image.from_versions):
        return _(words.NOT_DIRECTLY) % {"version": station.firmware_version or "–"}
    return ""
