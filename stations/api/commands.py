"""Commands: asked of a station, waited for or polled."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations.api.common import BelowStation
from stations.models import Command, CommandKind, CommandState
from stations.services import commands
from tenants.context import tenant_scope
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb

LONGEST_WAIT_S = 60


class CommandOut(Out):
    class Meta:
        model = Command
        fields = [
            "id",
            "station_id",
            "kind",
            "arguments",
            "state",
            "urgent",
            "origin_kind",
            "origin_id",
            "origin_label",
            "batch_id",
            "action",
            "message_id",
            "request",
            "response",
            "answer",
            "detail",
            "created_at",
            "expires_at",
            "sent_at",
            "settled_at",
        ]

    def to_representation(self, command: Command) -> Any:
        shown = super().to_representation(command)
        told = {name: getattr(command, name) for name in ("arguments", "request", "response")}
        actor = self.context.get("actor")
        return shown | {name: commands.for_reader(command, value, actor) for name, value in told.items()}


class CommandIn(In):
    kind = serializers.ChoiceField(CommandKind.choices)
    arguments = serializers.DictField(
        required=False, default=dict, help_text="Sent as given; see docs/api.md"
    )
    urgent = serializers.BooleanField(required=False, default=False)
    expires_in_seconds = serializers.IntegerField(min_value=1, max_value=86_400, required=False, default=60)
    wait_seconds = serializers.FloatField(
        min_value=0,
        max_value=LONGEST_WAIT_S,
        required=False,
        default=0,
        help_text="Wait this long for the station's answer; 0: return at once",
    )


class CommandFilter(Filters):
    station_id = IdFilter()
    batch_id = IdFilter()
    kind = django_filters.ChoiceFilter(choices=CommandKind.choices)
    state = django_filters.ChoiceFilter(choices=CommandState.choices)


def of_actor(view: TenantView) -> QuerySet[Command]:
    seen = visible.stations(view.tenant_id, view.actor)
    rows = Command.objects.filter(tenant_id=view.tenant_id).select_related("station")
    return rows if view.actor.site_ids is None else rows.filter(station__in=seen)


class StationCommands(BelowStation):
    """Commands of one station. A POST answers 202 while the command is under way and 200 once it is settled."""

    # The wait must not hold a transaction open, so this endpoint opens its own, before and after.
    manages_transactions = True
    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=CommandOut, many=True, says="List a station's commands"),
        "POST": Verb(None, takes=CommandIn, gives=CommandOut, status=202, says="Send a command"),
    }
    filterset_class = CommandFilter

    def rows(self) -> QuerySet[Command]:
        return of_actor(self).filter(station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        with tenant_scope(self.tenant_id):
            return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        given = self.given()
        wait_seconds = given.pop("wait_seconds")
        with tenant_scope(self.tenant_id):
            command = commands.request_command(
                tenant_id=self.tenant_id, station_id=station_id, actor=self.actor, **given
            )
        if wait_seconds:
            command = commands.wait(
                tenant_id=self.tenant_id, command_id=command.pk, timeout_seconds=wait_seconds
            )
        return Response(self.shown(command), status=200 if command.settled else 202)


class CommandList(TenantView):
    """Commands of all stations, newest first."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=CommandOut, many=True, says="List commands")}
    filterset_class = CommandFilter

    def rows(self) -> QuerySet[Command]:
        return of_actor(self)

    def get(self, request: Request) -> Response:
        return self.page()


class CommandOne(TenantView):
    """One command with the station's whole answer."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=CommandOut, says="Read a command")}

    def get(self, request: Request, command_id: int) -> Response:
        return self.answer(self.one(of_actor(self), pk=command_id))


class CommandCancel(TenantView):
    """Take back a command that was not sent yet."""

    verbs = {"POST": Verb(Permission.STATION_COMMAND, takes=In, gives=CommandOut, says="Cancel a command")}

    def post(self, request: Request, command_id: int) -> Response:
        self.given()
        command = self.one(of_actor(self), pk=command_id)
        return self.answer(commands.cancel(command=command, actor=self.actor))
