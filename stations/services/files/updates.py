"""One firmware image for one station: sent, followed, verified by the boot that follows, tried again or given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from stations import live
from stations.models import (
    OPEN_UPDATES,
    UNDER_WAY,
    Blocker,
    Command,
    CommandKind,
    CommandState,
    Connector,
    ConnectorStatus,
    FirmwareImage,
    FirmwarePublication,
    FirmwareUpdate,
    PublicationState,
    Session,
    SessionState,
    Station,
    TicketPurpose,
    UpdateState,
    Variable,
    wire_number,
)
from stations.neutral import FirmwareNotice
from stations.services import commands, words
from stations.services.files import images, store, tickets
from tenants import locks
from tenants.errors import Conflict, Invalid, NotFound
from tenants.permissions import Actor, Permission, system
from tenants.services import audit, facts

UNKNOWN_TO_STATION = ("NotSupported", "NotImplemented")
PERMANENT = ("InvalidCertificate", "RevokedCertificate")  # another attempt would end alike
RETRIES, RETRY_SECONDS = 3, 60  # of the station by itself
RETRY_AFTER = timedelta(minutes=15)
BOOT_GRACE = timedelta(minutes=10)  # from "installed" to the boot with the new version
ASK_AFTER = timedelta(minutes=2)  # then it is asked for its version
VERSION = system("Firmware version")
SCHEDULED = timedelta(days=1)
# A car that charges, is about to, or still hangs on the cable; and one that is expected.
BUSY = (
    ConnectorStatus.PREPARING,
    ConnectorStatus.OCCUPIED,
    ConnectorStatus.CHARGING,
    ConnectorStatus.SUSPENDED_EV,
    ConnectorStatus.SUSPENDED_EVSE,
    ConnectorStatus.FINISHING,
    ConnectorStatus.RESERVED,
)
_RANK = {state: place for place, state in enumerate((UpdateState.WAITING, *UNDER_WAY, UpdateState.INSTALLED))}
_STEPS = {
    "downloading": UpdateState.DOWNLOADING,
    "paused": UpdateState.DOWNLOADING,
    "downloaded": UpdateState.DOWNLOADED,
    "verified": UpdateState.DOWNLOADED,
    "install_scheduled": UpdateState.DOWNLOADED,
    "installing": UpdateState.INSTALLING,
    "rebooting": UpdateState.INSTALLING,
    "installed": UpdateState.INSTALLING,  # until its boot shows it
}
_WAITS = (
    "scheduled",
    "paused",
    "install_scheduled",
)  # the station waits for its time, or for a car to leave (L01)


def plan(
    *,
    tenant_id: int,
    station_id: int,
    image_id: int,
    actor: Actor,
    idle_only: bool = True,
    signed_only: bool = False,
    protocol: str = "",
    install_at: datetime | None = None,
    max_attempts: int = 1,
    anyway: bool = False,
) -> FirmwareUpdate:
    """Update one station, now or as soon as nobody charges there.

    `anyway` passes over the image's models and from-versions, not over another maker. Conflict while another update
    of the station is open.
    """
    station = Station.objects.filter(tenant_id=tenant_id, pk=station_id, archived_at=None).first()
    if station is None or (actor.site_ids is not None and station.site_id not in actor.site_ids):
        raise NotFound("There is no such station.")
    actor.require(Permission.STATION_CONFIGURE, site_id=station.site_id)
    image = FirmwareImage.objects.filter(tenant_id=tenant_id, pk=image_id).exclude(storage_name="").first()
    if image is None:
        raise Invalid(fields={"image_id": "There is no such image, or its file was not uploaded yet."})
    _none_open(station)
    against = images.obstacle(image, station)
    if against and not (anyway and station.vendor.lower() == image.vendor.lower()):
        raise Invalid(fields={"image_id": against})
    if signed_only and not image.signed:
        raise Invalid(fields={"signed_only": "This image is not signed."})
    if protocol:
        tickets.choose(station, protocol)
    update = FirmwareUpdate.objects.create(
        tenant_id=tenant_id,
        station=station,
        image=image,
        idle_only=idle_only,
        signed_only=signed_only,
        protocol=protocol,
        install_at=install_at,
        max_attempts=max(1, min(max_attempts, 10)),
        origin_label=actor.label[:120],
    )
    audit.record(
        tenant_id=tenant_id, actor=actor, action="firmware.update", subject=station, site_id=station.site_id,
        detail={"image": image.pk, "version": image.version, "update": update.pk},
    )  # fmt: skip
    blocker = "" if station.online else Blocker.OFFLINE
    if idle_only and not blocker and busy_stations(tenant_id, [station.pk]):
        blocker = Blocker.BUSY
    if blocker:
        block(update, blocker)
    else:
        send(update, actor=actor)
    return update


def alone(tenant_id: int, *, waits: bool = True) -> bool:
    """Until the end of the transaction nobody else begins or moves updates and campaigns of this tenant. Whether that
    was to be had.

    A person waits for a look to end: it locks updates before campaigns, and gives orders by the campaign it has read.
    """
    return locks.hold("firmware", tenant_id, waits=waits)


def _none_open(station: Station) -> None:
    """Conflict while an update of the station is open. Whoever asks at the same time waits here."""
    alone(station.tenant_id)
    mine = FirmwareUpdate.objects.filter(tenant_id=station.tenant_id, station=station)
    if mine.filter(state__in=OPEN_UPDATES).exists():
        raise Conflict("An update of this station is open already. Wait for it, or cancel it.")


def cancel(*, update: FirmwareUpdate, actor: Actor) -> FirmwareUpdate:
    """Take back an update that was not sent. Conflict afterwards: OCPP has no message to stop one."""
    actor.require(Permission.STATION_CONFIGURE, site_id=update.station.site_id)
    mine = locked(update.tenant_id).get(pk=update.pk)
    if mine.state != UpdateState.WAITING:
        raise Conflict("The station has its order already; it cannot be taken back.")
    audit.record(
        tenant_id=mine.tenant_id, actor=actor, action="firmware.cancel", subject=mine.station,
        site_id=mine.station.site_id, detail={"update": mine.pk},
    )  # fmt: skip
    settle(mine, UpdateState.CANCELLED, "")
    return mine


def retry(*, update: FirmwareUpdate, actor: Actor) -> FirmwareUpdate:
    """One more attempt for an update that failed or was left out; a campaign's goes back into its campaign."""
    actor.require(Permission.STATION_CONFIGURE, site_id=update.station.site_id)
    if update.campaign_id:
        alone(update.tenant_id)
    else:
        _none_open(update.station)
    mine = locked(update.tenant_id).get(pk=update.pk)
    if mine.state not in (UpdateState.FAILED, UpdateState.SKIPPED, UpdateState.CANCELLED):
        raise Conflict("Only what failed or was left out can be tried again.")
    if mine.campaign is not None and not mine.campaign.is_open:
        raise Conflict("The campaign is over. Update the station by itself, or begin a new campaign.")
    mine.state, mine.settled_at, mine.reason, mine.retry_at = UpdateState.WAITING, None, "", None
    mine.max_attempts = max(mine.max_attempts, mine.attempts + 1)
    mine.save()
    if mine.campaign is not None and mine.campaign.failures_forgiven:
        # What fails anew counts again: a failure that was forgiven is not forgiven twice.
        mine.campaign.failures_forgiven -= 1
        mine.campaign.save(update_fields=["failures_forgiven"])
    audit.record(
        tenant_id=mine.tenant_id, actor=actor, action="firmware.retry", subject=mine.station,
        site_id=mine.station.site_id, detail={"update": mine.pk},
    )  # fmt: skip
    tell(mine)
    return mine


def busy_stations(tenant_id: int, station_ids: Sequence[int]) -> set[int]:
    """Of these, the stations at which somebody charges or is about to."""
    running = Session.objects.filter(
        tenant_id=tenant_id, station_id__in=station_ids, state=SessionState.ACTIVE
    ).values_list("station_id", flat=True)
    plugged = Connector.objects.filter(
        tenant_id=tenant_id, evse__station_id__in=station_ids, status__in=BUSY
    ).values_list("evse__station_id", flat=True)
    return set(running) | set(plugged)


# --- out ---


def send(update: FirmwareUpdate, *, actor: Actor | None = None) -> None:
    """Give the order. What the station cannot take any more is left out instead."""
    station, image = update.station, update.image
    if against := _against(update):
        settle(update, UpdateState.SKIPPED, against)
        return
    now = timezone.now()
    update.state, update.blocked_by, update.reason, update.note = UpdateState.SENT, "", "", ""
    update.attempts += 1
    update.bytes_sent, update.station_word, update.to_version = 0, "", ""
    update.downloaded_at = update.installed_told_at = update.retry_at = None
    update.from_version, update.sent_at = station.firmware_version, now
    update.deadline_at = now + timedelta(minutes=settings.FIRMWARE_PATIENCE_MINUTES)
    _order(update, signed=image.signed, actor=actor)


def _against(update: FirmwareUpdate) -> str:
    """Why the station must not get it now: it may be another machine, or run another version, since it was chosen. Who
    passed over the image's models and versions for a single station has looked at that station."""
    station, image = update.station, update.image
    against = images.kept_obstacle(image, station)
    alone_and_meant = (
        update.campaign_id is None
        and station.archived_at is None
        and station.vendor.lower() == image.vendor.lower()
        and station.firmware_version != image.version
    )
    return "" if alone_and_meant else against


def left_over(update: FirmwareUpdate) -> bool:
    """Ends one that waits for nothing that could come: its station has the image after all, or is gone, or its
    campaign is over. Whether it was one."""
    campaign = update.campaign
    if update.attempts and verify(update):
        return True
    if update.station.archived_at is not None:
        settle(update, UpdateState.SKIPPED, images.kept_obstacle(update.image, update.station))
        return True
    if campaign is None or campaign.is_open:
        return False
    if update.attempts and update.reason:
        settle(update, UpdateState.FAILED, update.reason)
    else:
        settle(update, UpdateState.CANCELLED, "")
    return True


def _order(update: FirmwareUpdate, *, signed: bool, actor: Actor | None = None) -> None:
    station, image = update.station, update.image
    arguments: dict[str, Any] = {"retries": RETRIES, "retry_seconds": RETRY_SECONDS}
    arguments["location"] = _location(update)
    old = station.ocpp_version == "1.6"
    kind = CommandKind.UPDATE_SIGNED_FIRMWARE if old and signed else CommandKind.UPDATE_FIRMWARE
    if signed:
        arguments |= {"signature": image.signature, "certificate": image.certificate}
    if update.install_at and (signed or not old):
        arguments["install_at"] = update.install_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    elif update.install_at:
        update.note = words.ONE_OF_16
    if not signed:
        update.note = update.note or words.UNSIGNED
    command = commands.request_command(
        tenant_id=update.tenant_id,
        station_id=station.pk,
        kind=kind,
        arguments=arguments,
        actor=actor or system("Firmware"),
        expires_in_seconds=120,
    )
    update.command, update.signed = command, signed
    update.number = None if old and not signed else wire_number(command.pk)
    update.save()
    tell(update)


def _location(update: FirmwareUpdate) -> str:
    """Where the station fetches the image: from the local controller of its site that has it, else from here, and so
    once an attempt has failed."""
    campaign = update.campaign
    if update.attempts <= 1 and (campaign is None or campaign.use_publications):
        near = (
            FirmwarePublication.objects.filter(
                tenant_id=update.tenant_id,
                image_id=update.image_id,
                state=PublicationState.PUBLISHED,
                station__site_id=update.station.site_id,
                station__archived_at=None,
            )
            .exclude(station_id=update.station_id)
            .order_by("-id")
            .first()
        )
        if near is not None and near.locations:
            update.note = words.FROM_CONTROLLER % {"name": near.station}
            return str(near.locations[0])
    protocol = tickets.choose(update.station, update.protocol or (campaign.protocol if campaign else ""))
    token = tickets.secret()
    tickets.expire(tenant_id=update.tenant_id, update_id=update.pk)
    tickets.issue(
        tenant_id=update.tenant_id,
        token=token,
        purpose=TicketPurpose.UPDATE,
        station_id=update.station_id,
        of={"update_id": update.pk},
    )
    return tickets.address(protocol, token, update.image.name)


def block(update: FirmwareUpdate, blocker: str) -> None:
    """It waits, for this."""
    if update.blocked_by != blocker:
        update.blocked_by = blocker
        update.save(update_fields=["blocked_by", "changed_at"])
        tell(update)


# --- in ---


def follow(*, command: Command) -> None:
    """The command that gave the order has ended."""
    update = locked(command.tenant_id).filter(command_id=command.pk).first()
    if update is None or not update.is_open:
        return
    match command.state:
        case CommandState.ACCEPTED:
            tell(update)
        case CommandState.TIMED_OUT:
            update.reason = words.NO_ANSWER
            update.deadline_at = min(update.deadline_at or timezone.now(), timezone.now() + BOOT_GRACE)
            update.save(update_fields=["reason", "deadline_at", "changed_at"])
            tell(update)
        case CommandState.EXPIRED | CommandState.CANCELLED:
            # It never reached the station: that was no attempt.
            update.state, update.attempts = UpdateState.WAITING, max(0, update.attempts - 1)
            update.blocked_by = Blocker.OFFLINE
            update.save()
            if command.state == CommandState.CANCELLED:
                settle(update, UpdateState.CANCELLED, words.TAKEN_BACK)
            tell(update)
        case _:
            _refused(update, command)


def _refused(update: FirmwareUpdate, command: Command) -> None:
    unknown = command.answer in UNKNOWN_TO_STATION
    if unknown and command.kind == CommandKind.UPDATE_SIGNED_FIRMWARE and not update.signed_only:
        update.note = words.KNOWS_NO_SIGNED
        _order(update, signed=False)
        return
    word = f"{command.answer} {command.detail}".strip()
    reason = words.REFUSED % {"word": word}
    if command.answer == "InvalidCertificate":
        reason = words.SIGNER_NOT_TRUSTED
    elif command.answer == "RevokedCertificate":
        reason = words.SIGNER_REVOKED
    attempt_failed(update, reason, permanent=unknown or command.answer in PERMANENT)


def record_notices(*, tenant_id: int, reports: Sequence[FirmwareNotice]) -> None:
    # In the order in which the sweep locks them, so that neither waits for the other in a circle.
    speaking = {told.station_id for told in reports}
    list(locked(tenant_id).filter(station_id__in=speaking, state__in=OPEN_UPDATES).order_by("id"))
    for told in reports:
        update = _meant(tenant_id, told)
        if update is not None:
            _noticed(update, told)


def _meant(tenant_id: int, told: FirmwareNotice) -> FirmwareUpdate | None:
    mine = locked(tenant_id).filter(station_id=told.station_id)
    if told.number is not None:
        found = mine.filter(number=told.number).order_by("-id").first()
        if found is not None:
            return found
    if told.status == "idle" or _of_an_older_order(tenant_id, told):
        return None
    return mine.filter(state__in=UNDER_WAY, sent_at__lte=told.received_at).order_by("-id").first()


def _of_an_older_order(tenant_id: int, told: FirmwareNotice) -> bool:
    """Whether the number is that of another order to this station: what became of that one says nothing of this one
    (L01.FR.24 has the station drop the older). Any other number the station made up."""
    return (
        told.number is not None
        and Command.objects.filter(
            tenant_id=tenant_id,
            station_id=told.station_id,
            pk=told.number,
            kind__in=(CommandKind.UPDATE_FIRMWARE, CommandKind.UPDATE_SIGNED_FIRMWARE),
        ).exists()
    )


def _noticed(update: FirmwareUpdate, told: FirmwareNotice) -> None:
    waits_to_retry = update.state == UpdateState.WAITING and update.blocked_by == Blocker.RETRY
    late_success = (
        update.state == UpdateState.FAILED and told.status == "installed" and told.number is not None
    )
    if update.state not in UNDER_WAY and not waits_to_retry and not late_success:
        return
    update.station_word = f"{told.word} {told.info}".strip()[:60]
    if told.status in ("download_failed", "install_failed", "bad_signature"):
        if update.state in UNDER_WAY:
            attempt_failed(update, _failure(update, told), permanent=told.status == "bad_signature")
        return
    _progressed(update, told)


def _progressed(update: FirmwareUpdate, told: FirmwareNotice) -> None:
    now = told.received_at
    patience = timedelta(minutes=settings.FIRMWARE_PATIENCE_MINUTES)
    update.deadline_at = timezone.now() + (SCHEDULED if told.status in _WAITS else patience)
    if update.install_at and told.status in ("install_scheduled", "downloaded", "verified"):
        update.deadline_at = max(update.deadline_at, update.install_at + patience)  # it was told to wait
    step = _STEPS.get(told.status)
    stuck = update.state in (UpdateState.WAITING, UpdateState.FAILED)
    # Statuses may come twice and late: an update only goes forward.
    if step is not None and (stuck or _RANK[step] > _RANK[UpdateState(update.state)]):
        update.state, update.blocked_by, update.retry_at, update.settled_at = step, "", None, None
    if told.status in ("downloaded", "verified", "install_scheduled"):
        update.downloaded_at = update.downloaded_at or now
    if told.status == "installed":
        update.installed_told_at = update.installed_told_at or now
        update.deadline_at = timezone.now() + BOOT_GRACE
    update.save()
    tell(update)
    verify(update)


def _failure(update: FirmwareUpdate, told: FirmwareNotice) -> str:
    info = f" {told.info}" if told.info else ""
    if told.status == "bad_signature":
        return words.BAD_SIGNATURE + info
    if told.status == "install_failed":
        return words.NOT_INSTALLED + info
    share = update.percent
    if share is None:
        return words.NO_BYTE + info
    return words.DOWNLOAD_FAILED % {"share": share} + info


def verify(update: FirmwareUpdate) -> bool:
    """Whether the newest boot shows the new version, or the station tells it when it is asked; then it is installed."""
    station = update.station
    booted = (
        station.booted_at is not None and update.sent_at is not None and station.booted_at >= update.sent_at
    )
    if _tells(update):
        station.firmware_version = update.image.version
        station.save(update_fields=["firmware_version"])
    elif not booted or station.firmware_version != update.image.version:
        return False
    update.to_version = station.firmware_version
    settle(update, UpdateState.INSTALLED, "")
    facts.publish(
        tenant_id=update.tenant_id, kind="firmware.updated", subject_type="station", subject_id=station.pk,
        payload={"station": station.pk, "update": update.pk, "image": update.image_id,
                 "campaign": update.campaign_id, "from": update.from_version, "to": update.to_version},
    )  # fmt: skip
    return True


def _tells(update: FirmwareUpdate) -> bool:
    """A station that installs without a restart is asked for its version, and answers."""
    return update.installed_told_at is not None and Variable.objects.filter(
        tenant_id=update.tenant_id, station_id=update.station_id, component="ChargingStation", name="FirmwareVersion",
        attribute="actual", value=update.image.version, read_at__gte=update.installed_told_at,
    ).exists()  # fmt: skip


def _ask(update: FirmwareUpdate, now: datetime) -> None:
    """It says that it is installed, and does not restart: not every station must (L01). Once: 1.6 tells its version by
    a BootNotification on demand, 2.x as a variable."""
    told = update.installed_told_at
    if told is None or now - told < ASK_AFTER or not update.station.online:
        return
    asked = Command.objects.filter(
        tenant_id=update.tenant_id, station_id=update.station_id, origin_id=VERSION.id, created_at__gte=told
    )
    if asked.exists():
        return
    v2 = update.station.is_v2
    commands.request_command(
        tenant_id=update.tenant_id, station_id=update.station_id, actor=VERSION,
        kind=CommandKind.READ_CONFIGURATION if v2 else CommandKind.TRIGGER,
        arguments={"names": ["ChargingStation.FirmwareVersion"]} if v2 else {"message": "boot"},
    )  # fmt: skip


def look_after(update: FirmwareUpdate, now: datetime) -> None:
    """One that is under way: the boot that proves it, or the end of patience."""
    if verify(update):
        return
    _ask(update, now)
    if update.deadline_at is not None and update.deadline_at <= now:
        attempt_failed(update, _silence(update))


def _silence(update: FirmwareUpdate) -> str:
    if update.installed_told_at:
        return words.OTHER_VERSION % {"version": update.station.firmware_version or "–"}
    if update.state in (UpdateState.DOWNLOADED, UpdateState.INSTALLING):
        return words.SILENT_INSTALLING
    if update.percent is None:
        return words.NEVER_FETCHED
    return words.DOWNLOAD_STOPPED % {"share": update.percent}


def attempt_failed(update: FirmwareUpdate, reason: str, *, permanent: bool = False) -> None:
    """Try again later, if another attempt is left and might end otherwise."""
    if permanent or update.attempts >= update.max_attempts:
        settle(update, UpdateState.FAILED, reason)
        return
    campaign = update.campaign
    pause = timedelta(minutes=campaign.retry_minutes) if campaign else RETRY_AFTER
    update.state, update.blocked_by, update.reason = UpdateState.WAITING, Blocker.RETRY, reason[:400]
    update.retry_at = timezone.now() + pause
    update.save()
    tell(update)


def settle(update: FirmwareUpdate, state: UpdateState, reason: str) -> None:
    update.state, update.reason, update.blocked_by = state, reason[:400], ""
    update.settled_at, update.deadline_at = timezone.now(), None
    update.save()
    if state == UpdateState.INSTALLED:
        tickets.expire(tenant_id=update.tenant_id, update_id=update.pk)
    tell(update)


# --- what goes out through the door ---


@dataclass(frozen=True, slots=True)
class Download:
    """One image to give out."""

    tenant_id: int
    ticket_id: int
    update_id: int | None
    name: str
    storage_name: str
    size: int
    sha256: str


def begin_download(*, tenant_id: int, ticket_id: int, address: str) -> Download:
    """What a ticket gives out. Gone where it gives nothing any more."""
    # The update before its ticket, as where orders are given and settled: neither waits for the other in a circle.
    update = locked(tenant_id).filter(tickets__pk=ticket_id).first()
    ticket = tickets.taken(tenant_id=tenant_id, ticket_id=ticket_id, address=address)
    of = ticket.update or ticket.publication
    if of is None:
        raise tickets.Gone("There is nothing to download here.")
    image = of.image
    if update is not None and update.state == UpdateState.SENT:
        update.state = UpdateState.DOWNLOADING
        update.save(update_fields=["state", "changed_at"])
        tell(update)
    return Download(
        tenant_id, ticket_id, ticket.update_id, image.name, image.storage_name, image.size_bytes, image.sha256
    )


def progress(*, download: Download, reached: int, moved: int) -> None:
    """Up to which byte the station has it. Called now and then while it is sent."""
    update = locked(download.tenant_id).filter(pk=download.update_id or 0).first()  # before its ticket
    tickets.moved(tenant_id=download.tenant_id, ticket_id=download.ticket_id, size=moved)
    # A quick station may say that it is done before we have counted its last byte.
    if update is None or update.state not in (*UNDER_WAY, UpdateState.INSTALLED):
        return
    update.bytes_sent = max(update.bytes_sent, reached)
    later = timezone.now() + timedelta(minutes=settings.FIRMWARE_PATIENCE_MINUTES)
    update.deadline_at = max(update.deadline_at or later, later)
    update.save(update_fields=["bytes_sent", "deadline_at", "changed_at"])
    tell(update)


def local_copy(download: Download) -> str:
    """The path of the image on this machine."""
    return str(store.local_copy(download.storage_name, download.sha256))


# --- shared ---


def locked(tenant_id: int) -> QuerySet[FirmwareUpdate]:
    return (
        FirmwareUpdate.objects.select_for_update(of=("self",))
        .select_related("station", "image", "campaign")
        .filter(tenant_id=tenant_id)
    )


def tell(update: FirmwareUpdate) -> None:
    station = update.station
    events = [
        live.event(
            kind="update", station_id=station.pk, site_id=station.site_id,
            data={"id": update.pk, "state": update.state},
        )
    ]  # fmt: skip
    if update.campaign_id:
        events.append(
            live.event(
                kind="campaign",
                station_id=station.pk,
                site_id=station.site_id,
                data={"id": update.campaign_id},
            )
        )
    live.publish_many(update.tenant_id, events)
