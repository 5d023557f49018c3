"""Tariffs: in words, in a form, tried on an example session, given to sites."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.views.decorators.http import require_POST

from billing import queries
from billing.models import Tariff
from billing.services import rating
from billing.services import tariffs as service
from billing.services.elements import checked_elements
from billing.usage import Usage, UsagePeriod
from billing.views.forms import ExampleForm, TariffForm, from_tariff, is_simple
from billing.words import price_words
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, go, page
from tenants.permissions import Permission


@page(Permission.TARIFF_VIEW)
def tariffs(request: PageRequest) -> HttpResponse:
    found = queries.tariffs(request.tenant.pk, request.actor)
    cards = [{"tariff": tariff, "words": price_words(service.snapshot(tariff))} for tariff in found]
    return render(request, "billing/tariffs.html", {"cards": cards})


@page(Permission.TARIFF_VIEW)
def tariff(request: PageRequest, tariff_id: int) -> HttpResponse:
    found = _tariff(request, tariff_id)
    context = {
        "tariff": found,
        "words": price_words(service.snapshot(found)),
        "used_at": queries.sites_of(found),
        "sites": tenants.sites(request.tenant.pk, request.actor),
        "used_ids": set(queries.sites_of(found).values_list("site_id", flat=True)),
        **_example(request, service.snapshot(found)),
    }
    part = "billing/_example.html" if request.headers.get("HX-Request") else "billing/tariff.html"
    return render(request, part, context)


def _example(request: PageRequest, frozen: dict[str, Any]) -> dict[str, Any]:
    """The price of an example session: ?kwh= &charging= &parked= or the usual one."""
    given = {name: request.GET[name] for name in ("kwh", "charging", "parked") if name in request.GET}
    form = ExampleForm({"kwh": 30, "charging": 120, "parked": 30} | given)
    if not form.is_valid() or not frozen["elements"]:
        return {"example": form, "rated": None}
    try:
        rated = rating.rate(tariff=frozen, usage=_usage(request, **form.cleaned_data))
    except rating.NotRatable as error:
        return {"example": form, "rated": None, "not_ratable": str(error)}
    return {
        "example": form,
        "rated": rated,
        "lines": [line.to_json() for line in rated.lines],
        "included": frozen.get("tax_included", False),
    }


def _usage(request: PageRequest, *, kwh: Decimal, charging: int, parked: int) -> Usage:
    start = timezone.now().replace(minute=0, second=0, microsecond=0)
    middle = start + timedelta(minutes=charging)
    end = middle + timedelta(minutes=parked)
    periods = (UsagePeriod(start, middle, kwh * 1000, True), UsagePeriod(middle, end, Decimal(0), False))
    return Usage(started_at=start, ended_at=end, time_zone=request.tenant.time_zone, periods=periods)


@page(Permission.TARIFF_EDIT)
def new(request: PageRequest) -> HttpResponse:
    form = TariffForm(request.POST or None, initial={"currency": request.tenant.currency, "vat": 19})
    if request.method == "POST" and form.is_valid():
        try:
            found = service.create_tariff(tenant_id=request.tenant.pk, actor=request.actor, **form.values())
        except DomainError as error:
            _refuse(form, error)
        else:
            messages.success(request, _t("%(name)s is there. Give it to a site next.") % {"name": found})
            return go(request, "tariff", found.pk)
    return render(request, "billing/tariff_form.html", {"form": form}, status=422 if form.errors else 200)


@page(Permission.TARIFF_EDIT)
def edit(request: PageRequest, tariff_id: int) -> HttpResponse:
    found = _tariff(request, tariff_id)
    form = TariffForm(request.POST or None, initial=from_tariff(found))
    simple = is_simple(found)
    if request.method == "POST" and simple and form.is_valid():
        try:
            service.update_tariff(tariff=found, actor=request.actor, **form.values())
        except DomainError as error:
            _refuse(form, error)
        else:
            text = _t("Saved %(name)s. Sessions that run keep the price they started with.")
            messages.success(request, text % {"name": found})
            return go(request, "tariff", found.pk)
    context = {"form": form, "tariff": found, "simple": simple}
    return render(request, "billing/tariff_form.html", context, status=422 if form.errors else 200)


def _refuse(form: TariffForm, error: DomainError) -> None:
    """Paths into the elements mean nothing to a person: their sentences stand above the form."""
    form.refused(error)


@page(Permission.TARIFF_EDIT)
def preview(request: PageRequest) -> HttpResponse:
    """The tariff being typed, in words and tried on the usual example; for htmx."""
    form = TariffForm(request.GET)
    context: dict[str, Any] = {"words": [], "rated": None}
    if form.is_valid():
        values = form.values()
        try:
            values["elements"] = checked_elements(values["elements"])
        except DomainError:
            return render(request, "billing/_preview.html", context)
        frozen = service.snapshot(Tariff(tenant_id=request.tenant.pk, **values))
        context = {"words": price_words(frozen), **_example(request, frozen)}
    return render(request, "billing/_preview.html", context)


@require_POST
@page(Permission.TARIFF_EDIT)
def make_default(request: PageRequest, tariff_id: int) -> HttpResponse:
    found = _tariff(request, tariff_id)
    service.set_default(tariff=found, actor=request.actor)
    messages.success(request, _t("%(name)s counts wherever no other tariff is set.") % {"name": found})
    return go(request, "tariff", found.pk)


@require_POST
@page(Permission.TARIFF_EDIT)
def sites(request: PageRequest, tariff_id: int) -> HttpResponse:
    """The sites that have this tariff: those ticked get it, those unticked lose it."""
    found = _tariff(request, tariff_id)
    wanted = {int(text) for text in request.POST.getlist("site") if text.isdecimal()}
    has = set(queries.sites_of(found).values_list("site_id", flat=True))
    for site in tenants.sites(request.tenant.pk, request.actor).filter(pk__in=wanted ^ has):
        service.set_site_tariff(site=site, tariff=found if site.pk in wanted else None, actor=request.actor)
    messages.success(request, _t("Saved. New sessions at these sites follow %(name)s.") % {"name": found})
    return go(request, "tariff", found.pk)


@require_POST
@page(Permission.TARIFF_EDIT)
def archive(request: PageRequest, tariff_id: int) -> HttpResponse:
    found = _tariff(request, tariff_id)
    try:
        service.archive_tariff(tariff=found, actor=request.actor)
    except DomainError as error:
        messages.error(request, error.detail)
        return go(request, "tariff", found.pk)
    messages.success(request, _t("%(name)s is set aside.") % {"name": found})
    return go(request, "tariffs")


def _tariff(request: PageRequest, tariff_id: int) -> Tariff:
    found = queries.tariffs(request.tenant.pk, request.actor, archived=True).filter(pk=tariff_id).first()
    if found is None:
        raise NotFound
    return found
