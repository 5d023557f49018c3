"""Many sites of one tenant in one step: as if each had been alone, by as many statements as of one."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from energy import runner as running_module
from energy.models import Steering
from energy.runner import GLANCE, LOOK, Runner, Running
from energy.services import ownership, presence
from energy.services.loops import look
from stations.models import ChargingProfile, CommandState
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tests.energy import sites
from tests.energy.test_loops import MAIN_A, Place
from tests.objects import create_station

Street = tuple[Runner, list[Place], list[Running]]


@pytest.fixture
def street(tenant: Tenant) -> Street:
    """Three sites of two stations each, all of one process."""
    runner, places, mine = Runner(), list[Place](), list[Running]()
    for number in range(3):
        with tenant_scope(tenant.pk):
            site = Site.objects.create(tenant=tenant, name=f"House {number}")
        stations = [
            create_station(
                tenant, site, online=True, epoch=1, last_seen_at=datetime.now(UTC), ocpp_version="1.6"
            )
            for _station in range(2)
        ]
        rows = sites.create_tree(tenant, site, stations, main_a=MAIN_A, building_most_a=0.0, meter="")
        place = Place(tenant, site, stations, rows)
        with tenant_scope(tenant.pk):
            token = ownership.claim(tenant_id=tenant.pk, connection_id=rows.connection.pk, owner=runner.owner)
        assert token is not None
        one = ownership.Steered(tenant.pk, rows.connection.pk, site.pk, runner.owner)
        running = runner.add(one, token)
        running.loop.clock = lambda: time.time() + places[0].later_s
        places.append(place)
        mine.append(running)
    return runner, places, mine


def _settle(street: Street, rounds: int = 4) -> None:
    runner, places, mine = street
    for _round in range(rounds):
        runner.step(*mine)
        places[0].answer(CommandState.ACCEPTED)
        runner.step(*mine, wants=GLANCE)
        places[0].later_s += 8


def test_each_site_has_its_own_shares(street: Street) -> None:
    _runner, places, _mine = street
    for place in places[:2]:
        for station in place.stations:
            place.charge(station)
    places[2].charge(places[2].stations[0])
    _settle(street)
    expected = {station.pk: MAIN_A / 2 for place in places[:2] for station in place.stations}
    assert places[0].held() == expected | {places[2].stations[0].pk: MAIN_A}


def test_three_sites_take_as_many_statements_as_one(street: Street) -> None:
    _runner, places, mine = street
    for place in places:
        for station in place.stations:
            place.charge(station)
    _settle(street)

    def statements(*of: Running) -> int:
        with tenant_scope(places[0].tenant.pk), CaptureQueriesContext(connection) as captured:
            look([one.loop for one in of])
        return len(captured)

    assert statements(*mine) == statements(mine[0]) > 5


def test_what_fails_at_one_site_harms_no_other(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, places, mine = street
    for place in places:
        place.charge(place.stations[0])

    def fails() -> Any:
        raise FloatingPointError("no numbers")

    with monkeypatch.context() as broken:
        broken.setattr(mine[0].loop, "tick", fails)
        _settle(street)
        assert places[0].held() == {place.stations[0].pk: MAIN_A for place in places[1:]}
        assert [one.alone for one in mine] == [True, False, False]
        for one in mine:
            one.due, one.wants = 0.0, LOOK
        assert runner._next() == mine[:1], "by itself, and first"
        mine[0].busy = False
    runner.step(mine[0])
    _settle(street)
    assert places[0].held() == {place.stations[0].pk: MAIN_A for place in places}


def test_a_site_that_was_lost_takes_no_other_along(street: Street) -> None:
    runner, places, _mine = street
    for place in places:
        place.charge(place.stations[0])
    with tenant_scope(places[0].tenant.pk):
        Steering.objects.filter(connection=places[1].rows.connection).update(token=4711)
    _settle(street, rounds=1)
    assert set(runner.sites) == {places[0].site.pk, places[2].site.pk}
    with tenant_scope(places[0].tenant.pk):
        sent = ChargingProfile.objects.filter(intent="energy").values_list("station__site", flat=True)
        assert set(sent) == set(runner.sites)


def test_sites_that_wait_for_the_same_go_together(street: Street, other_tenant: Tenant) -> None:
    runner, _places, mine = street
    now = time.time()
    for one in mine:
        one.loop.looked_at, one.due, one.wants = now, now + 5, GLANCE
    mine[1].wants = LOOK
    assert runner._next() == [mine[0], mine[2]], "what is quick goes first"
    assert runner._next() == [mine[1]]
    for one in mine:
        assert one.busy and not one.wants


def test_a_glance_hears_the_meter_and_how_orders_ended(street: Street) -> None:
    runner, places, mine = street
    places[0].charge(places[0].stations[0])
    runner.step(*mine)
    assert mine[0].loop.commands
    places[0].answer(CommandState.ACCEPTED)
    runner.step(*mine, wants=GLANCE)
    assert not mine[0].loop.commands
    control = mine[0].loop.control
    assert control is not None and control.ledger.granted(mine[0].loop.clock()).max() == MAIN_A


def test_pictures_are_made_as_often_as_somebody_looks(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, places, mine = street
    monkeypatch.setattr(presence, "_key", lambda: f"voltyard.energy.test.{places[0].tenant.pk}")
    presence.look(places[0].site.pk)
    watched = presence.watched([place.site.pk for place in places])
    assert watched == {places[0].site.pk}
    for one in mine:
        one.watched = one.steered.site_id in watched
    runner.step(*mine)
    shown = []
    for second in range(1, 8):
        places[0].later_s = second
        before = [one.shown_at for one in mine]
        runner.step(*mine, wants=GLANCE)
        shown.append([one.shown_at > was for one, was in zip(mine, before, strict=True)])
    assert [one[0] for one in shown] == [True] * 7
    assert [one[1] for one in shown] == [False] * 4 + [True] + [False] * 2


@pytest.mark.parametrize(
    ("kind", "data", "asks"),
    [
        ("session", {"id": 1}, LOOK),
        ("station", {"id": 1}, LOOK),
        ("connector", {"id": 1}, LOOK),
        ("command", {"id": 1, "state": "sent"}, ""),
        ("command", {"id": 1, "state": "accepted"}, GLANCE),
        ("energy", {"id": 1}, ""),
    ],
)
def test_what_an_event_asks_for(kind: str, data: dict[str, Any], asks: str) -> None:
    event = {"kind": kind, "station_id": 1, "site_id": 1, "data": data}
    assert running_module._asks(event) == asks
