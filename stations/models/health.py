from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from stations.models.station import Connector, Station
from tenants.fields import TenantForeignKey
from tenants.models import Membership, Site, TenantModel


class StatusEntry(TenantModel):
    """What a connector told of its state, and when: append-only. It holds until the next entry by time.

    Every report counts, late ones too: they take their place by `at`, and what was told after it still holds.
    EVSE 0 is the station as a whole.
    """

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    evse_number = models.SmallIntegerField()
    connector_number = models.SmallIntegerField()
    status = models.CharField(max_length=16)  # a ConnectorStatus
    error_code = models.CharField(max_length=60, blank=True)
    vendor_error_code = models.CharField(max_length=60, blank=True)
    info = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()  # sanitised
    received_at = models.DateTimeField()
    clock_ahead_s = models.FloatField(null=True)  # the time as told less that of receipt; null: unreadable

    class Meta:
        ordering = ["at", "id"]
        indexes = [
            BrinIndex(fields=["received_at"], name="status_entry_received", pages_per_range=16),
            models.Index(
                fields=["station", "evse_number", "connector_number", "at", "id"], name="status_entry_place"
            ),
        ]


class Signal(models.TextChoices):
    """What can be wrong, as `stations.services.signals` detects it."""

    OFFLINE = "offline", _("Offline")
    SILENT = "silent", _("Connected but silent")
    FLAPPING = "flapping", _("Connection breaks again and again")
    NOT_ACCEPTED = "not_accepted", _("Boot not accepted")
    FAULTED = "faulted", _("Faulted")
    OUT_OF_SERVICE = "out_of_service", _("Out of service for long")
    PLUGGED_IDLE = "plugged_idle", _("Plugged in but nothing starts")
    NO_ENERGY = "no_energy", _("Charging without energy")
    FAILED_STARTS = "failed_starts", _("Starts fail")
    SUSPENDED = "suspended", _("Paused by the station for long")
    METER_STUCK = "meter_stuck", _("Meter stands still")
    METER_JUMPED = "meter_jumped", _("Meter jumped")
    UNUSED = "unused", _("Unused for unusually long")
    CLOCK_DRIFT = "clock_drift", _("Clock is wrong")
    REBOOTS = "reboots", _("Reboots again and again")
    SECURITY = "security", _("Security event")
    ALERT = "alert", _("Alert of the station's own monitoring")
    # Of load management: found by the layer above (stations.services.signals.plug_in)
    LOAD_SHORT = "load_short", _("Power is short")
    DISOBEYS = "disobeys", _("Takes more than it was told")
    NO_DEFAULT = "no_default", _("No power while load management is away")
    METER_MUTE = "meter_mute", _("Site meter is silent")
    UNSTEERED = "unsteered", _("Nobody steers the site")
    KEPT_OUT = "kept_out", _("A limit keeps load management out")


# Of a whole site, not of a station of it.
OF_SITE = (Signal.LOAD_SHORT, Signal.METER_MUTE, Signal.UNSTEERED, Signal.NO_DEFAULT)


class IssueSeverity(models.TextChoices):
    CRITICAL = "critical", _("Critical")
    MAJOR = "major", _("Major")
    MINOR = "minor", _("Minor")


class StepKind(models.TextChoices):
    """Steps of a recovery, mildest first."""

    TRIGGER = "trigger", _("Ask for its status")
    UNLOCK = "unlock", _("Unlock the connector")
    SOFT_RESET = "soft_reset", _("Reset when idle")
    HARD_RESET = "hard_reset", _("Reset at once")


class HealthPolicy(TenantModel):
    """One row a tenant: whether recovery may act at all, and who is told by default."""

    recovery_on = models.BooleanField(default=True)  # the kill switch
    mails = models.JSONField(default=list)
    shipped = models.JSONField(default=list)  # signals whose shipped rule was made here
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant"], name="health_policy_unique")]


class IssueRule(TenantModel):
    """When a signal is an issue, what is tried, and who is told. The first that fits a station counts."""

    name = models.CharField(_("name"), max_length=80)
    signal = models.CharField(_("signal"), max_length=16, choices=Signal.choices)
    active = models.BooleanField(_("active"), default=True)
    position = models.IntegerField(_("position"), default=0)  # lower comes first
    threshold = models.FloatField(_("threshold"))  # in the unit of the signal
    grace_minutes = models.PositiveIntegerField(_("grace"), default=0)
    severity = models.CharField(max_length=8, choices=IssueSeverity.choices, default=IssueSeverity.MAJOR)
    site_ids = models.JSONField(default=list)  # none: all
    stations_like = models.CharField(max_length=200, blank=True)  # vendors or models, by commas; empty: all
    # Recovery: [{"kind": a StepKind, "wait_minutes": 3}]
    steps = models.JSONField(default=list)
    under_session = models.BooleanField(default=False)  # whether it may act while a car charges
    rounds_per_day = models.PositiveSmallIntegerField(default=2)
    backoff_minutes = models.PositiveIntegerField(default=30)  # before the second round, doubled each time
    # Escalation: after the first round failed, or after so long
    escalate = models.BooleanField(default=True)
    escalate_minutes = models.PositiveIntegerField(default=60)
    mails = models.JSONField(default=list)  # besides those of the policy
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def title(self) -> str:
        """Its name; that of one as shipped, which nobody has renamed, in the reader's language."""
        label, shipped = Signal(self.signal).label, set()
        for code, _language in settings.LANGUAGES:
            with translation.override(code):
                shipped.add(str(label))
        return str(label) if self.name in shipped else self.name


class IssueState(models.TextChoices):
    OPEN = "open", _("Open")
    RECOVERING = "recovering", _("Recovery runs")
    ESCALATED = "escalated", _("Escalated")
    RESOLVED = "resolved", _("Resolved")


class Resolution(models.TextChoices):
    RECOVERED = "recovered", _("Recovery helped")
    BY_HAND = "by_hand", _("An operator's command helped")
    BY_ITSELF = "by_itself", _("Went away by itself")
    CLOSED = "closed", _("Closed by a person")
    GONE = "gone", _("Station removed or rule switched off")


class Issue(TenantModel):
    """One thing that is wrong: one open row a signal and connector, however often it is seen. Without a station it is
    of the whole site (OF_SITE)."""

    rule = TenantForeignKey(IssueRule, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    signal = models.CharField(max_length=16, choices=Signal.choices)
    site = TenantForeignKey(Site, on_delete=models.CASCADE, related_name="+", db_index=False)
    station = TenantForeignKey(
        Station, null=True, on_delete=models.CASCADE, related_name="issues", db_index=False
    )
    connector = TenantForeignKey(
        Connector, null=True, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    state = models.CharField(max_length=10, choices=IssueState.choices, default=IssueState.OPEN)
    severity = models.CharField(max_length=8, choices=IssueSeverity.choices)
    since = models.DateTimeField()  # since when it is wrong
    opened_at = models.DateTimeField()
    seen_at = models.DateTimeField()  # the newest evidence
    gone_at = models.DateTimeField(null=True)  # first sweep that no longer saw it
    evidence = models.JSONField(default=dict)  # of the newest look: numbers and codes
    times = models.PositiveIntegerField(default=1)  # how often it came back while fresh
    # Recovery
    round = models.PositiveSmallIntegerField(default=0)
    step = models.PositiveSmallIntegerField(default=0)  # steps of this round that were sent
    step_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)  # not before
    command_id = models.BigIntegerField(null=True)
    blocked_by = models.CharField(max_length=16, blank=True)  # why the next step waits
    escalated_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)
    # People
    assignee = TenantForeignKey(
        Membership, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    snoozed_until = models.DateTimeField(null=True)
    # The end
    resolved_at = models.DateTimeField(null=True)
    resolution = models.CharField(max_length=10, choices=Resolution.choices, blank=True)
    helped_by = models.CharField(max_length=12, choices=StepKind.choices, blank=True)
    reason = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["station", "signal", "connector", "tenant"],
                condition=~models.Q(state="resolved") & models.Q(station__isnull=False),
                nulls_distinct=False,
                name="issue_open_once",
            ),
            models.UniqueConstraint(
                fields=["site", "signal", "tenant"],
                condition=~models.Q(state="resolved") & models.Q(station__isnull=True),
                name="issue_of_site_once",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant"], name="issue_open", condition=~models.Q(state="resolved")),
            models.Index(fields=["station", "-opened_at"], name="issue_station"),
            models.Index(fields=["tenant", "-opened_at"], name="issue_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.get_signal_display()}: {self.place}"

    @property
    def place(self) -> str:
        """Where, in words."""
        if self.connector_id and self.connector:
            return _("%(station)s, connector %(number)s") % {
                "station": self.station,
                "number": self.connector.evse.number,
            }
        return str(self.station or self.site)

    @property
    def is_open(self) -> bool:
        return self.state != IssueState.RESOLVED


class IssueEvent(TenantModel):
    """One line in the life of an issue. `kind` and `data` are put into words where they are shown."""

    issue = TenantForeignKey(Issue, on_delete=models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField()
    kind = models.CharField(max_length=16)
    actor_label = models.CharField(max_length=120, blank=True)
    text = models.CharField(max_length=2000, blank=True)  # a person's words
    data: Any = models.JSONField(default=dict)

    class Meta:
        ordering = ["at", "id"]
        indexes = [models.Index(fields=["issue", "at"], name="issue_event_issue")]
