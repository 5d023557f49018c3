"""Tokens, one by one and many at once."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleets import queries
from fleets.models import Token, TokenKind
from fleets.services import token_files, tokens
from fleets.uid import normal_uid
from tenants import queries as tenants
from tenants.errors import DomainError, Invalid
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb

MOST_AT_ONCE = 500


class TokenOut(Out):
    site_ids = serializers.SerializerMethodField()

    class Meta:
        model = Token
        fields = [
            "id",
            "uid",
            "kind",
            "visual_number",
            "driver_id",
            "fleet_id",
            "group",
            "valid_from",
            "expires_at",
            "blocked",
            "blocked_reason",
            "concurrent",
            "language",
            "priority",
            "message",
            "site_ids",
            "created_at",
        ]

    def get_site_ids(self, token: Token) -> list[int]:
        return sorted(row.site_id for row in token.sites.all())


class TokenIn(In):
    uid = serializers.CharField(max_length=255)
    kind = serializers.ChoiceField(TokenKind.choices, required=False)
    visual_number = serializers.CharField(max_length=64, allow_blank=True, required=False)
    driver_id = serializers.IntegerField(allow_null=True, required=False)
    fleet_id = serializers.IntegerField(allow_null=True, required=False)
    group = serializers.CharField(max_length=36, allow_blank=True, required=False)
    valid_from = serializers.DateTimeField(allow_null=True, required=False)
    expires_at = serializers.DateTimeField(allow_null=True, required=False)
    concurrent = serializers.BooleanField(required=False)
    language = serializers.CharField(
        max_length=8,
        allow_blank=True,
        required=False,
        help_text="RFC 5646, such as de; for what the station says",
    )
    message = serializers.CharField(
        max_length=200,
        allow_blank=True,
        required=False,
        help_text="What the station shows when it is used (OCPP 2)",
    )
    priority = serializers.IntegerField(
        min_value=-9, max_value=9, allow_null=True, required=False, help_text="OCPP 2: charging priority"
    )
    site_ids = serializers.ListField(
        child=serializers.IntegerField(), max_length=500, required=False, help_text="Empty: good at all sites"
    )


class TokensIn(In):
    tokens = serializers.ListField(child=TokenIn(), min_length=1, max_length=MOST_AT_ONCE)


class TokensOut(serializers.Serializer[Any]):
    tokens = TokenOut(many=True)


class ImportIn(In):
    csv = serializers.CharField(
        max_length=2_000_000, trim_whitespace=False, help_text=f"Columns: {', '.join(token_files.COLUMNS)}"
    )


class ImportOut(serializers.Serializer[Any]):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()


class BlockIn(In):
    reason = serializers.CharField(max_length=200, allow_blank=True, required=False)


class TokenFilter(Filters):
    q = django_filters.CharFilter(method="search", help_text="Part of the number, driver or fleet")
    uid = django_filters.CharFilter(method="numbered")
    kind = django_filters.ChoiceFilter(choices=TokenKind.choices)
    driver_id = IdFilter()
    fleet_id = IdFilter()
    group = django_filters.CharFilter()
    blocked = django_filters.BooleanFilter()

    def search(self, rows: QuerySet[Token], _name: str, text: str) -> QuerySet[Token]:
        return queries.search_tokens(rows, text)

    def numbered(self, rows: QuerySet[Token], _name: str, uid: str) -> QuerySet[Token]:
        return rows.filter(uid=normal_uid(uid))


class TokenView(TenantView):
    def rows(self) -> QuerySet[Token]:
        return queries.tokens(self.tenant_id, self.actor).prefetch_related("sites")

    def token(self) -> Token:
        return self.one(self.rows(), pk=self.kwargs["token_id"])

    def values(self, given: dict[str, Any]) -> dict[str, Any]:
        self.row_for(given, "fleet", queries.fleets(self.tenant_id, self.actor))
        self.row_for(given, "driver", queries.drivers(self.tenant_id, self.actor))
        if "site_ids" in given:
            allowed = tenants.sites(self.tenant_id, self.actor)
            given["sites"] = self.rows_for("site_ids", given.pop("site_ids"), allowed)
        return given

    def create(self, given: dict[str, Any]) -> Token:
        return tokens.create_token(tenant_id=self.tenant_id, actor=self.actor, **self.values(given))


class TokenList(TokenView):
    """RFID cards, key codes, contracts: what a driver shows."""

    verbs = {
        "GET": Verb(Permission.TOKEN_VIEW, gives=TokenOut, many=True, says="List tokens"),
        "POST": Verb(Permission.TOKEN_EDIT, takes=TokenIn, gives=TokenOut, status=201, says="Create a token"),
    }
    filterset_class = TokenFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(self.create(self.given()))


class TokenOne(TokenView):
    """One token."""

    verbs = {
        "GET": Verb(Permission.TOKEN_VIEW, gives=TokenOut, says="Read a token"),
        "PATCH": Verb(Permission.TOKEN_EDIT, takes=TokenIn, gives=TokenOut, says="Change a token"),
        "DELETE": Verb(Permission.TOKEN_EDIT, status=204, says="Remove a token"),
    }

    def get(self, request: Request, token_id: int) -> Response:
        return self.answer(self.token())

    def patch(self, request: Request, token_id: int) -> Response:
        token = self.token()
        tokens.update_token(token=token, actor=self.actor, **self.values(self.given()))
        return self.answer(self.token())

    def delete(self, request: Request, token_id: int) -> Response:
        tokens.delete_token(token=self.token(), actor=self.actor)
        return self.answer()


class TokenBlock(TokenView):
    """Refuse a token everywhere from now on. A session that runs goes on."""

    verbs = {"POST": Verb(Permission.TOKEN_EDIT, takes=BlockIn, gives=TokenOut, says="Block a token")}

    def post(self, request: Request, token_id: int) -> Response:
        return self.answer(tokens.block_token(token=self.token(), actor=self.actor, **self.given()))


class TokenUnblock(TokenView):
    """Take a blocked token back into use."""

    verbs = {"POST": Verb(Permission.TOKEN_EDIT, takes=In, gives=TokenOut, says="Unblock a token")}

    def post(self, request: Request, token_id: int) -> Response:
        self.given()
        return self.answer(tokens.unblock_token(token=self.token(), actor=self.actor))


class TokenBulk(TokenView):
    """Create up to 500 tokens: all or none. Errors name the place in the list, such as `tokens.3.uid`."""

    verbs = {
        "POST": Verb(
            Permission.TOKEN_EDIT, takes=TokensIn, gives=TokensOut, status=201, says="Create many tokens"
        )
    }

    def post(self, request: Request) -> Response:
        made: list[Token] = []
        problems: dict[str, str] = {}
        for place, given in enumerate(self.given()["tokens"]):
            try:
                made.append(self.create(given))
            except Invalid as error:
                problems |= {f"tokens.{place}.{name}": text for name, text in error.fields.items()}
            except DomainError as error:
                problems[f"tokens.{place}"] = error.detail
        if problems:
            raise Invalid(fields=problems)
        return self.answer({"tokens": made})


class TokenImport(TokenView):
    """Create and change tokens by a CSV text: all or none. Errors name row and column, such as `row 3, uid`."""

    verbs = {
        "POST": Verb(Permission.TOKEN_EDIT, takes=ImportIn, gives=ImportOut, says="Import tokens from CSV")
    }

    def post(self, request: Request) -> Response:
        report = token_files.import_tokens(
            tenant_id=self.tenant_id, actor=self.actor, text=self.given()["csv"]
        )
        if report.errors:
            raise Invalid(
                fields={f"row {error.row}, {error.column}": error.text for error in report.errors[:200]}
            )
        return self.answer(report)
