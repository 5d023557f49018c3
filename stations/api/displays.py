"""Messages on displays: written once for many stations, with what became of them at each."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations.api.common import BelowStation
from stations.models import (
    DisplayFormat,
    DisplayMessage,
    DisplayNotice,
    DisplayPriority,
    DisplayStanding,
    DisplayState,
)
from stations.services import displays
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class MessageOut(Out):
    class Meta:
        model = DisplayMessage
        fields = [
            "id",
            "station_id",
            "notice_id",
            "number",
            "contents",
            "priority",
            "state",
            "starts_at",
            "ends_at",
            "transaction_id",
            "evse_number",
            "standing",
            "detail",
            "command_id",
            "told_at",
            "created_at",
        ]


class NoticeOut(Out):
    class Meta:
        model = DisplayNotice
        fields = [
            "id",
            "contents",
            "priority",
            "state",
            "starts_at",
            "ends_at",
            "transaction_id",
            "evse_number",
            "written_by",
            "created_at",
            "withdrawn_at",
        ]


class NoticeDetail(NoticeOut):
    messages = MessageOut(many=True, source="shown_copies")

    class Meta(NoticeOut.Meta):
        fields = [*NoticeOut.Meta.fields, "messages"]


class ContentIn(In):
    language = serializers.CharField(max_length=8, required=False, default="", allow_blank=True)
    format = serializers.ChoiceField(DisplayFormat.choices, required=False, default=DisplayFormat.UTF8)
    text = serializers.CharField(max_length=1024)


class NoticeIn(In):
    contents = ContentIn(many=True, help_text="The first is the main one; 2.0.1 shows that alone")
    priority = serializers.ChoiceField(
        DisplayPriority.choices, required=False, default=DisplayPriority.NORMAL_CYCLE
    )
    state = serializers.ChoiceField(DisplayState.choices, required=False, default="", allow_blank=True)
    starts_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    ends_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    transaction_id = serializers.CharField(max_length=36, required=False, default="", allow_blank=True)
    evse = serializers.IntegerField(min_value=0, max_value=999, required=False, default=0)
    station_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), required=False, default=list
    )
    site_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), required=False, default=list
    )


class NoticeView(TenantView):
    def rows(self) -> QuerySet[DisplayNotice]:
        rows = DisplayNotice.objects.filter(tenant_id=self.tenant_id)
        if self.actor.site_ids is None:
            return rows
        return rows.filter(copies__station__site_id__in=self.actor.site_ids).distinct()

    def notice(self) -> DisplayNotice:
        found: Any = self.one(self.rows(), pk=self.kwargs["notice_id"])
        seen = visible.stations(self.tenant_id, self.actor)
        found.shown_copies = DisplayMessage.objects.filter(
            tenant_id=self.tenant_id, notice=found, station__in=seen
        )
        return found


class NoticeList(NoticeView):
    """Messages written for displays, newest first. A POST sends one to stations, or to all stations of sites."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=NoticeOut, many=True, says="List messages for displays"),
        "POST": Verb(
            Permission.STATION_COMMAND, takes=NoticeIn, gives=NoticeDetail, status=201, says="Write a message"
        ),
    }

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given = self.given()
        ids, sites = given.pop("station_ids"), given.pop("site_ids")
        seen = visible.stations(self.tenant_id, self.actor)
        chosen = {
            station.pk: station
            for rows in (seen.filter(pk__in=ids), seen.filter(site_id__in=sites))
            for station in rows
        }
        written = displays.write(
            tenant_id=self.tenant_id, actor=self.actor, stations=chosen.values(), **given
        )
        self.kwargs["notice_id"] = written.pk
        return self.answer(self.notice())


class NoticeOne(NoticeView):
    """A message with what became of it at each station."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=NoticeDetail, says="Read a message for displays")}

    def get(self, request: Request, notice_id: int) -> Response:
        return self.answer(self.notice())


class NoticeWithdraw(NoticeView):
    """Take a message off all displays at the caller's sites."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND, takes=In, gives=NoticeDetail, says="Take a message off all displays"
        )
    }

    def post(self, request: Request, notice_id: int) -> Response:
        self.given()
        displays.withdraw(notice=self.notice(), actor=self.actor)
        return self.answer(self.notice())


class MessageFilter(Filters):
    notice_id = IdFilter()
    standing = django_filters.ChoiceFilter(choices=DisplayStanding.choices)


class StationMessages(BelowStation):
    """What is on the display of a station, as far as is known. The command `read_messages` asks the station."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=MessageOut, many=True, says="List messages on a display")
    }
    filterset_class = MessageFilter

    def rows(self) -> QuerySet[DisplayMessage]:
        return DisplayMessage.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()


class MessageView(BelowStation):
    def message(self) -> DisplayMessage:
        rows = DisplayMessage.objects.filter(tenant_id=self.tenant_id, station=self.station())
        return self.one(rows.select_related("station", "notice"), pk=self.kwargs["message_id"])


class MessageTakeOff(MessageView):
    """Take a message off one display."""

    verbs = {"POST": Verb(Permission.STATION_COMMAND, takes=In, gives=MessageOut, says="Take a message off")}

    def post(self, request: Request, station_id: int, message_id: int) -> Response:
        self.given()
        return self.answer(displays.take_off(message=self.message(), actor=self.actor))


class MessageSendAgain(MessageView):
    """Try a message again that was refused, missed or lost."""

    verbs = {
        "POST": Verb(Permission.STATION_COMMAND, takes=In, gives=MessageOut, says="Send a message again")
    }

    def post(self, request: Request, station_id: int, message_id: int) -> Response:
        self.given()
        return self.answer(displays.send_again(message=self.message(), actor=self.actor))
