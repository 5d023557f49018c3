"""Monitors, alerts and event streams of a 2.x station."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from stations import visible
from stations.models import (
    SEVERITY,
    Alert,
    CommandKind,
    Monitor,
    MonitorKind,
    MonitorState,
    Station,
    Stream,
    StreamValue,
    Variable,
)
from stations.services import alerts, commands, monitors, reports
from stations.views.common import get_station
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission

BASES = {
    "all": _("All: built in, set by the maker and set here"),
    "factory": _("As delivered: those set here are removed"),
    "hard_wired": _("Built in alone: all others are removed"),
}
_KINDS_201 = (
    MonitorKind.UPPER, MonitorKind.LOWER, MonitorKind.DELTA, MonitorKind.PERIODIC, MonitorKind.CLOCK_ALIGNED,
)  # fmt: skip


def severity_choices() -> list[tuple[int, str]]:
    return [(number, f"{number} · {word}") for number, word in SEVERITY.items()]


class MonitorForm(PortalForm):
    variable = forms.TypedChoiceField(label=_("Variable"), coerce=int)
    kind = forms.ChoiceField(label=_("When it"))
    value = forms.FloatField(
        label=_("Value"), help_text=_("A threshold in the variable's unit, a change, or a number of seconds.")
    )
    severity = forms.TypedChoiceField(label=_("How grave"), coerce=int, initial=5)
    during_transaction = forms.BooleanField(label=_("Only while a car charges"), required=False)
    stream_interval_s = forms.IntegerField(
        label=_("As an event stream, every so many seconds"), required=False, min_value=1, max_value=86_400,
        help_text=_("Empty: the station tells single events."),
    )  # fmt: skip

    def __init__(self, *args: Any, station: Station, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = MonitorKind if station.ocpp_version == "2.1" else _KINDS_201
        self.fields["kind"].choices = [(kind.value, kind.label) for kind in kinds]  # type: ignore[attr-defined]
        self.fields["severity"].choices = severity_choices()  # type: ignore[attr-defined]
        if station.ocpp_version != "2.1":
            del self.fields["stream_interval_s"]
        found = (
            Variable.objects.filter(
                tenant_id=station.tenant_id, station=station, attribute="actual", gone_at=None
            )
            .exclude(component="")
            .exclude(supports_monitoring=False)
        )
        self.variables = {variable.pk: variable for variable in found[:2000]}
        named = sorted(self.variables.values(), key=lambda one: (not one.supports_monitoring, one.title))
        self.fields["variable"].choices = [  # type: ignore[attr-defined]
            (one.pk, one.title + ("" if one.supports_monitoring else f" ({_t('may not be watchable')})"))
            for one in named
        ]

    def monitor(self) -> dict[str, Any]:
        given = self.cleaned_data
        variable = self.variables[given["variable"]]
        told: dict[str, Any] = {
            "component": variable.component, "component_instance": variable.component_instance,
            "evse": variable.evse_number, "connector": variable.connector_number, "name": variable.name,
            "instance": variable.instance, "kind": given["kind"], "value": given["value"],
            "severity": given["severity"], "during_transaction": given["during_transaction"],
        }  # fmt: skip
        if given.get("stream_interval_s"):
            told["stream"] = {"interval_s": given["stream_interval_s"]}
        return {name: value for name, value in told.items() if value not in ("", None) and (name, value) != ("evse", 0)
                and (name, value) != ("connector", 0)}  # fmt: skip


class LevelForm(PortalForm):
    severity = forms.TypedChoiceField(label=_("Tell events of up to"), coerce=int)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["severity"].choices = severity_choices()  # type: ignore[attr-defined]


class BaseForm(PortalForm):
    base = forms.ChoiceField(label=_("Monitors in use"), choices=list(BASES.items()))


@page(Permission.STATION_VIEW)
def monitoring(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    told = dict(
        Variable.objects.filter(
            tenant_id=station.tenant_id, station=station, component="MonitoringCtrlr",
            name__in=("ActiveMonitoringBase", "ActiveMonitoringLevel"),
        ).values_list("name", "value")
    )  # fmt: skip
    by_value = {value: name for name, value in monitors.BASES.items()}
    base = by_value.get(told.get("ActiveMonitoringBase") or "", "")
    level = told.get("ActiveMonitoringLevel") or ""
    report = reports.newest(station, "monitors")
    context = {
        "station": station,
        "tab": "configuration",
        "part": "monitoring",
        "monitors": monitors.of_station(station),
        "alerts": alerts.open_of(station),
        "past": Alert.objects.filter(tenant_id=station.tenant_id, station=station).exclude(cleared_at=None)[
            :20
        ],
        "streams": streams_of(station),
        "base_form": BaseForm(initial={"base": base}),
        "level_form": LevelForm(initial={"severity": level}),
        "base_words": BASES.get(base, ""),
        "level": level,
        "report": report if report and report.state not in ("complete", "empty") else None,
        "told_at": report.last_at if report else None,
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_monitoring.html", context)


def streams_of(station: Station) -> list[dict[str, Any]]:
    """Open streams first, each with what it watches and its newest values."""
    found = Stream.objects.filter(tenant_id=station.tenant_id, station=station)
    watched = {
        monitor.number: monitor
        for monitor in Monitor.objects.filter(
            tenant_id=station.tenant_id, station=station, state=MonitorState.SET
        )
    }
    shown = []
    for stream in sorted(found[:100], key=lambda one: (one.closed_at is not None, one.number)):
        values = list(stream.values.filter(tenant_id=station.tenant_id).order_by("-at")[:60])
        numbers = [value.number for value in values if value.number is not None][::-1]
        shown.append(
            {
                "stream": stream,
                "monitor": watched.get(stream.monitor_number),
                "numbers": numbers,
                "newest": values[0] if values else None,
            }
        )
    return shown


@page(Permission.STATION_CONFIGURE)
def new_monitor(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    form = MonitorForm(
        request.POST or None, station=station, initial={"variable": request.GET.get("variable")}
    )
    if request.method == "POST" and form.is_valid():
        try:
            monitors.set_monitors(
                tenant_id=station.tenant_id,
                station_id=station.pk,
                monitors=[form.monitor()],
                actor=request.actor,
            )
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("The monitor is on its way. The list shows what the station says."))
            return go(request, "station-monitoring", station.pk)
    read = Variable.objects.filter(tenant_id=station.tenant_id, station=station).exists()
    context = {"station": station, "tab": "configuration", "part": "monitoring", "form": form, "read": read}
    return render(request, "stations/monitor_form.html", context, status=422 if form.errors else 200)


@require_POST
@page(Permission.STATION_CONFIGURE)
def clear(request: PageRequest, station_id: int, monitor_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    found = Monitor.objects.filter(tenant_id=station.tenant_id, station=station, pk=monitor_id).first()
    if found is None:
        raise NotFound
    if found.number is not None and found.state == MonitorState.SET:
        _send(request, station, CommandKind.CLEAR_MONITORS, {"ids": [found.number]})
        messages.success(request, _t("The station is asked to remove the monitor."))
    else:
        found.delete()
    return go(request, "station-monitoring", station.pk)


def _send(request: PageRequest, station: Station, kind: str, arguments: dict[str, Any]) -> None:
    commands.request_command(
        tenant_id=station.tenant_id,
        station_id=station.pk,
        kind=kind,
        arguments=arguments,
        actor=request.actor,
    )


@require_POST
@page(Permission.STATION_COMMAND)
def read(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    _send(request, station, CommandKind.READ_MONITORS, {})
    messages.success(request, _t("The station is asked for its monitors."))
    return go(request, "station-monitoring", station.pk)


@require_POST
@page(Permission.STATION_CONFIGURE)
def base(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    form = BaseForm(request.POST)
    if form.is_valid():
        _send(request, station, CommandKind.SET_MONITORING_BASE, {"base": form.cleaned_data["base"]})
        messages.success(request, _t("The station is asked to use other monitors; its list follows."))
    return go(request, "station-monitoring", station.pk)


@require_POST
@page(Permission.STATION_CONFIGURE)
def level(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    form = LevelForm(request.POST)
    if form.is_valid():
        _send(request, station, CommandKind.SET_MONITORING_LEVEL, {"severity": form.cleaned_data["severity"]})
        messages.success(request, _t("The station is asked to tell events of up to this severity."))
    return go(request, "station-monitoring", station.pk)


# --- alerts of all stations ---


@page(Permission.STATION_VIEW)
def all_alerts(request: PageRequest) -> HttpResponse:
    """Open alerts of all stations, the gravest first."""
    found = Alert.objects.filter(
        tenant_id=request.tenant.pk, station__in=visible.stations(request.tenant.pk, request.actor)
    ).select_related("station", "station__site")
    past = request.GET.get("show") == "past"
    rows = (
        found.exclude(cleared_at=None)
        if past
        else found.filter(cleared_at=None).order_by("severity", "-opened_at")
    )
    context = {"listing": listing(request, rows), "past": past, "open": found.filter(cleared_at=None).count()}
    return render(request, "stations/alerts.html", context)


@require_POST
@page(Permission.STATION_COMMAND)
def close_alert(request: PageRequest, alert_id: int) -> HttpResponse:
    alert = (
        Alert.objects.filter(
            tenant_id=request.tenant.pk, pk=alert_id,
            station__in=visible.stations(request.tenant.pk, request.actor),
        )
        .select_related("station")
        .first()
    )  # fmt: skip
    if alert is None:
        raise NotFound
    alerts.close(alert=alert, actor=request.actor)
    messages.success(request, _t("The alert is closed. It opens again when the station tells it again."))
    return go(request, "station-monitoring", alert.station_id)


# --- streams (2.1) ---


class StreamForm(PortalForm):
    interval_s = forms.IntegerField(label=_("Seconds between messages"), required=False, min_value=1)
    values = forms.IntegerField(label=_("Values in a message"), required=False, min_value=1)


def _stream(request: PageRequest, station: Station, stream_id: int) -> Stream:
    found = Stream.objects.filter(tenant_id=station.tenant_id, station=station, pk=stream_id).first()
    if found is None:
        raise NotFound
    return found


@page(Permission.STATION_VIEW)
def stream(request: PageRequest, station_id: int, stream_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    found = _stream(request, station, stream_id)
    may = request.actor.may(Permission.STATION_COMMAND, site_id=station.site_id) and found.closed_at is None
    start = {"interval_s": found.interval_s, "values": found.values_per_message}
    form = StreamForm(request.POST or None, initial=start) if may else None
    if request.method == "POST" and form is not None and form.is_valid():
        given = {name: value for name, value in form.cleaned_data.items() if value}
        if given:
            _send(request, station, CommandKind.ADJUST_STREAM, {"id": found.number} | given)
            messages.success(request, _t("The station is asked to change the stream."))
            return go(request, "station-stream", station.pk, found.pk)
        form.add_error(None, _t("Give seconds, a number of values, or both."))
    watched = Monitor.objects.filter(
        tenant_id=station.tenant_id, station=station, number=found.monitor_number, state=MonitorState.SET
    )
    context = {
        "station": station,
        "tab": "configuration",
        "part": "monitoring",
        "stream": found,
        "monitor": watched.first(),
        "values": found.values.filter(tenant_id=station.tenant_id).order_by("-at")[:200],
        "form": form,
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(
            request, "stations/stream.html", context, status=422 if form is not None and form.errors else 200
        )


@page(Permission.STATION_VIEW)
def stream_curve(request: PageRequest, station_id: int, stream_id: int) -> JsonResponse:
    """The chart's data; see charts.js."""
    station = get_station(request, station_id)
    found = _stream(request, station, stream_id)
    values = StreamValue.objects.filter(tenant_id=station.tenant_id, stream=found, number__isnull=False)
    points = list(values.order_by("-at").values_list("at", "number")[:1000])[::-1]
    line = {
        "label": _t("Value"),
        "unit": "",
        "values": [number for _at, number in points],
        "state": "charging",
    }
    return JsonResponse(
        {"x": [at.timestamp() for at, _number in points], "series": [line], "zone": station.site.time_zone}
    )


@require_POST
@page(Permission.STATION_COMMAND)
def read_streams(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    _send(request, station, CommandKind.READ_STREAMS, {})
    messages.success(request, _t("The station is asked which streams it has open."))
    return go(request, "station-monitoring", station.pk)
