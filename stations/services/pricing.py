"""What stations are answered about money: the price beside a verdict, the cost of what has ended, what bounds a start.

These verbs wrap those that authorise and record. Their answer never waits for a price that is not certain yet, and
nothing that goes wrong here costs a verdict or a session: then the answer goes out without money.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from django.db import transaction
from django.utils import timezone

from billing.services import rating, tariffs
from billing.usage import simple_usage
from billing.words import price_words
from fleets.models import Verdict
from fleets.uid import normal_uid
from stations.models import LimitOrigin, SessionCost, SessionState
from stations.neutral import (
    AuthorizeAnswer,
    AuthorizeRequest,
    SessionLimit,
    TransactionAnswer,
    TransactionEvent,
)
from stations.services import access, prepaid, sessions, showing, start_limits, transactions, web_payments
from tenants import rows
from tenants.context import current_alias

log = logging.getLogger("voltyard.pricing")
Answer = TypeVar("Answer")


def _or_without(tenant_id: int, answers: list[Answer], more: Callable[[], list[Answer]]) -> list[Answer]:
    """The answers with money, or as they were: what follows is an addition."""
    try:
        with transaction.atomic(using=current_alias()):
            return more()
    except Exception:
        log.exception("answered without prices", extra={"tenant": tenant_id})
        return answers


# --- shown a token ---

_PLACES = """
SELECT x.* FROM (SELECT (r#>>'{}')::bigint station FROM json_array_elements(%(rows)s::json) r OFFSET 0) w
CROSS JOIN LATERAL (SELECT s.id, s.site_id, s.tariff_id FROM stations_station s
                    WHERE s.tenant_id = %(tenant)s AND s.id = w.station LIMIT 1) x
"""


def authorize(*, tenant_id: int, requests: Sequence[AuthorizeRequest]) -> list[AuthorizeAnswer]:
    """The verdicts; a prepaid token without credit is refused (C17), and where the station shows prices, the driver's
    stands beside the verdict (I01, I07)."""
    answers = sessions.authorize(tenant_id=tenant_id, requests=requests)
    if all(answer.verdict != Verdict.ACCEPTED for answer in answers):
        return answers
    return _or_without(tenant_id, answers, lambda: _priced(tenant_id, requests, answers))


def _priced(
    tenant_id: int, requests: Sequence[AuthorizeRequest], answers: list[AuthorizeAnswer]
) -> list[AuthorizeAnswer]:
    uids = [normal_uid(request.token.uid)[:255] for request in requests]
    stations = {request.station_id for request in requests}
    credit, shows, both_ways = rows.together(
        tenant_id, prepaid.free(uids), showing.abilities(stations), access.bidirectional(stations)
    )
    terms = _terms(tenant_id, {station for station, able in shows.items() if able.price})
    told = []
    for request, uid, answer in zip(requests, uids, answers, strict=True):
        price = terms.get(request.station_id)
        if answer.verdict != Verdict.ACCEPTED:
            told.append(answer)
        elif uid in credit and credit[uid][2] <= 0:
            told.append(replace(answer, verdict=Verdict.BLOCKED, no_credit=True))
        else:
            words = ", ".join(price_words(price)) if price else ""
            told.append(
                replace(
                    answer, message=answer.message or words, tariff=price,
                    bidirectional=both_ways.get(request.station_id, False),
                )
            )  # fmt: skip
    return told


def _terms(tenant_id: int, station_ids: set[int]) -> dict[int, dict[str, Any]]:
    """The tariff that a session would have now, at each of these stations that has one."""
    if not station_ids:
        return {}
    found = rows.run(_PLACES, tenant_id, sorted(station_ids))
    terms = rows.alone(tenant_id, tariffs.snapshot_for([(site, tariff) for _id, site, tariff in found]))
    return {row[0]: price for row, price in zip(found, terms, strict=True) if price}


# --- transactions ---


class _Found(NamedTuple):
    """A session as it stands after its events."""

    station_id: int
    transaction_id: str
    session_id: int
    state: str
    energy_wh: Decimal
    tariff: dict[str, Any] | None
    cost: Decimal | None
    token_uid: str
    verdict: str
    started_at: datetime
    limits: tuple[Decimal | None, Decimal | None, int | None, int | None, str]


_SESSIONS = """
SELECT x.* FROM json_array_elements(%(rows)s::json) r CROSS JOIN LATERAL (
    SELECT s.station_id, s.transaction_id, s.id, s.state, s.energy_wh, s.tariff::text, s.cost_incl_tax, s.token_uid,
        s.verdict, s.started_at, c.limit_cost, c.limit_energy_wh, c.limit_seconds, c.limit_soc,
        coalesce(c.limit_origin, '')
    FROM stations_session s LEFT JOIN stations_sessioncost c ON c.tenant_id = %(tenant)s AND c.session_id = s.id
    WHERE s.tenant_id = %(tenant)s AND s.station_id = (r->>0)::bigint AND s.transaction_id = r->>1 LIMIT 1) x
"""


def record_events(*, tenant_id: int, requests: Sequence[TransactionEvent]) -> list[TransactionAnswer]:
    """Bring events into their sessions. The answer to an end carries the cost, where it is certain (I03); that to a
    token its price, where the station shows prices (I06): a station that knows the token asks for no authorisation."""
    answers = transactions.record(tenant_id=tenant_id, events=requests)
    if not any(event.kind == "ended" or event.token for event in requests):
        return answers
    return _or_without(tenant_id, answers, lambda: _with_money(tenant_id, requests, answers, limits=False))


def record_events_with_limits(
    *, tenant_id: int, requests: Sequence[TransactionEvent]
) -> list[TransactionAnswer]:
    """As `record_events`; the answer to a start says what bounds the session (E16), and what the station reckons is
    kept (I12)."""
    answers = transactions.record(tenant_id=tenant_id, events=requests)
    if not any(event.kind == "ended" or _tells(event) or event.token for event in requests):
        return answers
    return _or_without(tenant_id, answers, lambda: _with_money(tenant_id, requests, answers, limits=True))


def _tells(event: TransactionEvent) -> bool:
    return event.cost is not None or bool(event.tariff_id) or event.limit is not None


def _with_money(
    tenant_id: int, events: Sequence[TransactionEvent], answers: list[TransactionAnswer], *, limits: bool
) -> list[TransactionAnswer]:
    accepted = [
        event.station_id
        for event, answer in zip(events, answers, strict=True)
        if event.kind != "ended" and answer.verdict == Verdict.ACCEPTED
    ]
    shows = showing.of(tenant_id, accepted) if accepted else {}
    prices = any(able.price for able in shows.values())
    if not limits and not prices and all(event.kind != "ended" for event in events):
        return answers  # most stations of 2.0.1 show none: their starts cost no more than that look
    wanted = sorted({(event.station_id, event.transaction_id[:64]) for event in events})
    found = {(row[0], row[1]): _found(row) for row in rows.run(_SESSIONS, tenant_id, wanted)}
    if limits:
        _keep_told(tenant_id, events, found)
        starting = {key: one for key, one in found.items() if one.state == SessionState.ACTIVE}
        remote = {_key(event) for event in events if event.remote_start_id is not None}
        bounds = _bounds(tenant_id, starting, {_key(event) for event in events if event.token is not None})
        bounds |= _ordered(tenant_id, starting, remote - set(bounds))
    told = []
    for event, answer in zip(events, answers, strict=True):
        one = found.get(_key(event))
        if one is None:
            told.append(answer)
            continue
        if event.kind == "ended":
            told.append(_ended(tenant_id, one, answer))
            continue
        able = shows.get(event.station_id)
        if able is not None and able.price and one.tariff and answer.verdict == Verdict.ACCEPTED:
            answer = replace(answer, text=", ".join(price_words(one.tariff)))
        if limits and _key(event) in bounds and (event.token is not None or event.kind == "started"):
            told.append(_bounded(answer, bounds[_key(event)]))
        else:
            told.append(answer)
    return told


def _found(row: tuple[Any, ...]) -> _Found:
    terms = json.loads(row[5]) if row[5] else None
    return _Found(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        terms,
        row[6],
        row[7],
        row[8],
        row[9],
        (row[10], row[11], row[12], row[13], row[14]),
    )


def _key(event: TransactionEvent) -> tuple[int, str]:
    return event.station_id, event.transaction_id[:64]


CERTAIN = frozenset({"ENERGY", "FLAT"})  # prices that need no more than how much flowed


def certain_total(one: Any) -> Decimal | None:
    """What an ended session costs, if its energy alone says so; None where the price needs its curve, or a review."""
    if one.cost is not None:
        return Decimal(one.cost)
    if one.state != SessionState.ENDED or one.tariff is None or not is_certain(one.tariff):
        return None
    used = simple_usage(
        started_at=one.started_at, ended_at=one.started_at, time_zone="UTC", energy_wh=Decimal(one.energy_wh)
    )
    return rating.rate(tariff=one.tariff, usage=used).incl_tax


def is_certain(tariff: dict[str, Any]) -> bool:
    return all(
        not element.get("restrictions")
        and all(component["type"] in CERTAIN for component in element["price_components"])
        for element in tariff["elements"]
    )


def _ended(tenant_id: int, one: _Found, answer: TransactionAnswer) -> TransactionAnswer:
    total = certain_total(one)
    if total is None or one.tariff is None:
        return answer
    _keep_final(tenant_id, one.session_id, total)
    kwh = (one.energy_wh / 1000).quantize(Decimal("0.01"))
    return replace(answer, total=total, text=f"{total} {one.tariff['currency']} · {kwh} kWh")


_FINAL = """
INSERT INTO stations_sessioncost (tenant_id, session_id, final, final_at, final_how, shown_count, station_tariff,
    station_currency, limit_origin, limit_reached)
SELECT %(tenant)s, (r->>0)::bigint, (r->>1)::numeric, now(), 'answer', 0, '', '', '', ''
FROM json_array_elements(%(rows)s::json) r
ON CONFLICT (session_id, tenant_id) DO UPDATE SET final = excluded.final, final_at = excluded.final_at,
    final_how = excluded.final_how
"""


def _keep_final(tenant_id: int, session_id: int, total: Decimal) -> None:
    rows.run(_FINAL, tenant_id, [[session_id, str(total)]])


def _keep_told(
    tenant_id: int, events: Sequence[TransactionEvent], found: dict[tuple[int, str], _Found]
) -> None:
    """What the stations reckon, and which bounds they say hold."""
    for event in events:
        one = found.get(_key(event))
        if one is None or not _tells(event):
            continue
        values: dict[str, Any] = {}
        if event.tariff_id:
            values["station_tariff"] = event.tariff_id[:60]
        if event.cost is not None:
            values |= {
                "station_total": _money(event.cost.total_incl),
                "station_currency": event.cost.currency[:3],
                "station_details": event.cost.details,
            }
        if event.limit is not None and event.limit.any and one.limits[4] in ("", LimitOrigin.STATION):
            # One that we did not set was chosen at the station (C18).
            values |= {
                "limit_cost": _money(event.limit.cost),
                "limit_energy_wh": _money(event.limit.energy_wh),
                "limit_seconds": _small(event.limit.seconds),
                "limit_soc": event.limit.soc_percent,
                "limit_origin": LimitOrigin.STATION,
            }
        if values:
            SessionCost.objects.update_or_create(
                tenant_id=tenant_id, session_id=one.session_id, defaults=values
            )


def _money(value: Decimal | None) -> Decimal | None:
    """What the column can hold; None for the absurd."""
    return value.quantize(Decimal("0.001")) if value is not None and abs(value) < 1_000_000_000 else None


def _small(seconds: int | None) -> int | None:
    return seconds if seconds is not None and 0 <= seconds < 2**31 else None


def _bounds(
    tenant_id: int, active: dict[tuple[int, str], _Found], shown: set[tuple[int, str]]
) -> dict[tuple[int, str], SessionLimit | None]:
    """What bounds the sessions: what was set before, else the free credit of a prepaid token; None: there is none."""
    bounds: dict[tuple[int, str], SessionLimit | None] = {}
    fresh = []
    for key, one in active.items():
        if one.limits[4]:
            if one.limits[4] != LimitOrigin.STATION:
                bounds[key] = SessionLimit(*one.limits[:4])
        elif key in shown and one.token_uid and one.verdict == Verdict.ACCEPTED and one.tariff is not None:
            fresh.append((key, one))
    credit = rows.alone(tenant_id, prepaid.free(one.token_uid for _key_, one in fresh)) if fresh else {}
    for key, one in fresh:
        paid = web_payments.of_token(tenant_id=tenant_id, station_id=one.station_id, token_uid=one.token_uid)
        if paid is not None:
            web_payments.bind(paid, one.session_id, told=True)
            bounds[key] = SessionLimit(cost=paid.limit_cost)
        elif one.token_uid in credit:
            currency, token_id, left = credit[one.token_uid]
            bounds[key] = bind(tenant_id, one.session_id, one.tariff, currency, left, told=True)
            credit[one.token_uid] = (currency, token_id, Decimal(0))  # two in one batch share it no more
    return bounds


def _ordered(
    tenant_id: int, active: dict[tuple[int, str], _Found], remote: set[tuple[int, str]]
) -> dict[tuple[int, str], SessionLimit | None]:
    """Of sessions that an operator started: what the start allows."""
    fresh = {one.session_id: key for key, one in active.items() if key in remote and not one.limits[4]}
    found = start_limits.bind(tenant_id, list(fresh), told=True) if fresh else {}
    return {fresh[session_id]: limit for session_id, limit in found.items()}


def bind(
    tenant_id: int,
    session_id: int,
    tariff: dict[str, Any] | None,
    currency: str,
    left: Decimal,
    *,
    told: bool,
) -> SessionLimit | None:
    """Let a session use the credit of its token. None where nothing is left, or the price is in other money."""
    if tariff is None or tariff["currency"] != currency:
        return None
    bound = max(left, Decimal(0))
    values: dict[str, Any] = {"limit_cost": bound, "limit_origin": LimitOrigin.PREPAID}
    if told:
        values["limit_told_at"] = timezone.now()
    SessionCost.objects.update_or_create(tenant_id=tenant_id, session_id=session_id, defaults=values)
    return SessionLimit(cost=bound) if bound > 0 else None


def _bounded(answer: TransactionAnswer, bound: SessionLimit | None) -> TransactionAnswer:
    if bound is None:  # C17: no credit left, or of another currency
        refused = answer.verdict == Verdict.ACCEPTED
        return replace(answer, verdict=Verdict.BLOCKED if refused else answer.verdict, no_credit=refused)
    return replace(answer, limit=bound)
