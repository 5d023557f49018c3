"""The device model: 1.6 configuration keys and 2.x variables as last reported."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from stations import catalogue
from stations.api.common import BelowStation
from stations.api.configuration import ChangesOut, VariableChangeIn
from stations.models import Variable
from stations.services import configuration
from stations.services.commands import masked
from tenants.permissions import Permission
from tenants.rest import Filters, Out, Verb


class VariableOut(Out):
    class Meta:
        model = Variable
        fields = [
            "id",
            "component",
            "component_instance",
            "evse_number",
            "connector_number",
            "name",
            "instance",
            "attribute",
            "value",
            "mutability",
            "data_type",
            "unit",
            "values_list",
            "min_limit",
            "max_limit",
            "max_elements",
            "supports_monitoring",
            "persistent",
            "constant",
            "reboot_required",
            "changed_at",
            "gone_at",
            "read_at",
            "source",
        ]

    def to_representation(self, variable: Variable) -> Any:
        """Passwords and keys that a station tells of stay here. What 1.6 does not tell of a key, the standard does."""
        shown = masked(super().to_representation(variable))
        entry = catalogue.find(variable.component, variable.name, variable.instance)
        if entry is None:
            return shown | {"meaning": ""}
        return shown | {
            "meaning": str(entry.help),
            "data_type": shown["data_type"] or entry.kind,
            "unit": shown["unit"] or entry.unit,
        }


class VariableFilter(Filters):
    component = django_filters.CharFilter(lookup_expr="iexact")
    name = django_filters.CharFilter(lookup_expr="iexact")
    mutability = django_filters.CharFilter()
    changed_after = django_filters.IsoDateTimeFilter("changed_at", lookup_expr="gte")
    gone = django_filters.BooleanFilter("gone_at", lookup_expr="isnull", exclude=True)
    q = django_filters.CharFilter("name", lookup_expr="icontains", help_text="Part of the name")


class VariableList(BelowStation):
    """Configuration of a station as it last told it. A POST asks the station for other values and answers with the
    changes; what becomes of them stands under `variable-changes`."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=VariableOut, many=True, says="Read the configuration"),
        "POST": Verb(
            Permission.STATION_CONFIGURE,
            takes=VariableChangeIn,
            gives=ChangesOut,
            status=202,
            says="Change settings",
        ),
    }
    filterset_class = VariableFilter

    def rows(self) -> QuerySet[Variable]:
        return Variable.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        given = self.given()
        made = configuration.change(
            tenant_id=self.tenant_id, station_id=self.station().pk, actor=self.actor,
            settings=[configuration.Setting(**dict(one)) for one in given["settings"]],
            expires_in_seconds=given["expires_in_seconds"],
        )  # fmt: skip
        return self.answer({"changes": made})
