"""The device model of a station: 1.6 configuration keys and 2.x variables, searchable, changeable, with history."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from stations.models import CommandKind, Station, StationDrift, Variable, VariableChange, VariableChangeState
from stations.services import commands, configuration, reports
from stations.services.commands import masked
from stations.views.common import get_station
from stations.views.offer import running_sessions
from stations.views.setting_rows import Row, ValueForm, initial, rows
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, address, csv_response, go, listing, page
from tenants.permissions import Permission

MOST_SHOWN = 1000
LATELY = timedelta(days=7)
CHIPS: dict[str, Any] = {
    "writable": _("Can be changed"),
    "pending": _("Under way"),
    "differs": _("Differs from its template"),
    "lately": _("Changed in 7 days"),
    "gone": _("No longer told"),
}


@page(Permission.STATION_VIEW)
def settings(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    every = Variable.objects.filter(tenant_id=station.tenant_id, station=station)
    found = rows(station, _searched(request, every).order_by("component", "evse_number", "name", "attribute"))
    counts: Counter[str] = Counter()
    for row in found:
        counts.update(_chips_of(row))
    chosen = request.GET.get("show", "")
    shown = (
        [row for row in found if chosen in _chips_of(row)]
        if chosen in CHIPS
        else [row for row in found if row.variable.gone_at is None]
    )
    if request.GET.get("format") in ("csv", "json"):
        return _export(station, shown, request.GET["format"])
    waiting = configuration.open_changes(station)
    context = {
        "station": station,
        "tab": "configuration",
        "part": "settings",
        "rows": shown[:MOST_SHOWN],
        "count": len(shown),
        "total": every.count(),
        "read_at": reports.last_read(station),
        "report": _report(station),
        "chips": [(name, label, counts[name]) for name, label in CHIPS.items() if counts[name] or name == chosen],
        "chosen": chosen,
        "components": every.exclude(component="").order_by("component").values_list("component", flat=True).distinct(),
        "component": request.GET.get("component", ""),
        "waiting": waiting[:20],
        "for_reset": [change for change in waiting if change.state == VariableChangeState.RESET],
        "running": running_sessions(station).count(),
        "drift": StationDrift.objects.filter(tenant_id=station.tenant_id, station=station, wanted__gt=0).first(),
        "q": request.GET.get("q", "").strip()[:100],
    }  # fmt: skip
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_configuration.html", context)


def _searched(request: PageRequest, every: Any) -> Any:
    if text := request.GET.get("q", "").strip()[:100]:
        every = every.filter(
            Q(name__icontains=text)
            | Q(component__icontains=text)
            | Q(value__icontains=text)
            | Q(instance__icontains=text)
        )
    if component := request.GET.get("component", "")[:80]:
        every = every.filter(component=component)
    return every


def _chips_of(row: Row) -> list[str]:
    variable = row.variable
    tests = {
        "writable": row.writable,
        "pending": row.pending is not None,
        "differs": row.differs,
        "lately": variable.changed_at is not None and variable.changed_at > timezone.now() - LATELY,
        "gone": variable.gone_at is not None,
    }
    return [name for name, holds in tests.items() if holds]


def _report(station: Station) -> Any:
    """The newest report, while it comes in or where it lacks something."""
    report = reports.newest(station)
    if report is None or report.state in ("complete", "empty"):
        return None
    return report


def _export(station: Station, shown: list[Row], form: str) -> HttpResponse:
    listed = [
        {
            "setting": row.variable.title,
            "value": masked({"name": row.variable.name, "value": row.variable.value})["value"],
            "unit": row.unit,
            "type": row.kind,
            "mutability": row.variable.mutability,
            "meaning": row.help,
            "read_at": row.variable.read_at.isoformat(),
            "source": row.variable.source,
        }
        for row in shown
    ]
    name = f"configuration-{station.identity}.{form}"
    if form == "csv":
        header = list(listed[0]) if listed else ["setting"]
        return csv_response(name, header, (list(entry.values()) for entry in listed))
    response = HttpResponse(json.dumps(listed, indent=1, ensure_ascii=False), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_POST
@page(Permission.STATION_COMMAND)
def read(request: PageRequest, station_id: int) -> HttpResponse:
    """Ask the station for all that it has."""
    station = get_station(request, station_id)
    configuration.read(tenant_id=station.tenant_id, station_id=station.pk, keys=[], actor=request.actor)
    messages.success(request, _t("%(station)s is asked for its configuration.") % {"station": station})
    return go(request, "station-configuration", station.pk)


@page(Permission.STATION_VIEW)
def setting(request: PageRequest, station_id: int, variable_id: int) -> HttpResponse:
    """One setting: what it means, its new value, and who changed it from what to what."""
    station = get_station(request, station_id)
    variable = Variable.objects.filter(tenant_id=station.tenant_id, station=station, pk=variable_id).first()
    if variable is None:
        raise NotFound
    (row,) = rows(station, [variable])
    may = row.writable and request.actor.may(Permission.STATION_CONFIGURE, site_id=station.site_id)
    form = ValueForm(request.POST or None, row=row, initial={"value": initial(row)}) if may else None
    if request.method == "POST" and form is not None and form.is_valid():
        try:
            configuration.change(
                tenant_id=station.tenant_id, station_id=station.pk, actor=request.actor,
                settings=[_setting(variable, form.text)],
            )  # fmt: skip
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(
                request,
                _t("%(name)s is on its way to %(station)s.") % {"name": variable.title, "station": station},
            )
            return _back(request, station)
    history = VariableChange.objects.filter(
        tenant_id=station.tenant_id, station=station, **dict(zip(_KEY, variable.key, strict=True))
    ).order_by("-id")
    context = {
        "station": station,
        "tab": "configuration",
        "part": "settings",
        "row": row,
        "variable": variable,
        "form": form,
        "next": request.GET.get("next", ""),
        "history": history[:50],
    }
    part = "stations/_setting_form.html" if request.GET.get("part") == "form" else "stations/setting.html"
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, part, context, status=422 if form is not None and form.errors else 200)


_KEY = (
    "component", "component_instance", "evse_number", "connector_number", "name", "instance", "attribute",
)  # fmt: skip


def _setting(variable: Variable, value: str) -> configuration.Setting:
    return configuration.Setting(
        variable.name, value, variable.component, variable.component_instance, variable.evse_number,
        variable.connector_number, variable.instance, variable.attribute,
    )  # fmt: skip


def _back(request: PageRequest, station: Station) -> HttpResponse:
    """To the list as it was filtered."""
    wanted = request.POST.get("next", "")
    own = address(request, "station-configuration", station.pk)
    if wanted.startswith(own) and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        return HttpResponseRedirect(wanted)
    return HttpResponseRedirect(own)


@page(Permission.STATION_VIEW)
def history(request: PageRequest, station_id: int) -> HttpResponse:
    """All changes of a station's settings, the newest first."""
    station = get_station(request, station_id)
    changes = VariableChange.objects.filter(tenant_id=station.tenant_id, station=station)
    context = {
        "station": station,
        "tab": "configuration",
        "part": "history",
        "listing": listing(request, changes.order_by("-id"), size=50),
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_changes.html", context)


@require_POST
@page(Permission.STATION_COMMAND)
def reset(request: PageRequest, station_id: int) -> HttpResponse:
    """Restart the station so that what was changed counts."""
    station = get_station(request, station_id)
    commands.request_command(
        tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.RESET,
        arguments={"hard": request.POST.get("hard") == "yes"}, actor=request.actor,
    )  # fmt: skip
    waiting = sum(change.state == VariableChangeState.RESET for change in configuration.open_changes(station))
    text = ngettext(
        "%(station)s is asked to restart; %(count)s setting is read again after it.",
        "%(station)s is asked to restart; %(count)s settings are read again after it.",
        waiting,
    )
    messages.success(request, text % {"station": station, "count": waiting})
    return go(request, "station-configuration", station.pk)
