"""Reservations: the list, one of them, and what people do with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from fleets import queries as tokens
from fleets.uid import normal_uid
from stations import plug_words, visible
from stations.models import (
    LIVE_RESERVATIONS,
    Command,
    Connector,
    Evse,
    Reservation,
    ReservationState,
    Station,
)
from stations.services import reservations as service
from stations.views.lanes import lanes
from tenants.errors import DomainError, NotFound
from tenants.pages import Column, PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission

# Sentences that services store; here for translation.
_STORED = (
    _("The connector is in use or reserved already."),
    _("The connector is faulted."),
    _("The connector is out of service."),
    _("The station refused it."),
    _("The station knows no reservations."),
    _("The station did not answer."),
    _("The station was not connected in time."),
    _("The station was offline; whether somebody came is not known."),
    _("The station did not know it any more."),
    _("The station removed it, for the connector failed or was taken out of service."),
    _("The station was taken out of use."),
    _("The card was shown, but no car was plugged in."),
    _("The card may not charge there any more."),
)
COLUMNS = (
    Column("reservation", _("Reservation"), ("id",)),
    Column("state", _("State")),
    Column("station", _("Where"), ("station__name", "station__identity")),
    Column("token", _("For"), ("token_uid",)),
    Column("when", _("When"), ("starts_at",)),
)
CHIPS: dict[str, tuple[str, ...]] = {
    "reservation_reserved": (ReservationState.RESERVED, ReservationState.CANCELLING),
    "reservation_planned": (ReservationState.PLANNED, ReservationState.REQUESTED),
    "reservation_used": (ReservationState.USED,),
    "reservation_no_show": (ReservationState.NO_SHOW,),
    "reservation_refused": (ReservationState.REFUSED, ReservationState.EXPIRED),
    "reservation_cancelled": (ReservationState.CANCELLED,),
}
MOST_LANES = 40


class ReserveForm(PortalForm):
    """A place at one station."""

    place = forms.ChoiceField(label=_("Connector"))
    token_uid = forms.CharField(
        label=_("For the token"),
        max_length=255,
        help_text=_("UID of the card; cards of its group may use it too."),
    )
    starts_at = forms.DateTimeField(
        label=_("From"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=_("Empty: now."),
    )
    minutes = forms.IntegerField(label=_("For how long (min)"), min_value=1, max_value=1440, initial=30)
    sure = forms.CharField(required=False, widget=forms.HiddenInput)  # the unknown UID that was asked about

    def __init__(self, *args: Any, station: Station, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = {"tenant_id": station.tenant_id}
        numbers = Evse.objects.filter(**own, station=station).values_list("number", flat=True)
        choices = [(f"evse:{number}", _t("Connector %(number)s") % {"number": number}) for number in numbers]
        if len(choices) > 1:
            choices.append(("any", _t("Any of the station")))
        if station.ocpp_version != "1.6" and len(choices) > 1:
            plugs = Connector.objects.filter(**own, evse__station=station).values_list("standard", flat=True)
            choices += [
                (f"plug:{plug}", _t("Any with the plug %(plug)s") % {"plug": plug_words.named(plug)})
                for plug in sorted(set(plugs))
            ]
        self.fields["place"].choices = choices  # type: ignore[attr-defined]

    def ask_about_unknown(self, tenant_id: int) -> None:
        """A UID that no token here has is a partner's, or a typing error that keeps the place for nobody."""
        uid = normal_uid(self.cleaned_data["token_uid"])
        if self.cleaned_data["sure"] == uid or tokens.token_by_uid(tenant_id, uid) is not None:
            return
        self.data = dict(self.data.items()) | {"sure": uid}
        text = _t("No token here has this UID. If it is a partner's card, press Reserve once more.")
        self.add_error("token_uid", text)

    def values(self) -> dict[str, Any]:
        given = self.cleaned_data
        kind, _colon, which = given["place"].partition(":")
        begin = max(given["starts_at"] or timezone.now(), timezone.now())
        return {
            "token_uid": given["token_uid"],
            "evse": int(which) if kind == "evse" else None,
            "standard": which if kind == "plug" else "",
            "starts_at": given["starts_at"],
            "expires_at": begin + timedelta(minutes=given["minutes"]),
        }

    def refused(self, error: DomainError) -> None:
        fields = getattr(error, "fields", {})
        names = {"evse": "place", "standard": "place", "expires_at": "minutes"}
        if fields:
            for name, text in fields.items():
                shown = names.get(name, name)
                self.add_error(shown if shown in self.fields else None, str(text))
        else:
            super().refused(error)


@page(Permission.STATION_VIEW)
def reservations(request: PageRequest) -> HttpResponse:
    own = request.tenant.pk
    base = visible.reservations(own, request.actor)
    rows = base.select_related("station__site", "evse", "token", "driver")
    if text := request.GET.get("q", "").strip()[:100]:
        found = (
            Q(token_uid__icontains=text)
            | Q(station__identity__icontains=text)
            | Q(station__name__icontains=text)
        )
        if request.actor.may(Permission.DRIVER_VIEW):
            found |= Q(driver__name__icontains=text)
        rows = rows.filter(found)
    state = request.GET.get("state", "")
    searched = rows
    if state in CHIPS:
        rows = rows.filter(state__in=CHIPS[state])
    busy = visible.stations(own, request.actor).filter(
        reservations__state__in=LIVE_RESERVATIONS,
        reservations__starts_at__lt=timezone.now() + timedelta(hours=24),
    )
    context = {
        "listing": listing(request, rows, COLUMNS),
        "chips": [(name, searched.filter(state__in=states).count()) for name, states in CHIPS.items()],
        "state": state,
        "any": base.exists(),
        "lanes": lanes(busy.distinct()[:MOST_LANES], only_busy=True),
    }
    return render(request, "stations/reservations.html", context)


def _reservation(request: PageRequest, reservation_id: int) -> Reservation:
    rows = visible.reservations(request.tenant.pk, request.actor).select_related(
        "station__site", "evse", "token", "driver", "session"
    )
    found = rows.filter(pk=reservation_id).first()
    if found is None:
        raise NotFound
    return found


@page(Permission.STATION_VIEW)
def reservation(request: PageRequest, reservation_id: int) -> HttpResponse:
    found = _reservation(request, reservation_id)
    about = Command.objects.filter(
        tenant_id=found.tenant_id, station=found.station, arguments__reservation_id=found.number,
        created_at__gte=found.created_at - timedelta(seconds=5),
    )  # fmt: skip
    minutes = max(1, round((found.expires_at - found.starts_at).total_seconds() / 60))
    again = {"token_uid": found.token_uid, "minutes": minutes}
    if found.evse is not None:
        again["place"] = f"evse:{found.evse.number}"
    context = {
        "reservation": found, "station": found.station, "commands": about.order_by("-id")[:10],
        "again": urlencode(again),
    }  # fmt: skip
    with timezone.override(ZoneInfo(found.station.site.time_zone)):
        return render(request, "stations/reservation.html", context)


@require_POST
@page(Permission.STATION_COMMAND)
def cancel(request: PageRequest, reservation_id: int) -> HttpResponse:
    found = _reservation(request, reservation_id)
    try:
        ended = service.cancel(reservation=found, actor=request.actor, reason=request.POST.get("reason", ""))
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        text = (
            _t("The place is free again.") if not ended.live else _t("The station is asked to give it free.")
        )
        messages.success(request, text)
    return go(request, "reservation", found.pk)


@require_POST
@page(Permission.STATION_COMMAND)
def extend(request: PageRequest, reservation_id: int) -> HttpResponse:
    """Another end: so many minutes after the present one."""
    found = _reservation(request, reservation_id)
    text = request.POST.get("minutes", "")
    minutes = int(text) if text.isdecimal() and len(text) < 5 else 0
    try:
        service.extend(
            reservation=found,
            actor=request.actor,
            expires_at=found.expires_at + timedelta(minutes=minutes or 15),
        )
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, _t("It holds longer once the station agrees."))
    return go(request, "reservation", found.pk)
