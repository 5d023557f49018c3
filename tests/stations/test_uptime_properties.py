"""The arithmetic of uptime against an oracle that looks at every minute, one by one."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stations import ports, spans
from stations.attempts import Attempt
from stations.lanes import Lane, Part
from stations.models import Evse, Exclusion
from stations.services import uptime

pytestmark = pytest.mark.nodb
MINUTES = 400
BEGIN = datetime(2026, 3, 28, 22, tzinfo=UTC)


def at(minute: int) -> datetime:
    return BEGIN + timedelta(minutes=minute)


edges = st.integers(min_value=0, max_value=MINUTES)
raw = st.lists(st.tuples(edges, edges), max_size=12)


def minutes(some: spans.Spans) -> set[int]:
    return {minute for start, end in some for minute in range(start, end)}


@given(raw, raw)
def test_sets_of_time_are_sets_of_minutes(one: spans.Spans, other: spans.Spans) -> None:
    a, b = spans.union(one), spans.union(other)
    assert minutes(a) == minutes(one)
    assert minutes(spans.intersection(a, b)) == minutes(a) & minutes(b)
    assert minutes(spans.difference(a, b)) == minutes(a) - minutes(b)
    assert minutes(spans.clip(one, 50, 300)) == minutes(one) & set(range(50, 300))
    for found in (a, spans.intersection(a, b), spans.difference(a, b)):
        assert all(start < end for start, end in found)
        assert all(x[1] < y[0] for x, y in itertools.pairwise(found)), "neighbours are one"


statuses = st.sampled_from(["available", "charging", "faulted", "unavailable", "unknown"])
changes = st.lists(st.tuples(edges, statuses), max_size=8)
categories = st.sampled_from(
    ["utility", "network", "vehicle", "maintenance", "vandalism", "blocked", "closed"]
)
excuses = st.lists(st.tuples(edges, edges, categories), max_size=6)
tries = st.lists(st.tuples(edges, st.booleans()), max_size=8)


def lane(number: int, told: list[tuple[int, str]]) -> tuple[Lane, list[str]]:
    """The lane, and the status of each minute."""
    by_minute = ["unknown"] * MINUTES
    for minute, status in sorted(told, key=lambda one: one[0]):
        by_minute[minute:] = [status] * (MINUTES - minute)
    parts = [Part(at(n), at(n + 1), status) for n, status in enumerate(by_minute)]
    return Lane(1 if number else 0, number, parts), by_minute


@settings(max_examples=150)
@given(changes, changes, changes, raw, raw, excuses, tries)
def test_a_port_against_every_minute(
    first: list[tuple[int, str]], second: list[tuple[int, str]], station: list[tuple[int, str]],
    sockets: spans.Spans, used: spans.Spans, excused: list[tuple[int, int, str]],
    tried: list[tuple[int, bool]],
) -> None:  # fmt: skip
    """Two connectors of one EVSE, a station that tells of itself, a line that breaks, exclusions that overlap."""
    lanes_and_minutes = [lane(1, first), lane(2, second), lane(0, station)]
    (one, two, whole) = (states for _lane, states in lanes_and_minutes)
    exclusions = [
        Exclusion(category=category, starts_at=at(start), ends_at=at(end))
        for start, end, category in excused
        if end > start
    ]
    attempts = [
        Attempt(1, 1, at(minute), ok, "", n)
        for n, (minute, ok) in enumerate(sorted(tried, key=lambda one: one[0]))
    ]
    online = spans.union((at(a), at(b)) for a, b in sockets)
    in_use = spans.union((at(a), at(b)) for a, b in used)
    port = ports._port(
        Evse(number=1), [(at(0), at(MINUTES))], online, [part for part, _minutes in lanes_and_minutes],
        attempts, in_use, exclusions,
    )  # fmt: skip

    def holds(some: spans.Spans, minute: int) -> bool:
        return any(start <= at(minute) < end for start, end in some)

    doubt = ports.doubtful(attempts)
    for minute in range(MINUTES):
        here = {one[minute], two[minute]}
        told_down = here <= {"faulted", "unavailable"} or whole[minute] in ("faulted", "unavailable")
        is_offline = not holds(online, minute) and not holds(in_use, minute)
        unknown = here == {"unknown"} and not is_offline and not told_down and not holds(in_use, minute)
        outage = (is_offline or told_down) and not unknown
        kinds = {x.category for x in exclusions if x.starts_at <= at(minute) < x.ends_at}
        assert holds(port.unknown, minute) == unknown
        assert holds(port.period, minute) != unknown
        assert holds(port.outage, minute) == outage
        excused_here = bool(kinds & set(ports.US_CATEGORIES))
        assert holds(port.excluded, minute) == (outage and excused_here)
        in_doubt = holds(doubt, minute) and not excused_here
        assert holds(port.failed, minute) == (in_doubt and not outage and not unknown)
        uk = told_down and holds(online, minute) and not kinds & set(ports.UK_CATEGORIES)
        assert holds(port.uk_down, minute) == uk
        assert holds(port.uk_period, minute) == ("closed" not in kinds)


@given(st.integers(1, 525_600), st.data())
def test_the_formula_of_680_116(period: int, data: st.DataObject) -> None:
    outage = data.draw(st.integers(0, period))
    excluded = data.draw(st.integers(0, outage))
    percent = uptime.percent(period_s=period * 60, outage_s=outage * 60, excluded_s=excluded * 60)
    exact = Fraction(period - (outage - excluded), period) * 100
    assert percent is not None
    assert abs(Fraction(percent) - exact) <= Fraction(1, 20_000), "four decimals"
    assert percent <= Decimal(100)


def test_the_year_of_the_regulation() -> None:
    """mu = (525,600 - (T_outage - T_excluded)) / 525,600 x 100; above 97 % passes, 97 % itself does not."""
    limit = 525_600 * 60 * 3 // 100
    assert uptime.percent(period_s=525_600 * 60, outage_s=limit, excluded_s=0) == Decimal("97.0000")
    assert not uptime.passes("us", period_s=525_600 * 60, outage_s=limit)
    assert uptime.passes("us", period_s=525_600 * 60, outage_s=limit - 60)
    assert uptime.passes("uk", period_s=100, outage_s=1) and not uptime.passes(
        "uk", period_s=1000, outage_s=11
    )
    assert uptime.percent(period_s=0, outage_s=0, excluded_s=0) is None
