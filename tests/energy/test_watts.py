"""AC stations that take limits in W alone are told those of all their phases together, rounded down."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from energy.models import GridConnection, Outlet
from stations.models import ChargingProfile, Station, Variable
from tenants.context import tenant_scope
from tests.energy.test_loops import MAIN_A, Place
from tests.energy.test_loops import place as place

KEYS = {
    "1.6": ("", "ChargingScheduleAllowedChargingRateUnit", "Power"),
    "2.0.1": ("SmartChargingCtrlr", "RateUnit", "W"),
    "2.1": ("SmartChargingCtrlr", "RateUnit", "W"),
}


def _takes_watts(place: Place, version: str = "1.6") -> None:
    component, name, value = KEYS[version]
    with tenant_scope(place.tenant.pk):
        Station.objects.update(ocpp_version=version)
        for station in place.stations:
            Variable.objects.create(
                tenant=place.tenant, station=station, component=component, name=name, value=value, attribute="actual",
                read_at=datetime.now(UTC), source="get_configuration",
            )  # fmt: skip


def _wired(place: Place, supply: str, lines: list[int], *, between: bool = False) -> None:
    with tenant_scope(place.tenant.pk):
        GridConnection.objects.update(supply=supply)
        Outlet.objects.update(lines=lines, between=between)


def _told(place: Place, purpose: str = "transaction") -> set[tuple[str, float, int | None]]:
    """(unit, limit, phases) of ours in the first station; of a default what comes after its wait."""
    with tenant_scope(place.tenant.pk):
        rows = ChargingProfile.objects.filter(
            station=place.stations[0], intent="energy", state="accepted", purpose=purpose
        )
        last = [row.periods[-1] for row in rows]
        return {(row.unit, one["limit"], one.get("phases")) for row, one in zip(rows, last, strict=True)}


@pytest.mark.parametrize("version", KEYS)
def test_three_phases_together(place: Place, version: str) -> None:
    _takes_watts(place, version)
    for station in place.stations:
        place.charge(station)
    runner, running = place.runner()
    place.settle(runner, running)
    assert _told(place) == {("W", 16 * 230 * 3, 3)}
    assert _told(place, "default") == {("W", 6 * 230 * 3, 3)}
    loop = running.loop
    assert loop.control is not None
    assert loop.control.ledger.default.tolist() == [6, 6] and loop.control.ledger.held.tolist() == [16, 16]


@pytest.mark.parametrize(
    ("supply", "lines", "between", "volts", "phases"),
    [
        ("three_phase", [1], False, 230, 1),
        ("wye_208", [0, 1, 2], False, 120 * 3, 3),
        ("wye_208", [0, 1], True, 120 * 3**0.5, 1),
        ("split_phase", [0, 1], True, 240, 1),
    ],
)
def test_by_the_voltage_of_its_wiring(
    place: Place, supply: str, lines: list[int], between: bool, volts: float, phases: int
) -> None:
    _takes_watts(place)
    _wired(place, supply, lines, between=between)
    if supply == "split_phase":
        with tenant_scope(place.tenant.pk):
            place.rows.root.limit_a = [MAIN_A] * 2
            place.rows.root.save()
    place.charge(place.stations[0])
    runner, running = place.runner()
    place.settle(runner, running)
    ledger = running.loop.control.ledger  # type: ignore[union-attr]
    amps = float(ledger.held[0])
    assert amps >= MAIN_A - 1
    assert _told(place) == {("W", math.floor(amps * volts * 10) / 10, phases)}
    assert ledger.default.min() >= 5.99, "a default of 6 A is no less where the voltage is low"
    assert ledger.default.max() <= 6.3
