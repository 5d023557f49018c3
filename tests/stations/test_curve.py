"""The curve of a session comes out the same whatever mixture of values its station sends: 11 kW for half an hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from stations.neutral import Sample
from stations.services import curve
from tenants.context import tenant_scope
from tests.stations.telling import POWER, REGISTER, Speaker, begin, end, sample, value

INTERVAL = "Energy.Active.Import.Interval"
STEP = timedelta(minutes=10)
Mixture = Callable[[Speaker, int], list[Sample]]


def at(speaker: Speaker, step: int) -> str:
    return (speaker.began + step * STEP).strftime("%Y-%m-%dT%H:%M:%SZ")


def register(step: int) -> Decimal:
    return (Decimal(11000) * step / 6).quantize(Decimal("0.001"))


MIXTURES: dict[str, Mixture] = {
    "register alone": lambda s, n: [sample(at(s, n), value(1000 + register(n)))],
    "register in kWh": lambda s, n: [sample(at(s, n), value((1000 + register(n)) / 1000, unit="kWh"))],
    "register with multiplier": lambda s, n: [
        sample(at(s, n), value((1000 + register(n)) / 1000, unit="Wh", multiplier=3))
    ],
    "register and power": lambda s, n: [
        sample(at(s, n), value(1000 + register(n)), value(11, POWER, unit="kW"))
    ],
    "register and power in messages of their own": lambda s, n: [
        sample(at(s, n), value(1000 + register(n))),
        sample(at(s, n), value(11000, POWER)),
    ],
    "register from the session's start": lambda s, n: [sample(at(s, n), value(register(n)))],
    "clock-aligned and sampled": lambda s, n: [
        sample(
            at(s, n),
            value(1000 + register(n), context="Sample.Clock"),
            value(11000, POWER, context="Sample.Periodic"),
        )
    ],
    "power of three phases": lambda s, n: [
        sample(
            at(s, n), value(1000 + register(n)), *(value(11000 / 3, POWER, phase=f"L{p}") for p in (1, 2, 3))
        )
    ],
    "register of three phases": lambda s, n: [
        sample(at(s, n), *(value((1000 + register(n)) / 3, phase=f"L{p}-N") for p in (1, 2, 3)))
    ],
    "Outlet and Inlet": lambda s, n: [
        sample(at(s, n), value(9_000_000, location="Inlet"), value(1000 + register(n), location="Outlet"))
    ],
    "intervals alone": lambda s, n: [
        sample(at(s, n), value(register(n) - register(n - 1) if n else 0, INTERVAL))
    ],
    "power alone": lambda s, n: [sample(at(s, n), value(11000, POWER))],
    "register told a thousand times too large, and power": lambda s, n: [
        sample(at(s, n), value(1_000_000 + register(n), unit="kWh"), value(11000, POWER))
    ],
}


@pytest.mark.parametrize("name", MIXTURES)
def test_the_curve_of_every_mixture(speaker: Speaker, name: str) -> None:
    (answer,) = speaker.start(meter=1000)
    for step in range(4):
        speaker.meter(*MIXTURES[name](speaker, step), number=answer.transaction_number)
    speaker.stop(number=answer.transaction_number, meter=6500, at=speaker.began + 3 * STEP)
    with tenant_scope(speaker.tenant_id):
        points = curve.of_session(speaker.session())
    assert [point.at for point in points] == [speaker.began + step * STEP for step in range(4)]
    assert [float(point.energy_wh or 0) for point in points] == pytest.approx(
        [0, 1833.3, 3666.7, 5500], abs=0.2
    )
    assert [point.power_w for point in points[1:]] == pytest.approx([11000] * 3, rel=1e-3)


def curve_of(speaker: Speaker) -> list[curve.CurvePoint]:
    with tenant_scope(speaker.tenant_id):
        return curve.of_session(speaker.session())


def told(points: list[curve.CurvePoint], speaker: Speaker) -> list[tuple[float, float | None]]:
    """(minutes since the start, Wh since the start)"""
    return [
        (
            (point.at - speaker.began).total_seconds() / 60,
            None if point.energy_wh is None else float(point.energy_wh),
        )
        for point in points
    ]


def test_a_session_of_start_and_stop_alone_is_a_line(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    assert told(curve_of(speaker), speaker) == [(0, 0)]
    speaker.stop(number=answer.transaction_number, meter=6500, at=speaker.began + 3 * STEP)
    assert told(curve_of(speaker), speaker) == [(0, 0), (30, 5500)]


def test_start_and_stop_close_the_line_of_readings_on_the_way(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    speaker.meter(sample(at(speaker, 1), value(2000)), number=answer.transaction_number)
    speaker.meter(sample(at(speaker, 2), value(5000)), number=answer.transaction_number)
    speaker.stop(number=answer.transaction_number, meter=6500, at=speaker.began + 3 * STEP)
    assert told(curve_of(speaker), speaker) == [(0, 0), (10, 1000), (20, 4000), (30, 6500 - 1000)]


def test_readings_from_another_zero_and_powers_alone_are_closed_too(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    speaker.meter(sample(at(speaker, 1), value(100)), number=answer.transaction_number)
    speaker.meter(sample(at(speaker, 2), value(3100), value(40, "SoC")), number=answer.transaction_number)
    speaker.stop(number=answer.transaction_number, meter=6500, at=speaker.began + 3 * STEP)
    points = curve_of(speaker)
    assert told(points, speaker) == [(0, 0), (10, 0), (20, 3000), (30, 5500)]
    assert points[2].soc_percent == 40


def test_what_also_came_as_readings_is_there_once(speaker: Speaker) -> None:
    """Transaction.Begin and Transaction.End of 2.x; and of 1.6, where the stop's own time is a second later."""
    speaker.tell(
        speaker.event("started", 0, uid="CARD", samples=[begin(1000)]),
        speaker.event("ended", 1, minutes=30, samples=[end(6500)]),
    )
    assert told(curve_of(speaker), speaker) == [(0, 0), (30, 5500)]


def test_a_reading_beside_the_stop_that_says_the_same_is_the_same(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    stop, second = speaker.began + 3 * STEP, timedelta(seconds=1)
    sampled = [sample(speaker.began + second, begin(1000)), sample(stop - second, end(6500))]
    speaker.stop(number=answer.transaction_number, meter=6500, at=stop, samples=sampled)
    assert [point.at for point in curve_of(speaker)] == [speaker.began + second, stop - second]


def test_a_power_at_the_very_start_keeps_its_place(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    for step in (0, 1):
        speaker.meter(sample(at(speaker, step), value(11000, POWER)), number=answer.transaction_number)
    speaker.stop(number=answer.transaction_number, meter=6500, at=speaker.began + 3 * STEP)
    points = curve_of(speaker)
    assert [point.power_w for point in points] == [11000, 11000, None]
    assert [float(point.energy_wh or 0) for point in points] == pytest.approx([0, 1833.3, 5500], abs=0.1)


def test_a_curve_without_powers_shows_their_means_and_says_so(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    for step, energy in ((1, 2000), (2, 3500), (3, 3500)):
        speaker.meter(sample(at(speaker, step), value(1000 + energy)), number=answer.transaction_number)
    points = curve_of(speaker)
    assert [point.power_w for point in points] == [12_000, 12_000, 9_000, 0]
    assert all(point.is_mean for point in points)


def test_powers_that_were_told_are_no_means(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    for step in (1, 2):
        sampled = sample(at(speaker, step), value(1000 + register(step)), value(10_900, POWER))
        speaker.meter(sampled, number=answer.transaction_number)
    points = curve_of(speaker)
    assert [(point.power_w, point.is_mean) for point in points] == [
        (None, False),
        (10_900, False),
        (10_900, False),
    ]


def test_across_a_fallen_register_no_power_is_derived(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    for step, told in enumerate((2000, 3000, 20, 4000, 6000), start=1):
        speaker.meter(sample(at(speaker, step), value(told)), number=answer.transaction_number)
    points = curve_of(speaker)
    assert [point.power_w for point in points] == [6_000, 6_000, 6_000, None, 12_000, 12_000]


def test_readings_of_one_moment_make_no_peak(speaker: Speaker) -> None:
    """The sampled and the clock-aligned value two seconds apart, the second of them 100 Wh on: no 180 kW."""
    (answer,) = speaker.start(meter=1000)
    first, second = speaker.began + STEP, speaker.began + STEP + timedelta(seconds=2)
    for when, told in ((first, 2000), (second, 2100), (first + STEP, 3100)):
        speaker.meter(sample(when, value(told)), number=answer.transaction_number)
    assert [point.power_w for point in curve_of(speaker)] == [6_000, 6_000, None, 6_600]


def test_more_than_the_connector_can_give_is_no_power(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    for minutes, told in ((1, 1900), (2, 2000)):  # 54 kW of a connector of 22 kW
        when = speaker.began + timedelta(minutes=minutes)
        speaker.meter(sample(when, value(told)), number=answer.transaction_number)
    assert [point.power_w for point in curve_of(speaker)] == [None, 6_000, 6_000]


def test_a_stop_that_contradicts_the_readings_bends_no_line_down(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    for step, register in enumerate((1000, 3000, 5000)):
        speaker.meter(sample(at(speaker, step), value(register)), number=answer.transaction_number)
    speaker.stop(number=answer.transaction_number, meter=4900, at=speaker.began + 3 * STEP)
    assert told(curve_of(speaker), speaker) == [(0, 0), (10, 2000), (20, 4000)]


def test_a_register_that_falls_on_the_way_leaves_a_rising_curve(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    for step, told in enumerate((1000, 3000, 20, 5000)):
        speaker.meter(sample(at(speaker, step), value(told, REGISTER)), number=answer.transaction_number)
    with tenant_scope(speaker.tenant_id):
        points = curve.of_session(speaker.session())
    assert [point.energy_wh for point in points] == [0, 2000, None, 4000]
