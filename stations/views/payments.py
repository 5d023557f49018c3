"""Money at stations: payments at terminals, prepaid cards, payment pages, VAT numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from fleets import queries as holders
from stations import visible
from stations.models import PrepaidAccount, Settlement, SettlementStatus, VatCheck, WebPayment
from stations.services import prepaid as service
from stations.views import money_words
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission


@page(Permission.MONEY_VIEW)
def settlements(request: PageRequest) -> HttpResponse:
    if not request.actor.may(Permission.STATION_VIEW):  # who sees fleets alone: their prepaid cards
        return go(request, "prepaid")
    seen = visible.stations(request.tenant.pk, request.actor)
    every = Settlement.objects.filter(tenant_id=request.tenant.pk, station__in=seen)
    rows = every.select_related("station", "session")
    if request.GET.get("flagged"):
        rows = rows.exclude(flags=[])
    if (status := request.GET.get("status", "")) in SettlementStatus.values:
        rows = rows.filter(status=status)
    found = listing(request, rows)
    for row in found.page:
        row.words = money_words.settlement_flags(row.flags)
    context = {
        "tab": "settlements",
        "listing": found,
        "any": every.exists(),
        "flagged": every.exclude(flags=[]).count(),
        "only_flagged": bool(request.GET.get("flagged")),
        "statuses": SettlementStatus.choices,
        "status": status,
    }
    return render(request, "stations/settlements.html", context)


@page(Permission.MONEY_VIEW)
def web(request: PageRequest) -> HttpResponse:
    request.actor.require(Permission.STATION_VIEW)
    seen = visible.stations(request.tenant.pk, request.actor)
    own: dict[str, Any] = {"tenant_id": request.tenant.pk, "station__in": seen}
    context = {
        "tab": "web",
        "listing": listing(request, WebPayment.objects.filter(**own).select_related("station", "session")),
        "vat_checks": VatCheck.objects.filter(**own).select_related("station")[:25],
    }
    return render(request, "stations/web_payments.html", context)


# --- prepaid ---


class OpenForm(PortalForm):
    token = forms.ModelChoiceField(label=_("Token"), queryset=None, empty_label=_("Choose a token"))
    amount = forms.DecimalField(
        label=_("Paid in now"), min_value=Decimal(0), max_digits=10, decimal_places=2, required=False
    )

    def __init__(self, *args: Any, request: PageRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        taken = PrepaidAccount.objects.filter(tenant_id=request.tenant.pk, closed_at=None)
        tokens = holders.tokens(request.tenant.pk, request.actor).exclude(pk__in=taken.values("token_id"))
        self.fields["token"].queryset = tokens  # type: ignore[attr-defined]


class PayForm(PortalForm):
    amount = forms.DecimalField(
        label=_("Amount"), max_digits=10, decimal_places=2, help_text=_("Below zero: paid out.")
    )
    label = forms.CharField(label=_("Note"), max_length=120, required=False)


def _accounts(request: PageRequest) -> Any:
    tokens = holders.tokens(request.tenant.pk, request.actor)
    return PrepaidAccount.objects.filter(tenant_id=request.tenant.pk, token__in=tokens).select_related(
        "token", "token__driver"
    )


@page(Permission.TOKEN_VIEW)
def prepaid(request: PageRequest) -> HttpResponse:
    form = OpenForm(request.POST or None, request=request)
    if request.method == "POST" and request.actor.may(Permission.TOKEN_EDIT) and form.is_valid():
        try:
            account = service.open_account(
                tenant_id=request.tenant.pk, token=form.cleaned_data["token"], currency=request.tenant.currency,
                actor=request.actor,
            )  # fmt: skip
            if form.cleaned_data["amount"]:
                service.pay_in(account=account, amount=form.cleaned_data["amount"], actor=request.actor)
        except DomainError as error:
            form.refused(error)
        else:
            return go(request, "prepaid-account", account.pk)
    found = listing(request, _accounts(request))
    for account in found.page:
        account.balance = service.balance(account)
    context = {"tab": "prepaid", "listing": found, "form": form}
    return render(request, "stations/prepaid.html", context, status=422 if form.errors else 200)


@page(Permission.TOKEN_VIEW)
def account(request: PageRequest, account_id: int) -> HttpResponse:
    found = _account(request, account_id)
    form = PayForm(request.POST or None)
    if request.method == "POST" and request.actor.may(Permission.TOKEN_EDIT) and form.is_valid():
        try:
            service.pay_in(account=found, actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("Booked."))
            return go(request, "prepaid-account", found.pk)
    context = {
        "tab": "prepaid",
        "account": found,
        "balance": service.balance(found),
        "reserved": service.reserved(found),
        "listing": listing(
            request, found.entries.filter(tenant_id=found.tenant_id).select_related("session")
        ),
        "form": form,
    }
    return render(request, "stations/prepaid_account.html", context, status=422 if form.errors else 200)


@require_POST
@page(Permission.TOKEN_EDIT)
def close(request: PageRequest, account_id: int) -> HttpResponse:
    found = _account(request, account_id)
    try:
        service.close(account=found, actor=request.actor)
    except DomainError as error:
        messages.error(request, str(error.detail))
    return go(request, "prepaid-account", found.pk)


def _account(request: PageRequest, account_id: int) -> PrepaidAccount:
    found = _accounts(request).filter(pk=account_id).first()
    if found is None:
        raise NotFound
    return found  # type: ignore[no-any-return]
