"""A station's password, changed through its own socket (A01). The old one opens until the new one did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from stations import live
from stations.models import (
    Command,
    CommandKind,
    CommandState,
    Connection,
    PasswordChange,
    PasswordState,
    Station,
)
from stations.services import commands, stations
from stations.services.stations import checked_password, new_password, password_hash
from tenants.errors import Conflict
from tenants.permissions import Actor, Permission, system
from tenants.services import audit

RULE = system("Password change")
WAITS_SECONDS = 86_400
OPEN = (PasswordState.SENT, PasswordState.ACCEPTED)
UNCLEAR = timedelta(days=7)  # then a change that was never answered ends, and makes way for another
BY_PASSWORD = (1, 2)  # security profiles; under the others a station shows none


def write_arguments(station: Station, password: str) -> dict[str, Any]:
    """The setting that holds it, in the station's version."""
    if station.ocpp_version in ("", "1.6"):
        return {"name": "AuthorizationKey", "value": password}
    return {"component": "SecurityCtrlr", "name": "BasicAuthPassword", "value": password}


def rotate(*, station: Station, actor: Actor, password: str = "") -> PasswordChange:
    """Tell the station a new password, a random one if none is given. Nobody is cut off: the old one is accepted until
    the new one was used. It waits a day for a station that is offline. Conflict while another change is under way."""
    actor.require(Permission.STATION_EDIT, site_id=station.site_id)
    secret = checked_password(password) if password else new_password()
    station = stations.locked(tenant_id=station.tenant_id, station_id=station.pk)
    if PasswordChange.objects.filter(tenant_id=station.tenant_id, station=station, state__in=OPEN).exists():
        raise Conflict(f"{station} is being told a new password already.")
    station.next_password_hash = password_hash(secret)
    station.save(update_fields=["next_password_hash"])
    change = PasswordChange(
        tenant_id=station.tenant_id, station=station, secret=secret, started_by=actor.label[:120]
    )
    audit.record(
        tenant_id=station.tenant_id, actor=actor, action="station.password_rotate", subject=station,
        site_id=station.site_id,
    )  # fmt: skip
    _send(change, secret)
    return change


def _send(change: PasswordChange, text: str) -> None:
    change.command = commands.request_command(
        tenant_id=change.tenant_id, station_id=change.station_id, kind=CommandKind.WRITE_CONFIGURATION,
        arguments=write_arguments(change.station, text), actor=RULE, expires_in_seconds=WAITS_SECONDS,
    )  # fmt: skip
    change.save()


def follow(*, command: Command) -> None:
    """The station took it, or did not. The station is locked before the change, as at the door (`used`)."""
    sent = PasswordChange.objects.filter(
        tenant_id=command.tenant_id, command=command, state=PasswordState.SENT
    )
    if not sent.exists():
        return
    stations.locked(tenant_id=command.tenant_id, station_id=command.station_id)
    change = sent.select_for_update(of=("self",)).select_related("station").first()
    if change is None:
        return
    if command.state == CommandState.ACCEPTED:
        change.state, change.secret = PasswordState.ACCEPTED, ""
        change.detail = "The station uses it from its next connection on."
        change.save()
    elif command.state == CommandState.REJECTED and _takes_hex(change):
        # OCPP-J 1.6, 6.2.2: some stations want it as hexadecimal text, and log in with the bytes.
        change.tried_hex = True
        _send(change, change.secret.encode().hex())
    elif command.state == CommandState.TIMED_OUT:
        change.detail = "The station did not answer: both passwords open until one of them was used."
        change.save(update_fields=["detail"])
    else:
        _fail(change, command.detail or f"The station answered {command.answer or command.state}.")
    _tell(change.station)


def _takes_hex(change: PasswordChange) -> bool:
    return change.station.ocpp_version in ("", "1.6") and not change.tried_hex and bool(change.secret)


def _fail(change: PasswordChange, why: str) -> None:
    Station.objects.filter(tenant_id=change.tenant_id, pk=change.station_id).update(next_password_hash="")
    _end(change, why)


def _end(change: PasswordChange, why: str) -> None:
    change.state, change.detail, change.secret = PasswordState.FAILED, why[:300], ""
    change.ended_at = timezone.now()
    change.save()


def void(*, station: Station) -> None:
    """A password was set by hand: one that was on its way opens no door, so the station must not be told it any more.
    The station is locked."""
    change = (
        PasswordChange.objects.select_for_update(of=("self",))
        .select_related("command")
        .filter(tenant_id=station.tenant_id, station=station, state__in=OPEN)
        .first()
    )
    if change is None:
        return
    _end(change, "Another password was set by hand.")
    if change.command is not None and commands.hold(command=change.command):
        commands.cancel(command=change.command, actor=RULE)
    _tell(station)


def used(*, station: Station) -> None:
    """The station came by its new password: the old one opens no more. Called in the transaction that keeps the new
    socket, so that whoever sees a socket of before knows that the old password opened it."""
    if not station.next_password_hash:
        return
    station.password_hash, station.next_password_hash = station.next_password_hash, ""
    station.save(update_fields=["password_hash", "next_password_hash"])
    PasswordChange.objects.filter(tenant_id=station.tenant_id, station=station, state__in=OPEN).update(
        state=PasswordState.USED, detail="", secret="", ended_at=timezone.now()
    )
    audit.record(
        tenant_id=station.tenant_id, actor=RULE, action="station.password_used", subject=station,
        site_id=station.site_id,
    )  # fmt: skip
    _tell(station)


def settle(*, tenant_id: int) -> int:
    """End changes that were never answered: the station came by its old password since, or a week has passed. And
    those whose command has ended otherwise without that being followed.

    After a week without a word the new password opens on: the station may have it, and nobody else knows it any more.
    """
    since = Connection.objects.filter(
        tenant_id=tenant_id, station_id=OuterRef("station_id"), opened_at__gt=OuterRef("command__settled_at")
    )
    # By the new password it would be USED in the same moment, see `used`; hence one statement, which sees one moment.
    came = Q(Exists(since), station__effective_profile__in=BY_PASSWORD)
    unclear = (
        PasswordChange.objects.select_for_update(of=("self", "station"), no_key=True, skip_locked=True)
        .select_related("station")
        .annotate(came=came)
        .filter(
            Q(came=True) | Q(created_at__lt=timezone.now() - UNCLEAR), tenant_id=tenant_id,
            state=PasswordState.SENT, command__state=CommandState.TIMED_OUT,
        )
    )  # fmt: skip
    ended = 0
    for change in unclear[:500]:
        if change.came:
            _fail(change, "The station did not answer and goes on with its old password.")
        else:
            _end(change, "The station did not answer: both passwords open until one of them was used.")
        _tell(change.station)
        ended += 1
    missed = PasswordChange.objects.filter(tenant_id=tenant_id, state=PasswordState.SENT).exclude(
        command__state__in=(*commands.OPEN, CommandState.TIMED_OUT)
    )
    for command in Command.objects.filter(tenant_id=tenant_id, pk__in=missed.values("command_id"))[:500]:
        follow(command=command)
        ended += 1
    return ended


def _tell(station: Station) -> None:
    live.publish(
        station.tenant_id, kind="security", station_id=station.pk, site_id=station.site_id, data={"id": 0}
    )
