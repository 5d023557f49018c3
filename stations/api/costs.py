"""The cost as drivers saw it, tariffs on stations, prepaid cards."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing import queries as prices
from fleets import queries as holders
from stations.api.commands import CommandOut
from stations.api.common import BelowStation
from stations.api.sessions import SessionView
from stations.models import PrepaidAccount, PrepaidEntry, SessionCost, StationTariff
from stations.services import prepaid, station_tariffs
from tenants.permissions import Permission
from tenants.rest import In, Out, TenantView, Verb


class CostOut(Out):
    class Meta:
        model = SessionCost
        fields = [
            "session_id",
            "shown",
            "shown_at",
            "shown_count",
            "final",
            "final_at",
            "final_how",
            "station_tariff",
            "station_total",
            "station_currency",
            "station_details",
            "difference",
            "limit_cost",
            "limit_energy_wh",
            "limit_seconds",
            "limit_soc",
            "limit_origin",
            "limit_told_at",
            "limit_reached",
            "limit_reached_at",
            "stop_command_id",
            "settled_at",
        ]


class TariffIn(In):
    tariff_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


class SessionCostOne(SessionView):
    """What the driver of a session was told it costs, what the station reckons, and what bounds the session."""

    verbs = {"GET": Verb(Permission.MONEY_VIEW, gives=CostOut, says="Read what a session's driver was told")}

    def get(self, request: Request, session_id: int) -> Response:
        rows = SessionCost.objects.filter(tenant_id=self.tenant_id)
        return self.answer(self.one(rows, session=self.session()))


class SessionTariff(SessionView):
    """Another price for a session that runs at a station of OCPP 2.1; it counts once the station has taken it."""

    verbs = {
        "POST": Verb(
            Permission.TARIFF_EDIT,
            takes=TariffIn,
            gives=CommandOut,
            status=202,
            says="Change a running session's tariff",
        )
    }

    def post(self, request: Request, session_id: int) -> Response:
        found = self.one(prices.tariffs(self.tenant_id, self.actor), pk=self.given()["tariff_id"])
        command = station_tariffs.change(session=self.session(), tariff=found, actor=self.actor)
        return self.answer(command)


class StationTariffOut(Out):
    class Meta:
        model = StationTariff
        fields = [
            "station_id",
            "evse_number",
            "tariff_id",
            "wire_id",
            "terms",
            "standing",
            "detail",
            "command_id",
            "changed_at",
            "told",
            "told_at",
        ]


class StationTariffOne(BelowStation):
    """The default tariff that a station of OCPP 2.1 keeps, and what it says it has."""

    verbs = {
        "GET": Verb(Permission.TARIFF_VIEW, gives=StationTariffOut, says="Read the tariff on a station"),
        "PUT": Verb(
            Permission.STATION_COMMAND,
            takes=TariffIn,
            gives=StationTariffOut,
            says="Install a tariff on a station",
        ),
        "DELETE": Verb(
            Permission.STATION_COMMAND, gives=CommandOut, status=202, says="Take the tariff off a station"
        ),
    }

    def get(self, request: Request, station_id: int) -> Response:
        rows = StationTariff.objects.filter(tenant_id=self.tenant_id, station=self.station(), evse_number=0)
        return self.answer(self.one(rows))

    def put(self, request: Request, station_id: int) -> Response:
        found = self.one(prices.tariffs(self.tenant_id, self.actor), pk=self.given()["tariff_id"])
        return self.answer(station_tariffs.give(station=self.station(), tariff=found, actor=self.actor))

    def delete(self, request: Request, station_id: int) -> Response:
        return self.answer(station_tariffs.clear(station=self.station(), actor=self.actor))


# --- prepaid ---


class EntryOut(Out):
    class Meta:
        model = PrepaidEntry
        fields = ["id", "kind", "amount", "session_id", "label", "at"]


class AccountOut(Out):
    token_uid = serializers.CharField(source="token.uid")
    visual_number = serializers.CharField(source="token.visual_number")
    balance = serializers.SerializerMethodField()
    reserved = serializers.SerializerMethodField()

    class Meta:
        model = PrepaidAccount
        fields = [
            "id",
            "token_id",
            "token_uid",
            "visual_number",
            "currency",
            "balance",
            "reserved",
            "created_at",
            "closed_at",
        ]

    def get_balance(self, account: PrepaidAccount) -> str:
        return str(prepaid.balance(account))

    def get_reserved(self, account: PrepaidAccount) -> str:
        return str(prepaid.reserved(account))


class AccountDetail(AccountOut):
    entries = EntryOut(many=True)

    class Meta(AccountOut.Meta):
        fields = [*AccountOut.Meta.fields, "entries"]


class AccountIn(In):
    token_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    currency = serializers.RegexField(r"^[A-Za-z]{3}$", required=False, help_text="Left out: the company's")


class PayIn(In):
    amount = serializers.DecimalField(14, 4, help_text="Below zero: paid out")
    label = serializers.CharField(  # type: ignore[assignment]
        max_length=120, required=False, default="", allow_blank=True
    )


class PrepaidView(TenantView):
    def rows(self) -> QuerySet[PrepaidAccount]:
        tokens = holders.tokens(self.tenant_id, self.actor)
        return PrepaidAccount.objects.filter(tenant_id=self.tenant_id, token__in=tokens).select_related(
            "token"
        )

    def account(self) -> PrepaidAccount:
        return self.one(self.rows().select_related("token"), pk=self.kwargs["account_id"])


class PrepaidList(PrepaidView):
    """Prepaid tokens."""

    verbs = {
        "GET": Verb(Permission.TOKEN_VIEW, gives=AccountOut, many=True, says="List prepaid tokens"),
        "POST": Verb(
            Permission.TOKEN_EDIT,
            takes=AccountIn,
            gives=AccountDetail,
            status=201,
            says="Make a token prepaid",
        ),
    }

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given: dict[str, Any] = self.given()
        token = self.one(holders.tokens(self.tenant_id, self.actor), pk=given["token_id"])
        asked: Any = self.request._request
        account = prepaid.open_account(
            tenant_id=self.tenant_id, token=token, currency=given.get("currency") or asked.tenant.currency,
            actor=self.actor,
        )  # fmt: skip
        return self.answer(account)


class PrepaidOne(PrepaidView):
    """A prepaid token with all that was paid in and used."""

    verbs = {"GET": Verb(Permission.TOKEN_VIEW, gives=AccountDetail, says="Read a prepaid token")}

    def get(self, request: Request, account_id: int) -> Response:
        return self.answer(self.account())


class PrepaidPayIn(PrepaidView):
    """Add credit, or pay some out."""

    verbs = {"POST": Verb(Permission.TOKEN_EDIT, takes=PayIn, gives=AccountDetail, says="Pay in or out")}

    def post(self, request: Request, account_id: int) -> Response:
        account = self.account()
        prepaid.pay_in(account=account, actor=self.actor, **self.given())
        return self.answer(account)


class PrepaidClose(PrepaidView):
    """The token is billed as others are again."""

    verbs = {"POST": Verb(Permission.TOKEN_EDIT, takes=In, gives=AccountDetail, says="End prepaid")}

    def post(self, request: Request, account_id: int) -> Response:
        self.given()
        return self.answer(prepaid.close(account=self.account(), actor=self.actor))
