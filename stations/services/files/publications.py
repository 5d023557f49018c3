"""Images that local controllers offer to the stations behind them (OCPP 2.x L03, L04)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from stations import live
from stations.models import (
    ONLY_IN,
    Command,
    CommandKind,
    CommandState,
    FirmwareImage,
    FirmwarePublication,
    PublicationState,
    Station,
    TicketPurpose,
    wire_number,
)
from stations.neutral import PublicationNotice
from stations.services import commands, words
from stations.services.files import tickets
from tenants.errors import Conflict, Invalid, NotFound
from tenants.permissions import Actor, Permission

RETRIES, RETRY_SECONDS = 3, 60
_OPEN = (PublicationState.REQUESTED, PublicationState.DOWNLOADING)


@dataclass(frozen=True, slots=True)
class _End:
    state: PublicationState
    reason: str = ""


def publish(
    *, tenant_id: int, station_id: int, image_id: int, actor: Actor, protocol: str = ""
) -> FirmwarePublication:
    """Have a local controller fetch an image and offer it. Campaigns send the stations of its site there."""
    station = Station.objects.filter(tenant_id=tenant_id, pk=station_id, archived_at=None).first()
    if station is None or (actor.site_ids is not None and station.site_id not in actor.site_ids):
        raise NotFound("There is no such station.")
    actor.require(Permission.STATION_CONFIGURE, site_id=station.site_id)
    if station.ocpp_version not in ONLY_IN[CommandKind.PUBLISH_FIRMWARE]:
        raise Invalid(
            fields={"station_id": "Publishing firmware needs a local controller of OCPP 2.0.1 or 2.1."}
        )
    image = FirmwareImage.objects.filter(tenant_id=tenant_id, pk=image_id).exclude(storage_name="").first()
    if image is None:
        raise Invalid(fields={"image_id": "There is no such image, or its file was not uploaded yet."})
    there = FirmwarePublication.objects.filter(
        tenant_id=tenant_id, station=station, image=image, state__in=(*_OPEN, PublicationState.PUBLISHED)
    )
    if there.exists():
        raise Conflict("This controller offers the image already, or is about to.")
    chosen = tickets.choose(station, protocol)
    publication = FirmwarePublication.objects.create(
        tenant_id=tenant_id, station=station, image=image, origin_label=actor.label[:120]
    )
    token = tickets.secret()
    tickets.issue(
        tenant_id=tenant_id,
        token=token,
        purpose=TicketPurpose.PUBLICATION,
        station_id=station.pk,
        of={"publication_id": publication.pk},
    )
    command = commands.request_command(
        tenant_id=tenant_id,
        station_id=station.pk,
        kind=CommandKind.PUBLISH_FIRMWARE,
        arguments={
            "location": tickets.address(chosen, token, image.name),
            "checksum": image.md5,
            "retries": RETRIES,
            "retry_seconds": RETRY_SECONDS,
        },
        actor=actor,
        expires_in_seconds=300,
    )
    publication.command, publication.number = command, wire_number(command.pk)
    publication.save()
    _tell(publication)
    return publication


def withdraw(*, publication: FirmwarePublication, actor: Actor) -> Command:
    """Ask the controller to offer it no longer (L04). Stations that fetch it now finish; it then says so."""
    actor.require(Permission.STATION_CONFIGURE, site_id=publication.station.site_id)
    if publication.state != PublicationState.PUBLISHED:
        raise Conflict("It is not published.")
    return commands.request_command(
        tenant_id=publication.tenant_id,
        station_id=publication.station_id,
        kind=CommandKind.UNPUBLISH_FIRMWARE,
        arguments={"checksum": publication.image.md5},
        actor=actor,
        expires_in_seconds=300,
    )


def follow(*, command: Command) -> None:
    publication = _locked(command.tenant_id).filter(command_id=command.pk).first()
    if publication is None or publication.state not in _OPEN or command.state == CommandState.ACCEPTED:
        return
    if command.state == CommandState.TIMED_OUT:
        return  # what it says of its progress counts
    word = f"{command.answer} {command.detail}".strip()
    _settle(publication, _End(PublicationState.FAILED, word or words.CONTROLLER_NOT_REACHED))


def follow_withdrawal(*, command: Command) -> None:
    """Unpublished, or not there: it is offered no more. While stations download it, it stays."""
    md5 = str(command.arguments.get("checksum", ""))
    offered = _locked(command.tenant_id).filter(
        station_id=command.station_id, image__md5=md5, state=PublicationState.PUBLISHED
    )
    for publication in offered:
        if command.state == CommandState.ACCEPTED:
            _settle(publication, _End(PublicationState.WITHDRAWN))
        elif command.answer == "DownloadOngoing":
            publication.reason = words.CONTROLLER_BUSY
            publication.save()
            _tell(publication)


def record_notices(*, tenant_id: int, reports: Sequence[PublicationNotice]) -> None:
    for told in reports:
        mine = _locked(tenant_id).filter(station_id=told.station_id)
        found = mine.filter(number=told.number).order_by("-id").first() if told.number is not None else None
        if found is None and told.number is None and told.status != "idle":
            found = mine.filter(state__in=_OPEN).order_by("-id").first()
        if found is not None:
            _noticed(found, told)


def _noticed(publication: FirmwarePublication, told: PublicationNotice) -> None:
    given_up = publication.state == PublicationState.FAILED and told.status != "published"
    if publication.state == PublicationState.WITHDRAWN or given_up or told.status == "idle":
        return
    publication.station_word = f"{told.word} {told.info}".strip()[:60]
    if told.status == "published":
        publication.locations = [place[:2000] for place in told.locations]
        _settle(publication, _End(PublicationState.PUBLISHED))
    elif told.status == "failed" and publication.state in _OPEN:
        _settle(publication, _End(PublicationState.FAILED, told.info))
    else:
        if publication.state == PublicationState.REQUESTED:
            publication.state = PublicationState.DOWNLOADING
        publication.save()
        _tell(publication)


def give_up(*, tenant_id: int) -> int:
    """A controller that says nothing for so long has failed: the image may be published there anew. Should it be
    offered after all, that counts."""
    silent = timezone.now() - timedelta(minutes=settings.FIRMWARE_PATIENCE_MINUTES)
    over = _locked(tenant_id).filter(state__in=_OPEN, changed_at__lt=silent).order_by("id")[:200]
    for publication in over:
        _settle(publication, _End(PublicationState.FAILED, words.CONTROLLER_SILENT))
    return len(over)


def _settle(publication: FirmwarePublication, end: _End) -> None:
    publication.state, publication.reason = end.state, end.reason[:300]
    publication.settled_at = timezone.now()
    publication.save()
    _tell(publication)


def _locked(tenant_id: int) -> QuerySet[FirmwarePublication]:
    return (
        FirmwarePublication.objects.select_for_update(of=("self",))
        .select_related("station", "image")
        .filter(tenant_id=tenant_id)
    )


def _tell(publication: FirmwarePublication) -> None:
    live.publish(
        publication.tenant_id, kind="publication", station_id=publication.station_id,
        site_id=publication.station.site_id, data={"id": publication.pk, "state": publication.state},
    )  # fmt: skip
