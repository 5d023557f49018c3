"""Charges: the price of each session, with its lines and what it was made from."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing import queries
from billing.models import Charge, ChargeState
from billing.services import charges
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class ChargeOut(Out):
    class Meta:
        model = Charge
        fields = [
            "id",
            "subject",
            "state",
            "currency",
            "energy_wh",
            "excl_tax",
            "tax",
            "incl_tax",
            "site_id",
            "occurred_at",
            "rated_at",
        ]


class ChargeDetail(ChargeOut):
    class Meta(ChargeOut.Meta):
        fields = [*ChargeOut.Meta.fields, "lines", "tariff", "usage"]


class VoidIn(In):
    reason = serializers.CharField(max_length=200)


class ChargeFilter(Filters):
    state = django_filters.ChoiceFilter(choices=ChargeState.choices)
    subject = django_filters.CharFilter(help_text="session:<id>")
    currency = django_filters.CharFilter()
    site_id = IdFilter()
    after = django_filters.IsoDateTimeFilter("occurred_at", lookup_expr="gte")
    before = django_filters.IsoDateTimeFilter("occurred_at", lookup_expr="lt")


class ChargeView(TenantView):
    def rows(self) -> QuerySet[Charge]:
        return queries.charges(self.tenant_id, self.actor)


class ChargeList(ChargeView):
    """Prices of sessions, newest first."""

    verbs = {"GET": Verb(Permission.MONEY_VIEW, gives=ChargeOut, many=True, says="List charges")}
    filterset_class = ChargeFilter

    def get(self, request: Request) -> Response:
        return self.page()


class ChargeOne(ChargeView):
    """One charge with its lines, the tariff as it stood and the usage it was made from."""

    verbs = {"GET": Verb(Permission.MONEY_VIEW, gives=ChargeDetail, says="Read a charge")}

    def get(self, request: Request, charge_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=charge_id))


class ChargeVoid(ChargeView):
    """Take a charge back. Its session is never charged a second time."""

    verbs = {"POST": Verb(Permission.SESSION_REVIEW, takes=VoidIn, gives=ChargeDetail, says="Void a charge")}

    def post(self, request: Request, charge_id: int) -> Response:
        charge = self.one(self.rows(), pk=charge_id)
        return self.answer(charges.void(charge=charge, actor=self.actor, **self.given()))
