"""What drivers see and pay at one station: its display, its prices, its payments, its batteries."""

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

from billing import queries as prices
from billing.services import tariffs
from billing.words import price_words
from stations.models import (
    BatterySlot,
    BatterySwap,
    DisplayMessage,
    DisplayStanding,
    Settlement,
    Station,
    VatCheck,
    WebPaymentAccess,
)
from stations.services import displays, fallbacks, showing, station_tariffs, swaps, web_payments
from stations.views import money_words
from stations.views.common import get_station
from tenants import rows
from tenants.errors import DomainError
from tenants.pages import PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission

_GONE = (DisplayStanding.CLEARED, DisplayStanding.EXPIRED)


class FallbackForm(PortalForm):
    price = forms.CharField(
        label=_("When it knows no price"), required=False, max_length=fallbacks.LONGEST,
        help_text=_("Shown when a card is held to it while it is offline."),
    )  # fmt: skip
    total = forms.CharField(
        label=_("When it knows no total"), required=False, max_length=fallbacks.LONGEST,
        help_text=_("Shown at the end of a session that ended while it was offline."),
    )  # fmt: skip


@page(Permission.STATION_VIEW)
def driver(request: PageRequest, station_id: int) -> HttpResponse:
    return _driver(request, get_station(request, station_id))


def _driver(request: PageRequest, station: Station, form: FallbackForm | None = None) -> HttpResponse:
    own: dict[str, Any] = {"tenant_id": station.tenant_id, "station": station}
    able = showing.of(station.tenant_id, [station.pk]).get(station.pk, showing.Shows())
    terms = rows.alone(station.tenant_id, tariffs.snapshot_for([(station.site_id, station.tariff_id)]))[0]
    installed = station_tariffs.of_station(station)
    words = fallbacks.of_station(station)
    settlements = list(Settlement.objects.filter(**own).select_related("session")[:8])
    context = {
        "station": station,
        "tab": "driver",
        "is_v2": station.is_v2,
        "is_v21": station.ocpp_version == "2.1",
        "shown": DisplayMessage.objects.filter(**own)
        .exclude(standing__in=_GONE)
        .select_related("notice")[:100],
        "gone": DisplayMessage.objects.filter(**own, standing__in=_GONE).count(),
        "display": showing.display(station.tenant_id, station.pk),
        "able": able,
        "words": price_words(terms) if terms else [],
        "terms": terms,
        "installed": installed,
        "installed_words": price_words(installed.terms) if installed else [],
        "settlements": [(row, money_words.settlement_flags(row.flags)) for row in settlements],
        "vat_checks": VatCheck.objects.filter(**own)[:5],
        "access": WebPaymentAccess.objects.filter(**own).first(),
        "swaps": BatterySwap.objects.filter(**own).exists() or BatterySlot.objects.filter(**own).exists(),
        "tariffs": prices.tariffs(station.tenant_id, request.actor),
        "fallbacks": words,
        "fallback_form": form or FallbackForm(initial={"price": words.price, "total": words.total}),
    }
    status = 422 if form else 200
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_driver.html", context, status=status)


@require_POST
@page(Permission.STATION_COMMAND)
def ask_display(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    return _try(request, station, lambda: displays.ask(station=station, actor=request.actor))


@require_POST
@page(Permission.STATION_COMMAND)
def install_tariff(request: PageRequest, station_id: int) -> HttpResponse:
    """Install the tariff that counts here."""
    station = get_station(request, station_id)
    terms = rows.alone(station.tenant_id, tariffs.snapshot_for([(station.site_id, station.tariff_id)]))[0]
    if terms is None:
        messages.error(request, _t("No tariff counts here. Give one to the site first."))
        return go(request, "station-driver", station.pk)
    return _try(
        request, station, lambda: station_tariffs.install(station=station, terms=terms, actor=request.actor)
    )


@require_POST
@page(Permission.STATION_COMMAND)
def read_tariff(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    return _try(request, station, lambda: station_tariffs.read(station=station, actor=request.actor))


@require_POST
@page(Permission.STATION_CONFIGURE)
def set_up_qr(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    slug = request.tenant.slug
    return _try(
        request,
        station,
        lambda: web_payments.install(station=station, tenant_slug=slug, actor=request.actor),
    )


@require_POST
@page(Permission.STATION_CONFIGURE)
def set_fallbacks(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    form = FallbackForm(request.POST)
    if form.is_valid():
        try:
            fallbacks.set_words(station=station, actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("Asked. The words are changed as soon as the station has answered."))
            return go(request, "station-driver", station.pk)
    return _driver(request, station, form)


def _try(request: PageRequest, station: Station, act: Any) -> HttpResponse:
    try:
        act()
    except DomainError as error:
        messages.error(request, str(error.detail))
    else:
        messages.success(request, _t("Asked. The answer appears here as soon as the station gives it."))
    return go(request, "station-driver", station.pk)


# --- battery swap ---


class SwapForm(PortalForm):
    token_uid = forms.CharField(
        label=_("Token"), max_length=36, help_text=_("UID of the card for whose holder the swap begins.")
    )


@page(Permission.STATION_VIEW)
def batteries(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    form = SwapForm(request.POST or None)
    if request.method == "POST" and request.actor.may(Permission.STATION_COMMAND) and form.is_valid():
        try:
            swaps.ask(
                station=station, token_uid=form.cleaned_data["token_uid"], token_kind="", actor=request.actor
            )
        except DomainError as error:
            form.refused(error)
        else:
            return go(request, "station-batteries", station.pk)
    own: dict[str, Any] = {"tenant_id": station.tenant_id, "station": station}
    slots = list(BatterySlot.objects.filter(**own))
    context = {
        "station": station,
        "tab": "driver",
        "slots": slots,
        "ready": sum(slot.present and (slot.soc_percent or 0) >= READY_PERCENT for slot in slots),
        "empty": sum(not slot.present for slot in slots),
        "listing": listing(request, BatterySwap.objects.filter(**own).select_related("token"), size=25),
        "form": form,
        "is_v21": station.ocpp_version in ("", "2.1"),
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_batteries.html", context, status=422 if form.errors else 200)


READY_PERCENT = 80
