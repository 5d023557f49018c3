"""The sweeps reach every tenant, and one tenant's trouble is not the next one's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections

from fleets.models import Token
from stations import tasks
from stations.models import SessionState, Station
from stations.services import rating
from tenants.models import Tenant
from tests.stations.telling import Speaker, now


@pytest.fixture
def other_speaker(
    other_tenant: Tenant, make_station: Callable[..., Station], make_token: Callable[..., Token]
) -> Speaker:
    make_token(tenant=other_tenant, uid="CARD")
    return Speaker(make_station(tenant=other_tenant))


def ended(speaker: Speaker) -> None:
    speaker.stop(number=speaker.start()[0].transaction_number)


def test_sessions_of_every_tenant_are_rated(speaker: Speaker, other_speaker: Speaker) -> None:
    for one in (speaker, other_speaker):
        ended(one)
    tasks.rate_ended()
    assert [one.session().state for one in (speaker, other_speaker)] == [SessionState.RATED] * 2


def test_one_tenants_trouble_is_not_the_next_ones(
    speaker: Speaker, other_speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in (speaker, other_speaker):
        ended(one)
    rate = rating.rate_ended

    def troubled(*, tenant_id: int) -> int:
        if tenant_id == min(speaker.tenant_id, other_speaker.tenant_id):
            raise RuntimeError("a defect")
        return rate(tenant_id=tenant_id)

    monkeypatch.setattr(rating, "rate_ended", troubled)
    tasks.rate_ended()
    states = {one.tenant_id: one.session().state for one in (speaker, other_speaker)}
    assert states[max(states)] == SessionState.RATED


def test_a_session_that_cannot_be_rated_is_held_and_the_next_one_rated(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(speaker)
    first = speaker.session().pk
    speaker.start(at=now() - timedelta(minutes=5), meter=6000)
    speaker.stop(number=speaker.sessions()[1].transaction_number or 0, meter=6100, at=now())
    settle = rating._settle

    def troubled(session: object) -> None:
        if getattr(session, "pk", None) == first:
            raise ValueError("a defect")
        settle(session)  # type: ignore[arg-type]

    monkeypatch.setattr(rating, "_settle", troubled)
    tasks.rate_ended()
    assert [one.state for one in speaker.sessions()] == [SessionState.HELD, SessionState.RATED]


def test_strays_of_every_tenant_are_closed(speaker: Speaker, other_speaker: Speaker) -> None:
    for one in (speaker, other_speaker):
        one.began = now() - timedelta(days=9)
        one.start()
    tasks.guard_sessions()
    assert [one.session().state for one in (speaker, other_speaker)] == [SessionState.HELD] * 2


def test_partitions_are_there_for_tomorrow_and_next_month(speaker: Speaker) -> None:
    tasks.ensure_partitions()
    tasks.ensure_partitions()
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"stations_frame_{now() + timedelta(days=1):%Y%m%d}"])
        assert cursor.fetchone()[0]


def test_frames_within_their_time_are_kept(speaker: Speaker) -> None:
    tasks.ensure_partitions()
    assert tasks.drop_frames() == 0
