"""Merged histories for pages: what happened to a station, what happened in a session."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db.models import Max
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from fleets.models import Reason, TokenKind
from stations import flags
from stations.event_words import said
from stations.models import (
    Authorization,
    ChargingProfile,
    Command,
    CommandState,
    Connection,
    ConnectorStatus,
    OrphanMessage,
    ProfileState,
    Purpose,
    Reading,
    Reservation,
    Session,
    SessionEvent,
    Station,
    StationEvent,
)
from stations.models.journal import Severity
from tenants.permissions import named


@dataclass(frozen=True)
class Happening:
    """One line of a timeline."""

    at: datetime
    state: str  # gives colour and icon
    text: str
    detail: str = ""
    raw: Any = None
    icon: str = ""
    routine: bool = False  # nothing that anybody must read
    card: bool = False  # one was shown
    folded: tuple[Happening, ...] = ()  # a line that stands for these, in the same order


LEAST_FOLDED = 4


def of_station(station: Station, limit: int = 80) -> list[Happening]:
    """The newest happenings of a station, newest first; a run of mere routine within a day is one line."""
    own = {"tenant_id": station.tenant_id, "station": station}
    found = [
        *_connections(Connection.objects.filter(**own)[:limit]),
        *(_station_event(event) for event in StationEvent.objects.filter(**own)[:limit]),
        *(_shown(card) for card in Authorization.objects.filter(**own).order_by("-at")[:limit]),
        *(_command(command) for command in Command.objects.filter(**own)[:limit]),
        *_reservations(Reservation.objects.filter(**own).select_related("evse", "token")[:limit]),
    ]
    return list(_folded(sorted(found, key=lambda happening: happening.at, reverse=True)[:limit]))


def _folded(happenings: list[Happening]) -> Iterator[Happening]:
    for (routine, _day), run in groupby(
        happenings, key=lambda one: (one.routine, timezone.localtime(one.at).date())
    ):
        group = list(run)
        if not routine or len(group) < LEAST_FOLDED:
            yield from group
            continue
        cards = sum(one.card for one in group)
        since = timezone.localtime(group[-1].at).strftime("%H:%M")
        text = _("%(count)s everyday events since %(time)s") % {"count": len(group), "time": since}
        told = ngettext("%(count)s card accepted", "%(count)s cards accepted", cards) % {"count": cards}
        yield Happening(group[0].at, "info", text, told if cards else "", icon="dots", folded=tuple(group))


def _connections(rows: Any) -> list[Happening]:
    found = []
    for row in rows:
        where = _("from %(address)s with OCPP %(version)s") % {
            "address": row.remote_address,
            "version": row.ocpp_version,
        }
        found.append(Happening(row.opened_at, "online", _("Connected"), where, icon="plug-connected"))
        if row.closed_at:
            why = _(row.close_reason) if row.close_reason else _("no reason given")
            code = f"{why} ({row.close_code})" if row.close_code else why
            found.append(
                Happening(row.closed_at, "offline", _("Connection ended"), code, icon="plug-connected-x")
            )
    return found


_SEVERITIES = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.ERROR: "error"}
_ICONS = {
    "boot": "power",
    "firmware": "cpu",
    "security": "shield-lock",
    "log": "list-details",
    "vendor": "message-2",
    "limit": "gauge",
    "needs": "car",
    "priority": "arrow-big-up-line",
    "der": "wave-sine",
    "der_alarm": "wave-sine",
    "certificate": "certificate",
}


# Kept as they are told, in English; said in the reader's language.
_BOOTED = re.compile(r"Booted with firmware (.+)", re.DOTALL)
_CLOSED = (
    gettext_noop("The end of this connection was missed."),
    gettext_noop("Replaced by a newer connection."),
    gettext_noop("The gateway process ended."),
    gettext_noop("The gateway restarts; please connect again."),
    gettext_noop("This station is not served here."),
    gettext_noop("the line was lost"),
)


def _station_event(event: StationEvent) -> Happening:
    where = ""
    if event.evse_number:
        where = _("Connector %(number)s") % {"number": event.evse_number}
    state, text, routine = _SEVERITIES.get(Severity(event.severity), "info"), said(event.text), False
    if event.kind == "boot" and (told := _BOOTED.match(text)):
        text = _("Booted with firmware %(version)s") % {"version": told[1]}
    elif event.kind == "boot" and text == "Booted":
        text = _("Booted")
    if event.kind == "status" and text in ConnectorStatus.values:
        state, text = text, str(ConnectorStatus(text).label)
        routine = state not in (ConnectorStatus.FAULTED, ConnectorStatus.UNAVAILABLE)
    return Happening(
        event.occurred_at, state, text, where, event.detail or None, _ICONS.get(event.kind, ""), routine
    )


def _shown(card: Authorization) -> Happening:
    state = "accepted" if card.verdict == "accepted" else card.verdict
    text = _("Token %(uid)s shown: %(verdict)s") % {
        "uid": card.token_uid,
        "verdict": card.get_verdict_display(),
    }
    why = str(Reason(card.reason).label) if card.reason else ""
    return Happening(
        card.at, state, text, why, icon=_CARDS.get(card.kind, "nfc"), routine=state == "accepted" and not why,
        card=True,
    )  # fmt: skip


_CARDS: dict[str, str] = {TokenKind.EMAID: "certificate", TokenKind.MAC_ADDRESS: "car", TokenKind.VIN: "car"}


def _command(command: Command) -> Happening:
    text = _("%(command)s, asked by %(who)s") % {
        "command": command.get_kind_display(),
        "who": named(command.origin_label),
    }
    return Happening(
        command.created_at, command.state, text, command.get_state_display(), icon="terminal-2",
        routine=command.origin_kind == "task" and command.state == CommandState.ACCEPTED,
    )  # fmt: skip


def of_session(session: Session, charge_at: datetime | None = None) -> list[Happening]:
    """Everything that happened in a session, oldest first: card, events, pauses, the end, the price."""
    events = SessionEvent.objects.filter(tenant_id=session.tenant_id, session=session)
    found = [*_session_events(list(events[:2000])), *_cards(session), *_limits(session)]
    if session.remote_command_id:
        command = Command.objects.filter(tenant_id=session.tenant_id, pk=session.remote_command_id).first()
        found += [_command(command)] if command else []
    told = session.ended_received_at
    if session.ended_at and told and told - session.ended_at > timedelta(minutes=2):
        late = _("The station told of the end later, when it was connected again.")
        found.append(Happening(told, "info", _("The end arrived here"), late))
    found += _reservations(Reservation.objects.filter(tenant_id=session.tenant_id, session=session))
    if charge_at:
        found.append(Happening(charge_at, "rated", _("Price calculated"), icon="receipt"))
    found += [
        Happening(
            orphan.resolved_at,
            "info",
            _("Stop applied by hand"),
            _("The station had told it for session %(id)s, which is unknown here.")
            % {"id": orphan.transaction_id},
            icon="arrow-merge",
        )
        for orphan in OrphanMessage.objects.filter(tenant_id=session.tenant_id, session=session)
        if orphan.resolved_at
    ]
    if session.held_reason:
        at = told or session.started_at
        found.append(Happening(at, "held", _("Held for review"), flags.reason(session.held_reason)))
    return sorted(found, key=lambda happening: happening.at)


# Why load management set a limit, in words by profile id: what only a layer above knows. `cpo` plugs it in.
Reasons = Callable[[Sequence[ChargingProfile]], Mapping[int, str]]
_reasons: list[Reasons] = []


def plug_in_reasons(reasons: Reasons) -> None:
    _reasons[:] = [reasons]


MOST_LIMITS = 2000


def _limits(session: Session) -> Iterator[Happening]:
    """What load management allowed the session: only where it changed. Most profiles only say the same anew."""
    rows = ChargingProfile.objects.filter(
        tenant_id=session.tenant_id, station_id=session.station_id, session=session, intent="energy",
        purpose=Purpose.TRANSACTION, settled_at__isnull=False,
    ).exclude(state__in=[ProfileState.REJECTED, ProfileState.FAILED])  # fmt: skip
    changes: list[ChargingProfile] = []
    for row in rows.order_by("settled_at", "id")[:MOST_LIMITS]:
        if not changes or changes[-1].more.get("amps") != row.more.get("amps"):
            changes.append(row)
    words = _reasons[0](changes) if changes and _reasons else {}
    for row in changes:
        amps = row.more.get("amps")
        if not isinstance(amps, int | float) or row.settled_at is None:
            continue
        text = _("Paused by load management") if amps == 0 else _("Load management allows %(amps)s A")
        number = number_format(round(amps, 1), 0 if amps == round(amps) else 1)
        yield Happening(
            row.settled_at, "suspended_evse" if amps == 0 else "charging", text % {"amps": number},
            words.get(row.pk, ""), icon="gauge",
        )  # fmt: skip


def _reservations(rows: Any) -> Iterator[Happening]:
    for row in rows:
        who = str(row.token) if row.token else row.token_uid
        until = timezone.localtime(row.expires_at).strftime("%H:%M")
        asked = _("Reserved for %(who)s until %(until)s, asked by %(by)s") % {
            "who": who, "until": until, "by": row.asked_by,
        }  # fmt: skip
        where = _("Connector %(number)s") % {"number": row.evse.number} if row.evse else ""
        yield Happening(row.created_at, "reserved", asked, where, icon="bookmark")
        if row.ended_at:
            text = _("Reservation for %(who)s: %(end)s") % {"who": who, "end": row.get_state_display()}
            yield Happening(row.ended_at, row.look, text, flags.reason(row.reason), icon="bookmark")


def _session_events(events: list[SessionEvent]) -> Iterator[Happening]:
    """The events; a run of mere meter reports is one line, or they would bury the rest."""
    for is_meter, run in groupby(
        events, key=lambda event: "MeterValue" in event.trigger and event.kind == "updated"
    ):
        group = list(run)
        if not is_meter or len(group) < 3:
            yield from map(_session_event, group)
            continue
        until = timezone.localtime(group[-1].occurred_at).strftime("%H:%M:%S")
        text = _("%(count)s meter reports, until %(time)s") % {"count": len(group), "time": until}
        offline = _("some recorded while offline") if any(event.offline for event in group) else ""
        yield Happening(group[0].occurred_at, "info", text, offline, icon="activity")


def _session_event(event: SessionEvent) -> Happening:
    texts = {
        "started": _("Charging began"),
        "updated": _("The station reported"),
        "ended": _("Charging ended"),
    }
    states = {"started": "active", "updated": "info", "ended": "rated"}
    icons = {"started": "bolt", "updated": "activity", "ended": "plug-x"}
    detail = trigger_text(event.trigger)
    if event.offline:
        detail = ", ".join(filter(None, (detail, _("recorded while offline"))))
    return Happening(
        event.occurred_at,
        states.get(event.kind, "info"),
        texts.get(event.kind, event.kind),
        detail,
        event.payload,
        icons.get(event.kind, ""),
    )


def trigger_text(trigger: str) -> str:
    """Why a station reported (OCPP 2.0.1 TriggerReasonEnumType, ReasonEnumType) in words; unknown ones as told."""
    texts = {
        "Authorized": _("card accepted"),
        "CablePluggedIn": _("cable plugged in"),
        "ChargingStateChanged": _("charging state changed"),
        "Deauthorized": _("card refused"),
        "EnergyLimitReached": _("energy limit reached"),
        "EVCommunicationLost": _("the car does not answer"),
        "EVConnectTimeout": _("no car was plugged in in time"),
        "EVDeparted": _("the car left"),
        "EVDetected": _("a car arrived"),
        "EVDisconnected": _("the car was unplugged"),
        "MeterValueClock": _("meter report"),
        "MeterValuePeriodic": _("meter report"),
        "RemoteStart": _("started by command"),
        "RemoteStop": _("stopped by command"),
        "Remote": _("stopped by command"),
        "ResetCommand": _("reset"),
        "SoftReset": _("reset"),
        "HardReset": _("reset"),
        "StopAuthorized": _("stopped with a card"),
        "Local": _("stopped at the station"),
        "TimeLimitReached": _("time limit reached"),
        "UnlockCommand": _("unlocked by command"),
        "PowerLoss": _("power failed"),
        "EmergencyStop": _("emergency stop"),
        "DeAuthorized": _("card refused"),
        "SOCLimitReached": _("battery full enough"),
    }
    return texts.get(trigger, trigger)


CARD_BEFORE, CARD_AFTER = timedelta(minutes=10), timedelta(minutes=2)


def _cards(session: Session) -> list[Happening]:
    """Cards shown at the station around the start and the end of the session, none of the sessions before and after."""
    if not session.token_uid:
        return []
    end = session.ended_at or timezone.now()
    earliest, latest = session.started_at - CARD_BEFORE, end + CARD_AFTER
    near = Session.objects.filter(
        tenant_id=session.tenant_id, station_id=session.station_id, token_uid=session.token_uid
    ).exclude(pk=session.pk)
    before = near.filter(started_at__lt=session.started_at, ended_at__range=(earliest, session.started_at))
    after = near.filter(started_at__gt=session.started_at, started_at__lte=end + CARD_BEFORE)
    shown = Authorization.objects.filter(
        tenant_id=session.tenant_id,
        station_id=session.station_id,
        token_uid__in=[session.token_uid, session.stop_token_uid],
        at__gt=before.aggregate(end=Max("ended_at"))["end"] or earliest,
        at__lte=end if after.exists() else latest,
    )
    return [_shown(card) for card in shown.order_by("at")[:20]]


def readings(session: Session, limit: int = 5000) -> list[Reading]:
    """Meter values of a session, oldest first, thinned to at most `limit`."""
    found = Reading.objects.filter(
        tenant_id=session.tenant_id,
        station_id=session.station_id,
        session_id=session.pk,
        sampled_at__gte=session.started_at - timedelta(hours=1),
    ).order_by("sampled_at")
    if session.ended_at:
        found = found.filter(sampled_at__lte=session.ended_at + timedelta(hours=1))
    return list(found.defer("values")[:limit])
