from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.command import Command
from stations.models.station import Station
from stations.models.variable import Named
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class MonitorKind(models.TextChoices):
    """2.x MonitorEnumType in neutral words."""

    UPPER = "upper", _("Above")
    LOWER = "lower", _("Below")
    DELTA = "delta", _("Changes by")
    PERIODIC = "periodic", _("Every so many seconds")
    CLOCK_ALIGNED = "clock_aligned", _("Every so many seconds, by the clock")
    TARGET_DELTA = "target_delta", _("Away from its target by")  # 2.1
    TARGET_DELTA_RELATIVE = "target_delta_relative", _("Away from its target by the share")  # 2.1


class MonitorBase(models.TextChoices):
    """Who set a monitor (EventNotificationEnumType)."""

    NOTIFICATION = "notification", _("Built in, no monitor")
    HARD_WIRED = "hard_wired", _("Built in")
    PRECONFIGURED = "preconfigured", _("Set by the maker")
    CUSTOM = "custom", _("Set here")
    UNKNOWN = "unknown", _("Not told")


class MonitorState(models.TextChoices):
    ASKED = "asked", _("Asked of the station")
    SET = "set", _("Watching")
    REFUSED = "refused", _("Refused by the station")
    CLEARED = "cleared", _("Removed")


# Part 2, N: severities of monitors and events.
SEVERITY = {
    0: _("Danger"),
    1: _("Hardware failure"),
    2: _("System failure"),
    3: _("Critical"),
    4: _("Error"),
    5: _("Alert"),
    6: _("Warning"),
    7: _("Notice"),
    8: _("Informational"),
    9: _("Debug"),
}


class Monitor(Named):
    """A watch on a variable of a 2.x station, as asked here or told by the station."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="monitors", db_index=False)
    number = models.BigIntegerField(null=True)  # the station's id of it
    kind = models.CharField(max_length=24, choices=MonitorKind.choices)
    value = models.FloatField()
    severity = models.PositiveSmallIntegerField()
    during_transaction = models.BooleanField(default=False)
    base = models.CharField(max_length=16, choices=MonitorBase.choices, default=MonitorBase.UNKNOWN)
    stream_interval_s = models.IntegerField(null=True)  # 2.1: its values come as an event stream
    stream_values = models.IntegerField(null=True)
    state = models.CharField(max_length=8, choices=MonitorState.choices, default=MonitorState.ASKED)
    reason = models.CharField(max_length=200, blank=True)
    command = TenantForeignKey(
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    origin_label = models.CharField(max_length=120, blank=True)
    created_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["component", "name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["station", "number", "tenant"],
                name="monitor_number_once",
                condition=models.Q(state="set"),
            )
        ]
        indexes = [models.Index(fields=["station", "-id"], name="monitor_recent")]

    def __str__(self) -> str:
        return self.title


class Alert(Named):
    """Something a monitor of a station has noticed: open until the station says that it is over."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="alerts", db_index=False)
    monitor_number = models.BigIntegerField(null=True)
    event_number = models.BigIntegerField()  # the station's id of the newest event
    cause_number = models.BigIntegerField(null=True)  # the event that led to it
    severity = models.PositiveSmallIntegerField(null=True)  # null: not told
    base = models.CharField(max_length=16, choices=MonitorBase.choices, default=MonitorBase.UNKNOWN)
    value = models.TextField()
    tech_code = models.CharField(max_length=50, blank=True)
    tech_info = models.CharField(max_length=500, blank=True)
    transaction_id = models.CharField(max_length=64, blank=True)
    count = models.PositiveIntegerField(default=1)
    opened_at = models.DateTimeField()
    last_at = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True)
    cleared_by = models.CharField(max_length=120, blank=True)  # empty: the station itself

    class Meta:
        ordering = ["-opened_at", "-id"]
        indexes = [
            models.Index(fields=["station", "-opened_at"], name="alert_recent"),
            models.Index(
                fields=["tenant", "severity", "-opened_at"],
                name="alert_open",
                condition=models.Q(cleared_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Stream(TenantModel):
    """A periodic event stream (2.1): a station sends the values of a monitored variable without being answered."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="streams", db_index=False)
    number = models.BigIntegerField()  # the station's id of it
    monitor_number = models.BigIntegerField(null=True)
    interval_s = models.IntegerField(null=True)
    values_per_message = models.IntegerField(null=True)
    opened_at = models.DateTimeField(null=True)  # null: values came of a stream that nobody opened
    closed_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    pending = models.IntegerField(null=True)  # values that the station still held at the newest message
    received = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["station", "number", "tenant"], name="stream_number_once")
        ]

    def __str__(self) -> str:
        return f"#{self.number}"


class StreamValue(TenantModel):
    """One value of a stream. The newest few thousand of each are kept."""

    stream = TenantForeignKey(Stream, on_delete=models.CASCADE, related_name="values", db_index=False)
    at = models.DateTimeField()
    value = models.TextField()
    number = models.FloatField(null=True)  # where the value is one

    class Meta:
        ordering = ["-at"]
        constraints = [models.UniqueConstraint(fields=["stream", "at", "tenant"], name="stream_value_once")]
