"""Messages on displays (OCPP 2, block O): written once, sent to many stations, followed to their end.

Stations keep their messages over a reboot (O01.FR.06), so nothing is sent again; what a station still shows is what it
tells when it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from stations import live
from stations.models import (
    ON_DISPLAY,
    Command,
    CommandKind,
    CommandState,
    DisplayFormat,
    DisplayMessage,
    DisplayNotice,
    DisplayPriority,
    DisplayStanding,
    DisplayState,
    Session,
    SessionState,
    Station,
)
from stations.neutral import DisplaysTold, DisplayTold
from stations.services import commands, showing
from tenants.errors import Conflict, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit

MOST_CONTENTS = 5  # 2.1: the message and four more languages
LONGEST = {"2.0.1": 512, "2.1": 1024}
MOST_STATIONS = 2_000  # of one notice
MOST_TOLD = 500  # messages of one station that are kept
DELIVERY_SECONDS = 86_400  # a station that is away for a day gets it when it is back
_MOST_NUMBER = 2_000_000_000
_MOST_ID = 2**31 - 1
# In the words of the device model.
_FORMAT = {
    DisplayFormat.UTF8: "utf8",
    DisplayFormat.ASCII: "ascii",
    DisplayFormat.HTML: "html",
    DisplayFormat.URI: "uri",
    DisplayFormat.QRCODE: "qrcode",
}


def write(
    *,
    tenant_id: int,
    actor: Actor,
    stations: Iterable[Station],
    contents: Sequence[dict[str, str]],
    priority: str = DisplayPriority.NORMAL_CYCLE,
    state: str = "",
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    transaction_id: str = "",
    evse: int = 0,
) -> DisplayNotice:
    """Send a message to these stations. Which of them cannot show it stands at each, with the reason."""
    chosen = list(stations)
    _check(chosen, contents, priority, state, starts_at, ends_at)
    for station in chosen:
        actor.require(Permission.STATION_COMMAND, site_id=station.site_id)
    notice = DisplayNotice.objects.create(
        tenant_id=tenant_id, contents=_clean(contents), priority=priority, state=state, starts_at=starts_at,
        ends_at=ends_at, transaction_id=transaction_id, evse_number=evse, written_by=actor.label[:120],
    )  # fmt: skip
    audit.record(
        tenant_id=tenant_id, actor=actor, action="display.write", subject=notice,
        detail={"stations": len(chosen), "text": notice.text[:200]},
    )  # fmt: skip
    for station in chosen:
        _place(notice, station, actor)
    return notice


def _check(
    stations: Sequence[Station],
    contents: Sequence[dict[str, str]],
    priority: str,
    state: str,
    starts_at: datetime | None,
    ends_at: datetime | None,
) -> None:
    wrong: dict[str, str] = {}
    if not stations:
        wrong["stations"] = "Choose at least one station."
    elif len(stations) > MOST_STATIONS:
        wrong["stations"] = f"Choose at most {MOST_STATIONS} stations at a time."
    if not contents or not all(entry.get("text", "").strip() for entry in contents):
        wrong["contents"] = "Write a text."
    elif len(contents) > MOST_CONTENTS:
        wrong["contents"] = f"Write at most {MOST_CONTENTS} languages."
    elif len({entry.get("language", "") for entry in contents}) < len(contents):
        wrong["contents"] = "Write each language once."
    elif any(len(entry["text"]) > max(LONGEST.values()) for entry in contents):
        wrong["contents"] = f"Write at most {max(LONGEST.values())} characters."
    if any(entry.get("format", DisplayFormat.UTF8) not in DisplayFormat.values for entry in contents):
        wrong["contents"] = f"Choose a format of {', '.join(DisplayFormat.values)}."
    if priority not in DisplayPriority.values:
        wrong["priority"] = f"Choose one of {', '.join(DisplayPriority.values)}."
    if state and state not in DisplayState.values:
        wrong["state"] = f"Choose one of {', '.join(DisplayState.values)}."
    if starts_at and ends_at and ends_at <= starts_at:
        wrong["ends_at"] = "The end must come after the start."
    elif ends_at and ends_at <= timezone.now():
        wrong["ends_at"] = "The end is in the past."
    if wrong:
        raise Invalid(fields=wrong)


def _clean(contents: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    return [
        {
            "language": entry.get("language", "")[:8],
            "format": entry.get("format") or DisplayFormat.UTF8,
            "text": entry["text"].strip(),
        }
        for entry in contents
    ]


def cannot(station: Station, notice: DisplayNotice) -> str:
    """Why a station cannot show a message, as far as its version and configuration tell; empty: it may."""
    if not station.ocpp_version:
        return "It has never connected, so nobody knows what it can show."
    if not station.is_v2:
        return f"It speaks OCPP {station.ocpp_version}, which has no messages for the display."
    longest = LONGEST.get(station.ocpp_version, 512)
    if any(len(entry["text"]) > longest for entry in notice.contents):
        return f"OCPP {station.ocpp_version} takes at most {longest} characters."
    if station.ocpp_version != "2.1":
        if notice.state in (DisplayState.SUSPENDED, DisplayState.DISCHARGING):
            return "OCPP 2.0.1 does not know this state."
        if any(entry["format"] == DisplayFormat.QRCODE for entry in notice.contents):
            return "OCPP 2.0.1 shows no QR codes."
    able = showing.display(station.tenant_id, station.pk)
    if not able.available:
        return "Its display takes no messages."
    formats = {_FORMAT[DisplayFormat(entry["format"])] for entry in notice.contents}
    if able.formats and formats - able.formats:
        return f"It shows {', '.join(sorted(able.formats)).upper()} only."
    if able.priorities and notice.priority.replace("_", "") not in able.priorities:
        return "It does not know this priority."
    if notice.state and able.states and notice.state not in able.states:
        return "It does not know this state."
    if able.most is not None and able.count is not None and able.count >= able.most:
        return f"It holds {able.count} messages already, as many as it can."
    return ""


def _place(notice: DisplayNotice, station: Station, actor: Actor) -> DisplayMessage:
    reason = cannot(station, notice)
    # 2.0.1 holds one language a message; the station's own is the best of them.
    contents = notice.contents if station.ocpp_version == "2.1" else notice.contents[:1]
    message, _made = DisplayMessage.objects.update_or_create(
        tenant_id=station.tenant_id, station=station, number=notice.pk % _MOST_NUMBER + 1,
        defaults={
            "notice": notice, "contents": contents, "priority": notice.priority, "state": notice.state,
            "starts_at": notice.starts_at, "ends_at": notice.ends_at, "transaction_id": notice.transaction_id,
            "evse_number": notice.evse_number, "detail": reason, "command_id": None, "told_at": None,
            "standing": DisplayStanding.REFUSED if reason else DisplayStanding.WAITING,
        },
    )  # fmt: skip
    if not reason:
        _send(message, station, actor)
    return message


def _send(message: DisplayMessage, station: Station, actor: Actor) -> None:
    command = commands.request_command(
        tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.SHOW_MESSAGE,
        arguments=arguments_of(message), actor=actor, expires_in_seconds=DELIVERY_SECONDS,
    )  # fmt: skip
    message.command_id, message.standing, message.detail = command.pk, DisplayStanding.WAITING, ""
    message.save(update_fields=["command_id", "standing", "detail"])


def arguments_of(message: DisplayMessage) -> dict[str, Any]:
    given: dict[str, Any] = {
        "number": message.number,
        "priority": message.priority,
        "contents": message.contents,
        "state": message.state,
        "starts_at": message.starts_at.isoformat() if message.starts_at else "",
        "ends_at": message.ends_at.isoformat() if message.ends_at else "",
        "transaction_id": message.transaction_id,
        "evse": message.evse_number,
    }
    return {name: value for name, value in given.items() if value not in ("", 0, [])}


def send_again(*, message: DisplayMessage, actor: Actor) -> DisplayMessage:
    """Try a message again that a station refused, missed or has lost."""
    if message.notice is None or message.standing in ON_DISPLAY:
        raise Conflict("This message is on the display, or on its way.", code="display_shown")
    station = message.station
    if reason := cannot(station, message.notice):
        raise Conflict(f"{station} cannot show it. {reason}", code="display_cannot")
    _send(message, station, actor)
    return message


def take_off(*, message: DisplayMessage, actor: Actor) -> DisplayMessage:
    """Take a message off one display. One that is still waiting to be sent is called back."""
    station = message.station
    actor.require(Permission.STATION_COMMAND, site_id=station.site_id)
    if message.standing not in ON_DISPLAY:
        return message
    waiting = Command.objects.filter(
        tenant_id=message.tenant_id, pk=message.command_id or 0, kind=CommandKind.SHOW_MESSAGE
    ).first()
    if waiting is not None and commands.hold(command=waiting):
        commands.cancel(command=waiting, actor=actor)
        message.standing, message.detail = DisplayStanding.CLEARED, ""
        message.save(update_fields=["standing", "detail"])
        return message
    command = commands.request_command(
        tenant_id=message.tenant_id, station_id=station.pk, kind=CommandKind.CLEAR_MESSAGE,
        arguments={"number": message.number}, actor=actor, expires_in_seconds=DELIVERY_SECONDS,
    )  # fmt: skip
    message.command_id, message.standing, message.detail = command.pk, DisplayStanding.CLEARING, ""
    message.save(update_fields=["command_id", "standing", "detail"])
    return message


def withdraw(*, notice: DisplayNotice, actor: Actor) -> DisplayNotice:
    """Take a message off all displays that the actor is responsible for; off all there are, it is withdrawn."""
    copies, elsewhere = _copies(notice), False
    if actor.site_ids is not None:
        elsewhere = copies.exclude(station__site_id__in=actor.site_ids).exists()
        copies = copies.filter(station__site_id__in=actor.site_ids)
    for message in copies.filter(standing__in=ON_DISPLAY).select_related("station"):
        take_off(message=message, actor=actor)
    if notice.withdrawn_at is None and not elsewhere:
        notice.withdrawn_at = timezone.now()
        notice.save(update_fields=["withdrawn_at"])
        audit.record(tenant_id=notice.tenant_id, actor=actor, action="display.withdraw", subject=notice)
    return notice


def _copies(notice: DisplayNotice) -> QuerySet[DisplayMessage]:
    return DisplayMessage.objects.filter(tenant_id=notice.tenant_id, notice=notice)


def ask(*, station: Station, actor: Actor) -> Command:
    """Have the station tell what it shows."""
    return commands.request_command(
        tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.READ_MESSAGES, arguments={}, actor=actor
    )  # fmt: skip


# --- what follows ---


def _of(command: Command) -> DisplayMessage | None:
    number = command.arguments.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MOST_ID:
        return None
    return (
        DisplayMessage.objects.select_for_update()
        .filter(tenant_id=command.tenant_id, station_id=command.station_id, number=number)
        .first()
    )


def follow_show(*, command: Command) -> None:
    message = _of(command)
    if message is None or message.command_id not in (None, command.pk):
        return  # sent by hand with a number of its own: the station will tell it
    if command.state == CommandState.ACCEPTED:
        message.standing, message.detail, message.told_at = DisplayStanding.SHOWN, "", command.settled_at
    elif command.state == CommandState.REJECTED:
        message.standing, message.detail = DisplayStanding.REFUSED, _why(command)
    elif message.standing == DisplayStanding.WAITING:
        message.standing, message.detail = DisplayStanding.UNREACHED, command.detail
    message.save(update_fields=["standing", "detail", "told_at"])
    _tell(message)


def follow_clear(*, command: Command) -> None:
    message = _of(command)
    if message is None:
        return
    if command.state == CommandState.ACCEPTED:
        message.standing, message.detail = DisplayStanding.CLEARED, ""
    elif message.standing == DisplayStanding.CLEARING:
        message.standing = DisplayStanding.SHOWN
        message.detail = f"It is still there: {_why(command)}"[:400]
    message.save(update_fields=["standing", "detail"])
    _tell(message)


_REASONS = {
    "NotSupportedMessageFormat": "It does not show this format.",
    "NotSupportedPriority": "It does not know this priority.",
    "NotSupportedState": "It does not know this state.",
    "UnknownTransaction": "It does not know this session.",
    "LanguageNotSupported": "It does not know this language.",
}


def _why(command: Command) -> str:
    info = (command.response or {}).get("statusInfo") or {}
    told = f"{info.get('reasonCode', '')} {info.get('additionalInfo', '')}".strip()
    word = command.answer or command.get_state_display()
    return " ".join(part for part in (_REASONS.get(word, f"{word}."), told, command.detail) if part)[:400]


def _tell(message: DisplayMessage) -> None:
    station = message.station
    live.publish(
        message.tenant_id, kind="display", station_id=station.pk, site_id=station.site_id,
        data={"id": message.pk, "notice": message.notice_id, "standing": message.standing},
    )  # fmt: skip


def record(*, tenant_id: int, reports: Sequence[DisplaysTold]) -> None:
    """What stations say they show. Once the last part of a whole list is in, what it lacks is gone."""
    for told in reports:
        known = DisplayMessage.objects.filter(tenant_id=tenant_id, station_id=told.station_id).count()
        for one in (
            told.messages[: max(0, MOST_TOLD - known)] if known >= MOST_TOLD else told.messages[:MOST_TOLD]
        ):
            _keep(tenant_id, told, one)
        if told.last:
            _miss(tenant_id, told)
        station = Station.objects.filter(tenant_id=tenant_id, pk=told.station_id).first()
        if station is not None:
            live.publish(
                tenant_id, kind="display", station_id=station.pk, site_id=station.site_id,
                data={"told": len(told.messages)},
            )  # fmt: skip


def _keep(tenant_id: int, told: DisplaysTold, one: DisplayTold) -> None:
    if not 0 <= one.number <= _MOST_ID:
        return
    contents = [
        {"language": entry["language"][:8], "format": entry["format"], "text": entry["text"][:1024]}
        for entry in one.contents[:MOST_CONTENTS]
    ]
    found = DisplayMessage.objects.filter(
        tenant_id=tenant_id, station_id=told.station_id, number=one.number
    ).first()
    if found is not None:
        found.told_at = told.received_at
        if found.standing not in (DisplayStanding.CLEARING, DisplayStanding.WAITING):
            found.standing, found.detail = DisplayStanding.SHOWN, ""
        if found.notice_id is None:
            found.contents, found.priority, found.state = contents, one.priority, one.state
        found.save(update_fields=["told_at", "standing", "detail", "contents", "priority", "state"])
        return
    DisplayMessage.objects.create(
        tenant_id=tenant_id, station_id=told.station_id, number=one.number, contents=contents,
        priority=one.priority, state=one.state, starts_at=_time(one.starts_at, told), ends_at=_time(one.ends_at, told),
        transaction_id=one.transaction_id[:64], evse_number=one.evse if 0 <= one.evse <= 999 else 0,
        standing=DisplayStanding.SHOWN, told_at=told.received_at,
    )  # fmt: skip


def _time(raw: str, told: DisplaysTold) -> datetime | None:
    """A plan may lie years ahead, so it is not measured against our clock as an event is."""
    try:
        at = datetime.fromisoformat(raw) if raw else None
    except ValueError:
        return None
    if at is None or not 2000 <= at.year <= 2200:
        return None
    return at if at.tzinfo else at.replace(tzinfo=told.received_at.tzinfo)


def _miss(tenant_id: int, told: DisplaysTold) -> None:
    """What a whole list did not name: asked for without a filter, and not told since it was asked."""
    asked = (
        Command.objects.filter(
            tenant_id=tenant_id, station_id=told.station_id, kind=CommandKind.READ_MESSAGES, sent_at__isnull=False
        )
        .order_by("-id")[:5]
    )  # fmt: skip
    command = next((one for one in asked if one.pk % _MOST_ID == told.request), None)
    if command is None or any(command.arguments.get(name) for name in ("numbers", "priority", "state")):
        return
    DisplayMessage.objects.filter(
        Q(told_at=None) | Q(told_at__lt=command.sent_at),
        tenant_id=tenant_id, station_id=told.station_id, standing=DisplayStanding.SHOWN,
    ).update(standing=DisplayStanding.MISSING, detail="It did not name this message when it was asked.")  # fmt: skip


def expire(*, tenant_id: int, now: datetime) -> int:
    """Messages whose time is over, or whose session has ended: stations take them off by themselves (O01, O02)."""
    shown = DisplayMessage.objects.filter(
        tenant_id=tenant_id, standing__in=(DisplayStanding.SHOWN, DisplayStanding.MISSING)
    )
    over = shown.filter(ends_at__lte=now).update(standing=DisplayStanding.EXPIRED, detail="")
    for message in shown.exclude(transaction_id="")[:500]:
        running = Session.objects.filter(
            tenant_id=tenant_id, station_id=message.station_id, transaction_id=message.transaction_id,
            state=SessionState.ACTIVE,
        ).exists()  # fmt: skip
        if not running:
            message.standing = DisplayStanding.EXPIRED
            message.save(update_fields=["standing"])
            over += 1
    return over
