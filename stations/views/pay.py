"""The page behind a station's QR code: a driver without an account pays and charges (OCPP 2.1, C25). Public."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from billing.queries import charge_of
from billing.services import tariffs
from billing.words import price_words
from stations import payments
from stations.models import Command, Evse, Station, WebPayment, WebPaymentState
from stations.services import costs, receipts, web_payments
from tenants import rows
from tenants.context import tenant_scope
from tenants.errors import DomainError
from tenants.models import Tenant

AMOUNTS = (20, 50, 100)


def _tenant(slug: str) -> Tenant:
    found = Tenant.objects.filter(slug=slug, suspended=False).first()
    if found is None:
        raise Http404
    return found


@never_cache
def start(request: HttpRequest, slug: str, identity: str, evse: int, code: str) -> HttpResponse:
    """The address in the QR code. A code that is current opens a payment, and tells the station."""
    tenant = _tenant(slug)
    with tenant_scope(tenant.pk):
        station = Station.objects.filter(tenant_id=tenant.pk, identity=identity, archived_at=None).first()
        if station is None or not _has(station, evse):
            raise Http404
        try:
            if request.method == "HEAD":  # a messenger that looks ahead must not use up the code
                return HttpResponse()
            payment = web_payments.begin(station=station, evse=evse, told=code[:62], now=timezone.now())
        except DomainError as error:
            context = {"company": tenant, "station": station, "problem": str(error.detail)}
            return render(request, "stations/pay.html", context, status=410)
        return HttpResponseRedirect(reverse("pay", args=[slug, payment.key]))


def _has(station: Station, evse: int) -> bool:
    """Whether it may have this EVSE: of one that never told any, each number of the standard will do."""
    numbers = set(
        Evse.objects.filter(tenant_id=station.tenant_id, station=station).values_list("number", flat=True)
    )
    return evse in numbers if numbers else 1 <= evse <= 999


@never_cache
def pay(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """The driver's page: the price, how much at most, then how the charge goes on."""
    tenant = _tenant(slug)
    with tenant_scope(tenant.pk):
        payment = web_payments.find(tenant_id=tenant.pk, key=key)
        if payment is None:
            raise Http404
        problem = ""
        if request.method == "POST":
            back = f"{settings.PUBLIC_URL}{reverse('pay', args=[slug, key])}"
            try:
                address = web_payments.pay(
                    payment=payment, amount=_amount(request), back=back, now=timezone.now()
                )
            except DomainError as error:
                problem = " ".join(getattr(error, "fields", {}).values()) or str(error.detail)
            else:
                return HttpResponseRedirect(address or reverse("pay", args=[slug, key]))
        context = _context(tenant, payment) | {"problem": problem}
        with timezone.override(ZoneInfo(payment.station.site.time_zone)):
            return render(request, "stations/pay.html", context, status=422 if problem else 200)


@never_cache
def receipt(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """What was charged and paid at a terminal: for who has the address, which the station showed."""
    tenant = _tenant(slug)
    with tenant_scope(tenant.pk):
        payment = receipts.find(tenant_id=tenant.pk, told=key)
        if payment is None:
            raise Http404
        session = payment.session
        context = {
            "company": tenant, "payment": payment, "station": payment.station, "session": session,
            "charge": charge_of(tenant.pk, f"session:{session.pk}") if session else None,
            "currency": payment.currency or (session.currency if session else ""),
        }  # fmt: skip
        with timezone.override(ZoneInfo(payment.station.site.time_zone)):
            return render(request, "stations/receipt.html", context)


def _amount(request: HttpRequest) -> Decimal:
    try:
        return Decimal(request.POST.get("amount", ""))
    except InvalidOperation:
        return Decimal(0)


def _context(tenant: Tenant, payment: WebPayment) -> dict[str, Any]:
    station, session = payment.station, payment.session
    terms = rows.alone(tenant.pk, tariffs.snapshot_for([(station.site_id, station.tariff_id)]))[0]
    command = Command.objects.filter(tenant_id=tenant.pk, pk=payment.start_command_id or 0).first()
    now = timezone.now()
    return {
        "company": tenant,
        "station": station,
        "payment": payment,
        "words": price_words(terms) if terms else [],
        "included": bool(terms and terms.get("tax_included")),
        "amounts": AMOUNTS,
        "can_pay": payments.provider() is not None
        and payment.state == WebPaymentState.OPEN
        and now <= payment.expires_at,
        "over": payment.state == WebPaymentState.ABANDONED
        or (payment.state == WebPaymentState.OPEN and now > payment.expires_at),
        "no_provider": payments.provider() is None,
        "command": command,
        "session": session,
        "cost": None if session is None else session.cost_incl_tax or costs.so_far(session, now),
        "live": payment.state in (WebPaymentState.AUTHORIZED, WebPaymentState.STARTED)
        and (session is None or session.ended_at is None),
    }
