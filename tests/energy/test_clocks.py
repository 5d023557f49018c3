"""Clocks that are set: of the machine that steers, and of one among several. And stations that start anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from energy.models import GridNode, MeterSample, SiteMeter, Steering
from energy.runner import Runner, Running
from energy.services import ownership
from stations.models import ChargingProfile, Command, Session, Station
from tenants.context import tenant_scope
from tests.energy import test_loops
from tests.energy.test_loops import MAIN_A, Place

place = test_loops.place


def _in_force(place: Place, running: Any, session: Session) -> float:
    loop = running.loop
    return float(loop.control.ledger.in_force(loop.clock())[loop.leaf_of[session.evse_id]])


@pytest.mark.parametrize("moved_s", [-3600, -300, 300, 3600])
def test_after_a_jump_of_the_clock_all_that_was_sent_counts_and_is_sent_anew(
    place: Place, moved_s: float
) -> None:
    """Of a pause nobody knows when it ends: the default counts beside it, and so does what was sent to the other."""
    with tenant_scope(place.tenant.pk):
        GridNode.objects.update(limit_a=[12.0] * 3)
    stays = place.charge(place.stations[0])
    runner, running = place.runner()
    place.settle(runner, running)
    assert place.held() == {stays.station_id: 12}
    with tenant_scope(place.tenant.pk):
        before = Command.objects.count()
        ChargingProfile.objects.filter(session=stays).update(created_at=F("created_at"))
    place.later_s += moved_s
    running.wall_s -= moved_s
    runner.step(running)
    assert _in_force(place, running, stays) == 12
    place.answer("accepted")
    place.settle(runner, running)
    assert place.held() == {stays.station_id: 12}
    with tenant_scope(place.tenant.pk):
        sent = Command.objects.order_by("id")[before:]
        assert any(one.arguments["profile"].get("transaction_id") for one in sent)
        picture = Steering.objects.get().picture
    assert abs(picture["at"] - running.loop.clock()) < 20


def test_a_pause_counts_with_its_default_once_the_clock_was_set_back(place: Place) -> None:
    with tenant_scope(place.tenant.pk):
        GridNode.objects.update(limit_a=[8.0] * 3)  # for one alone
    sessions = [place.charge(station) for station in place.stations]
    runner, running = place.runner()
    place.settle(runner, running)
    paused = next(one for one in sessions if place.held()[one.station_id] == 0)
    default = running.loop.control.ledger.default[running.loop.leaf_of[paused.evse_id]]  # type: ignore[union-attr]
    with tenant_scope(place.tenant.pk):
        ChargingProfile.objects.filter(intent="energy", purpose="default").update(
            periods=[{"start_s": 0, "limit": 6}]
        )
    assert _in_force(place, running, paused) == 0
    place.later_s -= 400
    running.wall_s += 400
    runner.step(running)
    assert default in (0, 6)
    assert _in_force(place, running, paused) == 6


def _metered(place: Place) -> tuple[SiteMeter, Runner, Running]:
    """With a meter of the building, and a car that charges."""
    with tenant_scope(place.tenant.pk):
        meter = SiteMeter.objects.create(
            tenant=place.tenant, connection=place.rows.connection, name="House", maximum_a=30
        )
    place.charge(place.stations[0])
    return meter, *place.runner()


def test_a_meter_is_heard_after_the_clock_was_set_back(place: Place) -> None:
    meter, runner, running = _metered(place)

    def tell(amps: float) -> None:
        now = datetime.now(UTC) + timedelta(seconds=place.later_s)
        with tenant_scope(place.tenant.pk):
            MeterSample.objects.create(
                tenant=place.tenant, meter=meter, at=now, received_at=timezone.now(), amps=[amps] * 3
            )

    for number in range(8):
        tell(2 + number / 10)
        place.step(runner, running)
        place.later_s += 4
    assert place.held()[place.stations[0].pk] >= MAIN_A - 3
    place.later_s -= 3600
    running.wall_s += 3600
    for number in range(8):
        tell(15 + number / 10)
        place.step(runner, running)
        place.later_s += 4
    assert MAIN_A - 17 <= place.held()[place.stations[0].pk] <= MAIN_A - 15


def test_leases_are_told_by_the_clock_of_the_database(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose machine is an hour ahead neither takes what is another's, nor keeps it for an hour when it dies."""
    place.runner()
    mine = {"tenant_id": place.tenant.pk, "connection_id": place.rows.connection.pk}
    ahead = timezone.now() + timedelta(hours=1)
    with monkeypatch.context() as patched, tenant_scope(place.tenant.pk):
        patched.setattr(timezone, "now", lambda: ahead)
        assert ownership.claim(**mine, owner="ahead") is None
        token = Steering.objects.get().token
        assert ownership.renew(tenant_id=place.tenant.pk, tokens=[(mine["connection_id"], token)])
    with tenant_scope(place.tenant.pk):
        until = Steering.objects.get().leased_until
    assert until is not None and until < timezone.now() + timedelta(seconds=11)
    found = {one.connection_id: one.is_free for one in ownership.steered()}
    assert found[place.rows.connection.pk] is False


def test_a_station_that_starts_anew_gets_its_default_again(place: Place) -> None:
    """Not every station keeps its profiles through a restart."""
    runner, running = place.runner()
    place.settle(runner, running)
    station = place.stations[0]

    def defaults() -> int:
        with tenant_scope(place.tenant.pk):
            return ChargingProfile.objects.filter(station=station, purpose="default", intent="energy").count()

    place.settle(runner, running)
    assert defaults() == 1
    with tenant_scope(place.tenant.pk):
        Station.objects.filter(pk=station.pk).update(booted_at=timezone.now(), epoch=2)
    place.settle(runner, running, rounds=6)
    assert defaults() == 2


def test_a_line_that_a_meter_does_not_tell_counts_as_the_highest(place: Place) -> None:
    meter, runner, running = _metered(place)
    for number in range(8):
        now = datetime.now(UTC) + timedelta(seconds=place.later_s)
        with tenant_scope(place.tenant.pk):
            amps = [15 + number / 10]
            MeterSample.objects.create(tenant=place.tenant, meter=meter, at=now, received_at=now, amps=amps)
        place.step(runner, running)
        place.later_s += 4
    assert place.held() == {place.stations[0].pk: MAIN_A - 16}
    assert list(running.loop.building(running.loop.clock())[:3]) == [pytest.approx(15.7)] * 3
