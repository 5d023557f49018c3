"""Vendor profiles: the quirks of charger models, ours and the company's own."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from stations import visible
from stations.models import VendorProfile
from stations.services import vendor_profiles
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission

EXAMPLES: tuple[tuple[Any, dict[str, Any]], ...] = (
    (_("It tells kWh and calls them Wh"), {"units": [{"measurand": "Energy.Active.Import.Register", "told": "Wh", "means": "kWh"}]}),  # noqa: E501
    (_("meterStart and meterStop are kWh"), {"registers": "kWh"}),
    (_("Its clock runs by local time and says no zone"), {"clock": {"zone": "site", "when": "no_zone"}}),
    (_("It does not say why a session ended"), {"stop_reasons": {"": "EVDisconnected"}}),
    (_("A setting of its own"), {"keys": [{"name": "LedBrightness", "kind": "integer", "unit": "%", "least": 0, "most": 100, "help": "Brightness of the lights"}]}),  # noqa: E501
    (_("It names a setting and does not follow it"), {"unsupported": ["MinimumStatusDuration"]}),
    (_("It takes one variable a message"), {"max_items": {"SetVariables": 1, "GetVariables": 1}}),
    (_("What it accepts counts after a hard reset"), {"apply": {"reset": "hard", "keys": ["*"]}}),
)  # fmt: skip


class ProfileForm(PortalForm):
    name = forms.CharField(label=_("Name"), max_length=120)
    vendor = forms.CharField(
        label=_("Vendor"),
        max_length=64,
        required=False,
        help_text=_("As the station tells it; * stands for anything."),
    )
    model = forms.CharField(label=_("Model"), max_length=64, required=False)
    firmware_from = forms.CharField(label=_("Firmware from"), max_length=64, required=False)
    firmware_to = forms.CharField(label=_("Firmware to"), max_length=64, required=False)
    enabled = forms.BooleanField(label=_("In use"), required=False, initial=True)
    quirks = forms.CharField(
        label=_("Quirks"), initial="{}",
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false", "class": "mono"}),
        help_text=_("As JSON; the examples can be put together."),
    )  # fmt: skip
    notes = forms.CharField(
        label=_("Notes"), required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 3})
    )

    def clean_quirks(self) -> Any:
        try:
            told = json.loads(self.cleaned_data["quirks"])
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(
                _t("This is no JSON: %(error)s") % {"error": str(error)[:200]}
            ) from None
        if not isinstance(told, dict):
            raise forms.ValidationError(_t("An object in braces."))
        return told


def _examples() -> list[tuple[Any, str]]:
    return [(words, json.dumps(told, indent=1)) for words, told in EXAMPLES]


@page(Permission.STATION_VIEW)
def profiles(request: PageRequest) -> HttpResponse:
    listed = vendor_profiles.listed(
        request.tenant.pk,
        visible.stations(request.tenant.pk, request.actor),
        all_of_them=request.actor.site_ids is None,
    )
    return render(request, "stations/vendor_profiles.html", {"profiles": listed})


@page(Permission.STATION_CONFIGURE)
def new(request: PageRequest) -> HttpResponse:
    """A new profile, or one of ours taken over to be changed (?from=key)."""
    key = request.GET.get("from", "")
    start: dict[str, Any] = {"vendor": request.GET.get("vendor", ""), "model": request.GET.get("model", "")}
    if key:
        ours = vendor_profiles.shipped(key)
        start = {**ours, "quirks": json.dumps(ours["quirks"], indent=1), "enabled": True}
    form = ProfileForm(request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            made = vendor_profiles.save(
                tenant_id=request.tenant.pk, actor=request.actor, shipped=key, **form.cleaned_data
            )
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(
                request, _t("%(name)s is saved and holds within half a minute.") % {"name": made}
            )
            return go(request, "vendor-profile", made.pk)
    context = {"form": form, "examples": _examples()}
    return render(request, "stations/vendor_profile_form.html", context, status=422 if form.errors else 200)


def _found(request: PageRequest, vendor_profile_id: int) -> VendorProfile:
    found = VendorProfile.objects.filter(tenant_id=request.tenant.pk, pk=vendor_profile_id).first()
    if found is None:
        raise NotFound
    return found


@page(Permission.STATION_VIEW)
def profile(request: PageRequest, vendor_profile_id: int) -> HttpResponse:
    found = _found(request, vendor_profile_id)
    names = ("name", "vendor", "model", "firmware_from", "firmware_to", "enabled", "notes")
    start = {name: getattr(found, name) for name in names} | {"quirks": json.dumps(found.quirks, indent=1)}
    may = request.actor.may(Permission.STATION_CONFIGURE)
    form = ProfileForm(request.POST or None, initial=start) if may else None
    if request.method == "POST" and form is not None and form.is_valid():
        try:
            vendor_profiles.save(
                tenant_id=request.tenant.pk, actor=request.actor, profile=found, **form.cleaned_data
            )
        except DomainError as error:
            form.refused(error)
            found = _found(request, vendor_profile_id)
        else:
            messages.success(request, _t("Saved %(name)s. It holds within half a minute.") % {"name": found})
            return go(request, "vendor-profile", found.pk)
    stations = visible.stations(request.tenant.pk, request.actor).select_related("site")
    context = {
        "profile": found,
        "form": form,
        "examples": _examples(),
        "stations": vendor_profiles.stations_of(
            request.tenant.pk, stations[:5000], row_id=found.pk, key=found.shipped
        ),
        "quirks": json.dumps(found.quirks, indent=1),
    }
    return render(
        request,
        "stations/vendor_profile_form.html",
        context,
        status=422 if form is not None and form.errors else 200,
    )


@require_POST
@page(Permission.STATION_CONFIGURE)
def delete(request: PageRequest, vendor_profile_id: int) -> HttpResponse:
    found = _found(request, vendor_profile_id)
    name = found.name
    vendor_profiles.delete(profile=found, actor=request.actor)
    messages.success(request, _t("%(name)s is deleted.") % {"name": name})
    return go(request, "vendor-profiles")
