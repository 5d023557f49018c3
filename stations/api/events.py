"""What a station told besides sessions, and when it was connected."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from stations.api.common import BelowStation
from stations.models import Connection, StationEvent
from stations.models.journal import Severity
from tenants.permissions import Permission
from tenants.rest import Filters, Out, Verb


class EventOut(Out):
    class Meta:
        model = StationEvent
        fields = [
            "id",
            "station_id",
            "evse_number",
            "connector_number",
            "kind",
            "severity",
            "text",
            "detail",
            "occurred_at",
            "received_at",
        ]


class EventFilter(Filters):
    kind = django_filters.CharFilter()
    severity = django_filters.ChoiceFilter(choices=Severity.choices)
    after = django_filters.IsoDateTimeFilter("occurred_at", lookup_expr="gte")
    before = django_filters.IsoDateTimeFilter("occurred_at", lookup_expr="lt")


class EventList(BelowStation):
    """Boots, status changes, firmware, diagnostics and security notices of a station."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=EventOut, many=True, says="List a station's events")}
    filterset_class = EventFilter

    def rows(self) -> QuerySet[StationEvent]:
        return StationEvent.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()


class ConnectionOut(Out):
    class Meta:
        model = Connection
        fields = [
            "id",
            "epoch",
            "ocpp_version",
            "remote_address",
            "opened_at",
            "closed_at",
            "close_code",
            "close_reason",
        ]


class ConnectionList(BelowStation):
    """The sockets a station had: when it was online."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=ConnectionOut, many=True, says="List a station's connections"
        )
    }

    def rows(self) -> QuerySet[Connection]:
        return Connection.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()
