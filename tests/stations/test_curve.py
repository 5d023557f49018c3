"""The curve of a session comes out the same whatever mixture of values its station sends: 11 kW for half an hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from stations.neutral import Sample
from stations.services import curve
from tenants.context import tenant_scope
from tests.stations.telling import POWER, REGISTER, Speaker, sample, value

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


def test_a_register_that_falls_on_the_way_leaves_a_rising_curve(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    for step, told in enumerate((1000, 3000, 20, 5000)):
        speaker.meter(sample(at(speaker, step), value(told, REGISTER)), number=answer.transaction_number)
    with tenant_scope(speaker.tenant_id):
        points = curve.of_session(speaker.session())
    assert [point.energy_wh for point in points] == [0, 2000, None, 4000]
