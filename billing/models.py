"""What it costs: tariffs and the charges made with them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.fields import TenantForeignKey
from tenants.models import Site, TenantModel
from tenants.models.tenant import currency_rule


class Tariff(TenantModel):
    """A price list in OCPI's shape (2.2.1 mod_tariffs).

    `elements`: [{"price_components": [{"type": "ENERGY" | "TIME" | "PARKING_TIME" | "FLAT", "price": "0.49",
    "vat": "19.0", "step_size": 1}], "restrictions": {...}}]. Prices are text (Decimal), ENERGY per kWh, times per hour.
    """

    name = models.CharField(_("name"), max_length=120)
    currency = models.CharField(_("currency"), max_length=3, validators=[currency_rule], default="EUR")
    elements = models.JSONField(_("elements"), default=list)
    tax_included = models.BooleanField(_("prices include tax"), default=False)
    min_price = models.DecimalField(_("least price"), max_digits=12, decimal_places=4, null=True, blank=True)
    max_price = models.DecimalField(
        _("highest price"), max_digits=12, decimal_places=4, null=True, blank=True
    )
    is_default = models.BooleanField(_("used where nothing else is set"), default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="tariff_name_unique"),
            models.UniqueConstraint(
                fields=["tenant"], condition=models.Q(is_default=True), name="tariff_one_default"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SiteTariff(TenantModel):
    """The tariff of a site. Stations may name another one."""

    site = TenantForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    tariff = TenantForeignKey(Tariff, on_delete=models.PROTECT, related_name="site_tariffs")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "site"], name="site_tariff_unique")]


class ChargeState(models.TextChoices):
    RATED = "rated", _("Rated")
    HELD = "held", _("Held for review")
    VOID = "void", _("Void")


class Charge(TenantModel):
    """The price of one charging session: at most one per subject, whatever is retried or replayed.

    `usage` is the neutral snapshot it was made from, `tariff` the price list as it stood: both together
    replay the price. Money is Decimal in `currency`.
    """

    subject = models.CharField(max_length=64)  # "session:<id>"
    state = models.CharField(max_length=8, choices=ChargeState.choices, default=ChargeState.RATED)
    tariff = models.JSONField()
    usage = models.JSONField()
    # [{"component", "quantity", "measured", "unit", "unit_price", "vat", "excl", "tax", "incl"}], numbers as text
    lines = models.JSONField(default=list)
    currency = models.CharField(max_length=3)
    energy_wh = models.DecimalField(max_digits=14, decimal_places=3)
    excl_tax = models.DecimalField(max_digits=14, decimal_places=4)
    tax = models.DecimalField(max_digits=14, decimal_places=4)
    incl_tax = models.DecimalField(max_digits=14, decimal_places=4)
    site = TenantForeignKey(Site, null=True, on_delete=models.PROTECT, related_name="+")
    occurred_at = models.DateTimeField()  # end of the usage: the day it counts for
    rated_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "subject"], name="charge_once_per_subject")]
        indexes = [models.Index(fields=["tenant", "occurred_at"], name="charge_day")]

    def __str__(self) -> str:
        return f"{self.subject}: {self.incl_tax} {self.currency}"
