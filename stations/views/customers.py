"""What a 2.x station keeps of a customer: asked, read by few, deleted after use (N09, N10)."""

from __future__ import annotations

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

from stations.models import CustomerQuery, Station
from stations.services import customers
from stations.views.common import get_station
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission


class CustomerForm(PortalForm):
    who = forms.ChoiceField(
        label=_("Customer"),
        choices=[("token_uid", _("Token")), ("customer_identifier", _("Identifier given by the vendor"))],
    )
    text = forms.CharField(
        label=_("Which"), max_length=255, help_text=_("The UID of the card, such as 04A2B6C9.")
    )
    what = forms.ChoiceField(
        label=_("What to do"),
        choices=[
            ("report", _("Tell what is kept")),
            ("both", _("Tell what is kept, then delete it")),
            ("clear", _("Delete it")),
        ],
    )

    def given(self) -> dict[str, Any]:
        told = self.cleaned_data
        return {
            told["who"]: told["text"],
            "report": told["what"] in ("report", "both"),
            "clear": told["what"] in ("clear", "both"),
        }


@page(Permission.DRIVER_VIEW)
def queries(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    form = CustomerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            query = customers.ask(
                tenant_id=station.tenant_id, station_id=station.pk, actor=request.actor, **form.given()
            )
        except DomainError as error:
            form.refused(error)
        else:
            return go(request, "station-customer", station.pk, query.pk)
    context = {
        "station": station,
        "tab": "configuration",
        "part": "customers",
        "form": form,
        "queries": customers.of_station(station),
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_customers.html", context, status=422 if form.errors else 200)


@page(Permission.DRIVER_VIEW)
def query(request: PageRequest, station_id: int, query_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    found = _query(station, query_id)
    context = {
        "station": station,
        "tab": "configuration",
        "part": "customers",
        "query": found,
        "text": customers.text_of(query=found, actor=request.actor),
        "open": found.state in customers.OPEN,
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_customer.html", context)


@require_POST
@page(Permission.DRIVER_VIEW)
def delete(request: PageRequest, station_id: int, query_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    try:
        customers.delete(query=_query(station, query_id), actor=request.actor)
    except DomainError as error:
        messages.error(request, error.detail)
        return go(request, "station-customer", station.pk, query_id)
    messages.success(request, _t("What the station told is deleted here."))
    return go(request, "station-customers", station.pk)


def _query(station: Station, query_id: int) -> CustomerQuery:
    found = CustomerQuery.objects.filter(tenant_id=station.tenant_id, station=station, pk=query_id).first()
    if found is None:
        raise NotFound
    found.station = station
    return found
