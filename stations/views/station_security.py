"""One station: the profile it comes by, its password, its certificates, the roots it holds, and what happened."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from stations.models import (
    CertificateUse,
    InstalledCertificate,
    PasswordChange,
    ProfileChange,
    SecurityEvent,
    SigningRequest,
    Station,
    StationCertificate,
    TrustAnchor,
)
from stations.services import passwords, security_profiles, signing, trust
from stations.views.common import get_station
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission

_PROFILES = {
    1: _("1: password"),
    2: _("2: TLS and password"),
    3: _("3: TLS and certificate"),
}


class ChangeForm(PortalForm):
    profile = forms.TypedChoiceField(label=_("New profile"), coerce=int)
    anchor = forms.ModelChoiceField(
        label=_("Root to install first"),
        queryset=TrustAnchor.objects.none(),
        required=False,
        empty_label=_("None: the station knows the gateway's root already"),
    )
    url = forms.CharField(
        label=_("Address of the gateway"),
        max_length=512,
        help_text=_("Begins with wss://. Without the station's identity at its end."),
    )
    slot = forms.IntegerField(label=_("Slot of the new connection"), min_value=0, max_value=1000, initial=2)
    interface = forms.ChoiceField(
        label=_("Network"),
        choices=[(name, name) for name in ("wired0", "wired1", "wireless0", "wireless1", "any")],
    )

    def __init__(self, *args: object, station: Station, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        present = security_profiles.current(station)
        self.fields["profile"].choices = [  # type: ignore[attr-defined]
            (value, label) for value, label in _PROFILES.items() if value > present
        ]
        self.fields["anchor"].queryset = TrustAnchor.objects.filter(  # type: ignore[attr-defined]
            tenant_id=station.tenant_id, use=CertificateUse.CSMS_ROOT, archived_at=None,
            not_after__gt=timezone.now(),
        )  # fmt: skip
        address = security_profiles.address(station)
        if address.startswith("wss://"):  # both profiles that one can rise to end in TLS
            self.fields["url"].initial = address
        if not station.is_v2:
            for name in ("url", "slot", "interface"):
                del self.fields[name]
        elif station.ocpp_version == "2.0.1":
            self.fields["interface"].choices = self.fields["interface"].choices[:-1]  # type: ignore[attr-defined]


@page(Permission.STATION_VIEW)
def security(request: PageRequest, station_id: int) -> HttpResponse:
    return _page(request, get_station(request, station_id))


def _page(request: PageRequest, station: Station, form: ChangeForm | None = None) -> HttpResponse:
    mine = {"tenant_id": station.tenant_id, "station": station}
    change = ProfileChange.objects.filter(**mine).first()
    present = security_profiles.current(station)
    context = {
        "station": station,
        "tab": "security",
        "present": present,
        "change": change,
        "password": PasswordChange.objects.filter(**mine).first(),
        "form": form or ChangeForm(station=station),
        "top": present >= 3,
        "certificates": StationCertificate.objects.filter(**mine).select_related("authority")[:20],
        "requests": SigningRequest.objects.filter(**mine)[:10],
        "installed": InstalledCertificate.objects.filter(**mine).select_related("anchor")[:200],
        "events": SecurityEvent.objects.filter(**mine)[:15],
        "reasons": signing.REASONS,
        "opened": bool(form),
        "may_reset": request.actor.may(Permission.TENANT_EDIT),
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        status = 422 if form is not None and form.errors else 200
        return render(request, "stations/station_security.html", context, status=status)


@require_POST
@page(Permission.STATION_CONFIGURE)
def change(request: PageRequest, station_id: int) -> HttpResponse:
    """Take the station to a higher profile."""
    station = get_station(request, station_id)
    form = ChangeForm(request.POST, station=station)
    if form.is_valid():
        try:
            security_profiles.start(station=station, actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refused(error)
    if form.errors:
        return _page(request, station, form)
    return go(request, "station-security", station.pk)


@require_POST
@page(Permission.STATION_CONFIGURE)
def cancel(request: PageRequest, station_id: int, change_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    found = ProfileChange.objects.filter(tenant_id=station.tenant_id, station=station, pk=change_id).first()
    if found is None:
        raise NotFound
    security_profiles.cancel(change=found, actor=request.actor)
    return go(request, "station-security", station.pk)


@require_POST
@page(Permission.TENANT_EDIT)
def reset(request: PageRequest, station_id: int) -> HttpResponse:
    """An owner's word: the station may come by profile 1 again."""
    station = get_station(request, station_id)
    security_profiles.reset(station=station, actor=request.actor, profile=1)
    messages.success(request, _t("%(name)s may come by profile 1 again.") % {"name": station})
    return go(request, "station-security", station.pk)


@require_POST
@page(Permission.STATION_EDIT)
def rotate(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    passwords.rotate(station=station, actor=request.actor)
    return go(request, "station-security", station.pk)


@require_POST
@page(Permission.STATION_COMMAND)
def ask(request: PageRequest, station_id: int) -> HttpResponse:
    """Have it ask for a new certificate."""
    station = get_station(request, station_id)
    signing.ask(station=station, actor=request.actor)
    return go(request, "station-security", station.pk)


@require_POST
@page(Permission.STATION_COMMAND)
def read(request: PageRequest, station_id: int) -> HttpResponse:
    """Have it tell which certificates it holds."""
    station = get_station(request, station_id)
    trust.read(station=station, actor=request.actor)
    return go(request, "station-security", station.pk)
