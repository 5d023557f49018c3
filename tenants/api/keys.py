"""API keys: the text of a key is shown once, in the answer to its creation."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import queries
from tenants.models import ApiKey
from tenants.permissions import Permission
from tenants.rest import In, Out, TenantView, Verb
from tenants.services import keys


class KeyOut(Out):
    scopes = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at"]


class KeyCreated(KeyOut):
    key = serializers.CharField(help_text="Shown this once")

    class Meta(KeyOut.Meta):
        fields = [*KeyOut.Meta.fields, "key"]


class KeyIn(In):
    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(child=serializers.ChoiceField(Permission.choices), max_length=100)
    expires_at = serializers.DateTimeField(allow_null=True, required=False)


class KeyList(TenantView):
    """Machine keys of this company."""

    verbs = {
        "GET": Verb(Permission.KEY_EDIT, gives=KeyOut, many=True, says="List API keys"),
        "POST": Verb(
            Permission.KEY_EDIT, takes=KeyIn, gives=KeyCreated, status=201, says="Create an API key"
        ),
    }

    def rows(self) -> QuerySet[ApiKey]:
        return queries.api_keys(self.tenant_id)

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        key, text = keys.create_key(tenant_id=self.tenant_id, actor=self.actor, **self.given())
        key.key = text  # type: ignore[attr-defined]
        return self.answer(key)


class KeyOne(TenantView):
    """One API key."""

    verbs = {
        "GET": Verb(Permission.KEY_EDIT, gives=KeyOut, says="Read an API key"),
        "DELETE": Verb(Permission.KEY_EDIT, status=204, says="Revoke an API key"),
    }

    def get(self, request: Request, key_id: int) -> Response:
        return self.answer(self.one(queries.api_keys(self.tenant_id), pk=key_id))

    def delete(self, request: Request, key_id: int) -> Response:
        keys.revoke_key(key=self.one(queries.api_keys(self.tenant_id), pk=key_id), actor=self.actor)
        return self.answer()
