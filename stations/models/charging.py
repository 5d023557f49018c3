"""How much a station may give: charging profiles that it holds, limits that others set, what cars want."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations import schedules
from stations.models.command import Command
from stations.models.session import Session
from stations.models.station import Station
from tenants.fields import TenantForeignKey
from tenants.models import Site, TenantModel


class Purpose(models.TextChoices):
    STATION_MAX = schedules.STATION_MAX, _("Limit of the whole station")
    DEFAULT = schedules.DEFAULT, _("Default for every session")
    TRANSACTION = schedules.TRANSACTION, _("One session")
    EXTERNAL = schedules.EXTERNAL, _("Limit from outside")
    PRIORITY = schedules.PRIORITY, _("Priority charging")
    LOCAL_GENERATION = schedules.LOCAL_GENERATION, _("Local generation")


class ProfileKind(models.TextChoices):
    ABSOLUTE = schedules.ABSOLUTE, _("At fixed times")
    RECURRING = schedules.RECURRING, _("Recurring")
    RELATIVE = schedules.RELATIVE, _("From the start of the session")
    DYNAMIC = schedules.DYNAMIC, _("Updated as it goes")


class LimitSource(models.TextChoices):
    """Who sets a limit: OCPP's CSO, EMS, SO and Other."""

    OPERATOR = "operator", _("Operator")
    ENERGY_MANAGEMENT = "energy_management", _("Energy management on site")
    GRID_OPERATOR = "grid_operator", _("Grid operator")
    OTHER = "other", _("Somebody else")


class ProfileState(models.TextChoices):
    SENT = "sent", _("Under way")
    ACCEPTED = "accepted", _("In the station")
    REJECTED = "rejected", _("Refused")
    FAILED = "failed", _("Not delivered")
    CLEARED = "cleared", _("Cleared")
    EXPIRED = "expired", _("Over")
    REPLACED = "replaced", _("Replaced")
    ENDED = "ended", _("Ended with its session")


class ChargingProfile(TenantModel):
    """A charging profile (stations.schedules.Profile) with its life: sent, accepted, and how it ended.

    `number` is its id on the wire. `intent` is what it was made for: limit | recurring | plan | energy | raw, or
    empty where the station told of it.
    """

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="profiles", db_index=False)
    evse_number = models.PositiveSmallIntegerField(default=0)  # 0: the station itself
    number = models.BigIntegerField()
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    kind = models.CharField(max_length=9, choices=ProfileKind.choices, default=ProfileKind.ABSOLUTE)
    recurrency = models.CharField(max_length=6, blank=True)  # daily | weekly
    stack_level = models.IntegerField(default=0)
    unit = models.CharField(max_length=1, default="A")  # A per phase | W
    periods = models.JSONField(default=list)  # of schedules.Period.as_json
    starts_at = models.DateTimeField(null=True)
    duration_s = models.IntegerField(null=True)
    valid_from = models.DateTimeField(null=True)
    valid_to = models.DateTimeField(null=True)
    min_rate = models.FloatField(null=True)
    more = models.JSONField(default=dict)
    transaction_id = models.CharField(max_length=64, blank=True)
    session = TenantForeignKey(
        Session, null=True, on_delete=models.SET_NULL, related_name="profiles", db_index=False
    )
    source = models.CharField(max_length=17, choices=LimitSource.choices, default=LimitSource.OPERATOR)
    intent = models.CharField(max_length=12, blank=True)
    label = models.CharField(max_length=120, blank=True)  # who asked for it
    state = models.CharField(max_length=8, choices=ProfileState.choices, default=ProfileState.SENT)
    reason = models.CharField(max_length=200, blank=True)  # of a refusal, or of its end
    command = TenantForeignKey(  # that carried it
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True)  # accepted or refused
    ended_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)  # when the station last reported it
    updated_at = models.DateTimeField(null=True)  # a dynamic one: its newest value

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["station", "number", "tenant"],
                name="profile_number_once",
                condition=models.Q(state="accepted"),
            )
        ]
        indexes = [
            models.Index(fields=["station", "-id"], name="profile_recent"),
            models.Index(fields=["command"], name="profile_command", condition=models.Q(state="sent")),
            models.Index(
                fields=["session"],
                name="profile_session",
                condition=models.Q(state="accepted", session__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} {self.number}"


class PowerConstraint(TenantModel):
    """A limit that somebody else set for a site or a station: the grid operator, an energy management, a partner.

    `energy` reads these rows. `told_by`: station (NotifyChargingLimit: the station keeps to it already) | api | portal.
    """

    site = TenantForeignKey(Site, on_delete=models.CASCADE, related_name="+", db_index=False)
    station = TenantForeignKey(
        Station, null=True, on_delete=models.CASCADE, related_name="constraints", db_index=False
    )
    evse_number = models.PositiveSmallIntegerField(default=0)  # 0: all of it
    source = models.CharField(max_length=17, choices=LimitSource.choices)
    unit = models.CharField(max_length=1, default="W")
    periods = models.JSONField(default=list)  # of schedules.Period.as_json
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    grid_critical = models.BooleanField(default=False)
    local_generation = models.BooleanField(default=False)
    reference = models.CharField(max_length=80, blank=True)  # the setter's own
    told_by = models.CharField(max_length=8)
    label = models.CharField(max_length=120, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    cleared_at = models.DateTimeField(null=True)
    cleared_by = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["site", "-id"], name="constraint_site"),
            models.Index(
                fields=["station", "-id"],
                name="constraint_station",
                condition=models.Q(station__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_source_display()} #{self.pk}"


class CompositeTold(TenantModel):
    """What a station said it keeps to (GetCompositeSchedule): the newest answer for each EVSE."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="composites", db_index=False)
    evse_number = models.PositiveSmallIntegerField(default=0)
    unit = models.CharField(max_length=1)
    starts_at = models.DateTimeField()
    duration_s = models.IntegerField()
    periods = models.JSONField(default=list)
    told_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["station", "evse_number", "tenant"], name="composite_newest")
        ]


class SessionPower(TenantModel):
    """What a car wants and may have in one session: its needs (ISO 15118), its own plan, priority, ways of transfer.

    Needs that came before their session stand without one, and are found by EVSE and time.
    """

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    evse_number = models.PositiveSmallIntegerField()
    session = TenantForeignKey(Session, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    # NotifyEVChargingNeeds
    needs_at = models.DateTimeField(null=True)
    needs_answer = models.CharField(
        max_length=12, blank=True
    )  # accepted | rejected | processing | no_profile
    energy_wh = models.FloatField(null=True)
    departure_at = models.DateTimeField(null=True)
    soc_percent = models.FloatField(null=True)
    target_soc_percent = models.FloatField(null=True)
    max_power_w = models.FloatField(null=True)
    max_current_a = models.FloatField(null=True)
    transfer = models.CharField(max_length=20, blank=True)  # as asked: AC_three_phase, DC_BPT, ...
    transfers = models.JSONField(default=list)  # all that the car can do
    bidirectional = models.JSONField(default=dict)  # 2.1 v2x parameters, in W, A, Wh
    most_periods = models.IntegerField(null=True)  # the car takes no more (maxScheduleTuples)
    needs = models.JSONField(default=dict)  # all that was told
    # What people want: its driver, its fleet's manager, an operator. Goes before what the car told
    wish_wh = models.FloatField(null=True)  # at least, of the whole session
    wish_departure_at = models.DateTimeField(null=True)
    wish_at = models.DateTimeField(null=True)
    wish_by = models.CharField(max_length=120, blank=True)
    # NotifyEVChargingSchedule
    plan_at = models.DateTimeField(null=True)
    plan_starts_at = models.DateTimeField(null=True)
    plan_unit = models.CharField(max_length=1, blank=True)
    plan = models.JSONField(default=list)
    plan_accepted = models.BooleanField(null=True)
    # 2.1
    priority = models.BooleanField(null=True)
    priority_at = models.DateTimeField(null=True)
    priority_by = models.CharField(max_length=120, blank=True)
    allowed_transfers = models.JSONField(default=list)
    allowed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["session", "tenant"],
                name="session_power_once",
                condition=models.Q(session__isnull=False),
            )
        ]
        indexes = [
            models.Index(fields=["station", "evse_number", "-id"], name="session_power_place"),
        ]
