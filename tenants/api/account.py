"""Who am I: what a key belongs to and may do."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.models import Tenant
from tenants.rest import Out, TenantView, Verb


class TenantOut(Out):
    class Meta:
        model = Tenant
        fields = ["slug", "name", "country", "party_id", "currency", "time_zone", "language"]


class AccountOut(serializers.Serializer[Any]):
    tenant = TenantOut()
    kind = serializers.CharField(help_text="key: a machine's key")
    id = serializers.CharField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())


class Account(TenantView):
    """The company and the scopes of the key that asks."""

    verbs = {"GET": Verb(None, gives=AccountOut, says="Who am I")}

    def get(self, request: Request) -> Response:
        actor = self.actor
        return self.answer(
            {
                "tenant": request._request.tenant,  # type: ignore[attr-defined]
                "kind": actor.kind,
                "id": actor.id,
                "name": actor.label,
                "scopes": sorted(permission.value for permission in actor.permissions),
            }
        )
