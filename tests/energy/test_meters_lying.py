"""Meters that tell nothing new, or what cannot be, on real rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from energy.models import GridConnection, MeterSample, SiteMeter, Steering
from energy.services import alerts
from tenants.context import tenant_scope
from tests.energy import test_loops
from tests.energy.test_loops import MAIN_A, Place

place = test_loops.place


def _meter(place: Place, most: float = 20) -> SiteMeter:
    with tenant_scope(place.tenant.pk):
        meter = SiteMeter.objects.create(
            tenant=place.tenant, connection=place.rows.connection, name="House", maximum_a=most
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
