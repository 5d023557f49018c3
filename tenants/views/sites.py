"""Creating and changing a site. The site's own page reads several apps and lives in the portal."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from tenants import queries
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.models.tenant import SiteAccess
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission
from tenants.services import sites


class SiteForm(PortalForm):
    name = forms.CharField(label=_("Name"), max_length=120, help_text=_("As people on site call it."))
    address = forms.CharField(label=_("Street and number"), max_length=160, required=False)
    postal_code = forms.CharField(label=_("Postal code"), max_length=16, required=False)
    city = forms.CharField(label=_("City"), max_length=80, required=False)
    country = forms.CharField(
        label=_("Country"), max_length=2, min_length=2, help_text=_("Two letters, such as DE.")
    )
    latitude = forms.DecimalField(
        label=_("Latitude"),
        required=False,
        min_value=-90,
        max_value=90,
        help_text=_("Such as 52.520008. Puts it on the map."),
    )
    longitude = forms.DecimalField(
        label=_("Longitude"), required=False, min_value=-180, max_value=180, help_text=_("Such as 13.404954.")
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), help_text=_("Prices and reports follow it."))
    access = forms.ChoiceField(label=_("Access"), choices=SiteAccess.choices)
    host = forms.CharField(
        label=_("Site host"), max_length=120, required=False, help_text=_("Who owns the place.")
    )
    grid_limit_amps = forms.DecimalField(
        label=_("Grid limit per phase (A)"), required=False, min_value=0, max_digits=8, decimal_places=1
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = sorted(
            zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc", "posix"))
        )
        self.fields["time_zone"].choices = [(zone, zone) for zone in zones]  # type: ignore[attr-defined]

    def clean_country(self) -> str:
        return str(self.cleaned_data["country"]).upper()


@page(Permission.SITE_EDIT)
def site_new(request: PageRequest) -> HttpResponse:
    tenant = request.tenant
    start = {"country": tenant.country, "time_zone": tenant.time_zone, "access": SiteAccess.PUBLIC}
    form = SiteForm(request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            site = sites.create_site(tenant_id=tenant.pk, actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(
                request, _t("%(name)s is there. Connect its first station next.") % {"name": site.name}
            )
            return go(request, "site", site.pk)
    return render(request, "tenants/site_form.html", {"form": form}, status=422 if form.errors else 200)


@page(Permission.SITE_EDIT)
def site_edit(request: PageRequest, site_id: int) -> HttpResponse:
    site = _site(request, site_id)
    form = SiteForm(request.POST or None, initial={name: getattr(site, name) for name in sites.FIELDS})
    if request.method == "POST" and form.is_valid():
        try:
            sites.update_site(site=site, actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("Saved %(name)s.") % {"name": site.name})
            return go(request, "site", site.pk)
    context = {"form": form, "site": site}
    return render(request, "tenants/site_form.html", context, status=422 if form.errors else 200)


def _site(request: PageRequest, site_id: int) -> Site:
    found = queries.sites(request.tenant.pk, request.actor).filter(pk=site_id).first()
    if found is None:
        raise NotFound
    return found
