"""Monitors, alerts and event streams over REST."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations.api.commands import CommandOut
from stations.api.common import BelowStation
from stations.api.configuration import KEY
from stations.models import Alert, CommandKind, Monitor, MonitorKind, MonitorState, Stream, StreamValue
from stations.services import alerts, commands, monitors
from tenants.errors import Conflict
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class StreamIn(In):
    interval_s = serializers.IntegerField(min_value=1, max_value=86_400, required=False)
    values = serializers.IntegerField(min_value=1, max_value=100_000, required=False)


class MonitorIn(In):
    component = serializers.CharField(max_length=50)
    component_instance = serializers.CharField(max_length=50, required=False)
    evse = serializers.IntegerField(min_value=1, max_value=32_767, required=False)
    connector = serializers.IntegerField(min_value=1, max_value=32_767, required=False)
    name = serializers.CharField(max_length=50)
    instance = serializers.CharField(max_length=50, required=False)
    kind = serializers.ChoiceField(MonitorKind.choices)
    value = serializers.FloatField()
    severity = serializers.IntegerField(min_value=0, max_value=9)
    during_transaction = serializers.BooleanField(required=False)
    id = serializers.IntegerField(
        min_value=0, required=False, help_text="Replaces the station's monitor of this id"
    )
    stream = StreamIn(required=False, help_text="2.1: the values come as an event stream")


class MonitorsIn(In):
    monitors = MonitorIn(many=True)


class MonitorOut(Out):
    class Meta:
        model = Monitor
        fields = [
            "id",
            "station_id",
            "number",
            *KEY,
            "kind",
            "value",
            "severity",
            "during_transaction",
            "base",
            "stream_interval_s",
            "stream_values",
            "state",
            "reason",
            "command_id",
            "origin_label",
            "created_at",
            "told_at",
        ]


class MonitorsOut(serializers.Serializer[Any]):
    monitors = MonitorOut(many=True)


class MonitorFilter(Filters):
    state = django_filters.ChoiceFilter(choices=MonitorState.choices)


class MonitorList(BelowStation):
    """What a 2.x station watches, as told by it and as set from here."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=MonitorOut, many=True, says="List a station's monitors"),
        "POST": Verb(
            Permission.STATION_CONFIGURE, takes=MonitorsIn, gives=MonitorsOut, status=202, says="Set monitors"
        ),
    }
    filterset_class = MonitorFilter

    def rows(self) -> QuerySet[Monitor]:
        return Monitor.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        made = monitors.set_monitors(
            tenant_id=self.tenant_id, station_id=self.station().pk, actor=self.actor, **self.given()
        )
        return self.answer({"monitors": made})


class MonitorOne(BelowStation):
    """One monitor. DELETE asks the station to remove it."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=MonitorOut, says="Read a monitor"),
        "DELETE": Verb(
            Permission.STATION_CONFIGURE,
            gives=CommandOut,
            status=202,
            says="Remove a monitor from the station",
        ),
    }

    def monitor(self, monitor_id: int) -> Monitor:
        found = Monitor.objects.filter(tenant_id=self.tenant_id, station=self.station())
        return self.one(found, pk=monitor_id)

    def get(self, request: Request, station_id: int, monitor_id: int) -> Response:
        return self.answer(self.monitor(monitor_id))

    def delete(self, request: Request, station_id: int, monitor_id: int) -> Response:
        found = self.monitor(monitor_id)
        if found.number is None or found.state != MonitorState.SET:
            raise Conflict("The station has no such monitor.")
        command = commands.request_command(
            tenant_id=self.tenant_id, station_id=station_id, kind=CommandKind.CLEAR_MONITORS,
            arguments={"ids": [found.number]}, actor=self.actor,
        )  # fmt: skip
        return self.answer(command)


class AlertOut(Out):
    class Meta:
        model = Alert
        fields = [
            "id",
            "station_id",
            *KEY,
            "monitor_number",
            "event_number",
            "cause_number",
            "severity",
            "base",
            "value",
            "tech_code",
            "tech_info",
            "transaction_id",
            "count",
            "opened_at",
            "last_at",
            "cleared_at",
            "cleared_by",
        ]


class AlertFilter(Filters):
    station_id = IdFilter()
    open = django_filters.BooleanFilter("cleared_at", lookup_expr="isnull")
    severity = django_filters.NumberFilter("severity", lookup_expr="lte", help_text="This severity or graver")


class AlertList(TenantView):
    """What monitors of stations have noticed."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=AlertOut, many=True, says="List alerts")}
    filterset_class = AlertFilter

    def rows(self) -> QuerySet[Alert]:
        seen = visible.stations(self.tenant_id, self.actor)
        return Alert.objects.filter(tenant_id=self.tenant_id, station__in=seen)

    def get(self, request: Request) -> Response:
        return self.page()


class AlertClose(TenantView):
    """Say that an alert is over. It opens again when the station tells it again."""

    verbs = {"POST": Verb(Permission.STATION_COMMAND, takes=In, gives=AlertOut, says="Close an alert")}

    def post(self, request: Request, alert_id: int) -> Response:
        self.given()
        seen = visible.stations(self.tenant_id, self.actor)
        found = Alert.objects.filter(tenant_id=self.tenant_id, station__in=seen).select_related("station")
        return self.answer(alerts.close(alert=self.one(found, pk=alert_id), actor=self.actor))


class StreamOut(Out):
    class Meta:
        model = Stream
        fields = [
            "id",
            "station_id",
            "number",
            "monitor_number",
            "interval_s",
            "values_per_message",
            "opened_at",
            "closed_at",
            "last_at",
            "pending",
            "received",
        ]


class StreamList(BelowStation):
    """Event streams of a 2.1 station. The command `adjust_stream` changes one."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=StreamOut, many=True, says="List event streams")}

    def rows(self) -> QuerySet[Stream]:
        return Stream.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()


class StreamValueOut(Out):
    class Meta:
        model = StreamValue
        fields = ["id", "at", "value", "number"]


class StreamValues(BelowStation):
    """The newest values of a stream."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=StreamValueOut, many=True, says="Read a stream's values")
    }

    def rows(self) -> QuerySet[StreamValue]:
        streams = Stream.objects.filter(tenant_id=self.tenant_id, station=self.station())
        stream = self.one(streams, pk=self.kwargs["stream_id"])
        return StreamValue.objects.filter(tenant_id=self.tenant_id, stream=stream)

    def get(self, request: Request, station_id: int, stream_id: int) -> Response:
        return self.page()
