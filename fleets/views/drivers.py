"""Drivers, with the fleets they belong to."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from fleets import queries
from fleets.models import Driver, Fleet, Token
from fleets.services import drivers as service
from tenants.errors import DomainError, NotFound
from tenants.models import Role, User
from tenants.pages import Column, PageRequest, PortalForm, csv_response, go, listing, page
from tenants.permissions import Permission

COLUMNS = (
    Column("driver", _("Driver"), ("name",)),
    Column("state", _("State")),
    Column("fleet", _("Fleet"), ("fleet__name",)),
    Column("email", _("E-mail"), ("email",)),
    Column("phone", _("Phone"), optional=True),
    Column("tokens", _("Tokens"), ("tokens_count",), numeric=True),
)


class DriverForm(PortalForm):
    name = forms.CharField(label=_("Name"), max_length=120)
    email = forms.EmailField(label=_("E-mail"), required=False)
    phone = forms.CharField(label=_("Phone"), max_length=40, required=False)
    fleet = forms.ModelChoiceField(
        label=_("Fleet"), queryset=Fleet.objects.none(), required=False, empty_label=_("None")
    )
    user = forms.ModelChoiceField(
        label=_("Signs in as"),
        queryset=User.objects.none(),
        required=False,
        empty_label=_("Nobody"),
        help_text=_("A member with the role of a driver, who then sees their own sessions and tokens."),
    )
    blocked = forms.BooleanField(label=_("Blocked: all tokens of this driver are refused"), required=False)

    def __init__(self, *args: Any, request: PageRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fleets = queries.fleets(request.tenant.pk, request.actor)
        self.fields["fleet"].queryset = fleets  # type: ignore[attr-defined]
        users = User.objects.filter(memberships__tenant_id=request.tenant.pk, memberships__role=Role.DRIVER)
        self.fields["user"].queryset = users.order_by("name", "email")  # type: ignore[attr-defined]


@page(Permission.DRIVER_VIEW)
def drivers(request: PageRequest) -> HttpResponse:
    base = queries.drivers(request.tenant.pk, request.actor)
    rows = base.annotate(tokens_count=Count("tokens"))
    if text := request.GET.get("q", "").strip()[:100]:
        rows = rows.filter(
            Q(name__icontains=text) | Q(email__icontains=text) | Q(fleet__name__icontains=text)
        )
    if (fleet := request.GET.get("fleet", "")).isdecimal():
        rows = rows.filter(fleet_id=int(fleet))
    if request.GET.get("format") == "csv":
        header = ("name", "email", "phone", "fleet", "blocked")
        return csv_response(
            "drivers.csv",
            header,
            ((d.name, d.email, d.phone, str(d.fleet or ""), d.blocked) for d in rows[:50_000]),
        )
    fleets = queries.fleets(request.tenant.pk, request.actor).annotate(
        drivers_count=Count("drivers", distinct=True)
    )
    context = {
        "listing": listing(request, rows, COLUMNS),
        "all_columns": COLUMNS,
        "fleets": fleets,
        "chosen_fleet": fleet,
        "any": base.exists(),
    }
    return render(request, "fleets/drivers.html", context)


@page(Permission.DRIVER_EDIT)
def new(request: PageRequest) -> HttpResponse:
    form = DriverForm(request.POST or None, request=request, initial={"fleet": request.GET.get("fleet")})
    if request.method == "POST" and form.is_valid():
        try:
            driver = service.create_driver(
                tenant_id=request.tenant.pk, actor=request.actor, **form.cleaned_data
            )
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("%(name)s is entered. Give them a token next.") % {"name": driver})
            return go(request, "driver", driver.pk)
    return render(request, "fleets/driver_form.html", {"form": form}, status=422 if form.errors else 200)


@page(Permission.DRIVER_VIEW)
def driver(request: PageRequest, driver_id: int) -> HttpResponse:
    found = _driver(request, driver_id)
    start = {name: getattr(found, name) for name in ("name", "email", "phone", "fleet", "user", "blocked")}
    form = DriverForm(request.POST or None, request=request, initial=start)
    if request.method == "POST" and request.actor.may(Permission.DRIVER_EDIT) and form.is_valid():
        try:
            service.update_driver(driver=found, actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("Saved %(name)s.") % {"name": found})
            return go(request, "driver", found.pk)
    tokens = Token.objects.filter(tenant_id=request.tenant.pk, driver=found)
    context = {"form": form, "driver": found, "tokens": tokens}
    return render(request, "fleets/driver.html", context, status=422 if form.errors else 200)


@require_POST
@page(Permission.DRIVER_EDIT)
def delete(request: PageRequest, driver_id: int) -> HttpResponse:
    found = _driver(request, driver_id)
    name = str(found)
    try:
        service.delete_driver(driver=found, actor=request.actor)
    except DomainError as error:
        messages.error(request, error.detail)
        return go(request, "driver", driver_id)
    messages.success(request, _t("%(name)s is deleted.") % {"name": name})
    return go(request, "drivers")


def _driver(request: PageRequest, driver_id: int) -> Driver:
    found = queries.drivers(request.tenant.pk, request.actor).filter(pk=driver_id).first()
    if found is None:
        raise NotFound
    return found
