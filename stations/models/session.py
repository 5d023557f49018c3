from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from fleets.models import Driver, Fleet, Reason, Token, TokenKind, Verdict
from stations.models.station import Connector, Evse, Station
from tenants.fields import TenantForeignKey
from tenants.models import Site, TenantModel


class SessionState(models.TextChoices):
    ACTIVE = "active", _("Running")
    ENDED = "ended", _("Ended, price follows")
    RATED = "rated", _("Completed")
    HELD = "held", _("Held for review")
    VOID = "void", _("Not billed")


class Session(TenantModel):
    """One car at one EVSE from start to stop (OCPP transaction). Billed energy is stop minus start, or it is held.

    `flags` name what was odd, such as "token_refused", "meter_rollback", "unit_mismatch", "bad_timestamp",
    "energy_absurd", "seq_gap", "token_missing", "guardian_closed", "start_missing".
    """

    # No index for each key: a start would pay for all of them (see Meta).
    station = TenantForeignKey(Station, on_delete=models.PROTECT, related_name="sessions", db_index=False)
    evse = TenantForeignKey(Evse, on_delete=models.PROTECT, related_name="sessions", db_index=False)
    connector = TenantForeignKey(
        Connector, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    site = TenantForeignKey(  # as it was at the start
        Site, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    transaction_number = models.BigIntegerField(null=True)  # 1.6: the integer that we gave
    transaction_id = models.CharField(
        max_length=64
    )  # as on the wire: 2.x the station's, 1.6 our number as text
    start_key = models.CharField(max_length=64)  # recognises a repeated start: digest of what identifies it
    state = models.CharField(max_length=8, choices=SessionState.choices, default=SessionState.ACTIVE)
    # Who
    token_uid = models.CharField(max_length=255, blank=True)
    token = TenantForeignKey(Token, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    driver = TenantForeignKey(Driver, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    fleet = TenantForeignKey(Fleet, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    verdict = models.CharField(max_length=16, choices=Verdict.choices, default=Verdict.ACCEPTED)
    stop_token_uid = models.CharField(max_length=255, blank=True)
    # When: sanitised; the raw texts stay in the events
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    started_received_at = models.DateTimeField()
    ended_received_at = models.DateTimeField(null=True)
    # How much
    meter_start_wh = models.DecimalField(max_digits=16, decimal_places=3, null=True)
    meter_stop_wh = models.DecimalField(max_digits=16, decimal_places=3, null=True)
    meter_last_wh = models.DecimalField(max_digits=16, decimal_places=3, null=True)
    energy_wh = models.DecimalField(max_digits=16, decimal_places=3, default=0)  # so far, then final
    power_w = models.FloatField(null=True)
    soc_percent = models.FloatField(null=True)
    last_reading_at = models.DateTimeField(null=True)
    last_progress_at = models.DateTimeField(null=True)  # when energy last grew
    charging_state = models.CharField(max_length=16, blank=True)
    stop_reason = models.CharField(max_length=40, blank=True)
    last_seq_no = models.IntegerField(null=True)
    flags = models.JSONField(default=list)
    held_reason = models.CharField(max_length=200, blank=True)
    evidence = models.JSONField(default=dict)  # what the figures rest on (stations.services.evidence)
    # What it costs
    tariff = models.JSONField(null=True)  # as it stood at the start
    charge_id = models.BigIntegerField(null=True)
    cost_incl_tax = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    currency = models.CharField(max_length=3, blank=True)
    remote_command_id = models.BigIntegerField(null=True)  # the command that asked for it, if any

    class Meta:
        ordering = ["-started_at", "-id"]
        # The telling column comes first, and the tenant last or not at all: row security compares it anyway, and an
        # index that begins with it invites the planner to read all rows of a tenant of which it has no statistics.
        constraints = [
            models.UniqueConstraint(fields=["start_key", "station", "tenant"], name="session_start_once"),
            models.UniqueConstraint(
                fields=["transaction_id", "station", "tenant"], name="session_transaction_once"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-started_at"], name="session_recent"),
            models.Index(fields=["station", "-started_at"], name="session_station"),
            models.Index(fields=["site", "-started_at"], name="session_site"),
            models.Index(fields=["driver"], name="session_driver", condition=models.Q(driver__isnull=False)),
            models.Index(fields=["fleet"], name="session_fleet", condition=models.Q(fleet__isnull=False)),
            models.Index(fields=["token"], name="session_token", condition=models.Q(token__isnull=False)),
            # Of two partial indexes with one condition the planner takes either for the other's question, and reads it
            # all: so a running session is once one that is active, once one that has no end.
            models.Index(
                fields=["tenant", "evse"], name="session_running", condition=models.Q(state="active")
            ),
            models.Index(
                fields=["token_uid"], name="session_running_token", condition=models.Q(ended_at__isnull=True)
            ),
            models.Index(fields=["tenant", "id"], name="session_unrated", condition=models.Q(state="ended")),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class SessionEvent(TenantModel):
    """A start, update or stop as the station told it; `content_hash` makes repeats harmless."""

    session = TenantForeignKey(Session, on_delete=models.CASCADE, related_name="events", db_index=False)
    kind = models.CharField(max_length=8)  # started | updated | ended
    trigger = models.CharField(max_length=40, blank=True)
    seq_no = models.IntegerField(null=True)
    occurred_at = models.DateTimeField()  # sanitised
    raw_timestamp = models.CharField(max_length=64, blank=True)
    received_at = models.DateTimeField()
    offline = models.BooleanField(default=False)
    content_hash = models.CharField(max_length=64)
    payload = models.JSONField()

    class Meta:
        ordering = ["occurred_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["session", "content_hash", "tenant"], name="session_event_once")
        ]


class Authorization(TenantModel):
    """A token that was shown, and the verdict it got."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    token_uid = models.CharField(max_length=255)
    token = TenantForeignKey(Token, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    verdict = models.CharField(max_length=16, choices=Verdict.choices)
    reason = models.CharField(max_length=16, choices=Reason.choices, blank=True)
    kind = models.CharField(
        max_length=20, choices=TokenKind.choices, blank=True
    )  # what the station took it for
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["station", "-at"], name="authorization_recent")]


class OrphanMessage(TenantModel):
    """A stop or update for a session that is unknown here: acknowledged, kept for review, never billed unseen.

    `told`: the stop in neutral words, to be applied to the session that a person finds (`stations.services.orphans`).
    """

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="orphans")
    action = models.CharField(max_length=40)
    transaction_id = models.CharField(max_length=64)
    content_hash = models.CharField(max_length=64)
    payload = models.JSONField()
    told = models.JSONField(null=True)
    received_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    resolution = models.CharField(max_length=200, blank=True)
    session = TenantForeignKey(  # to which it was applied
        Session, null=True, on_delete=models.SET_NULL, related_name="orphans", db_index=False
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "station", "content_hash"], name="orphan_once")
        ]
        indexes = [
            models.Index(fields=["session"], name="orphan_session", condition=models.Q(session__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.action} for session {self.transaction_id}"
