"""Configuration templates, drift and vendor profiles over REST."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations.api.configuration import KEY, VariableChangeOut
from stations.models import (
    ConfigurationRun,
    ConfigurationTemplate,
    DesiredSetting,
    DriftState,
    StationDrift,
    TemplateMode,
    VariableChange,
    VendorProfile,
)
from stations.services import desired, quirks, vendor_profiles
from tenants import queries as tenants
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb

_MATCH = [
    "id",
    "name",
    "vendor",
    "model",
    "firmware_from",
    "firmware_to",
    "enabled",
    "created_at",
    "updated_at",
]


class TemplateOut(Out):
    class Meta:
        model = ConfigurationTemplate
        fields = [*_MATCH, "site_id", "ocpp_versions", "priority", "mode", "settings"]


class MatchIn(In):
    name = serializers.CharField(max_length=120)
    vendor = serializers.CharField(max_length=64, required=False, allow_blank=True)
    model = serializers.CharField(
        max_length=64, required=False, allow_blank=True, help_text="* stands for anything"
    )
    firmware_from = serializers.CharField(max_length=64, required=False, allow_blank=True)
    firmware_to = serializers.CharField(max_length=64, required=False, allow_blank=True)
    enabled = serializers.BooleanField(required=False)


class TemplateIn(MatchIn):
    site_id = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=2**63 - 1)
    ocpp_versions = serializers.ListField(
        child=serializers.CharField(max_length=8), required=False, max_length=5
    )
    priority = serializers.IntegerField(min_value=0, max_value=100_000, required=False)
    mode = serializers.ChoiceField(TemplateMode.choices, required=False)
    settings = serializers.ListField(
        child=serializers.DictField(), max_length=200,
        help_text='[{"component": "OCPPCommCtrlr", "name": "HeartbeatInterval", "value": "300"}]',
    )  # fmt: skip


class TemplateView(TenantView):
    def rows(self) -> QuerySet[ConfigurationTemplate]:
        return visible.templates(self.tenant_id, self.actor)

    def template(self, template_id: int) -> ConfigurationTemplate:
        return self.one(self.rows(), pk=template_id)

    def values(self) -> dict[str, Any]:
        given = self.given()
        self.row_for(given, "site", tenants.sites(self.tenant_id, self.actor))
        return given


class TemplateList(TemplateView):
    """How stations shall be set. Saving one sends nothing; see its preview, and apply it."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=TemplateOut, many=True, says="List configuration templates"
        ),
        "POST": Verb(
            Permission.STATION_CONFIGURE,
            takes=TemplateIn,
            gives=TemplateOut,
            status=201,
            says="Make a template",
        ),
    }

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(desired.save_template(tenant_id=self.tenant_id, actor=self.actor, **self.values()))


class TemplateOne(TemplateView):
    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=TemplateOut, says="Read a template"),
        "PATCH": Verb(
            Permission.STATION_CONFIGURE, takes=TemplateIn, gives=TemplateOut, says="Change a template"
        ),
        "DELETE": Verb(Permission.STATION_CONFIGURE, status=204, says="Delete a template"),
    }

    def get(self, request: Request, template_id: int) -> Response:
        return self.answer(self.template(template_id))

    def patch(self, request: Request, template_id: int) -> Response:
        found = self.template(template_id)
        return self.answer(
            desired.save_template(tenant_id=self.tenant_id, actor=self.actor, template=found, **self.values())
        )

    def delete(self, request: Request, template_id: int) -> Response:
        desired.delete_template(template=self.template(template_id), actor=self.actor)
        return self.answer()


class ItemOut(serializers.Serializer[Any]):
    setting = serializers.CharField(source="title")
    actual = serializers.CharField(allow_null=True)
    wanted = serializers.CharField(source="wanted.setting.value")
    state = serializers.CharField()
    reason = serializers.CharField()


class DiffOut(serializers.Serializer[Any]):
    station_id = serializers.IntegerField(source="station.pk")
    station = serializers.CharField(source="station.identity")
    online = serializers.BooleanField(source="station.online")
    differing = ItemOut(many=True)


class TemplatePreviewOut(serializers.Serializer[Any]):
    stations = DiffOut(many=True)


class TemplatePreview(TemplateView):
    """What applying a template would change, station by station. Nothing is sent."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=TemplatePreviewOut, says="Preview a template")}

    def get(self, request: Request, template_id: int) -> Response:
        stations = visible.stations(self.tenant_id, self.actor).exclude(ocpp_version="")
        template = self.template(template_id)
        held = [station for station in stations if desired.matches(template, station)]
        diffs = desired.preview(template=template, stations=held[:2000])
        return self.answer({"stations": [diff for diff in diffs if diff.differing]})


class TemplateApplyIn(In):
    station_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=2**63 - 1), max_length=2000, min_length=1
    )


class RunOut(Out):
    changes = serializers.SerializerMethodField()

    class Meta:
        model = ConfigurationRun
        fields = [
            "id",
            "label",
            "template_id",
            "origin_kind",
            "origin_label",
            "stations",
            "waiting",
            "created_at",
            "changes",
        ]

    def get_changes(self, run: ConfigurationRun) -> dict[str, int]:
        return desired.progress(run)


class TemplateApply(TemplateView):
    """Ask stations for what a template wants. Answers with the run, whose changes can be watched."""

    verbs = {
        "POST": Verb(
            Permission.STATION_CONFIGURE,
            takes=TemplateApplyIn,
            gives=RunOut,
            status=202,
            says="Apply a template to stations",
        )
    }

    def post(self, request: Request, template_id: int) -> Response:
        given = self.given()
        return self.answer(desired.apply(template=self.template(template_id), actor=self.actor, **given))


class RunList(TenantView):
    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=RunOut, many=True, says="List configuration runs")}

    def rows(self) -> QuerySet[ConfigurationRun]:
        return visible.runs(self.tenant_id, self.actor)

    def get(self, request: Request) -> Response:
        return self.page()


class RunChanges(TenantView):
    """The changes of a run."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=VariableChangeOut, many=True, says="List the changes of a run"
        )
    }

    def rows(self) -> QuerySet[VariableChange]:
        run = self.one(visible.runs(self.tenant_id, self.actor), pk=self.kwargs["run_id"])
        seen = visible.stations(self.tenant_id, self.actor)
        return VariableChange.objects.filter(tenant_id=self.tenant_id, run=run, station__in=seen)

    def get(self, request: Request, run_id: int) -> Response:
        return self.page()


class DriftOut(Out):
    station = serializers.CharField(source="station.identity")

    class Meta:
        model = StationDrift
        fields = ["id", "station_id", "station", "state", "wanted", "drifted", "checked_at", "due_at"]


class DriftFilter(Filters):
    station_id = IdFilter()
    state = django_filters.ChoiceFilter(choices=DriftState.choices)


class DriftList(TenantView):
    """How stations stand against the templates."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=DriftOut, many=True, says="List the drift of stations")
    }
    filterset_class = DriftFilter

    def rows(self) -> QuerySet[StationDrift]:
        seen = visible.stations(self.tenant_id, self.actor)
        return StationDrift.objects.filter(tenant_id=self.tenant_id, station__in=seen).select_related(
            "station"
        )

    def get(self, request: Request) -> Response:
        return self.page()


class DesiredOut(Out):
    class Meta:
        model = DesiredSetting
        fields = [
            "id",
            "station_id",
            "template_id",
            *KEY,
            "wanted",
            "actual",
            "state",
            "reason",
            "attempts",
            "attempted_at",
        ]


class DesiredFilter(Filters):
    station_id = IdFilter()
    template_id = IdFilter()
    state = django_filters.ChoiceFilter(choices=DriftState.choices)


class DesiredList(TenantView):
    """Every setting that templates want of stations, and how it stands."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=DesiredOut, many=True, says="List wanted settings")}
    filterset_class = DesiredFilter

    def rows(self) -> QuerySet[DesiredSetting]:
        seen = visible.stations(self.tenant_id, self.actor)
        return DesiredSetting.objects.filter(tenant_id=self.tenant_id, station__in=seen)

    def get(self, request: Request) -> Response:
        return self.page()


# --- vendor profiles ---


class VendorProfileOut(Out):
    class Meta:
        model = VendorProfile
        fields = [*_MATCH, "shipped", "quirks", "notes"]


class VendorProfileIn(MatchIn):
    shipped = serializers.CharField(
        max_length=60, required=False, help_text="Takes the place of ours of this key"
    )
    quirks = serializers.DictField(help_text="See docs/configuration.md")
    notes = serializers.CharField(max_length=4000, required=False, allow_blank=True)


class VendorProfileView(TenantView):
    def rows(self) -> QuerySet[VendorProfile]:
        return VendorProfile.objects.filter(tenant_id=self.tenant_id)


class VendorProfileList(VendorProfileView):
    """A company's own profiles of charger models, and ours as it changed them."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=VendorProfileOut, many=True, says="List vendor profiles"),
        "POST": Verb(
            Permission.STATION_CONFIGURE, takes=VendorProfileIn, gives=VendorProfileOut, status=201,
            says="Make a vendor profile",
        ),
    }  # fmt: skip

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(vendor_profiles.save(tenant_id=self.tenant_id, actor=self.actor, **self.given()))


class VendorProfileOne(VendorProfileView):
    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=VendorProfileOut, says="Read a vendor profile"),
        "PATCH": Verb(
            Permission.STATION_CONFIGURE,
            takes=VendorProfileIn,
            gives=VendorProfileOut,
            says="Change a vendor profile",
        ),
        "DELETE": Verb(Permission.STATION_CONFIGURE, status=204, says="Delete a vendor profile"),
    }

    def get(self, request: Request, vendor_profile_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=vendor_profile_id))

    def patch(self, request: Request, vendor_profile_id: int) -> Response:
        found = self.one(self.rows(), pk=vendor_profile_id)
        return self.answer(
            vendor_profiles.save(tenant_id=self.tenant_id, actor=self.actor, profile=found, **self.given())
        )

    def delete(self, request: Request, vendor_profile_id: int) -> Response:
        vendor_profiles.delete(profile=self.one(self.rows(), pk=vendor_profile_id), actor=self.actor)
        return self.answer()


class ShippedOut(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()
    vendor = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    quirks = serializers.DictField()
    notes = serializers.CharField(required=False)


class ShippedListOut(serializers.Serializer[Any]):
    profiles = ShippedOut(many=True)


class VendorProfilesShipped(TenantView):
    """The profiles that come with the product."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=ShippedListOut, says="List the vendor profiles that come along"
        )
    }

    def get(self, request: Request) -> Response:
        return self.answer({"profiles": quirks.shipped()})
