"""The programme of the day takes up to some seconds: the fast loop waits for none of them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connections

from energy import programme
from energy.models import GridConnection, GridNode, Steering
from energy.runner import Runner, Running
from energy.services import ownership
from energy.services.programmes import SOON_S
from stations.models import SessionPower
from tenants.context import tenant_scope
from tests.energy import test_loops
from tests.energy.test_loops import MAIN_A, Place

place = test_loops.place


def _step(runner: Runner, running: Running) -> bool:
    """Whether it came to an end within some seconds."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            runner.step(running)
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(5)
    assert not failed, failed
    return not thread.is_alive()


def _needs(place: Place, station: int) -> None:
    session = place.charge(place.stations[station])
    with tenant_scope(place.tenant.pk):
        SessionPower.objects.create(
            tenant=place.tenant, station=session.station, evse_number=1, session=session, needs_at=datetime.now(UTC),
            energy_wh=9000, departure_at=datetime.now(UTC) + timedelta(hours=4),
        )  # fmt: skip


def test_cars_are_steered_while_a_programme_is_solved(place: Place) -> None:
    _needs(place, 0)
    runner, running = place.runner()
    with programme._ALONE:  # as long as this is held, none is solved
        for _round in range(4):
            assert _step(runner, running)
            place.answer("accepted")
            place.later_s += 8
        assert place.held() == {place.stations[0].pk: MAIN_A}
        with tenant_scope(place.tenant.pk):
            GridNode.objects.update(limit_a=[12.0] * 3)
            GridConnection.objects.update(revision=2)
        for _round in range(3):
            place.later_s += 8
            assert _step(runner, running)
            place.answer("accepted")
        assert place.held() == {place.stations[0].pk: 12}
        with tenant_scope(place.tenant.pk):
            assert Steering.objects.get().programme == {}
    place.step(runner, running)
    place.later_s += 400
    place.settle(runner, running)
    with tenant_scope(place.tenant.pk):
        assert sum(Steering.objects.get().programme["total_w"]) > 0


def test_a_programme_says_nothing_of_a_car_that_came_since(place: Place) -> None:
    _needs(place, 0)
    runner, running = place.runner()
    runner.step(running)
    assert running.slow.job is not None
    running.slow.job[1].result()
    _needs(place, 1)
    place.later_s += 6
    runner.step(running)
    control = running.loop.control
    assert control is not None and running.slow.job is None
    assert control.cars.wanted[0] > 0 and control.cars.wanted[1] == 0
    assert list(control.ledger.plugged) == [True, True]


def test_who_wishes_something_else_is_planned_anew_soon(place: Place) -> None:
    _needs(place, 0)
    runner, running = place.runner()
    for _round in range(3):
        place.step(runner, running)
        place.later_s += SOON_S + 5
    assert not running.slow.is_due(running.loop), "the next one is minutes away"
    with tenant_scope(place.tenant.pk):
        SessionPower.objects.update(wish_wh=15_000, wish_departure_at=datetime.now(UTC) + timedelta(hours=2))
    runner.step(running)
    assert running.slow.job is not None, "it is being made"


def test_who_ends_without_a_database_does_not_wait_for_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, running = place.runner()
    tried = []

    def gone(**told: object) -> None:
        tried.append(told)
        raise OperationalError("the database is away")

    runner.sites = dict(enumerate([running] * 500))
    monkeypatch.setattr(ownership, "release", gone)
    runner._release_all()
    assert len(tried) == 1
