"""Configuration templates: what stations shall be set to, where they drifted, and what applying would change."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from stations import visible
from stations.models import (
    ConfigurationTemplate,
    DesiredSetting,
    DriftState,
    Station,
    StationDrift,
    TemplateMode,
    Variable,
    VariableChange,
)
from stations.models.variable import title
from stations.services import configuration, desired
from stations.services.commands import is_secret
from stations.views.common import get_station
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.pages import PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission

MOST_PREVIEWED = 500
_LINE = re.compile(
    r"^(?:(?P<component>[^.\[\]#=]+)(?:\[(?P<component_instance>[^\]]*)\])?(?:#(?P<evse>\d{1,5})(?:\.(?P<connector>\d{1,5}))?)?\.)?"
    r"(?P<name>[^\[\]=]+?)(?:\[(?P<instance>[^\]]*)\])?(?:\s*\((?P<attribute>target|min|max)\))?\s*=\s*(?P<value>.*)$"
)


def read_lines(text: str) -> list[dict[str, Any]]:
    """Settings of lines such as `OCPPCommCtrlr.HeartbeatInterval = 300`. ValidationError names the line."""
    settings = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.match(line)
        if found is None:
            raise forms.ValidationError(
                _t("Line %(number)s: write Component.Setting = value, or Key = value.") % {"number": number}
            )
        told = {name: value for name, value in found.groupdict().items() if value}
        for place in ("evse", "connector"):
            if place in told:
                told[place] = int(told[place])
        settings.append({"value": "", **told})
    return settings


def write_lines(settings: Iterable[dict[str, Any]]) -> str:
    lines = []
    for told in settings:
        setting = configuration.read_setting(told)
        lines.append(f"{title(*setting.key)} = {setting.value}")
    return "\n".join(lines)


class TemplateForm(PortalForm):
    name = forms.CharField(label=_("Name"), max_length=120)
    vendor = forms.CharField(label=_("Vendor"), max_length=64, required=False)
    model = forms.CharField(
        label=_("Model"), max_length=64, required=False, help_text=_("* stands for anything: Terra*")
    )
    firmware_from = forms.CharField(label=_("Firmware from"), max_length=64, required=False)
    firmware_to = forms.CharField(label=_("Firmware to"), max_length=64, required=False)
    site = forms.ModelChoiceField(
        label=_("Site"), queryset=Site.objects.none(), required=False, empty_label=_("All sites")
    )
    ocpp_versions = forms.MultipleChoiceField(
        label=_("OCPP versions"), required=False, choices=[(name, name) for name in ("1.6", "2.0.1", "2.1")],
        widget=forms.CheckboxSelectMultiple, help_text=_("None chosen: all."),
    )  # fmt: skip
    priority = forms.IntegerField(
        label=_("Priority"), initial=100, min_value=0, max_value=100_000,
        help_text=_("Where several templates name a setting, the highest counts."),
    )  # fmt: skip
    mode = forms.ChoiceField(label=_("When a station drifts"), choices=TemplateMode.choices)
    enabled = forms.BooleanField(label=_("In use"), required=False, initial=True)
    settings = forms.CharField(
        label=_("Settings"), widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "class": "mono"}),
        help_text=_("One a line: HeartbeatInterval = 300, or OCPPCommCtrlr.HeartbeatInterval = 300. A setting that "
                    "both OCPP 1.6 and 2 know holds for both, whichever name you write."),
    )  # fmt: skip

    def __init__(self, *args: Any, request: PageRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"].queryset = tenants.sites(request.tenant.pk, request.actor)  # type: ignore[attr-defined]

    def clean_settings(self) -> list[dict[str, Any]]:
        return read_lines(self.cleaned_data["settings"])


def _found(request: PageRequest, template_id: int) -> ConfigurationTemplate:
    found = visible.templates(request.tenant.pk, request.actor).filter(pk=template_id).first()
    if found is None:
        raise NotFound
    return found


@page(Permission.STATION_VIEW)
def templates(request: PageRequest) -> HttpResponse:
    """All templates with how the stations stand, and the stations that drifted."""
    stations = visible.stations(request.tenant.pk, request.actor)
    standing = desired.standing(request.tenant.pk, stations)
    rows = visible.templates(request.tenant.pk, request.actor).select_related("site")
    drifted = StationDrift.objects.filter(
        tenant_id=request.tenant.pk, station__in=stations, drifted__gt=0
    ).select_related("station", "station__site")
    context = {
        "templates": [
            {"template": template, "standing": sorted(standing.get(template.pk, Counter()).items())}
            for template in rows[:500]
        ],
        "drifted": drifted.order_by("-drifted")[:50],
        "unknown": StationDrift.objects.filter(
            tenant_id=request.tenant.pk, station__in=stations, state=DriftState.UNKNOWN
        ).count(),
        "total": sum((counts for counts in standing.values()), Counter()),
        "runs": visible.runs(request.tenant.pk, request.actor).exclude(template_id=None)[:5],
    }
    return render(request, "stations/templates.html", context)


@page(Permission.STATION_CONFIGURE)
def new(request: PageRequest) -> HttpResponse:
    form = TemplateForm(request.POST or None, request=request, initial=_start(request))
    if request.method == "POST" and form.is_valid():
        try:
            made = desired.save_template(
                tenant_id=request.tenant.pk, actor=request.actor, **form.cleaned_data
            )
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(
                request, _t("%(name)s is saved. Nothing was sent: see what it would change.") % {"name": made}
            )
            return go(request, "template-preview", made.pk)
    return render(request, "stations/template_form.html", {"form": form}, status=422 if form.errors else 200)


def _start(request: PageRequest) -> dict[str, Any]:
    """A new template may begin as what a station has now, or with settings and a site that a page proposes."""
    number = request.GET.get("station", "")
    if not number.isdecimal() or len(number) > 18:
        settings = [
            line for line in request.GET.getlist("setting")[:20] if "\n" not in line and len(line) <= 200
        ]
        return {"site": request.GET.get("site", "")[:18], "settings": "\n".join(settings)}
    station = get_station(request, int(number))
    variables = Variable.objects.filter(
        tenant_id=station.tenant_id, station=station, gone_at=None, value__isnull=False
    ).exclude(mutability="read_only")
    lines = [f"{one.title} = {one.value}" for one in variables[:200] if not is_secret(one.name)]
    return {
        "vendor": station.vendor, "model": station.model, "ocpp_versions": [station.ocpp_version],
        "settings": "\n".join(line for line in lines if "\n" not in line),
    }  # fmt: skip


@page(Permission.STATION_VIEW)
def template(request: PageRequest, template_id: int) -> HttpResponse:
    found = _found(request, template_id)
    names = ("name", "vendor", "model", "firmware_from", "firmware_to", "site", "ocpp_versions", "priority", "mode", "enabled")  # fmt: skip  # noqa: E501
    start = {name: getattr(found, name) for name in names} | {"settings": write_lines(found.settings)}
    may = request.actor.may(Permission.STATION_CONFIGURE)
    form = TemplateForm(request.POST or None, request=request, initial=start) if may else None
    if request.method == "POST" and form is not None and form.is_valid():
        try:
            desired.save_template(
                tenant_id=request.tenant.pk, actor=request.actor, template=found, **form.cleaned_data
            )
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(
                request, _t("Saved %(name)s. Nothing was sent: see what it would change.") % {"name": found}
            )
            return go(request, "template-preview", found.pk)
        found = _found(request, template_id)
    stations = visible.stations(request.tenant.pk, request.actor)
    rows = DesiredSetting.objects.filter(tenant_id=request.tenant.pk, template=found, station__in=stations)
    context = {
        "template": found,
        "form": form,
        "lines": write_lines(found.settings),
        "standing": sorted(desired.standing(request.tenant.pk, stations).get(found.pk, Counter()).items()),
        "listing": listing(
            request,
            rows.exclude(state__in=("in_line", "absent")).select_related("station").order_by("station_id", "name"),
            size=30,
        ),
        "runs": visible.runs(request.tenant.pk, request.actor).filter(template_id=found.pk)[:5],
    }  # fmt: skip
    return render(
        request, "stations/template.html", context, status=422 if form is not None and form.errors else 200
    )


@require_POST
@page(Permission.STATION_CONFIGURE)
def delete(request: PageRequest, template_id: int) -> HttpResponse:
    found = _found(request, template_id)
    name = found.name
    desired.delete_template(template=found, actor=request.actor)
    messages.success(request, _t("%(name)s is deleted. Stations stay as they are.") % {"name": name})
    return go(request, "templates")


@page(Permission.STATION_CONFIGURE)
def preview(request: PageRequest, template_id: int) -> HttpResponse:
    """What applying would change, station by station, before anything is sent."""
    found = _found(request, template_id)
    stations = (
        visible.stations(request.tenant.pk, request.actor)
        .exclude(ocpp_version="")
        .order_by("name", "identity")
    )
    held = [station for station in stations.select_related("site") if desired.matches(found, station)]
    seen = held[: 4 * MOST_PREVIEWED]
    diffs = desired.preview(template=found, stations=seen)
    differing = [diff for diff in diffs if diff.differing]
    context = {
        "template": found,
        "diffs": differing[:MOST_PREVIEWED],
        "left_out": desired.left_out(template=found, stations=seen),
        "in_line": len(diffs) - len(differing),
        "matched": len(held),
        "not_listed": len(held) - len(seen) + max(0, len(differing) - MOST_PREVIEWED),
        "changes": sum(len(diff.differing) for diff in differing),
        "offline": sum(not diff.station.online for diff in differing),
    }
    return render(request, "stations/template_preview.html", context)


@require_POST
@page(Permission.STATION_CONFIGURE)
def apply(request: PageRequest, template_id: int) -> HttpResponse:
    found = _found(request, template_id)
    chosen = [
        int(number) for number in request.POST.getlist("station") if number.isdecimal() and len(number) < 19
    ]
    try:
        run = desired.apply(template=found, station_ids=chosen[: 4 * MOST_PREVIEWED], actor=request.actor)
    except DomainError as error:
        messages.error(request, error.detail)
        return go(request, "template-preview", found.pk)
    text = ngettext(
        "%(name)s is being applied to %(count)s station.",
        "%(name)s is being applied to %(count)s stations.",
        run.stations,
    )
    messages.success(request, text % {"name": found, "count": run.stations})
    return go(request, "configuration-run", run.pk)


@page(Permission.STATION_VIEW)
def run(request: PageRequest, run_id: int) -> HttpResponse:
    """Changes that were asked together, as they come to their end."""
    found = visible.runs(request.tenant.pk, request.actor).filter(pk=run_id).first()
    if found is None:
        raise NotFound
    stations = visible.stations(request.tenant.pk, request.actor)
    changes = VariableChange.objects.filter(tenant_id=request.tenant.pk, run=found, station__in=stations)
    counts = Counter(changes.order_by().values_list("state", flat=True))
    order = ("done", "reset", "taken", "asked", "differs", "refused", "failed")
    waiting = len(found.waiting)
    context = {
        "run": found,
        "counts": [(state, counts[state]) for state in order if counts[state]],
        "total": sum(counts.values()),
        "ended": sum(counts[state] for state in ("done", "differs", "refused", "failed")),
        "waiting": waiting,
        "open": bool(waiting) or any(counts[state] for state in ("asked", "taken", "reset")),
        "listing": listing(request, changes.select_related("station").order_by("station_id", "id"), size=50),
    }
    return render(request, "stations/configuration_run.html", context)


@page(Permission.STATION_VIEW)
def drift(request: PageRequest, station_id: int) -> HttpResponse:
    """How one station stands against the templates."""
    station = get_station(request, station_id)
    rows = DesiredSetting.objects.filter(tenant_id=station.tenant_id, station=station).select_related(
        "template"
    )
    context = {
        "station": station,
        "tab": "configuration",
        "part": "drift",
        "drift": StationDrift.objects.filter(tenant_id=station.tenant_id, station=station).first(),
        "rows": sorted(rows, key=lambda row: (row.state in ("in_line", "absent"), row.title)),
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_drift.html", context)


@require_POST
@page(Permission.STATION_CONFIGURE)
def repair(request: PageRequest, station_id: int) -> HttpResponse:
    """Ask the station now for all that differs, also what it refused before."""
    station: Station = get_station(request, station_id)
    found = StationDrift.objects.filter(tenant_id=station.tenant_id, station=station).first()
    if found is None:
        raise NotFound
    found.station = station
    try:
        desired.retry(drift=found, actor=request.actor)
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, _t("The station is asked for what differs."))
    return go(request, "station-drift", station.pk)
