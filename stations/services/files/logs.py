"""Logs that stations upload: asked for, followed, stored, given up."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from stations import live
from stations.models import (
    OPEN_LOGS,
    Command,
    CommandKind,
    CommandState,
    LogFile,
    LogKind,
    LogRequest,
    LogState,
    Station,
    TicketPurpose,
    wire_number,
)
from stations.neutral import LogAnswered, LogNotice
from stations.services import commands, words
from stations.services.files import store, tickets
from tenants.context import current_alias
from tenants.errors import Conflict, Invalid, NotFound
from tenants.permissions import Actor, Permission, system
from tenants.services import audit, facts

log = logging.getLogger("voltyard.files")

DEFAULT_HOURS = 24
RETRIES, RETRY_SECONDS = 2, 60  # of the station by itself
GRACE = timedelta(minutes=2)  # between "uploaded" and the file, or the other way round
MOST_OPEN = 5  # requests of one station at once
UNKNOWN_TO_STATION = ("NotSupported", "NotImplemented")


def request(
    *,
    tenant_id: int,
    station_id: int,
    actor: Actor,
    kind: str = LogKind.DIAGNOSTICS,
    protocol: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    retry_of: LogRequest | None = None,
) -> LogRequest:
    """Ask a station for a log, to be uploaded here. Without `since`: of the last 24 hours.

    Invalid for a kind that the station's version has not, a protocol that is not offered, or a span that ends before
    it begins; Conflict when too many requests of the station are open.
    """
    station = Station.objects.filter(tenant_id=tenant_id, pk=station_id, archived_at=None).first()
    if station is None or (actor.site_ids is not None and station.site_id not in actor.site_ids):
        raise NotFound("There is no such station.")
    actor.require(Permission.STATION_COMMAND, site_id=station.site_id)
    if kind not in LogKind.values:
        raise Invalid(fields={"kind": f"Choose one of {', '.join(LogKind.values)}."})
    if kind == LogKind.DATA_COLLECTOR and station.ocpp_version not in ("", "2.1"):
        raise Invalid(
            fields={"kind": f"This log exists in OCPP 2.1; {station} speaks {station.ocpp_version}."}
        )
    now = timezone.now()
    since = since or now - timedelta(hours=DEFAULT_HOURS)
    if until is not None and until <= since:
        raise Invalid(fields={"until": "The end must come after the beginning."})
    mine = LogRequest.objects.filter(tenant_id=tenant_id, station=station, state__in=OPEN_LOGS)
    if mine.count() >= MOST_OPEN:
        raise Conflict("Several logs of this station are under way already. Wait for them, or cancel one.")
    protocol = tickets.choose(station, protocol)
    asked = LogRequest.objects.create(
        tenant_id=tenant_id,
        station=station,
        kind=kind,
        protocol=protocol,
        since=since,
        until=until,
        retry_of=retry_of,
        origin_label=actor.label[:120],
        deadline_at=now + timedelta(minutes=settings.LOG_PATIENCE_MINUTES),
    )
    # 1.6 without the security extension knows GetDiagnostics alone, and that for diagnostics alone.
    old = kind == LogKind.DIAGNOSTICS and station.ocpp_version in ("", "1.6")
    _send(asked, CommandKind.FETCH_DIAGNOSTICS if old else CommandKind.FETCH_LOG, actor)
    return asked


def _send(asked: LogRequest, kind: CommandKind, actor: Actor) -> None:
    token = tickets.secret()
    tickets.issue(
        tenant_id=asked.tenant_id,
        token=token,
        purpose=TicketPurpose.LOG,
        station_id=asked.station_id,
        of={"log_request_id": asked.pk},
    )
    arguments: dict[str, Any] = {
        "location": tickets.address(asked.protocol, token),
        "since": _stamp(asked.since),
        "until": _stamp(asked.until),
        "retries": RETRIES,
        "retry_seconds": RETRY_SECONDS,
    }
    if kind == CommandKind.FETCH_LOG:
        arguments["log"] = str(asked.kind)
    command = commands.request_command(
        tenant_id=asked.tenant_id,
        station_id=asked.station_id,
        kind=kind,
        arguments={name: value for name, value in arguments.items() if value is not None},
        actor=actor,
        expires_in_seconds=300,
    )
    asked.command = command
    asked.number = None if kind == CommandKind.FETCH_DIAGNOSTICS else wire_number(command.pk)
    asked.save(update_fields=["command", "number"])
    _tell(asked)


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")


def retry(*, asked: LogRequest, actor: Actor, protocol: str = "") -> LogRequest:
    """Ask once more for the same log, by another protocol if one is given."""
    if asked.is_open:
        raise Conflict("This request is still under way.")
    return request(
        tenant_id=asked.tenant_id,
        station_id=asked.station_id,
        actor=actor,
        kind=asked.kind,
        protocol=protocol or asked.protocol,
        since=asked.since,
        until=asked.until,
        retry_of=asked,
    )


def cancel(*, asked: LogRequest, actor: Actor) -> LogRequest:
    """Wait for it no longer; what still comes is refused. Stations have no message to stop an upload."""
    actor.require(Permission.STATION_COMMAND, site_id=asked.station.site_id)
    locked = _locked(asked.tenant_id).filter(pk=asked.pk).get()
    if not locked.is_open:
        raise Conflict("This request has ended already.")
    command = Command.objects.select_related("station").filter(
        tenant_id=asked.tenant_id, pk=locked.command_id or 0, state=CommandState.QUEUED
    )
    if (waiting := command.first()) and commands.hold(command=waiting):
        commands.cancel(command=waiting, actor=actor)
        locked.refresh_from_db()
    audit.record(
        tenant_id=asked.tenant_id,
        actor=actor,
        action="log.cancel",
        subject=asked,
        site_id=asked.station.site_id,
    )
    if locked.is_open:
        _settle(locked, LogState.CANCELLED, "")
    return locked


# --- what the station says ---


def follow(*, command: Command) -> None:
    """The command that asked has ended."""
    asked = _locked(command.tenant_id).filter(command_id=command.pk).first()
    if asked is None or not asked.is_open:
        return
    match command.state:
        case CommandState.ACCEPTED:
            asked.accepted_at = timezone.now()
            if asked.state == LogState.REQUESTED:
                asked.state = LogState.ACCEPTED
            asked.save(update_fields=["accepted_at", "state"])
            _tell(asked)
        case CommandState.CANCELLED:
            _settle(asked, LogState.CANCELLED, "")
        case CommandState.EXPIRED:
            _settle(asked, LogState.EXPIRED, command.detail)
        case CommandState.TIMED_OUT:
            # It may have heard us all the same: what comes in time is taken.
            asked.reason = command.detail
            asked.save(update_fields=["reason"])
            _tell(asked)
        case _:
            _refused(asked, command)


def _refused(asked: LogRequest, command: Command) -> None:
    unknown = command.answer in UNKNOWN_TO_STATION
    if unknown and command.kind == CommandKind.FETCH_DIAGNOSTICS:
        # Stations with the security extension may know the newer message alone.
        tickets.expire(tenant_id=asked.tenant_id, log_request_id=asked.pk)
        _send(asked, CommandKind.FETCH_LOG, system("Logs"))
        if asked.command_id and command.batch_id:
            # The newer message takes its place in the order to many stations.
            sent = Command.objects.filter(tenant_id=asked.tenant_id)
            sent.filter(pk=asked.command_id).update(batch=command.batch_id)
            sent.filter(pk=command.pk).update(batch=None)
        return
    _settle(asked, LogState.REFUSED, f"{command.answer} {command.detail}".strip())


def record_answers(*, tenant_id: int, reports: Sequence[LogAnswered]) -> None:
    for told in reports:
        asked = _locked(tenant_id).filter(command_id=told.command_id).first()
        if asked is None:
            continue
        asked.station_file = told.file_name[:255]
        asked.save(update_fields=["station_file"])
        if told.replaces:
            _replace_older(asked)
        if told.nothing and asked.state == LogState.REQUESTED:
            asked.accepted_at = told.received_at
            _settle(asked, LogState.REFUSED, words.NOTHING_LOGGED)


def _replace_older(asked: LogRequest) -> None:
    older = _locked(asked.tenant_id).filter(
        station_id=asked.station_id, state__in=OPEN_LOGS, pk__lt=asked.pk, accepted_at__isnull=False
    )
    for one in older:
        _settle(one, LogState.REPLACED, "")


def record_notices(*, tenant_id: int, reports: Sequence[LogNotice]) -> None:
    """Each notice moves the request that it belongs to; one that belongs to none stays an event."""
    for told in reports:
        asked = _meant(tenant_id, told)
        if asked is not None:
            _noticed(asked, told)


def _meant(tenant_id: int, told: LogNotice) -> LogRequest | None:
    mine = _locked(tenant_id).filter(station_id=told.station_id)
    if told.number is not None:
        found = mine.filter(number=told.number).order_by("-id").first()
        if found is not None:
            return found
    if told.status == "idle":
        return None
    # Without a number, or with one that the station made up: the newest that can be meant.
    recent = told.received_at - timedelta(hours=1)
    return (
        mine.filter(state__in=OPEN_LOGS, created_at__lte=told.received_at).order_by("-id").first()
        or mine.filter(state=LogState.UPLOADED, told_at=None, arrived_at__gte=recent).order_by("-id").first()
    )


def _noticed(asked: LogRequest, told: LogNotice) -> None:
    # Replays and stragglers: what ended stays ended, but for the word that an arrived file was waiting for.
    if not asked.is_open and not (asked.state == LogState.UPLOADED and asked.told_at is None):
        return
    asked.station_word = f"{told.word} {told.info}".strip()[:60]
    asked.save(update_fields=["station_word"])
    match told.status:
        case "uploading" if asked.is_open:
            asked.state = LogState.UPLOADING
            asked.uploading_at = asked.uploading_at or told.received_at
            asked.deadline_at = told.received_at + timedelta(minutes=settings.LOG_PATIENCE_MINUTES)
            asked.save(update_fields=["state", "uploading_at", "deadline_at"])
        case "uploaded":
            asked.told_at = asked.told_at or told.received_at
            if asked.arrived_at is None:
                asked.deadline_at = told.received_at + GRACE
            asked.save(update_fields=["told_at", "deadline_at"])
        case "failed" if asked.is_open:
            asked.told_at = told.received_at
            asked.save(update_fields=["told_at"])
            _settle(asked, LogState.FAILED, told.info)
        case "replaced" if asked.is_open:
            _settle(asked, LogState.REPLACED, "")
    _tell(asked)


# --- what comes through the door ---


@dataclass(frozen=True, slots=True)
class Upload:
    """Leave to upload one file now."""

    tenant_id: int
    ticket_id: int
    request_id: int
    limit: int  # bytes


def begin_upload(*, tenant_id: int, ticket_id: int, expected: int | None, address: str) -> Upload:
    """Open the door for one file. Gone when the ticket is used up, TooLarge when the file cannot fit."""
    # The request before its ticket, as where an upload ends: several at once do not wait for each other in a circle.
    asked = _locked(tenant_id).filter(tickets__pk=ticket_id).first()
    ticket = tickets.taken(tenant_id=tenant_id, ticket_id=ticket_id, address=address)
    if ticket.purpose != TicketPurpose.LOG or asked is None:
        raise tickets.Gone("Nothing can be uploaded here.")
    if asked.state in (LogState.CANCELLED, LogState.REFUSED) or ticket.files_moved >= tickets.MOST_FILES:
        raise tickets.Gone("This upload is not awaited any more.")
    limit = settings.LOG_MAX_MB * 1_000_000 - ticket.bytes_moved
    if limit <= 0 or (expected or 0) > limit:
        raise store.TooLarge(words.FILE_TOO_LARGE % {"most": settings.LOG_MAX_MB})
    room = settings.LOG_TENANT_MB * 1_000_000 - kept_bytes(tenant_id=tenant_id)
    if room < max(expected or 0, 1):
        raise store.TooLarge(words.NO_ROOM % {"most": settings.LOG_TENANT_MB})
    if asked.is_open:
        now = timezone.now()
        asked.state, asked.uploading_at = LogState.UPLOADING, asked.uploading_at or now
        asked.bytes_expected, asked.bytes_received = expected, 0
        asked.deadline_at = now + timedelta(minutes=settings.LOG_PATIENCE_MINUTES)
        asked.save(update_fields=["state", "uploading_at", "bytes_expected", "bytes_received", "deadline_at"])
        _tell(asked)
    return Upload(tenant_id, ticket_id, asked.pk, min(limit, room))


def turned_away(*, tenant_id: int, ticket_id: int, why: str) -> None:
    """The door was not opened: who asked for the log reads why."""
    for asked in _locked(tenant_id).filter(tickets__pk=ticket_id, state__in=OPEN_LOGS):
        asked.reason = why[:400]
        asked.save(update_fields=["reason"])
        _tell(asked)


def progress(*, upload: Upload, received: int) -> None:
    """How many bytes are here; called now and then. The wait for the rest begins anew."""
    now = timezone.now()
    changed = LogRequest.objects.filter(
        tenant_id=upload.tenant_id, pk=upload.request_id, state=LogState.UPLOADING
    ).update(bytes_received=received, deadline_at=now + timedelta(minutes=settings.LOG_PATIENCE_MINUTES))
    if changed:
        _tell(
            LogRequest.objects.select_related("station").get(tenant_id=upload.tenant_id, pk=upload.request_id)
        )


def folder(tenant_id: int) -> str:
    """Where the storage keeps a tenant's logs."""
    return f"{tenant_id}/logs"


def finish_upload(
    *, upload: Upload, storage_name: str, name: str, size: int, sha256: str, head: bytes, protocol: str
) -> LogFile:
    """A whole file is in the storage: it belongs to its request. The same content again is the same file."""
    asked = _locked(upload.tenant_id).get(pk=upload.request_id)
    if asked.state in (LogState.CANCELLED, LogState.REFUSED):
        raise tickets.Gone("This upload is not awaited any more.")
    same = LogFile.objects.filter(
        tenant_id=upload.tenant_id, request=asked, sha256=sha256, size_bytes=size
    ).first()
    if same is not None:
        transaction.on_commit(lambda: store.forget(storage_name), using=current_alias())
        return same
    now = timezone.now()
    file = LogFile.objects.create(
        tenant_id=upload.tenant_id,
        station_id=asked.station_id,
        request=asked,
        kind=asked.kind,
        name=store.plain_name(name, store.plain_name(asked.station_file, f"log-{asked.pk}")),
        storage_name=storage_name,
        size_bytes=size,
        sha256=sha256,
        content_type=store.sniffed(head),
        protocol=protocol,
        received_at=now,
    )
    tickets.moved(tenant_id=upload.tenant_id, ticket_id=upload.ticket_id, size=size, files=1)
    # Some stations send more than one file, or the last words of their own: the door stays ajar for a while.
    tickets.expire(tenant_id=upload.tenant_id, minutes=15, log_request_id=asked.pk)
    asked.arrived_at = asked.arrived_at or now
    asked.bytes_received = size
    asked.save(update_fields=["arrived_at", "bytes_received"])
    if asked.state != LogState.UPLOADED:
        _settle(asked, LogState.UPLOADED, "")
    facts.publish(
        tenant_id=upload.tenant_id, kind="log.received", subject_type="log_file", subject_id=file.pk,
        payload={"file": file.pk, "request": asked.pk, "station": asked.station_id, "kind": asked.kind,
                 "name": file.name, "size_bytes": size, "sha256": sha256},
    )  # fmt: skip
    return file


def broken_upload(*, upload: Upload, why: str) -> None:
    """An upload that broke off: nothing of it is kept, the station may try again."""
    LogRequest.objects.filter(
        tenant_id=upload.tenant_id, pk=upload.request_id, state=LogState.UPLOADING
    ).update(bytes_received=0, reason=why[:400])
    asked = LogRequest.objects.select_related("station").get(tenant_id=upload.tenant_id, pk=upload.request_id)
    _tell(asked)


# --- ends ---


def _settle(asked: LogRequest, state: LogState, reason: str) -> None:
    asked.state, asked.settled_at = state, timezone.now()
    asked.reason = reason[:400]
    asked.save(update_fields=["state", "settled_at", "reason", "accepted_at"])
    if state in (LogState.CANCELLED, LogState.REFUSED, LogState.REPLACED, LogState.EXPIRED):
        tickets.expire(tenant_id=asked.tenant_id, log_request_id=asked.pk)
    _tell(asked)


def give_up(*, tenant_id: int) -> int:
    """Requests whose time is over: nothing came, or what was said to be here is not."""
    over = _locked(tenant_id).filter(state__in=OPEN_LOGS, deadline_at__lte=timezone.now())
    ended = 0
    for asked in over[:200]:
        said = asked.told_at is not None
        _settle(asked, LogState.MISSING if said else LogState.TIMED_OUT, asked.reason)
        ended += 1
    return ended


def drop_old(*, tenant_id: int) -> int:
    """Files past their retention leave the storage first, then their rows: a row without a file would promise it."""
    edge = timezone.now() - timedelta(days=settings.LOG_RETENTION_DAYS)
    dropped = 0
    for file in LogFile.objects.filter(tenant_id=tenant_id, received_at__lt=edge).order_by("id")[:500]:
        try:
            store.forget(file.storage_name)
        except Exception as error:
            log.warning("log file not deleted", extra={"file": file.pk, "error": str(error)[:200]})
            continue
        file.delete()
        dropped += 1
    return dropped


def delete(*, file: LogFile, actor: Actor) -> None:
    """Remove one file before its time."""
    actor.require(Permission.STATION_CONFIGURE, site_id=file.station.site_id)
    name = file.storage_name
    audit.record(
        tenant_id=file.tenant_id, actor=actor, action="log.delete", subject=file, site_id=file.station.site_id,
        detail={"sha256": file.sha256, "size_bytes": file.size_bytes},
    )  # fmt: skip
    file.delete()
    transaction.on_commit(lambda: store.forget(name), using=current_alias())


def downloaded(*, file: LogFile, actor: Actor) -> None:
    """Who took a file out is on record: logs tell of cards and drivers."""
    audit.record(
        tenant_id=file.tenant_id, actor=actor, action="log.download", subject=file, site_id=file.station.site_id,
        detail={"sha256": file.sha256},
    )  # fmt: skip


def kept_bytes(*, tenant_id: int) -> int:
    return LogFile.objects.filter(tenant_id=tenant_id).aggregate(all=Sum("size_bytes"))["all"] or 0


def _locked(tenant_id: int) -> QuerySet[LogRequest]:
    return (
        LogRequest.objects.select_for_update(of=("self",))
        .select_related("station")
        .filter(tenant_id=tenant_id)
    )


def _tell(asked: LogRequest) -> None:
    live.publish(
        asked.tenant_id, kind="log", station_id=asked.station_id, site_id=asked.station.site_id,
        data={"id": asked.pk, "state": asked.state},
    )  # fmt: skip
