"""By when a fleet is to be ready, and whose word goes first."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from energy.services import observing
from energy.services.observing import SessionSeen
from fleets.models import Fleet
from stations.models import SessionPower
from tenants.context import tenant_scope
from tests.energy.test_loops import Place, place  # noqa: F401 - a fixture

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.nodb
@pytest.mark.parametrize(
    ("days", "since", "ready"),
    [
        ([], "2026-03-02T22:00", "2026-03-03T06:00"),
        ([], "2026-03-03T05:59", "2026-03-03T06:00"),
        ([], "2026-03-03T06:00", "2026-03-04T06:00"),
        ([0, 1, 2, 3, 4], "2026-03-06T18:00", "2026-03-09T06:00"),  # over the weekend
        ([2], "2026-03-04T06:30", "2026-03-11T06:00"),  # a week later
        ([], "2026-03-28T23:00", "2026-03-29T06:00"),  # the clocks go forward: an hour less
    ],
)
def test_the_next_time_that_it_is_to_be_ready(days: list[int], since: str, ready: str) -> None:
    fleet = Fleet(ready_by=time(6), ready_days=days)
    assert observing.ready_at(fleet, at(since).astimezone(UTC), BERLIN) == at(ready)
    assert observing.ready_at(Fleet(), at(since), BERLIN) is None


def test_people_go_before_the_car_and_the_car_before_its_fleet(place: Place) -> None:  # noqa: F811
    now = datetime.now(UTC)
    with tenant_scope(place.tenant.pk):
        fleet = Fleet.objects.create(
            tenant=place.tenant, name="Vans", ready_by=(now + timedelta(hours=3)).astimezone(BERLIN).time(),
            ready_wh=30_000,
        )  # fmt: skip
    session = place.charge(place.stations[0], fleet=fleet)
    runner, running = place.runner()

    def need() -> tuple[float, float]:
        place.settle(runner, running, rounds=1)
        assert running.loop.control is not None
        cars, leaf = running.loop.control.cars, running.loop.leaf_of[session.evse_id]
        return float(cars.need_wh[leaf]), float(cars.departure[leaf])

    wh, until = need()
    assert wh == 30_000 and until == pytest.approx((now + timedelta(hours=3)).timestamp(), abs=1)
    car_leaves = now + timedelta(hours=2)
    with tenant_scope(place.tenant.pk):
        SessionPower.objects.create(
            tenant=place.tenant, station=session.station, evse_number=1, session=session, needs_at=now,
            energy_wh=9_000, departure_at=car_leaves,
        )  # fmt: skip
    assert need() == (9_000, pytest.approx(car_leaves.timestamp()))
    with tenant_scope(place.tenant.pk):
        SessionPower.objects.update(wish_wh=22_000)
    assert need() == (22_000, pytest.approx(car_leaves.timestamp()))
    with tenant_scope(place.tenant.pk):
        SessionPower.objects.update(wish_departure_at=now + timedelta(hours=1), wish_wh=None, energy_wh=0)
    # Only the car knows that it takes no more.
    assert need() == (0, pytest.approx((now + timedelta(hours=1)).timestamp()))
    with tenant_scope(place.tenant.pk):
        SessionPower.objects.update(wish_wh=500)
    assert need()[0] == 1000


def test_a_session_in_which_a_vehicle_stays_past_its_time(place: Place) -> None:  # noqa: F811
    """It is late for a while, then it goes the next day."""
    now = datetime.now(UTC)
    with tenant_scope(place.tenant.pk):
        ready = (now - timedelta(minutes=30)).astimezone(BERLIN).time()
        fleet = Fleet.objects.create(tenant=place.tenant, name="Vans", ready_by=ready)
    runner, running = place.runner()
    place.settle(runner, running, rounds=1)
    assert running.loop.tree is not None
    seen = SessionSeen(1, 1, now - timedelta(hours=8), 0.0, None, None, None, "", fleet.pk)

    def told(moment: datetime) -> timedelta:
        assert running.loop.tree is not None
        with tenant_scope(place.tenant.pk):
            need = observing.needs([(running.loop.tree, [seen])], moment)[1]
        assert need.departure is not None
        return need.departure - now

    assert timedelta(minutes=-31) < told(now) < timedelta(minutes=-29)
    assert told(now + timedelta(hours=2)) > timedelta(hours=22)
