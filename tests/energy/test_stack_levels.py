"""Stations that know few stack levels: load management has the highest, and no limit of an operator is lost for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

import pytest

from stations.models import ChargingProfile, Station, Variable
from stations.schedules import Period, Profile
from stations.services import dynamic, profiles
from tenants.context import tenant_scope
from tenants.errors import Conflict
from tests.energy.test_loops import MAIN_A, Place
from tests.energy.test_loops import place as place


def _levels(place: Place, station: Station, most: int) -> None:
    with tenant_scope(place.tenant.pk):
        Variable.objects.create(
            tenant=place.tenant, station=station, name="ChargeProfileMaxStackLevel", value=str(most),
            attribute="actual", read_at=datetime.now(UTC), source="get_configuration",
        )  # fmt: skip


def _limit(place: Place, station: Station, actor: Any, amps: float) -> None:
    with tenant_scope(place.tenant.pk):
        profiles.limit(tenant_id=place.tenant.pk, station_id=station.pk, evse=1, actor=actor, amps=amps)


def _in_station(place: Place, station: Station) -> set[tuple[str, str, int]]:
    """(intent, purpose, stack level) of what it holds."""
    with tenant_scope(place.tenant.pk):
        rows = ChargingProfile.objects.filter(station=station, state="accepted")
        return {(row.intent, row.purpose, row.stack_level) for row in rows}


@pytest.mark.parametrize("most", [1, 2])
def test_a_limit_that_was_there_first_moves_down(
    place: Place, make_actor: Callable[..., Any], most: int
) -> None:
    station = place.stations[0]
    place.charge(station)
    _levels(place, station, most)
    _limit(place, station, make_actor("operator"), 10)
    place.answer("accepted")
    assert {level for _intent, _purpose, level in _in_station(place, station)} == {most}
    runner, running = place.runner()
    place.settle(runner, running, rounds=12)
    assert _in_station(place, station) == {
        ("energy", "transaction", most), ("energy", "default", most),
        ("limit", "transaction", most - 1), ("limit", "default", most - 1),
    }  # fmt: skip
    assert place.held() == {station.pk: 10}
    with tenant_scope(place.tenant.pk):
        mine = ChargingProfile.objects.filter(intent="limit", state="accepted")
        assert {row.label for row in mine} == {
            ChargingProfile.objects.filter(intent="limit").earliest("id").label
        }


@pytest.mark.parametrize("most", [1, 2, 8])
def test_a_limit_that_comes_later_goes_below(place: Place, make_actor: Callable[..., Any], most: int) -> None:
    station = place.stations[0]
    place.charge(station)
    _levels(place, station, most)
    runner, running = place.runner()
    place.settle(runner, running)
    assert place.held() == {station.pk: MAIN_A}
    _limit(place, station, make_actor("operator"), 10)
    place.settle(runner, running)
    assert ("limit", "transaction", min(most - 1, profiles.LIMIT_STACK)) in _in_station(place, station)
    assert place.held() == {station.pk: 10}


@pytest.mark.parametrize("most", [1, 2, 8])
def test_a_dynamic_limit_goes_below_as_well(place: Place, make_actor: Callable[..., Any], most: int) -> None:
    station = place.stations[0]
    place.charge(station)
    _levels(place, station, most)
    runner, running = place.runner()
    place.settle(runner, running)
    with tenant_scope(place.tenant.pk):
        Station.objects.filter(pk=station.pk).update(ocpp_version="2.1")
        row = dynamic.begin(
            tenant_id=place.tenant.pk, station_id=station.pk, evse=1, values={"limit": 7000},
            actor=make_actor("operator"),
        )  # fmt: skip
    assert row.stack_level == min(most - 1, profiles.LIMIT_STACK)


def test_a_daily_limit_below_moves_down_as_well(place: Place, make_actor: Callable[..., Any]) -> None:
    station, actor = place.stations[0], make_actor("operator")
    _levels(place, station, 2)
    with tenant_scope(place.tenant.pk):
        profiles.limit_daily(
            tenant_id=place.tenant.pk,
            station_id=station.pk,
            evse=1,
            begins=time(1),
            ends=time(2),
            actor=actor,
            amps=8,
        )
    _limit(place, station, actor, 10)
    place.answer("accepted")
    assert _in_station(place, station) == {("recurring", "default", 1), ("limit", "default", 2)}
    runner, running = place.runner()
    for _round in range(4):
        place.step(runner, running)
        place.later_s += 31
    assert _in_station(place, station) == {
        ("recurring", "default", 0), ("limit", "default", 1), ("energy", "default", 2)
    }  # fmt: skip


def test_where_there_is_one_level_who_comes_later_is_told(
    place: Place, make_actor: Callable[..., Any]
) -> None:
    station = place.stations[0]
    place.charge(station)
    _levels(place, station, 0)
    runner, running = place.runner()
    place.settle(runner, running)
    assert place.held() == {station.pk: MAIN_A}
    with pytest.raises(Conflict, match="the only stack level"):
        _limit(place, station, make_actor("operator"), 10)
    assert place.held() == {station.pk: MAIN_A}


def test_where_there_is_one_level_an_earlier_limit_stays_and_counts(
    place: Place, make_actor: Callable[..., Any]
) -> None:
    station, other = place.stations
    for one in place.stations:
        place.charge(one)
    _levels(place, station, 0)
    _limit(place, station, make_actor("operator"), 10)
    place.answer("accepted")
    runner, running = place.runner()
    place.settle(runner, running, rounds=8)
    assert {intent for intent, _purpose, _level in _in_station(place, station)} == {"limit"}
    assert place.held() == {other.pk: MAIN_A - 10}


def test_a_profile_as_it_is_does_not_take_the_place_of_load_management(
    place: Place, make_actor: Callable[..., Any]
) -> None:
    station = place.stations[0]
    session = place.charge(station)
    runner, running = place.runner()
    place.settle(runner, running)
    with tenant_scope(place.tenant.pk):
        row = ChargingProfile.objects.get(session=session, intent="energy", state="accepted")
        raw = Profile(
            evse=1, purpose="transaction", kind="absolute", unit="A", periods=(Period(0, 32.0),),
            stack_level=row.stack_level,
        )  # fmt: skip
        with pytest.raises(Conflict, match="choose a lower one"):
            profiles.install(
                tenant_id=place.tenant.pk, station_id=station.pk, profile=raw, actor=make_actor("operator")
            )
