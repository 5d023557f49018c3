"""Tariffs in OCPI's shape."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing import queries
from billing.models import Tariff
from billing.services import rating, tariffs
from tenants import queries as tenants
from tenants.errors import Conflict, NotFound
from tenants.models import Site
from tenants.permissions import Permission
from tenants.rest import Filters, In, Out, TenantView, Verb

LONGEST_S = 366 * 24 * 3600


class TariffOut(Out):
    class Meta:
        model = Tariff
        fields = [
            "id",
            "name",
            "currency",
            "elements",
            "tax_included",
            "min_price",
            "max_price",
            "is_default",
            "created_at",
            "updated_at",
        ]


class TariffIn(In):
    name = serializers.CharField(max_length=120)
    currency = serializers.CharField(max_length=3, required=False)
    elements = serializers.ListField(
        child=serializers.DictField(), max_length=50, help_text="OCPI 2.2.1 mod_tariffs, prices as text"
    )
    tax_included = serializers.BooleanField(required=False)
    min_price = serializers.DecimalField(12, 4, min_value=0, allow_null=True, required=False)
    max_price = serializers.DecimalField(12, 4, min_value=0, allow_null=True, required=False)


class PreviewIn(In):
    energy_wh = serializers.DecimalField(14, 3, min_value=0)
    charging_seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_S, required=False, default=0)
    parking_seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_S, required=False, default=0)


class LineOut(serializers.Serializer[Any]):
    component = serializers.CharField()
    quantity = serializers.CharField()
    measured = serializers.CharField()
    unit = serializers.CharField()
    unit_price = serializers.CharField()
    vat = serializers.CharField(allow_null=True)
    excl = serializers.CharField()
    tax = serializers.CharField()
    incl = serializers.CharField()


class PreviewOut(serializers.Serializer[Any]):
    currency = serializers.CharField()
    lines = LineOut(many=True)
    excl_tax = serializers.CharField()
    tax = serializers.CharField()
    incl_tax = serializers.CharField()


class SiteTariffIn(In):
    tariff_id = serializers.IntegerField()


class TariffFilter(Filters):
    q = django_filters.CharFilter("name", lookup_expr="icontains", help_text="Part of the name")
    currency = django_filters.CharFilter()
    is_default = django_filters.BooleanFilter()


class TariffView(TenantView):
    def rows(self) -> QuerySet[Tariff]:
        return queries.tariffs(self.tenant_id, self.actor)

    def tariff(self) -> Tariff:
        return self.one(self.rows(), pk=self.kwargs["tariff_id"])


class TariffList(TariffView):
    """Price lists."""

    verbs = {
        "GET": Verb(Permission.TARIFF_VIEW, gives=TariffOut, many=True, says="List tariffs"),
        "POST": Verb(
            Permission.TARIFF_EDIT, takes=TariffIn, gives=TariffOut, status=201, says="Create a tariff"
        ),
    }
    filterset_class = TariffFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(tariffs.create_tariff(tenant_id=self.tenant_id, actor=self.actor, **self.given()))


class TariffOne(TariffView):
    """One tariff. Sessions that run keep the price they started with."""

    verbs = {
        "GET": Verb(Permission.TARIFF_VIEW, gives=TariffOut, says="Read a tariff"),
        "PATCH": Verb(Permission.TARIFF_EDIT, takes=TariffIn, gives=TariffOut, says="Change a tariff"),
        "DELETE": Verb(Permission.TARIFF_EDIT, status=204, says="Set a tariff aside"),
    }

    def get(self, request: Request, tariff_id: int) -> Response:
        return self.answer(self.tariff())

    def patch(self, request: Request, tariff_id: int) -> Response:
        return self.answer(tariffs.update_tariff(tariff=self.tariff(), actor=self.actor, **self.given()))

    def delete(self, request: Request, tariff_id: int) -> Response:
        tariffs.archive_tariff(tariff=self.tariff(), actor=self.actor)
        return self.answer()


class TariffDefault(TariffView):
    """Use this tariff where neither station nor site names one."""

    verbs = {"POST": Verb(Permission.TARIFF_EDIT, takes=In, gives=TariffOut, says="Make it the default")}

    def post(self, request: Request, tariff_id: int) -> Response:
        self.given()
        tariff = self.tariff()
        tariffs.set_default(tariff=tariff, actor=self.actor)
        return self.answer(tariff)


class TariffPreview(TariffView):
    """What an example session would cost. Nothing is stored."""

    verbs = {"POST": Verb(Permission.TARIFF_VIEW, takes=PreviewIn, gives=PreviewOut, says="Preview a price")}

    def post(self, request: Request, tariff_id: int) -> Response:
        tariff, given = self.tariff(), self.given()
        ended = timezone.now()
        parking = timedelta(seconds=given["parking_seconds"])
        charging = timedelta(seconds=given["charging_seconds"])
        try:
            rated = rating.estimate(
                tariff=tariffs.snapshot(tariff),
                started_at=ended - parking - charging,
                at=ended,
                time_zone="UTC",
                energy_wh=Decimal(given["energy_wh"]),
                parking=parking,
            )
        except rating.NotRatable as error:
            raise Conflict(str(error), code="not_ratable") from None
        totals = {name: str(getattr(rated, name)) for name in ("excl_tax", "tax", "incl_tax")}
        lines = [line.to_json() for line in rated.lines]
        return self.answer({"currency": rated.currency, "lines": lines, **totals})


class SiteTariffOne(TenantView):
    """The tariff of a site; 404 while it has none of its own and the default counts."""

    verbs = {
        "GET": Verb(Permission.TARIFF_VIEW, gives=TariffOut, says="Read a site's tariff"),
        "PUT": Verb(
            Permission.TARIFF_EDIT, takes=SiteTariffIn, gives=TariffOut, says="Give a site its tariff"
        ),
        "DELETE": Verb(Permission.TARIFF_EDIT, status=204, says="Take a site's tariff away"),
    }

    def site(self) -> Site:
        return self.one(tenants.sites(self.tenant_id, self.actor), pk=self.kwargs["site_id"])

    def get(self, request: Request, site_id: int) -> Response:
        tariff = queries.site_tariff(self.tenant_id, self.site().pk)
        if tariff is None:
            raise NotFound("This site has no tariff of its own: the default one counts.")
        return self.answer(tariff)

    def put(self, request: Request, site_id: int) -> Response:
        site, given = self.site(), self.given()
        self.row_for(given, "tariff", queries.tariffs(self.tenant_id, self.actor))
        tariffs.set_site_tariff(site=site, tariff=given["tariff"], actor=self.actor)
        return self.answer(given["tariff"])

    def delete(self, request: Request, site_id: int) -> Response:
        tariffs.set_site_tariff(site=self.site(), tariff=None, actor=self.actor)
        return self.answer()
