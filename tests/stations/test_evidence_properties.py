"""Laws that hold whatever a station says: merging is order-free, sanitising total, usage exact."""

from __future__ import annotations

import copy
import random
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stations.neutral import SampledValue
from stations.services import clock
from stations.services.evidence import Evidence, Mark, conclude, mean_power
from stations.services.meters import measured
from stations.services.usage import Point, State, usage

pytestmark = pytest.mark.nodb


def _bare(year: int, month: int, day: int) -> datetime:
    """Bounds for hypothesis, which wants them without zone."""
    return datetime(year, month, day, tzinfo=UTC).replace(tzinfo=None)


NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


# Clock


@given(st.text(max_size=40))
def test_any_text_gives_a_usable_time(raw: str) -> None:
    at, _flags = clock.sanitise(raw, NOW)
    assert at.utcoffset() == timedelta(0)
    assert NOW - clock.MAX_BEHIND <= at <= NOW + clock.MAX_AHEAD


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-14 * 60, 14 * 60))
def test_a_zone_never_moves_the_instant(at: datetime, offset: int) -> None:
    zoned = at.replace(year=2026, month=5, day=20).astimezone(timezone(timedelta(minutes=offset)))
    assert clock.sanitise(zoned.isoformat(), NOW)[0] == zoned


@given(st.datetimes(min_value=_bare(1, 1, 2), max_value=_bare(9999, 12, 30)))
def test_told_times_stand_within_bounds_and_are_flagged_beyond(told: datetime) -> None:
    aware = told.replace(tzinfo=UTC)
    at, flags = clock.sanitise(aware.isoformat(), NOW)
    if NOW - clock.MAX_BEHIND <= aware <= NOW + clock.MAX_AHEAD:
        assert (at, flags) == (aware, ())
    else:
        assert at == NOW
        assert flags


@given(st.datetimes(min_value=_bare(1971, 1, 1), max_value=_bare(2100, 1, 1), timezones=st.just(UTC)))
def test_milliseconds_come_back(at: datetime) -> None:
    exact = at.replace(microsecond=at.microsecond // 1000 * 1000)
    assert clock.from_milliseconds(clock.milliseconds(exact)) == exact


@pytest.mark.parametrize(
    "raw",
    [
        "2026-06-01T12:00:00Z",
        "2026-06-01T12:00:00.123456789Z",
        " 2026-06-01T14:00:00+02:00 ",
        "2026-06-01 12:00:00Z",
    ],
)
def test_spellings_of_one_time(raw: str) -> None:
    at, flags = clock.sanitise(raw, NOW)
    assert at.replace(microsecond=0) == NOW
    assert flags == ()


# Units

numbers = st.decimals(allow_nan=True, allow_infinity=True)
texts = st.sampled_from(["", "Wh", "kWh", "W", "kW", "A", "V", "Percent", "varh", "Celcius", "??"])


@given(
    st.lists(
        st.builds(
            SampledValue,
            measurand=st.sampled_from(
                [
                    "",
                    "Energy.Active.Import.Register",
                    "Power.Active.Import",
                    "SoC",
                    "Voltage",
                    "Current.Import",
                    "X",
                ]
            ),
            value=st.none() | numbers,
            raw=st.text(max_size=5),
            unit=texts,
            phase=st.sampled_from(["", "L1", "L2", "L3", "N", "L1-N", "L1-L2", "odd"]),
            location=st.sampled_from(["", "Outlet", "Inlet", "EV", "Body", "odd"]),
            multiplier=st.integers(-400, 400),
        ),
        max_size=8,
    )
)
def test_no_values_break_the_reader(values: list[SampledValue]) -> None:
    result = measured(values)
    assert result.energy_wh is None or abs(result.energy_wh) < 10**13


@given(st.decimals(min_value=0, max_value=10**6, places=3))
def test_kwh_and_multiplier_say_the_same(number: Decimal) -> None:
    in_kwh = measured([SampledValue("", number, str(number), unit="kWh")])
    by_power_of_ten = measured([SampledValue("", number, str(number), unit="Wh", multiplier=3)])
    assert in_kwh.energy_wh == by_power_of_ten.energy_wh == number * 1000


# Evidence

moments = st.integers(1_780_000_000_000, 1_780_090_000_000)
registers = st.integers(-(10**9), 10**12)
said = st.one_of(
    st.tuples(st.just("begin"), moments, registers),
    st.tuples(st.just("end"), moments, registers),
    st.tuples(st.just("register"), moments, registers),
    st.tuples(st.just("start"), moments, moments),
    st.tuples(st.just("stop"), moments, moments, st.sampled_from(["", "Local", "EVDisconnected"])),
    st.tuples(st.just("show"), st.integers(0, 2), moments, st.sampled_from(["A", "B"])),
    st.tuples(st.just("state"), moments, st.sampled_from(["charging", "idle"])),
    st.tuples(st.just("note"), st.sampled_from(["no_zone", "token_refused"])),
    st.tuples(st.just("sequence"), st.integers(0, 20)),
    st.tuples(st.just("power"), st.floats(0, 10**6)),
    st.tuples(st.just("heard"), moments),
    st.tuples(st.just("circumstance"), moments, st.sampled_from(["phases", "asleep"]), st.integers(0, 3)),
)

marks = st.tuples(st.sampled_from(["begin", "end", "register", "start"]), moments, moments)


def told(messages: list[tuple[Any, ...]]) -> Evidence:
    evidence = Evidence()
    for verb, *words in messages:
        getattr(evidence, verb)(*words)
    return evidence


@given(
    st.lists(said, max_size=25) | st.lists(marks, min_size=2, max_size=8), st.randoms(use_true_random=False)
)
def test_the_order_of_messages_and_their_repeats_change_nothing(
    messages: list[tuple[Any, ...]], chance: random.Random
) -> None:
    shuffled = messages + chance.choices(messages, k=len(messages)) if messages else []
    chance.shuffle(shuffled)
    once, often = told(messages), told(shuffled)
    assert once.to_json() == often.to_json()
    assert conclude(once, rating_w=22000) == conclude(often, rating_w=22000)


@given(st.lists(said, max_size=25))
def test_evidence_survives_being_kept(messages: list[tuple[Any, ...]]) -> None:
    evidence = told(messages)
    kept = Evidence.from_json(copy.deepcopy(evidence.to_json()))
    assert kept == evidence


@given(st.lists(said, max_size=25))
def test_energy_is_stop_minus_start_or_something_holds_it(messages: list[tuple[Any, ...]]) -> None:
    evidence = told([*messages, ("stop", 1_780_050_000_000, 0, "")])
    figures = conclude(evidence, rating_w=22000)
    if "meter_missing" not in figures.flags:
        assert figures.meter_stop is not None
        assert figures.meter_start is not None
        assert figures.energy == figures.meter_stop - figures.meter_start
        assert figures.energy >= 0 or "meter_rollback" in figures.flags


@given(st.tuples(moments, registers), st.tuples(moments, registers), st.integers(0, 400_000))
def test_a_mean_power_is_possible_or_none(before: Mark, after: Mark, rating_w: int) -> None:
    watts = mean_power(before, after, rating_w=rating_w)
    assert watts is None or (
        0 <= watts <= 2 * (rating_w or 400_000) and after[0] - before[0] >= 5000 and after[1] >= before[1]
    )


# Usage

minutes = st.integers(0, 600)


@given(
    length=st.integers(1, 600),
    energy=st.decimals(min_value=0, max_value=100_000, places=3),
    points=st.lists(
        st.tuples(minutes, st.decimals(min_value=-1000, max_value=200_000, places=3)), max_size=15
    ),
    states=st.lists(st.tuples(minutes, st.booleans()), max_size=8),
)
def test_usage_adds_up_without_gap(
    length: int, energy: Decimal, points: list[tuple[int, Decimal]], states: list[tuple[int, bool]]
) -> None:
    start, stop = NOW, NOW + timedelta(minutes=length)
    used = usage(
        started_at=start,
        ended_at=stop,
        meter_start_wh=Decimal(1000),
        energy_wh=energy,
        time_zone="Europe/Berlin",
        points=[Point(NOW + timedelta(minutes=at), register) for at, register in points],
        states=[State(NOW + timedelta(minutes=at), charging) for at, charging in states],
    )
    assert used.energy_wh == energy
    assert used.charging_seconds + used.parking_seconds == length * 60
    assert [period.start for period in used.periods] == [start, *(period.end for period in used.periods[:-1])]
    assert used.periods[-1].end == stop
    assert all(period.energy_wh == 0 for period in used.periods if not period.charging)


def test_a_coarse_register_that_stands_still_between_steps_is_charging() -> None:
    steps = [Point(NOW + timedelta(minutes=n), Decimal(1000 + n // 3 * 100)) for n in range(61)]
    used = usage(
        started_at=NOW, ended_at=NOW + timedelta(minutes=60), meter_start_wh=Decimal(1000), energy_wh=Decimal(2000),
        time_zone="UTC", points=steps,
    )  # fmt: skip
    assert used.parking_seconds <= 180


@pytest.mark.parametrize(("seconds", "parked"), [(0.1, 0), (45, 0), (300, 300)])
def test_the_moment_between_start_and_charging_is_no_parking(seconds: float, parked: int) -> None:
    """1.6 tells "charging" after StartTransaction was answered."""
    used = usage(
        started_at=NOW, ended_at=NOW + timedelta(hours=1), meter_start_wh=Decimal(0), energy_wh=Decimal(5000),
        time_zone="UTC",
        states=[State(NOW - timedelta(seconds=5), False), State(NOW + timedelta(seconds=seconds), True)],
    )  # fmt: skip
    assert used.parking_seconds == parked
