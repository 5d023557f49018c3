"""What templates want of stations: compared, shown as drift, repaired where that is wanted, applied on request.

A station is looked at when something about it has changed (`verification.touch`), when it has booted, and when a
template was changed. What it refuses is marked and not asked again until somebody wants it, or another value is wanted.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from stations import catalogue
from stations.models import (
    OPEN_CHANGES,
    ConfigurationRun,
    ConfigurationTemplate,
    DesiredSetting,
    DriftState,
    Station,
    StationDrift,
    TemplateMode,
    Variable,
    VariableChange,
    VariableChangeState,
)
from stations.models.variable import KEY, title
from stations.services import configuration, quirks, verification, words
from stations.services.commands import is_secret
from stations.services.configuration import Setting, read_setting
from tenants.errors import Conflict, DomainError, Invalid
from tenants.permissions import Actor, Permission, system
from tenants.services import audit

log = logging.getLogger("voltyard.sweeps")

Key = tuple[Any, ...]
LOOKS = 200  # stations of one sweep
APPLIES = 40
TOGETHER = 100  # stations whose settings are read by one query
MOST_ATTEMPTS = 3
FIRST_PAUSE = timedelta(minutes=5)  # before a repair is tried again; twice as long each time
ASK_AGAIN = timedelta(days=1)  # what a station did not tell
# A repair that held for so long counts as done; one undone before counts as an attempt.
CALM = timedelta(days=1)
WEEK_SECONDS = 7 * 86_400
WRONG = (DriftState.DRIFTED, DriftState.REFUSED)


@dataclass(frozen=True, slots=True)
class Wanted:
    template: ConfigurationTemplate
    setting: Setting


@dataclass(frozen=True, slots=True)
class Item:
    """One setting of one station: what it is, what it shall be."""

    wanted: Wanted
    actual: str | None
    state: str
    reason: str = ""
    stale: bool = False  # told before the station's last boot, or never

    @property
    def title(self) -> str:
        return title(*self.wanted.setting.key)


@dataclass(frozen=True, slots=True)
class Diff:
    station: Station
    items: list[Item]

    @property
    def differing(self) -> list[Item]:
        return [item for item in self.items if item.state not in (DriftState.IN_LINE, DriftState.ABSENT)]


def matches(template: ConfigurationTemplate, station: Station) -> bool:
    return (
        (template.site_id is None or template.site_id == station.site_id)
        and (not template.ocpp_versions or station.ocpp_version in template.ocpp_versions)
        and quirks.matches(template, station.vendor, station.model, station.firmware_version)
    )


def in_use(tenant_id: int) -> list[ConfigurationTemplate]:
    """The templates, the one that wins first."""
    found = ConfigurationTemplate.objects.filter(tenant_id=tenant_id, enabled=True)
    return list(found.order_by("-priority", "id"))


def wanted_of(station: Station, templates: Sequence[ConfigurationTemplate]) -> dict[Key, Wanted]:
    """Each setting from the template of the highest priority that holds for the station, in its version's names."""
    wanted: dict[Key, Wanted] = {}
    if not station.ocpp_version:
        return wanted
    for template in templates:
        if matches(template, station):
            for setting in filter(None, _in_its_names(template, station)):
                wanted.setdefault(setting.key, Wanted(template, setting))
    return wanted


def _in_its_names(template: ConfigurationTemplate, station: Station) -> Iterator[Setting | None]:
    """The template's settings as the station's version names them; None where it has no such setting."""
    v2, unsupported = station.is_v2, quirks.of(station).unsupported
    for told in template.settings:
        setting = read_setting(told)
        named = catalogue.translated(setting.component, setting.name, setting.instance, v2=v2)
        if named is None or (named[1].lower() in unsupported and not named[0]):
            yield None
            continue
        component, name, instance = named
        yield replace(setting, component=component, name=name, instance=instance)


def compare(
    station: Station,
    wanted: Mapping[Key, Wanted],
    variables: Mapping[Key, Variable],
    changes: Mapping[Key, VariableChange],
    before: Mapping[Key, DesiredSetting],
) -> list[Item]:
    """How each wanted setting stands. `changes`: the newest change of each."""
    items = []
    for key, want in wanted.items():
        variable, change = variables.get(key), changes.get(key)
        asked = change is not None and catalogue.same(want.setting.name, want.setting.value, change.after)
        actual = variable.value if variable is not None and variable.gone_at is None else None
        stale = variable is None or bool(station.booted_at and variable.read_at < station.booted_at)
        kind = variable.data_type if variable else ""
        reason = ""
        if asked and change is not None and change.state in OPEN_CHANGES:
            state = DriftState.PENDING
        elif key in before and before[key].state == DriftState.ABSENT and actual is None:
            state, stale = DriftState.ABSENT, False
        elif actual is None:
            state = DriftState.UNKNOWN
        elif catalogue.same(want.setting.name, actual, want.setting.value, kind):
            state = DriftState.IN_LINE
        elif (
            asked
            and change is not None
            and change.state in (VariableChangeState.REFUSED, VariableChangeState.DIFFERS)
        ):
            state, reason = DriftState.REFUSED, change.reason
        else:
            state = DriftState.DRIFTED
        items.append(Item(want, actual, state, reason, stale))
    return items


# --- looking at one station ---


def look(
    *, drift: StationDrift, station: Station, templates: Sequence[ConfigurationTemplate], now: datetime
) -> None:
    """Bring the rows of a station up to date; read what is not known; repair what may be repaired."""
    wanted = wanted_of(station, templates)
    variables, changes, before = _known(station.tenant_id, {station.pk: wanted})[station.pk]
    items = compare(station, wanted, variables, changes, before)
    rows = [_row(station, item, before, now) for item in items]
    gone = [row.pk for key, row in before.items() if key not in wanted]
    DesiredSetting.objects.filter(tenant_id=station.tenant_id, pk__in=gone).delete()
    repairs = [
        (row, item) for row, item in zip(rows, items, strict=True) if _may_repair(station, row, item, now)
    ]
    if repairs:
        _repair(station, repairs, now)
    DesiredSetting.objects.bulk_create([row for row in rows if row.pk is None], ignore_conflicts=True)
    DesiredSetting.objects.bulk_update(
        [row for row in rows if row.pk is not None],
        ["template", "wanted", "actual", "state", "reason", "attempts", "attempted_at"],
    )
    _read(drift, station, items, now)
    states = Counter(row.state for row in rows)
    drift.state = next(
        (state for state in (DriftState.PENDING, DriftState.DRIFTED, DriftState.REFUSED, DriftState.UNKNOWN)
         if states[state]), DriftState.IN_LINE,
    )  # fmt: skip
    if drift.state == DriftState.REFUSED:
        drift.state = DriftState.DRIFTED
    drift.wanted, drift.drifted = len(rows), sum(states[state] for state in WRONG)
    drift.checked_at, drift.boot_at, drift.due_at = now, station.booted_at, _next_look(rows, now)
    drift.save()
    verification.tell(station.tenant_id, station.pk)


def _known(tenant_id: int, wanted: Mapping[int, Mapping[Key, Wanted]]) -> dict[int, tuple[Any, Any, Any]]:
    """{station: (its variables, the newest change of each, the rows of the last look)}, of what is wanted of each."""
    of: Any = {"tenant_id": tenant_id, "station__in": list(wanted)}
    named = of | {"name__in": {key[4] for keys in wanted.values() for key in keys}}
    found: dict[int, tuple[Any, Any, Any]] = {station_id: ({}, {}, {}) for station_id in wanted}
    newest = (
        VariableChange.objects.filter(**named)
        .order_by("station_id", *KEY, "-id")
        .distinct("station_id", *KEY)
    )
    rows: tuple[Iterable[Any], ...] = (
        Variable.objects.filter(**named),
        newest,
        DesiredSetting.objects.filter(**of),
    )
    for place, told in enumerate(rows):
        for row in told:
            found[row.station_id][place][row.key] = row
    return found


def _row(station: Station, item: Item, before: Mapping[Key, DesiredSetting], now: datetime) -> DesiredSetting:
    setting = item.wanted.setting
    row = before.get(setting.key) or DesiredSetting(
        tenant_id=station.tenant_id, station=station, **verification.named(setting.key), wanted=setting.value
    )
    if row.wanted != setting.value or row.template_id != item.wanted.template.pk:
        row.attempts, row.attempted_at = 0, None
    row.template, row.wanted, row.actual = item.wanted.template, setting.value, item.actual
    row.state, row.reason = item.state, item.reason[:200]
    # A station that takes a value and goes back to its own, at each restart for one, is not set for ever.
    if item.state == DriftState.IN_LINE and row.attempted_at and row.attempted_at < now - CALM:
        row.attempts, row.attempted_at = 0, None
    if (
        item.state == DriftState.DRIFTED
        and item.wanted.template.mode == TemplateMode.REPAIR
        and row.attempts >= MOST_ATTEMPTS
    ):
        row.reason = words.GIVEN_UP % {"count": row.attempts}
    return row


def _pause(row: DesiredSetting) -> timedelta:
    return FIRST_PAUSE * int(2 ** max(0, row.attempts - 1))


def _may_repair(station: Station, row: DesiredSetting, item: Item, now: datetime) -> bool:
    return (
        item.state == DriftState.DRIFTED
        and not item.stale
        and item.wanted.template.mode == TemplateMode.REPAIR
        and station.online
        and row.attempts < MOST_ATTEMPTS
        and (row.attempted_at is None or now >= row.attempted_at + _pause(row))
    )


def _repair(station: Station, repairs: Sequence[tuple[DesiredSetting, Item]], now: datetime) -> None:
    names = sorted({row.template.name for row, _item in repairs})
    label = f"Template {', '.join(names)}"[:120]
    configuration.change(
        tenant_id=station.tenant_id, station_id=station.pk, actor=system(label), lenient=True,
        settings=[item.wanted.setting for _row, item in repairs[: configuration.MOST_SETTINGS]],
    )  # fmt: skip
    for row, _item in repairs[: configuration.MOST_SETTINGS]:
        row.attempts, row.attempted_at, row.state = row.attempts + 1, now, DriftState.PENDING


def _next_look(rows: Iterable[DesiredSetting], now: datetime) -> datetime | None:
    """When a repair may be tried again; None: when something changes."""
    again = [
        row.attempted_at + _pause(row)
        for row in rows
        if row.state == DriftState.DRIFTED and row.attempted_at and row.attempts < MOST_ATTEMPTS
    ]
    return max(min(again), now + timedelta(seconds=30)) if again else None


def _read(drift: StationDrift, station: Station, items: Sequence[Item], now: datetime) -> None:
    """Ask for what is not known of this boot, once a boot and once a day."""
    unread = [item.wanted.setting.key for item in items if item.stale and item.state != DriftState.PENDING]
    since_boot = drift.asked_at and (station.booted_at is None or drift.asked_at >= station.booted_at)
    if (
        not unread
        or not station.online
        or (since_boot and drift.asked_at and drift.asked_at > now - ASK_AGAIN)
    ):
        return
    configuration.read(
        tenant_id=station.tenant_id, station_id=station.pk, keys=unread[: configuration.MOST_SETTINGS],
        actor=system("Templates"), expires_in_seconds=300,
    )  # fmt: skip
    drift.asked_at = now


# --- sweeps ---


def sweep(*, tenant_id: int, now: datetime) -> int:
    """Look at the stations that are due, or have booted since they were looked at."""
    templates = in_use(tenant_id)
    if templates:
        _follow_boots(tenant_id)
    elif not StationDrift.objects.filter(tenant_id=tenant_id, due_at__isnull=False).exists():
        return 0
    due = (
        StationDrift.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(tenant_id=tenant_id, due_at__lte=now)
        .select_related("station")
        .order_by("due_at")[:LOOKS]
    )
    done = 0
    for drift in due:
        if drift.station.archived_at is not None:
            drift.delete()
        else:
            try:
                with transaction.atomic():
                    look(drift=drift, station=drift.station, templates=templates, now=now)
            except Exception:  # what one station tells is not the next one's trouble
                log.exception("a station could not be compared", extra={"station": drift.station_id})
                StationDrift.objects.filter(pk=drift.pk).update(due_at=now + timedelta(hours=1))
        done += 1
    return done


def _follow_boots(tenant_id: int) -> None:
    followed = StationDrift.objects.filter(tenant_id=tenant_id, station_id=OuterRef("pk")).filter(
        Q(boot_at__gte=OuterRef("booted_at")) | Q(due_at__isnull=False)
    )
    booted = Station.objects.filter(tenant_id=tenant_id, archived_at=None, booted_at__isnull=False).filter(
        ~Exists(followed)
    )
    verification.touch(
        tenant_id=tenant_id, station_ids=list(booted.values_list("id", flat=True)[: 5 * LOOKS])
    )


def touch_all(tenant_id: int) -> None:
    """A template was changed: everybody is looked at anew."""
    stations = Station.objects.filter(tenant_id=tenant_id, archived_at=None).exclude(ocpp_version="")
    verification.touch(tenant_id=tenant_id, station_ids=list(stations.values_list("id", flat=True)))


# --- templates ---


def save_template(
    *, tenant_id: int, actor: Actor, template: ConfigurationTemplate | None = None, **values: Any
) -> ConfigurationTemplate:
    """Make a template, or change one: name, vendor, model, firmware_from, firmware_to, site, ocpp_versions, priority,
    mode, enabled, settings. Nothing is sent: stations are compared, and repaired where the mode says so."""
    actor.require(Permission.STATION_CONFIGURE)
    if actor.site_ids is not None:
        raise Invalid("Templates are for the whole company.")
    if "settings" in values:
        values["settings"] = _checked(values["settings"])
    if unknown := set(values.get("ocpp_versions") or ()) - {"1.6", "2.0.1", "2.1"}:
        raise Invalid(fields={"ocpp_versions": f"There is no OCPP {sorted(map(str, unknown))[0][:20]} here."})
    made = template is None
    template = template or ConfigurationTemplate(tenant_id=tenant_id)
    for name, value in values.items():
        setattr(template, name, value)
    if not template.name.strip():
        raise Invalid(fields={"name": "Give the template a name."})
    same = ConfigurationTemplate.objects.filter(tenant_id=tenant_id, name=template.name)
    if same.exclude(pk=template.pk).exists():
        raise Conflict("There is a template of this name already.")
    template.save()
    touch_all(tenant_id)
    audit.record(
        tenant_id=tenant_id, actor=actor, action="template.create" if made else "template.edit", subject=template,
        detail={"settings": len(template.settings), "mode": template.mode},
    )  # fmt: skip
    return template


def _checked(settings: Any) -> list[dict[str, Any]]:
    if not isinstance(settings, list) or not 1 <= len(settings) <= configuration.MOST_SETTINGS:
        raise Invalid(fields={"settings": f"Give 1 to {configuration.MOST_SETTINGS} settings."})
    kept: dict[Key, dict[str, Any]] = {}
    for given in settings:
        if not isinstance(given, Mapping):
            raise Invalid(fields={"settings": 'Each setting is {"component", "name", "value"}.'})
        setting = read_setting(given)
        if is_secret(setting.name):
            raise Invalid(fields={"settings": f"{setting.name} is a secret: it has no place in a template."})
        entry = catalogue.find(setting.component, setting.name, setting.instance)
        if wrong := catalogue.refusal(setting.name, setting.value, None, entry):
            raise Invalid(fields={"settings": wrong})
        if setting.key in kept:
            raise Invalid(fields={"settings": f"{title(*setting.key)} stands here twice."})
        kept[setting.key] = configuration._spelt(setting) | {"value": setting.value}
    return list(kept.values())


def delete_template(*, template: ConfigurationTemplate, actor: Actor) -> None:
    """Its settings stay at the stations as they are; they are no longer compared."""
    actor.require(Permission.STATION_CONFIGURE)
    audit.record(tenant_id=template.tenant_id, actor=actor, action="template.delete", subject=template)
    DesiredSetting.objects.filter(tenant_id=template.tenant_id, template=template).delete()
    tenant_id = template.tenant_id
    template.delete()
    touch_all(tenant_id)


# --- preview and application ---


def preview(*, template: ConfigurationTemplate, stations: Iterable[Station]) -> list[Diff]:
    """What the template, as it stands, would change at each station that it holds for. Where another one of higher
    priority says otherwise, that one counts."""
    templates = _beside(template)
    held = [station for station in stations if matches(template, station)]
    diffs = []
    for place in range(0, len(held), TOGETHER):
        part = held[place : place + TOGETHER]
        wanted = {
            station.pk: {
                key: want
                for key, want in wanted_of(station, templates).items()
                if want.template.pk == template.pk
            }
            for station in part
        }
        known = _known(template.tenant_id, wanted)
        for station in part:
            items = compare(station, wanted[station.pk], *known[station.pk])
            diffs.append(Diff(station, sorted(items, key=lambda item: item.title)))
    return diffs


def _beside(template: ConfigurationTemplate) -> list[ConfigurationTemplate]:
    """The templates in use, and this one, the one that wins first."""
    templates = in_use(template.tenant_id)
    if not template.enabled:
        templates.append(template)
        templates.sort(key=lambda one: (-one.priority, one.pk))
    return templates


def left_out(
    *, template: ConfigurationTemplate, stations: Iterable[Station]
) -> list[tuple[str, ConfigurationTemplate | None, int]]:
    """(setting, the template that counts instead, at how many stations); without a template: unknown to them."""
    templates, found = _beside(template), Counter[tuple[str, ConfigurationTemplate | None]]()
    for station in stations:
        if not matches(template, station):
            continue
        wanted = wanted_of(station, templates)
        for told, setting in zip(template.settings, _in_its_names(template, station), strict=True):
            name = read_setting(told)
            if setting is None:
                found[title(*name.key), None] += 1
            elif wanted[setting.key].template.pk != template.pk:
                found[title(*name.key), wanted[setting.key].template] += 1
    return [(name, by, count) for (name, by), count in found.items()]


def apply(*, template: ConfigurationTemplate, station_ids: Sequence[int], actor: Actor) -> ConfigurationRun:
    """Ask these stations for what the template wants and they do not have, also what they refused before. Stations that
    are offline are asked once they come, within a week."""
    actor.require(Permission.STATION_CONFIGURE)
    found = Station.objects.filter(tenant_id=template.tenant_id, pk__in=station_ids, archived_at=None)
    if actor.site_ids is not None:
        found = found.filter(site_id__in=actor.site_ids)
    chosen = [station.pk for station in found if matches(template, station)]
    if not chosen:
        raise Invalid(fields={"station_ids": "The template holds for none of these stations."})
    run = ConfigurationRun.objects.create(
        tenant_id=template.tenant_id, label=template.name, template_id=template.pk, origin_kind=actor.kind,
        origin_label=actor.label[:120], stations=len(chosen), waiting=chosen,
    )  # fmt: skip
    audit.record(
        tenant_id=template.tenant_id, actor=actor, action="template.apply", subject=template,
        detail={"stations": len(chosen), "run": run.pk},
    )  # fmt: skip
    step(run=run, most=5)
    return run


def step(*, run: ConfigurationRun, most: int = APPLIES) -> int:
    """Ask the next stations of a run."""
    template = ConfigurationTemplate.objects.filter(tenant_id=run.tenant_id, pk=run.template_id or 0).first()
    now, rest = run.waiting[:most], run.waiting[most:]
    if template is not None:
        actor = replace(system(run.origin_label), kind=run.origin_kind)
        stations = Station.objects.filter(tenant_id=run.tenant_id, pk__in=now)
        for diff in preview(template=template, stations=stations):
            _apply_to(run, diff, actor)
    run.waiting = rest if template is not None else []
    run.save(update_fields=["waiting"])
    return len(now)


def _apply_to(run: ConfigurationRun, diff: Diff, actor: Actor) -> None:
    station = diff.station
    settings = [item.wanted.setting for item in diff.differing if item.state != DriftState.PENDING]
    if not settings:
        return
    try:
        configuration.change(
            tenant_id=station.tenant_id, station_id=station.pk, actor=actor, settings=settings, run=run, lenient=True,
            expires_in_seconds=WEEK_SECONDS,
        )  # fmt: skip
    except DomainError:  # removed meanwhile
        return
    DesiredSetting.objects.filter(tenant_id=station.tenant_id, station=station).update(
        attempts=0, attempted_at=None
    )
    verification.touch(tenant_id=station.tenant_id, station_ids=[station.pk])


def sweep_runs(*, tenant_id: int) -> int:
    """Go on with what was asked for many stations."""
    waiting = (
        ConfigurationRun.objects.select_for_update(skip_locked=True)
        .filter(tenant_id=tenant_id)
        .exclude(waiting=[])
    )
    return sum(step(run=run) for run in waiting.order_by("id")[:5])


def progress(run: ConfigurationRun) -> dict[str, int]:
    """How many of a run's changes are in which state."""
    found = VariableChange.objects.filter(tenant_id=run.tenant_id, run=run).order_by()
    return dict(Counter(found.values_list("state", flat=True)))


def standing(tenant_id: int, stations: Any) -> dict[int, Counter[str]]:
    """Of each template: how many of these stations are in which state, by the worst of its settings there."""
    order = [
        DriftState.PENDING, DriftState.REFUSED, DriftState.DRIFTED, DriftState.UNKNOWN, DriftState.ABSENT,
        DriftState.IN_LINE,
    ]  # fmt: skip
    worst: dict[tuple[int, int], str] = {}
    found = DesiredSetting.objects.filter(tenant_id=tenant_id, station__in=stations).order_by()
    for template_id, station_id, state in found.values_list("template_id", "station_id", "state").distinct():
        place = template_id, station_id
        if place not in worst or order.index(DriftState(state)) < order.index(DriftState(worst[place])):
            worst[place] = state
    counted: dict[int, Counter[str]] = {}
    for (template_id, _station), state in worst.items():
        shown = DriftState.IN_LINE if state == DriftState.ABSENT else state
        shown = DriftState.DRIFTED if shown == DriftState.REFUSED else shown
        counted.setdefault(template_id, Counter())[shown] += 1
    return counted


def retry(*, drift: StationDrift, actor: Actor) -> None:
    """Somebody wants refused and given up settings of a station to be tried once more, now."""
    station = drift.station
    actor.require(Permission.STATION_CONFIGURE, site_id=station.site_id)
    rows = DesiredSetting.objects.filter(
        tenant_id=station.tenant_id, station=station, state__in=(*WRONG, DriftState.UNKNOWN)
    )
    rows.update(attempts=0, attempted_at=None)
    settings = [
        Setting(
            row.name, row.wanted, row.component, row.component_instance, row.evse_number, row.connector_number,
            row.instance, row.attribute,
        )
        for row in rows
    ]  # fmt: skip
    if not settings:
        raise Conflict("Nothing differs here.")
    configuration.change(
        tenant_id=station.tenant_id, station_id=station.pk, settings=settings[: configuration.MOST_SETTINGS],
        actor=actor, lenient=True, expires_in_seconds=WEEK_SECONDS,
    )  # fmt: skip
    StationDrift.objects.filter(pk=drift.pk).update(due_at=timezone.now())
