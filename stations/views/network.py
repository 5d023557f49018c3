"""Network profiles of a 2.x station: where and how it connects (B09), and in which order it tries (B10)."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from stations.models import Station, Variable
from stations.services import configuration, networks
from stations.views.common import get_station
from tenants.errors import DomainError
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission


class ProfileForm(PortalForm):
    slot = forms.IntegerField(label=_("Slot"), min_value=0, max_value=1000, initial=1)
    url = forms.CharField(
        label=_("Address"), max_length=512, help_text=_("Without the station's identity at its end.")
    )
    ocpp_version = forms.ChoiceField(label=_("OCPP version"))
    interface = forms.ChoiceField(label=_("Interface"))
    security_profile = forms.TypedChoiceField(
        label=_("Security profile"), coerce=int, initial=2,
        choices=[
            (1, _("1: password, no encryption")),
            (2, _("2: password and TLS")),
            (3, _("3: TLS with the station's certificate")),
        ],
    )  # fmt: skip
    timeout_s = forms.IntegerField(
        label=_("Seconds to wait for an answer"), min_value=1, max_value=600, initial=30
    )
    apn_name = forms.CharField(label=_("APN"), max_length=200, required=False)
    apn_user = forms.CharField(label=_("APN user"), max_length=20, required=False)
    apn_password = forms.CharField(
        label=_("APN password"), max_length=20, required=False, widget=forms.PasswordInput,
        help_text=_("It is sent and kept nowhere."),
    )  # fmt: skip

    def __init__(self, *args: Any, station: Station, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        v21 = station.ocpp_version == "2.1"
        versions = ["2.0.1", "1.6"] if not v21 else ["2.1", "2.0.1", "1.6"]
        self.fields["ocpp_version"].choices = [(name, f"OCPP {name}") for name in versions]  # type: ignore[attr-defined]
        names = {
            **{f"wired{n}": _t("Cable %(n)s") % {"n": n} for n in range(4)},
            **{f"wireless{n}": _t("Radio %(n)s") % {"n": n} for n in range(4)},
        }
        if v21:
            names = {"any": _t("Any")} | names
        self.fields["interface"].choices = list(names.items())  # type: ignore[attr-defined]

    def given(self) -> dict[str, Any]:
        told = dict(self.cleaned_data)
        apn = {name: told.pop(f"apn_{name}") for name in ("name", "user", "password")}
        if apn["name"]:
            told["apn"] = {name: value for name, value in apn.items() if value}
        return told


class PriorityForm(PortalForm):
    slots = forms.CharField(
        label=_("Slots in their order"), max_length=80, help_text=_("Such as 1,0: first slot 1, then 0.")
    )

    def clean_slots(self) -> list[int]:
        parts = [part.strip() for part in self.cleaned_data["slots"].split(",")]
        if not all(part.isdecimal() and len(part) < 5 for part in parts):
            raise forms.ValidationError(_t("Numbers of slots, separated by commas."))
        return [int(part) for part in parts]


@page(Permission.STATION_VIEW)
def network(request: PageRequest, station_id: int) -> HttpResponse:
    return _render(request, get_station(request, station_id))


def _render(
    request: PageRequest, station: Station, form: ProfileForm | None = None, order: PriorityForm | None = None
) -> HttpResponse:
    priority = networks.priority(station)
    active = Variable.objects.filter(
        tenant_id=station.tenant_id, station=station, component="OCPPCommCtrlr", name="ActiveNetworkProfile"
    ).first()
    own = f"{settings.GATEWAY_URL}/ocpp/{request.tenant.slug}"
    start = {"url": own, "ocpp_version": station.ocpp_version}
    pending = [change for change in configuration.open_changes(station) if change.key == networks.PRIORITY]
    context = {
        "station": station,
        "tab": "configuration",
        "part": "network",
        "profiles": networks.of_station(station),
        "priority": priority,
        "order": (priority.value or "").split(",") if priority and priority.value else [],
        "pending": pending[0] if pending else None,
        "active": active.value if active else "",
        "form": form or ProfileForm(station=station, initial=start),
        "order_form": order or PriorityForm(initial={"slots": priority.value if priority else ""}),
        "own": own,
    }
    wrong = bool((form and form.errors) or (order and order.errors))
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_network.html", context, status=422 if wrong else 200)


@require_POST
@page(Permission.STATION_CONFIGURE)
def set_profile(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    form = ProfileForm(request.POST, station=station)
    if form.is_valid():
        try:
            networks.set_profile(
                tenant_id=station.tenant_id, station_id=station.pk, actor=request.actor, **form.given()
            )
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("The profile is on its way. It is used once its slot comes first."))
            return go(request, "station-network", station.pk)
    return _render(request, station, form)


@require_POST
@page(Permission.STATION_CONFIGURE)
def set_priority(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    form = PriorityForm(request.POST)
    if form.is_valid():
        try:
            networks.set_priority(
                tenant_id=station.tenant_id, station_id=station.pk, slots=form.cleaned_data["slots"],
                actor=request.actor,
            )  # fmt: skip
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(
                request, _t("The order is on its way. It counts after a restart of the station.")
            )
            return go(request, "station-network", station.pk)
    return _render(request, station, None, form)
