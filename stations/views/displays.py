"""Messages on displays: written for many stations at once, followed at each."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from stations import visible
from stations.models import (
    ON_DISPLAY,
    DisplayFormat,
    DisplayMessage,
    DisplayNotice,
    DisplayPriority,
    DisplayStanding,
    DisplayState,
    Session,
    SessionState,
    Station,
)
from stations.services import displays as service
from stations.views.common import get_station
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.pages import PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission

LANGUAGES = (("", _("not stated")), ("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("nl", "Nederlands"),
             ("it", "Italiano"), ("es", "Español"), ("pl", "Polski"), ("da", "Dansk"), ("sv", "Svenska"))  # fmt: skip


def _moment(label: Any, help_text: Any) -> forms.DateTimeField:
    return forms.DateTimeField(
        label=label, help_text=help_text, required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )  # fmt: skip


class NoticeForm(PortalForm):
    text = forms.CharField(label=_("Text"), max_length=1024, widget=forms.Textarea(attrs={"rows": 2}))
    language = forms.ChoiceField(label=_("Language"), choices=LANGUAGES, required=False)
    text2 = forms.CharField(
        label=_("The same in another language"), max_length=1024, required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Stations of OCPP 2.1 choose by driver; those of 2.0.1 show the first text."),
    )  # fmt: skip
    language2 = forms.ChoiceField(label=_("Language of that"), choices=LANGUAGES, required=False)
    format = forms.ChoiceField(label=_("Kind"), choices=DisplayFormat.choices)
    priority = forms.ChoiceField(label=_("Place"), choices=DisplayPriority.choices)
    state = forms.ChoiceField(
        label=_("When"), choices=[("", _("Always")), *DisplayState.choices], required=False
    )
    starts_at = _moment(_("From"), _("Empty: at once."))
    ends_at = _moment(_("Until"), _("Empty: until somebody takes it off."))
    session = forms.ChoiceField(
        label=_("For one session"), required=False, help_text=_("It goes when that session ends.")
    )
    site = forms.ModelChoiceField(
        label=_("All stations of a site"), queryset=Site.objects.none(), required=False, empty_label=_("None")
    )
    station = forms.ModelMultipleChoiceField(
        label=_("Or these stations"), queryset=Station.objects.none(), required=False,
        widget=forms.SelectMultiple(attrs={"size": 6}),
    )  # fmt: skip

    def __init__(self, *args: Any, request: PageRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        seen = visible.stations(request.tenant.pk, request.actor)
        self.fields["station"].queryset = seen.order_by("identity")  # type: ignore[attr-defined]
        sites = tenants.sites(request.tenant.pk, request.actor)
        self.fields["site"].queryset = sites  # type: ignore[attr-defined]
        running = visible.sessions(request.tenant.pk, request.actor).filter(
            state=SessionState.ACTIVE, station__ocpp_version__startswith="2"
        )
        self.fields["session"].choices = [  # type: ignore[attr-defined]
            ("", _t("No")),
            *((str(one.pk), f"#{one.pk} · {one.station}") for one in running.select_related("station")[:200]),
        ]

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        data = self.cleaned_data
        contents = [{"language": data["language"], "format": data["format"], "text": data["text"]}]
        if data["text2"].strip():
            contents.append({"language": data["language2"], "format": data["format"], "text": data["text2"]})
        stations = {one.pk: one for one in data["station"]}
        seen = visible.stations(self.request.tenant.pk, self.request.actor)
        if data["site"]:
            stations |= {one.pk: one for one in seen.filter(site=data["site"])}
        session = (
            Session.objects.filter(tenant_id=self.request.tenant.pk, pk=int(data["session"])).first()
            if data["session"]
            else None
        )
        if session is not None:
            stations = {one.pk: one for one in seen.filter(pk=session.station_id)}
        return {
            "contents": contents,
            "priority": data["priority"],
            "state": data["state"],
            "starts_at": data["starts_at"],
            "ends_at": data["ends_at"],
            "transaction_id": session.transaction_id if session else "",
            "stations": list(stations.values()),
        }


def _notices(request: PageRequest) -> Any:
    rows = DisplayNotice.objects.filter(tenant_id=request.tenant.pk)
    if request.actor.site_ids is not None:
        rows = rows.filter(copies__station__site_id__in=request.actor.site_ids).distinct()
    shown = Q(copies__standing=DisplayStanding.SHOWN)
    trouble = Q(
        copies__standing__in=(DisplayStanding.REFUSED, DisplayStanding.UNREACHED, DisplayStanding.MISSING)
    )
    return rows.order_by("-id").annotate(
        stations_count=Count("copies", distinct=True),
        shown_count=Count("copies", filter=shown, distinct=True),
        trouble_count=Count("copies", filter=trouble, distinct=True),
    )


@page(Permission.STATION_VIEW)
def notices(request: PageRequest) -> HttpResponse:
    return render(request, "stations/displays.html", {"listing": listing(request, _notices(request))})


@page(Permission.STATION_COMMAND)
def new(request: PageRequest) -> HttpResponse:
    initial = {"station": request.GET.getlist("station"), "site": request.GET.get("site"), "language": "en"}
    form = NoticeForm(request.POST or None, request=request, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            notice = service.write(tenant_id=request.tenant.pk, actor=request.actor, **form.values())
        except DomainError as error:
            form.refused(error)
        else:
            count = DisplayMessage.objects.filter(
                tenant_id=request.tenant.pk, notice=notice, standing=DisplayStanding.WAITING
            ).count()
            text = ngettext("On its way to %(count)s station.", "On its way to %(count)s stations.", count)
            messages.success(request, text % {"count": count})
            return go(request, "display", notice.pk)
    return render(request, "stations/display_form.html", {"form": form}, status=422 if form.errors else 200)


@page(Permission.STATION_COMMAND)
def preview(request: PageRequest) -> HttpResponse:
    """The message being typed, as a display may show it; for htmx."""
    context = {
        "text": request.GET.get("text", "")[:1024],
        "text2": request.GET.get("text2", "")[:1024],
        "format": request.GET.get("format", ""),
        "priority": request.GET.get("priority", ""),
    }
    return render(request, "stations/_display_preview.html", context)


@page(Permission.STATION_VIEW)
def notice(request: PageRequest, notice_id: int) -> HttpResponse:
    found = _notice(request, notice_id)
    seen = visible.stations(request.tenant.pk, request.actor)
    copies = DisplayMessage.objects.filter(
        tenant_id=request.tenant.pk, notice=found, station__in=seen
    ).select_related("station", "station__site")
    context = {
        "notice": found,
        "listing": listing(request, copies.order_by("station__identity")),
        "on_display": copies.filter(standing__in=ON_DISPLAY).count(),
    }
    return render(request, "stations/display.html", context)


@require_POST
@page(Permission.STATION_COMMAND)
def withdraw(request: PageRequest, notice_id: int) -> HttpResponse:
    found = _notice(request, notice_id)
    service.withdraw(notice=found, actor=request.actor)
    messages.success(request, _t("It is being taken off. Each station says so below."))
    return go(request, "display", found.pk)


def _notice(request: PageRequest, notice_id: int) -> DisplayNotice:
    found = _notices(request).filter(pk=notice_id).first()
    if found is None:
        raise NotFound
    return found


def _message(request: PageRequest, station: Station, message_id: int) -> DisplayMessage:
    found = DisplayMessage.objects.filter(tenant_id=station.tenant_id, station=station, pk=message_id)
    message = found.select_related("station", "notice").first()
    if message is None:
        raise NotFound
    return message


@require_POST
@page(Permission.STATION_COMMAND)
def take_off(request: PageRequest, station_id: int, message_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    service.take_off(message=_message(request, station, message_id), actor=request.actor)
    return go(request, "station-driver", station.pk)


@require_POST
@page(Permission.STATION_COMMAND)
def send_again(request: PageRequest, station_id: int, message_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    try:
        service.send_again(message=_message(request, station, message_id), actor=request.actor)
    except DomainError as error:
        messages.error(request, str(error.detail))
    return go(request, "station-driver", station.pk)
