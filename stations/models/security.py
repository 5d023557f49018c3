"""Authorities, certificates of stations, changes of their profile and password, and security events."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from stations.models.certificate import TrustAnchor
from stations.models.command import Command
from stations.models.journal import Severity
from stations.models.station import Station
from tenants.fields import SecretField, TenantForeignKey
from tenants.models import TenantModel


class SigningUse(models.TextChoices):
    """What a station wants a certificate for (OCPP: CertificateSigningUseEnumType)."""

    STATION = "station", _("To log in here")
    V2G = "v2g", _("Towards cars (ISO 15118-2)")
    V2G20 = "v2g20", _("Towards cars (ISO 15118-20)")


class AuthorityKind(models.TextChoices):
    ROOT = "root", _("Root")
    ISSUING = "issuing", _("Issuing authority")
    DELEGATED = "delegated", _("Issuing authority of your own PKI")
    EXTERNAL = "external", _("External signer")


class Approval(models.TextChoices):
    AUTOMATIC = "automatic", _("Sign what passes the checks")
    MANUAL = "manual", _("A person approves each request")


class SecurityPolicy(TenantModel):
    """How a company handles the certificates of its stations. One row a company, made at first use."""

    approval = models.CharField(
        _("requests of stations"), max_length=10, choices=Approval.choices, default=Approval.AUTOMATIC
    )
    certificate_days = models.PositiveIntegerField(
        _("station certificates are valid for (days)"), default=730
    )
    renew_days = models.PositiveIntegerField(_("renewed before they expire (days)"), default=30)
    organisation = models.CharField(_("organisation in certificates (O)"), max_length=64, blank=True)
    transition_minutes = models.PositiveIntegerField(
        _("time for a station to return under its new profile (minutes)"), default=60
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant"], name="security_policy_one")]


class Authority(TenantModel):
    """A certificate authority that signs for the company's stations. One of a use is active; older ones stay trusted
    until they expire, so that certificates they signed go on to work."""

    kind = models.CharField(max_length=10, choices=AuthorityKind.choices)
    use = models.CharField(max_length=8, choices=SigningUse.choices, default=SigningUse.STATION)
    parent = TenantForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    name = models.CharField(max_length=120)
    pem = models.TextField()
    above = models.TextField(blank=True)  # PEM of those above it, without the root
    key = SecretField(blank=True)  # empty: it signs elsewhere
    subject = models.CharField(max_length=200)
    serial = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "use"],
                condition=models.Q(active=True) & ~models.Q(kind="root"),
                name="authority_active_one",
            )
        ]

    def __str__(self) -> str:
        return self.name


class SigningState(models.TextChoices):
    PENDING = "pending", _("Waits for approval")
    SIGNED = "signed", _("Signed, on its way to the station")
    INSTALLED = "installed", _("Installed")
    REFUSED = "refused", _("Not signed")
    FAILED = "failed", _("Not taken by the station")


class StationCertificate(TenantModel):
    """A certificate by which a station proves who it is, from its issue to its end."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="certificates")
    use = models.CharField(max_length=8, choices=SigningUse.choices, default=SigningUse.STATION)
    authority = TenantForeignKey(Authority, on_delete=models.PROTECT, related_name="certificates")
    serial = models.CharField(max_length=64)
    subject = models.CharField(max_length=200)
    key = models.CharField(max_length=20)  # such as "EC P-256"
    fingerprint = models.CharField(max_length=64)
    pem = models.TextField()
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    issued_at = models.DateTimeField(auto_now_add=True)
    installed_at = models.DateTimeField(null=True)
    first_used_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revocation_reason = models.CharField(max_length=20, blank=True)
    renewal_asked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "authority", "serial"], name="station_certificate_serial"
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "station", "-id"], name="station_certificate_recent"),
            models.Index(fields=["tenant", "not_after"], name="station_certificate_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} ({self.serial[:12]})"

    @property
    def state(self) -> str:
        """revoked | expired | in_use | installed | issued"""
        if self.revoked_at:
            return "revoked"
        if self.not_after <= timezone.now():
            return "expired"
        return "in_use" if self.last_used_at else "installed" if self.installed_at else "issued"


class SigningRequest(TenantModel):
    """A station asked for a certificate (SignCertificate), and what became of it."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="signing_requests")
    use = models.CharField(max_length=8, choices=SigningUse.choices, default=SigningUse.STATION)
    csr = models.TextField()
    common_name = models.CharField(max_length=200, blank=True)
    key = models.CharField(max_length=20, blank=True)
    request_id = models.IntegerField(null=True)  # 2.1: the station's own number
    root_hash = models.JSONField(null=True)  # 2.1: the root it wants to be signed under
    state = models.CharField(max_length=10, choices=SigningState.choices, default=SigningState.PENDING)
    detail = models.CharField(max_length=300, blank=True)
    certificate = TenantForeignKey(
        StationCertificate, null=True, on_delete=models.SET_NULL, related_name="requests"
    )
    command = TenantForeignKey(Command, null=True, on_delete=models.SET_NULL, related_name="+")
    tries = models.PositiveSmallIntegerField(default=0)
    decided_by = models.CharField(max_length=120, blank=True)
    received_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant", "station", "-id"], name="signing_request_recent"),
            models.Index(
                fields=["tenant", "state"],
                name="signing_request_open",
                condition=models.Q(state__in=["pending", "signed"]),
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.common_name}"


class RolloutState(models.TextChoices):
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    CANCELLED = "cancelled", _("Cancelled")


class Rollout(TenantModel):
    """A root that many stations shall take, or give up."""

    anchor = TenantForeignKey(TrustAnchor, on_delete=models.PROTECT, related_name="rollouts")
    remove = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=RolloutState.choices, default=RolloutState.RUNNING)
    started_by = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    deadline = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"#{self.pk}"


class StepState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    SENT = "sent", _("Under way")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class RolloutStep(TenantModel):
    rollout = TenantForeignKey(Rollout, on_delete=models.CASCADE, related_name="steps")
    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=8, choices=StepState.choices, default=StepState.WAITING)
    command = TenantForeignKey(Command, null=True, on_delete=models.SET_NULL, related_name="+")
    detail = models.CharField(max_length=200, blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "rollout", "station"], name="rollout_step_unique")
        ]
        indexes = [models.Index(fields=["tenant", "command"], name="rollout_step_command")]


class ChangeState(models.TextChoices):
    ROOT = "root", _("Installs the root")
    PASSWORD = "password", _("Sets a password")
    CERTIFICATE = "certificate", _("Gets its certificate")
    READ = "read", _("Tells its connections")
    SLOT = "slot", _("Prepares the connection")
    SWITCH = "switch", _("Switches over")
    RETURN = "return", _("Must come back")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


CHANGE_OPEN = ("root", "password", "certificate", "read", "slot", "switch", "return")


class ProfileChange(TenantModel):
    """A station is taken to a higher security profile (A05), step by step. Until it has returned under the new one, or
    the deadline has passed, it may come by the old one."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="profile_changes")
    from_profile = models.PositiveSmallIntegerField()
    to_profile = models.PositiveSmallIntegerField()
    anchor = TenantForeignKey(TrustAnchor, null=True, on_delete=models.PROTECT, related_name="+")
    url = models.CharField(max_length=512, blank=True)  # 2.x: where the new connection leads
    slot = models.PositiveSmallIntegerField(null=True)
    interface = models.CharField(max_length=12, blank=True)
    old_priority = models.CharField(max_length=100, blank=True)
    state = models.CharField(max_length=12, choices=ChangeState.choices)
    failed_in = models.CharField(max_length=12, blank=True)
    command = TenantForeignKey(Command, null=True, on_delete=models.SET_NULL, related_name="+")
    detail = models.CharField(max_length=300, blank=True)
    epoch = models.BigIntegerField(default=0)  # of the socket under which it was told to switch
    started_by = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    stepped_at = models.DateTimeField(default=timezone.now)
    deadline = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "station"],
                condition=models.Q(state__in=CHANGE_OPEN),
                name="profile_change_one",
            )
        ]

    def __str__(self) -> str:
        return f"{self.station}: {self.from_profile} → {self.to_profile}"

    @property
    def open(self) -> bool:
        return self.state in CHANGE_OPEN


class PasswordState(models.TextChoices):
    SENT = "sent", _("On its way to the station")
    ACCEPTED = "accepted", _("Taken, not used yet")
    USED = "used", _("In use")
    FAILED = "failed", _("Failed, the old one holds")


class PasswordChange(TenantModel):
    """A new password that the station is told through its own socket. The old one opens until the new one was used."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="password_changes")
    state = models.CharField(max_length=10, choices=PasswordState.choices, default=PasswordState.SENT)
    secret = SecretField(blank=True)  # until the station took it
    tried_hex = models.BooleanField(default=False)  # 1.6: AuthorizationKey as hexadecimal text
    command = TenantForeignKey(Command, null=True, on_delete=models.SET_NULL, related_name="+")
    detail = models.CharField(max_length=300, blank=True)
    started_by = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "station"],
                condition=models.Q(state__in=["sent", "accepted"]),
                name="password_change_one",
            )
        ]

    def __str__(self) -> str:
        return f"{self.station} #{self.pk}"


class SecurityEvent(TenantModel):
    """Something that bears on security, told by a station (A04) or seen at the gateway's door."""

    station = TenantForeignKey(
        Station, on_delete=models.CASCADE, related_name="security_events", db_index=False
    )
    type = models.CharField(max_length=50)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    critical = models.BooleanField(default=False)  # OCPP: stations must tell of it
    tech_info = models.CharField(max_length=255, blank=True)
    source = models.CharField(max_length=8, default="station")  # station | gateway
    count = models.PositiveIntegerField(default=1)  # of the same at the gateway's door within an hour
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="security_event_recent"),
            models.Index(fields=["tenant", "station", "-id"], name="security_event_station"),
            models.Index(
                fields=["tenant", "-id"],
                name="security_event_open",
                condition=models.Q(severity="error", acknowledged_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} #{self.pk}"
