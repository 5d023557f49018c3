"""What stations tell in many parts: put together, linked to who asked, complete or known to lack something."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Max

from stations.models import (
    Command,
    CommandKind,
    DeviceReport,
    ReportState,
    Station,
    Variable,
    wire_number,
)
from stations.neutral import ReportPart, ReportPromised
from stations.services import clock, monitors, verification

MOST_PARTS = 5_000  # of one report: what a hostile station numbers beyond is not counted
LOST_AFTER = timedelta(minutes=10)  # without another part
KEPT_DAYS = 90
_ASKED_BY = {
    "report": (CommandKind.READ_REPORT, CommandKind.READ_COMPONENTS),
    "monitors": (CommandKind.READ_MONITORS,),
}


def record_promises(*, tenant_id: int, reports: Sequence[ReportPromised]) -> None:
    """A station said that it will tell, or that there is nothing to tell."""
    for promise in reports:
        if not promise.accepted:
            continue
        command = Command.objects.get(tenant_id=tenant_id, pk=promise.command_id)
        row = _row(
            tenant_id, promise.station_id, promise.kind, promise.request_id, promise.received_at, command
        )
        row.base = promise.base[:16]
        if promise.empty:
            row.state, row.settled_at = ReportState.EMPTY, promise.received_at
        row.save()
        if row.state in (ReportState.EMPTY, ReportState.COMPLETE):
            _complete(row)
        verification.tell(tenant_id, promise.station_id)


def record_parts(*, tenant_id: int, reports: Sequence[ReportPart]) -> None:
    """Parts may come in any order, twice or never; each is counted once."""
    for part in reports:
        row = _row(tenant_id, part.station_id, part.kind, part.request_id, part.received_at, None)
        generated, _flags = clock.sanitise(part.raw_timestamp, part.received_at)
        done = row.settled_at is not None and row.state != ReportState.INCOMPLETE
        if done and part.part == 0 and row.generated_at is not None and generated > row.generated_at:
            _begin_anew(row, part.received_at)  # told unasked, under a number that was used before
        row.last_at = part.received_at
        if part.part in row.parts:
            row.repeated += 1
            row.save(update_fields=["repeated", "last_at"])
            continue
        if 0 <= part.part < MOST_PARTS:
            row.parts = sorted([*row.parts, part.part])
        row.items += part.items
        row.generated_at = row.generated_at or generated
        if not part.more:
            row.last_part = part.part
        if row.state in (ReportState.WAITING, ReportState.RECEIVING, ReportState.INCOMPLETE):
            row.state = ReportState.RECEIVING
            if row.last_part is not None and not row.missing:
                row.state, row.settled_at = ReportState.COMPLETE, part.received_at
        row.save()
        if row.state == ReportState.COMPLETE:
            _complete(row)
        verification.tell(tenant_id, part.station_id)


def _row(
    tenant_id: int, station_id: int, kind: str, request_id: int, at: datetime, command: Command | None
) -> DeviceReport:
    found = DeviceReport.objects.select_for_update(no_key=True).filter(
        tenant_id=tenant_id, station_id=station_id, kind=kind, request_id=request_id
    )
    row = found.first()
    if row is None:
        command = command or _asked_by(tenant_id, station_id, kind, request_id)
        began = command.sent_at if command is not None and command.sent_at else at
        DeviceReport.objects.bulk_create(
            [
                DeviceReport(
                    tenant_id=tenant_id, station_id=station_id, kind=kind, request_id=request_id, created_at=began,
                    last_at=at, command=command, base=_base(command),
                )
            ],
            ignore_conflicts=True,
        )  # fmt: skip
        row = found.get()
    if command is not None and row.command_id is None:
        row.command = command
    return row


def _base(command: Command | None) -> str:
    if command is None:
        return ""
    return (
        str(command.arguments.get("base") or "full")
        if command.kind == CommandKind.READ_REPORT
        else "criteria"
    )


def _asked_by(tenant_id: int, station_id: int, kind: str, request_id: int) -> Command | None:
    """The command that a part names; see wire_number."""
    newest = Command.objects.filter(tenant_id=tenant_id, station_id=station_id, kind__in=_ASKED_BY[kind])
    return next((command for command in newest[:50] if wire_number(command.pk) == request_id), None)


def _begin_anew(row: DeviceReport, at: datetime) -> None:
    row.parts, row.items, row.repeated, row.last_part = [], 0, 0, None
    row.state, row.settled_at, row.generated_at, row.created_at = ReportState.RECEIVING, None, None, at
    row.command = None


def _complete(row: DeviceReport) -> None:
    """What a report of everything did not name is no more."""
    if row.kind == "monitors":
        monitors.forget_untold(row)
    elif row.base == "full" and row.command_id is not None and row.state == ReportState.COMPLETE:
        Variable.objects.filter(
            tenant_id=row.tenant_id, station_id=row.station_id, read_at__lt=row.created_at, gone_at=None
        ).update(gone_at=row.settled_at)
    verification.touch(tenant_id=row.tenant_id, station_ids=[row.station_id], only_known=True)


def sweep(*, tenant_id: int, now: datetime) -> int:
    """Reports of which nothing more came lack parts."""
    open_ones = DeviceReport.objects.filter(
        tenant_id=tenant_id,
        state__in=(ReportState.WAITING, ReportState.RECEIVING),
        last_at__lt=now - LOST_AFTER,
    )
    stations = list(open_ones.values_list("station_id", flat=True))
    ended = open_ones.update(state=ReportState.INCOMPLETE, settled_at=now)
    for station_id in set(stations):
        verification.tell(tenant_id, station_id)
    return ended


def purge(*, tenant_id: int, now: datetime) -> int:
    old = DeviceReport.objects.filter(tenant_id=tenant_id, last_at__lt=now - timedelta(days=KEPT_DAYS))
    return old.delete()[0]


def newest(station: Station, kind: str = "report") -> DeviceReport | None:
    return DeviceReport.objects.filter(tenant_id=station.tenant_id, station=station, kind=kind).first()


def last_read(station: Station) -> datetime | None:
    found = Variable.objects.filter(tenant_id=station.tenant_id, station=station)
    at: datetime | None = found.aggregate(at=Max("read_at"))["at"]
    return at
