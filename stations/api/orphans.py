"""Stops and updates for sessions that are unknown here, kept for review."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations.api.sessions import SessionOut
from stations.models import OrphanMessage, SessionState
from stations.services import orphan_review
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class OrphanOut(Out):
    class Meta:
        model = OrphanMessage
        fields = [
            "id",
            "station_id",
            "action",
            "transaction_id",
            "payload",
            "received_at",
            "resolved_at",
            "resolution",
            "session_id",
        ]


class OrphanIn(In):
    resolution = serializers.CharField(max_length=200, help_text="What was found out")


class OutcomeOut(serializers.Serializer[Any]):
    """What a session would become by the stop."""

    state = serializers.ChoiceField(SessionState.choices)
    ended_at = serializers.DateTimeField(allow_null=True)
    energy_wh = serializers.DecimalField(16, 3)
    flags = serializers.ListField(child=serializers.CharField())
    held_reason = serializers.CharField(allow_blank=True)


class FitOut(serializers.Serializer[Any]):
    session = SessionOut()
    outcome = OutcomeOut()


class FitsOut(serializers.Serializer[Any]):
    results = FitOut(many=True)


class ApplyIn(In):
    session_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


class OrphanFilter(Filters):
    station_id = IdFilter()
    resolved = django_filters.BooleanFilter("resolved_at", lookup_expr="isnull", exclude=True)


class OrphanView(TenantView):
    def rows(self) -> QuerySet[OrphanMessage]:
        rows = OrphanMessage.objects.filter(tenant_id=self.tenant_id)
        if self.actor.site_ids is None:
            return rows
        return rows.filter(station__in=visible.stations(self.tenant_id, self.actor))


class OrphanList(OrphanView):
    """Messages about sessions that nobody knows, newest first."""

    verbs = {"GET": Verb(Permission.SESSION_VIEW, gives=OrphanOut, many=True, says="List orphan messages")}
    filterset_class = OrphanFilter

    def get(self, request: Request) -> Response:
        return self.page()


class OrphanOne(OrphanView):
    """One orphan message. Resolving it says that somebody has looked."""

    verbs = {
        "GET": Verb(Permission.SESSION_VIEW, gives=OrphanOut, says="Read an orphan message"),
        "PATCH": Verb(
            Permission.SESSION_REVIEW, takes=OrphanIn, gives=OrphanOut, says="Resolve an orphan message"
        ),
    }

    def get(self, request: Request, orphan_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=orphan_id))

    def patch(self, request: Request, orphan_id: int) -> Response:
        orphan = self.one(self.rows().select_related("station"), pk=orphan_id)
        given = self.given()
        return self.answer(
            orphan_review.resolve(orphan=orphan, actor=self.actor, resolution=given.get("resolution", ""))
        )


class OrphanSessions(OrphanView):
    """Sessions that a stop may belong to, newest first, and what each would become by it."""

    verbs = {
        "GET": Verb(Permission.SESSION_VIEW, gives=FitsOut, says="List the sessions that an orphan stop fits")
    }

    def get(self, request: Request, orphan_id: int) -> Response:
        orphan = self.one(self.rows(), pk=orphan_id)
        return self.answer({"results": orphan_review.fitting(orphan=orphan, actor=self.actor)})


class OrphanApply(OrphanView):
    """End a session by this stop, as if the station had told it for that session. Cannot be undone."""

    verbs = {
        "POST": Verb(
            Permission.SESSION_REVIEW,
            takes=ApplyIn,
            gives=OrphanOut,
            says="Apply an orphan stop to a session",
        )
    }

    def post(self, request: Request, orphan_id: int) -> Response:
        orphan = self.one(self.rows().select_related("station"), pk=orphan_id)
        given = self.given()
        self.row_for(given, "session", visible.sessions(self.tenant_id, self.actor))
        return self.answer(orphan_review.apply(orphan=orphan, actor=self.actor, **given))
