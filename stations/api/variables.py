"""The device model: 1.6 configuration keys and 2.x variables as last reported."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from stations.api.common import BelowStation
from stations.models import Variable
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
            "reboot_required",
            "read_at",
            "source",
        ]

    def to_representation(self, variable: Variable) -> Any:
        """Passwords and keys that a station tells of stay here."""
        return masked(super().to_representation(variable))


class VariableFilter(Filters):
    component = django_filters.CharFilter(lookup_expr="iexact")
    name = django_filters.CharFilter(lookup_expr="iexact")
    q = django_filters.CharFilter("name", lookup_expr="icontains", help_text="Part of the name")


class VariableList(BelowStation):
    """Configuration of a station as it last told it. Ask for it anew by the command `read_configuration`."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=VariableOut, many=True, says="Read the configuration")
    }
    filterset_class = VariableFilter

    def rows(self) -> QuerySet[Variable]:
        return Variable.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()
