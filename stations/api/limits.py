"""How much a station may give: limits set now or daily, profiles, what holds, limits of others, cars' wishes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations import limits, schedules, visible
from stations.api.commands import CommandOut
from stations.api.common import BelowStation
from stations.models import (
    ChargingProfile,
    LimitSource,
    PowerConstraint,
    ProfileKind,
    ProfileState,
    Purpose,
    Session,
    SessionPower,
)
from stations.services import constraints, dynamic, needs, priority, profiles, wishes
from tenants.errors import Invalid
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb

AMPS_HELP = "A per phase; give either this or power_w"


class ProfileOut(Out):
    class Meta:
        model = ChargingProfile
        fields = [
            "id", "station_id", "evse_number", "number", "purpose", "kind", "recurrency", "stack_level", "unit",
            "periods", "starts_at", "duration_s", "valid_from", "valid_to", "min_rate", "more", "transaction_id",
            "session_id", "source", "intent", "label", "state", "reason", "command_id", "created_at", "settled_at",
            "ended_at", "told_at", "updated_at",
        ]  # fmt: skip


class PeriodIn(In):
    start_s = serializers.IntegerField(min_value=0, max_value=10**8)
    limit = serializers.FloatField(min_value=0, max_value=1e7, required=False)
    phases = serializers.IntegerField(min_value=1, max_value=3, required=False)
    phase_to_use = serializers.IntegerField(min_value=1, max_value=3, required=False)
    discharge_limit = serializers.FloatField(min_value=-1e7, max_value=0, required=False)
    setpoint = serializers.FloatField(min_value=-1e7, max_value=1e7, required=False)
    mode = serializers.CharField(max_length=24, required=False)


class ProfileIn(In):
    evse = serializers.IntegerField(min_value=0, max_value=999, required=False, default=0)
    purpose = serializers.ChoiceField(
        [purpose for purpose in Purpose.choices if purpose[0] != Purpose.EXTERNAL]
    )
    kind = serializers.ChoiceField(ProfileKind.choices, required=False, default=ProfileKind.ABSOLUTE)
    unit = serializers.ChoiceField(["A", "W"], required=False, default="A", help_text="A per phase, or W")
    stack_level = serializers.IntegerField(min_value=0, max_value=10**6, required=False, default=0)
    recurrency = serializers.ChoiceField(["daily", "weekly"], required=False)
    starts_at = serializers.DateTimeField(required=False)
    duration_s = serializers.IntegerField(min_value=1, max_value=10**8, required=False)
    valid_from = serializers.DateTimeField(required=False)
    valid_to = serializers.DateTimeField(required=False)
    min_rate = serializers.FloatField(min_value=0, max_value=1e7, required=False)
    transaction_id = serializers.CharField(max_length=36, required=False)
    periods = PeriodIn(many=True, max_length=1024)  # type: ignore[call-arg]


class ProfileFilter(Filters):
    state = django_filters.ChoiceFilter(choices=ProfileState.choices)
    purpose = django_filters.ChoiceFilter(choices=Purpose.choices)
    evse_number = django_filters.NumberFilter()


def profiles_of(view: TenantView) -> QuerySet[ChargingProfile]:
    rows = ChargingProfile.objects.filter(tenant_id=view.tenant_id)
    if view.actor.site_ids is None:
        return rows
    return rows.filter(station__in=visible.stations(view.tenant_id, view.actor))


class StationProfiles(BelowStation):
    """Charging profiles of a station with their life. A POST sends one; limits are easier by `/limits`."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=ProfileOut, many=True, says="List a station's charging profiles"
        ),
        "POST": Verb(
            Permission.STATION_COMMAND,
            takes=ProfileIn,
            gives=ProfileOut,
            status=201,
            says="Send a charging profile",
        ),
    }
    filterset_class = ProfileFilter

    def rows(self) -> QuerySet[ChargingProfile]:
        return profiles_of(self).filter(station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        given = self.given()
        given["periods"] = tuple(schedules.read_period(period) for period in given["periods"])
        row = profiles.install(
            tenant_id=self.tenant_id,
            station_id=self.station().pk,
            profile=schedules.Profile(**given),
            actor=self.actor,
        )
        return self.answer(row)


class ProfileOne(TenantView):
    """One charging profile."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=ProfileOut, says="Read a charging profile")}

    def get(self, request: Request, profile_id: int) -> Response:
        return self.answer(self.one(profiles_of(self), pk=profile_id))


class ProfileClear(TenantView):
    """Have a profile taken out of its station: gives the command that asks for it."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND,
            takes=In,
            gives=CommandOut,
            status=202,
            says="Clear a charging profile",
        )
    }

    def post(self, request: Request, profile_id: int) -> Response:
        self.given()
        row = self.one(profiles_of(self), pk=profile_id)
        return self.answer(profiles.clear(tenant_id=self.tenant_id, profile_id=row.pk, actor=self.actor))


class ValuesIn(In):
    values = serializers.DictField(
        child=serializers.FloatField(),
        help_text=f"Some of {', '.join(dynamic.VALUES)}, in the profile's unit",
    )


class ProfileUpdate(TenantView):
    """Change a dynamic limit as it goes (OCPP 2.1): pushed now, and what the station fetches from now on."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND,
            takes=ValuesIn,
            gives=CommandOut,
            status=202,
            says="Change a dynamic limit",
        )
    }

    def post(self, request: Request, profile_id: int) -> Response:
        given = self.given()
        row = self.one(profiles_of(self), pk=profile_id)
        return self.answer(
            dynamic.update(tenant_id=self.tenant_id, profile_id=row.pk, actor=self.actor, **given)
        )


class DynamicIn(ValuesIn):
    evse = serializers.IntegerField(min_value=1, max_value=999)
    unit = serializers.ChoiceField(["A", "W"], required=False, default="W")
    mode = serializers.CharField(
        max_length=24, required=False, default="", help_text="Operation mode, such as central_setpoint"
    )
    interval_s = serializers.IntegerField(
        min_value=1, max_value=86_400, required=False, help_text="The station fetches the values so often"
    )


class StationDynamic(BelowStation):
    """A dynamic limit, or setpoint, for the session at a connector (OCPP 2.1)."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND,
            takes=DynamicIn,
            gives=ProfileOut,
            status=201,
            says="Begin a dynamic limit",
        )
    }

    def post(self, request: Request, station_id: int) -> Response:
        given = self.given()
        row = dynamic.begin(tenant_id=self.tenant_id, station_id=self.station().pk, actor=self.actor, **given)
        return self.answer(row)


class LimitIn(In):
    evse = serializers.IntegerField(
        min_value=0, max_value=999, required=False, default=0, help_text="0: the whole station"
    )
    amps = serializers.FloatField(min_value=0, max_value=100_000, required=False, help_text=AMPS_HELP)
    power_w = serializers.FloatField(min_value=0, max_value=10_000_000, required=False)
    until = serializers.DateTimeField(required=False, help_text="Without: until cleared")


class DailyIn(In):
    evse = serializers.IntegerField(min_value=0, max_value=999, required=False, default=0)
    amps = serializers.FloatField(min_value=0, max_value=100_000, required=False, help_text=AMPS_HELP)
    power_w = serializers.FloatField(min_value=0, max_value=10_000_000, required=False)
    begins = serializers.TimeField(help_text="In the site's time zone")
    ends = serializers.TimeField()


class SliceOut(serializers.Serializer[Any]):
    begins = serializers.DateTimeField()
    ends = serializers.DateTimeField()
    limit = serializers.FloatField(help_text="In `unit`")
    phases = serializers.IntegerField()
    power_w = serializers.FloatField()
    profile_id = serializers.IntegerField(allow_null=True, help_text="That binds; null: the hardware")
    constraint_id = serializers.IntegerField(allow_null=True)
    why = serializers.CharField()


class LimitDriftOut(serializers.Serializer[Any]):
    begins = serializers.DateTimeField()
    ends = serializers.DateTimeField()
    ours = serializers.FloatField()
    theirs = serializers.FloatField()
    unit = serializers.CharField()


class HoldingOut(serializers.Serializer[Any]):
    evse = serializers.IntegerField()
    unit = serializers.CharField()
    most = serializers.FloatField(help_text="What the hardware gives, in `unit`")
    schedule = SliceOut(many=True)
    drift = LimitDriftOut(
        many=True, allow_null=True, help_text="Where the station says otherwise; null: it was not asked"
    )


class LimitsOut(serializers.Serializer[Any]):
    """GET fills `holding`, POST `sent`."""

    holding = HoldingOut(many=True)
    sent = ProfileOut(many=True)


def holding(found: limits.Limits, evse: int) -> dict[str, Any]:
    unit = found.unit(evse)
    slices = found.composite(evse)
    end = found.now + limits.HORIZON
    told = []
    for place, one in enumerate(slices):
        row = found.rows.get(one.binding.number) if one.binding else None
        told.append(
            {
                "begins": found.now + timedelta(seconds=one.start_s),
                "ends": limits.until_end_of(slices, place, found.now, end),
                "limit": round(one.limit, 2),
                "phases": one.phases,
                "power_w": round(schedules.to_unit(one.limit, unit, schedules.WATTS, one.phases), 1),
                "profile_id": row.pk if isinstance(row, ChargingProfile) else None,
                "constraint_id": row.pk if isinstance(row, PowerConstraint) else None,
                "why": limits.why(row),
            }
        )
    hardware = found.calculation.evses.get(evse, found.calculation.whole)
    return {
        "evse": evse,
        "unit": unit,
        "most": hardware.in_unit(unit),
        "schedule": told,
        "drift": limits.drift(found, evse),
    }


class StationLimits(BelowStation):
    """What a station may give in the next 24 hours and why; a POST limits it from now on.

    At a connector, a limit is sent as the default of all sessions, and for a running session as a profile of its own:
    the answer lists what was sent.
    """

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW,
            gives=LimitsOut,
            says="Read what a station may give",
            parameters=[
                OpenApiParameter(
                    "evse", int, description="One connector, 0: the station; without: all of them"
                )
            ],
        ),
        "POST": Verb(
            Permission.STATION_COMMAND, takes=LimitIn, gives=LimitsOut, status=201, says="Limit a station now"
        ),
    }

    def get(self, request: Request, station_id: int) -> Response:
        found = limits.of_station(self.station())
        asked = request.query_params.get("evse")
        if asked is not None and not asked.isdecimal():
            raise Invalid(fields={"evse": "A number."})
        chosen = [0, *found.evses] if asked is None else [int(asked[:6])]
        return self.answer({"holding": [holding(found, evse) for evse in chosen], "sent": []})

    def post(self, request: Request, station_id: int) -> Response:
        sent = profiles.limit(
            tenant_id=self.tenant_id, station_id=self.station().pk, actor=self.actor, **self.given()
        )
        return self.answer({"holding": [], "sent": sent})


class StationDaily(BelowStation):
    """A limit that recurs every day between two times of the site's zone."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND,
            takes=DailyIn,
            gives=ProfileOut,
            status=201,
            says="Limit a station daily",
        )
    }

    def post(self, request: Request, station_id: int) -> Response:
        row = profiles.limit_daily(
            tenant_id=self.tenant_id, station_id=self.station().pk, actor=self.actor, **self.given()
        )
        return self.answer(row)


# --- limits of others ---


class ConstraintOut(Out):
    class Meta:
        model = PowerConstraint
        fields = [
            "id", "site_id", "station_id", "evse_number", "source", "unit", "periods", "starts_at", "ends_at",
            "grid_critical", "local_generation", "reference", "told_by", "label", "created_at", "cleared_at",
            "cleared_by",
        ]  # fmt: skip


class ConstraintIn(In):
    site_id = serializers.IntegerField(required=False, help_text="Either this or station_id")
    station_id = serializers.IntegerField(required=False)
    evse = serializers.IntegerField(min_value=0, max_value=999, required=False, default=0)
    source = serializers.ChoiceField(  # type: ignore[assignment]
        LimitSource.choices, required=False, default=LimitSource.GRID_OPERATOR
    )
    power_w = serializers.FloatField(min_value=0, max_value=1e9, required=False)
    amps = serializers.FloatField(min_value=0, max_value=1e6, required=False, help_text=AMPS_HELP)
    starts_at = serializers.DateTimeField(required=False, help_text="Without: now")
    ends_at = serializers.DateTimeField(required=False, help_text="Without: until taken back")
    reference = serializers.CharField(
        max_length=80,
        required=False,
        default="",
        help_text="Your own; one of the same place, source and reference is replaced",
    )


class ConstraintFilter(Filters):
    site_id = IdFilter()
    station_id = IdFilter()
    source = django_filters.ChoiceFilter(choices=LimitSource.choices)
    open = django_filters.BooleanFilter("cleared_at", lookup_expr="isnull", help_text="Not taken back")


def constraints_of(view: TenantView) -> QuerySet[PowerConstraint]:
    rows = PowerConstraint.objects.filter(tenant_id=view.tenant_id)
    return rows if view.actor.site_ids is None else rows.filter(site_id__in=view.actor.site_ids)


class ConstraintList(TenantView):
    """Limits that others set for sites and stations: a grid operator's dimming, an energy management, a partner."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=ConstraintOut, many=True, says="List limits from outside"),
        "POST": Verb(
            Permission.LIMIT_SET,
            takes=ConstraintIn,
            gives=ConstraintOut,
            status=201,
            says="Set a limit from outside",
        ),
    }
    filterset_class = ConstraintFilter

    def rows(self) -> QuerySet[PowerConstraint]:
        return constraints_of(self)

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(constraints.set_limit(tenant_id=self.tenant_id, actor=self.actor, **self.given()))


class ConstraintOne(TenantView):
    """One limit from outside."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=ConstraintOut, says="Read a limit from outside")}

    def get(self, request: Request, constraint_id: int) -> Response:
        return self.answer(self.one(constraints_of(self), pk=constraint_id))


class ConstraintClear(TenantView):
    """Take a limit from outside back."""

    verbs = {
        "POST": Verb(
            Permission.LIMIT_SET, takes=In, gives=ConstraintOut, says="Take a limit from outside back"
        )
    }

    def post(self, request: Request, constraint_id: int) -> Response:
        self.given()
        row = self.one(constraints_of(self), pk=constraint_id)
        return self.answer(
            constraints.clear(tenant_id=self.tenant_id, constraint_id=row.pk, actor=self.actor)
        )


# --- what a car wants and may have ---


class PowerOut(Out):
    class Meta:
        model = SessionPower
        fields = [
            "session_id", "station_id", "evse_number", "needs_at", "needs_answer", "energy_wh", "departure_at",
            "soc_percent", "target_soc_percent", "max_power_w", "max_current_a", "transfer", "transfers",
            "bidirectional", "most_periods", "plan_at", "plan_starts_at", "plan_unit", "plan", "plan_accepted",
            "priority", "priority_at", "priority_by", "allowed_transfers", "allowed_at", "wish_wh",
            "wish_departure_at", "wish_at", "wish_by",
        ]  # fmt: skip


class WishIn(In):
    energy_wh = serializers.FloatField(
        allow_null=True, min_value=wishes.LEAST_WH, max_value=wishes.MOST_WH, help_text="Of the whole session, at least"
    )  # fmt: skip
    departure_at = serializers.DateTimeField(allow_null=True)


class SessionWish(TenantView):
    """What the car of a session wants (ISO 15118), plans and may have, and what people want of it. Empty where nothing
    was told. What people say goes before what the car told; both null take it back."""

    verbs = {
        "GET": Verb(Permission.SESSION_VIEW, gives=PowerOut, says="Read what a session's car wants"),
        "POST": Verb(
            Permission.SESSION_VIEW, takes=WishIn, gives=PowerOut, says="Say what a session is to have, and until when"
        ),
    }  # fmt: skip

    def session(self) -> Session:
        found = visible.sessions(self.tenant_id, self.actor).select_related("evse", "driver")
        return self.one(found, pk=self.kwargs["running_id"])

    def get(self, request: Request, running_id: int) -> Response:
        session = self.session()
        row = needs.of_session(session) or SessionPower(
            tenant_id=self.tenant_id,
            station_id=session.station_id,
            evse_number=session.evse.number,
            session=session,
        )
        return self.answer(row)

    def post(self, request: Request, running_id: int) -> Response:
        return self.answer(wishes.wish(session=self.session(), actor=self.actor, **self.given()))


class PriorityIn(In):
    active = serializers.BooleanField()


class SessionPriority(TenantView):
    """Charge a session first, or no longer (OCPP 2.1)."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND,
            takes=PriorityIn,
            gives=CommandOut,
            status=202,
            says="Charge a session first",
        )
    }

    def post(self, request: Request, running_id: int) -> Response:
        given = self.given()
        session = self.one(visible.sessions(self.tenant_id, self.actor), pk=running_id)
        return self.answer(
            priority.switch(tenant_id=self.tenant_id, session_id=session.pk, actor=self.actor, **given)
        )


class TransferIn(In):
    transfers = serializers.ListField(
        child=serializers.ChoiceField(priority.TRANSFERS), min_length=1, max_length=11
    )


class SessionTransfer(TenantView):
    """Say which ways of energy transfer a session may use, such as bidirectional ones (OCPP 2.1)."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND,
            takes=TransferIn,
            gives=CommandOut,
            status=202,
            says="Allow a session ways of energy transfer",
        )
    }

    def post(self, request: Request, running_id: int) -> Response:
        given = self.given()
        session = self.one(visible.sessions(self.tenant_id, self.actor), pk=running_id)
        return self.answer(
            priority.allow(tenant_id=self.tenant_id, session_id=session.pk, actor=self.actor, **given)
        )
