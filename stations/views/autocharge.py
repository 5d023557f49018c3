"""Autocharge in the portal: the switches, and the cars that nobody knows yet."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from fleets import queries
from fleets.models import SAID_BY_CARS, Autocharge, Driver, Fleet
from fleets.services import autocharge as switches
from stations.models import SeenVehicle
from stations.services.pnc import vehicles
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.pages import PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission

_STATES = {"on": True, "off": False, "company": None}


@page(Permission.SITE_VIEW)
def autocharge(request: PageRequest) -> HttpResponse:
    rows = {row.site_id: row.enabled for row in Autocharge.objects.filter(tenant_id=request.tenant.pk)}
    company = rows.get(None, False)
    sites = list(tenants.sites(request.tenant.pk, request.actor).order_by("name")[:500])
    for site in sites:
        site.own = rows.get(site.pk)  # type: ignore[attr-defined]
        site.on = company if site.own is None else site.own  # type: ignore[attr-defined]
    seen = vehicles.seen(request.tenant.pk, request.actor).filter(dismissed_at=None)
    known = queries.tokens(request.tenant.pk, request.actor).filter(kind__in=SAID_BY_CARS)
    context = {
        "company": company,
        "sites": sites,
        "any_on": any(site.on for site in sites),  # type: ignore[attr-defined]
        "listing": listing(request, seen, size=25),
        "known": known.count() if request.actor.may(Permission.TOKEN_VIEW) else 0,
    }
    return render(request, "stations/autocharge.html", context)


@require_POST
@page(Permission.SITE_EDIT)
def switch(request: PageRequest) -> HttpResponse:
    """For the company, or for the site that is named."""
    state = request.POST.get("state", "")
    if state not in _STATES:
        raise NotFound
    site: Site | None = None
    if request.POST.get("site"):
        site = _site(request, request.POST["site"])
    switches.switch(tenant_id=request.tenant.pk, actor=request.actor, site=site, enabled=_STATES[state])
    told = {
        "on": _t("Autocharge is on: cars with a token are recognised from now on."),
        "off": _t("Autocharge is off: cars must show a card from now on. Running sessions go on."),
        "company": _t("The site goes with the company again."),
    }
    messages.success(request, told[state])
    return go(request, "autocharge")


def _site(request: PageRequest, text: str) -> Site:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    site = tenants.sites(request.tenant.pk, request.actor).filter(pk=number).first()
    if site is None:
        raise NotFound
    return site


class ConfirmForm(PortalForm):
    driver = forms.ModelChoiceField(
        label=_("Driver"), queryset=Driver.objects.none(), required=False, empty_label=_("Nobody")
    )
    fleet = forms.ModelChoiceField(
        label=_("Fleet"), queryset=Fleet.objects.none(), required=False, empty_label=_("As the driver's")
    )
    visual_number = forms.CharField(
        label=_("Name of the token"), max_length=64, required=False, help_text=_("Such as the number plate.")
    )
    sites = forms.ModelMultipleChoiceField(
        label=_("Only at these sites"),
        queryset=Site.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: good at all sites where Autocharge is on."),
    )

    def __init__(self, *args: Any, request: PageRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own, actor = request.tenant.pk, request.actor
        self.fields["driver"].queryset = queries.drivers(own, actor)  # type: ignore[attr-defined]
        self.fields["fleet"].queryset = queries.fleets(own, actor)  # type: ignore[attr-defined]
        self.fields["sites"].queryset = tenants.sites(own, actor)  # type: ignore[attr-defined]


@page(Permission.TOKEN_EDIT)
def confirm(request: PageRequest, seen_vehicle_id: int) -> HttpResponse:
    """Whose car it is: makes a token of it."""
    vehicle = _vehicle(request, seen_vehicle_id)
    form = ConfirmForm(request.POST or None, request=request)
    if request.method == "POST" and form.is_valid():
        try:
            token = vehicles.confirm(vehicle=vehicle, actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(
                request, _t("%(token)s is recognised from now on where Autocharge is on.") % {"token": token}
            )
            return go(request, "token", token.pk)
    context = {"form": form, "vehicle": vehicle}
    return render(request, "stations/seen_vehicle.html", context, status=422 if form.errors else 200)


@require_POST
@page(Permission.TOKEN_EDIT)
def dismiss(request: PageRequest, seen_vehicle_id: int) -> HttpResponse:
    vehicles.dismiss(vehicle=_vehicle(request, seen_vehicle_id), actor=request.actor)
    return go(request, "autocharge")


def _vehicle(request: PageRequest, seen_vehicle_id: int) -> SeenVehicle:
    found = vehicles.seen(request.tenant.pk, request.actor).filter(pk=seen_vehicle_id).first()
    if found is None:
        raise NotFound
    return found
