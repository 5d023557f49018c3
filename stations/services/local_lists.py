"""Local authorisation lists: what each station should hold, what it holds, and the messages that bring them together.

A row says what a station is known to hold. A look at it (`advance`) does the one next thing: ask for the limits or the
version, send what differs, or nothing. What is under way is settled by the station's answer, and looked at again, so
that a death at any point loses nothing (2.x D01, D02; 1.6 sections 3.5, 5.10, 5.15).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from fleets import queries as fleets
from fleets.models import SAID_BY_CARS, TokenKind, Verdict
from stations import live
from stations.models import (
    AccessRule,
    Command,
    CommandKind,
    CommandState,
    ListState,
    LocalList,
    Station,
    Variable,
)
from stations.neutral import ListAnswered, ListVersionTold
from stations.services import access, commands
from stations.services.access import Rules
from tenants.context import current_alias
from tenants.errors import Conflict
from tenants.models import Fact
from tenants.permissions import Actor, Permission, system
from tenants.services import audit, facts

log = logging.getLogger("voltyard.lists")
US = system("Local lists")
DEBOUNCE = timedelta(seconds=5)  # a file of tokens, or somebody who edits them one by one
LOOK = timedelta(minutes=5)  # tokens become valid and expire without anybody touching them
CHECK = timedelta(hours=24)
RECONNECTED = timedelta(hours=1)  # a line that flaps is no reason to ask
ANSWER = timedelta(minutes=3)  # a command is settled by then
BACK_OFF = timedelta(seconds=30)
LONGEST_BACK_OFF = timedelta(hours=1)
TRIES_BEFORE_FULL = 2
ITEMS = 100  # in a message, where the station tells no limit
ENTRY_BYTES = 250
HIGHEST_VERSION = 2_000_000_000
MOST = 50_000  # entries, where the station tells no limit
AT_ONCE = 200
LONGEST_UID = {"1.6": 20, "2.0.1": 36}
# What a car says of itself proves nothing, and may be switched off at any time: it is judged here, each time.
_UNLISTED = (TokenKind.NO_AUTHORIZATION, TokenKind.DIRECT_PAYMENT, *SAID_BY_CARS)


class Entry(NamedTuple):
    """A token as it should stand in a list."""

    uid: str
    kind: str
    verdict: str
    group: str
    expires_at: datetime | None
    language: str = ""
    message: str = ""

    @property
    def mark(self) -> str:
        """What is remembered of it: the kind, to remove it by, and a digest of all it says."""
        until = self.expires_at.isoformat() if self.expires_at else ""
        text = "\x1f".join((self.verdict, self.group, until, self.language, self.message))
        return f"{self.kind}:{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


def digest(marks: dict[str, str]) -> str:
    text = "\n".join(f"{uid}={mark}" for uid, mark in sorted(marks.items()))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Wanted(NamedTuple):
    entries: dict[str, Entry]
    marks: dict[str, str]
    digest: str
    left_out: int


# --- what a station should hold ---


def wanted(station: Station, rules: Rules, most: int | None, now: datetime) -> Wanted:
    """The entries for a station: first tokens made for its site, then the newest; blocked ones last.

    A blocked token is listed as blocked, not left out: the list goes before the station's cache, which may still know
    it as good (1.6 section 3.5.3, 2.x C14).
    """
    found = [] if not rules.local_list else _tokens(station, rules, now)
    room = max(0, min(most if most is not None else MOST, MOST))
    kept = {entry.uid: entry for entry in found[:room]}
    marks = {uid: entry.mark for uid, entry in kept.items()}
    return Wanted(kept, marks, digest(marks), max(0, len(found) - room))


def _tokens(station: Station, rules: Rules, now: datetime) -> list[Entry]:
    longest = LONGEST_UID.get(station.ocpp_version, 255)
    is_2x = (
        station.ocpp_version != "1.6"
    )  # 1.6 speaks to nobody, and a master pass would start sessions there
    return [
        Entry(
            uid, kind, Verdict.BLOCKED if blocked else Verdict.ACCEPTED, group, expires_at,
            language if is_2x else "", message if is_2x else "",
        )
        for uid, kind, group, expires_at, blocked, language, message in fleets.listable(
            station.tenant_id, station.site_id, rules.list_scope, rules.list_group, now
        )
        if len(uid) <= longest
        and kind not in _UNLISTED
        and (is_2x or not group or group != rules.master_group)
    ]  # fmt: skip


def limits(station: Station) -> tuple[int | None, int | None, bool | None]:
    """(most entries, entries in a message, switched on), as the station has told of itself; None: it did not."""
    told: dict[str, str | None] = {}
    most = None
    rows = Variable.objects.filter(tenant_id=station.tenant_id, station=station, attribute="actual").filter(
        Q(component="", name__in=("LocalAuthListMaxLength", "SendLocalListMaxLength", "LocalAuthListEnabled"))
        | Q(component="LocalAuthListCtrlr")
    )
    for row in rows:
        told[row.name.lower()] = row.value
        if row.component and row.name == "Entries" and row.max_limit is not None:
            most = int(max(0, min(row.max_limit, MOST)))
    if most is None:
        most = _number(told.get("localauthlistmaxlength"))
    items = _number(told.get("sendlocallistmaxlength")) or _number(told.get("itemspermessage"))
    if octets := _number(told.get("bytespermessage")):
        items = min(items or ITEMS, max(1, octets // ENTRY_BYTES))
    switch = told.get("localauthlistenabled") or told.get("enabled")
    return most, items, None if switch is None else switch.strip().lower() == "true"


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() and len(text.strip()) < 8 else None


# --- the sweep ---


def sweep(*, tenant_id: int, now: datetime) -> int:
    """Bring forward the lists that are due. Returns how many were looked at."""
    _begin(tenant_id)
    due = Q(due_at__lte=now) | Q(due_at=None, station__online=True, station__archived_at=None) & ~Q(
        state__in=(ListState.OFF, ListState.UNSUPPORTED)
    )
    again = Q(state=ListState.UNSUPPORTED, station__online=True, station__booted_at__gt=F("changed_at"))
    found = (
        LocalList.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("station")
        .filter(due | again, tenant_id=tenant_id)
        .order_by("due_at", "id")
    )
    lists = list(found[:AT_ONCE])
    rules = access.of_stations(tenant_id, [one.station for one in lists])
    for one in lists:
        try:
            with transaction.atomic(using=current_alias()):
                advance(one, rules[one.station_id], now)
        except Exception:  # the trouble of one is not the next one's
            log.exception("local list not brought forward", extra={"station": one.station_id})
            # What is broken must not come first each time, or enough of it leaves the others no place.
            LocalList.objects.filter(tenant_id=tenant_id, pk=one.pk).update(due_at=now + LOOK)
    return len(lists)


def _begin(tenant_id: int) -> None:
    """Rows for stations that are to have a list and have none yet."""
    if not AccessRule.objects.filter(tenant_id=tenant_id, local_list=True).exists():
        return
    bare = list(Station.objects.filter(tenant_id=tenant_id, archived_at=None, lists=None)[:1000])
    rules = access.of_stations(tenant_id, bare)
    made = [
        LocalList(tenant_id=tenant_id, station=station, due_at=timezone.now())
        for station in bare
        if rules[station.pk].local_list
    ]
    LocalList.objects.bulk_create(made, ignore_conflicts=True)


def advance(one: LocalList, rules: Rules, now: datetime) -> None:
    """Do the next thing for a list that the caller holds."""
    station = one.station
    if one.command_id is not None and not _is_over(one, now):
        _rest(one, now + ANSWER)
    elif station.archived_at is not None or (not rules.local_list and not _to_clear(one)):
        _turn(one, ListState.OFF, due_at=None)
    elif not station.online:
        known = one.synced_at is not None and one.state != ListState.OFF
        _turn(one, one.state if known else ListState.UNKNOWN, due_at=None)
    else:
        _proceed(one, rules, now)


def _proceed(one: LocalList, rules: Rules, now: datetime) -> None:
    """The same for a station that can be asked."""
    most, items, switched_on = limits(one.station)
    if items is None and one.limits_at is None:
        _ask_limits(one, now)
        return
    one.most_entries, one.items_per_message = most, items
    if switched_on is False and rules.local_list:
        _turn(one, ListState.FAILED, due_at=now + LOOK, problem=SWITCHED_OFF)
        return
    if _wants_check(one, now):
        _ask_version(one, now)
        return
    target = wanted(one.station, rules, most, now)
    one.wanted_size, one.left_out = len(target.marks), target.left_out
    if one.full_wanted or one.digest != target.digest:
        _send(one, target, now)
    else:
        one.attempts = 0
        state = ListState.IN_STEP if rules.local_list else ListState.OFF
        _turn(one, state, due_at=now + LOOK if rules.local_list else None)


def _ask_limits(one: LocalList, now: datetime) -> None:
    one.limits_at = now
    is_2x = one.station.is_v2
    commands.request_command(
        tenant_id=one.tenant_id, station_id=one.station_id, kind=CommandKind.READ_CONFIGURATION,
        arguments={"names": _LIMITS_2X if is_2x else _LIMITS_16}, actor=US,
    )  # fmt: skip
    _turn(one, ListState.CHECKING, due_at=now + timedelta(seconds=5))


SWITCHED_OFF = "The station's own switch for the list is off."
_LIMITS_16 = ["LocalAuthListEnabled", "LocalAuthListMaxLength", "SendLocalListMaxLength"]
_LIMITS_2X = [
    "LocalAuthListCtrlr.Enabled", "LocalAuthListCtrlr.ItemsPerMessage", "LocalAuthListCtrlr.BytesPerMessage",
    "LocalAuthListCtrlr.Entries",
]  # fmt: skip


def _to_clear(one: LocalList) -> bool:
    """Switched off, but the station still holds what was sent."""
    return one.size > 0 or (one.synced_at is not None and one.full_wanted)


def _is_over(one: LocalList, now: datetime) -> bool:
    """Whether the command of a list has ended without anybody telling, or never was."""
    command = one.command
    if command is not None and not command.settled:
        return False
    one.command_id, one.flight, one.told_at = None, None, None
    return True


def _wants_check(one: LocalList, now: datetime) -> bool:
    station = one.station
    if one.told_at is None:
        return True
    booted = station.booted_at is not None and station.booted_at > one.told_at
    back = station.online_changed_at is not None and station.online_changed_at > one.told_at + RECONNECTED
    return booted or back or one.told_at < now - CHECK


def _ask_version(one: LocalList, now: datetime) -> None:
    command = commands.request_command(
        tenant_id=one.tenant_id, station_id=one.station_id, kind=CommandKind.READ_LIST_VERSION, arguments={},
        actor=US,
    )  # fmt: skip
    one.command_id = command.pk
    _turn(one, ListState.CHECKING, due_at=now + ANSWER)


def _send(one: LocalList, target: Wanted, now: datetime) -> None:
    """The first message of what differs. A full list that does not fit goes on as differences to its beginning."""
    known = {} if one.full_wanted else one.entries
    changed: dict[str, str | None] = {
        uid: mark for uid, mark in target.marks.items() if known.get(uid) != mark
    }
    changed |= {uid: None for uid in known if uid not in target.marks}
    # What takes a right away goes first, and overtakes other commands.
    revoked = [
        uid for uid in changed if uid not in target.entries or target.entries[uid].verdict != Verdict.ACCEPTED
    ]
    urgent = bool(revoked) and not one.full_wanted
    order = list(dict.fromkeys([*revoked, *changed])) if urgent else list(changed)
    chosen = order[: min(one.items_per_message or ITEMS, ITEMS * 10)]
    version = max(one.version, one.told_version or 0, 0) + 1
    if version > HIGHEST_VERSION:
        version, one.full_wanted = 1, True
    one.flight = {
        "version": version, "full": one.full_wanted, "entries": {uid: changed[uid] for uid in chosen},
    }  # fmt: skip
    command = commands.request_command(
        tenant_id=one.tenant_id, station_id=one.station_id, kind=CommandKind.SEND_LIST, actor=US, urgent=urgent,
        arguments={
            "version": version, "full": one.full_wanted,
            "entries": [_argument(uid, target.entries.get(uid), known.get(uid, "")) for uid in chosen],
        },
        expires_in_seconds=120,
    )  # fmt: skip
    one.command_id = command.pk
    _turn(one, ListState.SENDING, due_at=now + ANSWER)


def _argument(uid: str, entry: Entry | None, known: str) -> dict[str, Any]:
    if entry is None:
        return {"uid": uid, "kind": known.partition(":")[0], "verdict": None}
    given = entry._asdict() | {"expires_at": entry.expires_at.isoformat() if entry.expires_at else None}
    return {name: value for name, value in given.items() if value}


def _turn(one: LocalList, state: str, *, due_at: datetime | None, problem: str = "") -> None:
    changed = one.state != state or one.problem != problem
    one.state, one.problem, one.due_at = state, problem[:200], due_at
    if changed:
        one.changed_at = timezone.now()
    one.save()
    if changed:
        live.publish(
            one.tenant_id, kind="station", station_id=one.station_id, site_id=one.station.site_id,
            data={"id": one.station_id, "list": state},
        )  # fmt: skip


def _rest(one: LocalList, due_at: datetime) -> None:
    one.due_at = due_at
    one.save(update_fields=["due_at"])


# --- what stations answer ---


def _held(tenant_id: int, **which: Any) -> LocalList | None:
    rows = LocalList.objects.select_for_update(of=("self",), no_key=True).select_related("station")
    return rows.filter(tenant_id=tenant_id, **which).first()


def answered(*, tenant_id: int, reports: Sequence[ListAnswered]) -> None:
    """What a station made of the list that it was sent."""
    now = timezone.now()
    for report in reports:
        one = _held(tenant_id, station_id=report.station_id, command_id=report.command_id)
        if one is None:
            if report.outcome == "taken":
                forget(tenant_id=tenant_id, station_id=report.station_id)
            continue
        flight, one.command_id, one.flight = one.flight or {}, None, None
        if report.outcome == "taken":
            _fold(one, flight, now)
        elif report.outcome == "unsupported":
            _turn(one, ListState.UNSUPPORTED, due_at=None, problem="The station knows no local list.")
        elif report.outcome == "mismatch":
            one.full_wanted, one.told_at = True, None
            _turn(one, ListState.WAITING, due_at=now + _pause(one))
        else:
            _refused(one, now, "The station failed to take it.")


def _fold(one: LocalList, flight: dict[str, Any], now: datetime) -> None:
    entries = {} if flight["full"] else dict(one.entries)
    for uid, mark in flight["entries"].items():
        if mark is None:
            entries.pop(uid, None)
        else:
            entries[uid] = mark
    one.entries, one.size, one.digest = entries, len(entries), digest(entries)
    one.version = one.told_version = flight["version"]
    # A difference does not do for a whole list that was asked for meanwhile, or that somebody else's has made needful.
    one.told_at, one.full_wanted, one.attempts = now, one.full_wanted and not flight["full"], 0
    rules = access.of_station(one.station)
    if wanted(one.station, rules, one.most_entries, now).digest == one.digest:
        one.synced_at = now
        facts.publish(
            tenant_id=one.tenant_id, kind="local_list.in_step", subject_type="station",
            subject_id=one.station_id, payload={"version": one.version, "entries": one.size},
        )  # fmt: skip
    advance(one, rules, now)


def _pause(one: LocalList) -> timedelta:
    """Longer each time, so that a station that takes nothing is not asked without end."""
    one.attempts += 1
    return (
        timedelta(0)
        if one.attempts <= 1
        else min(BACK_OFF * 2 ** min(one.attempts - 2, 10), LONGEST_BACK_OFF)
    )


def _refused(one: LocalList, now: datetime, why: str) -> None:
    one.attempts = max(one.attempts, 1)
    pause = _pause(one)
    one.full_wanted = one.full_wanted or one.attempts > TRIES_BEFORE_FULL
    _turn(one, ListState.FAILED, due_at=now + pause, problem=why)


def told_version(*, tenant_id: int, reports: Sequence[ListVersionTold]) -> None:
    """Compare the version that a station tells with the one it should have."""
    now = timezone.now()
    for report in reports:
        one = _held(tenant_id, station_id=report.station_id)
        if one is None:
            one = LocalList(tenant_id=tenant_id, station_id=report.station_id, state=ListState.OFF)
            one.full_wanted = report.version > 0
        if one.command_id == report.command_id:
            one.command_id = None
        one.told_version = max(min(report.version, 2**62), -1)
        one.told_at = report.received_at
        if report.version < 0:
            _turn(one, ListState.UNSUPPORTED, due_at=None, problem="The station knows no local list.")
            continue
        same = report.version == one.version or (report.version == 0 and one.size == 0)
        one.full_wanted = one.full_wanted or not same
        if one.state == ListState.OFF:
            one.save()
            continue
        _turn(one, ListState.WAITING, due_at=now)


def follow(*, command: Command) -> None:
    """The end of a command that brought no answer to the question."""
    now = timezone.now()
    one = _held(command.tenant_id, station_id=command.station_id, command_id=command.pk)
    if one is None:
        if command.kind == CommandKind.SEND_LIST and command.state == CommandState.TIMED_OUT:
            forget(tenant_id=command.tenant_id, station_id=command.station_id)
        return
    one.command_id, one.flight = None, None
    if command.state == CommandState.TIMED_OUT:  # it may have taken it: ask
        one.told_at = None
        one.attempts = max(one.attempts, 1)
        _turn(one, ListState.UNKNOWN, due_at=now + _pause(one))
    elif command.state == CommandState.REJECTED and command.answer in ("NotSupported", "NotImplemented"):
        _turn(one, ListState.UNSUPPORTED, due_at=None, problem="The station knows no local list.")
    elif command.state in (CommandState.EXPIRED, CommandState.CANCELLED):
        _turn(one, ListState.WAITING, due_at=now + BACK_OFF)
    else:
        _refused(one, now, command.detail or "The station could not read it.")


def forget(*, tenant_id: int, station_id: int) -> None:
    """Somebody else has sent a list: what the station holds is not known any more."""
    LocalList.objects.filter(tenant_id=tenant_id, station_id=station_id).exclude(state=ListState.OFF).update(
        told_at=None, full_wanted=True, state=ListState.UNKNOWN, due_at=timezone.now()
    )


# --- what asks for another look ---


def hear(fact: Fact) -> None:
    """Tokens or rules have changed: look at the lists soon, at once if a right was taken away.

    A list that is to be looked at sooner anyway is left alone: a thousand facts cost one update.
    """
    revoked = fact.kind == "token.deleted" or fact.payload.get("blocked")
    at = timezone.now() + (timedelta(0) if revoked else DEBOUNCE)
    later = Q(due_at__gt=at)
    if fact.kind == "access.changed":  # a list that is off does not care for tokens
        later |= Q(due_at=None)
    rows = LocalList.objects.filter(later, tenant_id=fact.tenant_id)
    rows.exclude(state=ListState.UNSUPPORTED).update(due_at=at)


def sync_now(*, station: Station, actor: Actor, full: bool = False) -> LocalList:
    """Send what is missing at once, or all anew. Conflict where no list is to be kept."""
    actor.require(Permission.STATION_COMMAND, site_id=station.site_id)
    rules = access.of_station(station)
    if not rules.local_list:
        raise Conflict("No local list is kept at this station. Switch it on in its access rules first.")
    one = _one(station)
    if full:
        one.full_wanted = True
    one.attempts = 0
    audit.record(
        tenant_id=station.tenant_id, actor=actor, action="local_list.send", subject=station,
        site_id=station.site_id, detail={"full": full},
    )  # fmt: skip
    if one.state == ListState.UNSUPPORTED:
        one.state, one.told_at = ListState.UNKNOWN, None
    one.due_at = timezone.now()
    one.save()  # what is under way only rests
    advance(one, rules, timezone.now())
    return one


def check_now(*, station: Station, actor: Actor) -> LocalList:
    """Ask for the version at once."""
    actor.require(Permission.STATION_COMMAND, site_id=station.site_id)
    one = _one(station)
    audit.record(
        tenant_id=station.tenant_id, actor=actor, action="local_list.check", subject=station, site_id=station.site_id
    )  # fmt: skip
    if one.command_id is None or _is_over(one, timezone.now()):
        command = commands.request_command(
            tenant_id=one.tenant_id, station_id=one.station_id, kind=CommandKind.READ_LIST_VERSION, arguments={},
            actor=actor,
        )  # fmt: skip
        one.command_id = command.pk
        _turn(
            one,
            one.state if one.state == ListState.OFF else ListState.CHECKING,
            due_at=timezone.now() + ANSWER,
        )
    return one


def _one(station: Station) -> LocalList:
    LocalList.objects.bulk_create(
        [LocalList(tenant_id=station.tenant_id, station=station, state=ListState.OFF, due_at=None)],
        ignore_conflicts=True,
    )
    found = _held(station.tenant_id, station=station)
    assert found is not None
    return found


class Line(NamedTuple):
    """An entry as people see it: wanted, held, or both."""

    uid: str
    entry: Entry | None  # None: to be removed
    step: str  # held | new | changed | leaving


def lines(station: Station, rules: Rules) -> list[Line]:
    """What the list of a station holds and should hold, by token."""
    one = LocalList.objects.filter(tenant_id=station.tenant_id, station=station).first()
    held: dict[str, str] = one.entries if one else {}
    target = wanted(station, rules, one.most_entries if one else None, timezone.now())
    made = [
        Line(
            uid, entry, "held" if held.get(uid) == target.marks[uid] else "changed" if uid in held else "new"
        )
        for uid, entry in target.entries.items()
    ]
    made += [Line(uid, None, "leaving") for uid in sorted(held) if uid not in target.entries]
    return made


def counted(rows: QuerySet[LocalList] | Iterable[LocalList]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in rows:
        found[one.state] = found.get(one.state, 0) + 1
    return found
