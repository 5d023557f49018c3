from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from billing.models import Tariff
from tenants.fields import TenantForeignKey
from tenants.models import Site, TenantModel


class Registration(models.TextChoices):
    ACCEPTED = "accepted", _("Accepted")
    PENDING = "pending", _("Pending")
    REJECTED = "rejected", _("Rejected")


class SecurityProfile(models.IntegerChoices):
    """OCPP security profiles; 0 is none at all."""

    OPEN = 0, _("0: no password")
    PASSWORD = 1, _("1: password")
    TLS = 2, _("2: TLS and password")
    CERTIFICATE = 3, _("3: TLS and certificate")


class Station(TenantModel):
    """A charging station (OCPP 2: ChargingStation, 1.6: Charge Point), known by its identity on the wire."""

    site = TenantForeignKey(Site, on_delete=models.PROTECT, related_name="stations")
    identity = models.CharField(_("identity"), max_length=128)
    name = models.CharField(_("name"), max_length=120, blank=True)
    # Access
    password_hash = models.CharField(max_length=64, blank=True)
    allow_unauthenticated = models.BooleanField(
        _("may connect without password (security profile 0)"), default=False
    )
    # Configured: the least that the gateway accepts. Highest: the best it was seen under, which it may not fall below.
    security_profile = models.PositiveSmallIntegerField(
        _("security profile"), choices=SecurityProfile.choices, default=SecurityProfile.PASSWORD
    )
    effective_profile = models.PositiveSmallIntegerField(null=True, blank=True)  # of its newest socket
    highest_profile = models.PositiveSmallIntegerField(default=0)
    next_password_hash = models.CharField(max_length=64, blank=True)  # accepted besides, until it was used
    strict = models.BooleanField(_("refuse messages that bend the specification"), default=False)
    registration = models.CharField(
        _("registration"), max_length=10, choices=Registration.choices, default=Registration.ACCEPTED
    )
    heartbeat_seconds = models.PositiveIntegerField(_("heartbeat interval (s)"), null=True, blank=True)
    tariff = TenantForeignKey(Tariff, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    # What it said of itself at its last boot
    vendor = models.CharField(_("vendor"), max_length=64, blank=True)
    model = models.CharField(_("model"), max_length=64, blank=True)
    serial_number = models.CharField(_("serial number"), max_length=64, blank=True)
    firmware_version = models.CharField(_("firmware"), max_length=64, blank=True)
    iccid = models.CharField(max_length=32, blank=True)
    imsi = models.CharField(max_length=32, blank=True)
    booted_at = models.DateTimeField(_("last boot"), null=True, blank=True)
    boot_reason = models.CharField(max_length=40, blank=True)
    # Liveness. `epoch` grows with each accepted socket: only the holder of the newest may be routed to.
    epoch = models.BigIntegerField(default=0)
    gateway = models.CharField(max_length=64, blank=True)  # process that holds the newest socket; empty: none
    online = models.BooleanField(_("online"), default=False)
    online_changed_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(_("last seen"), null=True, blank=True)
    ocpp_version = models.CharField(_("OCPP version"), max_length=8, blank=True)  # 1.6, 2.0.1, 2.1
    remote_address = models.CharField(max_length=64, blank=True)
    clock_offset_s = models.FloatField(_("clock runs ahead by (s)"), null=True, blank=True)
    notes = models.JSONField(
        default=dict, blank=True
    )  # tolerated deviations: {code: {"count": n, "last": iso}}
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["identity"]
        constraints = [models.UniqueConstraint(fields=["tenant", "identity"], name="station_identity_unique")]
        indexes = [models.Index(fields=["tenant", "site"], name="station_site")]

    def __str__(self) -> str:
        return self.name or self.identity

    @property
    def is_v2(self) -> bool:
        """Spoke OCPP 2.0.1 or 2.1 last: it has components, variables and monitors, not keys."""
        return self.ocpp_version.startswith("2")


class Evse(TenantModel):
    """The part of a station that charges one car at a time. 1.6 connector n becomes EVSE n."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="evses")
    number = models.PositiveSmallIntegerField(_("EVSE"))
    evse_id = models.CharField(_("EVSE id (eMI3)"), max_length=48, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "station", "number"], name="evse_number_unique"),
            models.UniqueConstraint(
                fields=["tenant", "evse_id"], condition=~models.Q(evse_id=""), name="evse_id_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.evse_id or str(self.number)


class ConnectorStatus(models.TextChoices):
    UNKNOWN = "unknown", _("Unknown")
    AVAILABLE = "available", _("Available")
    PREPARING = "preparing", _("Preparing")
    OCCUPIED = "occupied", _("Plugged in")
    CHARGING = "charging", _("Charging")
    SUSPENDED_EV = "suspended_ev", _("Paused by the car")
    SUSPENDED_EVSE = "suspended_evse", _("Paused by the station")
    FINISHING = "finishing", _("Finishing")
    RESERVED = "reserved", _("Reserved")
    UNAVAILABLE = "unavailable", _("Out of service")
    FAULTED = "faulted", _("Faulted")


class PowerType(models.TextChoices):
    """OCPI PowerType."""

    AC_1_PHASE = "AC_1_PHASE", _("AC, 1 phase")
    AC_3_PHASE = "AC_3_PHASE", _("AC, 3 phases")
    DC = "DC", _("DC")


class Connector(TenantModel):
    """A cable or socket of an EVSE, with its live state."""

    evse = TenantForeignKey(Evse, on_delete=models.CASCADE, related_name="connectors")
    number = models.PositiveSmallIntegerField(_("connector"))
    standard = models.CharField(_("plug"), max_length=24, default="IEC_62196_T2")  # OCPI ConnectorType
    power_type = models.CharField(max_length=12, choices=PowerType.choices, default=PowerType.AC_3_PHASE)
    max_power_w = models.PositiveIntegerField(_("most power (W)"), default=22000)
    max_amps = models.PositiveIntegerField(_("most current (A)"), default=32)
    status = models.CharField(max_length=16, choices=ConnectorStatus.choices, default=ConnectorStatus.UNKNOWN)
    status_at = models.DateTimeField(null=True, blank=True)  # when the station says it changed (sanitised)
    status_received_at = models.DateTimeField(null=True, blank=True)
    # When it was told first: a repetition does not begin it anew.
    status_since = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=60, blank=True)  # empty: no error
    vendor_error_code = models.CharField(max_length=60, blank=True)
    info = models.CharField(max_length=200, blank=True)
    power_w = models.FloatField(null=True, blank=True)
    power_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "evse", "number"], name="connector_number_unique")
        ]


class Connection(TenantModel):
    """One accepted socket of a station: its online history."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="connections")
    epoch = models.BigIntegerField()
    gateway = models.CharField(max_length=64)
    ocpp_version = models.CharField(max_length=8)
    remote_address = models.CharField(max_length=64, blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    close_code = models.PositiveIntegerField(null=True, blank=True)
    close_reason = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "station", "epoch"], name="connection_epoch_unique")
        ]


class QuarantinedStation(TenantModel):
    """A refused station that is unknown here: an operator may adopt it. Bounded in number per tenant."""

    identity = models.CharField(_("identity"), max_length=128)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=1)
    remote_address = models.CharField(max_length=64, blank=True)
    subprotocols = models.CharField(max_length=120, blank=True)
    dismissed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-last_seen_at"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "identity"], name="quarantine_identity_unique")
        ]

    def __str__(self) -> str:
        return self.identity
