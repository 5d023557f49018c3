"""Commands are rows with a life: queued, sent, and settled by the station's answer or by its silence."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connections
from django.db.models import Q
from django.utils import timezone

from stations import live
from stations.models import ONLY_IN, Command, CommandKind, CommandState, Station
from stations.services import outcomes, words
from tenants import rows, secrets
from tenants.context import current_alias, tenant_scope
from tenants.errors import Conflict, Invalid, NotFound
from tenants.permissions import Actor, Permission, system
from tenants.services import audit, facts

CHANNEL = "station_command"  # PostgreSQL NOTIFY, payload "<tenant id>:<station id>"
NEEDS = {
    CommandKind.WRITE_CONFIGURATION: Permission.STATION_CONFIGURE,
    CommandKind.CHANGE_TARIFF: Permission.TARIFF_EDIT,
    CommandKind.CLEAR_MONITORS: Permission.STATION_CONFIGURE,
    CommandKind.CUSTOMER_INFORMATION: Permission.DRIVER_VIEW,
    CommandKind.SET_MONITORING_BASE: Permission.STATION_CONFIGURE,
    CommandKind.SET_MONITORING_LEVEL: Permission.STATION_CONFIGURE,
    CommandKind.SET_MONITORS: Permission.STATION_CONFIGURE,
    CommandKind.SET_NETWORK_PROFILE: Permission.STATION_CONFIGURE,
    CommandKind.INSTALL_CERTIFICATE: Permission.STATION_CONFIGURE,
    CommandKind.DELETE_CERTIFICATE: Permission.STATION_CONFIGURE,
    CommandKind.SEND_CERTIFICATE: Permission.STATION_CONFIGURE,
    CommandKind.UPDATE_FIRMWARE: Permission.STATION_CONFIGURE,
    CommandKind.UPDATE_SIGNED_FIRMWARE: Permission.STATION_CONFIGURE,
    CommandKind.PUBLISH_FIRMWARE: Permission.STATION_CONFIGURE,
    CommandKind.UNPUBLISH_FIRMWARE: Permission.STATION_CONFIGURE,
}
# What opens a door inside an address: a password before the host, or the secret of a file's address of ours.
_OPENS = re.compile(r"(://[^/@:\s]+:)[^/@\s]+(?=@)|(/files/)[0-9a-f]{32}")
# Sent by the minute to every station that charges: the session says what was shown, the audit is for what people do.
UNAUDITED = (CommandKind.TELL_COST, CommandKind.TELL_PRICE)
LOAD_MANAGEMENT = system("Load management")  # sends profiles by the minute: why stands with each profile
ROUTINE = Q(origin_kind="task", kind__in=UNAUDITED) | Q(origin_kind="task", origin_id=LOAD_MANAGEMENT.id)
SECRET_NAMES = ("password", "passwd", "passphrase", "authorizationkey", "secret", "simpin", "apikey")
MOST_SHOWN = 20
OPEN = (CommandState.QUEUED, CommandState.SENT)


def is_secret(name: str) -> bool:
    """Whether what goes by this name (a key, a configuration variable) must not be shown."""
    return any(word in name.lower() for word in SECRET_NAMES)


def _with_secrets(
    arguments: Any, replace: Callable[[Any], Any], opener: Callable[[str], Any] | None = None
) -> Any:
    """The arguments with each value that a secret-looking name goes with replaced, and each text that opens a door.

    Names stand beside their values: 1.6 {"key", "value"}, 2.x {"variable": {"name"}, "attributeValue"} or "actualValue"
    or {"variableAttribute": [{"value"}]}, ours {"name", "value"}.
    """
    opener = opener or replace
    if isinstance(arguments, dict):
        if arguments.keys() == {"sealed"}:
            return replace(arguments)
        variable = arguments.get("variable")
        inner = variable.get("name") if isinstance(variable, dict) else None
        hides = is_secret(str(arguments.get("name") or arguments.get("key") or inner or ""))
        return {
            key: replace(value)
            if is_secret(key)
            or (hides and key in ("value", "attributeValue", "actualValue"))
            or (key == "key" and "server" in arguments)  # 2.x VPNType: the shared secret
            else [_value_of(part, replace) for part in value]
            if hides and key == "variableAttribute" and isinstance(value, list)  # 2.x NotifyReport
            else _with_secrets(value, replace, opener)
            for key, value in arguments.items()
        }
    if isinstance(arguments, list):
        return [_with_secrets(part, replace, opener) for part in arguments]
    return opener(arguments) if isinstance(arguments, str) and _OPENS.search(arguments) else arguments


def _value_of(attribute: Any, replace: Callable[[Any], Any]) -> Any:
    if isinstance(attribute, dict) and "value" in attribute:
        return attribute | {"value": replace(attribute["value"])}
    return attribute


def masked(arguments: Any) -> Any:
    """For logs, frames, answers and the audit. Of an address only what opens it is hidden."""

    def partly(address: str) -> str:
        return _OPENS.sub(lambda found: f"{found[1] or found[2]}***", address)

    return _with_secrets(arguments, lambda value: "***", partly)


def brief(arguments: Any, least: int = MOST_SHOWN + 1) -> Any:
    """For what is kept beside the frame, which holds it all: of a list of so many entries its length."""
    if not isinstance(arguments, dict):
        return arguments
    return {
        name: f"{len(value)} entries" if isinstance(value, list) and len(value) >= least else value
        for name, value in arguments.items()
    }


def for_reader(command: Command, told: Any, actor: Actor | None) -> Any:
    """Arguments, request or response as this reader may see them: the cards of a local list are for TOKEN_VIEW."""
    told = masked(told)
    if command.kind != CommandKind.SEND_LIST or not isinstance(told, dict):
        return told
    if actor is not None and actor.may(Permission.TOKEN_VIEW):
        return told
    return brief(told, least=0)


def sealed(arguments: Any) -> Any:
    """For the row of a command that waits: a secret is encrypted until it goes out."""
    return _with_secrets(arguments, lambda value: {"sealed": secrets.encrypt(str(value))})


def unsealed(arguments: Any) -> Any:
    """For the wire."""
    if isinstance(arguments, dict):
        if arguments.keys() == {"sealed"}:
            return secrets.decrypt(arguments["sealed"])
        return {key: unsealed(value) for key, value in arguments.items()}
    return [unsealed(part) for part in arguments] if isinstance(arguments, list) else arguments


@dataclass(frozen=True, slots=True)
class Asked:
    """A command that is asked for, to a station that was looked up. Arguments go out as given."""

    station: Station
    kind: str
    arguments: dict[str, Any]
    urgent: bool = False
    expires_in_seconds: int = 60


def request_command(
    *,
    tenant_id: int,
    station_id: int,
    kind: str,
    arguments: dict[str, Any],
    actor: Actor,
    urgent: bool = False,
    expires_in_seconds: int = 60,
) -> Command:
    """Queue a command; the process that holds the station's socket is woken after the commit.

    Arguments go out as given: whether they make sense is for the station to say. NotFound for a station that the
    actor may not see, Invalid for an unknown kind.
    """
    station = Station.objects.filter(tenant_id=tenant_id, pk=station_id, archived_at=None).first()
    if station is None:
        raise NotFound("There is no such station.")
    asked = Asked(station, kind, arguments, urgent, expires_in_seconds)
    return request_many(tenant_id=tenant_id, asked=[asked], actor=actor)[0]


def request_many(*, tenant_id: int, asked: Sequence[Asked], actor: Actor) -> list[Command]:
    """Queue commands to stations of one tenant, in this order, by as many statements as for one. As `request_command`;
    if one may not go none does."""
    if not asked:
        return []
    for one in asked:
        _admit(one, actor)
    now = timezone.now()
    made = Command.objects.bulk_create(
        Command(
            tenant_id=tenant_id,
            station=one.station,
            kind=one.kind,
            arguments=sealed(one.arguments),
            urgent=one.urgent or one.kind == CommandKind.STOP,
            origin_kind=actor.kind,
            origin_id=actor.id,
            origin_label=actor.label[:120],
            expires_at=now + timedelta(seconds=one.expires_in_seconds),
        )
        for one in asked
    )
    for one, command in zip(asked, made, strict=True):
        if actor.kind != "task" or (one.kind not in UNAUDITED and actor.id != LOAD_MANAGEMENT.id):
            audit.record(
                tenant_id=tenant_id, actor=actor, action=f"command.{one.kind}", subject=one.station,
                site_id=one.station.site_id,
                detail={"command": command.pk, "arguments": brief(masked(one.arguments))},
            )  # fmt: skip
    with connections[current_alias()].cursor() as cursor:
        woken = list(dict.fromkeys(f"{tenant_id}:{one.station.pk}" for one in asked))
        cursor.execute("SELECT pg_notify(%s, station) FROM unnest(%s::text[]) station", [CHANNEL, woken])
    _tell(made)
    return made


def _admit(one: Asked, actor: Actor) -> None:
    station, kind = one.station, one.kind
    if kind not in CommandKind.values:
        raise Invalid(fields={"kind": f"Choose one of {', '.join(CommandKind.values)}."})
    if actor.site_ids is not None and station.site_id not in actor.site_ids:
        raise NotFound("There is no such station.")
    actor.require(NEEDS.get(CommandKind(kind), Permission.STATION_COMMAND), site_id=station.site_id)
    if kind == CommandKind.CUSTOMER_INFORMATION:  # to see a customer's data is not yet to steer a station
        actor.require(Permission.STATION_COMMAND, site_id=station.site_id)
    spoken = ONLY_IN.get(CommandKind(kind))
    if spoken and station.ocpp_version and station.ocpp_version not in spoken:
        raise Invalid(
            f"{CommandKind(kind).label} needs OCPP {' or '.join(spoken)}; {station} speaks {station.ocpp_version}."
        )


def cancel(*, command: Command, actor: Actor) -> Command:
    """Take back a command that waits. Conflict once it was sent."""
    actor.require(Permission.STATION_COMMAND, site_id=command.station.site_id)
    changed = Command.objects.filter(
        tenant_id=command.tenant_id, pk=command.pk, state=CommandState.QUEUED
    ).update(state=CommandState.CANCELLED, settled_at=timezone.now(), answer="cancelled")
    if not changed:
        raise Conflict("The command was sent already and cannot be taken back.")
    command.refresh_from_db()
    audit.record(
        tenant_id=command.tenant_id, actor=actor, action="command.cancel", subject=command,
        site_id=command.station.site_id,
    )  # fmt: skip
    _settled(command)
    return command


def hold(*, command: Command) -> bool:
    """Hold a command that waits, to cancel it, for whoever holds the row that waits for its end. False for one that was
    sent, or is being sent or ended in this moment: who does that may wait for the same row, so it is not waited for."""
    free = Command.objects.select_for_update(of=("self",), skip_locked=True).filter(
        tenant_id=command.tenant_id, pk=command.pk, state=CommandState.QUEUED
    )
    return free.first() is not None


# One that is being taken back is left: its end may wait for the station, which is held here. Nor is a station waited
# for that somebody holds: all others would wait with it.
_CLAIM = """
WITH newest AS (
    SELECT s.id, w.epoch FROM json_to_recordset(%(rows)s::json) AS w(station bigint, epoch int)
    JOIN stations_station s ON s.id = w.station AND s.epoch = w.epoch
    WHERE s.tenant_id = %(tenant)s
), held AS MATERIALIZED (
    SELECT s.id, s.epoch FROM json_to_recordset(%(rows)s::json) AS w(station bigint, epoch int)
    JOIN stations_station s ON s.id = w.station AND s.epoch = w.epoch
    WHERE s.tenant_id = %(tenant)s FOR NO KEY UPDATE OF s SKIP LOCKED
), chosen AS MATERIALIZED (
    SELECT c.id, h.epoch FROM held h CROSS JOIN LATERAL (
        SELECT q.id FROM stations_command q
        WHERE q.tenant_id = %(tenant)s AND q.station_id = h.id AND q.state = 'queued' AND q.expires_at > %(now)s
        ORDER BY q.urgent DESC, q.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) c
), sent AS (
    UPDATE stations_command c SET state = 'sent', sent_at = %(now)s, epoch = chosen.epoch
    FROM chosen WHERE c.tenant_id = %(tenant)s AND c.id = chosen.id RETURNING c.id
)
SELECT id, 0 FROM sent
UNION ALL SELECT 0, n.id FROM newest n WHERE NOT EXISTS (SELECT 1 FROM held h WHERE h.id = n.id)
"""


def claim(*, tenant_id: int, epochs: Mapping[int, int]) -> tuple[list[Command], set[int]]:
    """The next command of each of these stations, marked as sent; none of a station whose socket (its epoch) is not the
    newest. Beside them the stations that somebody else holds in this moment: ask for them again."""
    asked = [{"station": station_id, "epoch": epoch} for station_id, epoch in epochs.items()]
    if not asked:
        return [], set()
    told = rows.run(_CLAIM, tenant_id, asked, now=timezone.now())
    ids = [command_id for command_id, _busy in told if command_id]
    found = Command.objects.filter(tenant_id=tenant_id, pk__in=ids).select_related("station")
    claimed = list(found) if ids else []
    _tell(claimed)
    return claimed, {busy for _command_id, busy in told if busy}


_ENCODED = """
UPDATE stations_command c SET action = t.action, message_id = t.message, request = t.request
FROM json_to_recordset(%(rows)s::json) AS t(id bigint, action text, message text, request jsonb)
WHERE c.tenant_id = %(tenant)s AND c.id = t.id
"""


def mark_encoded(*, tenant_id: int, encoded: Sequence[tuple[Command, str, str, dict[str, Any]]]) -> None:
    """What the versions made of commands, before they go out: action, message id and request of each."""
    for command, action, message_id, request in encoded:
        command.action, command.message_id, command.request = action, message_id, masked(request)
    if encoded:
        rows.run(_ENCODED, tenant_id, [
            {"id": one.pk, "action": one.action, "message": one.message_id, "request": one.request}
            for one, *_told in encoded
        ])  # fmt: skip


def settle(
    *,
    tenant_id: int,
    command_id: int,
    state: str,
    answer: str = "",
    detail: str = "",
    response: dict[str, Any] | None = None,
) -> Command | None:
    """End a command once; a second end changes nothing and gives None."""
    command = (
        Command.objects.select_for_update(of=("self",))
        .select_related("station")
        .filter(tenant_id=tenant_id, pk=command_id, state__in=OPEN)
        .first()
    )
    if command is None:
        return None
    command.state, command.answer, command.detail = state, answer[:60], detail[:400]
    command.response, command.settled_at = masked(response), timezone.now()
    command.arguments = brief(masked(command.arguments))
    command.save(update_fields=["state", "answer", "detail", "response", "settled_at", "arguments"])
    _settled(command)
    return command


def _settled(command: Command) -> None:
    outcomes.follow(command)
    facts.publish(
        tenant_id=command.tenant_id, kind="command.settled", subject_type="command", subject_id=command.pk,
        payload={
            "command": command.pk, "station": command.station_id, "kind": command.kind, "state": command.state,
            "answer": command.answer,
        },
    )  # fmt: skip
    _tell([command])


def _tell(changed: Sequence[Command]) -> None:
    """Of one tenant, with their stations."""
    events = [
        live.event(
            kind="command", station_id=one.station_id, site_id=one.station.site_id,
            data={"id": one.pk, "kind": one.kind, "state": one.state, "answer": one.answer},
        )
        for one in changed
    ]  # fmt: skip
    if changed:
        live.publish_many(changed[0].tenant_id, events)


def waiting(*, gateway: str) -> list[int]:
    """Stations of a gateway for which a command waits. Works outside any tenant."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute("SELECT station_id FROM stations_waiting_commands(%s)", [gateway])
        return [row[0] for row in cursor.fetchall()]


def expire(*, tenant_id: int) -> int:
    """End commands that were not delivered in time, or whose gateway died before the answer came."""
    now = timezone.now()
    silent = now - timedelta(seconds=2 * settings.OCPP_CALL_TIMEOUT_SECONDS)
    overdue = Command.objects.filter(
        Q(state=CommandState.QUEUED, expires_at__lte=now) | Q(state=CommandState.SENT, sent_at__lte=silent),
        tenant_id=tenant_id,
    )
    ended = 0
    for command in overdue[:500]:
        if command.state == CommandState.QUEUED:
            state, detail = (
                CommandState.EXPIRED,
                words.NOT_CONNECTED,
            )
        else:
            state, detail = CommandState.TIMED_OUT, words.CONNECTION_ENDED
        ended += settle(tenant_id=tenant_id, command_id=command.pk, state=state, detail=detail) is not None
    return ended


def wait(*, tenant_id: int, command_id: int, timeout_seconds: float) -> Command:
    """The command once it is settled, or as it is when the time is over.

    Outside of any transaction; holds neither a transaction nor a connection while it waits.
    """
    deadline = time.monotonic() + timeout_seconds
    pause = 0.01
    while True:
        with tenant_scope(tenant_id):
            command = Command.objects.select_related("station").get(tenant_id=tenant_id, pk=command_id)
        if command.settled or time.monotonic() >= deadline:
            return command
        # Back to the pool: a few callers who wait a minute each would otherwise leave none for the others.
        connections[current_alias()].close()
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.5, 0.25)
