"""Plug & Charge (ISO 15118): with whom contracts are checked, what was found, and what was handed out."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from fleets.models import Token, TokenKind, Verdict
from stations.models.station import Station
from tenants.fields import SecretField, TenantForeignKey
from tenants.models import TenantModel


class ProviderKind(models.TextChoices):
    NONE = "none", _("None")
    OPCP = "opcp", _("Open Plug&Charge Protocol (OPCP)")


class Unchecked(models.TextChoices):
    """What becomes of a contract whose revocation cannot be checked."""

    REFUSE = "refuse", _("Refuse it")
    ACCEPT = "accept", _("Accept it, and mark the authorisation")


class PlugAndCharge(TenantModel):
    """A company's settings. No row: no provider, and what cannot be checked is refused."""

    provider = models.CharField(
        _("provider"), max_length=8, choices=ProviderKind.choices, default=ProviderKind.NONE
    )
    base_url = models.CharField(_("address"), max_length=300, blank=True)
    token_url = models.CharField(_("address for access tokens"), max_length=300, blank=True)
    audience = models.CharField(_("audience"), max_length=300, blank=True)
    client_id = models.CharField(_("client id"), max_length=200, blank=True)
    client_secret = SecretField(_("client secret"), blank=True)
    trusted_ca = models.TextField(
        _("certificate authority of its addresses (PEM)"), blank=True
    )  # empty: the public ones
    unchecked = models.CharField(
        _("a contract whose revocation cannot be checked"), max_length=8, choices=Unchecked.choices,
        default=Unchecked.REFUSE,
    )  # fmt: skip
    bare = models.BooleanField(_("accept contract ids without a certificate"), default=False)
    changed_at = models.DateTimeField(auto_now=True)
    roots_fetched_at = models.DateTimeField(null=True)
    provider_error = models.CharField(max_length=300, blank=True)  # of the newest call; empty: it went well
    provider_called_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant"], name="plug_and_charge_once")]


class IssuerCertificate(TenantModel):
    """An authority below a root, seen in a chain that was found good: it checks OCSP answers for hash data alone."""

    name_hash = models.CharField(max_length=64)  # SHA-256 of its subject's DER
    fingerprint = models.CharField(max_length=64)
    subject = models.CharField(max_length=200)
    pem = models.TextField()
    not_after = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "fingerprint"], name="issuer_certificate_once")
        ]
        indexes = [models.Index(fields=["name_hash"], name="issuer_certificate_name")]


class RevocationSource(models.TextChoices):
    OCSP = "ocsp", "OCSP"
    CRL = "crl", "CRL"


class RevocationStatus(models.TextChoices):
    GOOD = "good", _("Good")
    REVOKED = "revoked", _("Revoked")
    UNKNOWN = "unknown", _("Unknown to the responder")
    FAILED = "failed", _("Could not be checked")


class RevocationCheck(TenantModel):
    """What a responder said of a certificate, kept as long as it said it holds. A failure is kept for seconds."""

    key = models.CharField(max_length=64)  # digest of the hash data, the source and where it was asked
    source = models.CharField(max_length=4, choices=RevocationSource.choices)
    serial = models.CharField(max_length=64)
    responder = models.CharField(max_length=512)
    status = models.CharField(max_length=8, choices=RevocationStatus.choices)
    detail = models.CharField(max_length=200, blank=True)
    response = models.BinaryField(null=True)  # an OCSP response as it came, for stations (M06)
    checked_at = models.DateTimeField()
    next_update = models.DateTimeField(null=True)
    good_until = models.DateTimeField()  # ask anew from here on
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-checked_at"]
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="revocation_check_once")]
        indexes = [models.Index(fields=["tenant", "-checked_at"], name="revocation_check_recent")]


class CertificateStatus(models.TextChoices):
    """OCPP AuthorizeCertificateStatusEnumType, in our words."""

    ACCEPTED = "accepted", _("Certificate good")
    SIGNATURE_ERROR = "signature_error", _("Signature wrong")
    EXPIRED = "expired", _("Certificate expired")
    REVOKED = "revoked", _("Certificate revoked")
    NOT_AVAILABLE = "not_available", _("Certificate not checkable")
    CHAIN_ERROR = "chain_error", _("Chain not trusted")
    CANCELLED = "cancelled", _("Contract cancelled")


class Contract(TenantModel):
    """A contract certificate as a car last showed it. The token it belongs to is found by the contract id."""

    emaid = models.CharField(_("contract id"), max_length=14)
    issuer = models.CharField(max_length=200)
    root = models.CharField(max_length=200, blank=True)
    serial = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    key_type = models.CharField(max_length=24)
    chain = models.TextField()  # PEM, the contract first: public certificates
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    status = models.CharField(max_length=16, choices=CertificateStatus.choices)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        ordering = ["-last_seen_at"]
        constraints = [models.UniqueConstraint(fields=["tenant", "emaid"], name="contract_once")]

    @property
    def look(self) -> str:
        """Its state in the vocabulary of the pages."""
        return f"certificate_{self.status}"

    def __str__(self) -> str:
        return self.emaid


class ContractCheck(TenantModel):
    """One authorisation by contract: what the certificate was found to be, and why.

    `steps`: [{"name", "good": true | false | null (not checked), "detail"}], in the order they were taken.
    """

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    token = TenantForeignKey(Token, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    emaid = models.CharField(max_length=255)  # as shown, in normal form
    at = models.DateTimeField()
    status = models.CharField(max_length=16, choices=CertificateStatus.choices)
    verdict = models.CharField(max_length=16, choices=Verdict.choices)
    reason = models.CharField(max_length=16, blank=True)  # fleets Reason
    detail = models.CharField(max_length=300, blank=True)
    flagged = models.BooleanField(default=False)  # accepted though its revocation could not be checked
    steps = models.JSONField(default=list)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["station", "-id"], name="contract_check_station"),
            models.Index(fields=["tenant", "-id"], name="contract_check_recent"),
            models.Index(fields=["emaid", "-id"], name="contract_check_emaid"),
        ]

    @property
    def look(self) -> str:
        """What the certificate was found to be, in the vocabulary of the pages."""
        return f"certificate_{self.status}"


class CertificateInstallation(TenantModel):
    """A car asked for its contract certificate (Get15118EVCertificate). The EXI messages themselves are not kept."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()
    schema = models.CharField(max_length=50)  # ISO 15118 namespace
    update = models.BooleanField(default=False)  # else a first installation
    emaids = models.JSONField(default=list)  # as prioritised by the driver (2.1)
    wanted_chains = models.PositiveIntegerField(null=True)
    accepted = models.BooleanField()
    detail = models.CharField(max_length=300, blank=True)
    remaining = models.PositiveIntegerField(null=True)
    request_characters = models.PositiveIntegerField()
    response_characters = models.PositiveIntegerField(default=0)
    took_ms = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["station", "-id"], name="installation_station"),
            models.Index(fields=["tenant", "-id"], name="installation_recent"),
        ]


class SeenVehicle(TenantModel):
    """What a car said of itself that no token is known for: an operator may make it one. Bounded in number."""

    uid = models.CharField(_("MAC address or VIN"), max_length=255)
    kind = models.CharField(max_length=20, choices=TokenKind.choices)
    station = TenantForeignKey(
        Station, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)
    dismissed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-last_seen_at"]
        verbose_name = _("vehicle")
        constraints = [models.UniqueConstraint(fields=["tenant", "uid"], name="seen_vehicle_once")]

    def __str__(self) -> str:
        return self.uid
