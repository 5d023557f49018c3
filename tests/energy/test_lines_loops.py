"""Cars on one line each at places on three: what their stations measure on each line fills the site."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from energy.models import Outlet, Steering
from energy.runner import Runner, Running
from energy.services import ownership
from stations.models import Reading, Session, Station
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tests.energy import sites
from tests.energy.test_loops import MAIN_A, Place
from tests.objects import create_station

TURNED = [[0, 1, 2], [1, 2, 0], [2, 0, 1]]


@pytest.fixture
def street(tenant: Tenant, site: Site) -> Place:
    """Three stations, each turned by one line."""
    stations = [
        create_station(tenant, site, online=True, epoch=1, last_seen_at=datetime.now(UTC), ocpp_version="1.6")
        for _turn in TURNED
    ]
    rows = sites.create_tree(tenant, site, stations, main_a=MAIN_A, building_most_a=0.0, meter="")
    with tenant_scope(tenant.pk):
        for station, lines in zip(stations, TURNED, strict=True):
            Outlet.objects.filter(evse__station=station).update(lines=lines)
    return Place(tenant, site, stations, rows)


def _phases(*amps: float | None) -> list[dict[str, Any]]:
    return [
        {"measurand": "Current.Import", "unit": "A", "phase": f"L{number}", "value": str(value)}
        for number, value in enumerate(amps, start=1)
        if value is not None
    ]


def _tell(street: Place, session: Session, *amps: float | None) -> None:
    now = datetime.now(UTC) + timedelta(seconds=street.later_s)
    with tenant_scope(street.tenant.pk):
        Reading.objects.create(
            tenant=street.tenant, station=session.station, id=secrets.randbits(60), evse_number=1,
            session_id=session.pk, sampled_at=now, raw_timestamp="", received_at=now, context="Sample.Periodic",
            digest=secrets.token_hex(8),
            current_a=max(one or 0.0 for one in amps), values=_phases(*amps),
        )  # fmt: skip
        Session.objects.filter(pk=session.pk).update(last_reading_at=now)


def _charge(
    street: Place, running: Running, runner: Runner, cars: list[Session], times: int, *, used: int = 1
) -> None:
    """Each car draws what it is told, on so many of its lines, and tells it every five seconds."""
    for _time in range(times):
        held = street.held()
        for session in cars:
            amps = held.get(session.station_id, 0.0)
            _tell(street, session, *[amps if line < used else 0.0 for line in range(3)])
        street.step(runner, running)
        street.later_s += 5


def _loads(street: Place, running: Running) -> list[float]:
    """By line, as the ledger counts it."""
    ledger = running.loop.control.ledger  # type: ignore[union-attr]
    loads = ledger.grid.loads(ledger.in_force(running.loop.clock()))
    return [float(load) for row, load in zip(ledger.grid.rows, loads, strict=True) if row.part != "total"]


def test_three_cars_on_one_line_each_fill_all_lines(street: Place) -> None:
    cars = [street.charge(station) for station in street.stations]
    runner, running = street.runner()
    street.settle(runner, running)
    assert sum(street.held().values()) == MAIN_A, "nobody knows their lines yet"
    _charge(street, running, runner, cars, 30)
    assert street.held() == {station.pk: MAIN_A for station in street.stations}
    assert _loads(street, running) == [MAIN_A] * 3
    with tenant_scope(street.tenant.pk):
        shown = Steering.objects.get(connection=street.rows.connection).picture["outlets"]
    assert sorted(one["lines"] for one in shown) == [["L1"], ["L2"], ["L3"]]


def test_the_next_owner_knows_their_lines(street: Place) -> None:
    cars = [street.charge(station) for station in street.stations]
    runner, running = street.runner()
    _charge(street, running, runner, cars, 30)
    with tenant_scope(street.tenant.pk):
        ownership.release(
            tenant_id=street.tenant.pk,
            tokens=[(street.rows.connection.pk, running.loop.token)],
        )
    runner, running = street.runner()
    _charge(street, running, runner, cars, 1)
    assert street.held() == {station.pk: MAIN_A for station in street.stations}


@pytest.mark.parametrize("told", [(16.0,), (16.0, 0.0), (16.0, None, 0.0)])
def test_a_line_of_which_nothing_is_told_is_not_known(street: Place, told: tuple[float | None, ...]) -> None:
    session = street.charge(street.stations[0])
    runner, running = street.runner()
    for _time in range(12):
        _tell(street, session, *told)
        street.step(runner, running)
        street.later_s += 5
    control = running.loop.control
    assert control is not None and np.array_equal(control.counted, control.lines.wired)


def test_a_car_that_takes_to_other_lines_lowers_all_at_the_next_look(street: Place) -> None:
    cars = [street.charge(station) for station in street.stations]
    runner, running = street.runner()
    _charge(street, running, runner, cars, 30)
    for _look in range(3):  # the first of these lowers; what was lowered is drawn for some seconds more
        held = street.held()
        _tell(street, cars[0], *[held[cars[0].station_id]] * 3)
        for session in cars[1:]:
            _tell(street, session, held[session.station_id], 0.0, 0.0)
        street.step(runner, running)
        if _look == 0:
            assert sum(street.held().values()) <= 2 * MAIN_A and max(_loads(street, running)) > MAIN_A
        street.later_s += 5
    assert max(_loads(street, running)) <= MAIN_A
    assert min(street.held().values()) >= 6


def test_by_a_clock_that_is_ahead_a_reading_is_no_newer(street: Place) -> None:
    """What was measured a minute ago and comes now is old."""
    with tenant_scope(street.tenant.pk):
        Station.objects.filter(pk=street.stations[0].pk).update(clock_offset_s=60.0)
    session = street.charge(street.stations[0])
    runner, running = street.runner()
    for _time in range(12):
        _tell(street, session, 16.0, 0.0, 0.0)
        street.step(runner, running)
        street.later_s += 5
    control = running.loop.control
    assert control is not None and np.array_equal(control.counted, control.lines.wired)


def test_a_look_that_comes_late_takes_the_readings_before_as_well(street: Place) -> None:
    session = street.charge(street.stations[0])
    runner, running = street.runner()
    for number in range(14):
        _tell(street, session, 16.0, 0.0, 0.0)
        if number % 2:
            street.step(runner, running)
        street.later_s += 5
    control = running.loop.control
    assert control is not None and control.counted[:, 0].tolist() == [True, False, False]
