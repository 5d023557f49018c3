"""Default tariffs on stations of OCPP 2.1 (I07 to I11): installed, kept in step with ours, read back and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max
from django.utils import timezone

from billing.models import Tariff
from billing.services import tariffs
from stations import live
from stations.models import (
    Command,
    CommandKind,
    CommandState,
    Session,
    Station,
    StationTariff,
    TariffStanding,
)
from stations.neutral import TariffsTold
from stations.services import commands, showing
from tenants import rows
from tenants.errors import Conflict
from tenants.permissions import Actor, Permission, system

VERSIONS = ("2.1",)
BATCH = 300
CHECK_EVERY = timedelta(hours=24)  # what the station has is read back so often
MOST_ATTEMPTS = 5
_BACKOFF = timedelta(minutes=5)
_ACTOR = system("Tariffs on stations")


def sync(*, tenant_id: int, now: datetime) -> int:
    """Bring the stations that keep tariffs in step with the tariffs that count there now."""
    online = Station.objects.filter(
        tenant_id=tenant_id, online=True, archived_at=None, ocpp_version__in=VERSIONS
    ).order_by("id")
    stations = list(online[:20_000])
    able = showing.of(tenant_id, [station.pk for station in stations])
    keeping = [station for station in stations if able.get(station.pk, showing.Shows()).tariff]
    held = {
        row.station_id: row
        for row in StationTariff.objects.filter(tenant_id=tenant_id, evse_number=0, station__in=keeping)
    }
    done = 0
    for station, terms in zip(keeping, _terms(tenant_id, keeping), strict=True):
        done += _step(station, held.get(station.pk), terms, now)
        if done >= BATCH:
            break
    return done


def _terms(tenant_id: int, stations: Sequence[Station]) -> list[dict[str, Any] | None]:
    wanted = [(station.site_id, station.tariff_id) for station in stations]
    found: list[dict[str, Any] | None] = rows.alone(tenant_id, tariffs.snapshot_for(wanted))
    return found


def _step(station: Station, row: StationTariff | None, terms: dict[str, Any] | None, now: datetime) -> int:
    if row is not None and row.standing in (TariffStanding.WAITING, TariffStanding.CLEARING):
        return 0  # under way
    if terms is None:
        if row is not None and row.standing in (TariffStanding.INSTALLED, TariffStanding.DRIFT):
            _clear(row, station, _ACTOR)
            return 1
        return 0
    if row is None or row.terms != terms or row.standing == TariffStanding.CLEARED:
        install(station=station, terms=terms, actor=_ACTOR)
        return 1
    if row.standing in (TariffStanding.UNREACHED, TariffStanding.DRIFT):
        if row.attempts < MOST_ATTEMPTS and now - row.changed_at > _BACKOFF * 2**row.attempts:
            install(station=station, terms=terms, actor=_ACTOR, attempts=row.attempts + 1)
            return 1
        return 0
    stale = row.told_at is None or now - row.told_at > CHECK_EVERY
    if row.standing == TariffStanding.INSTALLED and stale and not _asked_lately(station, now):
        read(station=station, actor=_ACTOR)
        return 1
    return 0


def _asked_lately(station: Station, now: datetime) -> bool:
    asked = Command.objects.filter(
        tenant_id=station.tenant_id, station=station, kind=CommandKind.READ_TARIFFS
    ).aggregate(last=Max("created_at"))["last"]
    return asked is not None and now - asked < timedelta(hours=1)


def give(*, station: Station, tariff: Tariff, actor: Actor) -> StationTariff:
    """Install a tariff now, by a person's wish. The sweep brings back the one that counts, if it is another."""
    if station.ocpp_version and station.ocpp_version not in VERSIONS:
        raise Conflict(
            f"{station} speaks OCPP {station.ocpp_version}; tariffs on the station need 2.1.", code="version"
        )
    return install(station=station, terms=tariffs.snapshot(tariff), actor=actor)


def install(*, station: Station, terms: dict[str, Any], actor: Actor, attempts: int = 0) -> StationTariff:
    """Send these terms as the default tariff of all EVSEs."""
    command = commands.request_command(
        tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.SET_TARIFF,
        arguments={"tariff": terms, "evse": 0}, actor=actor, expires_in_seconds=600,
    )  # fmt: skip
    tariff = Tariff.objects.filter(tenant_id=station.tenant_id, pk=terms.get("id") or 0).first()
    row, _made = StationTariff.objects.update_or_create(
        tenant_id=station.tenant_id, station=station, evse_number=0,
        defaults={
            "tariff": tariff, "terms": terms, "standing": TariffStanding.WAITING, "detail": "", "wire_id": "",
            "command_id": command.pk, "changed_at": timezone.now(), "attempts": attempts,
        },
    )  # fmt: skip
    return row


def read(*, station: Station, actor: Actor) -> Command:
    return commands.request_command(
        tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.READ_TARIFFS, arguments={}, actor=actor
    )  # fmt: skip


def clear(*, station: Station, actor: Actor) -> Command:
    """Take the tariffs off; the sweep installs them again while one counts here."""
    row = StationTariff.objects.filter(tenant_id=station.tenant_id, station=station, evse_number=0).first()
    if row is None:
        raise Conflict(f"No tariff of ours is on {station}.", code="no_tariff")
    return _clear(row, station, actor)


def _clear(row: StationTariff, station: Station, actor: Actor) -> Command:
    command = commands.request_command(
        tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.CLEAR_TARIFFS,
        arguments={"wire_ids": [row.wire_id]} if row.wire_id else {}, actor=actor, expires_in_seconds=600,
    )  # fmt: skip
    row.standing, row.command_id, row.changed_at = TariffStanding.CLEARING, command.pk, timezone.now()
    row.save(update_fields=["standing", "command_id", "changed_at"])
    return command


def change(*, session: Session, tariff: Tariff, actor: Actor) -> Command:
    """Another price for a session that runs (I11). It counts here once the station has taken it."""
    actor.require(Permission.TARIFF_EDIT, site_id=session.site_id)
    terms = tariffs.snapshot(tariff)
    if session.state != "active":
        raise Conflict("Only the tariff of a running session can be changed.", code="session_over")
    if session.tariff and session.tariff["currency"] != terms["currency"]:
        raise Conflict("The currency of a session cannot change.", code="currency")
    return commands.request_command(
        tenant_id=session.tenant_id, station_id=session.station_id, kind=CommandKind.CHANGE_TARIFF,
        arguments={"transaction_id": session.transaction_id, "tariff": terms}, actor=actor,
    )  # fmt: skip


# --- what follows ---

_REASONS = {
    "TooManyElements": "It holds fewer prices than this tariff has.",
    "ConditionNotSupported": "It does not know a condition of this tariff.",
    "DuplicateTariffId": "It has another tariff of this name.",
    "NoCurrencyChange": "The currency of a session cannot change.",
    "TxNotFound": "It does not know this session.",
}


def _why(command: Command) -> str:
    info = (command.response or {}).get("statusInfo") or {}
    told = f"{info.get('reasonCode', '')} {info.get('additionalInfo', '')}".strip()
    heard = (
        "" if command.state == CommandState.FAILED else command.answer
    )  # of a failure the detail tells all
    word = _REASONS.get(heard, f"{heard}." if heard else "")
    return " ".join(part for part in (word, told, command.detail) if part)[:400]


def _row(command: Command) -> StationTariff | None:
    return (
        StationTariff.objects.select_for_update()
        .filter(tenant_id=command.tenant_id, station_id=command.station_id, command_id=command.pk)
        .first()
    )


def follow_set(*, command: Command) -> None:
    row = _row(command)
    if row is None:
        return
    sent = ((command.request or {}).get("tariff") or {}).get("tariffId", "")
    row.wire_id, row.changed_at = str(sent)[:60], command.settled_at or timezone.now()
    if command.state == CommandState.ACCEPTED:
        row.standing, row.detail, row.attempts = TariffStanding.INSTALLED, "", 0
        row.told, row.told_at = None, None
    elif command.state in (CommandState.REJECTED, CommandState.FAILED):
        row.standing, row.detail = TariffStanding.REFUSED, _why(command)
    else:
        row.standing, row.detail = TariffStanding.UNREACHED, command.detail
    row.save()
    _tell(row)


def follow_clear(*, command: Command) -> None:
    row = _row(command)
    if row is None:
        return
    gone = command.state == CommandState.ACCEPTED
    row.standing = TariffStanding.CLEARED if gone else TariffStanding.DRIFT
    row.detail, row.changed_at = "" if gone else _why(command), command.settled_at or timezone.now()
    row.save(update_fields=["standing", "detail", "changed_at"])
    _tell(row)


def follow_change(*, command: Command) -> None:
    """From now on the session is priced by what its station shows."""
    if command.state != CommandState.ACCEPTED or not isinstance(command.arguments.get("tariff"), dict):
        return
    terms = command.arguments["tariff"]
    tariff = Tariff.objects.filter(tenant_id=command.tenant_id, pk=terms.get("id") or 0).first()
    if tariff is None or tariffs.snapshot(tariff) != terms:
        return  # terms that somebody made up by REST are shown there; they bill nobody
    Session.objects.filter(
        tenant_id=command.tenant_id, station_id=command.station_id, state="active",
        transaction_id=str(command.arguments.get("transaction_id"))[:64],
    ).update(tariff=terms, currency=terms["currency"])  # fmt: skip


def _tell(row: StationTariff) -> None:
    station = row.station
    live.publish(
        row.tenant_id, kind="tariff", station_id=station.pk, site_id=station.site_id,
        data={"standing": row.standing},
    )  # fmt: skip


def record(*, tenant_id: int, reports: Sequence[TariffsTold]) -> None:
    """What stations say they have, against what we installed."""
    for told in reports:
        row = StationTariff.objects.filter(
            tenant_id=tenant_id, station_id=told.station_id, evse_number=0
        ).first()
        if row is None or told.evse != 0:
            continue
        row.told = [_plain(asdict(one)) for one in told.assignments[:100]]
        row.told_at = told.received_at
        if row.standing in (TariffStanding.INSTALLED, TariffStanding.DRIFT):
            row.standing, row.detail = _compared(row, told)
        row.save(update_fields=["told", "told_at", "standing", "detail"])
        _tell(row)


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"evses": list(entry["evses"])}


def _compared(row: StationTariff, told: TariffsTold) -> tuple[str, str]:
    defaults = [one for one in told.assignments if one.kind == "default"]
    if not defaults:
        return TariffStanding.DRIFT, "The station says that it has no default tariff."
    others = {one.wire_id for one in defaults} - {row.wire_id}
    if others:
        return TariffStanding.DRIFT, f"The station has {', '.join(sorted(others))[:200]} instead."
    return TariffStanding.INSTALLED, ""


def of_station(station: Station) -> StationTariff | None:
    return StationTariff.objects.filter(tenant_id=station.tenant_id, station=station, evse_number=0).first()
