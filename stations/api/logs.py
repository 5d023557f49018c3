"""Logs that stations upload: ask, follow, fetch."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations.api.common import BelowStation
from stations.models import LogFile, LogKind, LogRequest, LogState, Protocol
from stations.services.files import giving, logs
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class AnyAccept(BaseContentNegotiation):
    """A file is given whatever the Accept header says."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class LogFileOut(Out):
    class Meta:
        model = LogFile
        fields = [
            "id", "station_id", "request_id", "kind", "name", "size_bytes", "sha256", "content_type", "protocol",
            "received_at",
        ]  # fmt: skip


class LogOut(Out):
    files = LogFileOut(many=True)

    class Meta:
        model = LogRequest
        fields = [
            "id", "station_id", "kind", "protocol", "state", "command_id", "since", "until", "station_file",
            "station_word", "reason", "bytes_expected", "bytes_received", "retry_of_id", "origin_label", "created_at",
            "accepted_at", "uploading_at", "told_at", "arrived_at", "settled_at", "deadline_at", "files",
        ]  # fmt: skip


class LogIn(In):
    kind = serializers.ChoiceField(LogKind.choices, required=False, default=LogKind.DIAGNOSTICS)
    protocol = serializers.ChoiceField(
        Protocol.choices, required=False, default="", help_text="Default: the best that both sides speak"
    )
    since = serializers.DateTimeField(required=False, help_text="Default: 24 hours ago")
    until = serializers.DateTimeField(required=False)
    retry_of_id = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**63 - 1,
        help_text="A request that failed: the same log again",
    )


class LogTurn(In):
    state = serializers.ChoiceField([("cancelled", "cancelled")])


class LogFilter(Filters):
    station_id = IdFilter()
    kind = django_filters.ChoiceFilter(choices=LogKind.choices)
    state = django_filters.ChoiceFilter(choices=LogState.choices)


class LogFileFilter(Filters):
    station_id = IdFilter()
    kind = django_filters.ChoiceFilter(choices=LogKind.choices)
    name = django_filters.CharFilter(lookup_expr="icontains")


class StationLogs(BelowStation):
    """Logs of one station. A POST asks it to upload one here; watch the request, or the fact `log.received`."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=LogOut, many=True, says="List a station's logs"),
        "POST": Verb(
            Permission.STATION_COMMAND, takes=LogIn, gives=LogOut, status=202, says="Ask a station for a log"
        ),
    }
    filterset_class = LogFilter

    def rows(self) -> QuerySet[LogRequest]:
        return (
            visible.logs(self.tenant_id, self.actor).filter(station=self.station()).prefetch_related("files")
        )

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        station, given = self.station(), self.given()
        if number := given.pop("retry_of_id", None):
            failed = self.one(visible.logs(self.tenant_id, self.actor).filter(station=station), pk=number)
            again = logs.retry(asked=failed, actor=self.actor, protocol=given["protocol"])
            return self.answer(again)
        return self.answer(
            logs.request(tenant_id=self.tenant_id, station_id=station.pk, actor=self.actor, **given)
        )


class LogView(TenantView):
    def rows(self) -> QuerySet[LogRequest]:
        rows = visible.logs(self.tenant_id, self.actor)
        return rows.select_related("station").prefetch_related("files")


class LogList(LogView):
    """Logs of all stations, newest first."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=LogOut, many=True, says="List logs")}
    filterset_class = LogFilter

    def get(self, request: Request) -> Response:
        return self.page()


class LogOne(LogView):
    """One request with its files. `{"state": "cancelled"}` waits for it no longer."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=LogOut, says="Read a log request"),
        "PATCH": Verb(Permission.STATION_COMMAND, takes=LogTurn, gives=LogOut, says="Cancel a log request"),
    }

    def get(self, request: Request, log_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=log_id))

    def patch(self, request: Request, log_id: int) -> Response:
        asked = self.one(self.rows(), pk=log_id)
        if self.given():
            logs.cancel(asked=asked, actor=self.actor)
        return self.answer(self.one(self.rows(), pk=log_id))


class LogFileView(TenantView):
    def rows(self) -> QuerySet[LogFile]:
        return visible.log_files(self.tenant_id, self.actor).select_related("station")


class LogFileList(LogFileView):
    """Files that stations uploaded, newest first."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=LogFileOut, many=True, says="List log files")}
    filterset_class = LogFileFilter

    def get(self, request: Request) -> Response:
        return self.page()


class LogFileOne(LogFileView):
    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=LogFileOut, says="Read about a log file"),
        "DELETE": Verb(Permission.STATION_CONFIGURE, status=204, says="Delete a log file"),
    }

    def get(self, request: Request, log_file_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=log_file_id))

    def delete(self, request: Request, log_file_id: int) -> Response:
        logs.delete(file=self.one(self.rows(), pk=log_file_id), actor=self.actor)
        return self.answer()


class LogFileContent(LogFileView):
    """The file itself, byte by byte as the station sent it."""

    verbs = {"GET": Verb(Permission.FRAME_VIEW, gives=OpenApiTypes.BINARY, says="Download a log file")}
    content_negotiation_class = AnyAccept

    def get(self, request: Request, log_file_id: int) -> StreamingHttpResponse:
        file = self.one(self.rows(), pk=log_file_id)
        response = giving.attachment(file.storage_name, file.name, file.size_bytes)
        logs.downloaded(file=file, actor=self.actor)
        return response
