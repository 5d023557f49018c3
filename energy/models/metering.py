"""What the meters of a site tell: the building, the grid, the sun, the battery."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from energy.models.tree import GridConnection, GridNode
from tenants.fields import SecretField, TenantForeignKey
from tenants.models import TenantModel


class MeterKind(models.TextChoices):
    """What it measures. `grid`: all that the site takes, the charging as well."""

    GRID = "grid", _("Grid connection, cars included")
    BUILDING = "building", _("Building without cars")
    SOLAR = "solar", _("Solar")
    BATTERY = "battery", _("Battery")


class MeterSource(models.TextChoices):
    REST = "rest", _("REST")
    MQTT = "mqtt", _("MQTT")
    MODBUS = "modbus", _("Modbus TCP")
    OCPP = "ocpp", _("Meter values of a station")


class SiteMeter(TenantModel):
    """A meter below a node (None: at the root). Loads are positive; a solar meter's are what it gives.

    `settings`: of its source (energy.feeds). `maximum_a`: on each line, counted while it is silent or frozen.
    """

    connection = TenantForeignKey(
        GridConnection, on_delete=models.CASCADE, related_name="meters", db_index=False
    )
    node = TenantForeignKey(GridNode, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    kind = models.CharField(_("kind"), max_length=8, choices=MeterKind.choices, default=MeterKind.BUILDING)
    source = models.CharField(
        _("source"), max_length=6, choices=MeterSource.choices, default=MeterSource.REST
    )
    name = models.CharField(_("name"), max_length=80)
    settings = models.JSONField(default=dict)
    secret = SecretField(blank=True)  # password of its broker or gateway
    maximum_a = models.FloatField(_("most that it may show (A per line)"), null=True)
    enabled = models.BooleanField(default=True)
    # Of the last night that told enough (energy.direction): A on each line that nine tenths of the readings were below
    night_a = ArrayField(models.FloatField(), default=list)
    night_at = models.DateTimeField(null=True)  # its end
    # Newest
    last_at = models.DateTimeField(null=True)
    last_a = ArrayField(models.FloatField(), default=list)
    last_w = models.FloatField(null=True)
    error = models.CharField(max_length=200, blank=True)  # of its feed; empty: it works
    error_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "name", "tenant"], name="site_meter_name_once")
        ]

    def __str__(self) -> str:
        return self.name


class MeterSample(TenantModel):
    """One reading of a meter: A on each line and W in total (None: not told). Kept for METER_SAMPLE_DAYS."""

    meter = TenantForeignKey(SiteMeter, on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()
    received_at = models.DateTimeField()
    amps = ArrayField(models.FloatField(), default=list)
    watts = models.FloatField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["meter", "at", "tenant"], name="meter_sample_once")]


class SiteMinute(TenantModel):
    """What flowed at a site in one minute, mean W. Kept for good: the what-if and the charts read it."""

    connection = TenantForeignKey(GridConnection, on_delete=models.CASCADE, related_name="+", db_index=False)
    minute = models.DateTimeField()
    cars_w = models.FloatField(default=0)
    building_w = models.FloatField(null=True)
    solar_w = models.FloatField(null=True)
    battery_w = models.FloatField(null=True)
    grid_w = models.FloatField(null=True)
    most_w = models.FloatField(null=True)  # of cars and building, within the minute
    limit_w = models.FloatField(null=True)
    planned_w = models.FloatField(null=True)  # by the programme of the day, for the cars
    waiting = models.PositiveSmallIntegerField(default=0)  # cars without their minimum

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "minute", "tenant"], name="site_minute_once")
        ]
