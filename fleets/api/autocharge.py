"""Autocharge: whether cars may charge by their MAC address or VIN. Off until switched on."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleets.models import Autocharge
from fleets.services import autocharge
from tenants import queries as tenants
from tenants.permissions import Permission
from tenants.rest import In, TenantView, Verb


class SiteSwitch(serializers.Serializer[Any]):
    site_id = serializers.IntegerField()
    name = serializers.CharField()
    enabled = serializers.BooleanField()


class AutochargeOut(serializers.Serializer[Any]):
    enabled = serializers.BooleanField(help_text="For the company")
    sites = SiteSwitch(many=True, help_text="Sites that go their own way")


class AutochargeIn(In):
    enabled = serializers.BooleanField()


class SiteSwitchIn(In):
    enabled = serializers.BooleanField(allow_null=True, help_text="null: as the company")


class AutochargeView(TenantView):
    def state(self) -> dict[str, Any]:
        rows = Autocharge.objects.filter(tenant_id=self.tenant_id)
        sites = tenants.sites(self.tenant_id, self.actor)
        own = rows.filter(site__in=sites).select_related("site").order_by("site__name")
        return {
            "enabled": any(row.enabled for row in rows if row.site_id is None),
            "sites": [
                {"site_id": row.site_id, "name": row.site.name, "enabled": row.enabled}
                for row in own
                if row.site is not None
            ],
        }


class AutochargeOne(AutochargeView):
    """The company's switch, and the sites that go their own way."""

    verbs = {
        "GET": Verb(Permission.SITE_VIEW, gives=AutochargeOut, says="Read whether Autocharge is on"),
        "PUT": Verb(
            Permission.SITE_EDIT, takes=AutochargeIn, gives=AutochargeOut, says="Switch Autocharge on or off"
        ),
    }

    def get(self, request: Request) -> Response:
        return self.answer(self.state())

    def put(self, request: Request) -> Response:
        autocharge.switch(tenant_id=self.tenant_id, actor=self.actor, **self.given())
        return self.answer(self.state())


class SiteAutocharge(AutochargeView):
    """A site's own switch."""

    verbs = {
        "PUT": Verb(
            Permission.SITE_EDIT, takes=SiteSwitchIn, gives=AutochargeOut, says="Switch Autocharge at a site"
        )
    }

    def put(self, request: Request, site_id: int) -> Response:
        site = self.one(tenants.sites(self.tenant_id, self.actor), pk=site_id)
        autocharge.switch(tenant_id=self.tenant_id, actor=self.actor, site=site, **self.given())
        return self.answer(self.state())
