"""The composite schedule: published vectors, and whatever profiles there may be against an oracle that looks at each
moment by itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stations import schedules
from stations.schedules import Hardware, Period, Profile, Slice, Station

pytestmark = pytest.mark.nodb
VECTORS = json.loads(
    (Path(__file__).parent / "data" / "composite_schedule_vectors.json").read_text(encoding="utf-8")
)["vectors"]
PURPOSES = {
    "ChargingStationMaxProfile": schedules.STATION_MAX,
    "TxDefaultProfile": schedules.DEFAULT,
    "TxProfile": schedules.TRANSACTION,
    "ChargingStationExternalConstraints": schedules.EXTERNAL,
}
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def read(told: dict[str, Any]) -> Profile:
    schedule = told["schedule"]
    return Profile(
        evse=told["evseId"],
        purpose=PURPOSES[told["purpose"]],
        kind=told["kind"].lower(),
        unit=schedule["unit"],
        number=told["id"],
        stack_level=told["stackLevel"],
        recurrency=(told["recurrency"] or "").lower(),
        starts_at=moment(schedule["startSchedule"]),
        duration_s=schedule["duration"],
        valid_from=moment(told["validFrom"]),
        valid_to=moment(told["validTo"]),
        periods=tuple(
            Period(period["startPeriod"], period["limit"], period.get("numberPhases"))
            for period in schedule["periods"]
        ),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_published_vectors(vector: dict[str, Any]) -> None:
    config, asked = vector["config"], vector["request"]
    best = Hardware(config["defaultLimitA"], config["defaultLimitW"], config["defaultNumberPhases"])
    station = Station(
        profiles=[read(told) for told in vector["profiles"]],
        evses=dict.fromkeys(range(1, config["nrOfEvses"] + 1), best),
        whole=best,
        transactions={
            int(evse): ("", datetime.fromisoformat(running["start"]))
            for evse, running in vector["transactions"].items()
        },
    )
    start, end = datetime.fromisoformat(asked["start"]), datetime.fromisoformat(asked["end"])
    found = _seen(station.composite(asked["evseId"], start, end, asked["unit"]), vector["checkPhases"])
    assert found == [
        (
            period["startPeriod"],
            period["limit"],
            period.get("numberPhases") if vector["checkPhases"] else None,
        )
        for period in vector["expected"]
    ]


def _seen(slices: list[Slice], phases: bool) -> list[tuple[int, float, int | None]]:
    """As a station tells it: a period for each change of what it tells."""
    found: list[tuple[int, float, int | None]] = []
    for one in slices:
        told = (one.start_s, round(one.limit, 1), one.phases if phases else None)
        if not found or found[-1][1:] != told[1:]:
            found.append(told)
    return found


# --- whatever profiles there are ---

SECONDS = st.integers(0, 90)


@st.composite
def periods(draw: st.DrawFn) -> tuple[Period, ...]:
    starts = sorted({0, *draw(st.lists(SECONDS, max_size=3))})
    return tuple(
        Period(start, draw(st.integers(0, 40)) * 1.0, draw(st.sampled_from([None, 1, 3]))) for start in starts
    )


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    purpose = draw(st.sampled_from(list(PURPOSES.values())))
    kind = draw(st.sampled_from([schedules.ABSOLUTE, schedules.RECURRING, schedules.RELATIVE]))
    optional = st.one_of(st.none(), st.integers(-100, 100).map(lambda s: START + timedelta(seconds=s)))
    evse = 0 if purpose == schedules.STATION_MAX else draw(st.integers(0, 2))
    if purpose == schedules.TRANSACTION:
        evse = max(1, evse)
    return Profile(
        evse=evse,
        purpose=purpose,
        kind=kind,
        unit=draw(st.sampled_from(["A", "W"])),
        periods=draw(periods()),
        number=draw(st.integers(1, 10**6)),
        stack_level=draw(st.integers(0, 3)),
        recurrency="daily" if kind == schedules.RECURRING else "",
        starts_at=None
        if kind == schedules.RELATIVE
        else START + timedelta(seconds=draw(st.integers(-100, 100)), days=draw(st.sampled_from([0, -1, -3]))),
        duration_s=draw(st.one_of(st.none(), st.integers(1, 120))),
        valid_from=draw(optional),
        valid_to=draw(optional),
    )


BEST = Hardware(32.0, 22080.0, 3)


def oracle(station: Station, evse: int, second: int, unit: str) -> float:
    """The limit in one second, straight from the words of the specification, without turning points or stacks."""
    now = START + timedelta(seconds=second)

    def says(profile: Profile, number: int) -> float | None:
        """What the profile allows at that EVSE in this second, in `unit`."""
        if (profile.valid_from and now < profile.valid_from) or (
            profile.valid_to and now >= profile.valid_to
        ):
            return None
        begun = station.transactions[number][1] if number in station.transactions else START
        start = begun if profile.kind == schedules.RELATIVE else profile.starts_at or begun
        since = (now - start).total_seconds()
        if profile.kind == schedules.RECURRING:
            since %= 86_400
        if since < 0:
            return None
        if profile.duration_s is not None and since >= profile.duration_s:
            return None
        period = [period for period in profile.periods if period.start_s <= since][-1]
        assert period.limit is not None
        if profile.unit == unit:
            return period.limit
        share = 230 * (period.phases or 3)
        return period.limit / share if unit == "A" else period.limit * share

    def ruling(purpose: str, numbers: tuple[int, ...], number: int) -> list[float]:
        speaking = [
            (profile.stack_level, profile.evse > 0, -place, value)
            for place, profile in enumerate(station.profiles)
            if profile.purpose == purpose and profile.evse in numbers
            if (value := says(profile, number)) is not None
        ]
        return [max(speaking)[3]] if speaking else []

    def outside(number: int) -> list[float]:
        told = [profile for profile in station.profiles if profile.purpose == schedules.EXTERNAL]
        values = [says(profile, number) for profile in told if profile.evse == number]
        return [value for value in values if value is not None]

    most = BEST.amps if unit == "A" else BEST.watts
    whole = min([most * 2, *ruling(schedules.STATION_MAX, (0,), 0), *outside(0)])

    def of(number: int) -> float:
        own = ruling(schedules.TRANSACTION, (number,), number) if number in station.transactions else []
        return min([most, *outside(number), *(own or ruling(schedules.DEFAULT, (number, 0), number))])

    return min(whole, of(evse)) if evse else min(whole, of(1) + of(2))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(profiles(), max_size=6),
    st.integers(0, 2),
    st.sampled_from(["A", "W"]),
    st.one_of(st.none(), st.integers(-60, 0)),
)
def test_every_second_is_what_the_specification_says(
    given_profiles: list[Profile], evse: int, unit: str, begun: int | None
) -> None:
    running = {} if begun is None else {1: ("1", START + timedelta(seconds=begun))}
    station = Station(given_profiles, {1: BEST, 2: BEST}, Hardware(64.0, 44160.0, 3), running)
    slices = station.composite(evse, START, START + timedelta(seconds=150), unit)
    assert slices[0].start_s == 0
    for second in range(150):
        found = [one for one in slices if one.start_s <= second][-1].limit
        assert found == pytest.approx(oracle(station, evse, second, unit)), (second, slices)


def test_priority_charging_overrules_the_profile_of_the_transaction() -> None:
    def flat(purpose: str, amps: float, **more: Any) -> Profile:
        return Profile(1, purpose, schedules.ABSOLUTE, "A", (Period(0, amps),), starts_at=START, **more)

    held = [flat(schedules.TRANSACTION, 8), flat(schedules.PRIORITY, 28), flat(schedules.DEFAULT, 10)]
    running = {1: ("T", START)}
    end = START + timedelta(hours=1)
    plain = Station(held, {1: BEST}, BEST, running).composite(1, START, end, "A")
    first = Station(held, {1: BEST}, BEST, running, {1}).composite(1, START, end, "A")
    assert ([one.limit for one in plain], [one.limit for one in first]) == ([8], [28])


def test_fewer_periods_never_allow_more() -> None:
    told = tuple(Period(start, limit) for start, limit in ((0, 16.0), (60, 8.0), (120, 32.0), (180, 6.0)))
    assert schedules.fewer(told, 2) == (Period(0, 16.0), Period(60, 6.0))
    assert schedules.fewer(told, 9) == told


def test_the_energy_under_a_limit() -> None:
    slices = [Slice(0, 16.0, 3), Slice(1800, 8.0, 3)]
    assert schedules.energy_wh(slices, 3600, 11_000, "A") == pytest.approx((11_000 + 5520) / 2)
