"""Fleets."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleets import queries
from fleets.models import Fleet
from fleets.services import fleets
from tenants.permissions import Permission
from tenants.rest import Filters, In, Out, TenantView, Verb


class FleetOut(Out):
    class Meta:
        model = Fleet
        fields = ["id", "name", "cost_centre", "ready_by", "ready_days", "ready_wh", "created_at"]


class FleetIn(In):
    name = serializers.CharField(max_length=120)
    cost_centre = serializers.CharField(max_length=60, allow_blank=True, required=False)
    ready_by = serializers.TimeField(
        required=False, allow_null=True, help_text="By the site's wall clock its vehicles have what they need"
    )
    ready_days = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6), max_length=7, required=False,
        help_text="0 is Monday; none: every day",
    )  # fmt: skip
    ready_wh = serializers.IntegerField(
        min_value=fleets.LEAST_WH, max_value=fleets.MOST_WH, required=False, allow_null=True,
        help_text="Wh of each session at least; null: what is learned of earlier ones",
    )  # fmt: skip


class FleetFilter(Filters):
    q = django_filters.CharFilter("name", lookup_expr="icontains", help_text="Part of the name")


class FleetView(TenantView):
    def rows(self) -> QuerySet[Fleet]:
        return queries.fleets(self.tenant_id, self.actor)


class FleetList(FleetView):
    """Groups of drivers and vehicles with a cost centre."""

    verbs = {
        "GET": Verb(Permission.DRIVER_VIEW, gives=FleetOut, many=True, says="List fleets"),
        "POST": Verb(
            Permission.DRIVER_EDIT, takes=FleetIn, gives=FleetOut, status=201, says="Create a fleet"
        ),
    }
    filterset_class = FleetFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(fleets.create_fleet(tenant_id=self.tenant_id, actor=self.actor, **self.given()))


class FleetOne(FleetView):
    """One fleet."""

    verbs = {
        "GET": Verb(Permission.DRIVER_VIEW, gives=FleetOut, says="Read a fleet"),
        "PATCH": Verb(Permission.DRIVER_EDIT, takes=FleetIn, gives=FleetOut, says="Change a fleet"),
        "DELETE": Verb(Permission.DRIVER_EDIT, status=204, says="Remove an empty fleet"),
    }

    def get(self, request: Request, fleet_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=fleet_id))

    def patch(self, request: Request, fleet_id: int) -> Response:
        fleet = self.one(self.rows(), pk=fleet_id)
        return self.answer(fleets.update_fleet(fleet=fleet, actor=self.actor, **self.given()))

    def delete(self, request: Request, fleet_id: int) -> Response:
        fleets.delete_fleet(fleet=self.one(self.rows(), pk=fleet_id), actor=self.actor)
        return self.answer()
