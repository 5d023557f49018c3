"""The Files tab of a station: its logs and its firmware; one log request, one log."""

from __future__ import annotations

from datetime import timedelta
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

from stations import visible
from stations.models import (
    OPEN_LOGS,
    FirmwareImage,
    LogFile,
    LogKind,
    LogRequest,
    LogState,
    Protocol,
    Station,
)
from stations.services.files import contents, giving, images, logs, tickets, updates
from stations.views.common import get_station
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission

HOURS = (
    (1, _("The last hour")),
    (24, _("The last 24 hours")),
    (24 * 7, _("The last 7 days")),
    (24 * 30, _("The last 30 days")),
)


def protocol_choices() -> list[tuple[str, Any]]:
    return [
        ("", _("The best that both sides speak")),
        *((word, Protocol(word).label) for word in tickets.base_urls()),
    ]


class LogForm(PortalForm):
    kind = forms.ChoiceField(label=_("Log"))
    hours = forms.TypedChoiceField(label=_("Span"), coerce=int, choices=HOURS, initial=24)
    protocol = forms.ChoiceField(label=_("Way of upload"), required=False)

    def __init__(self, *args: Any, station: Station, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = [kind for kind in LogKind if kind != LogKind.DATA_COLLECTOR or station.ocpp_version == "2.1"]
        self.fields["kind"].choices = [(kind.value, kind.label) for kind in kinds]  # type: ignore[attr-defined]
        self.fields["protocol"].choices = protocol_choices()  # type: ignore[attr-defined]


class UpdateForm(PortalForm):
    image_id = forms.TypedChoiceField(label=_("Image"), coerce=int)
    when = forms.ChoiceField(
        label=_("When"),
        choices=[("idle", _("As soon as nobody charges here")), ("now", _("At once"))],
        help_text=_("The station restarts to install it and is away for some minutes."),
    )

    def __init__(self, *args: Any, fitting: list[FirmwareImage], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["image_id"].choices = [  # type: ignore[attr-defined]
            (image.pk, f"{image.version}{'' if image.signed else _t(', not signed')}") for image in fitting
        ]


@page(Permission.STATION_VIEW)
def files(request: PageRequest, station_id: int) -> HttpResponse:
    return _files_page(request, get_station(request, station_id))


def _files_page(
    request: PageRequest,
    station: Station,
    log_form: LogForm | None = None,
    update_form: UpdateForm | None = None,
) -> HttpResponse:
    rows = visible.logs(station.tenant_id, request.actor).filter(station=station).prefetch_related("files")
    fitting, others = _images(station)
    history = list(
        visible.updates(station.tenant_id, request.actor)
        .filter(station=station)
        .select_related("image", "campaign", "station")[:10]
    )
    context = {
        "station": station,
        "tab": "files",
        "listing": listing(request, rows, size=20),
        "log_form": log_form or LogForm(station=station, auto_id="log-%s"),
        "update_form": update_form or UpdateForm(fitting=fitting, auto_id="update-%s"),
        "fitting": fitting,
        "others": others,
        "history": history,
        "under_way": next((update for update in history if update.is_open), None),
        "open_log": any(row.state in OPEN_LOGS for row in rows[:5]),
        "offered": tickets.base_urls(),
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        status = 422 if log_form or update_form else 200
        return render(request, "stations/station_files.html", context, status=status)


def _images(station: Station) -> tuple[list[FirmwareImage], list[tuple[FirmwareImage, str]]]:
    """Images that the station can take, newest first, and those of its maker that it cannot, with the reason."""
    rows = FirmwareImage.objects.filter(tenant_id=station.tenant_id, vendor__iexact=station.vendor).exclude(
        storage_name=""
    )
    fitting, others = [], []
    for image in rows[:50]:
        why = images.obstacle(image, station)
        if why:
            others.append((image, why))
        else:
            fitting.append(image)
    return fitting, others


@require_POST
@page(Permission.STATION_COMMAND)
def fetch(request: PageRequest, station_id: int) -> HttpResponse:
    """Ask for a log, then show how it comes in."""
    station = get_station(request, station_id)
    form = LogForm(request.POST, station=station, auto_id="log-%s")
    if not form.is_valid():
        return _files_page(request, station, log_form=form)
    given = form.cleaned_data
    try:
        asked = logs.request(
            tenant_id=station.tenant_id,
            station_id=station.pk,
            actor=request.actor,
            kind=given["kind"],
            protocol=given["protocol"],
            since=timezone.now() - timedelta(hours=given["hours"]),
        )
    except DomainError as error:
        form.refused(error)
        return _files_page(request, station, log_form=form)
    return go(request, "log", station.pk, asked.pk)


@require_POST
@page(Permission.STATION_CONFIGURE)
def update(request: PageRequest, station_id: int) -> HttpResponse:
    """Update this station alone."""
    station = get_station(request, station_id)
    form = UpdateForm(request.POST, fitting=_images(station)[0], auto_id="update-%s")
    if not form.is_valid():
        return _files_page(request, station, update_form=form)
    try:
        updates.plan(
            tenant_id=station.tenant_id,
            station_id=station.pk,
            image_id=form.cleaned_data["image_id"],
            actor=request.actor,
            idle_only=form.cleaned_data["when"] == "idle",
        )
    except DomainError as error:
        form.refused(error)
        return _files_page(request, station, update_form=form)
    return go(request, "station-files", station.pk)


@require_POST
@page(Permission.STATION_CONFIGURE)
def update_turn(request: PageRequest, update_id: int) -> HttpResponse:
    """Take an update back that waits, or try one again that failed."""
    rows = visible.updates(request.tenant.pk, request.actor).select_related("station", "campaign", "image")
    found = rows.filter(pk=update_id).first()
    if found is None:
        raise NotFound
    # By the word of the button, not by the state: pressed twice, "try again" would take back what it began.
    if request.POST.get("verb") == "cancel":
        if found.is_open:
            updates.cancel(update=found, actor=request.actor)
            messages.success(request, _t("Taken back. The station keeps the firmware it has."))
    elif not found.is_open:
        updates.retry(update=found, actor=request.actor)
        messages.success(request, _t("It is tried again as soon as the station is ready."))
    return go(request, "station-files", found.station_id)


# --- one log ---


@page(Permission.STATION_VIEW)
def log(request: PageRequest, station_id: int, log_id: int) -> HttpResponse:
    """One request: what was asked, how far it is, what arrived, what to try next."""
    station = get_station(request, station_id)
    asked = _log(request, station, log_id)
    context = {
        "station": station,
        "tab": "files",
        "log": asked,
        "steps": _steps(asked),
        "advice": advice(asked),
        "others": [(word, Protocol(word).label) for word in tickets.others(station, asked.protocol)],
        "percent": _percent(asked),
    }
    part = "stations/_log.html" if request.headers.get("HX-Request") else "stations/log.html"
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, part, context)


def _log(request: PageRequest, station: Station, log_id: int) -> LogRequest:
    rows = LogRequest.objects.select_related("command", "retry_of").prefetch_related("files")
    found = rows.filter(tenant_id=station.tenant_id, station=station, pk=log_id).first()
    if found is None:
        raise NotFound
    found.station = station
    return found


def _percent(asked: LogRequest) -> int | None:
    if asked.state != LogState.UPLOADING or not asked.bytes_expected:
        return None
    return min(100, round(100 * asked.bytes_received / asked.bytes_expected))


def _steps(asked: LogRequest) -> list[tuple[Any, Any, str]]:
    """(what, when, icon) of the way from the question to the file."""
    steps = [
        (_t("Asked by %(who)s") % {"who": asked.origin_label}, asked.created_at, "user"),
        (_t("The station agreed"), asked.accepted_at, "circle-check"),
        (_t("The upload began"), asked.uploading_at, "upload"),
        (_t("The file is here"), asked.arrived_at, "file-check"),
        (_t("The station said: %(word)s") % {"word": asked.station_word or "–"}, asked.told_at, "message-2"),
    ]
    return [step for step in steps if step[1] or asked.is_open]


def advice(asked: LogRequest) -> str:
    """What to try next, in a sentence; empty where all is well."""
    texts = {
        LogState.REFUSED: _t(
            "Ask for another span of time or another log, or look at the frames for its exact answer."
        ),
        LogState.FAILED: _t(
            "The station could not reach us or could not read its log. Try another way of upload: many old stations "
            "know FTP alone, and some trust no public certificate."
        ),
        LogState.MISSING: _t(
            "It may have sent the file elsewhere, or a proxy in between swallowed it. Try another way of upload."
        ),
        LogState.TIMED_OUT: _t("Try again, by another way of upload if this one never works for this model."),
        LogState.EXPIRED: _t("Try again once the station is online."),
    }
    if asked.state == LogState.UPLOADED and asked.told_at is None and not asked.is_open:
        return _t("The file is whole; only the station's own word that it is done is still missing.")
    if asked.state == LogState.REQUESTED and not asked.station.online:
        return _t("The station is offline. The request goes out if it returns within five minutes.")
    return texts.get(LogState(asked.state), "")


@require_POST
@page(Permission.STATION_COMMAND)
def log_again(request: PageRequest, station_id: int, log_id: int) -> HttpResponse:
    """The same log once more, perhaps by another protocol; or, while it is open, wait for it no longer."""
    station = get_station(request, station_id)
    asked = _log(request, station, log_id)
    if request.POST.get("verb") == "cancel":  # pressed twice, it asks for no new one
        if asked.is_open:
            logs.cancel(asked=asked, actor=request.actor)
        return go(request, "log", station.pk, asked.pk)
    wanted = request.POST.get("protocol", "")
    fresh = logs.retry(asked=asked, actor=request.actor, protocol=wanted if wanted in Protocol.values else "")
    return go(request, "log", station.pk, fresh.pk)


@page(Permission.FRAME_VIEW)
def log_file(request: PageRequest, station_id: int, log_file_id: int) -> HttpResponse:
    """A log to read: searched, its errors marked, archives by member."""
    station = get_station(request, station_id)
    file = _file(station, log_file_id)
    query, member = request.GET.get("q", "")[:200], request.GET.get("member", "")[:300]
    only = request.GET.get("level", "")
    number = request.GET.get("page", "1")
    shown = contents.shown(
        file,
        member=member,
        query=query,
        only=only if only in ("error", "warning") else "",
        page=max(1, min(int(number), 100_000)) if number.isdecimal() and len(number) < 7 else 1,
    )
    current = int(number) if number.isdecimal() and len(number) < 7 else 1
    context = {
        "station": station,
        "tab": "files",
        "file": file,
        "shown": shown,
        "q": query,
        "only": only,
        "page_number": current,
        "pages": -(-shown.total // contents.PAGE),
    }
    with timezone.override(ZoneInfo(station.site.time_zone)):
        return render(request, "stations/log_file.html", context)


def _file(station: Station, log_file_id: int) -> LogFile:
    found = LogFile.objects.filter(tenant_id=station.tenant_id, station=station, pk=log_file_id).first()
    if found is None:
        raise NotFound
    found.station = station
    return found


@page(Permission.FRAME_VIEW)
def log_download(request: PageRequest, station_id: int, log_file_id: int) -> Any:
    file = _file(get_station(request, station_id), log_file_id)
    response = giving.attachment(file.storage_name, file.name, file.size_bytes)
    logs.downloaded(file=file, actor=request.actor)
    return response


@require_POST
@page(Permission.STATION_CONFIGURE)
def log_delete(request: PageRequest, station_id: int, log_file_id: int) -> HttpResponse:
    station = get_station(request, station_id)
    logs.delete(file=_file(station, log_file_id), actor=request.actor)
    messages.success(request, _t("The file is deleted."))
    return go(request, "station-files", station.pk)
