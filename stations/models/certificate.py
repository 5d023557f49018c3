"""Roots that stations trust: those we know, and those that stations tell they hold."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.station import Station
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class CertificateUse(models.TextChoices):
    """What a station trusts a certificate for (OCPP: GetCertificateIdUseEnumType)."""

    CSMS_ROOT = "csms_root", _("This system (CSMS root)")
    MANUFACTURER_ROOT = "manufacturer_root", _("Manufacturer (firmware)")
    V2G_ROOT = "v2g_root", _("V2G root (ISO 15118)")
    MO_ROOT = "mo_root", _("Mobility operator root")
    OEM_ROOT = "oem_root", _("Car maker root")
    V2G_CHAIN = "v2g_chain", _("Station's V2G certificate")  # read and deleted, not installed


class TrustAnchor(TenantModel):
    """A root certificate that can be installed on stations, and that we know again when one tells that it holds it."""

    use = models.CharField(_("use"), max_length=20, choices=CertificateUse.choices)
    name = models.CharField(_("name"), max_length=120)
    pem = models.TextField()
    subject = models.CharField(max_length=200)
    serial = models.CharField(max_length=64)  # hexadecimal
    fingerprint = models.CharField(max_length=64)  # SHA-256 of its DER
    issuer_name_hash = models.CharField(max_length=64)  # SHA-256, as OCPP names it
    issuer_key_hash = models.CharField(max_length=64, blank=True)  # empty: its issuer is not known here
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    origin = models.CharField(max_length=10, default="uploaded")  # uploaded | authority | gateway
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["use", "name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "use", "fingerprint"], name="trust_anchor_unique")
        ]

    def __str__(self) -> str:
        return self.name


class InstalledCertificate(TenantModel):
    """A certificate in a station's store, as it last told or took it. `anchor`: the one we know it to be."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="installed")
    use = models.CharField(max_length=20, choices=CertificateUse.choices)
    hash_algorithm = models.CharField(max_length=8)
    issuer_name_hash = models.CharField(max_length=128)
    issuer_key_hash = models.CharField(max_length=128, blank=True)
    serial = models.CharField(max_length=64)
    children = models.JSONField(default=list)  # hash data of the certificates below it in a V2G chain
    anchor = TenantForeignKey(TrustAnchor, null=True, on_delete=models.SET_NULL, related_name="installed")
    installed_at = models.DateTimeField(null=True)  # by us
    told_at = models.DateTimeField(null=True)  # by the station, when asked what it holds

    class Meta:
        ordering = ["use", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "tenant",
                    "station",
                    "use",
                    "hash_algorithm",
                    "issuer_name_hash",
                    "issuer_key_hash",
                    "serial",
                ],
                name="installed_certificate_unique",
            )
        ]

    def __str__(self) -> str:
        return self.anchor.name if self.anchor else f"No. {self.serial[:16]}"
