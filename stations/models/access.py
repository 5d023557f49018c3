from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from fleets.models import Driver, Token, TokenKind
from stations.models.command import Command, wire_number
from stations.models.session import Session
from stations.models.station import Evse, Station
from tenants.fields import TenantForeignKey
from tenants.models import Site, TenantModel


class ListScope(models.TextChoices):
    """Which tokens a station keeps in its own list."""

    ALL = "all", _("All that are good at the site")
    SITE = "site", _("Those made for some sites")
    GROUP = "group", _("One parent group")


class AccessRule(TenantModel):
    """Who may charge how: for the company (no site, no station), one site or one station. None: as one level up.

    What applies at a station is the merger of up to three rows (`stations.services.access`).
    """

    site = TenantForeignKey(Site, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    station = TenantForeignKey(Station, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    local_list = models.BooleanField(_("keep a local authorisation list"), null=True, blank=True)
    list_scope = models.CharField(
        _("tokens in the list"), max_length=8, choices=ListScope.choices, blank=True
    )
    list_group = models.CharField(_("parent group of the list"), max_length=36, blank=True)
    free_charging = models.BooleanField(_("free charging without identification"), null=True, blank=True)
    direct_payment = models.BooleanField(_("payment at the station's terminal"), null=True, blank=True)
    bidirectional = models.BooleanField(_("cars may give energy back"), null=True, blank=True)
    master_group = models.CharField(_("group of the master passes"), max_length=36, blank=True)
    reservations = models.BooleanField(_("drivers may reserve"), null=True, blank=True)
    reserve_ahead_minutes = models.PositiveIntegerField(
        _("reserve at most this long ahead (min)"), null=True, blank=True
    )
    reserve_minutes = models.PositiveIntegerField(
        _("hold a charger at most this long (min)"), null=True, blank=True
    )
    no_show_limit = models.PositiveIntegerField(_("no-shows in 30 days that end it"), null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "site", "station"], name="access_rule_once", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return str(self.station or self.site or _("the company"))


class ListState(models.TextChoices):
    OFF = "off", _("Off")
    UNKNOWN = "unknown", _("Not known what it holds")
    CHECKING = "checking", _("Asking for its version")
    WAITING = "waiting", _("Changes wait")
    SENDING = "sending", _("Being sent")
    IN_STEP = "in_step", _("In step")
    FAILED = "failed", _("Not taken")
    UNSUPPORTED = "unsupported", _("Not supported")


class LocalList(TenantModel):
    """The local authorisation list of one station: what it is known to hold, and what is under way.

    `entries`: {uid: digest of what the station was told of it}. The wanted entries are computed from the tokens.
    `flight`: the message under way, {"version", "full", "entries": {uid: digest or null}}, folded in once accepted.
    """

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="lists", db_index=False)
    state = models.CharField(max_length=12, choices=ListState.choices, default=ListState.UNKNOWN)
    version = models.BigIntegerField(default=0)  # of what it is known to hold
    entries = models.JSONField(default=dict)
    digest = models.CharField(max_length=32, blank=True)  # of all entries together
    size = models.PositiveIntegerField(default=0)
    wanted_size = models.PositiveIntegerField(default=0)
    left_out = models.PositiveIntegerField(default=0)  # tokens for which the station has no room
    most_entries = models.PositiveIntegerField(null=True)  # the station's limits, as it told them
    items_per_message = models.PositiveIntegerField(null=True)
    limits_at = models.DateTimeField(null=True)  # when it was asked for them
    full_wanted = models.BooleanField(default=True)
    flight = models.JSONField(null=True)
    command = TenantForeignKey(  # under way
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    attempts = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=200, blank=True)
    told_version = models.BigIntegerField(null=True)  # as the station last said
    told_at = models.DateTimeField(null=True)
    synced_at = models.DateTimeField(null=True)  # when it last took what was sent, all of it
    changed_at = models.DateTimeField(auto_now_add=True)  # of the state
    due_at = models.DateTimeField(null=True)  # when to look at it again

    class Meta:
        constraints = [models.UniqueConstraint(fields=["station", "tenant"], name="local_list_once")]
        indexes = [models.Index(fields=["tenant", "due_at"], name="local_list_due")]

    @property
    def look(self) -> str:
        """Its state in the vocabulary of the pages."""
        return f"list_{self.state}"

    def __str__(self) -> str:
        return f"{self.station}, version {self.version}"


class ReservationState(models.TextChoices):
    PLANNED = "planned", _("Planned")
    REQUESTED = "requested", _("Asked of the station")
    RESERVED = "reserved", _("Reserved")
    CANCELLING = "cancelling", _("Being cancelled")
    USED = "used", _("Used")
    EXPIRED = "expired", _("Expired")
    NO_SHOW = "no_show", _("Nobody came")
    CANCELLED = "cancelled", _("Cancelled")
    REFUSED = "refused", _("Refused")


LIVE_RESERVATIONS = (
    ReservationState.PLANNED,
    ReservationState.REQUESTED,
    ReservationState.RESERVED,
    ReservationState.CANCELLING,
)


class Reservation(TenantModel):
    """A place kept for one token, from `starts_at` until `expires_at`.

    OCPP reserves from now until the expiry: a later start is held here and asked of the station shortly before. No
    `evse`: any of the station (of the plug in `standard`, if one is named).
    """

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="reservations", db_index=False)
    site = TenantForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_index=False)
    evse = TenantForeignKey(Evse, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    standard = models.CharField(_("plug"), max_length=24, blank=True)
    token = TenantForeignKey(Token, null=True, on_delete=models.SET_NULL, related_name="+")
    token_uid = models.CharField(_("token"), max_length=255)
    token_kind = models.CharField(max_length=20, choices=TokenKind.choices, blank=True)
    token_group = models.CharField(max_length=36, blank=True)
    driver = TenantForeignKey(Driver, null=True, on_delete=models.SET_NULL, related_name="+")
    starts_at = models.DateTimeField(_("from"))
    expires_at = models.DateTimeField(_("until"))
    state = models.CharField(
        max_length=12, choices=ReservationState.choices, default=ReservationState.PLANNED
    )
    reason = models.CharField(max_length=200, blank=True)  # why it ended so, in words
    extended_from = models.DateTimeField(
        null=True
    )  # the expiry that holds until the station takes the new one
    attempts = models.PositiveSmallIntegerField(default=0)
    command = TenantForeignKey(  # the newest about it
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    session = TenantForeignKey(
        Session, null=True, on_delete=models.SET_NULL, related_name="reservations", db_index=False
    )
    by_driver = models.BooleanField(default=False)
    asked_by = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    held_at = models.DateTimeField(null=True)  # when the station took it
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-starts_at", "-id"]
        indexes = [
            models.Index(
                fields=["station"],
                name="reservation_live",
                condition=models.Q(state__in=["planned", "requested", "reserved", "cancelling"]),
            ),
            models.Index(fields=["tenant", "-starts_at"], name="reservation_recent"),
            models.Index(fields=["station", "-starts_at"], name="reservation_station"),
            models.Index(
                fields=["session"], name="reservation_session", condition=models.Q(session__isnull=False)
            ),
        ]

    @property
    def number(self) -> int:
        """As the station knows it: 31 bits."""
        return wire_number(self.pk)

    @property
    def live(self) -> bool:
        return self.state in LIVE_RESERVATIONS

    @property
    def holds_until(self) -> datetime:
        """The later of two ends, until the station has agreed to the new one."""
        return max(self.expires_at, self.extended_from or self.expires_at)

    @property
    def look(self) -> str:
        """Its state in the vocabulary of the pages."""
        return f"reservation_{self.state}"

    def __str__(self) -> str:
        return f"#{self.pk}"
