from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.command import Command
from stations.models.station import Station
from tenants.fields import SecretField, TenantForeignKey
from tenants.models import TenantModel


class CustomerQueryState(models.TextChoices):
    ASKED = "asked", _("Asked of the station")
    RECEIVING = "receiving", _("Parts are coming in")
    COMPLETE = "complete", _("Complete")
    INCOMPLETE = "incomplete", _("Parts are missing")
    REFUSED = "refused", _("Refused by the station")
    CLEARED = "cleared", _("Deleted at the station")
    DELETED = "deleted", _("Deleted here after use")


class CustomerQuery(TenantModel):
    """What a station has stored of a customer (N09), or its deletion (N10). What it told is personal data: encrypted,
    shown to few, deleted after use and after a day at the latest."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    command = TenantForeignKey(
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    request_id = models.BigIntegerField()
    subject = models.CharField(max_length=300)  # who is meant: the token, the identifier or the certificate
    report = models.BooleanField()
    clear = models.BooleanField()
    state = models.CharField(
        max_length=10, choices=CustomerQueryState.choices, default=CustomerQueryState.ASKED
    )
    reason = models.CharField(max_length=200, blank=True)
    told = SecretField(blank=True)  # {"<part>": "<text>"} as JSON, encrypted
    last_part = models.IntegerField(null=True)
    origin_label = models.CharField(max_length=120)
    created_at = models.DateTimeField()
    last_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)
    delete_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["station", "request_id", "tenant"], name="customer_query_once")
        ]


class NetworkProfile(TenantModel):
    """A slot of a 2.x station with the address and the way of a connection (B09), as it was set from here.

    Passwords are sent and not kept.
    """

    class State(models.TextChoices):
        ASKED = "asked", _("Asked of the station")
        SET = "set", _("Set")
        REFUSED = "refused", _("Refused by the station")
        FAILED = "failed", _("Failed")

    station = TenantForeignKey(
        Station, on_delete=models.CASCADE, related_name="network_profiles", db_index=False
    )
    slot = models.PositiveSmallIntegerField()
    url = models.CharField(max_length=2000)
    ocpp_version = models.CharField(max_length=8)
    interface = models.CharField(max_length=12)
    security_profile = models.PositiveSmallIntegerField()
    timeout_s = models.PositiveIntegerField()
    identity = models.CharField(max_length=48, blank=True)
    apn = models.CharField(max_length=200, blank=True)
    vpn = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.ASKED)
    reason = models.CharField(max_length=200, blank=True)
    command = TenantForeignKey(
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    origin_label = models.CharField(max_length=120)
    asked_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["slot"]
        constraints = [
            models.UniqueConstraint(fields=["station", "slot", "tenant"], name="network_slot_once")
        ]

    def __str__(self) -> str:
        return f"{self.slot}: {self.url}"
