"""Battery swap stations (OCPP 2.1, block S)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from fleets.models import Token
from stations.models.station import Station
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class BatterySlot(TenantModel):
    """A slot (an EVSE) of a swap station, and the battery that is in it as far as is known."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    evse_number = models.PositiveSmallIntegerField()
    present = models.BooleanField()
    serial_number = models.CharField(max_length=50, blank=True)
    soc_percent = models.FloatField(null=True)
    soh_percent = models.FloatField(null=True)
    produced_at = models.DateTimeField(null=True)
    vendor_info = models.CharField(max_length=500, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["evse_number"]
        constraints = [
            models.UniqueConstraint(fields=["station", "evse_number", "tenant"], name="battery_slot_once")
        ]


class SwapState(models.TextChoices):
    ASKED = "asked", _("Asked for")
    REFUSED = "refused", _("Refused by the station")
    UNREACHED = "unreached", _("Station not reached")
    BATTERY_IN = "battery_in", _("Old battery is in")
    DONE = "swap_done", _("Swapped")
    TIMED_OUT = "out_timeout", _("Battery not taken in time")


class BatterySwap(TenantModel):
    """One driver's swap: what went in, what came out."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    request_id = models.BigIntegerField()
    token_uid = models.CharField(max_length=255)
    token = TenantForeignKey(Token, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    state = models.CharField(max_length=12, choices=SwapState.choices)
    detail = models.CharField(max_length=400, blank=True)
    put_in = models.JSONField(default=list)  # [{"evse", "serial_number", "soc_percent", ...}]
    taken_out = models.JSONField(default=list)
    command_id = models.BigIntegerField(null=True)
    began_at = models.DateTimeField()
    in_at = models.DateTimeField(null=True)
    out_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["station", "request_id", "token_uid", "tenant"], name="swap_once")
        ]
        indexes = [models.Index(fields=["station", "-id"], name="swap_recent")]
