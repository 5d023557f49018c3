"""Changing settings of stations: asked together, sent in messages the station can take, answered one by one, read back.

The device model is one for all versions: a setting is named by its component and name (1.6: the key alone).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.utils import timezone

from stations import catalogue
from stations.models import (
    OPEN_CHANGES,
    Command,
    CommandKind,
    CommandState,
    ConfigurationRun,
    Station,
    Variable,
    VariableChange,
    VariableChangeState,
)
from stations.neutral import SettingAnswer, SettingsAnswered, VariableReport
from stations.services import commands, devices, quirks, verification
from stations.services.commands import is_secret
from stations.services.devices import MASK
from tenants.context import current_alias
from tenants.errors import Invalid, NotFound
from tenants.permissions import Actor, Permission, system

MOST_SETTINGS = 200  # of one request
ITEMS = 10  # variables in a message to a station that does not tell how many it takes
KEYS_16 = 20  # of a GetConfiguration, where the station does not tell
BYTES = 8_000
KEPT_PER_VARIABLE = 50
KEPT_DAYS = 400
PATIENCE = timedelta(minutes=10)  # for the read back of what was accepted


@dataclass(frozen=True, slots=True)
class Setting:
    """A value for a variable."""

    name: str
    value: str
    component: str = ""
    component_instance: str = ""
    evse: int = 0
    connector: int = 0
    instance: str = ""
    attribute: str = "actual"

    @property
    def key(self) -> tuple[Any, ...]:
        return (
            self.component, self.component_instance, self.evse, self.connector, self.name, self.instance,
            self.attribute,
        )  # fmt: skip

    @property
    def report(self) -> VariableReport:
        return VariableReport(
            self.name, self.value, component=self.component, component_instance=self.component_instance,
            evse=self.evse, connector=self.connector, instance=self.instance, attribute=self.attribute,
        )  # fmt: skip


def read_setting(given: Mapping[str, Any]) -> Setting:
    """A setting as REST, templates and commands write it. Invalid names what is wrong."""
    name, value = given.get("name"), given.get("value")
    if not isinstance(name, str) or not name.strip() or len(name) > 80:
        raise Invalid(fields={"name": "Each setting needs a name of at most 80 characters."})
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float) or len(str(value)) > 2500:
        raise Invalid(fields={"value": f"{name[:80]} needs a value of at most 2,500 characters."})
    numbers = {part: given.get(part) or 0 for part in ("evse", "connector")}
    for part, number in numbers.items():
        if not isinstance(number, int) or not 0 <= number <= 32_767:
            raise Invalid(fields={part: f"{name[:80]}: a number from 0 to 32,767."})
    attribute = str(given.get("attribute") or "actual")
    if attribute not in ("actual", "target", "min", "max"):
        raise Invalid(fields={"attribute": "Choose one of actual, target, min, max."})
    texts = {part: str(given.get(part) or "") for part in ("component", "component_instance", "instance")}
    if long := [part for part, text in texts.items() if len(text) > 80]:
        raise Invalid(fields={long[0]: f"{name[:80]}: at most 80 characters."})
    return Setting(
        name.strip(), str(value), texts["component"], texts["component_instance"], numbers["evse"],
        numbers["connector"], texts["instance"], attribute,
    )  # fmt: skip


def check(station: Station, setting: Setting) -> None:
    """Invalid where the device model says that the station cannot take this value. The unknown goes out as given."""
    known = Variable.objects.filter(
        tenant_id=station.tenant_id, station=station, **verification.named(setting.key)
    ).first()
    entry = quirks.entry(station, setting.component, setting.name) or catalogue.find(
        setting.component, setting.name
    )
    wrong = catalogue.refusal(setting.name, setting.value, known, entry)
    if wrong:
        raise Invalid(fields={"value": wrong})


def change(
    *,
    tenant_id: int,
    station_id: int,
    settings: Sequence[Setting],
    actor: Actor,
    run: ConfigurationRun | None = None,
    expires_in_seconds: int = 300,
    lenient: bool = False,
) -> list[VariableChange]:
    """Ask a station for these settings, in as few messages as it can take. Each becomes a change with a life.

    Invalid for values that the device model rules out, unless `lenient`. NotFound for a station out of sight.
    """
    station = _station(tenant_id, station_id, actor)
    actor.require(Permission.STATION_CONFIGURE, site_id=station.site_id)
    if not settings or len(settings) > MOST_SETTINGS:
        raise Invalid(fields={"settings": f"Give 1 to {MOST_SETTINGS} settings."})
    if not lenient:
        for setting in settings:
            check(station, setting)
    now = timezone.now()
    before = _present(station)
    _replace(station, {setting.key for setting in settings}, now)
    made: list[VariableChange] = []
    for part in _messages(station, list(settings)):
        command = commands.request_command(
            tenant_id=tenant_id, station_id=station_id, kind=CommandKind.WRITE_CONFIGURATION,
            arguments=_arguments(station, part), actor=actor, expires_in_seconds=expires_in_seconds,
        )  # fmt: skip
        made += [
            _change(station, setting, before.get(setting.key), command, actor.kind, actor.label, now, run)
            for setting in part
        ]
    VariableChange.objects.bulk_create(made)
    return made


def _change(
    station: Station, setting: Setting, before: str | None, command: Command, kind: str, label: str, at: datetime,
    run: ConfigurationRun | None = None,
) -> VariableChange:  # fmt: skip
    return VariableChange(
        tenant_id=station.tenant_id, station=station, **verification.named(setting.key), before=before,
        after=MASK if is_secret(setting.name) else setting.value, state=VariableChangeState.ASKED, command=command,
        run=run, origin_kind=kind, origin_label=label[:120], asked_at=at,
    )  # fmt: skip


def _station(tenant_id: int, station_id: int, actor: Actor) -> Station:
    station = Station.objects.filter(tenant_id=tenant_id, pk=station_id, archived_at=None).first()
    if station is None or (actor.site_ids is not None and station.site_id not in actor.site_ids):
        raise NotFound("There is no such station.")
    return station


def _present(station: Station) -> dict[tuple[Any, ...], str | None]:
    found = Variable.objects.filter(tenant_id=station.tenant_id, station=station)
    return {variable.key: variable.value for variable in found}


def _replace(station: Station, keys: set[tuple[Any, ...]], now: datetime) -> None:
    """What waits for its end on the same variables is overtaken."""
    waiting = VariableChange.objects.filter(
        tenant_id=station.tenant_id,
        station=station,
        state__in=(VariableChangeState.TAKEN, VariableChangeState.RESET),
    )
    overtaken = [change.pk for change in waiting if change.key in keys]
    VariableChange.objects.filter(tenant_id=station.tenant_id, pk__in=overtaken).update(
        state=VariableChangeState.DONE, reason="Replaced by a later change.", settled_at=now
    )


def _arguments(station: Station, part: Sequence[Setting]) -> dict[str, Any]:
    if not station.is_v2:
        return {"name": part[0].name, "value": part[0].value}
    return {"variables": [_spelt(setting) | {"value": setting.value} for setting in part]}


def _spelt(setting: Setting) -> dict[str, Any]:
    """Names of a variable as commands take them, empty ones left out."""
    told = {
        "component": setting.component, "component_instance": setting.component_instance, "evse": setting.evse,
        "connector": setting.connector, "name": setting.name, "instance": setting.instance,
        "attribute": "" if setting.attribute == "actual" else setting.attribute,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value}


def _messages(station: Station, settings: list[Setting]) -> Iterator[list[Setting]]:
    """1.6 takes one key a message; 2.x as many as ItemsPerMessage and BytesPerMessage of SetVariables say (B05)."""
    if not station.is_v2:
        yield from ([setting] for setting in settings)
        return
    items, size = limits(station, "SetVariables")
    yield from _parts(settings, items, size, lambda setting: 300 + len(setting.value))


def _parts(listed: list[Any], items: int, size: int, weigh: Any) -> Iterator[list[Any]]:
    part: list[Any] = []
    weight = 0
    for one in listed:
        more = weigh(one)
        if part and (len(part) >= items or weight + more > size):
            yield part
            part, weight = [], 0
        part.append(one)
        weight += more
    if part:
        yield part


def limits(station: Station, message: str) -> tuple[int, int]:
    """(variables, bytes) that a 2.x station takes in one GetVariables or SetVariables."""
    found = dict(
        Variable.objects.filter(
            tenant_id=station.tenant_id, station=station, component="DeviceDataCtrlr", instance=message,
            name__in=("ItemsPerMessage", "BytesPerMessage"), attribute="actual",
        ).values_list("name", "value")
    )  # fmt: skip
    items = quirks.of(station).max_items.get(message) or _number(found.get("ItemsPerMessage"), ITEMS)
    return max(1, min(items, 500)), max(500, _number(found.get("BytesPerMessage"), BYTES))


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 9 and int(text) else otherwise


def read(
    *,
    tenant_id: int,
    station_id: int,
    keys: Sequence[tuple[Any, ...]],
    actor: Actor,
    expires_in_seconds: int = 60,
) -> list[Command]:
    """Ask for the present values of these variables; without keys for all of them."""
    station = _station(tenant_id, station_id, actor)
    v2 = station.is_v2
    if not keys:
        kind = CommandKind.READ_REPORT if v2 else CommandKind.READ_CONFIGURATION
        return [_ask(station, kind, {}, actor, expires_in_seconds)]
    wanted = [Setting(key[4], "", key[0], key[1], key[2], key[3], key[5], key[6]) for key in keys]
    if v2:
        items, size = limits(station, "GetVariables")
        asked = [
            {"variables": [_spelt(setting) for setting in part]}
            for part in _parts(wanted, items, size, lambda _setting: 250)
        ]
    else:
        known = Variable.objects.filter(
            tenant_id=tenant_id, station=station, component="", name="GetConfigurationMaxKeys"
        ).first()
        most = _number(known.value if known else None, KEYS_16)
        asked = [
            {"names": [setting.name for setting in part]}
            for part in _parts(wanted, most, 10**9, lambda _setting: 0)
        ]
    return [
        _ask(station, CommandKind.READ_CONFIGURATION, arguments, actor, expires_in_seconds)
        for arguments in asked
    ]


def _ask(
    station: Station, kind: str, arguments: dict[str, Any], actor: Actor, expires_in_seconds: int
) -> Command:
    return commands.request_command(
        tenant_id=station.tenant_id, station_id=station.pk, kind=kind, arguments=arguments, actor=actor,
        expires_in_seconds=expires_in_seconds,
    )  # fmt: skip


# --- answers ---


def record_answers(*, tenant_id: int, reports: Sequence[SettingsAnswered]) -> None:
    """What stations said to each setting; what they took is read back."""
    for answered in reports:
        _record_answer(tenant_id, answered)


def _record_answer(tenant_id: int, answered: SettingsAnswered) -> None:
    command = Command.objects.select_related("station").get(tenant_id=tenant_id, pk=answered.command_id)
    changes = _changes_of(command)
    station = command.station
    quirk = quirks.of(station)
    taken = []
    for result in answered.results[:MOST_SETTINGS]:
        change = changes.get(devices.key_of(result.variable))
        if change is None or change.state != VariableChangeState.ASKED:
            continue
        _answer(change, result, quirk, answered.received_at)
        if change.state == VariableChangeState.TAKEN:
            taken.append(change)
    _set_values(station, [*changes.values()], answered.received_at)
    if taken:
        read(
            tenant_id=tenant_id, station_id=station.pk, keys=[change.key for change in taken],
            actor=system("Read back"),
        )  # fmt: skip
    verification.touch(tenant_id=tenant_id, station_ids=[station.pk], only_known=True)
    verification.tell(tenant_id, station.pk)


def _changes_of(command: Command) -> dict[tuple[Any, ...], VariableChange]:
    """The changes that a command carries; of one that was sent by itself they are made now."""
    found = VariableChange.objects.filter(tenant_id=command.tenant_id, command=command).select_for_update(
        no_key=True
    )
    changes = {change.key: change for change in found}
    if changes:
        return changes
    arguments = commands.masked(command.arguments)
    listed = arguments.get("variables") or [arguments]
    before = _present(command.station)
    for given in listed[:MOST_SETTINGS]:
        try:
            setting = read_setting(given | {"value": given.get("value", "")})
        except Invalid:
            continue
        change = _change(
            command.station, setting, before.get(setting.key), command, command.origin_kind, command.origin_label,
            command.created_at,
        )  # fmt: skip
        change.save()
        changes[change.key] = change
        if not command.station.is_v2:  # 1.6 knows the key alone, whatever component was given
            changes[("", "", 0, 0, change.name, "", "actual")] = change
    return changes


def _answer(change: VariableChange, result: SettingAnswer, quirk: quirks.Quirks, at: datetime) -> None:
    hidden = is_secret(change.name)
    state = {
        "accepted": VariableChangeState.RESET
        if quirk.needs_reset(change.name)
        else VariableChangeState.TAKEN,
        "reset": VariableChangeState.RESET,
    }.get(result.status, VariableChangeState.REFUSED)
    if hidden and state == VariableChangeState.TAKEN:
        state = VariableChangeState.DONE  # nobody can read it back
    change.state, change.reason, change.settled_at = state, result.reason[:200], at
    change.save(update_fields=["state", "reason", "settled_at"])


def _set_values(station: Station, changes: Sequence[VariableChange], at: datetime) -> None:
    """What was taken is the value from now on; what counts after a reset is marked as such."""
    taken = [
        change for change in changes if change.state == VariableChangeState.TAKEN and change.settled_at == at
    ]
    devices.record_variables(
        tenant_id=station.tenant_id, station_id=station.pk, source="set", at=at, history=False,
        reports=[_as_told(change) for change in taken],
    )  # fmt: skip
    for change in changes:
        if change.state == VariableChangeState.RESET:
            Variable.objects.filter(
                tenant_id=station.tenant_id, station=station, **verification.named(change.key)
            ).update(reboot_required=True)


def _as_told(change: VariableChange) -> VariableReport:
    component, component_instance, evse, connector, name, instance, attribute = change.key
    return VariableReport(
        name, change.after, component=component, component_instance=component_instance, evse=evse,
        connector=connector, instance=instance, attribute=attribute,
    )  # fmt: skip


def follow_write(*, command: Command) -> None:
    """The end of a command: what the station did not answer to has failed."""
    changes = VariableChange.objects.filter(
        tenant_id=command.tenant_id, command=command, state=VariableChangeState.ASKED
    )
    refused = command.state == CommandState.REJECTED
    reason = command.detail or command.answer or str(command.get_state_display())
    changed = changes.update(
        state=VariableChangeState.REFUSED if refused else VariableChangeState.FAILED, reason=reason[:200],
        settled_at=command.settled_at,
    )  # fmt: skip
    if changed:
        verification.touch(tenant_id=command.tenant_id, station_ids=[command.station_id], only_known=True)
        verification.tell(command.tenant_id, command.station_id)


def sweep(*, tenant_id: int, now: datetime) -> int:
    """Changes whose read back was lost come to an end; stations that restarted are asked what counts now."""
    stale = VariableChange.objects.filter(
        tenant_id=tenant_id, state=VariableChangeState.TAKEN, settled_at__lt=now - PATIENCE
    )
    ended = stale.update(
        state=VariableChangeState.DONE, reason="Accepted; it could not be read back.", settled_at=now
    )
    waiting = VariableChange.objects.filter(
        tenant_id=tenant_id, state=VariableChangeState.RESET, station__online=True, station__archived_at=None
    ).select_related("station")
    by_station: dict[int, list[VariableChange]] = {}
    for change in waiting[:2000]:
        booted = change.station.booted_at
        if booted and change.settled_at and booted > change.settled_at:
            by_station.setdefault(change.station_id, []).append(change)
    for station_id, changes in by_station.items():
        asked = Command.objects.filter(
            tenant_id=tenant_id, station_id=station_id, kind=CommandKind.READ_CONFIGURATION,
            created_at__gt=changes[0].station.booted_at, origin_label="After the restart",
        )  # fmt: skip
        if not asked.exists():
            keys = [change.key for change in changes[:MOST_SETTINGS]]
            read(tenant_id=tenant_id, station_id=station_id, keys=keys, actor=system("After the restart"))
            ended += 1
    return ended


def purge(*, tenant_id: int, now: datetime) -> int:
    """History is bounded: the newest 50 changes of a variable, of the last 400 days."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM stations_variablechange
            WHERE tenant_id = %(tenant)s AND state NOT IN ('asked', 'taken', 'reset') AND (asked_at < %(old)s OR id IN (
                SELECT id FROM (
                    SELECT id, row_number() OVER (PARTITION BY station_id, component, component_instance, evse_number,
                        connector_number, name, instance, attribute ORDER BY id DESC) n
                    FROM stations_variablechange WHERE tenant_id = %(tenant)s) x WHERE n > %(most)s))
            """,
            {"tenant": tenant_id, "old": now - timedelta(days=KEPT_DAYS), "most": KEPT_PER_VARIABLE},
        )
        return int(cursor.rowcount)


def open_changes(station: Station) -> list[VariableChange]:
    """What was asked of a station and has not come to its end."""
    return list(
        VariableChange.objects.filter(
            tenant_id=station.tenant_id, station=station, state__in=OPEN_CHANGES
        ).order_by("-id")[:500]
    )
