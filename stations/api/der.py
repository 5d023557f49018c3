"""Grid controls of stations (OCPP 2.1 block R)."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations.api.commands import CommandOut
from stations.api.common import BelowStation
from stations.models import DerControl, DerState, DerType
from stations.services import der
from tenants.permissions import Permission
from tenants.rest import Filters, In, Out, TenantView, Verb


class DerOut(Out):
    class Meta:
        model = DerControl
        fields = [
            "id", "station_id", "control_id", "kind", "is_default", "priority", "settings", "starts_at",
            "duration_s", "state", "reason", "label", "command_id", "created_at", "settled_at", "changed_at", "told_at",
        ]  # fmt: skip


class DerIn(In):
    kind = serializers.ChoiceField(DerType.choices)
    settings = serializers.DictField(
        help_text="Curves: points [[x, y], ...], y_unit, response_time_s; others: see docs/charging-limits.md"
    )
    is_default = serializers.BooleanField(required=False, default=True, help_text="Holds always")
    priority = serializers.IntegerField(
        min_value=0, max_value=1000, required=False, default=0, help_text="0 is the highest"
    )
    starts_at = serializers.DateTimeField(required=False)
    duration_s = serializers.FloatField(min_value=1, max_value=1e8, required=False)


class DerFilter(Filters):
    state = django_filters.ChoiceFilter(choices=DerState.choices)
    kind = django_filters.ChoiceFilter(choices=DerType.choices)


def of_actor(view: TenantView) -> QuerySet[DerControl]:
    rows = DerControl.objects.filter(tenant_id=view.tenant_id)
    if view.actor.site_ids is None:
        return rows
    return rows.filter(station__in=visible.stations(view.tenant_id, view.actor))


class StationDer(BelowStation):
    """Grid controls of a station. Read them anew from the station by the command `read_der_controls`."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=DerOut, many=True, says="List a station's grid controls"),
        "POST": Verb(
            Permission.STATION_COMMAND, takes=DerIn, gives=DerOut, status=201, says="Set a grid control"
        ),
    }
    filterset_class = DerFilter

    def rows(self) -> QuerySet[DerControl]:
        return of_actor(self).filter(station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        given = self.given()
        return self.answer(
            der.set_control(tenant_id=self.tenant_id, station_id=self.station().pk, actor=self.actor, **given)
        )


class DerOne(TenantView):
    """One grid control."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=DerOut, says="Read a grid control")}

    def get(self, request: Request, der_id: int) -> Response:
        return self.answer(self.one(of_actor(self), pk=der_id))


class DerClear(TenantView):
    """Have a grid control taken out of its station: gives the command that asks for it."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND, takes=In, gives=CommandOut, status=202, says="Clear a grid control"
        )
    }

    def post(self, request: Request, der_id: int) -> Response:
        self.given()
        row = self.one(of_actor(self), pk=der_id)
        return self.answer(der.clear(tenant_id=self.tenant_id, control=row.pk, actor=self.actor))
