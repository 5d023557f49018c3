"""Distributed energy resources: what a station does for the grid (OCPP 2.1 block R)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.command import Command
from stations.models.station import Station
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class DerType(models.TextChoices):
    """OCPP 2.1 DERControlEnumType in neutral words."""

    ENTER_SERVICE = "enter_service", _("Enter service")
    FREQ_DROOP = "freq_droop", _("Frequency droop")
    FREQ_WATT = "freq_watt", _("Frequency-watt")
    FIXED_PF_ABSORB = "fixed_pf_absorb", _("Fixed power factor, absorbing")
    FIXED_PF_INJECT = "fixed_pf_inject", _("Fixed power factor, injecting")
    FIXED_VAR = "fixed_var", _("Fixed reactive power")
    GRADIENTS = "gradients", _("Ramp rates")
    HF_MUST_TRIP = "hf_must_trip", _("High frequency, must trip")
    HF_MAY_TRIP = "hf_may_trip", _("High frequency, may trip")
    HV_MUST_TRIP = "hv_must_trip", _("High voltage, must trip")
    HV_MOM_CESS = "hv_mom_cess", _("High voltage, momentary cessation")
    HV_MAY_TRIP = "hv_may_trip", _("High voltage, may trip")
    LIMIT_MAX_DISCHARGE = "limit_max_discharge", _("Limit of discharge")
    LF_MUST_TRIP = "lf_must_trip", _("Low frequency, must trip")
    LV_MUST_TRIP = "lv_must_trip", _("Low voltage, must trip")
    LV_MOM_CESS = "lv_mom_cess", _("Low voltage, momentary cessation")
    LV_MAY_TRIP = "lv_may_trip", _("Low voltage, may trip")
    POWER_MONITORING_MUST_TRIP = "power_monitoring_must_trip", _("Power monitoring, must trip")
    VOLT_VAR = "volt_var", _("Volt-var")
    VOLT_WATT = "volt_watt", _("Volt-watt")
    WATT_PF = "watt_pf", _("Watt-power factor")
    WATT_VAR = "watt_var", _("Watt-var")


class DerState(models.TextChoices):
    SENT = "sent", _("Under way")
    SCHEDULED = "scheduled", _("Scheduled")
    ACTIVE = "active", _("In force")
    SUPERSEDED = "superseded", _("Superseded")
    REJECTED = "rejected", _("Refused")
    FAILED = "failed", _("Not delivered")
    CLEARED = "cleared", _("Cleared")
    ENDED = "ended", _("Over")


HELD = (DerState.SCHEDULED, DerState.ACTIVE, DerState.SUPERSEDED)  # the station has it


class DerControl(TenantModel):
    """A DER control of a station. `settings` in neutral words: {"points": [[x, y], ...], "y_unit": ...} and so on."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="der_controls", db_index=False)
    control_id = models.CharField(max_length=36)
    kind = models.CharField(max_length=26, choices=DerType.choices)
    is_default = models.BooleanField(default=True)
    priority = models.IntegerField(default=0)  # 0 is the highest
    settings = models.JSONField(default=dict)
    starts_at = models.DateTimeField(null=True)
    duration_s = models.FloatField(null=True)
    state = models.CharField(max_length=10, choices=DerState.choices, default=DerState.SENT)
    reason = models.CharField(max_length=200, blank=True)
    label = models.CharField(max_length=120, blank=True)  # who asked for it; empty: found in the station
    command = TenantForeignKey(  # that carried it
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)  # started, stopped, superseded, cleared
    told_at = models.DateTimeField(null=True)  # when the station last reported it

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["station", "control_id", "tenant"],
                name="der_control_once",
                condition=models.Q(state__in=["scheduled", "active", "superseded"]),
            )
        ]
        indexes = [
            models.Index(fields=["station", "-id"], name="der_control_recent"),
            models.Index(fields=["command"], name="der_control_command", condition=models.Q(state="sent")),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.control_id[:8]}"
