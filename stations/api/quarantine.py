"""Refused stations that are unknown here; an operator may adopt them."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations.api.stations import StationCreated, StationView
from stations.models import QuarantinedStation
from stations.services import stations
from stations.services.stations import PASSWORD_HINT
from tenants.permissions import Permission
from tenants.rest import Filters, In, Out, Verb


class QuarantinedOut(Out):
    class Meta:
        model = QuarantinedStation
        fields = [
            "id",
            "identity",
            "first_seen_at",
            "last_seen_at",
            "attempts",
            "remote_address",
            "subprotocols",
            "dismissed_at",
        ]


class AdoptIn(In):
    site_id = serializers.IntegerField()
    name = serializers.CharField(max_length=120, allow_blank=True, required=False)
    evses = serializers.IntegerField(min_value=0, max_value=100, required=False)
    password = serializers.CharField(
        max_length=40, required=False, trim_whitespace=False, help_text=PASSWORD_HINT
    )


class QuarantineFilter(Filters):
    identity = django_filters.CharFilter()
    dismissed = django_filters.BooleanFilter("dismissed_at", lookup_expr="isnull", exclude=True)


class QuarantineView(StationView):
    def found(self) -> QuerySet[QuarantinedStation]:
        """Only for who may see all sites: which site such a station stands at is not known."""
        rows = QuarantinedStation.objects.filter(tenant_id=self.tenant_id)
        return rows if self.actor.site_ids is None else rows.none()


class QuarantineList(QuarantineView):
    """Stations that knocked and were refused."""

    verbs = {
        "GET": Verb(Permission.STATION_EDIT, gives=QuarantinedOut, many=True, says="List refused stations")
    }
    filterset_class = QuarantineFilter

    def get(self, request: Request) -> Response:
        return self.page(self.found())


class QuarantineOne(QuarantineView):
    """One refused station."""

    verbs = {
        "GET": Verb(Permission.STATION_EDIT, gives=QuarantinedOut, says="Read a refused station"),
        "DELETE": Verb(Permission.STATION_EDIT, status=204, says="Dismiss a refused station"),
    }

    def get(self, request: Request, quarantined_id: int) -> Response:
        return self.answer(self.one(self.found(), pk=quarantined_id))

    def delete(self, request: Request, quarantined_id: int) -> Response:
        found = self.one(self.found(), pk=quarantined_id)
        stations.dismiss_quarantined(quarantined=found, actor=self.actor)
        return self.answer()


class QuarantineAdopt(QuarantineView):
    """Make a station of it. It is let in with the new password at its next attempt."""

    verbs = {
        "POST": Verb(
            Permission.STATION_EDIT,
            takes=AdoptIn,
            gives=StationCreated,
            status=201,
            says="Adopt a refused station",
        )
    }

    def post(self, request: Request, quarantined_id: int) -> Response:
        found = self.one(self.found(), pk=quarantined_id)
        given = self.given()
        self.row_for(given, "site", self.sites())
        station, password = stations.adopt_quarantined(quarantined=found, actor=self.actor, **given)
        made = self.station(station.pk)
        made.password = password  # type: ignore[attr-defined]
        return self.answer(made)
