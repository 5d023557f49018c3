"""Who charges: fleets, drivers, vehicles and the tokens they show."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.fields import TenantForeignKey
from tenants.models import Membership, Site, TenantModel, User


class Fleet(TenantModel):
    name = models.CharField(_("name"), max_length=120)
    cost_centre = models.CharField(_("cost centre"), max_length=60, blank=True)
    # What load management goes by where neither driver nor car says more
    ready_by = models.TimeField(_("ready by"), null=True, blank=True)  # of the site's wall clock
    ready_days = ArrayField(
        models.PositiveSmallIntegerField(), default=list, blank=True
    )  # 0: Monday; none: all
    ready_wh = models.PositiveIntegerField(
        _("energy (Wh)"), null=True, blank=True
    )  # of each session, at least
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="fleet_name_unique")]

    def __str__(self) -> str:
        return self.name


class FleetScope(TenantModel):
    """A fleet that a member's role is limited to. A fleet manager without any sees none."""

    membership = TenantForeignKey(Membership, on_delete=models.CASCADE, related_name="fleets")
    fleet = TenantForeignKey(Fleet, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "membership", "fleet"], name="fleet_scope_unique")
        ]


class Driver(TenantModel):
    name = models.CharField(_("name"), max_length=120)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("phone"), max_length=40, blank=True)
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    fleet = TenantForeignKey(Fleet, null=True, blank=True, on_delete=models.PROTECT, related_name="drivers")
    blocked = models.BooleanField(_("blocked"), default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Vehicle(TenantModel):
    fleet = TenantForeignKey(Fleet, null=True, blank=True, on_delete=models.PROTECT, related_name="vehicles")
    driver = TenantForeignKey(
        Driver, null=True, blank=True, on_delete=models.SET_NULL, related_name="vehicles"
    )
    plate = models.CharField(_("plate"), max_length=20)
    model = models.CharField(_("make and model"), max_length=80, blank=True)
    vin = models.CharField(_("VIN"), max_length=17, blank=True)
    battery_wh = models.PositiveIntegerField(_("battery (Wh)"), null=True, blank=True)
    max_ac_w = models.PositiveIntegerField(_("most AC power (W)"), null=True, blank=True)
    max_dc_w = models.PositiveIntegerField(_("most DC power (W)"), null=True, blank=True)

    class Meta:
        ordering = ["plate"]

    def __str__(self) -> str:
        return self.plate


class TokenKind(models.TextChoices):
    """OCPP 2.0.1 IdTokenEnumType, in our words."""

    ISO14443 = "iso14443", _("RFID card (ISO 14443)")
    ISO15693 = "iso15693", _("RFID card (ISO 15693)")
    KEY_CODE = "key_code", _("Key code")
    LOCAL = "local", _("Started at the station")
    CENTRAL = "central", _("Started from the portal or app")
    EMAID = "emaid", _("Plug & Charge contract")
    MAC_ADDRESS = "mac_address", _("Vehicle MAC address")
    NO_AUTHORIZATION = "no_authorization", _("No authorisation needed")
    DIRECT_PAYMENT = "direct_payment", _("Paid at the station")
    VIN = "vin", _("Vehicle identification number")


# What a car says of itself when it is plugged in (Autocharge). Anybody who knows it can say it: off until switched on.
SAID_BY_CARS = frozenset({TokenKind.MAC_ADDRESS, TokenKind.VIN})


class Verdict(models.TextChoices):
    ACCEPTED = "accepted", _("Accepted")
    BLOCKED = "blocked", _("Blocked")
    EXPIRED = "expired", _("Expired")
    INVALID = "invalid", _("Unknown or not valid here")
    CONCURRENT_TX = "concurrent_tx", _("Already charging elsewhere")


class Reason(models.TextChoices):
    """Why a token got the verdict it got."""

    FINE = "", _("Accepted")
    UNKNOWN = "unknown", _("Nobody here has this token")
    BLOCKED = "blocked", _("The token is blocked")
    DRIVER_BLOCKED = "driver_blocked", _("The driver is blocked")
    NOT_YET_VALID = "not_yet_valid", _("The token is not valid yet")
    EXPIRED = "expired", _("The token has expired")
    OTHER_SITE = "other_site", _("The token is not good at this site")
    AUTOCHARGE_OFF = "autocharge_off", _("Autocharge is off at this site")
    ELSEWHERE = "elsewhere", _("The token is charging elsewhere")
    CERTIFICATE = "certificate", _("The contract certificate was refused")
    NO_CERTIFICATE = "no_certificate", _("A contract was named, but no certificate shown")


class Token(TenantModel):
    """What a driver shows. `uid` is upper case: identifiers are compared without case (OCPP 1.6 CiString)."""

    uid = models.CharField(_("UID"), max_length=255)
    kind = models.CharField(_("kind"), max_length=20, choices=TokenKind.choices, default=TokenKind.ISO14443)
    visual_number = models.CharField(_("printed number"), max_length=64, blank=True)
    driver = TenantForeignKey(Driver, null=True, blank=True, on_delete=models.PROTECT, related_name="tokens")
    fleet = TenantForeignKey(Fleet, null=True, blank=True, on_delete=models.PROTECT, related_name="tokens")
    group = models.CharField(
        _("parent group"), max_length=36, blank=True
    )  # 1.6 parentIdTag, 2.x groupIdToken
    valid_from = models.DateTimeField(_("valid from"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    blocked = models.BooleanField(_("blocked"), default=False)
    blocked_reason = models.CharField(_("why blocked"), max_length=200, blank=True)
    concurrent = models.BooleanField(_("may charge in several places at once"), default=False)
    priority = models.SmallIntegerField(_("charging priority"), null=True, blank=True)  # 2.x: -9 to 9
    language = models.CharField(_("language at the station"), max_length=8, blank=True)
    message = models.CharField(_("text at the station"), max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["visual_number", "uid"]
        constraints = [models.UniqueConstraint(fields=["tenant", "uid"], name="token_uid_unique")]
        indexes = [
            models.Index(fields=["tenant", "group"], name="token_group", condition=~models.Q(group=""))
        ]

    def __str__(self) -> str:
        return self.visual_number or self.uid


class TokenSite(TenantModel):
    """A site a token is limited to; a token without any is good at all sites."""

    token = TenantForeignKey(Token, on_delete=models.CASCADE, related_name="sites")
    site = TenantForeignKey(Site, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "token", "site"], name="token_site_unique")]


class Autocharge(TenantModel):
    """Whether cars may charge by what they say of themselves. Without a site: at all sites without a row of their own.

    No row: they may not.
    """

    site = TenantForeignKey(Site, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    enabled = models.BooleanField(_("cars may charge by their MAC address or VIN"), default=False)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "site"], name="autocharge_site_unique", nulls_distinct=False
            )
        ]
