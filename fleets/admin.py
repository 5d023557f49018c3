"""Admin of those who charge."""

from __future__ import annotations

from django.contrib import admin

from fleets.models import Autocharge, Driver, Fleet, FleetScope, Token, TokenSite, Vehicle
from tenants.staff import Viewed


@admin.register(Fleet)
class FleetAdmin(Viewed):
    list_display = ["name", "tenant", "cost_centre", "created_at"]
    list_filter = ["tenant"]
    search_fields = ["name", "cost_centre"]


@admin.register(FleetScope)
class FleetScopeAdmin(Viewed):
    list_display = ["membership", "fleet", "tenant"]
    list_filter = ["tenant"]
    list_select_related = ["membership__user"]
    search_fields = ["membership__user__email", "fleet__name"]


@admin.register(Driver)
class DriverAdmin(Viewed):
    list_display = ["name", "email", "tenant", "fleet", "blocked", "created_at"]
    list_filter = ["blocked", "tenant"]
    search_fields = ["name", "email", "phone"]


@admin.register(Vehicle)
class VehicleAdmin(Viewed):
    list_display = ["plate", "model", "tenant", "fleet", "driver"]
    list_filter = ["tenant"]
    search_fields = ["plate", "vin", "model"]


@admin.register(Token)
class TokenAdmin(Viewed):
    list_display = ["uid", "visual_number", "kind", "tenant", "driver", "fleet", "blocked", "expires_at"]
    list_filter = ["blocked", "kind", "tenant"]
    search_fields = ["uid", "visual_number", "driver__name"]


@admin.register(TokenSite)
class TokenSiteAdmin(Viewed):
    list_display = ["token", "site", "tenant"]
    list_filter = ["tenant"]
    search_fields = ["token__uid", "site__name"]


@admin.register(Autocharge)
class AutochargeAdmin(Viewed):
    list_display = ["id", "tenant", "site", "enabled", "changed_at"]
    list_filter = ["enabled", "tenant"]
    search_fields = ["site__name"]
