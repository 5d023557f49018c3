"""Meters that tell nothing new, or what cannot be, on real rows."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from energy.models import GridConnection, MeterSample, SiteMeter, Steering
from energy.runner import Runner, Running
from energy.services import alerts, meters
from tenants.context import tenant_scope
from tests.energy import test_loops
from tests.energy.test_lines_loops import _tell as tell_car
from tests.energy.test_loops import MAIN_A, Place

place = test_loops.place


def _meter(place: Place, most: float = 20, kind: str = "building") -> SiteMeter:
    with tenant_scope(place.tenant.pk):
        meter = SiteMeter.objects.create(
            tenant=place.tenant, connection=place.rows.connection, name="House", maximum_a=most, kind=kind
        )
        GridConnection.objects.update(revision=2)
    return meter


def _tell(place: Place, meter: SiteMeter, amps: float, ahead_s: float = 0.0) -> None:
    now = datetime.now(UTC) + timedelta(seconds=place.later_s)
    with tenant_scope(place.tenant.pk):
        MeterSample.objects.create(
            tenant=place.tenant,
            meter=meter,
            at=now + timedelta(seconds=ahead_s),
            received_at=now,
            amps=[amps] * 3,
        )


def test_a_frozen_meter_raises_its_alert(place: Place) -> None:
    """It speaks each second, so it is not the age of its newest word that counts."""
    meter = _meter(place)
    runner, running = place.runner()
    for _second in range(5):
        _tell(place, meter, 4.2)
        runner.step(running)
        place.later_s += 1
    began = running.loop.clock() - 5
    for _look in range(20):
        _tell(place, meter, 4.2)
        place.later_s += 4
        runner.step(running)
    with tenant_scope(place.tenant.pk):
        told = Steering.objects.get().picture["meters"][0]
        assert told["mute"]
        assert told["since"] == pytest.approx(began, abs=2)
        now = timezone.now() + timedelta(seconds=place.later_s)
        assert [one.evidence for one in alerts.meter_mute(place.tenant.pk, now, 1)] == [{"meters": ["House"]}]
        assert not list(alerts.meter_mute(place.tenant.pk, now, 5))


def test_a_sample_from_far_ahead_hides_nothing_that_comes_later(place: Place) -> None:
    """Such as one that was kept before the clock of the server was set back."""
    meter = _meter(place)
    place.charge(place.stations[0])
    _tell(place, meter, 2.0, ahead_s=3600)
    runner, running = place.runner()
    for number in range(8):
        _tell(place, meter, 15.0 + number / 10)
        place.step(runner, running)
        place.later_s += 4
    assert place.held() == {place.stations[0].pk: pytest.approx(MAIN_A - 16, abs=1)}


def _hold(place: Place, runner: Runner, running: Running, meter: SiteMeter, amps: float) -> float:
    """A that the car of the first station holds once the meter has told this for more than its window."""
    for number in range(14):
        _tell(place, meter, amps + number / 100)
        place.step(runner, running)
        place.later_s += 4
    return place.held()[place.stations[0].pk]


def _night(place: Place, meter: SiteMeter, amps: float) -> None:
    """The dark hours of today, all alike but for their noise, and what is learned of them."""
    zone = ZoneInfo(place.site.time_zone)
    begins = datetime.combine(datetime.now(zone).date(), time(0), zone)
    with tenant_scope(place.tenant.pk):
        MeterSample.objects.bulk_create(
            MeterSample(
                tenant=place.tenant, meter=meter, at=begins + timedelta(minutes=number), received_at=begins,
                amps=[amps + number / 1000] * 3,
            )
            for number in range(180)
        )  # fmt: skip
        meters.learn_nights(tenant_id=place.tenant.pk, now=begins + timedelta(hours=3))


def test_a_clamp_the_wrong_way_round_gives_no_room_and_sun_gives_all_after_a_night(place: Place) -> None:
    """What flows out by its word counts as drawn until a night shows which way it looks; then as room."""
    meter = _meter(place, most=25)
    place.charge(place.stations[0])
    runner, running = place.runner()
    assert _hold(place, runner, running, meter, -20.0) == pytest.approx(MAIN_A - 20, abs=1)
    _night(place, meter, -6.0)
    assert _hold(place, runner, running, meter, -20.0) == pytest.approx(MAIN_A - 20, abs=1)
    with tenant_scope(place.tenant.pk):
        SiteMeter.objects.update(night_at=None)
        MeterSample.objects.all().delete()
    _night(place, meter, 6.0)
    assert _hold(place, runner, running, meter, -20.0) == MAIN_A


def test_a_meter_that_counts_the_cars_and_tells_nothing_while_they_draw(place: Place) -> None:
    meter, session = _meter(place, most=20, kind="grid"), place.charge(place.stations[0])
    runner, running = place.runner()
    held = []
    for _look in range(45):
        with tenant_scope(place.tenant.pk):
            MeterSample.objects.create(
                tenant=place.tenant, meter=meter, amps=[0.0] * 3,
                at=(now := datetime.now(UTC) + timedelta(seconds=place.later_s)), received_at=now,
            )  # fmt: skip
        amps = place.held().get(place.stations[0].pk, 0.0)
        tell_car(place, session, amps, amps, amps)
        place.step(runner, running)
        held.append(amps)
        place.later_s += 4
    assert max(held) == MAIN_A and held[-1] == MAIN_A - 20
    with tenant_scope(place.tenant.pk):
        [told] = Steering.objects.get().picture["meters"]
    assert told["mute"] and told["dead"] == ["L1", "L2", "L3"]
