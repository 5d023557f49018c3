"""Uptime of ports, excluded times, and reports."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations.models import Connector, Exclusion, ExclusionCategory, PortMonth, UptimeReport, UptimeScheme
from stations.services import exclusions, uptime, uptime_reports
from tenants import queries as tenants
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class PortMonthOut(Out):
    evse_number = serializers.IntegerField(source="evse.number")
    us_percent = serializers.SerializerMethodField()
    uk_percent = serializers.SerializerMethodField()
    effective_percent = serializers.SerializerMethodField()

    class Meta:
        model = PortMonth
        fields = [
            "id", "station_id", "evse_id", "evse_number", "month", "month_s", "period_s", "unknown_s", "outage_s",
            "excluded_s", "failed_s", "uk_period_s", "uk_down_s", "starts", "failed_starts", "outages", "final",
            "computed_at", "us_percent", "uk_percent", "effective_percent",
        ]  # fmt: skip

    def _percent(self, row: PortMonth, scheme: str) -> str | None:
        found = uptime.total([row], scheme).percent
        return None if found is None else str(found)

    def get_us_percent(self, row: PortMonth) -> str | None:
        return self._percent(row, UptimeScheme.US)

    def get_uk_percent(self, row: PortMonth) -> str | None:
        return self._percent(row, UptimeScheme.UK)

    def get_effective_percent(self, row: PortMonth) -> str | None:
        return self._percent(row, UptimeScheme.EFFECTIVE)


class PortMonthFilter(Filters):
    month = django_filters.DateFilter()
    station_id = IdFilter()
    site_id = IdFilter("station__site_id")


class PortMonthList(TenantView):
    """Months of ports in seconds, and what they come to under each rule. docs/health.md says how they are computed."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=PortMonthOut, many=True, says="List uptime by port and month"
        )
    }
    filterset_class = PortMonthFilter

    def rows(self) -> QuerySet[PortMonth]:
        seen = visible.stations(self.tenant_id, self.actor)
        found = PortMonth.objects.filter(tenant_id=self.tenant_id).select_related("evse")
        return found if self.actor.site_ids is None else found.filter(station__in=seen)

    def get(self, request: Request) -> Response:
        return self.page()


class ExclusionOut(Out):
    class Meta:
        model = Exclusion
        fields = [
            "id", "category", "site_id", "station_id", "connector_id", "starts_at", "ends_at", "evidence", "reference",
            "entered_by", "entered_at", "withdrawn_at", "withdrawn_by", "withdrawn_reason",
        ]  # fmt: skip


_ID: dict[str, Any] = {"min_value": 1, "max_value": 2**63 - 1}


class ExclusionIn(In):
    category = serializers.ChoiceField(ExclusionCategory.choices)
    site_id = serializers.IntegerField(**_ID)
    station_id = serializers.IntegerField(**_ID, required=False, allow_null=True)
    connector_id = serializers.IntegerField(**_ID, required=False, allow_null=True)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    evidence = serializers.CharField(max_length=2000)
    reference = serializers.CharField(max_length=400, required=False, allow_blank=True)


class WithdrawIn(In):
    reason = serializers.CharField(max_length=400)


class ExclusionFilter(Filters):
    category = django_filters.ChoiceFilter(choices=ExclusionCategory.choices)
    site_id = IdFilter()
    station_id = IdFilter()


class ExclusionView(TenantView):
    def rows(self) -> QuerySet[Exclusion]:
        found = Exclusion.objects.filter(tenant_id=self.tenant_id).select_related(
            "site", "station", "connector"
        )
        return found if self.actor.site_ids is None else found.filter(site_id__in=self.actor.site_ids)


class ExclusionList(ExclusionView):
    """Times that do not count as outage, each with its evidence."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=ExclusionOut, many=True, says="List excluded times"),
        "POST": Verb(
            Permission.STATION_EDIT,
            takes=ExclusionIn,
            gives=ExclusionOut,
            status=201,
            says="Enter an excluded time",
        ),
    }
    filterset_class = ExclusionFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given = self.given()
        stations = visible.stations(self.tenant_id, self.actor)
        self.row_for(given, "site", tenants.sites(self.tenant_id, self.actor))
        self.row_for(given, "station", stations)
        connectors = Connector.objects.filter(tenant_id=self.tenant_id, evse__station__in=stations)
        self.row_for(given, "connector", connectors.select_related("evse"))
        return self.answer(exclusions.enter(tenant_id=self.tenant_id, actor=self.actor, **given))


class ExclusionOne(ExclusionView):
    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=ExclusionOut, says="Read an excluded time")}

    def get(self, request: Request, exclusion_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=exclusion_id))


class ExclusionWithdraw(ExclusionView):
    """It counts no longer; the row stays with who withdrew it and why."""

    verbs = {
        "POST": Verb(
            Permission.STATION_EDIT, takes=WithdrawIn, gives=ExclusionOut, says="Withdraw an excluded time"
        )
    }

    def post(self, request: Request, exclusion_id: int) -> Response:
        found = self.one(self.rows(), pk=exclusion_id)
        return self.answer(exclusions.withdraw(exclusion=found, actor=self.actor, **self.given()))


class UptimeReportOut(Out):
    class Meta:
        model = UptimeReport
        fields = ["id", "scheme", "month", "site_id", "percent", "ports", "below", "made_by", "made_at"]


class UptimeReportIn(In):
    scheme = serializers.ChoiceField(UptimeScheme.choices)
    month = serializers.DateField(help_text="The first day of the month")
    site_id = serializers.IntegerField(**_ID, required=False, allow_null=True)


class UptimeReportView(TenantView):
    def rows(self) -> QuerySet[UptimeReport]:
        found = UptimeReport.objects.filter(tenant_id=self.tenant_id).defer("csv", "pdf")
        return found if self.actor.site_ids is None else found.filter(site_id__in=self.actor.site_ids)


class UptimeReportList(UptimeReportView):
    """Reports as they were made. Each month one is made by itself, a week after its end."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=UptimeReportOut, many=True, says="List uptime reports"),
        "POST": Verb(
            Permission.STATION_EDIT,
            takes=UptimeReportIn,
            gives=UptimeReportOut,
            status=201,
            says="Make an uptime report",
        ),
    }

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given = self.given()
        self.row_for(given, "site", tenants.sites(self.tenant_id, self.actor))
        return self.answer(uptime_reports.make(tenant_id=self.tenant_id, actor=self.actor, **given))


class UptimeReportOne(UptimeReportView):
    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=UptimeReportOut, says="Read about an uptime report")}

    def get(self, request: Request, report_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=report_id))


_FILE = OpenApiResponse(OpenApiTypes.BINARY, "The file")


class UptimeReportCsv(UptimeReportView):
    """The report as CSV: a line a port."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=_FILE, says="Download an uptime report as CSV")}

    def get(self, request: Request, report_id: int) -> HttpResponse:
        found = self.one(self.rows().defer(None), pk=report_id)
        return HttpResponse(found.csv, content_type="text/csv; charset=utf-8")


class UptimeReportPdf(UptimeReportView):
    """The report as PDF, to be signed and sent."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=_FILE, says="Download an uptime report as PDF")}

    def get(self, request: Request, report_id: int) -> HttpResponse:
        found = self.one(self.rows().defer(None), pk=report_id)
        return HttpResponse(bytes(found.pdf), content_type="application/pdf")
