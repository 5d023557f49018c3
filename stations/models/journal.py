from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.station import Station
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class Frame(models.Model):
    """A frame on a station's socket, either way, credentials masked. Partitioned by day of receipt.

    Frames are also the journal of the fast lane: Heartbeat, StatusNotification and MeterValues are durable once
    their frame is, and are applied from here in station order (`stations.services.journal`).
    """

    id = models.BigIntegerField(primary_key=True)
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    station = TenantForeignKey(Station, on_delete=models.DO_NOTHING, related_name="+")
    received_at = models.DateTimeField()
    gateway = models.CharField(max_length=64)
    outbound = models.BooleanField()
    message_type = (
        models.SmallIntegerField()
    )  # 2 CALL, 3 RESULT, 4 ERROR, 5 RESULT_ERROR, 6 SEND, 0 unreadable
    message_id = models.CharField(max_length=64)
    action = models.CharField(max_length=64)
    ocpp_version = models.CharField(max_length=8)
    apply = models.BooleanField()  # a fast-lane CALL, to be applied
    payload = models.TextField()  # the frame's payload as JSON text
    # The answer we gave to an inbound CALL stands beside it: a row per exchange costs half of two.
    reply_type = models.SmallIntegerField(null=True)  # 3 CALLRESULT or 4 CALLERROR
    reply = models.TextField(null=True)  # its payload; of a CALLERROR: [code, description, details]

    class Meta:
        managed = False
        db_table = "stations_frame"


class GatewayProcess(models.Model):
    """A gateway process that is, or was, alive. Global: stations it held are offline once it is silent."""

    name = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField()
    alive_at = models.DateTimeField()
    certificate = models.TextField(blank=True, default="")  # PEM that it shows stations, where TLS ends at it


class JournalHead(TenantModel):
    """The newest frame of a tenant that one gateway process has stored and that waits to be applied."""

    gateway = models.CharField(max_length=64)
    last_id = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "gateway"], name="journal_head_unique")]


class JournalCursor(TenantModel):
    """How far it has been applied. Apart from the head, so that storing never waits for applying."""

    gateway = models.CharField(max_length=64)
    applied_id = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "gateway"], name="journal_cursor_unique")]


class Reading(models.Model):
    """Meter values of one EVSE at one instant. Partitioned by month of the sanitised sample time.

    `values`: as received, in neutral words: [{"measurand", "value", "unit", "phase", "location", "context"}].
    The columns are what they mean together: import register in Wh, power in W, and so on.
    """

    id = models.BigIntegerField(primary_key=True)
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.DO_NOTHING, related_name="+", db_constraint=False
    )
    station = TenantForeignKey(Station, on_delete=models.DO_NOTHING, related_name="+")
    evse_number = models.SmallIntegerField()
    session_id = models.BigIntegerField(null=True)
    sampled_at = models.DateTimeField()
    raw_timestamp = models.CharField(max_length=64)
    received_at = models.DateTimeField()
    context = models.CharField(max_length=24)
    digest = models.CharField(max_length=32)  # with station, EVSE and time: the natural key
    energy_wh = models.DecimalField(max_digits=16, decimal_places=3, null=True)
    power_w = models.FloatField(null=True)
    current_a = models.FloatField(null=True)
    voltage_v = models.FloatField(null=True)
    soc_percent = models.FloatField(null=True)
    offered_w = models.FloatField(null=True)
    values = models.JSONField()
    flags = models.JSONField(default=list)

    class Meta:
        managed = False
        db_table = "stations_reading"


class Severity(models.TextChoices):
    INFO = "info", _("Information")
    WARNING = "warning", _("Warning")
    ERROR = "error", _("Error")


class StationEvent(TenantModel):
    """What a station told besides sessions: boots, status, firmware, diagnostics, security, its own events."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="events", db_index=False)
    evse_number = models.SmallIntegerField(null=True)
    connector_number = models.SmallIntegerField(null=True)
    kind = models.CharField(
        max_length=24
    )  # boot | status | firmware | log | security | monitor | vendor | note
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.INFO)
    text = models.CharField(max_length=200)
    detail = models.JSONField(default=dict)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["station", "-id"], name="station_event_recent"),
            models.Index(fields=["station", "kind", "-occurred_at"], name="station_event_kind"),
        ]
