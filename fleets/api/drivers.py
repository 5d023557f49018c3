"""Drivers."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleets import queries
from fleets.models import Driver
from fleets.services import drivers
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class DriverOut(Out):
    email = serializers.CharField()

    class Meta:
        model = Driver
        fields = ["id", "name", "email", "phone", "fleet_id", "blocked", "created_at"]


class DriverIn(In):
    name = serializers.CharField(max_length=120)
    email = serializers.EmailField(max_length=254, allow_blank=True, required=False)
    phone = serializers.CharField(max_length=40, allow_blank=True, required=False)
    fleet_id = serializers.IntegerField(allow_null=True, required=False)
    blocked = serializers.BooleanField(required=False)


class DriverFilter(Filters):
    q = django_filters.CharFilter(method="search", help_text="Part of the name or e-mail")
    fleet_id = IdFilter()
    blocked = django_filters.BooleanFilter()

    def search(self, rows: QuerySet[Driver], _name: str, text: str) -> QuerySet[Driver]:
        return rows.filter(Q(name__icontains=text) | Q(email__icontains=text))


class DriverView(TenantView):
    def rows(self) -> QuerySet[Driver]:
        return queries.drivers(self.tenant_id, self.actor)

    def values(self) -> dict[str, Any]:
        given = self.given()
        self.row_for(given, "fleet", queries.fleets(self.tenant_id, self.actor))
        return given


class DriverList(DriverView):
    """People who charge."""

    verbs = {
        "GET": Verb(Permission.DRIVER_VIEW, gives=DriverOut, many=True, says="List drivers"),
        "POST": Verb(
            Permission.DRIVER_EDIT, takes=DriverIn, gives=DriverOut, status=201, says="Create a driver"
        ),
    }
    filterset_class = DriverFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(drivers.create_driver(tenant_id=self.tenant_id, actor=self.actor, **self.values()))


class DriverOne(DriverView):
    """One driver."""

    verbs = {
        "GET": Verb(Permission.DRIVER_VIEW, gives=DriverOut, says="Read a driver"),
        "PATCH": Verb(Permission.DRIVER_EDIT, takes=DriverIn, gives=DriverOut, says="Change a driver"),
        "DELETE": Verb(Permission.DRIVER_EDIT, status=204, says="Remove a driver without tokens"),
    }

    def get(self, request: Request, driver_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=driver_id))

    def patch(self, request: Request, driver_id: int) -> Response:
        driver = self.one(self.rows(), pk=driver_id)
        return self.answer(drivers.update_driver(driver=driver, actor=self.actor, **self.values()))

    def delete(self, request: Request, driver_id: int) -> Response:
        drivers.delete_driver(driver=self.one(self.rows(), pk=driver_id), actor=self.actor)
        return self.answer()
