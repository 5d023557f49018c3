"""Tokens: the list, one token, blocking, CSV in and out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from fleets import queries
from fleets.models import Driver, Fleet, Token, TokenKind
from fleets.services import token_files
from fleets.services import tokens as service
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.pages import Column, PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission

MOST_BYTES = 5_000_000
COLUMNS = (
    Column("token", _("Token"), ("visual_number", "uid")),
    Column("state", _("State")),
    Column("driver", _("Driver"), ("driver__name",)),
    Column("fleet", _("Fleet"), ("fleet__name",)),
    Column("kind", _("Kind"), ("kind",)),
    Column("expires", _("Expires"), ("expires_at",)),
)
_MOMENT = {"type": "datetime-local"}


class TokenForm(PortalForm):
    uid = forms.CharField(
        label=_("UID"),
        max_length=255,
        help_text=_("As the station reads it, such as 04A2B6C9D1E280. Not case-sensitive."),
    )
    visual_number = forms.CharField(
        label=_("Printed number"), max_length=64, required=False, help_text=_("What stands on the card.")
    )
    kind = forms.ChoiceField(label=_("Kind"), choices=TokenKind.choices)
    driver = forms.ModelChoiceField(
        label=_("Driver"), queryset=Driver.objects.none(), required=False, empty_label=_("Nobody")
    )
    fleet = forms.ModelChoiceField(
        label=_("Fleet"), queryset=Fleet.objects.none(), required=False, empty_label=_("As the driver's")
    )
    group = forms.CharField(
        label=_("Parent group"),
        max_length=36,
        required=False,
        help_text=_("Cards of one group may stop each other's sessions."),
    )
    valid_from = forms.DateTimeField(
        label=_("Valid from"),
        required=False,
        widget=forms.DateTimeInput(attrs=_MOMENT, format="%Y-%m-%dT%H:%M"),
    )
    expires_at = forms.DateTimeField(
        label=_("Expires"), required=False, widget=forms.DateTimeInput(attrs=_MOMENT, format="%Y-%m-%dT%H:%M")
    )
    priority = forms.IntegerField(
        label=_("Charging priority"),
        min_value=-9,
        max_value=9,
        required=False,
        help_text=_("OCPP 2: from -9 to 9, higher goes first. Empty: as the station has it."),
    )
    concurrent = forms.BooleanField(label=_("May charge in several places at once"), required=False)
    language = forms.CharField(
        label=_("Language at the station"),
        max_length=8,
        required=False,
        help_text=_("Such as de. Stations with OCPP 2 speak to the driver in it."),
    )
    message = forms.CharField(
        label=_("Text at the station"),
        max_length=200,
        required=False,
        help_text=_("Shown when the token is used, by stations with OCPP 2."),
    )
    sites = forms.ModelMultipleChoiceField(
        label=_("Only at these sites"),
        queryset=Site.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: good at all sites."),
    )

    def __init__(self, *args: Any, request: PageRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own, actor = request.tenant.pk, request.actor
        self.fields["driver"].queryset = queries.drivers(own, actor)  # type: ignore[attr-defined]
        self.fields["fleet"].queryset = queries.fleets(own, actor)  # type: ignore[attr-defined]
        self.fields["sites"].queryset = tenants.sites(own, actor)  # type: ignore[attr-defined]


@page(Permission.TOKEN_VIEW)
def tokens(request: PageRequest) -> HttpResponse:
    base = queries.tokens(request.tenant.pk, request.actor)
    searched = queries.search_tokens(base, request.GET.get("q", ""))
    rows = _in_state(searched, request.GET.get("state", ""))
    if request.GET.get("format") == "csv":
        text = token_files.export_tokens(tenant_id=request.tenant.pk, tokens=rows)
        response = HttpResponse(text, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="tokens.csv"'
        return response
    context = {
        "listing": listing(request, rows, COLUMNS),
        "all_columns": COLUMNS,
        "state": request.GET.get("state", ""),
        "chips": [
            (state, _in_state(searched, state).count()) for state in ("valid", "blocked", "token_expired")
        ],
        "any": base.exists(),
        "now": timezone.now(),
    }
    return render(request, "fleets/tokens.html", context)


def _in_state(rows: QuerySet[Token], state: str) -> QuerySet[Token]:
    expired = Q(expires_at__lte=timezone.now())
    blocked = Q(blocked=True) | Q(driver__blocked=True)
    if state == "blocked":
        return rows.filter(blocked)
    if state == "token_expired":
        return rows.filter(expired).exclude(blocked=True)
    if state == "valid":
        return rows.filter(Q(expires_at=None) | ~expired, blocked=False).exclude(driver__blocked=True)
    return rows


@page(Permission.TOKEN_EDIT)
def new(request: PageRequest) -> HttpResponse:
    start = {
        "kind": request.GET.get("kind", TokenKind.ISO14443),
        "driver": request.GET.get("driver"),
        "uid": request.GET.get("uid", ""),
    }
    form = TokenForm(request.POST or None, request=request, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            token = service.create_token(
                tenant_id=request.tenant.pk, actor=request.actor, **form.cleaned_data
            )
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("%(token)s can be used from now on.") % {"token": token})
            return go(request, "token", token.pk)
    return render(request, "fleets/token_form.html", {"form": form}, status=422 if form.errors else 200)


@page(Permission.TOKEN_VIEW)
def token(request: PageRequest, token_id: int) -> HttpResponse:
    found = _token(request, token_id)
    start = {name: getattr(found, name) for name in service.FIELDS}
    start["sites"] = list(found.sites.values_list("site_id", flat=True))
    may_edit = request.actor.may(Permission.TOKEN_EDIT)
    form = TokenForm(request.POST or None, request=request, initial=start)
    if request.method == "POST" and may_edit and form.is_valid():
        try:
            service.update_token(token=found, actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("Saved %(token)s.") % {"token": found})
            return go(request, "token", found.pk)
    context = {"form": form, "token": found, "now": timezone.now()}
    return render(request, "fleets/token.html", context, status=422 if form.errors else 200)


@require_POST
@page(Permission.TOKEN_EDIT)
def block(request: PageRequest, token_id: int) -> HttpResponse:
    """Block, or with `undo` unblock: blocking is undone as easily as it is done."""
    found = _token(request, token_id)
    if request.POST.get("undo"):
        service.unblock_token(token=found, actor=request.actor)
        messages.success(request, _t("%(token)s may charge again.") % {"token": found})
    else:
        service.block_token(token=found, actor=request.actor, reason=request.POST.get("reason", ""))
        text = _t("%(token)s is blocked. A session that runs goes on; the next one is refused.")
        messages.success(request, text % {"token": found})
    return go(request, "token", found.pk)


@require_POST
@page(Permission.TOKEN_EDIT)
def delete(request: PageRequest, token_id: int) -> HttpResponse:
    found = _token(request, token_id)
    name = str(found)
    service.delete_token(token=found, actor=request.actor)
    messages.success(request, _t("%(token)s is deleted. Its sessions stay.") % {"token": name})
    return go(request, "tokens")


@page(Permission.TOKEN_EDIT)
def import_csv(request: PageRequest) -> HttpResponse:
    report, problem = None, ""
    if request.method == "POST":
        try:
            report = token_files.import_tokens(
                tenant_id=request.tenant.pk, actor=request.actor, text=_text(request.FILES.get("file"))
            )
        except DomainError as error:
            problem = error.detail
        if report is not None and not report.errors:
            text = _t("%(created)s tokens are new, %(updated)s were changed.")
            messages.success(request, text % {"created": report.created, "updated": report.updated})
            return go(request, "tokens")
    context = {"report": report, "problem": problem, "columns": token_files.COLUMNS}
    return render(request, "fleets/token_import.html", context, status=422 if report or problem else 200)


def _text(upload: Any) -> str:
    if upload is None:
        raise DomainError(_t("Choose a CSV file first."))
    if upload.size > MOST_BYTES:
        raise DomainError(_t("The file is larger than 5 MB. Split it."))
    data = upload.read()
    try:
        return str(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return str(data.decode("cp1252", errors="replace"))  # spreadsheets on Windows


def _token(request: PageRequest, token_id: int) -> Token:
    found = queries.tokens(request.tenant.pk, request.actor).filter(pk=token_id).first()
    if found is None:
        raise NotFound
    return found
