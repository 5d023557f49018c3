"""Stations with their EVSEs and connectors, live."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.models import Tariff
from stations import visible
from stations.models import Connector, ConnectorStatus, Evse, PowerType, Registration, Station
from stations.services import stations
from stations.services.stations import PASSWORD_HINT
from tenants import queries as tenants
from tenants.models import Site
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class ConnectorOut(Out):
    class Meta:
        model = Connector
        fields = [
            "id",
            "number",
            "standard",
            "power_type",
            "max_power_w",
            "max_amps",
            "status",
            "status_at",
            "error_code",
            "vendor_error_code",
            "info",
            "power_w",
            "power_at",
        ]


class EvseOut(Out):
    connectors = ConnectorOut(many=True)

    class Meta:
        model = Evse
        fields = ["id", "number", "evse_id", "connectors"]


class StationOut(Out):
    class Meta:
        model = Station
        fields = [
            "id",
            "identity",
            "name",
            "site_id",
            "tariff_id",
            "registration",
            "strict",
            "allow_unauthenticated",
            "heartbeat_seconds",
            "vendor",
            "model",
            "serial_number",
            "firmware_version",
            "iccid",
            "imsi",
            "booted_at",
            "boot_reason",
            "online",
            "online_changed_at",
            "last_seen_at",
            "ocpp_version",
            "security_profile",
            "effective_profile",
            "clock_offset_s",
            "created_at",
        ]


class StationDetail(StationOut):
    evses = EvseOut(many=True)

    class Meta(StationOut.Meta):
        fields = [*StationOut.Meta.fields, "notes", "evses"]


class StationCreated(StationDetail):
    password = serializers.CharField(help_text="Shown this once")

    class Meta(StationDetail.Meta):
        fields = [*StationDetail.Meta.fields, "password"]


class ConnectorIn(In):
    standard = serializers.CharField(max_length=24, required=False)
    power_type = serializers.ChoiceField(PowerType.choices, required=False)
    max_power_w = serializers.IntegerField(min_value=1, max_value=2_000_000, required=False)
    max_amps = serializers.IntegerField(min_value=1, max_value=3_000, required=False)


class StationIn(In):
    identity = serializers.CharField(max_length=128)
    site_id = serializers.IntegerField()
    name = serializers.CharField(max_length=120, allow_blank=True, required=False)
    evses = serializers.IntegerField(min_value=0, max_value=100, required=False)
    password = serializers.CharField(
        max_length=40, required=False, trim_whitespace=False, help_text=PASSWORD_HINT
    )
    connector = ConnectorIn(required=False)


class StationChange(In):
    name = serializers.CharField(max_length=120, allow_blank=True)
    site_id = serializers.IntegerField()
    tariff_id = serializers.IntegerField(allow_null=True)
    strict = serializers.BooleanField()
    allow_unauthenticated = serializers.BooleanField()
    registration = serializers.ChoiceField(Registration.choices)
    heartbeat_seconds = serializers.IntegerField(min_value=1, max_value=86_400 * 7, allow_null=True)


class PasswordIn(In):
    password = serializers.CharField(
        max_length=40, required=False, trim_whitespace=False, help_text=PASSWORD_HINT
    )


class PasswordOut(serializers.Serializer[Any]):
    password = serializers.CharField(help_text="Shown this once")


class StationFilter(Filters):
    q = django_filters.CharFilter(method="search", help_text="Part of identity, name, model, serial or site")
    site_id = IdFilter()
    online = django_filters.BooleanFilter()
    identity = django_filters.CharFilter()
    ocpp_version = django_filters.CharFilter()
    registration = django_filters.ChoiceFilter(choices=Registration.choices)
    effective_profile = django_filters.NumberFilter(min_value=0, max_value=3)
    status = django_filters.ChoiceFilter(
        choices=ConnectorStatus.choices, method="with_connector", help_text="Of at least one connector"
    )

    def search(self, rows: QuerySet[Station], _name: str, text: str) -> QuerySet[Station]:
        return rows.filter(visible.matching(text))

    def with_connector(self, rows: QuerySet[Station], _name: str, status: str) -> QuerySet[Station]:
        having = Connector.objects.filter(status=status).values("evse__station_id")
        return rows.filter(pk__in=having)


class StationView(TenantView):
    def rows(self) -> QuerySet[Station]:
        return visible.stations(self.tenant_id, self.actor)

    def station(self, station_id: int) -> Station:
        return self.one(self.rows().prefetch_related("evses__connectors"), pk=station_id)

    def sites(self) -> QuerySet[Site]:
        return tenants.sites(self.tenant_id, self.actor)


class StationList(StationView):
    """Charging stations."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=StationOut, many=True, says="List stations"),
        "POST": Verb(
            Permission.STATION_EDIT, takes=StationIn, gives=StationCreated, status=201, says="Add a station"
        ),
    }
    filterset_class = StationFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given = self.given()
        self.row_for(given, "site", self.sites())
        station, password = stations.create_station(actor=self.actor, **given)
        made = self.station(station.pk)
        made.password = password  # type: ignore[attr-defined]
        return self.answer(made)


class StationOne(StationView):
    """One station with its EVSEs and the live state of its connectors."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=StationDetail, says="Read a station"),
        "PATCH": Verb(
            Permission.STATION_EDIT, takes=StationChange, gives=StationDetail, says="Change a station"
        ),
        "DELETE": Verb(Permission.STATION_EDIT, status=204, says="Take a station out of use"),
    }

    def get(self, request: Request, station_id: int) -> Response:
        return self.answer(self.station(station_id))

    def patch(self, request: Request, station_id: int) -> Response:
        station, changes = self.station(station_id), self.given()
        named = dict(changes)
        self.row_for(named, "site", self.sites())
        self.row_for(named, "tariff", Tariff.objects.filter(tenant_id=self.tenant_id, archived_at=None))
        return self.answer(stations.edit_station(station=station, actor=self.actor, changes=changes))

    def delete(self, request: Request, station_id: int) -> Response:
        stations.archive_station(station=self.station(station_id), actor=self.actor)
        return self.answer()


class StationPassword(StationView):
    """The password a station logs in with. The old one is refused from now on."""

    verbs = {
        "POST": Verb(Permission.STATION_EDIT, takes=PasswordIn, gives=PasswordOut, says="Renew the password")
    }

    def post(self, request: Request, station_id: int) -> Response:
        password = stations.renew_password(station=self.station(station_id), actor=self.actor, **self.given())
        return self.answer({"password": password})
