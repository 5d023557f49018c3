"""What never ends is ended or held."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from stations.models import Session, SessionState, Station
from stations.services import guardian
from tenants.context import tenant_scope
from tests.stations.telling import Speaker, now, sample, value


def sweep(speaker: Speaker, at: datetime | None = None) -> int:
    with tenant_scope(speaker.tenant_id):
        return guardian.sweep(tenant_id=speaker.tenant_id, now=at or now())


def began(speaker: Speaker, ago: timedelta) -> int:
    speaker.began = now() - ago
    return int(speaker.start()[0].transaction_number)


def online(speaker: Speaker, *, last_seen: datetime, is_online: bool) -> None:
    with tenant_scope(speaker.tenant_id):
        Station.objects.filter(pk=speaker.station.pk).update(online=is_online, last_seen_at=last_seen)


def test_a_running_session_is_left_alone(speaker: Speaker) -> None:
    began(speaker, timedelta(hours=5))
    online(speaker, last_seen=now(), is_online=True)
    assert sweep(speaker) == 0


def test_no_energy_for_days_closes_at_the_last_reading(speaker: Speaker) -> None:
    number = began(speaker, timedelta(days=5))
    online(speaker, last_seen=now(), is_online=True)
    speaker.meter(sample(speaker.began + timedelta(hours=1), value(7000)), number=number)
    speaker.meter(sample(speaker.began + timedelta(days=4), value(7000)), number=number)
    assert sweep(speaker) == 1
    session = speaker.session()
    assert (session.state, session.energy_wh) == (SessionState.ENDED, Decimal(6000))
    assert {"guardian_closed", "no_energy"} <= set(session.flags)


def test_a_station_that_is_gone_is_held_for_review(speaker: Speaker) -> None:
    began(speaker, timedelta(days=5))
    online(speaker, last_seen=now() - timedelta(days=4), is_online=False)
    assert sweep(speaker) == 1
    session = speaker.session()
    assert session.state == SessionState.HELD
    assert {"guardian_closed", "station_gone", "guardian_unsure"} <= set(session.flags)


def test_a_station_offline_over_the_weekend_keeps_its_session(speaker: Speaker) -> None:
    began(speaker, timedelta(days=2))
    online(speaker, last_seen=now() - timedelta(days=2), is_online=False)
    assert sweep(speaker) == 0


def test_a_free_connector_has_no_session(speaker: Speaker) -> None:
    number = began(speaker, timedelta(hours=2))
    online(speaker, last_seen=now(), is_online=True)
    speaker.meter(sample(now() - timedelta(minutes=42), value(7000)), number=number)
    speaker.status("available", at=now() - timedelta(minutes=40), received_at=now() - timedelta(minutes=40))
    assert sweep(speaker) == 1
    assert "connector_free" in speaker.session().flags
    assert speaker.session().state == SessionState.ENDED


def test_an_older_session_told_later_is_closed_after_a_grace(speaker: Speaker) -> None:
    """From the offline queue, behind the newer one, and its stop got lost."""
    speaker.start(at=now() - timedelta(hours=1), meter=5000)
    speaker.start(at=now() - timedelta(hours=3), meter=1000, received_at=now() - timedelta(minutes=10))
    older = speaker.sessions()[1]
    assert older.state == SessionState.ACTIVE
    assert sweep(speaker) == 1
    assert speaker.sessions()[1].state == SessionState.HELD
    assert speaker.sessions()[0].state == SessionState.ACTIVE


def test_a_second_sweep_finds_nothing(speaker: Speaker) -> None:
    began(speaker, timedelta(days=5))
    online(speaker, last_seen=now(), is_online=True)
    assert (sweep(speaker), sweep(speaker)) == (1, 0)
    with tenant_scope(speaker.tenant_id):
        assert Session.objects.filter(station=speaker.station).count() == 1
