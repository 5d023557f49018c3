"""Payments at stations, VAT numbers asked for there, payment pages, battery swaps."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleets.models import TokenKind
from stations import visible
from stations.api.common import BelowStation
from stations.models import (
    BatterySlot,
    BatterySwap,
    Settlement,
    SettlementStatus,
    VatCheck,
    WebPayment,
    WebPaymentAccess,
)
from stations.services import swaps, web_payments
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class SettlementOut(Out):
    class Meta:
        model = Settlement
        fields = [
            "id",
            "station_id",
            "session_id",
            "transaction_id",
            "psp_ref",
            "status",
            "info",
            "amount",
            "currency",
            "settled_at",
            "receipt_id",
            "receipt_url",
            "vat_number",
            "vat_company",
            "flags",
            "compared_at",
            "received_at",
        ]


class SettlementFilter(Filters):
    station_id = IdFilter()
    session_id = IdFilter()
    status = django_filters.ChoiceFilter(choices=SettlementStatus.choices)
    flagged = django_filters.BooleanFilter(method="with_flags")

    def with_flags(self, rows: QuerySet[Settlement], _name: str, wanted: bool) -> QuerySet[Settlement]:
        return rows.exclude(flags=[]) if wanted else rows.filter(flags=[])


class SettlementList(TenantView):
    """Payments that terminals reported, newest first; `flags` say where one does not fit its session."""

    verbs = {
        "GET": Verb(Permission.MONEY_VIEW, gives=SettlementOut, many=True, says="List payments at terminals")
    }
    filterset_class = SettlementFilter

    def rows(self) -> QuerySet[Settlement]:
        self.actor.require(Permission.STATION_VIEW)
        return Settlement.objects.filter(
            tenant_id=self.tenant_id, station__in=visible.stations(self.tenant_id, self.actor)
        )

    def get(self, request: Request) -> Response:
        return self.page()


class VatCheckOut(Out):
    class Meta:
        model = VatCheck
        fields = ["id", "station_id", "evse_number", "number", "accepted", "reason", "company", "at"]


class VatCheckList(TenantView):
    """VAT numbers that drivers typed in, with what the station was told."""

    verbs = {"GET": Verb(Permission.MONEY_VIEW, gives=VatCheckOut, many=True, says="List VAT numbers")}

    def rows(self) -> QuerySet[VatCheck]:
        self.actor.require(Permission.STATION_VIEW)
        return VatCheck.objects.filter(
            tenant_id=self.tenant_id, station__in=visible.stations(self.tenant_id, self.actor)
        )

    def get(self, request: Request) -> Response:
        return self.page()


class WebPaymentOut(Out):
    class Meta:
        model = WebPayment
        fields = [
            "id",
            "station_id",
            "evse_number",
            "state",
            "token_uid",
            "provider",
            "reference",
            "limit_cost",
            "currency",
            "start_command_id",
            "session_id",
            "created_at",
            "expires_at",
        ]


class WebPaymentList(TenantView):
    """Payments that QR codes of stations led to."""

    verbs = {"GET": Verb(Permission.MONEY_VIEW, gives=WebPaymentOut, many=True, says="List web payments")}

    def rows(self) -> QuerySet[WebPayment]:
        self.actor.require(Permission.STATION_VIEW)
        return WebPayment.objects.filter(
            tenant_id=self.tenant_id, station__in=visible.stations(self.tenant_id, self.actor)
        )

    def get(self, request: Request) -> Response:
        return self.page()


class AccessOut(Out):
    class Meta:
        model = WebPaymentAccess
        fields = ["station_id", "digits", "validity_seconds", "created_at"]


class StationWebPayment(BelowStation):
    """Give a station of OCPP 2.1 the secret and the address for its QR codes; the old ones are void."""

    verbs = {
        "POST": Verb(
            Permission.STATION_CONFIGURE,
            takes=In,
            gives=AccessOut,
            status=201,
            says="Set up payment by QR code",
        )
    }

    def post(self, request: Request, station_id: int) -> Response:
        self.given()
        asked: Any = self.request._request
        access = web_payments.install(station=self.station(), tenant_slug=asked.tenant.slug, actor=self.actor)
        return self.answer(access)


# --- battery swap ---


class SwapOut(Out):
    class Meta:
        model = BatterySwap
        fields = [
            "id",
            "station_id",
            "request_id",
            "token_uid",
            "token_id",
            "state",
            "detail",
            "put_in",
            "taken_out",
            "command_id",
            "began_at",
            "in_at",
            "out_at",
        ]


class SlotOut(Out):
    class Meta:
        model = BatterySlot
        fields = [
            "id",
            "evse_number",
            "present",
            "serial_number",
            "soc_percent",
            "soh_percent",
            "produced_at",
            "vendor_info",
            "changed_at",
        ]


class SwapIn(In):
    token_uid = serializers.CharField(max_length=255)
    token_kind = serializers.ChoiceField(TokenKind.choices, required=False, default=TokenKind.CENTRAL)


class StationSwaps(BelowStation):
    """Battery swaps at a station, newest first. A POST asks the station to begin one for a driver."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=SwapOut, many=True, says="List battery swaps"),
        "POST": Verb(
            Permission.STATION_COMMAND, takes=SwapIn, gives=SwapOut, status=202, says="Begin a battery swap"
        ),
    }

    def rows(self) -> QuerySet[BatterySwap]:
        return BatterySwap.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        swap = swaps.ask(station=self.station(), actor=self.actor, **self.given())
        return self.answer(swap)


class StationSlots(BelowStation):
    """The slots of a swap station, and the batteries in them."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=SlotOut, many=True, says="List battery slots")}

    def rows(self) -> QuerySet[BatterySlot]:
        return BatterySlot.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()
