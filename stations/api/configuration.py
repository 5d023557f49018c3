"""The device model over REST: read, change, history, reports in parts, network profiles, customers' data."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations.api.commands import CommandOut
from stations.api.common import BelowStation
from stations.models import (
    CustomerQuery,
    DeviceReport,
    NetworkProfile,
    VariableChange,
    VariableChangeState,
)
from stations.services import configuration, customers, networks
from tenants.permissions import Permission
from tenants.rest import Filters, In, Out, Verb

KEY = [
    "component", "component_instance", "evse_number", "connector_number", "name", "instance", "attribute",
]  # fmt: skip


class SettingIn(In):
    component = serializers.CharField(max_length=80, required=False, default="", allow_blank=True)
    component_instance = serializers.CharField(max_length=80, required=False, default="", allow_blank=True)
    evse = serializers.IntegerField(min_value=0, max_value=32_767, required=False, default=0)
    connector = serializers.IntegerField(min_value=0, max_value=32_767, required=False, default=0)
    name = serializers.CharField(max_length=80)
    instance = serializers.CharField(max_length=80, required=False, default="", allow_blank=True)
    attribute = serializers.ChoiceField(["actual", "target", "min", "max"], required=False, default="actual")
    value = serializers.CharField(max_length=2500, allow_blank=True)


class VariableChangeIn(In):
    settings = SettingIn(many=True)
    expires_in_seconds = serializers.IntegerField(min_value=1, max_value=604_800, required=False, default=300)


class VariableChangeOut(Out):
    class Meta:
        model = VariableChange
        fields = [
            "id",
            "station_id",
            *KEY,
            "before",
            "after",
            "state",
            "reason",
            "command_id",
            "run_id",
            "origin_kind",
            "origin_label",
            "asked_at",
            "settled_at",
        ]


class ChangesOut(serializers.Serializer[Any]):
    changes = VariableChangeOut(many=True)


class CommandsOut(serializers.Serializer[Any]):
    commands = CommandOut(many=True)


class ChangeFilter(Filters):
    name = django_filters.CharFilter(lookup_expr="iexact")
    component = django_filters.CharFilter(lookup_expr="iexact")
    state = django_filters.ChoiceFilter(choices=VariableChangeState.choices)
    after = django_filters.IsoDateTimeFilter("asked_at", lookup_expr="gte")


class VariableChangeList(BelowStation):
    """Changes of a station's settings: asked, noticed, and what became of them."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=VariableChangeOut, many=True, says="List changes of settings"
        )
    }
    filterset_class = ChangeFilter

    def rows(self) -> QuerySet[VariableChange]:
        return VariableChange.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()


class ReadIn(In):
    settings = serializers.ListField(
        child=serializers.DictField(), required=False, default=list, max_length=200,
        help_text='[{"component": "OCPPCommCtrlr", "name": "HeartbeatInterval"}]; empty: everything',
    )  # fmt: skip


class SettingsRead(BelowStation):
    """Ask a station for the present values of settings, or of all."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND,
            takes=ReadIn,
            gives=CommandsOut,
            status=202,
            says="Read settings again",
        )
    }

    def post(self, request: Request, station_id: int) -> Response:
        listed = [configuration.read_setting({**one, "value": ""}).key for one in self.given()["settings"]]
        sent = configuration.read(
            tenant_id=self.tenant_id, station_id=self.station().pk, keys=listed, actor=self.actor
        )
        return self.answer({"commands": sent})


class ReportOut(Out):
    missing = serializers.ListField(child=serializers.IntegerField())

    class Meta:
        model = DeviceReport
        fields = [
            "id",
            "station_id",
            "kind",
            "request_id",
            "command_id",
            "base",
            "state",
            "parts",
            "last_part",
            "missing",
            "repeated",
            "items",
            "generated_at",
            "created_at",
            "last_at",
            "settled_at",
        ]


class ReportList(BelowStation):
    """What a station told in parts, and whether it is complete."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=ReportOut, many=True, says="List a station's reports")
    }

    def rows(self) -> QuerySet[DeviceReport]:
        return DeviceReport.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()


# --- network profiles (2.x) ---


class NetworkProfileIn(In):
    slot = serializers.IntegerField(min_value=0, max_value=1000)
    url = serializers.CharField(max_length=2000)
    ocpp_version = serializers.ChoiceField(["1.6", "2.0.1", "2.1"])
    interface = serializers.ChoiceField(networks.INTERFACES)
    security_profile = serializers.IntegerField(min_value=0, max_value=3)
    timeout_s = serializers.IntegerField(min_value=1, max_value=3600, required=False, default=30)
    identity = serializers.CharField(max_length=48, required=False, help_text="2.1: the station's new name")
    password = serializers.CharField(max_length=64, required=False, help_text="2.1: sent, kept nowhere")
    apn = serializers.DictField(
        required=False,
        help_text='{"name", "user", "password", "pin_secret", "preferred_network", "authentication"}',
    )
    vpn = serializers.DictField(
        required=False, help_text='{"server", "user", "group", "password", "key_secret", "type"}'
    )


class NetworkProfileOut(Out):
    class Meta:
        model = NetworkProfile
        fields = [
            "id",
            "station_id",
            "slot",
            "url",
            "ocpp_version",
            "interface",
            "security_profile",
            "timeout_s",
            "identity",
            "apn",
            "vpn",
            "state",
            "reason",
            "command_id",
            "origin_label",
            "asked_at",
            "settled_at",
        ]


class NetworkProfileList(BelowStation):
    """Network profiles of a station, by slot, as set from here."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=NetworkProfileOut, many=True, says="List network profiles"
        ),
        "POST": Verb(
            Permission.STATION_CONFIGURE,
            takes=NetworkProfileIn,
            gives=NetworkProfileOut,
            status=202,
            says="Set a network profile",
        ),
    }

    def rows(self) -> QuerySet[NetworkProfile]:
        return NetworkProfile.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        return self.answer(
            networks.set_profile(
                tenant_id=self.tenant_id, station_id=self.station().pk, actor=self.actor, **self.given()
            )
        )


class NetworkPriorityIn(In):
    slots = serializers.ListField(child=serializers.IntegerField(min_value=0, max_value=1000), max_length=20)


class NetworkProfilePriority(BelowStation):
    """The order in which a station tries its network profiles; counts after a restart."""

    verbs = {
        "PUT": Verb(
            Permission.STATION_CONFIGURE, takes=NetworkPriorityIn, gives=VariableChangeOut, status=202,
            says="Set the order of network profiles",
        )
    }  # fmt: skip

    def put(self, request: Request, station_id: int) -> Response:
        return self.answer(
            networks.set_priority(
                tenant_id=self.tenant_id, station_id=self.station().pk, actor=self.actor, **self.given()
            )
        )


# --- customers' data (2.x) ---


class CustomerIn(In):
    token_uid = serializers.CharField(max_length=255, required=False)
    token_kind = serializers.CharField(max_length=20, required=False)
    customer_identifier = serializers.CharField(max_length=64, required=False)
    certificate = serializers.DictField(
        required=False, help_text='{"algorithm", "issuer_name_hash", "issuer_key_hash", "serial_number"}'
    )
    report = serializers.BooleanField(required=False, default=True)
    clear = serializers.BooleanField(required=False, default=False)


class CustomerOut(Out):
    class Meta:
        model = CustomerQuery
        fields = [
            "id",
            "station_id",
            "subject",
            "report",
            "clear",
            "state",
            "reason",
            "command_id",
            "origin_label",
            "created_at",
            "last_at",
            "read_at",
            "delete_at",
        ]


class CustomerTextOut(CustomerOut):
    text = serializers.SerializerMethodField()

    class Meta(CustomerOut.Meta):
        fields = [*CustomerOut.Meta.fields, "text"]

    def get_text(self, query: CustomerQuery) -> str:
        return customers.text_of(query=query, actor=self.context["actor"])


class CustomerList(BelowStation):
    """What a station was asked of customers. What it told is read one by one, which the audit keeps."""

    verbs = {
        "GET": Verb(Permission.DRIVER_VIEW, gives=CustomerOut, many=True, says="List queries of customers' data"),
        "POST": Verb(
            Permission.DRIVER_VIEW, takes=CustomerIn, gives=CustomerOut, status=202,
            says="Ask for, or delete, a customer's data at a station",
        ),
    }  # fmt: skip

    def rows(self) -> QuerySet[CustomerQuery]:
        return CustomerQuery.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        given: dict[str, Any] = self.given()
        return self.answer(
            customers.ask(tenant_id=self.tenant_id, station_id=self.station().pk, actor=self.actor, **given)
        )


class CustomerOne(BelowStation):
    """What a station told of a customer. DELETE once it was used."""

    verbs = {
        "GET": Verb(Permission.DRIVER_VIEW, gives=CustomerTextOut, says="Read a customer's data"),
        "DELETE": Verb(Permission.DRIVER_VIEW, status=204, says="Delete a customer's data here"),
    }

    def query(self, query_id: int) -> CustomerQuery:
        found = CustomerQuery.objects.filter(tenant_id=self.tenant_id, station=self.station())
        return self.one(found.select_related("station"), pk=query_id)

    def get(self, request: Request, station_id: int, query_id: int) -> Response:
        return self.answer(self.query(query_id))

    def delete(self, request: Request, station_id: int, query_id: int) -> Response:
        customers.delete(query=self.query(query_id), actor=self.actor)
        return self.answer()
