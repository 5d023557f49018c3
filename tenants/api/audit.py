"""The audit, newest first."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import queries
from tenants.models import AuditRecord
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, Out, TenantView, Verb


class AuditOut(Out):
    class Meta:
        model = AuditRecord
        fields = [
            "id",
            "at",
            "actor_kind",
            "actor_id",
            "actor_label",
            "action",
            "object_type",
            "object_id",
            "object_label",
            "site_id",
            "detail",
        ]


class AuditFilter(Filters):
    action = django_filters.CharFilter()
    actor_kind = django_filters.CharFilter()
    actor_id = django_filters.CharFilter()
    object_type = django_filters.CharFilter()
    object_id = django_filters.CharFilter()
    site_id = IdFilter()
    after = django_filters.IsoDateTimeFilter("at", lookup_expr="gte")
    before = django_filters.IsoDateTimeFilter("at", lookup_expr="lt")


class AuditList(TenantView):
    """Who did what to which object."""

    verbs = {"GET": Verb(Permission.AUDIT_VIEW, gives=AuditOut, many=True, says="Read the audit")}
    filterset_class = AuditFilter

    def rows(self) -> QuerySet[AuditRecord]:
        return queries.audit(self.tenant_id, self.actor)

    def get(self, request: Request) -> Response:
        return self.page()
