"""Meters of a site, and their readings: those that a meter sends by itself, and what was read of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from energy.feeds import problems
from energy.models import MeterKind, MeterSample, MeterSource, SiteMeter
from energy.readings import Told
from energy.services import meters
from tenants import queries
from tenants.errors import Invalid
from tenants.models import Site
from tenants.permissions import Permission
from tenants.rest import Filters, In, Out, TenantView, Verb

MOST_READINGS = 1000  # of one call
MOST_LINES = 100_000  # of a CSV
FIELDS = ("amps", "watts", "at")


class MeterOut(Out):
    site_id = serializers.IntegerField(source="connection.site_id")
    error = serializers.SerializerMethodField(help_text="What is wrong with its feed; empty: nothing")
    has_secret = serializers.SerializerMethodField(help_text="A password is kept; it is never shown")

    class Meta:
        model = SiteMeter
        fields = [
            "id", "site_id", "node_id", "name", "kind", "source", "settings", "has_secret", "maximum_a", "enabled",
            "last_at", "last_a", "last_w", "error", "error_at",
        ]  # fmt: skip

    def get_error(self, meter: SiteMeter) -> str:
        return problems.said(meter.error)

    def get_has_secret(self, meter: SiteMeter) -> bool:
        return bool(meter.secret)


class MeterIn(In):
    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(MeterKind.choices, required=False)
    source = serializers.ChoiceField(MeterSource.choices, required=False)  # type: ignore[assignment]
    settings = serializers.DictField(required=False, help_text="Of its source: docs/load-management.md")
    secret = serializers.CharField(
        max_length=200, required=False, allow_blank=True, trim_whitespace=False, help_text="Of its broker"
    )
    node_id = serializers.IntegerField(required=False, allow_null=True, help_text="null: at the root")
    maximum_a = serializers.FloatField(
        required=False, allow_null=True, help_text="A per line, counted while it is silent or frozen"
    )
    enabled = serializers.BooleanField(required=False)


class _BelowSite(TenantView):
    def site(self) -> Site:
        return self.one(queries.sites(self.tenant_id, self.actor), pk=self.kwargs["site_id"])

    def meters(self) -> QuerySet[SiteMeter]:
        return SiteMeter.objects.select_related("connection").filter(
            tenant_id=self.tenant_id, connection__site=self.site()
        )

    def meter(self) -> SiteMeter:
        return self.one(self.meters(), pk=self.kwargs["meter_id"])

    def values(self) -> dict[str, Any]:
        """The body, with the node that it names."""
        given = self.given()
        if "node_id" in given:
            given["node"] = meters.node_of(
                tenant_id=self.tenant_id, site_id=self.kwargs["site_id"], node_id=given.pop("node_id")
            )
        return given


class SiteMeters(_BelowSite):
    """Meters of a site: the grid connection, the building, solar, a battery."""

    verbs = {
        "GET": Verb(Permission.SITE_VIEW, gives=MeterOut, many=True, says="List a site's meters"),
        "POST": Verb(Permission.LIMIT_SET, takes=MeterIn, gives=MeterOut, status=201, says="Enter a meter"),
    }

    def rows(self) -> QuerySet[SiteMeter]:
        return self.meters()

    def get(self, request: Request, site_id: int) -> Response:
        return self.page()

    def post(self, request: Request, site_id: int) -> Response:
        site = self.site()
        row = meters.create_meter(
            tenant_id=self.tenant_id, site_id=site.pk, actor=self.actor, **self.values()
        )
        return self.answer(row)


class SiteMeterOne(_BelowSite):
    """One meter. Its password can be set and never read."""

    verbs = {
        "GET": Verb(Permission.SITE_VIEW, gives=MeterOut, says="Read a meter"),
        "PATCH": Verb(Permission.LIMIT_SET, takes=MeterIn, gives=MeterOut, says="Change a meter"),
        "DELETE": Verb(Permission.LIMIT_SET, status=204, says="Remove a meter and its readings"),
    }

    def get(self, request: Request, site_id: int, meter_id: int) -> Response:
        return self.answer(self.meter())

    def patch(self, request: Request, site_id: int, meter_id: int) -> Response:
        row = meters.change_meter(meter=self.meter(), actor=self.actor, **self.values())
        return self.answer(row)

    def delete(self, request: Request, site_id: int, meter_id: int) -> Response:
        meters.remove_meter(meter=self.meter(), actor=self.actor)
        return self.answer()


# --- readings ---


class SampleOut(Out):
    class Meta:
        model = MeterSample
        fields = ["id", "at", "received_at", "amps", "watts"]


class ReadingIn(In):
    """One reading: amps, or watts, or both."""

    amps = serializers.ListField(
        child=serializers.FloatField(), required=False, max_length=3, help_text="A on each line"
    )
    watts = serializers.JSONField(
        required=False, help_text="W in total as a number, or on each line as a list"
    )
    at = serializers.CharField(required=False, help_text="ISO 8601, or seconds since 1970. Without: now")


class RefusedOut(serializers.Serializer[Any]):
    place = serializers.IntegerField(help_text="In the list, from 0")
    why = serializers.CharField()


class TakenOut(serializers.Serializer[Any]):
    kept = serializers.IntegerField()
    known = serializers.IntegerField(help_text="That were there already")
    refused = RefusedOut(many=True)


class SampleFilter(Filters):
    after = django_filters.IsoDateTimeFilter("at", lookup_expr="gte")
    before = django_filters.IsoDateTimeFilter("at", lookup_expr="lt")


class MeterReadings(_BelowSite):
    """Readings of a meter, newest first. A POST takes one, or a list of up to 1,000.

    What cannot be taken is refused one by one, with its place in the list; the others are kept. When none can be
    taken, the answer is 422. A reading of a time that is known already changes nothing, so sending again does no harm.
    """

    verbs = {
        "GET": Verb(Permission.SITE_VIEW, gives=SampleOut, many=True, says="List a meter's readings"),
        "POST": Verb(
            Permission.METER_SEND,
            takes=PolymorphicProxySerializer(
                component_name="Readings",
                serializers=[ReadingIn, ReadingIn(many=True)],
                resource_type_field_name=None,
                many=False,
            ),
            gives=TakenOut,
            says="Send readings of a meter",
        ),
    }
    filterset_class = SampleFilter

    def rows(self) -> QuerySet[MeterSample]:
        return MeterSample.objects.filter(tenant_id=self.tenant_id, meter=self.meter())

    def get(self, request: Request, site_id: int, meter_id: int) -> Response:
        return self.page()

    def post(self, request: Request, site_id: int, meter_id: int) -> Response:
        meter, body = self.meter(), request.data
        listed = body if isinstance(body, list) else [body]
        if not 0 < len(listed) <= MOST_READINGS:
            raise Invalid(f"Send one reading, or a list of 1 to {MOST_READINGS}.")
        if why := _not_by_rest(meter):
            raise Invalid(why)
        wrong = {place: why for place, one in enumerate(listed) if (why := _unreadable(one, FIELDS))}
        return self.answer(_take(self.tenant_id, listed, wrong, lambda _one: meter.pk, many=listed is body))


class MeterReadingIn(ReadingIn):
    meter_id = serializers.IntegerField()


class AllMeterReadings(TenantView):
    """Readings of many meters, of one or many sites, from a system that reads them for you: a list of up to 1,000.

    What cannot be taken is refused one by one, as for one meter; so are meters of sites that this key does not see.
    """

    verbs = {
        "POST": Verb(
            Permission.METER_SEND,
            takes=MeterReadingIn(many=True),
            gives=TakenOut,
            says="Send readings of many meters",
        )
    }

    def post(self, request: Request) -> Response:
        listed = request.data if isinstance(request.data, list) else []
        if not 0 < len(listed) <= MOST_READINGS:
            raise Invalid(f"Send a list of 1 to {MOST_READINGS} readings.")
        asked = {number for one in listed if (number := _meter_id(one)) is not None}
        known = SiteMeter.objects.filter(
            tenant_id=self.tenant_id, connection__site__in=queries.sites(self.tenant_id, self.actor)
        ).in_bulk(asked)
        wrong = {}
        for place, one in enumerate(listed):
            why = _unreadable(one, ("meter_id", *FIELDS))
            number = _meter_id(one)
            meter = None if number is None else known.get(number)
            if not why and number is None:
                why = "Name the meter by its meter_id."
            elif not why:
                why = _not_by_rest(meter) if meter else "There is no such meter."
            if why:
                wrong[place] = why
        return self.answer(_take(self.tenant_id, listed, wrong, lambda one: int(one["meter_id"]), many=True))


def _take(
    tenant_id: int, listed: list[Any], wrong: dict[int, str], meter_of: Callable[[Any], int], *, many: bool
) -> dict[str, Any]:
    """As TakenOut. `wrong`: by place, what cannot be read; Invalid where nothing can be taken."""
    places = [place for place in range(len(listed)) if place not in wrong]
    told = [
        Told(meter_of(one), one.get("amps"), one.get("watts"), one.get("at"))
        for one in (listed[place] for place in places)
    ]
    taken = meters.take(tenant_id=tenant_id, samples=told)
    wrong = wrong | {places[refused.place]: refused.why for refused in taken.refused}
    if len(wrong) == len(listed):
        raise Invalid(
            fields={(f"{place}" if many else "reading"): wrong[place] for place in sorted(wrong)[:20]}
        )
    refused = [{"place": place, "why": wrong[place]} for place in sorted(wrong)]
    return {"kept": taken.kept, "known": taken.known, "refused": refused}


def _meter_id(one: Any) -> int | None:
    number = one.get("meter_id") if isinstance(one, dict) else None
    usable = isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**63
    return number if usable else None


def _not_by_rest(meter: SiteMeter) -> str:
    if meter.source == MeterSource.REST:
        return ""
    return f"{meter.name} is read by {meter.get_source_display()}: it takes no readings by REST."


def _unreadable(one: Any, fields: tuple[str, ...]) -> str:
    """What is wrong with its shape; empty: nothing. What is in it the service says."""
    if not isinstance(one, dict):
        return "A reading is an object with amps or watts."
    if unknown := sorted(set(one) - set(fields)):
        return f"There is no field {unknown[0][:40]}. Known ones: {', '.join(fields)}."
    return ""


class _AnyAccept(BaseContentNegotiation):
    """A file is given whatever the Accept header says."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class MeterReadingsCsv(_BelowSite):
    """Readings as CSV, oldest first, at most 100,000 a call; go on with `after` of the last line."""

    verbs = {
        "GET": Verb(
            Permission.SITE_VIEW,
            gives=OpenApiTypes.STR,
            says="Export a meter's readings",
            parameters=[
                OpenApiParameter("after", OpenApiTypes.DATETIME, description="At or after"),
                OpenApiParameter("before", OpenApiTypes.DATETIME, description="Before"),
            ],
        )
    }
    content_negotiation_class = _AnyAccept

    def get(self, request: Request, site_id: int, meter_id: int) -> HttpResponse:
        meter = self.meter()
        chosen = SampleFilter(
            request.query_params, MeterSample.objects.filter(tenant_id=self.tenant_id, meter=meter)
        )
        if not chosen.is_valid():
            raise Invalid(fields={name: " ".join(map(str, texts)) for name, texts in chosen.errors.items()})
        response = HttpResponse("".join(_lines(chosen.qs)), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="meter-{meter.pk}.csv"'
        return response


def _lines(samples: QuerySet[MeterSample]) -> Iterator[str]:
    """All cells are times and numbers: there is nothing to quote."""
    yield "at,received_at,l1_a,l2_a,l3_a,watts\r\n"
    rows = samples.order_by("at").values_list("at", "received_at", "amps", "watts")[:MOST_LINES]
    for at, received_at, amps, watts in rows.iterator(chunk_size=5000):
        cells = [f"{value:.3f}" for value in amps[:3]] + [""] * (3 - len(amps))
        total = "" if watts is None else f"{watts:.1f}"
        yield f"{at.isoformat()},{received_at.isoformat()},{','.join(cells)},{total}\r\n"
