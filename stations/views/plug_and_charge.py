"""Plug & Charge in the portal: how it stands, contracts, certificates for cars, settings; and of one station."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from fleets import queries
from fleets.models import Reason
from stations import visible
from stations.models import (
    CertificateInstallation,
    CertificateStatus,
    CertificateUse,
    Contract,
    ContractCheck,
    InstalledCertificate,
    PlugAndCharge,
    ProviderKind,
    StationEvent,
    TrustAnchor,
    Unchecked,
    Variable,
)
from stations.services.pnc import roots, settings
from stations.services.words import said
from stations.views.common import get_station
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission

WEEK = timedelta(days=7)
SOON = timedelta(days=60)
USES = (CertificateUse.V2G_ROOT, CertificateUse.MO_ROOT, CertificateUse.OEM_ROOT)
STEPS = {
    "readable": _("Certificates readable"),
    "contract": _("Contract id"),
    "path": _("Path to a trusted root"),
    "dates": _("Valid today"),
    "constraints": _("Made for this"),
    "keys": _("Keys of ISO 15118"),
    "revocation": _("Not revoked"),
}


def _checks(request: PageRequest) -> QuerySet[ContractCheck]:
    rows = ContractCheck.objects.filter(tenant_id=request.tenant.pk).select_related("station", "token")
    if request.actor.site_ids is None:
        return rows
    return rows.filter(station__in=visible.stations(request.tenant.pk, request.actor))


def _installations(request: PageRequest) -> QuerySet[CertificateInstallation]:
    rows = CertificateInstallation.objects.filter(tenant_id=request.tenant.pk).select_related("station")
    if request.actor.site_ids is None:
        return rows
    return rows.filter(station__in=visible.stations(request.tenant.pk, request.actor))


def with_steps(checks: Any) -> list[ContractCheck]:
    """Each check with its steps in people's words: [(name, good, detail)], and the reason in words."""
    shown = list(checks)
    for check in shown:
        check.told = [
            (
                STEPS.get(str(step.get("name")), str(step.get("name"))),
                step.get("good"),
                said(str(step.get("detail", ""))),
            )
            for step in check.steps
        ]
        check.why = _why(check)
    return shown


def _why(check: ContractCheck) -> str:
    if check.detail:
        return said(check.detail)
    return str(Reason(check.reason).label) if check.reason in Reason.values and check.reason else ""


@page(Permission.STATION_VIEW)
def overview(request: PageRequest) -> HttpResponse:
    """How it stands, then what cars showed, then what cars fetched."""
    own = settings.of(request.tenant.pk)
    anchors = TrustAnchor.objects.filter(tenant_id=request.tenant.pk, use__in=USES, archived_at=None)
    week = _checks(request).filter(at__gt=timezone.now() - WEEK)
    chosen = request.GET.get("show", "")
    rows = _checks(request)
    rows = rows.exclude(verdict="accepted") if chosen == "refused" else rows
    rows = rows.filter(flagged=True) if chosen == "flagged" else rows
    found = listing(request, rows, size=25)
    context = {
        "own": own,
        "provider": ProviderKind(own.provider).label,
        "has_provider": own.provider != ProviderKind.NONE,
        "standing": _standing(own, anchors, week),
        "anchors": anchors,
        "uses": [(use.label, anchors.filter(use=use).count()) for use in USES],
        "listing": found,
        "checks": with_steps(found.page),
        "installations": _installations(request)[:10],
        "show": chosen,
        "ever": bool(found.total) or bool(chosen),
        "trusted": anchors.filter(use__in=(CertificateUse.MO_ROOT, CertificateUse.V2G_ROOT)).exists(),
    }
    return render(request, "stations/plug_and_charge.html", context)


def _standing(
    own: PlugAndCharge, anchors: QuerySet[TrustAnchor], week: QuerySet[ContractCheck]
) -> dict[str, Any]:
    """The answer first: what was accepted and refused this week, and what needs somebody."""
    counted = week.aggregate(
        accepted=Count("id", filter=Q(verdict="accepted")),
        refused=Count("id", filter=~Q(verdict="accepted")),
        flagged=Count("id", filter=Q(flagged=True)),
    )
    now = timezone.now()
    needs = []
    for anchor in anchors.filter(not_after__lt=now + SOON).order_by("not_after")[:3]:
        text = (
            _t("%(name)s expires on %(date)s.")
            if anchor.not_after > now
            else _t("%(name)s expired on %(date)s.")
        )
        needs.append(text % {"name": anchor.name, "date": date_format(anchor.not_after, "j F Y")})
    if own.provider_error:
        needs.append(
            _t("The provider failed at its last call: %(error)s") % {"error": said(own.provider_error)}
        )
    unproved = week.filter(status=CertificateStatus.NOT_AVAILABLE, reason="certificate").count()
    if unproved:
        text = ngettext(
            "%(count)s contract was refused this week because its revocation could not be checked.",
            "%(count)s contracts were refused this week because their revocation could not be checked.",
            unproved,
        )
        needs.append(text % {"count": unproved})
    return {**counted, "needs": needs}


@require_POST
@page(Permission.STATION_CONFIGURE)
def fetch_roots(request: PageRequest) -> HttpResponse:
    """Ask the provider, outside of the request's transaction, which must be over by then."""
    try:
        fetched = roots.fetch(tenant_id=request.tenant.pk, actor=request.actor)
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        text = ngettext(
            "The provider offers %(count)s root; %(added)s new.",
            "The provider offers %(count)s roots; %(added)s new.",
            fetched.offered,
        )
        messages.success(request, text % {"count": fetched.offered, "added": len(fetched.added)})
        for problem in fetched.refused[:3]:
            messages.warning(request, problem)
    return go(request, "plug-and-charge")


fetch_roots.manages_transactions = True  # type: ignore[attr-defined]


class SettingsForm(PortalForm):
    provider = forms.ChoiceField(
        label=_("Provider of certificates"),
        choices=ProviderKind.choices,
        help_text=_(
            "Gives cars their contract certificates, stations theirs, and the list of trusted roots."
        ),
    )
    base_url = forms.CharField(
        label=_("Address"),
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "https://eu.plugncharge.hubject.com"}),
    )
    token_url = forms.CharField(
        label=_("Address for access tokens"),
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "https://auth.eu.plugncharge.hubject.com/oauth/token"}),
    )
    audience = forms.CharField(label=_("Audience"), max_length=300, required=False)
    client_id = forms.CharField(label=_("Client id"), max_length=200, required=False)
    client_secret = forms.CharField(
        label=_("Client secret"),
        max_length=400,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Stored encrypted and never shown. Empty: the one that is stored stays."),
    )
    trusted_ca = forms.CharField(
        label=_("Certificate authority of its addresses (PEM)"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Only if the provider does not use a public one."),
    )
    unchecked = forms.ChoiceField(
        label=_("A contract whose revocation cannot be checked"),
        choices=Unchecked.choices,
        help_text=_("Such as when the responder of the mobility operator is down."),
    )
    bare = forms.BooleanField(
        label=_("Accept contract ids without a certificate"),
        required=False,
        help_text=_(
            "Whoever knows a contract id could charge on it. For stations that cannot pass certificates on."
        ),
    )


@page(Permission.TENANT_EDIT)
def edit(request: PageRequest) -> HttpResponse:
    own = settings.of(request.tenant.pk)
    initial = {name: getattr(own, name) for name in settings.FIELDS if name != "client_secret"}
    form = SettingsForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                settings.change(tenant_id=request.tenant.pk, actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("The settings hold from the next car on."))
            return go(request, "plug-and-charge")
    context = {"form": form, "has_secret": bool(own.client_secret)}
    return render(request, "stations/plug_and_charge_edit.html", context, status=422 if form.errors else 200)


@page(Permission.STATION_VIEW)
def contract(request: PageRequest, contract_id: int) -> HttpResponse:
    """One contract: its certificate as last shown, its token, and each time it was shown."""
    rows = Contract.objects.filter(tenant_id=request.tenant.pk)
    rows = rows if request.actor.site_ids is None else rows.none()
    found = rows.filter(pk=contract_id).first()
    if found is None:
        raise NotFound
    return render(request, "stations/contract.html", _contract_context(request, found))


def _contract_context(request: PageRequest, found: Contract) -> dict[str, Any]:
    shown = listing(request, _checks(request).filter(emaid=found.emaid), size=25)
    token = queries.tokens(request.tenant.pk, request.actor).filter(uid=found.emaid).first()
    return {
        "contract": found,
        "token": token,
        "listing": shown,
        "checks": with_steps(shown.page),
        "expired": found.not_after <= timezone.now(),
    }


@page(Permission.TOKEN_VIEW)
def of_token(request: PageRequest, token_id: int) -> HttpResponse:
    """What is known of a contract token's certificate: a part of the token's page, for htmx."""
    token = queries.tokens(request.tenant.pk, request.actor).filter(pk=token_id).first()
    if token is None:
        raise NotFound
    found = Contract.objects.filter(tenant_id=request.tenant.pk, emaid=token.uid).first()
    newest = ContractCheck.objects.filter(tenant_id=request.tenant.pk, emaid=token.uid).first()
    context = {
        "token": token,
        "contract": found,
        "newest": with_steps([newest])[0] if newest else None,
        "expired": bool(found and found.not_after <= timezone.now()),
    }
    return render(request, "stations/_contract_of_token.html", context)


@page(Permission.STATION_VIEW)
def of_station(request: PageRequest, station_id: int) -> HttpResponse:
    """A station's ISO 15118 state: what it holds, what is switched on, which contracts it saw."""
    station = get_station(request, station_id)
    own = {"tenant_id": station.tenant_id, "station": station}
    checks = ContractCheck.objects.filter(**own).select_related("station", "token")
    context = {
        "station": station,
        "tab": "plug-and-charge",
        "variables": _variables(station),
        "installed": InstalledCertificate.objects.filter(
            **own, use__in=(*USES, CertificateUse.V2G_CHAIN)
        ).select_related("anchor"),
        "checks": with_steps(checks[:20]),
        "installations": CertificateInstallation.objects.filter(**own)[:10],
        "asked": StationEvent.objects.filter(**own, kind="certificate")[:10],
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_plug_and_charge.html", context)


# ISO15118Ctrlr of 2.x (part 2 appendix 3.1.7), and the keys of the application note for 1.6.
_SWITCHES: tuple[tuple[str, Any], ...] = (
    ("PnCEnabled", _("Plug & Charge is on")),
    ("ISO15118PnCEnabled", _("Plug & Charge is on")),
    ("CentralContractValidationAllowed", _("May pass contract certificates on to be checked here")),
    ("ContractValidationOffline", _("Accepts contracts while offline")),
    ("V2GCertificateInstallationEnabled", _("Takes a certificate towards cars from here")),
    ("ContractCertificateInstallationEnabled", _("Lets cars fetch their contract certificates")),
    ("RequestMeteringReceipt", _("Asks cars to sign meter readings")),
    ("SeccId", _("Name towards cars (SECC id)")),
    ("CountryName", _("Country in its certificate")),
    ("OrganizationName", _("Organisation in its certificate")),
)


def _variables(station: Any) -> list[tuple[Any, Variable]]:
    names = dict(_SWITCHES)
    found = Variable.objects.filter(
        Q(component="ISO15118Ctrlr") | Q(component=""), tenant_id=station.tenant_id, station=station,
        attribute="actual", name__in=names,
    )  # fmt: skip
    order = list(names)
    return [
        (names[row.name], row)
        for row in sorted(found, key=lambda row: (order.index(row.name), row.evse_number))
    ]
