"""Fleets: drivers and vehicles that are billed together."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from fleets import queries
from fleets.models import Fleet, FleetScope
from fleets.services import fleets as service
from fleets.services import scopes
from tenants.errors import DomainError, NotFound
from tenants.models import Membership, Role
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission


class FleetForm(PortalForm):
    name = forms.CharField(label=_("Name"), max_length=120)
    cost_centre = forms.CharField(label=_("Cost centre"), max_length=60, required=False)
    ready_by = forms.TimeField(
        label=_("Ready by"), required=False, widget=forms.TimeInput({"type": "time"}, format="%H:%M"),
        help_text=_("Load management sees to it that the vehicles have what they need by then."),
    )  # fmt: skip
    ready_days = forms.TypedMultipleChoiceField(
        label=_("On"), required=False, coerce=int, choices=list(WEEKDAYS_ABBR.items()),
        widget=forms.CheckboxSelectMultiple({"class": "in-a-row"}), help_text=_("None ticked: every day."),
    )  # fmt: skip
    ready_kwh = forms.FloatField(
        label=_("kWh for each vehicle"), required=False, min_value=0.1, max_value=1000,
        help_text=_("Of a session, at least. Empty: what earlier sessions took."),
    )  # fmt: skip

    @classmethod
    def of(cls, fleet: Fleet, data: Any = None) -> FleetForm:
        kwh = None if fleet.ready_wh is None else fleet.ready_wh / 1000
        names = ("name", "cost_centre", "ready_by", "ready_days")
        return cls(data, initial={name: getattr(fleet, name) for name in names} | {"ready_kwh": kwh})

    @property
    def told(self) -> dict[str, Any]:
        """As the service takes it."""
        found = dict(self.cleaned_data)
        kwh = found.pop("ready_kwh")
        return found | {"ready_wh": None if kwh is None else round(kwh * 1000)}


@page(Permission.DRIVER_EDIT)
def new(request: PageRequest) -> HttpResponse:
    form = FleetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            fleet = service.create_fleet(tenant_id=request.tenant.pk, actor=request.actor, **form.told)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("%(name)s is there. Add its drivers next.") % {"name": fleet})
            return go(request, "fleet", fleet.pk)
    return render(request, "fleets/fleet.html", {"form": form}, status=422 if form.errors else 200)


@page(Permission.DRIVER_VIEW)
def fleet(request: PageRequest, fleet_id: int) -> HttpResponse:
    found = _fleet(request, fleet_id)
    form = FleetForm.of(found, request.POST or None)
    if request.method == "POST" and request.actor.may(Permission.DRIVER_EDIT) and form.is_valid():
        try:
            service.update_fleet(fleet=found, actor=request.actor, **form.told)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("Saved %(name)s.") % {"name": found})
            return go(request, "fleet", found.pk)
    context = {
        "form": form,
        "fleet": found,
        "managers": _managers(request),
        "manager_ids": set(_scopes(found).values_list("membership_id", flat=True)),
        "drivers": queries.drivers(request.tenant.pk, request.actor).filter(fleet=found)[:200],
        "vehicles": queries.vehicles(request.tenant.pk, request.actor).filter(fleet=found)[:200],
    }
    return render(request, "fleets/fleet.html", context, status=422 if form.errors else 200)


def _managers(request: PageRequest) -> QuerySet[Membership]:
    """Members whose role is limited to fleets."""
    found = Membership.objects.filter(tenant_id=request.tenant.pk, role=Role.FLEET_MANAGER)
    return found.select_related("user").order_by("user__name", "user__email")


def _scopes(fleet: Fleet) -> QuerySet[FleetScope]:
    return FleetScope.objects.filter(tenant_id=fleet.tenant_id, fleet=fleet)


@require_POST
@page(Permission.MEMBER_EDIT)
def managers(request: PageRequest, fleet_id: int) -> HttpResponse:
    """Who of the fleet managers acts for this fleet: those ticked do, those unticked do not."""
    found = _fleet(request, fleet_id)
    wanted = set(request.POST.getlist("member"))
    for member in _managers(request):
        own = set(
            FleetScope.objects.filter(tenant_id=member.tenant_id, membership=member).values_list(
                "fleet_id", flat=True
            )
        )
        own = own | {found.pk} if str(member.pk) in wanted else own - {found.pk}
        fleets = Fleet.objects.filter(tenant_id=member.tenant_id, pk__in=own)
        scopes.limit_to_fleets(member=member, fleets=fleets, actor=request.actor)
    messages.success(request, _t("Saved. They see %(name)s at once.") % {"name": found})
    return go(request, "fleet", found.pk)


@require_POST
@page(Permission.DRIVER_EDIT)
def delete(request: PageRequest, fleet_id: int) -> HttpResponse:
    found = _fleet(request, fleet_id)
    name = str(found)
    try:
        service.delete_fleet(fleet=found, actor=request.actor)
    except DomainError as error:
        messages.error(request, error.detail)
        return go(request, "fleet", fleet_id)
    messages.success(request, _t("%(name)s is deleted.") % {"name": name})
    return go(request, "drivers")


def _fleet(request: PageRequest, fleet_id: int) -> Fleet:
    found = queries.fleets(request.tenant.pk, request.actor).filter(pk=fleet_id).first()
    if found is None:
        raise NotFound
    return found
