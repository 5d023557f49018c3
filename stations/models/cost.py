"""What drivers are told of the price, what bounds their sessions, and what stations reckon themselves."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from billing.models import Tariff
from fleets.models import Token
from stations.models.session import Session
from stations.models.station import Station
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class LimitOrigin(models.TextChoices):
    PREPAID = "prepaid", _("Prepaid balance")
    WEB = "web", _("Paid on the web page")
    STATION = "station", _("Chosen at the station")
    OPERATOR = "operator", _("Given with the start")


class SessionCost(TenantModel):
    """The price of one session as its driver and its station saw it, beside the one that is billed.

    Money is in the currency of the session's tariff, tax included, where nothing else is said.
    """

    session = TenantForeignKey(Session, on_delete=models.CASCADE, related_name="+", db_index=False)
    # Told to the station (I02, I03; 1.6: California Pricing)
    shown = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    shown_at = models.DateTimeField(null=True)
    shown_count = models.PositiveIntegerField(default=0)
    price_told_at = models.DateTimeField(null=True)  # 1.6 SetUserPrice
    final = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    final_at = models.DateTimeField(null=True)
    final_how = models.CharField(max_length=8, blank=True)  # answer | command
    # What the station reckoned (2.1 costDetails)
    station_tariff = models.CharField(max_length=60, blank=True)
    station_total = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    station_currency = models.CharField(max_length=3, blank=True)
    station_details = models.JSONField(null=True)
    difference = models.DecimalField(max_digits=14, decimal_places=4, null=True)  # the station's less ours
    # What bounds it (2.1 transactionLimit; older stations are stopped)
    limit_cost = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    limit_energy_wh = models.DecimalField(max_digits=16, decimal_places=3, null=True)
    limit_seconds = models.PositiveIntegerField(null=True)
    limit_soc = models.PositiveSmallIntegerField(null=True)
    limit_origin = models.CharField(max_length=8, choices=LimitOrigin.choices, blank=True)
    limit_told_at = models.DateTimeField(null=True)  # to the station
    limit_reached = models.CharField(max_length=12, blank=True)  # cost | energy | time | soc
    limit_reached_at = models.DateTimeField(null=True)
    stop_command_id = models.BigIntegerField(null=True)
    settled_at = models.DateTimeField(null=True)  # compared, booked: nothing is left to do

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "tenant"], name="session_cost_once")]
        indexes = [
            models.Index(
                fields=["tenant", "id"],
                name="session_cost_open",
                condition=models.Q(settled_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"Cost of session #{self.session_id}"


class TariffStanding(models.TextChoices):
    WAITING = "waiting", _("On its way")
    INSTALLED = "installed", _("Installed")
    REFUSED = "refused", _("Refused")
    UNREACHED = "unreached", _("Station not reached")
    DRIFT = "drift", _("The station has another one")
    CLEARING = "clearing", _("Being taken off")
    CLEARED = "cleared", _("Taken off")


class StationTariff(TenantModel):
    """The default tariff that a station of OCPP 2.1 shows and reckons with, and what it says it has."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    evse_number = models.PositiveSmallIntegerField(default=0)  # 0: all
    tariff = TenantForeignKey(Tariff, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    wire_id = models.CharField(max_length=60)
    terms = models.JSONField()  # as it was frozen (billing.services.tariffs.snapshot)
    standing = models.CharField(max_length=12, choices=TariffStanding.choices)
    detail = models.CharField(max_length=400, blank=True)
    command_id = models.BigIntegerField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    changed_at = models.DateTimeField()
    told = models.JSONField(null=True)  # assignments as the station listed them
    told_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["station", "evse_number", "tenant"], name="station_tariff_once")
        ]

    def __str__(self) -> str:
        return str(self.terms.get("name") or self.wire_id)


class PrepaidAccount(TenantModel):
    """Credit of a token. The balance is the sum of its entries, which are never changed."""

    token = TenantForeignKey(Token, on_delete=models.PROTECT, related_name="+", db_index=False)
    currency = models.CharField(max_length=3)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["token", "tenant"], name="prepaid_once_per_token")]

    def __str__(self) -> str:
        return str(self.token)


class PrepaidKind(models.TextChoices):
    TOP_UP = "top_up", _("Paid in")
    SESSION = "session", _("Charging session")
    REFUND = "refund", _("Paid out")


class PrepaidEntry(TenantModel):
    account = TenantForeignKey(PrepaidAccount, on_delete=models.PROTECT, related_name="entries")
    kind = models.CharField(max_length=8, choices=PrepaidKind.choices)
    amount = models.DecimalField(max_digits=14, decimal_places=4)  # signed
    session = TenantForeignKey(Session, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    label = models.CharField(max_length=120, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["session", "tenant"],
                condition=models.Q(session__isnull=False),
                name="prepaid_session_once",
            )
        ]
