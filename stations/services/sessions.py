"""1.6 sessions: a start and a stop, each of which may be told many times, days late or after a lost reply."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from billing.services import tariffs
from fleets.models import Verdict
from fleets.services import authorization
from fleets.services.authorization import Judgement, Shown
from fleets.uid import normal_uid
from stations.neutral import StartAnswer, StartRequest, StopAnswer, StopRequest
from stations.services import (
    access,
    chronicle,
    clock,
    guardian,
    meters,
    orphans,
    places,
    quirks,
    readings,
    remote,
    reservations,
    sheets,
    tokens,
)
from stations.services.chronicle import Told, content_hash
from stations.services.places import Place
from stations.services.sheet import Sheet, milli, new
from stations.services.tokens import authorize as authorize
from tenants import rows
from tenants.rows import Ask

TOKEN_REFUSED = "token_refused"
OFFLINE_TOKEN = (
    "offline_token"  # charged while nobody could be asked, with a card that nobody knows (2.x C15)
)
CONNECTOR_UNKNOWN = "connector_unknown"


def start(*, tenant_id: int, requests: Sequence[StartRequest]) -> list[StartAnswer]:
    """Open a session for each StartTransaction, or recognise the one that was opened when it came before."""
    starts = [_Start(request) for request in quirks.corrected(tenant_id, requests)]
    uses = _recognise(tenant_id, starts)
    fresh, others = _open(tenant_id, starts, uses)
    replaced = _replaced(fresh, others)
    with rows.at_once():
        sheets.save(tenant_id, replaced)
        chronicle.write(tenant_id, [_told_start(one) for one in fresh])
        reservations.use(tenant_id, [_use(one) for one in fresh])
        chronicle.announce(tenant_id, replaced, started=[one.sheet for one in fresh if one.sheet is not None])
    return [
        StartAnswer(one.number, one.judgement.verdict, one.judgement.group, one.judgement.expires_at)
        for one in starts
    ]


class _Start:
    """One request on its way."""

    place: Place

    def __init__(self, request: StartRequest) -> None:
        self.request = request
        self.wanted = request.station_id, places.sane_number(request.connector), 0
        self.at, self.clock_flags = clock.sanitise(request.raw_timestamp, request.received_at)
        self.uid = normal_uid(request.token.uid)[:255]
        self.key = content_hash(
            "start", request.connector, self.uid, request.raw_timestamp, request.meter_start_wh
        )
        self.judgement = Judgement(Verdict.INVALID)
        self.sheet: Sheet | None = None
        self.number = 0


_NEWEST_OVER = """
SELECT e.id, (SELECT max(s.id) FROM stations_session s
              WHERE s.tenant_id = %(tenant)s AND s.station_id = e.station AND s.evse_id = e.id AND s.state <> 'active')
FROM (SELECT (r->>0)::bigint station, (r->>1)::bigint id FROM json_array_elements(%(rows)s::json) r) e
"""
_KNOWN = """
SELECT x.* FROM json_array_elements(%(rows)s::json) r CROSS JOIN LATERAL (
    SELECT s.station_id, s.start_key, s.transaction_number FROM stations_session s
    WHERE s.tenant_id = %(tenant)s AND s.station_id = (r->>0)::bigint AND s.start_key = r->>1 LIMIT 1) x
"""


def _recognise(tenant_id: int, starts: list[_Start]) -> dict[str, set[tokens.Use]]:
    """Find where each happens, give those that came before their number, and return where their tokens charge.

    A station without a clock starts every session at 1970, and one with a trip meter at 0 Wh: there the key tells
    nothing once the session it belongs to is over, so the newest session that is over becomes part of it.
    """
    clockless = [one for one in starts if clock.BAD_TIMESTAMP in one.clock_flags]
    uses: dict[str, set[tokens.Use]]
    where, uses, numbers = rows.together(
        tenant_id,
        places.find(one.wanted for one in starts),
        tokens.running(one.uid for one in starts),
        _numbers([one for one in starts if clock.BAD_TIMESTAMP not in one.clock_flags]),
    )
    for one in starts:
        one.place = where[one.wanted]
    if clockless:
        evses = sorted({(one.place.station_id, one.place.evse_id) for one in clockless})
        over: dict[int, int] = dict(rows.run(_NEWEST_OVER, tenant_id, evses))
        for one in clockless:
            one.key = content_hash(one.key, over[one.place.evse_id])
        numbers |= rows.alone(tenant_id, _numbers(clockless))
    for one in starts:
        one.number = numbers.get((one.place.station_id, one.key), 0)
    return uses


def _numbers(starts: list[_Start]) -> rows.Lookup[dict[tuple[int, str], int]]:
    """Of those that came before, by station and key."""
    wanted = sorted({(one.request.station_id, one.key) for one in starts})
    found = (yield Ask(_KNOWN, wanted)) if wanted else []
    return {(row[0], row[1]): row[2] for row in found}


def _judge(starts: list[_Start], judged: list[Judgement], uses: dict[str, set[tokens.Use]]) -> None:
    for one, judgement in zip(starts, judged, strict=True):
        use = tokens.Use(one.place.station_id, one.place.evse_id)
        elsewhere = bool(uses.get(one.uid, set()) - {use})
        late = tokens.is_late(one.at, one.request.received_at)
        one.judgement = tokens.concurrent(judgement, elsewhere and not late)
        if one.judgement.verdict == Verdict.ACCEPTED and not late:
            uses.setdefault(one.uid, set()).add(use)  # for the next in this batch


def _open(
    tenant_id: int, starts: list[_Start], uses: dict[str, set[tokens.Use]]
) -> tuple[list[_Start], dict[int, list[Sheet]]]:
    """Write the sessions that are new; each start gets its verdict and number. Returns the new ones, and what else runs
    on their EVSEs."""
    unknown = {(one.place.station_id, one.key): one for one in reversed(starts) if not one.number}
    fresh = [one for one in starts if unknown.get((one.place.station_id, one.key)) is one]
    found, prices, asked = rows.together(
        tenant_id,
        authorization.judge(
            [Shown(one.uid, one.place.site_id, one.at, one.request.token.kind) for one in starts]
        ),
        tariffs.snapshot_for([(one.place.site_id, one.place.tariff_id) for one in fresh]),
        remote.commands(
            [
                (one.place.station_id, one.uid, one.request.received_at, None, one.place.evse_number)
                for one in fresh
            ]
        ),
    )
    judged = access.admitted(
        tenant_id,
        [
            (one.place.station_id, one.request.token, one_found)
            for one, one_found in zip(starts, found, strict=True)
        ],
        starts=[True] * len(starts),
    )
    _judge(starts, judged, uses)
    made = []
    for one, price, command in zip(fresh, prices, asked, strict=True):
        one.sheet = _sheet(one)
        one.sheet.remote_command_id = command.command_id if command else None
        one.sheet.tariff = price
        one.sheet.currency = price["currency"] if price else ""
        made.append(one.sheet)
    is_new, others = rows.together(tenant_id, sheets.insert(made, numbered=True), guardian.older_on(made))
    for one in starts:
        if not one.number:
            first = unknown[one.place.station_id, one.key]
            assert first.sheet is not None and first.sheet.transaction_number is not None
            one.number = first.sheet.transaction_number
    return [one for one, new in zip(fresh, is_new, strict=True) if new], others


def _sheet(one: _Start) -> Sheet:
    request, judged = one.request, one.judgement
    sheet = new(
        place=one.place,
        transaction_id="",
        start_key=one.key,
        started_at=one.at,
        received_at=request.received_at,
    )
    sheet.token_uid, sheet.token_id = one.uid, judged.token_id
    sheet.driver_id, sheet.fleet_id, sheet.verdict = judged.driver_id, judged.fleet_id, judged.verdict.value
    at = clock.milliseconds(one.at)
    sheet.evidence.start(at, clock.milliseconds(request.received_at))
    if meters.is_possible(request.meter_start_wh):
        sheet.evidence.begin(at, milli(request.meter_start_wh))
    sheet.evidence.note(*one.clock_flags)
    if judged.verdict != Verdict.ACCEPTED:
        late = request.received_at - one.at > tokens.QUEUED
        sheet.evidence.note(OFFLINE_TOKEN if late and judged.token_id is None else TOKEN_REFUSED)
    if request.connector != one.place.evse_number:
        sheet.evidence.note(CONNECTOR_UNKNOWN)
    sheet.conclude()
    return sheet


def _replaced(fresh: list[_Start], others: dict[int, list[Sheet]]) -> list[Sheet]:
    """Close what still ran on the EVSEs of new sessions."""
    return [
        sheet
        for one in fresh
        for sheet in others.get(one.place.evse_id, ())
        if one.sheet is not None and sheet.id < one.sheet.id and guardian.replace_older(sheet, one.at)
    ]


def _use(one: _Start) -> reservations.Use:
    assert one.sheet is not None
    number = one.request.reservation
    return reservations.Use(
        one.sheet.station_id, one.sheet.evse_id, one.sheet.id, number, one.uid, one.judgement.group, one.at
    )


def _told_start(one: _Start) -> Told:
    assert one.sheet is not None
    request = one.request
    return Told(
        one.sheet, "started", one.at, request.raw_timestamp, request.received_at, one.key, request.payload
    )


def stop(*, tenant_id: int, requests: Sequence[StopRequest]) -> list[StopAnswer]:
    """End the session of each StopTransaction. One that is unknown here is acknowledged and kept as an orphan, else
    the station repeats it for ever."""
    requests = quirks.corrected(tenant_id, requests)
    found = rows.alone(
        tenant_id, sheets.by_transaction((r.station_id, str(r.transaction_number)) for r in requests)
    )
    judged = _judge_stops(tenant_id, requests, found)
    told: list[Told] = []
    kept: list[readings.Row] = []
    for request in requests:
        sheet = found.get((request.station_id, str(request.transaction_number)))
        if sheet is not None:
            told.append(_told_stop(sheet, request))
            kept += _take_stop(sheet, request)
    with rows.at_once():
        touched = _write_stops(tenant_id, told, kept)
        orphans.keep_stops(
            tenant_id, [r for r in requests if (r.station_id, str(r.transaction_number)) not in found]
        )
        chronicle.announce(tenant_id, touched)
    return [StopAnswer() if j is None else StopAnswer(j.verdict, j.group, j.expires_at) for j in judged]


def apply_stop(*, tenant_id: int, sheet: Sheet, request: StopRequest) -> None:
    """End a session, which the caller holds, by a stop that its station told for another number."""
    told = _told_stop(sheet, request)
    with rows.at_once():
        _write_stops(tenant_id, [told], _take_stop(sheet, request))
        chronicle.announce(tenant_id, [sheet])


def foresee_stop(sheet: Sheet, request: StopRequest) -> None:
    """Make of the sheet, which is not to be saved, what `apply_stop` would make of its session."""
    _take_stop(sheet, request)
    _conclude(sheet)


def _write_stops(tenant_id: int, told: list[Told], kept: list[readings.Row]) -> list[Sheet]:
    """Keep what was told of stops that are in the evidence, and what follows from it."""
    touched = list({one.sheet.id: one.sheet for one in told}.values())
    chronicle.write(tenant_id, told)
    readings.store(tenant_id, kept)
    for sheet in touched:
        _conclude(sheet)
    sheets.save(tenant_id, touched)
    return touched


def _conclude(sheet: Sheet) -> None:
    sheet.conclude()
    guardian.note_late_stop(sheet)


def _judge_stops(
    tenant_id: int, requests: Sequence[StopRequest], found: dict[tuple[int, str], Sheet]
) -> list[Judgement | None]:
    shown: dict[int, Shown] = {}
    for n, request in enumerate(requests):
        sheet = found.get((request.station_id, str(request.transaction_number)))
        if request.token is not None and sheet is not None:
            shown[n] = Shown(normal_uid(request.token.uid)[:255], sheet.site_id, request.received_at)
    judged = rows.alone(tenant_id, authorization.judge(list(shown.values())))
    verdicts = dict(zip(shown, judged, strict=True))
    return [verdicts.get(n) for n in range(len(requests))]


def stop_time(request: StopRequest) -> tuple[datetime, tuple[str, ...]]:
    """When it was, as far as the station's clock can be believed, and what is odd about that."""
    return clock.sanitise(request.raw_timestamp, request.received_at)


def _told_stop(sheet: Sheet, request: StopRequest) -> Told:
    at, _flags = stop_time(request)
    return Told(
        sheet, "ended", at, request.raw_timestamp, request.received_at, orphans.stop_hash(request), request.payload,
        trigger=request.reason,
    )  # fmt: skip


def _take_stop(sheet: Sheet, request: StopRequest) -> list[readings.Row]:
    """Bring a stop into the evidence; its readings are returned for keeping."""
    at, flags = stop_time(request)
    moment, received = clock.milliseconds(at), clock.milliseconds(request.received_at)
    sheet.evidence.stop(moment, received, request.reason)
    if meters.is_possible(request.meter_stop_wh):
        sheet.evidence.end(moment, milli(request.meter_stop_wh))
    sheet.evidence.note(*flags)
    if request.token is not None and not sheet.stop_token_uid:
        sheet.stop_token_uid = normal_uid(request.token.uid)[:255]
    if sheet.ended_received_at is None or request.received_at < sheet.ended_received_at:
        sheet.ended_received_at = request.received_at
    made = readings.rows_of(
        station_id=request.station_id, evse_number=sheet.evse_number, samples=request.samples,
        received_at=request.received_at,
    )  # fmt: skip
    for reading in made:
        readings.enter(sheet, reading, marks=False)
    return made
