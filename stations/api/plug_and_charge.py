"""Plug & Charge: settings, roots from the provider, contracts, what was checked and handed out."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleets import emaid, queries
from fleets.api.tokens import TokenOut
from fleets.models import Reason, Verdict
from fleets.uid import normal_uid
from stations import visible
from stations.models import (
    Authorization,
    CertificateInstallation,
    CertificateStatus,
    Contract,
    ContractCheck,
    PlugAndCharge,
    ProviderKind,
    SeenVehicle,
    Unchecked,
)
from stations.services.pnc import roots, settings, vehicles
from tenants import queries as tenants
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class SettingsOut(Out):
    has_client_secret = serializers.SerializerMethodField()

    class Meta:
        model = PlugAndCharge
        fields = [
            "provider", "base_url", "token_url", "audience", "client_id", "has_client_secret", "trusted_ca",
            "unchecked", "bare", "roots_fetched_at", "provider_called_at", "provider_error",
        ]  # fmt: skip

    def get_has_client_secret(self, row: PlugAndCharge) -> bool:
        return bool(row.client_secret)


class SettingsIn(In):
    provider = serializers.ChoiceField(ProviderKind.choices, required=False)
    base_url = serializers.CharField(max_length=300, allow_blank=True, required=False)
    token_url = serializers.CharField(max_length=300, allow_blank=True, required=False)
    audience = serializers.CharField(max_length=300, allow_blank=True, required=False)
    client_id = serializers.CharField(max_length=200, allow_blank=True, required=False)
    client_secret = serializers.CharField(
        max_length=400, required=False, trim_whitespace=False, help_text="Stored encrypted, never given back"
    )
    trusted_ca = serializers.CharField(
        max_length=20_000, allow_blank=True, required=False, help_text="PEM; empty: the public authorities"
    )
    unchecked = serializers.ChoiceField(
        Unchecked.choices, required=False, help_text="Contracts whose revocation cannot be checked"
    )
    bare = serializers.BooleanField(required=False, help_text="Accept contract ids without a certificate")


class SettingsOne(TenantView):
    """With whom certificates are fetched and checked, and what holds in doubt."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=SettingsOut, says="Read the Plug & Charge settings"),
        "PATCH": Verb(
            Permission.TENANT_EDIT,
            takes=SettingsIn,
            gives=SettingsOut,
            says="Change the Plug & Charge settings",
        ),
    }

    def get(self, request: Request) -> Response:
        return self.answer(settings.of(self.tenant_id))

    def patch(self, request: Request) -> Response:
        return self.answer(settings.change(tenant_id=self.tenant_id, actor=self.actor, **self.given()))


class FetchedOut(serializers.Serializer[Any]):
    offered = serializers.IntegerField()
    added = serializers.ListField(child=serializers.CharField())
    refused = serializers.ListField(child=serializers.CharField())


class RootsFetch(TenantView):
    """Ask the provider for its roots. Those that are new are kept; see the list of root certificates."""

    manages_transactions = True  # the provider is asked outside of any
    verbs = {
        "POST": Verb(
            Permission.STATION_CONFIGURE, takes=In, gives=FetchedOut, says="Fetch roots from the provider"
        )
    }

    def post(self, request: Request) -> Response:
        self.given()
        return self.answer(roots.fetch(tenant_id=self.tenant_id, actor=self.actor))


class ContractOut(Out):
    contract_id = serializers.SerializerMethodField(help_text="With separators and check character")

    class Meta:
        model = Contract
        fields = [
            "id", "emaid", "contract_id", "issuer", "root", "serial", "fingerprint", "key_type", "chain", "not_before",
            "not_after", "status", "first_seen_at", "last_seen_at",
        ]  # fmt: skip

    def get_contract_id(self, row: Contract) -> str:
        return emaid.shown(row.emaid)


class ContractFilter(Filters):
    emaid = django_filters.CharFilter(method="named")
    status = django_filters.ChoiceFilter(choices=CertificateStatus.choices)

    def named(self, rows: QuerySet[Any], _name: str, text: str) -> QuerySet[Any]:
        return rows.filter(emaid=normal_uid(text))


class ContractView(TenantView):
    """Only for who may see all sites: where a contract was shown is told by its checks."""

    def rows(self) -> QuerySet[Contract]:
        found = Contract.objects.filter(tenant_id=self.tenant_id)
        return found if self.actor.site_ids is None else found.none()


class ContractList(ContractView):
    """Contract certificates as cars last showed them, of chains that reach a trusted root."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=ContractOut, many=True, says="List contracts that were seen"
        )
    }
    filterset_class = ContractFilter

    def get(self, request: Request) -> Response:
        return self.page()


class ContractOne(ContractView):
    """One contract certificate."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=ContractOut, says="Read a contract that was seen")}

    def get(self, request: Request, contract_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=contract_id))


class CheckOut(Out):
    class Meta:
        model = ContractCheck
        fields = [
            "id", "station_id", "token_id", "emaid", "at", "status", "verdict", "reason", "detail", "flagged", "steps",
        ]  # fmt: skip


class CheckFilter(ContractFilter):
    station_id = IdFilter()
    verdict = django_filters.ChoiceFilter(choices=Verdict.choices)
    flagged = django_filters.BooleanFilter()


class CheckList(TenantView):
    """Authorisations by contract: what the certificate was found to be, step by step."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=CheckOut, many=True, says="List authorisations by contract"
        )
    }
    filterset_class = CheckFilter

    def rows(self) -> QuerySet[ContractCheck]:
        seen = visible.stations(self.tenant_id, self.actor)
        rows = ContractCheck.objects.filter(tenant_id=self.tenant_id)
        return rows if self.actor.site_ids is None else rows.filter(station__in=seen)

    def get(self, request: Request) -> Response:
        return self.page()


class InstallationOut(Out):
    class Meta:
        model = CertificateInstallation
        fields = [
            "id", "station_id", "at", "schema", "update", "emaids", "wanted_chains", "accepted", "detail", "remaining",
            "request_characters", "response_characters", "took_ms",
        ]  # fmt: skip


class InstallationFilter(Filters):
    station_id = IdFilter()
    accepted = django_filters.BooleanFilter()


class InstallationList(TenantView):
    """Cars that asked for their contract certificate, and what became of it."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW,
            gives=InstallationOut,
            many=True,
            says="List certificates fetched for cars",
        )
    }
    filterset_class = InstallationFilter

    def rows(self) -> QuerySet[CertificateInstallation]:
        seen = visible.stations(self.tenant_id, self.actor)
        rows = CertificateInstallation.objects.filter(tenant_id=self.tenant_id)
        return rows if self.actor.site_ids is None else rows.filter(station__in=seen)

    def get(self, request: Request) -> Response:
        return self.page()


class AuthorizationOut(Out):
    class Meta:
        model = Authorization
        fields = ["id", "station_id", "token_uid", "token_id", "kind", "verdict", "reason", "at"]


class AuthorizationFilter(Filters):
    station_id = IdFilter()
    token_uid = django_filters.CharFilter(method="numbered")
    verdict = django_filters.ChoiceFilter(choices=Verdict.choices)
    reason = django_filters.ChoiceFilter(choices=[choice for choice in Reason.choices if choice[0]])

    def numbered(self, rows: QuerySet[Any], _name: str, text: str) -> QuerySet[Any]:
        return rows.filter(token_uid=normal_uid(text))


class AuthorizationList(TenantView):
    """Tokens that were shown at stations, the verdict each got, and why."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=AuthorizationOut, many=True, says="List tokens that were shown"
        )
    }
    filterset_class = AuthorizationFilter

    def rows(self) -> QuerySet[Authorization]:
        seen = visible.stations(self.tenant_id, self.actor)
        rows = Authorization.objects.filter(tenant_id=self.tenant_id)
        return rows if self.actor.site_ids is None else rows.filter(station__in=seen)

    def get(self, request: Request) -> Response:
        return self.page()


class SeenVehicleOut(Out):
    class Meta:
        model = SeenVehicle
        fields = ["id", "uid", "kind", "station_id", "first_seen_at", "last_seen_at", "times", "dismissed_at"]


class ConfirmIn(In):
    driver_id = serializers.IntegerField(allow_null=True, required=False)
    fleet_id = serializers.IntegerField(allow_null=True, required=False)
    visual_number = serializers.CharField(max_length=64, allow_blank=True, required=False)
    site_ids = serializers.ListField(
        child=serializers.IntegerField(), max_length=500, required=False, help_text="Empty: good at all sites"
    )


class SeenVehicleFilter(Filters):
    dismissed = django_filters.BooleanFilter("dismissed_at", lookup_expr="isnull", exclude=True)


class SeenVehicleView(TenantView):
    """Strangers' cars: only for who manages tokens of the whole company."""

    def rows(self) -> QuerySet[SeenVehicle]:
        return vehicles.seen(self.tenant_id, self.actor)


class SeenVehicleList(SeenVehicleView):
    """Cars that said who they are (Autocharge) and for which no token is known."""

    verbs = {
        "GET": Verb(
            Permission.TOKEN_EDIT, gives=SeenVehicleOut, many=True, says="List cars that nobody knows yet"
        )
    }
    filterset_class = SeenVehicleFilter

    def get(self, request: Request) -> Response:
        return self.page()


class SeenVehicleOne(SeenVehicleView):
    """One such car."""

    verbs = {
        "GET": Verb(Permission.TOKEN_EDIT, gives=SeenVehicleOut, says="Read a car that nobody knows yet"),
        "DELETE": Verb(Permission.TOKEN_EDIT, status=204, says="Dismiss a car: none of ours"),
    }

    def get(self, request: Request, seen_vehicle_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=seen_vehicle_id))

    def delete(self, request: Request, seen_vehicle_id: int) -> Response:
        vehicles.dismiss(vehicle=self.one(self.rows(), pk=seen_vehicle_id), actor=self.actor)
        return self.answer()


class SeenVehicleConfirm(SeenVehicleView):
    """Make a token of a car that was seen, for a driver or a fleet."""

    verbs = {
        "POST": Verb(
            Permission.TOKEN_EDIT,
            takes=ConfirmIn,
            gives=TokenOut,
            status=201,
            says="Link a car to who pays for it",
        )
    }

    def post(self, request: Request, seen_vehicle_id: int) -> Response:
        vehicle = self.one(self.rows(), pk=seen_vehicle_id)
        given = self.given()
        self.row_for(given, "fleet", queries.fleets(self.tenant_id, self.actor))
        self.row_for(given, "driver", queries.drivers(self.tenant_id, self.actor))
        if "site_ids" in given:
            allowed = tenants.sites(self.tenant_id, self.actor)
            given["sites"] = self.rows_for("site_ids", given.pop("site_ids"), allowed)
        return self.answer(vehicles.confirm(vehicle=vehicle, actor=self.actor, **given))
