"""Vehicles."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleets import queries
from fleets.models import Vehicle
from fleets.services import vehicles
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class VehicleOut(Out):
    class Meta:
        model = Vehicle
        fields = [
            "id",
            "plate",
            "model",
            "vin",
            "fleet_id",
            "driver_id",
            "battery_wh",
            "max_ac_w",
            "max_dc_w",
        ]


class VehicleIn(In):
    plate = serializers.CharField(max_length=20)
    model = serializers.CharField(max_length=80, allow_blank=True, required=False)
    vin = serializers.CharField(max_length=17, allow_blank=True, required=False)
    fleet_id = serializers.IntegerField(allow_null=True, required=False)
    driver_id = serializers.IntegerField(allow_null=True, required=False)
    battery_wh = serializers.IntegerField(
        min_value=0, max_value=2_000_000_000, allow_null=True, required=False
    )
    max_ac_w = serializers.IntegerField(min_value=0, max_value=2_000_000_000, allow_null=True, required=False)
    max_dc_w = serializers.IntegerField(min_value=0, max_value=2_000_000_000, allow_null=True, required=False)


class VehicleFilter(Filters):
    q = django_filters.CharFilter("plate", lookup_expr="icontains", help_text="Part of the plate")
    fleet_id = IdFilter()
    driver_id = IdFilter()


class VehicleView(TenantView):
    def rows(self) -> QuerySet[Vehicle]:
        return queries.vehicles(self.tenant_id, self.actor)

    def values(self) -> dict[str, Any]:
        given = self.given()
        self.row_for(given, "fleet", queries.fleets(self.tenant_id, self.actor))
        self.row_for(given, "driver", queries.drivers(self.tenant_id, self.actor))
        return given


class VehicleList(VehicleView):
    """Cars and vans."""

    verbs = {
        "GET": Verb(Permission.DRIVER_VIEW, gives=VehicleOut, many=True, says="List vehicles"),
        "POST": Verb(
            Permission.DRIVER_EDIT, takes=VehicleIn, gives=VehicleOut, status=201, says="Create a vehicle"
        ),
    }
    filterset_class = VehicleFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(
            vehicles.create_vehicle(tenant_id=self.tenant_id, actor=self.actor, **self.values())
        )


class VehicleOne(VehicleView):
    """One vehicle."""

    verbs = {
        "GET": Verb(Permission.DRIVER_VIEW, gives=VehicleOut, says="Read a vehicle"),
        "PATCH": Verb(Permission.DRIVER_EDIT, takes=VehicleIn, gives=VehicleOut, says="Change a vehicle"),
        "DELETE": Verb(Permission.DRIVER_EDIT, status=204, says="Remove a vehicle"),
    }

    def get(self, request: Request, vehicle_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=vehicle_id))

    def patch(self, request: Request, vehicle_id: int) -> Response:
        vehicle = self.one(self.rows(), pk=vehicle_id)
        return self.answer(vehicles.update_vehicle(vehicle=vehicle, actor=self.actor, **self.values()))

    def delete(self, request: Request, vehicle_id: int) -> Response:
        vehicles.delete_vehicle(vehicle=self.one(self.rows(), pk=vehicle_id), actor=self.actor)
        return self.answer()
