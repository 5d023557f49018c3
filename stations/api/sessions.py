"""Charging sessions with their price, curve and events."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.models import Charge
from fleets.models import Verdict
from stations import circumstances, history, visible
from stations.models import Reading, Session, SessionEvent, SessionState
from stations.services import review
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb

MONEY = ("cost_incl_tax", "currency", "charge")


class SessionOut(Out):
    class Meta:
        model = Session
        fields = [
            "id",
            "station_id",
            "evse_id",
            "connector_id",
            "site_id",
            "transaction_id",
            "state",
            "token_uid",
            "token_id",
            "driver_id",
            "fleet_id",
            "verdict",
            "stop_token_uid",
            "started_at",
            "ended_at",
            "meter_start_wh",
            "meter_stop_wh",
            "energy_wh",
            "power_w",
            "soc_percent",
            "last_reading_at",
            "charging_state",
            "stop_reason",
            "flags",
            "held_reason",
            "cost_incl_tax",
            "currency",
            "remote_command_id",
        ]

    def to_representation(self, session: Session) -> Any:
        """Prices are for those who may see money."""
        shown = super().to_representation(session)
        if self.context["actor"].may(Permission.MONEY_VIEW):
            return shown
        return {name: value for name, value in shown.items() if name not in MONEY}


class PriceLines(Out):
    class Meta:
        model = Charge
        fields = ["id", "state", "lines", "currency", "energy_wh", "excl_tax", "tax", "incl_tax", "rated_at"]


class SessionDetail(SessionOut):
    charge = serializers.SerializerMethodField()
    circumstances = serializers.SerializerMethodField(
        help_text="As the station tells: phases, cable_a (A), charging_s (s), mode, battery, asleep"
    )

    class Meta(SessionOut.Meta):
        fields = [*SessionOut.Meta.fields, "charge", "circumstances"]

    @extend_schema_field(PriceLines(allow_null=True))
    def get_charge(self, session: Session) -> Any:
        charge = Charge.objects.filter(tenant_id=session.tenant_id, subject=f"session:{session.pk}").first()
        return PriceLines(charge).data if charge else None

    def get_circumstances(self, session: Session) -> dict[str, Any]:
        return circumstances.of_session(session)


class ReadingOut(Out):
    class Meta:
        model = Reading
        fields = [
            "id",
            "sampled_at",
            "raw_timestamp",
            "received_at",
            "context",
            "energy_wh",
            "power_w",
            "current_a",
            "voltage_v",
            "soc_percent",
            "offered_w",
            "flags",
        ]


class CurveOut(serializers.Serializer[Any]):
    results = ReadingOut(many=True)


class SessionEventOut(Out):
    class Meta:
        model = SessionEvent
        fields = [
            "id",
            "kind",
            "trigger",
            "seq_no",
            "occurred_at",
            "raw_timestamp",
            "received_at",
            "offline",
            "payload",
        ]


class ReleaseIn(In):
    energy_wh = serializers.DecimalField(
        16, 3, min_value=0, allow_null=True, required=False, help_text="Left out: its own figures"
    )


class SessionVoidIn(In):
    reason = serializers.CharField(max_length=200)


class SessionFilter(Filters):
    state = django_filters.MultipleChoiceFilter(choices=SessionState.choices)
    station_id = IdFilter()
    site_id = IdFilter()
    driver_id = IdFilter()
    fleet_id = IdFilter()
    token_uid = django_filters.CharFilter(method="of_token")
    transaction_id = django_filters.CharFilter()
    verdict = django_filters.ChoiceFilter(choices=Verdict.choices)
    started_after = django_filters.IsoDateTimeFilter("started_at", lookup_expr="gte")
    started_before = django_filters.IsoDateTimeFilter("started_at", lookup_expr="lt")
    ended_after = django_filters.IsoDateTimeFilter("ended_at", lookup_expr="gte")
    ended_before = django_filters.IsoDateTimeFilter("ended_at", lookup_expr="lt")

    def of_token(self, rows: QuerySet[Session], _name: str, uid: str) -> QuerySet[Session]:
        return rows.filter(token_uid=uid.upper())


class SessionView(TenantView):
    def rows(self) -> QuerySet[Session]:
        return visible.sessions(self.tenant_id, self.actor)

    def session(self) -> Session:
        return self.one(visible.sessions(self.tenant_id, self.actor), pk=self.kwargs["session_id"])


class SessionList(SessionView):
    """Charging sessions, newest first."""

    verbs = {"GET": Verb(Permission.SESSION_VIEW, gives=SessionOut, many=True, says="List sessions")}
    filterset_class = SessionFilter

    def get(self, request: Request) -> Response:
        return self.page()


class SessionOne(SessionView):
    """One session with the lines of its price."""

    verbs = {"GET": Verb(Permission.SESSION_VIEW, gives=SessionDetail, says="Read a session")}

    def get(self, request: Request, session_id: int) -> Response:
        return self.answer(self.session())


class SessionRelease(SessionView):
    """Let a held session be priced, with its own figures or with the energy that a person has found out."""

    verbs = {
        "POST": Verb(
            Permission.SESSION_REVIEW, takes=ReleaseIn, gives=SessionDetail, says="Release a held session"
        )
    }

    def post(self, request: Request, session_id: int) -> Response:
        return self.answer(review.release_held(session=self.session(), actor=self.actor, **self.given()))


class SessionVoid(SessionView):
    """This session is never billed; a charge that was made for it is taken back."""

    verbs = {
        "POST": Verb(
            Permission.SESSION_REVIEW, takes=SessionVoidIn, gives=SessionDetail, says="Void a session"
        )
    }

    def post(self, request: Request, session_id: int) -> Response:
        return self.answer(review.void(session=self.session(), actor=self.actor, **self.given()))


class SessionReadings(SessionView):
    """The curve of a session: energy register, power, current, voltage, state of charge, oldest first."""

    verbs = {"GET": Verb(Permission.SESSION_VIEW, gives=CurveOut, says="Read a session's curve")}

    def get(self, request: Request, session_id: int) -> Response:
        return self.answer({"results": history.readings(self.session())})


class SessionEvents(SessionView):
    """Starts, updates and stops as the station told them."""

    verbs = {
        "GET": Verb(Permission.SESSION_VIEW, gives=SessionEventOut, many=True, says="List a session's events")
    }

    def rows(self) -> QuerySet[SessionEvent]:  # type: ignore[override]
        return SessionEvent.objects.filter(tenant_id=self.tenant_id, session=self.session())

    def get(self, request: Request, session_id: int) -> Response:
        return self.page()
