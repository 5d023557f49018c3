"""Admin of money: to look at only. Prices change by the tariff verbs, charges never."""

from __future__ import annotations

from django.contrib import admin

from billing.models import Charge, SiteTariff, Tariff
from tenants.staff import Viewed


@admin.register(Tariff)
class TariffAdmin(Viewed):
    list_display = ["name", "tenant", "currency", "tax_included", "is_default", "archived_at"]
    list_filter = ["is_default", "currency", "tenant"]
    search_fields = ["name"]


@admin.register(SiteTariff)
class SiteTariffAdmin(Viewed):
    list_display = ["site", "tariff", "tenant"]
    list_filter = ["tenant"]
    search_fields = ["site__name", "tariff__name"]


@admin.register(Charge)
class ChargeAdmin(Viewed):
    list_display = ["subject", "tenant", "state", "site", "energy_wh", "incl_tax", "currency", "occurred_at"]
    list_filter = ["state", "currency", "tenant"]
    search_fields = ["=subject"]
    ordering = ["-id"]
