"""The frame log of a station: searched by page, taken along as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from stations.api.common import BelowStation
from stations.models import Frame
from tenants.errors import Invalid
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, Out, Verb

EXPORT_LIMIT = 20_000
DIRECTIONS = (("in", "from the station"), ("out", "to the station"))


class FrameOut(Out):
    direction = serializers.SerializerMethodField()
    payload = serializers.SerializerMethodField()
    reply = serializers.SerializerMethodField()

    class Meta:
        model = Frame
        fields = [
            "id",
            "received_at",
            "direction",
            "ocpp_version",
            "message_type",
            "message_id",
            "action",
            "payload",
            "reply_type",
            "reply",
        ]

    def get_direction(self, frame: Frame) -> str:
        return "out" if frame.outbound else "in"

    def get_payload(self, frame: Frame) -> Any:
        return _parsed(frame.payload)

    def get_reply(self, frame: Frame) -> Any:
        return None if frame.reply is None else _parsed(frame.reply)


def _parsed(text: str) -> Any:
    """The frame as JSON, or as text where a station sent none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


class FrameFilter(Filters):
    action = django_filters.CharFilter()
    direction = django_filters.ChoiceFilter(choices=DIRECTIONS, method="going")
    message_id = django_filters.CharFilter()
    q = django_filters.CharFilter(method="search", help_text="Part of the payload or the reply")
    errors = django_filters.BooleanFilter(method="wrong", help_text="Only errors and unreadable frames")
    after = django_filters.IsoDateTimeFilter("received_at", lookup_expr="gte")
    before = django_filters.IsoDateTimeFilter("received_at", lookup_expr="lt")
    after_id = IdFilter("id", lookup_expr="gt")

    def going(self, rows: QuerySet[Frame], _name: str, direction: str) -> QuerySet[Frame]:
        return rows.filter(outbound=direction == "out")

    def search(self, rows: QuerySet[Frame], _name: str, text: str) -> QuerySet[Frame]:
        return rows.filter(Q(payload__icontains=text) | Q(reply__icontains=text))

    def wrong(self, rows: QuerySet[Frame], _name: str, wanted: bool) -> QuerySet[Frame]:
        bad = Q(message_type__in=(0, 4, 5)) | Q(reply_type=4)
        return rows.filter(bad) if wanted else rows.exclude(bad)


class FrameList(BelowStation):
    """OCPP frames of a station both ways, newest first, credentials masked."""

    verbs = {"GET": Verb(Permission.FRAME_VIEW, gives=FrameOut, many=True, says="Search the frame log")}
    filterset_class = FrameFilter

    def rows(self) -> QuerySet[Frame]:
        return Frame.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()


class _AnyAccept(BaseContentNegotiation):
    """A file is given whatever the Accept header says."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


def _parameter(name: str, kind: Any, says: str) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=says)


class FrameExport(BelowStation):
    """The frame log as JSON lines, oldest first, at most 20,000 a call; go on with `after_id` of the last line."""

    verbs = {
        "GET": Verb(
            Permission.FRAME_VIEW,
            gives=OpenApiTypes.STR,
            says="Export the frame log",
            parameters=[
                _parameter("action", OpenApiTypes.STR, "Only this action"),
                _parameter("direction", OpenApiTypes.STR, "in or out"),
                _parameter("after", OpenApiTypes.DATETIME, "Received at or after"),
                _parameter("before", OpenApiTypes.DATETIME, "Received before"),
                _parameter("after_id", OpenApiTypes.INT, "Only frames after this one"),
            ],
        )
    }
    content_negotiation_class = _AnyAccept

    def get(self, request: Request, station_id: int) -> HttpResponse:
        rows = Frame.objects.filter(tenant_id=self.tenant_id, station=self.station())
        chosen = FrameFilter(request.query_params, rows)
        if not chosen.is_valid():
            raise Invalid(fields={name: " ".join(map(str, texts)) for name, texts in chosen.errors.items()})
        response = HttpResponse(
            "".join(_lines(chosen.qs.order_by("id")[:EXPORT_LIMIT])),
            content_type="application/jsonl; charset=utf-8",
        )
        response["Content-Disposition"] = f'attachment; filename="frames-{station_id}.jsonl"'
        return response


def _lines(frames: QuerySet[Frame]) -> Iterator[str]:
    for frame in frames.iterator(chunk_size=2000):
        yield json.dumps(FrameOut(frame).data, ensure_ascii=False) + "\n"
