from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.station import Connector, Evse, Station
from tenants.fields import TenantForeignKey
from tenants.models import Site, TenantModel


class ExclusionCategory(models.TextChoices):
    """Why time without service does not count. Those of 23 CFR 680.116(b)(3) are in `stations.ports`; an interruption
    of the network is none of them any more (it stood in the proposed rule), and is kept for the record."""

    UTILITY = "utility", _("Electric utility interruption")
    NETWORK = "network", _("Internet or cellular provider interruption")
    VEHICLE = "vehicle", _("Fault of the vehicle")
    MAINTENANCE = "maintenance", _("Scheduled maintenance")
    VANDALISM = "vandalism", _("Vandalism")
    DISASTER = "disaster", _("Natural disaster")
    CLOSED = "closed", _("Outside the hours of operation")
    BLOCKED = "blocked", _("Physical barrier to the charging point")


class Exclusion(TenantModel):
    """A time that does not count against a site, station or connector, with its evidence.

    Scheduled maintenance is entered ahead: while it lasts, nothing is recovered and nobody is woken.
    """

    category = models.CharField(_("category"), max_length=12, choices=ExclusionCategory.choices)
    site = TenantForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    station = TenantForeignKey(Station, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    connector = TenantForeignKey(Connector, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    evidence = models.TextField(_("evidence"), max_length=2000)
    reference = models.CharField(_("reference or link"), max_length=400, blank=True)
    entered_by = models.CharField(max_length=120)
    entered_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.CharField(max_length=120, blank=True)
    withdrawn_reason = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ["-starts_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="exclusion_has_length"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_category_display()} ({self.starts_at:%Y-%m-%d})"

    def speaks_of(self, station: Station) -> bool:
        """One of a single station goes with it, wherever it is moved to."""
        return self.station_id == station.pk if self.station_id else self.site_id == station.site_id


class PortMonth(TenantModel):
    """One month of one port (EVSE) in seconds; months are those of the site's zone.

    period = in service and known; outage, excluded and failed lie within it. `excluded` is the part of `outage` that
    does not count; `failed` is what failed starts add to the outage for effective uptime.
    """

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    evse = TenantForeignKey(Evse, on_delete=models.CASCADE, related_name="+", db_index=False)
    month = models.DateField()
    month_s = models.BigIntegerField()  # the whole month
    period_s = models.BigIntegerField()
    unknown_s = models.BigIntegerField()  # in service, but no word of its state
    outage_s = models.BigIntegerField()
    excluded_s = models.BigIntegerField()
    failed_s = models.BigIntegerField()
    uk_period_s = models.BigIntegerField()
    uk_down_s = models.BigIntegerField()
    starts = models.IntegerField(default=0)
    failed_starts = models.IntegerField(default=0)
    outages = models.JSONField(default=list)  # the longest: [{"from", "to", "why", "excluded_s"}]
    final = models.BooleanField(default=False)
    computed_at = models.DateTimeField()

    class Meta:
        ordering = ["month", "id"]
        constraints = [models.UniqueConstraint(fields=["evse", "month", "tenant"], name="port_month_once")]
        indexes = [models.Index(fields=["tenant", "month"], name="port_month_tenant")]


class UptimeScheme(models.TextChoices):
    US = "us", _("United States, 23 CFR 680.116")
    UK = "uk", _("United Kingdom, Public Charge Point Regulations 2023")
    EFFECTIVE = "effective", _("Effective: failed starts count")


class UptimeReport(TenantModel):
    """A report as it was made, kept for download."""

    scheme = models.CharField(max_length=10, choices=UptimeScheme.choices)
    month = models.DateField()
    site = TenantForeignKey(Site, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    percent = models.DecimalField(max_digits=7, decimal_places=4, null=True)
    ports = models.IntegerField(default=0)
    below = models.IntegerField(default=0)  # ports under the threshold
    csv = models.TextField()
    pdf = models.BinaryField()
    made_by = models.CharField(max_length=120)
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-month", "-id"]
        indexes = [models.Index(fields=["tenant", "-month"], name="uptime_report_recent")]

    def __str__(self) -> str:
        return f"{self.scheme}-{self.month:%Y-%m}"
