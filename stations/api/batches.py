"""Orders to many stations at once."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations.models import CommandBatch, Order
from stations.services import batches
from tenants.permissions import Permission
from tenants.rest import Filters, In, Out, TenantView, Verb


class BatchOut(Out):
    states = serializers.SerializerMethodField(help_text="Commands of the order by their state")
    left_out = serializers.SerializerMethodField(
        help_text='[{"station": id, "why": "offline" | "busy" | "asked" | "refused", "detail": "..."}]'
    )

    class Meta:
        model = CommandBatch
        fields = ["id", "order", "also_busy", "started_by", "created_at", "states", "left_out"]

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_states(self, batch: CommandBatch) -> dict[str, int]:
        return self.context["states"].get(batch.pk, {})

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_left_out(self, batch: CommandBatch) -> list[dict[str, Any]]:
        return [entry for entry in batch.left_out if entry["station"] in self.context["seen"]]


class BatchIn(In):
    order = serializers.ChoiceField(Order.choices)
    station_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        min_length=1,
        max_length=batches.MOST_STATIONS,
    )
    also_busy = serializers.BooleanField(
        required=False, default=False, help_text="A restart may end running sessions"
    )


class AgainIn(In):
    also_busy = serializers.BooleanField(
        required=False, default=False, help_text="A restart may end sessions that run now"
    )


class BatchFilter(Filters):
    order = django_filters.ChoiceFilter(choices=Order.choices)


class BatchView(TenantView):
    def rows(self) -> QuerySet[CommandBatch]:
        return batches.seen_by(self.tenant_id, self.actor)

    def shown(self, thing: Any, *, many: bool = False) -> Any:
        listed: list[CommandBatch] = list(thing) if many else [thing]
        left_out = {entry["station"] for batch in listed for entry in batch.left_out}
        seen = visible.stations(self.tenant_id, self.actor).filter(pk__in=left_out)
        context = {
            "states": batches.states(self.tenant_id, self.actor, listed),
            "seen": set(seen.values_list("pk", flat=True)),
        }
        return BatchOut(listed if many else thing, many=many, context=context).data


class BatchList(BatchView):
    """Orders to many stations. Each station has a command of its own: list them by `commands?batch_id=`."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=BatchOut, many=True, says="List orders to many stations"),
        "POST": Verb(
            Permission.STATION_COMMAND, takes=BatchIn, gives=BatchOut, status=202, says="Order many stations"
        ),
    }
    filterset_class = BatchFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given = self.given()
        seen = visible.stations(self.tenant_id, self.actor)
        stations = self.rows_for("station_ids", given.pop("station_ids"), seen)
        return self.answer(
            batches.start(tenant_id=self.tenant_id, actor=self.actor, stations=stations, **given)
        )


class BatchOne(BatchView):
    """One order, and how far it is."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=BatchOut, says="Read an order to many stations")}

    def get(self, request: Request, batch_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=batch_id))


class BatchCancel(BatchView):
    """Take back what was not sent yet."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND, takes=In, gives=BatchOut, says="Cancel what waits of an order"
        )
    }

    def post(self, request: Request, batch_id: int) -> Response:
        self.given()
        batch = self.one(self.rows(), pk=batch_id)
        batches.cancel(batch=batch, actor=self.actor)
        return self.answer(batch)


class BatchAgain(BatchView):
    """The same order once more, to the stations that did not carry it out."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND,
            takes=AgainIn,
            gives=BatchOut,
            status=202,
            says="Order those again that failed",
        )
    }

    def post(self, request: Request, batch_id: int) -> Response:
        given = self.given()
        batch = self.one(self.rows(), pk=batch_id)
        return self.answer(batches.again(batch=batch, actor=self.actor, **given))
