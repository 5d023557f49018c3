"""Grid controls of a station (OCPP 2.1 block R): what it does for the grid, set, scheduled, read back, cleared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from stations.models import CommandKind, DerControl, DerType, Station, StationEvent
from stations.models.der import HELD
from stations.services import commands, der
from stations.views.common import get_station
from stations.views.drawing import curve
from stations.views.limits import LOCAL_TIME
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission

UNITS = [
    ("none", _("no unit of its own")),
    ("pct_max_w", _("% of the most power")),
    ("pct_max_var", _("% of the most reactive power")),
    ("pct_w_available", _("% of the power at hand")),
    ("pct_var_available", _("% of the reactive power at hand")),
    ("pct_effective_v", _("% of the effective voltage")),
]
# What a curve of each type is usually set to (EN 50549-1, IEEE 1547): a start to change, x and y with their units.
_VOLTAGE, _FREQUENCY, _POWER = _("voltage, % of nominal"), _("frequency, Hz"), _("power, % of the most")
_TRIP_S = _("seconds until it trips")
CURVES: dict[str, tuple[str, Any, Any, str]] = {
    DerType.VOLT_VAR: ("92, 44\n98, 0\n102, 0\n108, -44", _VOLTAGE, _("reactive power"), "pct_max_var"),
    DerType.VOLT_WATT: ("106, 100\n110, 20", _VOLTAGE, _("active power"), "pct_max_w"),
    DerType.FREQ_WATT: ("50.2, 100\n51.5, 48", _FREQUENCY, _("active power"), "pct_max_w"),
    DerType.WATT_PF: ("20, 1\n50, 1\n100, 0.95", _POWER, _("power factor"), "none"),
    DerType.WATT_VAR: ("20, 0\n50, 0\n100, -44", _POWER, _("reactive power"), "pct_max_var"),
    DerType.POWER_MONITORING_MUST_TRIP: ("100, 60\n110, 5", _POWER, _TRIP_S, "none"),
}
_TRIPS = {
    DerType.HF_MUST_TRIP: ("51.5, 0.2\n52, 0.1", _FREQUENCY),
    DerType.HF_MAY_TRIP: ("51, 300\n51.5, 0.2", _FREQUENCY),
    DerType.LF_MUST_TRIP: ("47, 0.1\n47.5, 0.2", _FREQUENCY),
    DerType.HV_MUST_TRIP: ("110, 13\n120, 0.16", _VOLTAGE),
    DerType.HV_MOM_CESS: ("110, 12\n120, 0.1", _VOLTAGE),
    DerType.HV_MAY_TRIP: ("110, 12\n120, 0.1", _VOLTAGE),
    DerType.LV_MUST_TRIP: ("50, 2\n88, 21", _VOLTAGE),
    DerType.LV_MOM_CESS: ("50, 1\n70, 10", _VOLTAGE),
    DerType.LV_MAY_TRIP: ("50, 1\n88, 20", _VOLTAGE),
}
CURVES |= {kind: (points, axis, _TRIP_S, "none") for kind, (points, axis) in _TRIPS.items()}
_D = DerType
# In the order in which operators are asked for them by their grid.
GROUPS: tuple[tuple[Any, tuple[DerType, ...]], ...] = (
    (_("Power"), (_D.LIMIT_MAX_DISCHARGE, _D.VOLT_WATT, _D.FREQ_DROOP, _D.FREQ_WATT)),
    (
        _("Reactive power"),
        (_D.VOLT_VAR, _D.FIXED_VAR, _D.FIXED_PF_INJECT, _D.FIXED_PF_ABSORB, _D.WATT_PF, _D.WATT_VAR),
    ),
    (_("Coming back"), (_D.ENTER_SERVICE, _D.GRADIENTS)),
    (_("Leaving the grid, and staying on it"), (*_TRIPS, _D.POWER_MONITORING_MUST_TRIP)),
)
LABELS: dict[str, Any] = {
    "high_voltage": _("Highest voltage (per unit)"),
    "low_voltage": _("Lowest voltage (per unit)"),
    "high_freq": _("Highest frequency (Hz)"),
    "low_freq": _("Lowest frequency (Hz)"),
    "delay_s": _("Delay (s)"),
    "random_delay_s": _("Random delay (s)"),
    "ramp_rate": _("Ramp (s to full power)"),
    "displacement": _("Power factor"),
    "excitation": _("Over-excited"),
    "setpoint": _("Reactive power"),
    "unit": _("Unit"),
    "over_freq": _("Over-frequency from (Hz)"),
    "under_freq": _("Under-frequency from (Hz)"),
    "over_droop": _("Droop above (%)"),
    "under_droop": _("Droop below (%)"),
    "response_time_s": _("Response time (s)"),
    "gradient": _("Ramp (% per second)"),
    "soft_gradient": _("Soft ramp (% per second)"),
    "percent": _("Most discharge (% of rated)"),
}
USUAL: dict[str, float] = {
    "high_voltage": 1.1,
    "low_voltage": 0.85,
    "high_freq": 50.1,
    "low_freq": 49.5,
    "delay_s": 60,
    "displacement": 0.95,
    "setpoint": 30,
    "over_freq": 50.2,
    "under_freq": 49.8,
    "over_droop": 5,
    "under_droop": 5,
    "response_time_s": 2,
    "gradient": 20,
    "soft_gradient": 2,
    "percent": 60,
}


_FARTHEST = 1e6


def read_points(text: str) -> list[list[float]]:
    """A point a line, "x, y". ValueError for what is none."""
    found = []
    for line in text.strip().splitlines()[:50]:
        if line.strip():
            x, y = (float(part) for part in line.replace(";", ",").split(","))
            if not (abs(x) <= _FARTHEST and abs(y) <= _FARTHEST):  # no infinity and no "nan" either
                raise ValueError(line)
            found.append([x, y])
    return found


class DerForm(PortalForm):
    """The values of one type of control, and when it holds."""

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        fields = self._curve() if kind in CURVES else self._plain()
        timed = kind not in der.ALWAYS_DEFAULT
        self.fields = (
            fields
            | {"priority": self._number(_t("Priority (0 is the highest)"), 0)}
            | (self._times() if timed else {})
        )
        for field in self.fields.values():
            if not isinstance(field.widget, forms.CheckboxInput):
                css = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
                field.widget.attrs["class"] = css

    @staticmethod
    def _number(label: Any, initial: float | None, *, required: bool = True) -> forms.Field:
        return forms.FloatField(label=label, initial=initial, required=required, localize=False)

    def _curve(self) -> dict[str, forms.Field]:
        points, x, y, unit = CURVES[self.kind]
        return {
            "points": forms.CharField(
                label=_t("Points"),
                initial=points,
                widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
                help_text=_t("One a line: %(x)s, then %(y)s. At most ten.") % {"x": x, "y": y},
            ),
            "y_unit": forms.ChoiceField(label=_t("Unit of the second"), choices=UNITS, initial=unit),
            "response_time_s": self._number(LABELS["response_time_s"], None, required=False),
        }

    def _plain(self) -> dict[str, forms.Field]:
        found: dict[str, forms.Field] = {}
        for name in der.PLAIN[self.kind]:
            if name == "must_trip":
                continue
            if name == "excitation":
                found[name] = forms.BooleanField(label=LABELS[name], required=False)
            elif name == "unit":
                found[name] = forms.ChoiceField(label=LABELS[name], choices=UNITS[1:], initial="pct_max_var")
            else:
                optional = name in ("delay_s", "random_delay_s", "ramp_rate")
                found[name] = self._number(LABELS[name], USUAL.get(name), required=not optional)
        return found

    def _times(self) -> dict[str, forms.Field]:
        return {
            "starts_at": forms.DateTimeField(
                label=_t("Begins"),
                required=False,
                input_formats=[LOCAL_TIME],
                widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL_TIME),
                help_text=_t("Empty: it holds always, from now on."),
            ),
            "minutes": self._number(_t("For so many minutes"), None, required=False),
        }

    def clean_points(self) -> list[list[float]]:
        try:
            return read_points(self.cleaned_data["points"])
        except ValueError as error:
            raise forms.ValidationError(_t("Write two numbers a line, such as 98, 0.")) from error

    def arguments(self) -> dict[str, Any]:
        told = dict(self.cleaned_data)
        starts_at, minutes = told.pop("starts_at", None), told.pop("minutes", None)
        priority = int(told.pop("priority") or 0)
        return {
            "kind": self.kind,
            "settings": {name: value for name, value in told.items() if value not in (None, "")},
            "priority": priority,
            "is_default": starts_at is None and minutes is None,
            "starts_at": starts_at,
            "duration_s": None if minutes is None else minutes * 60,
        }


@page(Permission.STATION_VIEW)
def station_der(request: PageRequest, station_id: int) -> HttpResponse:
    """The controls of a station, in force first, and alarms of the grid."""
    station = get_station(request, station_id)
    rows = DerControl.objects.filter(tenant_id=station.tenant_id, station=station)
    held = list(rows.filter(state__in=HELD).order_by("kind", "priority", "id")[:100])
    with timezone.override(ZoneInfo(station.site.time_zone)):
        context = {
            "station": station,
            "tab": "limits",
            "part": "grid",
            "held": [_shown(row) for row in held],
            "earlier": [_shown(row) for row in rows.exclude(state__in=HELD)[:30]],
            "groups": GROUPS,
            "alarms": open_alarms(station),
            "happened": StationEvent.objects.filter(
                tenant_id=station.tenant_id, station=station, kind__in=("der", "der_alarm")
            )[:15],
            "told_at": max((row.told_at for row in held if row.told_at), default=None),
            "may_command": request.actor.may(Permission.STATION_COMMAND, site_id=station.site_id),
            "speaks": station.ocpp_version in ("", "2.1"),
        }
        return render(request, "stations/station_der.html", context)


def open_alarms(station: Station) -> list[StationEvent]:
    """Alarms of the grid of which the end was not told: the newest word of each kind and fault counts."""
    newest: dict[tuple[str, str], StationEvent] = {}
    told = StationEvent.objects.filter(tenant_id=station.tenant_id, station=station, kind="der_alarm")[:200]
    for event in told:
        newest.setdefault((event.detail.get("control", ""), event.detail.get("fault", "")), event)
    return [event for event in newest.values() if not event.detail.get("over")]


def _shown(row: DerControl) -> dict[str, Any]:
    points: Sequence[Any] = row.settings.get("points") or []
    facts: list[tuple[Any, Any]] = [
        (LABELS[name], _value(value))
        for name, value in row.settings.items()
        if name in LABELS and value is not None
    ]
    if unit := dict(UNITS).get(row.settings.get("y_unit", "")):
        facts.append((_t("Unit"), unit))
    _points, x_label, y_label, _unit = CURVES.get(row.kind, ("", "", "", ""))
    return {
        "row": row,
        "curve": curve(points),
        "facts": facts,
        "points": points,
        "x": x_label,
        "y": y_label,
    }


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return _t("yes") if value else _t("no")
    return str(dict(UNITS).get(value, value))


@page(Permission.STATION_COMMAND)
def new(request: PageRequest, station_id: int, der_kind: str) -> HttpResponse:
    """Set a control of one type."""
    kind = der_kind
    station = get_station(request, station_id)
    if kind not in DerType.values:
        raise NotFound
    with timezone.override(ZoneInfo(station.site.time_zone)):
        form = DerForm(request.POST or None, kind=kind)
        if request.method == "POST" and form.is_valid():
            try:
                der.set_control(
                    tenant_id=station.tenant_id,
                    station_id=station.pk,
                    actor=request.actor,
                    **form.arguments(),
                )
            except DomainError as error:
                form.refused(error)
            else:
                messages.success(request, _t("Sent to %(station)s.") % {"station": station})
                return go(request, "station-der", station.pk)
        text = form["points"].value() if "points" in form.fields else ""
        context = {
            "station": station,
            "kind": kind,
            "label": DerType(kind).label,
            "form": form,
            "is_curve": kind in CURVES,
            "curve": _drawn(text),
            "axes": CURVES.get(kind, ("", "", "", ""))[1:3],
        }
        status = 422 if request.method == "POST" else 200
        return render(request, "stations/der_new.html", context, status=status)


def _drawn(text: str) -> dict[str, Any] | None:
    try:
        return curve(read_points(text))
    except ValueError:
        return None


@page(Permission.STATION_VIEW)
def drawn(request: PageRequest) -> HttpResponse:
    """A curve while it is typed."""
    return render(
        request, "stations/_curve_drawn.html", {"curve": _drawn(request.GET.get("points", "")[:2000])}
    )


@require_POST
@page(Permission.STATION_COMMAND)
def read(request: PageRequest, station_id: int) -> HttpResponse:
    """Have the station report its controls."""
    station = get_station(request, station_id)
    try:
        commands.request_command(
            tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.READ_DER, arguments={},
            actor=request.actor,
        )  # fmt: skip
    except DomainError as error:
        messages.error(request, str(error))
    return go(request, "station-der", station.pk)


@require_POST
@page(Permission.STATION_COMMAND)
def clear(request: PageRequest, station_id: int, der_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    row = DerControl.objects.filter(tenant_id=station.tenant_id, station=station, pk=der_id).first()
    if row is None:
        raise NotFound
    try:
        der.clear(tenant_id=station.tenant_id, control=row.pk, actor=request.actor)
    except DomainError as error:
        messages.error(request, str(error))
    return go(request, "station-der", station.pk)
