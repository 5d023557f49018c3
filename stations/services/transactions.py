"""2.x transactions: events that come twice, late and out of order, and of which any may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from billing.services import tariffs
from fleets.models import Verdict
from fleets.services import authorization
from fleets.services.authorization import Judgement, Shown
from fleets.uid import normal_uid
from stations.neutral import TokenShown, TransactionAnswer, TransactionEvent
from stations.services import (
    access,
    chronicle,
    clock,
    guardian,
    places,
    quirks,
    readings,
    remote,
    reservations,
    sheets,
    texts,
    tokens,
)
from stations.services.chronicle import Told, content_hash
from stations.services.places import Place
from stations.services.sessions import OFFLINE_TOKEN, TOKEN_REFUSED
from stations.services.sheet import Sheet, new
from tenants import rows

REUSE_GAP_MS = 1000  # a start in the same second as the end is the same session told oddly
MOST_SEQ_NO = 2**31 - 1
EVSE_UNKNOWN = "evse_unknown"
NO_IDENTIFICATION = "no_identification"
_RANK = {"started": 0, "updated": 1, "ended": 2}
_ASKED_RANK = 3  # the token of the remote start: for a station that never shows one
Key = tuple[int, str]


def record(*, tenant_id: int, events: Sequence[TransactionEvent]) -> list[TransactionAnswer]:
    """Bring events into their sessions; an event of a session that is unknown here opens it, whichever it is."""
    events = quirks.corrected(tenant_id, events)
    where, known, asked = rows.together(
        tenant_id, places.find(_place_key(event) for event in events), _known(events), _asked(events)
    )
    spent = _retire_spent(tenant_id, events, known)
    fresh = _open(tenant_id, events, known, where, spent)
    told = [_told(known[_key(event)], event) for event in events]
    shown = _with_asked_tokens(events, asked)
    judged = _judge(tenant_id, shown, known)
    kept: list[readings.Row] = []
    for one, told_event, event, judgement in zip(told, events, shown, judged, strict=True):
        rank = _ASKED_RANK if told_event.token is None else _RANK[event.kind]
        kept += _take(one, event, judgement, where[_place_key(event)], rank)
    touched = list(known.values())
    for sheet in touched:
        sheet.conclude()
        guardian.note_late_stop(sheet)
    with rows.at_once():
        chronicle.write(tenant_id, told)
        readings.store(tenant_id, kept)
        sheets.save(tenant_id, touched)
        _link_commands(tenant_id, events, known, asked)
        reservations.use(tenant_id, _uses(told, shown, judged))
        readings.set_power(tenant_id, _powers(told, kept))
    replaced = _replaced(tenant_id, fresh)
    with rows.at_once():
        sheets.save(tenant_id, replaced)
        chronicle.announce(tenant_id, [*touched, *replaced], started=fresh)
    return [
        TransactionAnswer() if j is None or event.token is None else _answer(tenant_id, j)
        for j, event in zip(judged, events, strict=True)
    ]


def _answer(tenant_id: int, judged: Judgement) -> TransactionAnswer:
    return TransactionAnswer(
        judged.verdict, judged.group, judged.expires_at, judged.language, texts.said(tenant_id, judged),
        reason=judged.reason.value, priority=judged.priority,
    )  # fmt: skip


def _key(event: TransactionEvent) -> Key:
    return event.station_id, event.transaction_id[:64]


def _place_key(event: TransactionEvent) -> places.Wanted:
    plug = event.connector if 1 <= event.connector <= places.HIGHEST_NUMBER else 0
    return event.station_id, places.sane_number(event.evse), plug


def _known(events: Iterable[TransactionEvent]) -> rows.Lookup[dict[Key, Sheet]]:
    return sheets.by_transaction(_key(event) for event in events)


def _retire_spent(
    tenant_id: int, events: Sequence[TransactionEvent], known: dict[Key, Sheet]
) -> dict[Key, int]:
    """A station whose counter begins anew after a reboot uses an id again: a start dated after the end of the session
    of that id is another session's. Gives when each earlier one ended, and takes it out of `known`."""
    spent: dict[Key, int] = {}
    retired = []
    for event in events:
        sheet = known.get(_key(event))
        if sheet is None or event.kind != "started":
            continue
        at = clock.milliseconds(clock.sanitise(event.raw_timestamp, event.received_at)[0])
        over = sheet.evidence.ended or sheet.evidence.closed
        begun_anew = sheet.evidence.started is not None and over is not None and at > over[0] + REUSE_GAP_MS
        if begun_anew or sheet.transaction_number is not None:  # or the station spoke 1.6 before
            spent[_key(event)] = (over or (at - 1, 0))[0]
            retired.append(known.pop(_key(event)).id)
    sheets.retire(tenant_id, retired)
    return spent


def _open(
    tenant_id: int,
    events: Sequence[TransactionEvent],
    known: dict[Key, Sheet],
    where: dict[places.Wanted, Place],
    spent: dict[Key, int],
) -> list[Sheet]:
    """Sessions for events that have none yet. They are entered in `known`; the new ones are returned."""
    first: dict[Key, TransactionEvent] = {}
    for event in events:
        if _key(event) not in known:
            first.setdefault(_key(event), event)
    spots = [where[_place_key(event)] for event in first.values()]
    prices = rows.alone(tenant_id, tariffs.snapshot_for([(spot.site_id, spot.tariff_id) for spot in spots]))
    made = []
    for (key, event), spot, price in zip(first.items(), spots, prices, strict=True):
        at, _flags = clock.sanitise(event.raw_timestamp, event.received_at)
        sheet = new(
            place=spot, transaction_id=key[1], start_key=content_hash("transaction", key[1]), started_at=at,
            received_at=event.received_at,
        )  # fmt: skip
        sheet.tariff, sheet.currency = price, price["currency"] if price else ""
        sheet.evidence.expects_start = True
        sheet.evidence.after = spent.get(key)
        if event.evse < 1:
            sheet.evidence.note(EVSE_UNKNOWN)
        made.append(sheet)
    is_new = rows.alone(tenant_id, sheets.insert(made, numbered=False))
    fresh = [sheet for sheet, new in zip(made, is_new, strict=True) if new]
    known |= {(sheet.station_id, sheet.transaction_id): sheet for sheet in fresh}
    if len(fresh) < len(made):  # another gateway has opened one in the meantime: work on that
        known |= rows.alone(tenant_id, _known(first.values())) | {
            (sheet.station_id, sheet.transaction_id): sheet for sheet in fresh
        }
    return fresh


def event_hash(event: TransactionEvent) -> str:
    """Whether it was queued ("offline") is no part of the content: a repeat may say so where the first did not."""
    return content_hash(
        event.kind, event.transaction_id, event.seq_no, event.raw_timestamp, event.trigger, event.evse,
        event.connector, chronicle.token_text(event.token), event.charging_state, event.stopped_reason,
        event.remote_start_id, chronicle.samples_text(event.samples),
    )  # fmt: skip


def _told(sheet: Sheet, event: TransactionEvent) -> Told:
    at, _flags = clock.sanitise(event.raw_timestamp, event.received_at)
    return Told(
        sheet, event.kind, at, event.raw_timestamp, event.received_at, event_hash(event), event.payload,
        trigger=event.trigger, seq_no=min(event.seq_no, MOST_SEQ_NO), offline=event.offline,
    )  # fmt: skip


def _take(
    told: Told, event: TransactionEvent, judged: Judgement | None, place: Place, rank: int
) -> list[readings.Row]:
    """Bring one event into the evidence; its readings are returned for keeping."""
    sheet, known = told.sheet, told.sheet.evidence
    at, received = clock.milliseconds(told.occurred_at), clock.milliseconds(event.received_at)
    _at, flags = clock.sanitise(event.raw_timestamp, event.received_at)
    if known.after is not None and at <= known.after:
        return []  # told again of an earlier transaction that had the same id
    known.heard(at)
    known.sequence(min(event.seq_no, MOST_SEQ_NO))
    _set_place(sheet, event, place)
    if event.charging_state:
        known.state(at, event.charging_state)
    for name, value in event.circumstances.items():
        known.circumstance(at, name, value)
    if event.kind == "started":
        known.start(at, received)
    elif event.kind == "ended":
        known.stop(at, received, event.stopped_reason)
        if sheet.ended_received_at is None or event.received_at < sheet.ended_received_at:
            sheet.ended_received_at = event.received_at
    known.note(*(flags if event.kind != "updated" else [flag for flag in flags if flag == clock.NO_ZONE]))
    if event.token is not None and judged is not None:
        _take_token(sheet, event, judged, at, rank)
    made = readings.rows_of(
        station_id=event.station_id, evse_number=sheet.evse_number, samples=event.samples,
        received_at=event.received_at,
    )  # fmt: skip
    for reading in made:
        readings.enter(sheet, reading, marks=True)
    return made


def _set_place(sheet: Sheet, event: TransactionEvent, place: Place) -> None:
    """An update may come first and name no EVSE; whichever names one is right."""
    if event.evse > 0:
        sheet.evidence.notes = [flag for flag in sheet.evidence.notes if flag != EVSE_UNKNOWN]
        sheet.evse_id, sheet.evse_number, sheet.rating_w = place.evse_id, place.evse_number, place.max_power_w
        if event.connector > 0 or sheet.connector_id is None:
            sheet.connector_id = place.connector_id


def _take_token(sheet: Sheet, event: TransactionEvent, judged: Judgement, at: int, rank: int) -> None:
    uid = normal_uid(event.token.uid if event.token else "")[:255]
    if event.kind == "ended":
        sheet.stop_token_uid = sheet.stop_token_uid or uid
    before = sheet.evidence.token
    sheet.evidence.show(rank, at, uid)
    if sheet.evidence.token != before:
        sheet.token_uid, sheet.token_id = uid, judged.token_id
        sheet.driver_id, sheet.fleet_id, sheet.verdict = (
            judged.driver_id,
            judged.fleet_id,
            judged.verdict.value,
        )
        notes = set(sheet.evidence.notes) - {TOKEN_REFUSED, OFFLINE_TOKEN, NO_IDENTIFICATION}
        if judged.verdict != Verdict.ACCEPTED:
            notes.add(_refusal(event, judged))
        sheet.evidence.notes = sorted(notes)


def _refusal(event: TransactionEvent, judged: Judgement) -> str:
    """What is odd about a session that began although its token was not accepted."""
    if event.token is not None and event.token.kind in access.ANONYMOUS:
        return NO_IDENTIFICATION
    return OFFLINE_TOKEN if event.offline and judged.token_id is None else TOKEN_REFUSED


def _uses(
    told: Sequence[Told], events: Sequence[TransactionEvent], judged: Sequence[Judgement | None]
) -> list[reservations.Use]:
    """Which of the events may be the use of a reservation: those that name one, or show who charges."""
    return [
        reservations.Use(
            one.sheet.station_id, one.sheet.evse_id, one.sheet.id, event.reservation,
            normal_uid(event.token.uid)[:255] if event.token else "", verdict.group if verdict else "",
            one.occurred_at,
        )
        for one, event, verdict in zip(told, events, judged, strict=True)
        if event.reservation is not None or (event.token is not None and event.kind != "ended")
    ]  # fmt: skip


def _powers(told: Sequence[Told], kept: Sequence[readings.Row]) -> dict[int, readings.Row]:
    """The newest power of each connector that delivers, as its transaction tells it."""
    connectors = {
        one.sheet.id: one.sheet.connector_id for one in told if one.sheet.is_active and one.sheet.connector_id
    }
    latest: dict[int, readings.Row] = {}
    for row in kept:
        connector = connectors.get(row.session_id or 0)
        if connector is None or (row.measured.power_w is None and row.mean_w is None):
            continue
        if connector not in latest or latest[connector].sampled_at <= row.sampled_at:
            latest[connector] = row
    return latest


def _judge(
    tenant_id: int, events: Sequence[TransactionEvent], known: dict[Key, Sheet]
) -> list[Judgement | None]:
    """A verdict for each event that shows a token."""
    showing = [n for n, event in enumerate(events) if event.token is not None]
    if not showing:
        return [None] * len(events)
    shown, uids = [], []
    for n in showing:
        event = events[n]
        assert event.token is not None
        at, _flags = clock.sanitise(event.raw_timestamp, event.received_at)
        uids.append(normal_uid(event.token.uid)[:255])
        shown.append(Shown(uids[-1], known[_key(event)].site_id, at, event.token.kind))
    verdicts: dict[int, Judgement] = {}
    uses, found = rows.together(tenant_id, tokens.running(uids), authorization.judge(shown))
    judgements = access.admitted(
        tenant_id,
        [
            (known[_key(events[n])].station_id, events[n].token, one)
            for n, one in zip(showing, found, strict=True)
        ],
        starts=[events[n].kind != "ended" and "Stop" not in events[n].trigger for n in showing],
    )
    for n, uid, judged in zip(showing, uids, judgements, strict=True):
        event, sheet = events[n], known[_key(events[n])]
        use = tokens.Use(sheet.station_id, sheet.evse_id)
        late = event.offline or tokens.is_late(sheet.started_at, event.received_at)
        elsewhere = bool(uses.get(uid, set()) - {use}) and event.kind != "ended" and not late
        verdicts[n] = tokens.concurrent(judged, elsewhere)
        if verdicts[n].verdict == Verdict.ACCEPTED and event.kind != "ended" and not late:
            uses.setdefault(uid, set()).add(use)
    return [verdicts.get(n) for n in range(len(events))]


def _asked(events: Sequence[TransactionEvent]) -> rows.Lookup[dict[int, remote.Asked]]:
    """Which commands asked for these sessions, where the station says that one did. Keyed by place in `events`."""
    telling = [n for n, event in enumerate(events) if event.remote_start_id is not None]
    asked = yield from remote.commands(
        [(events[n].station_id, "", events[n].received_at, events[n].remote_start_id, 0) for n in telling]
    )
    return {n: command for n, command in zip(telling, asked, strict=True) if command}


def _with_asked_tokens(
    events: Sequence[TransactionEvent], asked: Mapping[int, remote.Asked]
) -> list[TransactionEvent]:
    """A station may leave out the token of a remote start, since we know it."""
    return [
        replace(event, token=TokenShown(asked[n].token_uid, asked[n].token_kind))
        if event.token is None and event.kind != "ended" and n in asked and asked[n].token_uid
        else event
        for n, event in enumerate(events)
    ]


def _link_commands(
    tenant_id: int,
    events: Sequence[TransactionEvent],
    known: dict[Key, Sheet],
    asked: Mapping[int, remote.Asked],
) -> None:
    sheets.link(tenant_id, [(known[_key(events[n])].id, one.command_id) for n, one in asked.items()])


def _replaced(tenant_id: int, fresh: Iterable[Sheet]) -> list[Sheet]:
    """Close what still ran on the EVSEs of sessions that have begun."""
    begun = [sheet for sheet in fresh if sheet.is_active]
    on_evse = rows.alone(tenant_id, guardian.older_on(begun))
    return [
        older
        for newer in begun
        for older in on_evse.get(newer.evse_id, ())
        if older.id < newer.id and guardian.replace_older(older, newer.started_at)
    ]
