"""Rules of access, local authorisation lists and reservations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations.api.common import BelowStation
from stations.models import (
    LIVE_RESERVATIONS,
    AccessRule,
    ListScope,
    ListState,
    LocalList,
    Reservation,
    ReservationState,
    Station,
)
from stations.services import access, local_lists, reservations
from stations.services.access import NAMES
from tenants import queries as tenants
from tenants.errors import Invalid
from tenants.models import Site
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class RuleIn(In):
    """null or "" leaves a rule to the level above."""

    local_list = serializers.BooleanField(allow_null=True, required=False)
    list_scope = serializers.ChoiceField(ListScope.choices, allow_blank=True, required=False)
    list_group = serializers.CharField(max_length=36, allow_blank=True, required=False)
    free_charging = serializers.BooleanField(allow_null=True, required=False)
    direct_payment = serializers.BooleanField(allow_null=True, required=False)
    bidirectional = serializers.BooleanField(
        allow_null=True, required=False, help_text="Cars may give energy back (OCPP 2.1)"
    )
    master_group = serializers.CharField(max_length=36, allow_blank=True, required=False)
    reservations = serializers.BooleanField(allow_null=True, required=False)
    reserve_ahead_minutes = serializers.IntegerField(allow_null=True, required=False)
    reserve_minutes = serializers.IntegerField(allow_null=True, required=False)
    no_show_limit = serializers.IntegerField(allow_null=True, required=False)


class SaidOut(Out):
    class Meta:
        model = AccessRule
        fields = list(NAMES)


class RulesOut(serializers.Serializer[Any]):
    said = SaidOut(help_text="What was said at this level")
    applies = serializers.DictField(help_text="What applies, with the levels above")


class RuleView(TenantView):
    """What was said at a level, and what applies there."""

    def place(self) -> dict[str, Any]:
        return {}

    def applies(self) -> access.Rules:
        return access.of_site(self.tenant_id)

    def shown_rules(self) -> Response:
        said = access.own_rule(tenant_id=self.tenant_id, **self.place())
        rules = self.applies()
        return self.answer({"said": said, "applies": {name: getattr(rules, name) for name in NAMES}})

    def change(self) -> Response:
        access.change_rule(tenant_id=self.tenant_id, actor=self.actor, changes=self.given(), **self.place())
        return self.shown_rules()


def _rule_verbs(where: str) -> dict[str, Verb]:
    return {
        "GET": Verb(Permission.STATION_VIEW, gives=RulesOut, says=f"Read the access rules of {where}"),
        "PATCH": Verb(
            Permission.STATION_CONFIGURE,
            takes=RuleIn,
            gives=RulesOut,
            says=f"Change the access rules of {where}",
        ),
    }


class CompanyRules(RuleView):
    """Access rules of the company."""

    verbs = _rule_verbs("the company")

    def get(self, request: Request) -> Response:
        return self.shown_rules()

    def patch(self, request: Request) -> Response:
        return self.change()


class SiteRules(RuleView):
    """Access rules of a site."""

    verbs = _rule_verbs("a site")

    def site(self) -> Site:
        return self.one(tenants.sites(self.tenant_id, self.actor), pk=self.kwargs["site_id"])

    def place(self) -> dict[str, Any]:
        return {"site": self.site()}

    def applies(self) -> access.Rules:
        return access.of_site(self.tenant_id, self.site().pk)

    def get(self, request: Request, site_id: int) -> Response:
        return self.shown_rules()

    def patch(self, request: Request, site_id: int) -> Response:
        return self.change()


class StationRules(RuleView):
    """Access rules of a station."""

    verbs = _rule_verbs("a station")

    def station(self) -> Station:
        return self.one(visible.stations(self.tenant_id, self.actor), pk=self.kwargs["station_id"])

    def place(self) -> dict[str, Any]:
        return {"station": self.station()}

    def applies(self) -> access.Rules:
        return access.of_station(self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.shown_rules()

    def patch(self, request: Request, station_id: int) -> Response:
        return self.change()


# --- local lists ---


class ListOut(Out):
    class Meta:
        model = LocalList
        fields = [
            "station_id",
            "state",
            "problem",
            "version",
            "told_version",
            "told_at",
            "size",
            "wanted_size",
            "left_out",
            "most_entries",
            "items_per_message",
            "synced_at",
            "changed_at",
        ]


class ListFilter(Filters):
    station_id = IdFilter()
    site_id = IdFilter("station__site_id")
    state = django_filters.ChoiceFilter(choices=ListState.choices)


class ListList(TenantView):
    """Local authorisation lists of all stations."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=ListOut, many=True, says="List local authorisation lists")
    }
    filterset_class = ListFilter

    def rows(self) -> QuerySet[LocalList]:
        seen = visible.stations(self.tenant_id, self.actor)
        return LocalList.objects.filter(tenant_id=self.tenant_id, station__in=seen).order_by("-id")

    def get(self, request: Request) -> Response:
        return self.page()


class EntryOut(serializers.Serializer[Any]):
    uid = serializers.CharField()
    step = serializers.ChoiceField(["held", "new", "changed", "leaving"])
    verdict = serializers.CharField(source="entry.verdict", default=None, allow_null=True)
    group = serializers.CharField(source="entry.group", default="")
    expires_at = serializers.DateTimeField(source="entry.expires_at", default=None, allow_null=True)


class EntriesOut(serializers.Serializer[Any]):
    entries = EntryOut(many=True)


class ListOne(BelowStation):
    """The local list of a station."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=ListOut, says="Read a station's local list")}

    def get(self, request: Request, station_id: int) -> Response:
        station = self.station()
        found = LocalList.objects.filter(tenant_id=self.tenant_id, station=station).first()
        return self.answer(found or LocalList(tenant_id=self.tenant_id, station=station, state=ListState.OFF))


class ListEntries(BelowStation):
    """What the local list of a station holds and should hold, token by token."""

    verbs = {"GET": Verb(Permission.TOKEN_VIEW, gives=EntriesOut, says="Read the entries of a local list")}

    def get(self, request: Request, station_id: int) -> Response:
        station = self.station()
        return self.answer({"entries": local_lists.lines(station, access.of_station(station))})


class SyncIn(In):
    full = serializers.BooleanField(
        required=False, default=False, help_text="All anew, not only what differs"
    )


class ListSync(BelowStation):
    """Send what a station's list lacks, at once."""

    verbs = {
        "POST": Verb(Permission.STATION_COMMAND, takes=SyncIn, gives=ListOut, says="Send the local list")
    }

    def post(self, request: Request, station_id: int) -> Response:
        return self.answer(
            local_lists.sync_now(station=self.station(), actor=self.actor, full=self.given()["full"])
        )


class ListCheck(BelowStation):
    """Ask a station for the version of its list."""

    verbs = {"POST": Verb(Permission.STATION_COMMAND, takes=In, gives=ListOut, says="Check the local list")}

    def post(self, request: Request, station_id: int) -> Response:
        self.given()
        return self.answer(local_lists.check_now(station=self.station(), actor=self.actor))


# --- reservations ---


class ReservationOut(Out):
    evse = serializers.IntegerField(source="evse.number", default=None, allow_null=True)
    number = serializers.IntegerField(help_text="As the station knows it")

    class Meta:
        model = Reservation
        fields = [
            "id",
            "number",
            "station_id",
            "site_id",
            "evse",
            "standard",
            "token_uid",
            "token_id",
            "driver_id",
            "starts_at",
            "expires_at",
            "state",
            "reason",
            "session_id",
            "by_driver",
            "asked_by",
            "created_at",
            "held_at",
            "ended_at",
        ]


class ReservationIn(In):
    station_id = serializers.IntegerField()
    token_uid = serializers.CharField(max_length=255)
    evse = serializers.IntegerField(allow_null=True, required=False, help_text="None: any of the station")
    standard = serializers.CharField(
        max_length=24,
        allow_blank=True,
        required=False,
        help_text="OCPI connector type; any with this plug (OCPP 2)",
    )
    starts_at = serializers.DateTimeField(allow_null=True, required=False, help_text="None: now")
    expires_at = serializers.DateTimeField(required=False)
    minutes = serializers.IntegerField(
        min_value=1, max_value=1440, required=False, help_text="Instead of an end"
    )


class ReservationChange(In):
    expires_at = serializers.DateTimeField()


class CancelIn(In):
    reason = serializers.CharField(max_length=200, allow_blank=True, required=False, default="")


class ReservationFilter(Filters):
    station_id = IdFilter()
    site_id = IdFilter()
    driver_id = IdFilter()
    state = django_filters.ChoiceFilter(choices=ReservationState.choices)
    live = django_filters.BooleanFilter(method="alive", help_text="Not over yet")

    def alive(self, rows: QuerySet[Reservation], _name: str, wanted: bool) -> QuerySet[Reservation]:
        over = ~Q(state__in=LIVE_RESERVATIONS)
        return rows.exclude(over) if wanted else rows.filter(over)


class ReservationView(TenantView):
    def rows(self) -> QuerySet[Reservation]:
        return visible.reservations(self.tenant_id, self.actor).select_related("evse", "station", "driver")

    def reservation(self) -> Reservation:
        return self.one(self.rows(), pk=self.kwargs["reservation_id"])


class ReservationList(ReservationView):
    """Reservations, the latest first."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=ReservationOut, many=True, says="List reservations"),
        "POST": Verb(
            Permission.STATION_COMMAND, takes=ReservationIn, gives=ReservationOut, status=201, says="Reserve"
        ),
    }
    filterset_class = ReservationFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given = self.given()
        self.row_for(given, "station", visible.stations(self.tenant_id, self.actor))
        minutes = given.pop("minutes", None)
        if (minutes is None) == (given.get("expires_at") is None):
            raise Invalid(fields={"expires_at": "Give an end or a number of minutes."})
        if minutes is not None:
            begin = max(given.get("starts_at") or timezone.now(), timezone.now())
            given["expires_at"] = begin + timedelta(minutes=minutes)
        return self.answer(reservations.reserve(actor=self.actor, **given))


class ReservationOne(ReservationView):
    """One reservation."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=ReservationOut, says="Read a reservation"),
        "PATCH": Verb(
            Permission.STATION_COMMAND,
            takes=ReservationChange,
            gives=ReservationOut,
            says="Give it another end",
        ),
    }

    def get(self, request: Request, reservation_id: int) -> Response:
        return self.answer(self.reservation())

    def patch(self, request: Request, reservation_id: int) -> Response:
        given = self.given()
        if "expires_at" not in given:
            return self.answer(self.reservation())
        return self.answer(
            reservations.extend(
                reservation=self.reservation(), actor=self.actor, expires_at=given["expires_at"]
            )
        )


class ReservationCancel(ReservationView):
    """Give the place free."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND, takes=CancelIn, gives=ReservationOut, says="Cancel a reservation"
        )
    }

    def post(self, request: Request, reservation_id: int) -> Response:
        given = self.given()
        return self.answer(
            reservations.cancel(reservation=self.reservation(), actor=self.actor, reason=given["reason"])
        )
