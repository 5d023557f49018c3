"""Connecting, changing and removing a station; adopting one that knocked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from billing.models import Tariff
from stations.models import PowerType, QuarantinedStation, Registration, Session, SessionState, Station
from stations.services import stations as service
from stations.views.common import get_station
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission

# Plugs as people name them: (choice, label, OCPI standard, power type, W, A)
PLUGS: tuple[tuple[str, Any, str, str, int, int], ...] = (
    ("ac11", _("AC 11 kW, type 2 socket"), "IEC_62196_T2", PowerType.AC_3_PHASE, 11_000, 16),
    ("ac22", _("AC 22 kW, type 2 socket"), "IEC_62196_T2", PowerType.AC_3_PHASE, 22_000, 32),
    ("ac7", _("AC 7.4 kW, one phase, type 2"), "IEC_62196_T2", PowerType.AC_1_PHASE, 7_400, 32),
    ("dc50", _("DC 50 kW, CCS"), "IEC_62196_T2_COMBO", PowerType.DC, 50_000, 125),
    ("dc150", _("DC 150 kW, CCS"), "IEC_62196_T2_COMBO", PowerType.DC, 150_000, 350),
    ("dc300", _("DC 300 kW, CCS"), "IEC_62196_T2_COMBO", PowerType.DC, 300_000, 500),
)


class ConnectForm(PortalForm):
    identity = forms.CharField(
        label=_("Identity"),
        max_length=128,
        help_text=_(
            "The name the station calls itself, often its serial number. It is the last part of its address."
        ),
    )
    name = forms.CharField(
        label=_("Name"), max_length=120, required=False, help_text=_("As people on site call it.")
    )
    site = forms.ModelChoiceField(label=_("Site"), queryset=Site.objects.none(), empty_label=None)
    evses = forms.IntegerField(
        label=_("Cars at once"),
        min_value=1,
        max_value=100,
        initial=1,
        help_text=_("How many cars it can charge at a time."),
    )
    plug = forms.ChoiceField(label=_("Plug"), choices=[(plug[0], plug[1]) for plug in PLUGS], initial="ac22")
    password = forms.CharField(
        label=_("Password"),
        required=False,
        max_length=40,
        help_text=_(
            "Leave it empty to get a strong random one. Enter it only if the station's is fixed. "
            "Stations with OCPP 1.6 take 16 to 20 characters, later ones 16 to 40."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, sites: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"].queryset = sites  # type: ignore[attr-defined]


class EditForm(PortalForm):
    name = forms.CharField(label=_("Name"), max_length=120, required=False)
    site = forms.ModelChoiceField(label=_("Site"), queryset=Site.objects.none(), empty_label=None)
    tariff = forms.ModelChoiceField(
        label=_("Tariff"), queryset=Tariff.objects.none(), required=False, empty_label=_("As at the site")
    )
    registration = forms.ChoiceField(
        label=_("Registration"),
        choices=Registration.choices,
        help_text=_("Pending: it may connect, but not charge. Rejected: it is told to go away."),
    )
    heartbeat_seconds = forms.IntegerField(
        label=_("Heartbeat interval (s)"), min_value=10, max_value=86400, required=False
    )
    strict = forms.BooleanField(label=_("Refuse messages that bend the specification"), required=False)
    allow_unauthenticated = forms.BooleanField(
        label=_(
            "May connect without password (security profile 0). Anybody could then pose as this station."
        ),
        required=False,
    )

    def __init__(self, *args: Any, sites: Any, tariffs: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"].queryset = sites  # type: ignore[attr-defined]
        self.fields["tariff"].queryset = tariffs  # type: ignore[attr-defined]


def _address(request: PageRequest) -> str:
    return f"{settings.GATEWAY_URL or 'wss://…'}/ocpp/{request.tenant.slug}/"


@never_cache
@page(Permission.STATION_EDIT)
def connect(request: PageRequest) -> HttpResponse:
    """Enter a station, then show the three values to type into it. ?adopt= takes over one from the quarantine."""
    sites = tenants.sites(request.tenant.pk, request.actor)
    waiting = _waiting(request, request.GET.get("adopt", ""))
    start = {
        "site": request.GET.get("site"),
        "identity": waiting.identity if waiting else "",
        "evses": 1,
        "plug": "ac22",
    }
    form = ConnectForm(request.POST or None, sites=sites, initial=start)
    context: dict[str, Any] = {
        "form": form,
        "waiting": waiting,
        "address": _address(request),
        "sites": sites.exists(),
    }
    if request.method == "POST" and form.is_valid():
        try:
            station, secret = _create(request, form.cleaned_data, waiting)
        except DomainError as error:
            form.refused(error)
        else:
            # Shown in the answer to the POST itself: a password has no place in a session or an address.
            return render(
                request, "stations/connected.html", context | {"station": station, "secret": secret}
            )
    return render(request, "stations/connect.html", context, status=422 if form.errors else 200)


def _create(
    request: PageRequest, data: dict[str, Any], waiting: QuarantinedStation | None
) -> tuple[Station, str]:
    _key, _label, standard, power_type, watts, amps = next(plug for plug in PLUGS if plug[0] == data["plug"])
    station, secret = service.create_station(
        site=data["site"],
        actor=request.actor,
        identity=data["identity"],
        name=data["name"],
        evses=data["evses"],
        password=data["password"],
        connector={"standard": standard, "power_type": power_type, "max_power_w": watts, "max_amps": amps},
    )
    if waiting and waiting.identity == station.identity:
        waiting.delete()
    return station, secret


def _waiting(request: PageRequest, row_id: str) -> QuarantinedStation | None:
    if not row_id.isdecimal() or request.actor.site_ids is not None:
        return None
    return QuarantinedStation.objects.filter(tenant_id=request.tenant.pk, pk=int(row_id)).first()


@page(Permission.STATION_EDIT)
def edit(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    names = ("name", "site", "tariff", "registration", "heartbeat_seconds", "strict", "allow_unauthenticated")
    form = EditForm(
        request.POST or None,
        sites=tenants.sites(request.tenant.pk, request.actor),
        tariffs=Tariff.objects.filter(tenant_id=request.tenant.pk, archived_at=None),
        initial={name: getattr(station, name) for name in names},
    )
    if request.method == "POST" and form.is_valid():
        changes = dict(form.cleaned_data)
        changes["site_id"] = changes.pop("site").pk
        tariff = changes.pop("tariff")
        changes["tariff_id"] = tariff.pk if tariff else None
        try:
            service.edit_station(station=station, actor=request.actor, changes=changes)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("Saved %(name)s.") % {"name": station})
            return go(request, "station", station.pk)
    running = Session.objects.filter(
        tenant_id=station.tenant_id, station=station, state=SessionState.ACTIVE
    ).count()
    context = {"station": station, "form": form, "running": running, "address": _address(request)}
    return render(request, "stations/station_edit.html", context, status=422 if form.errors else 200)


@never_cache
@require_POST
@page(Permission.STATION_EDIT)
def password(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    secret = service.renew_password(station=station, actor=request.actor)
    context = {"station": station, "secret": secret, "address": _address(request), "renewed": True}
    return render(request, "stations/connected.html", context)


@require_POST
@page(Permission.STATION_EDIT)
def archive(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    service.archive_station(station=station, actor=request.actor)
    text = _t("%(name)s is removed. It may no longer connect; its sessions and prices stay.")
    messages.success(request, text % {"name": station})
    return go(request, "stations")


@page(Permission.STATION_EDIT)
def quarantine(request: PageRequest) -> HttpResponse:
    rows = QuarantinedStation.objects.filter(tenant_id=request.tenant.pk, dismissed_at=None)
    if request.actor.site_ids is not None:
        rows = rows.none()
    return render(request, "stations/quarantine.html", {"rows": rows, "address": _address(request)})


@require_POST
@page(Permission.STATION_EDIT)
def dismiss(request: PageRequest, row_id: int) -> HttpResponse:
    row = _waiting(request, str(row_id))
    if row is None:
        raise NotFound
    service.dismiss_quarantined(quarantined=row, actor=request.actor)
    messages.success(
        request, _t("%(identity)s is off the list. It is refused as before.") % {"identity": row.identity}
    )
    return go(request, "quarantine")
