"""How much a station may give: what holds in the next day and why, limits now and daily, profiles, limits of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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

from stations import limits, schedules
from stations.models import ChargingProfile, CommandKind, Evse, ProfileState, Station
from stations.services import commands, dynamic, profiles
from stations.views.common import get_station
from stations.views.drawing import Line, chart
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission

LOCAL_TIME = "%Y-%m-%dT%H:%M"


class _Amount(PortalForm):
    """A connector and how much it may give."""

    evse = forms.TypedChoiceField(label=_("Where"), coerce=int)
    value = forms.FloatField(label=_("At most"), min_value=0, max_value=100_000, localize=False)
    unit = forms.ChoiceField(label=_("Unit"), choices=[("kW", _("kW")), ("A", _("A per phase"))])

    def __init__(self, *args: Any, station: Station, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        numbers = Evse.objects.filter(tenant_id=station.tenant_id, station=station).values_list(
            "number", flat=True
        )
        choices = [(n, _t("Connector %(number)s") % {"number": n}) for n in sorted(numbers)]
        if getattr(self, "whole", True):
            choices.append((0, _t("The whole station")))
        self.fields["evse"].choices = choices  # type: ignore[attr-defined]

    def amount(self) -> dict[str, Any]:
        value, unit = self.cleaned_data["value"], self.cleaned_data["unit"]
        return {"amps": value} if unit == "A" else {"power_w": value * 1000}

    def refused(self, error: DomainError) -> None:
        fields = getattr(error, "fields", {})
        for name in ("amps", "power_w", "limit", "unit"):
            if name in fields and name != "unit":
                fields["value"] = fields.pop(name)
        super().refused(error)


class LimitForm(_Amount):
    until = forms.DateTimeField(
        label=_("Until"),
        required=False,
        input_formats=[LOCAL_TIME, "%Y-%m-%dT%H:%M:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL_TIME),
        help_text=_("Empty: until you take it back."),
    )


class DailyForm(_Amount):
    begins = forms.TimeField(
        label=_("From"), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"), initial="17:00"
    )
    ends = forms.TimeField(
        label=_("To"), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"), initial="20:00"
    )


class DynamicForm(_Amount):
    whole = False
    value = forms.FloatField(
        label=_("Power"),
        min_value=-100_000,
        max_value=100_000,
        help_text=_("As a setpoint, negative: the car gives back."),
    )
    unit = forms.ChoiceField(label=_("Unit"), choices=[("kW", _("kW"))])
    mode = forms.ChoiceField(
        label=_("How"),
        choices=[("", _("Limit: at most so much")), ("central_setpoint", _("Setpoint: exactly so much"))],
        required=False,
    )

    def values(self) -> dict[str, float]:
        name = "setpoint" if self.cleaned_data["mode"] else "limit"
        return {name: self.cleaned_data["value"] * 1000}


FORMS: dict[str, type[_Amount]] = {"now": LimitForm, "daily": DailyForm, "dynamic": DynamicForm}


@page(Permission.STATION_VIEW)
def station_limits(request: PageRequest, station_id: int) -> HttpResponse:
    return _render(request, get_station(request, station_id))


def _render(
    request: PageRequest, station: Station, refused: dict[str, _Amount] | None = None
) -> HttpResponse:
    with timezone.override(ZoneInfo(station.site.time_zone)):
        found = limits.of_station(station)
        until = timezone.localtime(found.now + timedelta(hours=2)).replace(second=0, microsecond=0)
        initial: dict[str, Any] = {"until": until, "unit": "kW"}
        wanted = [name for name in FORMS if name != "dynamic" or station.ocpp_version == "2.1"]
        asked = refused or {}
        offered = {
            name: asked.get(name) or FORMS[name](station=station, initial=initial, auto_id=f"{name}-%s")
            for name in wanted
        }
        history = (
            ChargingProfile.objects.filter(tenant_id=station.tenant_id, station=station)
            .exclude(pk__in=[row.pk for row in found.profiles])
            .order_by("-id")[:30]
        )
        context = {
            "station": station,
            "tab": "limits",
            "answer": answer(found),
            "places": [_place(found, evse) for evse in _shown_places(found)],
            "forms": offered,
            "open": next(iter(asked), "now"),
            "profiles": [_profile(row, found) for row in found.profiles],
            "history": [_profile(row, found) for row in history],
            "constraints": [constraint_line(row) for row in found.constraints],
            "site_constraints": [
                constraint_line(row)
                for row in limits.open_constraints(
                    station.tenant_id, found.now, site_id=station.site_id, station=None
                )[:10]
            ],
            "asked_at": max((told.told_at for told in found.told.values()), default=None),
            "may_command": request.actor.may(Permission.STATION_COMMAND, site_id=station.site_id),
            "is_21": station.ocpp_version == "2.1",
        }
        return render(request, "stations/station_limits.html", context, status=422 if refused else 200)


def _shown_places(found: limits.Limits) -> list[int]:
    """The whole station first, where it says more than its only connector."""
    whole = len(found.evses) > 1 or any(row.evse_number == 0 for row in found.profiles)
    return ([0] if whole and found.evses else []) + found.evses


def answer(found: limits.Limits) -> tuple[str, str]:
    """(state, sentence): what there is to know at a glance."""
    bound = [
        evse
        for evse in found.evses
        if found.calculation.at(evse, found.now, found.now, found.unit(evse)).binding is not None
    ]
    if not found.evses:
        return "neutral", _t("The station has not told of any connector yet.")
    if any(limits.drift(found, evse) for evse in [0, *found.evses]):
        return "warning", _t("The station keeps to other limits than those that were sent to it.")
    if not bound:
        return "available", _t("No limit holds now: every connector may give all that it can.")
    if len(found.evses) == 1:
        now = found.calculation.at(bound[0], found.now, found.now, found.unit(bound[0]))
        return "info", _t("Limited to %(limit)s now: %(why)s.") % {
            "limit": limits.text_of(now.limit, found.unit(bound[0]), now.phases),
            "why": limits.why(found.rows.get(now.binding.number) if now.binding else None),
        }
    return "info", _t("%(count)s of %(total)s connectors are limited now.") % {
        "count": len(bound),
        "total": len(found.evses),
    }


@dataclass(frozen=True)
class Stretch:
    begins: datetime
    ends: datetime
    limit: str
    why: str


def _place(found: limits.Limits, evse: int) -> dict[str, Any]:
    """One connector, or the whole station: what it may give now and in the next day, and by whose word."""
    unit = found.unit(evse)
    slices = found.composite(evse)
    end = found.now + limits.HORIZON
    hardware = found.calculation.evses.get(evse, found.calculation.whole)
    stretches: list[Stretch] = []
    for place, one in enumerate(slices):
        begins = found.now + timedelta(seconds=one.start_s)
        row = found.rows.get(one.binding.number) if one.binding else None
        told = Stretch(
            begins,
            limits.until_end_of(slices, place, found.now, end),
            limits.text_of(one.limit, unit, one.phases),
            limits.why(row),
        )
        if stretches and (stretches[-1].limit, stretches[-1].why) == (told.limit, told.why):
            told = Stretch(stretches[-1].begins, told.ends, told.limit, told.why)
            stretches.pop()
        stretches.append(told)
    drifts = limits.drift(found, evse)
    return {
        "evse": evse,
        "now": stretches[0],
        "more": len(stretches) > 1,
        "bound": slices[0].binding is not None,
        "plain": all(one.binding is None for one in slices) and not drifts,  # nothing to draw
        "stretches": stretches[:60],
        "most": limits.text_of(hardware.in_unit(unit), unit, hardware.phases),
        "session": found.sessions.get(evse),
        "drifts": None if drifts is None else [_drift(one) for one in drifts[:5]],
        "told_at": found.told[evse].told_at if evse in found.told else None,
        "chart": _chart(found, evse, slices, hardware, unit),
    }


def _drift(one: limits.Drift) -> dict[str, Any]:
    return {
        "begins": one.begins,
        "ends": one.ends,
        "ours": limits.text_of(one.ours, one.unit),
        "theirs": limits.text_of(one.theirs, one.unit),
    }


def _chart(
    found: limits.Limits,
    evse: int,
    slices: Sequence[schedules.Slice],
    hardware: schedules.Hardware,
    unit: str,
) -> dict[str, Any]:
    """The limit over the next day against what the hardware gives, in kW; and what the station says."""

    def kilowatts(value: float, of: str, phases: int) -> float:
        return schedules.to_unit(value, of, schedules.WATTS, phases) / 1000

    lines = [
        Line(
            _t("may give"),
            "charging",
            [(one.start_s, kilowatts(one.limit, unit, one.phases)) for one in slices],
            area=True,
        )
    ]
    told = found.told.get(evse)
    if told is not None:
        shift = (told.starts_at - found.now).total_seconds()
        points = [
            (max(0.0, period.start_s + shift), kilowatts(period.limit, told.unit, period.phases or 3))
            for period in limits.read_periods(told.periods)
            if period.limit is not None
        ]
        if points:
            lines.append(Line(_t("the station says"), "preparing", points, dashed=True))
    most = kilowatts(hardware.in_unit(unit), unit, hardware.phases)
    return chart(found.now, limits.HORIZON, lines, most=most, unit="kW")


def _profile(row: ChargingProfile, found: limits.Limits) -> dict[str, Any]:
    periods = limits.read_periods(row.periods)
    texts = list(
        dict.fromkeys(
            limits.text_of(period.limit, row.unit, period.phases or 3)
            for period in periods
            if period.limit is not None
        )
    )
    setpoint = next((period.setpoint for period in periods if period.setpoint is not None), None)
    return {
        "row": row,
        "why": limits.why(row),
        "limit": " · ".join(texts[:3]) + (" …" if len(texts) > 3 else ""),
        "setpoint": setpoint,
        "when": _when(row),
        "is_dynamic": row.kind == schedules.DYNAMIC and row.state == ProfileState.ACCEPTED,
        "value": (periods[0].setpoint if setpoint is not None else periods[0].limit) if periods else None,
        "may_clear": row.state == ProfileState.ACCEPTED and row.purpose != schedules.EXTERNAL,
    }


def _when(row: ChargingProfile) -> str:
    if row.more.get("begins"):
        return _t("daily %(begins)s to %(ends)s") % {"begins": row.more["begins"], "ends": row.more["ends"]}
    if row.kind == schedules.RECURRING:
        return _t("weekly") if row.recurrency == "weekly" else _t("daily")
    if row.kind == schedules.DYNAMIC:
        return _t("while its session runs")
    end = row.valid_to
    if end is None and row.starts_at and row.duration_s is not None and row.kind == schedules.ABSOLUTE:
        end = schedules.later(row.starts_at, row.duration_s)
    if end is not None:
        return _t("until %(time)s") % {"time": limits.clock(end)}
    return _t("while its session runs") if row.purpose == schedules.TRANSACTION else _t("until taken back")


def constraint_line(row: Any) -> dict[str, Any]:
    """A limit of somebody else in words."""
    now = timezone.now()
    period = limits.constraint_profile(row).period_at(max(now, row.starts_at), row.starts_at)
    value = period.limit if period else None
    return {
        "row": row,
        "limit": limits.text_of(value, row.unit) if value is not None else "",
        "later": row.starts_at > now,
    }


# --- what is asked for ---


@page(Permission.STATION_VIEW)
def preview(request: PageRequest, station_id: int) -> HttpResponse:
    """What a limit would do, while it is typed."""
    station = get_station(request, station_id)
    form = LimitForm(request.GET, station=station)
    said: list[str] = []
    with timezone.override(ZoneInfo(station.site.time_zone)):
        if form.is_valid():
            try:
                said = consequence(
                    station, form.cleaned_data["evse"], form.cleaned_data.get("until"), form.amount()
                )
            except DomainError as error:
                said = [str(error)]
        return render(request, "stations/_limit_consequence.html", {"said": said})


def consequence(station: Station, evse: int, until: datetime | None, amount: dict[str, Any]) -> list[str]:
    """What a limit does to the cars that charge now, in kWh; and to those that come."""
    now, after = profiles.preview(station=station, evse=evse, until=until, **amount)
    end = until or now.now + limits.HORIZON
    length = min(end - now.now, limits.HORIZON)
    said = []
    for number in [evse] if evse else now.evses:
        session = now.sessions.get(number)
        before = now.calculation.at(number, now.now, now.now, schedules.WATTS)
        then = after.calculation.at(number, now.now, now.now, schedules.WATTS)
        name = _t("Connector %(number)s") % {"number": number}
        if then.limit >= before.limit - 1:
            text = _t("%(where)s: nothing changes, %(limit)s hold already.") % {
                "where": name,
                "limit": limits.text_of(before.limit, schedules.WATTS),
            }
        elif session is None:
            text = _t("%(where)s: nobody charges there now; a car that comes gets at most %(limit)s.") % {
                "where": name,
                "limit": limits.text_of(then.limit, schedules.WATTS),
            }
        elif then.limit < 1:
            text = _t("%(where)s: the car pauses until %(time)s and gets about %(energy)s kWh less.") % {
                "where": name,
                "time": limits.clock(now.now + length),
                "energy": _kwh(now.lost_wh(after, number, length)),
            }
        else:
            text = _t("%(where)s: the car gets about %(energy)s kWh less until %(time)s.") % {
                "where": name,
                "energy": _kwh(now.lost_wh(after, number, length)),
                "time": limits.clock(now.now + length),
            }
        said.append(text)
    return said


def _kwh(energy_wh: float) -> str:
    kwh = max(0.0, energy_wh / 1000)
    return f"{kwh:.1f}" if kwh < 10 else f"{kwh:.0f}"


@require_POST
@page(Permission.STATION_COMMAND)
def set_limit(request: PageRequest, station_id: int, limit_how: str) -> HttpResponse:
    """Limit now, daily, or as it goes."""
    how = limit_how
    station = get_station(request, station_id)
    if how not in FORMS:
        raise NotFound
    with timezone.override(ZoneInfo(station.site.time_zone)):
        form = FORMS[how](request.POST, station=station, auto_id=f"{how}-%s")
        if not form.is_valid():
            return _render(request, station, {how: form})
        try:
            _send(request, station, how, form)
        except DomainError as error:
            form.refused(error)
            return _render(request, station, {how: form})
    messages.success(
        request,
        _t("Sent to %(station)s. Below you see when it has taken it.") % {"station": station}
        if station.online
        else _t("%(station)s is offline. The limit waits a minute for it, then it is given up.")
        % {"station": station},
    )
    return go(request, "station-limits", station.pk)


def _send(request: PageRequest, station: Station, how: str, form: Any) -> None:
    told = form.cleaned_data
    own = {
        "tenant_id": station.tenant_id,
        "station_id": station.pk,
        "evse": told["evse"],
        "actor": request.actor,
    }
    if how == "now":
        profiles.limit(**own, **form.amount(), until=told["until"])
    elif how == "daily":
        profiles.limit_daily(**own, **form.amount(), begins=told["begins"], ends=told["ends"])
    else:
        dynamic.begin(**own, values=form.values(), mode=told["mode"])


@require_POST
@page(Permission.STATION_COMMAND)
def ask(request: PageRequest, station_id: int) -> HttpResponse:
    """Have the station say what it keeps to, at each connector, and in 2.x which profiles it has."""
    station = get_station(request, station_id)
    found = limits.of_station(station)
    takes = profiles.known(station.tenant_id, [station])[station.pk].takes
    asked: list[tuple[str, dict[str, Any]]] = [
        (
            CommandKind.READ_COMPOSITE,
            {"evse": evse, "duration_s": 86_400, "unit": takes.unit(found.unit(evse))},
        )
        for evse in _shown_places(found)[:20]
    ]
    if station.is_v2:
        asked.append((CommandKind.READ_PROFILES, {}))
    for kind, arguments in asked:
        commands.request_command(
            tenant_id=station.tenant_id,
            station_id=station.pk,
            kind=kind,
            arguments=arguments,
            actor=request.actor,
        )
    return go(request, "station-limits", station.pk)


@require_POST
@page(Permission.STATION_COMMAND)
def clear(request: PageRequest, station_id: int, profile_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    row = _own(station, profile_id)
    try:
        profiles.clear(tenant_id=station.tenant_id, profile_id=row.pk, actor=request.actor)
    except DomainError as error:
        messages.error(request, str(error))
    return go(request, "station-limits", station.pk)


@require_POST
@page(Permission.STATION_COMMAND)
def update(request: PageRequest, station_id: int, profile_id: int) -> HttpResponse:
    """Give a dynamic limit a new value."""
    station = get_station(request, station_id)
    row = _own(station, profile_id)
    try:
        kilowatts = float(request.POST.get("value", "").replace(",", "."))
    except ValueError:
        messages.error(request, _t("Write a number of kW."))
        return go(request, "station-limits", station.pk)
    is_setpoint = any(period.get("setpoint") is not None for period in row.periods)
    value = schedules.to_unit(kilowatts * 1000, schedules.WATTS, row.unit, 3)
    try:
        dynamic.update(
            tenant_id=station.tenant_id,
            profile_id=row.pk,
            values={"setpoint" if is_setpoint else "limit": value},
            actor=request.actor,
        )
    except DomainError as error:
        messages.error(request, str(error))
    return go(request, "station-limits", station.pk)


def _own(station: Station, profile_id: int) -> ChargingProfile:
    row = ChargingProfile.objects.filter(tenant_id=station.tenant_id, station=station, pk=profile_id).first()
    if row is None:
        raise NotFound
    return row
