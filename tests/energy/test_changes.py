"""A site that changes while it is steered: stations come, go and move, connectors are told anew, statements fail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError

from energy.models import GridConnection, Steering
from energy.services import leftovers, observing, ownership
from stations.models import ChargingProfile, Command, CommandKind, Connector, Evse, Station
from tenants.context import tenant_scope
from tests.energy import test_loops
from tests.energy.test_loops import MAIN_A, Place
from tests.objects import create_site

place = test_loops.place


def _in_force(place: Place, running: Any) -> dict[int, float]:
    """A that each EVSE may take now, by the ledger."""
    loop = running.loop
    assert loop.control is not None
    found = loop.control.ledger.in_force(loop.clock())
    return {evse: float(found[leaf]) for evse, leaf in loop.leaf_of.items()}


def test_a_site_whose_last_station_went_is_still_shown(place: Place) -> None:
    runner, running = place.runner()
    place.settle(runner, running, rounds=1)
    with tenant_scope(place.tenant.pk):
        Station.objects.update(archived_at=datetime.now(UTC))
    place.later_s += 10
    now = running.loop.clock()
    place.settle(runner, running, rounds=2)
    with tenant_scope(place.tenant.pk):
        picture = Steering.objects.get(connection=place.rows.connection).picture
    assert picture["outlets"] == [] and picture["at"] >= now


@pytest.mark.parametrize("how", ["archived", "moved"])
def test_a_station_that_left_the_site_is_steered_no_more(place: Place, how: str) -> None:
    stays, leaves = place.stations
    for station in place.stations:
        place.charge(station)
    runner, running = place.runner()
    place.settle(runner, running)
    assert place.held() == {stays.pk: 16, leaves.pk: 16}
    elsewhere = create_site(place.tenant, name="Elsewhere")
    with tenant_scope(place.tenant.pk):
        changes: dict[str, Any] = (
            {"archived_at": datetime.now(UTC)} if how == "archived" else {"site": elsewhere}
        )
        Station.objects.filter(pk=leaves.pk).update(**changes)
        sent = Command.objects.filter(station=leaves).count()
    place.later_s += 10
    place.settle(runner, running)
    assert place.held()[stays.pk] == MAIN_A
    with tenant_scope(place.tenant.pk):
        assert Command.objects.filter(station=leaves).count() == sent


def test_what_a_station_that_moved_away_holds_of_ours_is_taken_back(place: Place) -> None:
    runner, running = place.runner()
    place.settle(runner, running)
    elsewhere = create_site(place.tenant, name="Elsewhere")
    moved = place.stations[0]
    with tenant_scope(place.tenant.pk):
        Station.objects.filter(pk=moved.pk).update(site=elsewhere)
        assert leftovers.take_back(tenant_id=place.tenant.pk) == 1
        assert Command.objects.get(kind=CommandKind.CLEAR_PROFILE).station_id == moved.pk


def test_connectors_told_later_count_with_what_they_can_take(place: Place) -> None:
    """A station is wired before it ever connects; what it can take is known when it does."""
    station = place.stations[0]
    with tenant_scope(place.tenant.pk):
        Station.objects.filter(pk=station.pk).update(online=False)
        Connector.objects.filter(evse__station=station).update(max_amps=16)
    runner, running = place.runner()
    runner.step(running)
    with tenant_scope(place.tenant.pk):
        Connector.objects.filter(evse__station=station).update(max_amps=63)
        evse = Evse.objects.get(station=station)
    place.later_s += 10
    runner.step(running)
    assert _in_force(place, running)[evse.pk] == 63


def test_an_evse_that_is_deleted_takes_its_place_with_it(place: Place) -> None:
    stays, leaves = place.stations
    place.charge(stays)
    runner, running = place.runner()
    place.settle(runner, running)
    with tenant_scope(place.tenant.pk):
        Evse.objects.filter(station=leaves).delete()
    place.later_s += 10
    place.settle(runner, running)
    assert len(running.loop.leaf_of) == 1
    assert place.held() == {stays.pk: MAIN_A}


def test_a_statement_that_fails_loses_no_change_of_what_stations_fall_to(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is gone in the middle of a look: the next one sees it all the same."""
    runner, running = place.runner()
    place.settle(runner, running)
    assert max(_in_force(place, running).values()) == 0
    with tenant_scope(place.tenant.pk):
        ChargingProfile.objects.filter(intent="energy", purpose="default").update(state="cleared")
    with monkeypatch.context() as broken:

        def fail(*_args: Any) -> Any:
            raise OperationalError("the connection is gone")

        broken.setattr(observing, "fallbacks", fail)
        place.later_s += 6
        with pytest.raises(OperationalError):
            runner.step(running)
    place.later_s += 2
    runner.step(running)
    assert min(_in_force(place, running).values()) == MAIN_A


def test_a_car_without_a_session_counts_with_the_default(place: Place) -> None:
    """Its start was refused, or its session is held to be over: the connector says that it charges all the same."""
    station = place.stations[0]
    runner, running = place.runner()
    place.settle(runner, running)
    with tenant_scope(place.tenant.pk):
        evse = Evse.objects.get(station=station)
        Connector.objects.filter(evse=evse).update(status="charging")
    assert _in_force(place, running)[evse.pk] == 0
    runner.step(running)
    assert _in_force(place, running)[evse.pk] == 6
    with tenant_scope(place.tenant.pk):
        Connector.objects.filter(evse=evse).update(status="available")
    runner.step(running)
    assert _in_force(place, running)[evse.pk] == 0


@pytest.mark.parametrize("how", ["edited", "restarted"])
def test_who_does_not_obey_is_not_believed_for_another_tree_or_owner(place: Place, how: str) -> None:
    session = place.charge(place.stations[0])
    runner, running = place.runner()
    place.settle(runner, running)
    control = running.loop.control
    assert control is not None
    control.watch.condemn(running.loop.leaf_of[session.evse_id], 31.0, 15.0, running.loop.clock())
    place.later_s += 6
    runner.step(running)
    with tenant_scope(place.tenant.pk):
        if how == "edited":
            GridConnection.objects.update(revision=9)
        else:
            ownership.release(
                tenant_id=place.tenant.pk,
                tokens=[(place.rows.connection.pk, running.loop.token)],
            )
    if how == "restarted":
        runner, running = place.runner()
    place.later_s += 6
    runner.step(running)
    assert running.loop.control is not control
    assert _in_force(place, running)[session.evse_id] == MAIN_A
    assert [one.draws_a for one in running.loop.control.disobeys()] == [31.0]  # type: ignore[union-attr]
