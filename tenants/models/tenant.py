from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models.base import TenantModel

slug_rule = RegexValidator(
    r"^[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?$", _("Use lower-case letters, digits and hyphens.")
)
country_rule = RegexValidator(r"^[A-Z]{2}$", _("Use the two letters of ISO 3166-1, such as DE."))
currency_rule = RegexValidator(r"^[A-Z]{3}$", _("Use the three letters of ISO 4217, such as EUR."))
colour_rule = RegexValidator(r"^#[0-9a-fA-F]{6}$", _("Use a colour such as #206bc4."))


class Tenant(models.Model):
    """A charge point operator. Global: known before any tenant is entered; carries nothing confidential."""

    slug = models.CharField(_("short name"), max_length=50, unique=True, validators=[slug_rule])
    name = models.CharField(_("name"), max_length=120)
    country = models.CharField(_("country"), max_length=2, validators=[country_rule], default="DE")
    party_id = models.CharField(_("eMI3 operator id"), max_length=3, default="VLT")
    currency = models.CharField(_("currency"), max_length=3, validators=[currency_rule], default="EUR")
    time_zone = models.CharField(_("time zone"), max_length=64, default="Europe/Berlin")
    language = models.CharField(_("language"), max_length=8, default="en")
    accent = models.CharField(_("accent colour"), max_length=7, blank=True, validators=[colour_rule])
    suspended = models.BooleanField(_("suspended"), default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class SiteAccess(models.TextChoices):
    PUBLIC = "public", _("Public")
    RESTRICTED = "restricted", _("Restricted")
    PRIVATE = "private", _("Private")


class Site(TenantModel):
    """A place with one grid connection: car park, depot, highway hub. OCPI: Location."""

    name = models.CharField(_("name"), max_length=120)
    address = models.CharField(_("street and number"), max_length=160, blank=True)
    postal_code = models.CharField(_("postal code"), max_length=16, blank=True)
    city = models.CharField(_("city"), max_length=80, blank=True)
    country = models.CharField(_("country"), max_length=2, validators=[country_rule], default="DE")
    latitude = models.DecimalField(
        _("latitude"),
        max_digits=9,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(-90), MaxValueValidator(90)],
    )
    longitude = models.DecimalField(
        _("longitude"),
        max_digits=9,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(-180), MaxValueValidator(180)],
    )
    time_zone = models.CharField(_("time zone"), max_length=64, default="Europe/Berlin")
    access = models.CharField(
        _("access"), max_length=10, choices=SiteAccess.choices, default=SiteAccess.PUBLIC
    )
    host = models.CharField(_("site host"), max_length=120, blank=True)
    grid_limit_amps = models.DecimalField(
        _("grid limit per phase (A)"), max_digits=8, decimal_places=1, null=True, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="site_name_unique")]

    def __str__(self) -> str:
        return self.name
