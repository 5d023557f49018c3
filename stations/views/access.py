"""Access: the rules of the company, of sites and of stations, and the local lists that follow from the tokens."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from stations import visible
from stations.models import (
    LIVE_RESERVATIONS,
    AccessRule,
    ListScope,
    ListState,
    LocalList,
    Reservation,
    Station,
)
from stations.services import access, local_lists, reservations
from stations.services.access import Rules
from stations.views.common import get_station
from stations.views.lanes import lanes
from stations.views.reservations import ReserveForm
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.pages import PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission

# Sentences that services store; here for translation.
_STORED = (
    _("The station's own switch for the list is off."),
    _("The station knows no local list."),
    _("The station failed to take it."),
    _("The station could not read it."),
)
_SWITCHES = ("local_list", "free_charging", "direct_payment", "bidirectional", "reservations")
_NUMBERS = ("reserve_ahead_minutes", "reserve_minutes", "no_show_limit")


def _switch(label: Any, hint: Any) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, required=False, help_text=hint)


class RuleForm(PortalForm):
    """What is said at one level; what is left open is as one level up."""

    local_list = _switch(
        _("Local authorisation list"),
        _("Stations keep the tokens themselves and let them charge while they are offline."),
    )
    list_scope = forms.ChoiceField(label=_("Tokens in the list"), required=False)
    list_group = forms.CharField(
        label=_("Parent group of the list"),
        max_length=36,
        required=False,
        help_text=_("If only one group goes in."),
    )
    free_charging = _switch(
        _("Free charging without identification"),
        _(
            "Sessions begun by a start button are accepted as anonymous (OCPP 2). Otherwise they are held for review."
        ),
    )
    direct_payment = _switch(
        _("Payment at the station's terminal"),
        _("Sessions paid at the station itself are accepted (OCPP 2.1)."),
    )
    bidirectional = _switch(
        _("Cars may give energy back"),
        _("Bidirectional charging by ISO 15118-20 (OCPP 2.1). Otherwise the station lets cars charge only."),
    )
    master_group = forms.CharField(
        label=_("Group of the master passes"),
        max_length=36,
        required=False,
        help_text=_("Tokens with this parent group end any session and start none."),
    )
    reservations = _switch(
        _("Drivers may reserve"), _("On their own page, within the bounds below. Operators always may.")
    )
    reserve_ahead_minutes = forms.IntegerField(
        label=_("At most this long ahead (min)"), required=False, min_value=0, max_value=10080
    )
    reserve_minutes = forms.IntegerField(
        label=_("A charger is held at most (min)"), required=False, min_value=5, max_value=1440
    )
    no_show_limit = forms.IntegerField(
        label=_("No-shows in 30 days that end it"), required=False, min_value=0, max_value=1000,
        help_text=_("0: no limit."),
    )  # fmt: skip

    def __init__(self, *args: Any, above: Rules | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rules = above or Rules()
        for name in _SWITCHES:
            self._choices(name, [("yes", _t("Yes")), ("no", _t("No"))], _yes_no(getattr(rules, name)), above)
        self._choices("list_scope", ListScope.choices, str(ListScope(rules.list_scope).label), above)
        for name in _NUMBERS:
            self.fields[name].widget.attrs["placeholder"] = str(getattr(rules, name))
        for name in ("list_group", "master_group"):
            self.fields[name].widget.attrs["placeholder"] = getattr(rules, name)

    def _choices(self, name: str, choices: Any, inherited: str, above: Rules | None) -> None:
        text = _t("As one level up: %(what)s") if above else _t("Not said: %(what)s")
        self.fields[name].choices = [("", text % {"what": inherited}), *choices]  # type: ignore[attr-defined]

    def _bound(self, *names: str) -> list[forms.BoundField]:
        return [self[name] for name in names]

    def of_list(self) -> list[forms.BoundField]:
        return self._bound("local_list", "list_scope", "list_group")

    def of_charging(self) -> list[forms.BoundField]:
        return self._bound("free_charging", "direct_payment", "bidirectional", "master_group")

    def of_reservations(self) -> list[forms.BoundField]:
        return self._bound("reservations", *_NUMBERS)

    def changes(self) -> dict[str, Any]:
        switch = {"yes": True, "no": False, "": None}
        return {
            name: switch[value] if name in _SWITCHES else value for name, value in self.cleaned_data.items()
        }


def _yes_no(value: bool) -> str:
    return _t("yes") if value else _t("no")


def _initial(rule: AccessRule) -> dict[str, Any]:
    switch = {True: "yes", False: "no", None: ""}
    return {
        name: switch[getattr(rule, name)] if name in _SWITCHES else getattr(rule, name)
        for name in access.NAMES
    }


def _rule_page(
    request: PageRequest, *, site: Site | None, station: Station | None, above: Rules | None, back: Any
) -> HttpResponse:
    rule = access.own_rule(tenant_id=request.tenant.pk, site=site, station=station)
    form = RuleForm(request.POST or None, above=above, initial=_initial(rule))
    if request.method == "POST" and form.is_valid():
        try:
            access.change_rule(
                tenant_id=request.tenant.pk,
                actor=request.actor,
                site=site,
                station=station,
                changes=form.changes(),
            )
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(
                request, _t("Saved. Stations follow within seconds, offline ones once they are back.")
            )
            return go(request, *back)
    place = station or site
    context = {"form": form, "site": site, "station": station, "place": place}
    return render(request, "stations/access_rules.html", context, status=422 if form.errors else 200)


@page(Permission.STATION_CONFIGURE)
def company_rules(request: PageRequest) -> HttpResponse:
    if request.actor.site_ids is not None:
        raise NotFound
    return _rule_page(request, site=None, station=None, above=None, back=("access",))


@page(Permission.STATION_CONFIGURE)
def site_rules(request: PageRequest, site_id: int) -> HttpResponse:
    site = tenants.sites(request.tenant.pk, request.actor).filter(pk=site_id).first()
    if site is None:
        raise NotFound
    above = access.of_site(request.tenant.pk)
    return _rule_page(request, site=site, station=None, above=above, back=("access",))


@page(Permission.STATION_CONFIGURE)
def station_rules(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    above = access.of_site(request.tenant.pk, station.site_id)
    return _rule_page(request, site=None, station=station, above=above, back=("station-access", station.pk))


@page(Permission.STATION_VIEW)
def overview(request: PageRequest) -> HttpResponse:
    """All local lists, and the rules of the company and its sites."""
    own = request.tenant.pk
    seen = visible.stations(own, request.actor)
    every = LocalList.objects.filter(tenant_id=own, station__in=seen).exclude(state=ListState.OFF)
    rows = every.select_related("station__site").order_by("station__name", "station__identity")
    if text := request.GET.get("q", "").strip()[:100]:
        rows = rows.filter(
            Q(station__identity__icontains=text)
            | Q(station__name__icontains=text)
            | Q(station__site__name__icontains=text)
        )
    state = request.GET.get("state", "")
    counted = local_lists.counted(every.only("state"))
    if state.removeprefix("list_") in counted:
        rows = rows.filter(state=state.removeprefix("list_"))
    sites = list(tenants.sites(own, request.actor))
    said = {
        rule.site_id: rule
        for rule in AccessRule.objects.filter(tenant_id=own, station=None).exclude(site=None)
    }
    context = {
        "listing": listing(request, rows),
        "chips": [(f"list_{name}", count) for name, count in sorted(counted.items())],
        "state": state,
        "total": every.count(),
        "in_step": counted.get(ListState.IN_STEP, 0),
        "rules": access.of_site(own),
        "sites": [(site, access.of_site(own, site.pk), site.pk in said) for site in sites[:200]],
        "whole_company": request.actor.site_ids is None,
    }
    return render(request, "stations/access.html", context)


@page(Permission.STATION_VIEW)
def station_access(request: PageRequest, station_id: int) -> HttpResponse:
    """One station: its local list, its reservations, its rules."""
    station = get_station(request, station_id)
    asked = {name: request.GET[name] for name in ("place", "token_uid", "minutes") if name in request.GET}
    return render_station(request, station, ReserveForm(station=station, initial=asked))


def render_station(
    request: PageRequest, station: Station, form: ReserveForm, status: int = 200
) -> HttpResponse:
    rules = access.of_station(station)
    own = {"tenant_id": station.tenant_id, "station": station}
    held = LocalList.objects.filter(**own).first()
    entries = []
    if request.actor.may(Permission.TOKEN_VIEW) and (rules.local_list or (held and held.size)):
        entries = local_lists.lines(station, rules)
    text = request.GET.get("q", "").strip().upper()[:100]
    shown = [
        line for line in entries if text in line.uid or (line.entry and text in line.entry.group.upper())
    ]
    recent = Reservation.objects.filter(**own).select_related("evse", "token", "driver", "session")
    context = {
        "station": station,
        "tab": "access",
        "rules": rules,
        "list": held,
        "entries": shown[:500],
        "more": max(0, len(shown) - 500),
        "entries_total": len(entries),
        "q": request.GET.get("q", ""),
        "live_reservations": recent.filter(state__in=LIVE_RESERVATIONS).order_by("starts_at"),
        "past_reservations": recent.exclude(state__in=LIVE_RESERVATIONS)[:10],
        "lanes": lanes([station]),
        "form": form,
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/station_access.html", context, status=status)


@require_POST
@page(Permission.STATION_COMMAND)
def send_list(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    try:
        found = local_lists.sync_now(
            station=station, actor=request.actor, full=bool(request.POST.get("full"))
        )
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        if found.flight:
            count = len(found.flight["entries"])
            text = ngettext("%(count)s entry is on its way.", "%(count)s entries are on their way.", count)
            messages.success(request, text % {"count": count})
        elif not station.online:
            messages.warning(request, _t("The station is offline. The list is sent once it is back."))
        else:
            messages.success(request, found.get_state_display())
    return go(request, "station-access", station.pk)


@require_POST
@page(Permission.STATION_COMMAND)
def check_list(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    local_lists.check_now(station=station, actor=request.actor)
    messages.success(request, _t("The station is asked for the version of its list."))
    return go(request, "station-access", station.pk)


@require_POST
@page(Permission.STATION_COMMAND)
def reserve(request: PageRequest, station_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    with timezone.override(ZoneInfo(station.site.time_zone)):
        form = ReserveForm(request.POST, station=station)
        if form.is_valid():
            form.ask_about_unknown(station.tenant_id)
    if form.is_valid():
        try:
            made = reservations.reserve(station=station, actor=request.actor, **form.values())
        except DomainError as error:
            form.refused(error)
        else:
            return go(request, "reservation", made.pk)
    return render_station(request, station, form, status=422)
