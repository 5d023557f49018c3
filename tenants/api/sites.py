"""Sites."""

from __future__ import annotations

import django_filters
from django.db.models import Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import queries
from tenants.models import Site
from tenants.models.tenant import SiteAccess
from tenants.permissions import Permission
from tenants.rest import Filters, In, Out, TenantView, Verb
from tenants.services import sites


class SiteOut(Out):
    class Meta:
        model = Site
        fields = ["id", *sites.FIELDS, "created_at"]


class SiteIn(In):
    name = serializers.CharField(max_length=120)
    address = serializers.CharField(max_length=160, allow_blank=True, required=False)
    postal_code = serializers.CharField(max_length=16, allow_blank=True, required=False)
    city = serializers.CharField(max_length=80, allow_blank=True, required=False)
    country = serializers.CharField(max_length=2, required=False)
    latitude = serializers.DecimalField(9, 6, min_value=-90, max_value=90, allow_null=True, required=False)
    longitude = serializers.DecimalField(9, 6, min_value=-180, max_value=180, allow_null=True, required=False)
    time_zone = serializers.CharField(max_length=64, required=False)
    access = serializers.ChoiceField(SiteAccess.choices, required=False)
    host = serializers.CharField(max_length=120, allow_blank=True, required=False)
    grid_limit_amps = serializers.DecimalField(8, 1, min_value=0, allow_null=True, required=False)


class SiteFilter(Filters):
    q = django_filters.CharFilter(method="search", help_text="Part of the name, city or host")
    city = django_filters.CharFilter(lookup_expr="iexact")
    access = django_filters.ChoiceFilter(choices=SiteAccess.choices)

    def search(self, rows: QuerySet[Site], _name: str, text: str) -> QuerySet[Site]:
        return rows.filter(Q(name__icontains=text) | Q(city__icontains=text) | Q(host__icontains=text))


class SiteList(TenantView):
    """Places with one grid connection."""

    verbs = {
        "GET": Verb(Permission.SITE_VIEW, gives=SiteOut, many=True, says="List sites"),
        "POST": Verb(Permission.SITE_EDIT, takes=SiteIn, gives=SiteOut, status=201, says="Create a site"),
    }
    filterset_class = SiteFilter

    def rows(self) -> QuerySet[Site]:
        return queries.sites(self.tenant_id, self.actor)

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(sites.create_site(tenant_id=self.tenant_id, actor=self.actor, **self.given()))


class SiteOne(TenantView):
    """One site."""

    verbs = {
        "GET": Verb(Permission.SITE_VIEW, gives=SiteOut, says="Read a site"),
        "PATCH": Verb(Permission.SITE_EDIT, takes=SiteIn, gives=SiteOut, says="Change a site"),
        "DELETE": Verb(Permission.SITE_EDIT, status=204, says="Set a site aside; its history stays"),
    }

    def site(self, site_id: int) -> Site:
        return self.one(queries.sites(self.tenant_id, self.actor), pk=site_id)

    def get(self, request: Request, site_id: int) -> Response:
        return self.answer(self.site(site_id))

    def patch(self, request: Request, site_id: int) -> Response:
        return self.answer(sites.update_site(site=self.site(site_id), actor=self.actor, **self.given()))

    def delete(self, request: Request, site_id: int) -> Response:
        sites.archive_site(site=self.site(site_id), actor=self.actor)
        return self.answer()
