from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.station import Station
from stations.models.variable import Named
from tenants.fields import TenantForeignKey
from tenants.models import Site, TenantModel


class Matching(TenantModel):
    """Base of rows that hold for stations of a vendor, a model, a range of firmware. Empty: any."""

    name = models.CharField(_("name"), max_length=120)
    vendor = models.CharField(_("vendor"), max_length=64, blank=True)
    model = models.CharField(_("model"), max_length=64, blank=True)  # * stands for anything
    firmware_from = models.CharField(_("firmware from"), max_length=64, blank=True)
    firmware_to = models.CharField(_("firmware to"), max_length=64, blank=True)
    enabled = models.BooleanField(_("in use"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class TemplateMode(models.TextChoices):
    REPORT = "report", _("Report drift only")
    REPAIR = "repair", _("Report drift and repair it")


class ConfigurationTemplate(Matching):
    """How stations shall be set. Where several match, each setting is taken from the one of the highest priority.

    `settings`: [{"component", "name", "value", "component_instance", "evse", "connector", "instance", "attribute"}];
    what is not given is empty, 0 or "actual". A 1.6 key stands for its 2.x variable and the other way round.
    """

    priority = models.IntegerField(_("priority"), default=100)
    site = TenantForeignKey(
        Site, null=True, blank=True, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    ocpp_versions = models.JSONField(default=list, blank=True)  # empty: all
    mode = models.CharField(max_length=6, choices=TemplateMode.choices, default=TemplateMode.REPORT)
    settings = models.JSONField(default=list)

    class Meta:
        ordering = ["-priority", "name"]
        constraints = [models.UniqueConstraint(fields=["name", "tenant"], name="configuration_template_name")]


class DriftState(models.TextChoices):
    IN_LINE = "in_line", _("In line")
    DRIFTED = "drifted", _("Drifted")
    UNKNOWN = "unknown", _("Not known yet")
    PENDING = "pending", _("Under way")
    REFUSED = "refused", _("Refused by the station")
    ABSENT = "absent", _("The station has no such setting")


class StationDrift(TenantModel):
    """How far a station's configuration is from what the templates want, and when to look again."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    due_at = models.DateTimeField(null=True)  # look again from then on
    checked_at = models.DateTimeField(null=True)
    boot_at = models.DateTimeField(null=True)  # the boot that was followed
    asked_at = models.DateTimeField(null=True)  # when the wanted settings were last asked to be read
    state = models.CharField(max_length=8, choices=DriftState.choices, default=DriftState.UNKNOWN)
    wanted = models.PositiveIntegerField(default=0)
    drifted = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["station_id"]
        constraints = [models.UniqueConstraint(fields=["station", "tenant"], name="station_drift_once")]
        indexes = [
            models.Index(
                fields=["tenant", "due_at"],
                name="station_drift_due",
                condition=models.Q(due_at__isnull=False),
            )
        ]


class DesiredSetting(Named):
    """One setting that a template wants of a station, and how it stands."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    template = TenantForeignKey(ConfigurationTemplate, on_delete=models.CASCADE, related_name="+")
    wanted = models.TextField()
    actual = models.TextField(null=True)
    state = models.CharField(max_length=8, choices=DriftState.choices, default=DriftState.UNKNOWN)
    reason = models.CharField(max_length=200, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)  # repairs of this value, by itself
    attempted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["component", "evse_number", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "station", "component", "component_instance", "evse_number", "connector_number", "name",
                    "instance", "attribute", "tenant",
                ],
                name="desired_setting_once",
            )
        ]  # fmt: skip


class VendorProfile(Matching):
    """The quirks of a charger model, as data. `shipped` names the one of ours that this row takes the place of.

    `quirks` as `stations.services.quirks` reads them; docs/configuration.md describes each.
    """

    shipped = models.CharField(max_length=60, blank=True)
    quirks = models.JSONField(default=dict)
    notes = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["name", "tenant"], name="vendor_profile_name"),
            models.UniqueConstraint(
                fields=["shipped", "tenant"], name="vendor_profile_shipped", condition=~models.Q(shipped="")
            ),
        ]
