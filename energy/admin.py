"""Admin of load management: to look into trouble."""

from __future__ import annotations

from django.contrib import admin

from energy.models import (
    GridConnection,
    GridNode,
    LimitWindow,
    MeterSample,
    Outlet,
    SiteMeter,
    SiteMinute,
    Steering,
    WhatIf,
)
from tenants.staff import Viewed


@admin.register(GridConnection)
class GridConnectionAdmin(Viewed):
    list_display = ["site", "tenant", "supply", "steers", "revision", "changed_at"]
    list_filter = ["steers", "supply", "tenant"]
    search_fields = ["site__name"]


@admin.register(GridNode)
class GridNodeAdmin(Viewed):
    list_display = ["name", "kind", "connection", "tenant", "limit_a", "limit_w", "origin"]
    list_filter = ["kind", "origin", "tenant"]
    search_fields = ["name", "connection__site__name"]
    list_select_related = ["connection__site", "tenant"]


@admin.register(Outlet)
class OutletAdmin(Viewed):
    list_display = ["evse", "node", "tenant", "lines", "max_a", "priority"]
    list_filter = ["tenant"]
    search_fields = ["evse__station__identity", "node__name"]
    list_select_related = ["evse__station", "node", "tenant"]


@admin.register(LimitWindow)
class LimitWindowAdmin(Viewed):
    list_display = ["node", "tenant", "begins", "ends", "limit_a", "limit_w", "label"]
    list_filter = ["tenant"]
    search_fields = ["node__name", "label"]


@admin.register(SiteMeter)
class SiteMeterAdmin(Viewed):
    exclude = ["secret"]
    list_display = ["name", "connection", "tenant", "kind", "source", "enabled", "last_at", "error"]
    list_filter = ["kind", "source", "tenant"]
    search_fields = ["name", "connection__site__name"]
    list_select_related = ["connection__site", "tenant"]


@admin.register(MeterSample)
class MeterSampleAdmin(Viewed):
    list_display = ["id", "meter", "tenant", "at", "amps", "watts"]
    list_filter = ["tenant"]
    search_fields = ["meter__name"]


@admin.register(SiteMinute)
class SiteMinuteAdmin(Viewed):
    list_display = ["id", "connection", "tenant", "minute", "cars_w", "building_w", "limit_w"]
    list_filter = ["tenant"]
    search_fields = ["connection__site__name"]
    list_select_related = ["connection__site", "tenant"]


@admin.register(Steering)
class SteeringAdmin(Viewed):
    list_display = ["connection", "tenant", "owner", "token", "leased_until", "picture_at"]
    list_filter = ["tenant"]
    search_fields = ["connection__site__name", "owner"]
    list_select_related = ["connection__site", "tenant"]


@admin.register(WhatIf)
class WhatIfAdmin(Viewed):
    list_display = ["id", "connection", "tenant", "state", "progress", "begins_at", "ends_at", "created_at"]
    list_filter = ["state", "tenant"]
    search_fields = ["connection__site__name", "label"]
    list_select_related = ["connection__site", "tenant"]
