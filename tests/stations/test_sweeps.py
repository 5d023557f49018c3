"""The sweeps reach every tenant, and one tenant's trouble is not the next one's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction

from fleets.models import Token
from stations import tasks
from stations.models import Frame, JournalCursor, JournalHead, SessionState, Station
from stations.services import rating
from tenants.context import as_platform
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


OLD_DAY = "stations_frame_20200101"


def is_there(table: str) -> bool:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [table])
        return cursor.fetchone()[0] is not None


@pytest.fixture
def old_day() -> Iterator[None]:
    """A day of frames of long ago, in a database where no journal waits."""
    with as_platform():
        heads = list(JournalHead.objects.values_list("tenant_id", "gateway", "last_id"))
        for tenant_id, gateway, last_id in heads:
            JournalCursor.objects.update_or_create(
                tenant_id=tenant_id, gateway=gateway, defaults={"applied_id": last_id}
            )
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT stations_make_partition('stations_frame', '2020-01-01 00:00Z', '2020-01-02 00:00Z', '20200101')"
        )
        yield
        cursor.execute(f"DROP TABLE IF EXISTS {OLD_DAY}")


@contextmanager
def frames_held() -> Iterator[None]:
    """As a writer in a long transaction holds them."""
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '10s'")  # who would wait, fails
        cursor.execute("LOCK TABLE stations_frame IN ROW EXCLUSIVE MODE")
        yield


def test_frames_beyond_their_time_go(old_day: None) -> None:
    assert tasks.drop_frames() == 1
    assert not is_there(OLD_DAY)


def waits_since(tenant: Tenant, station: Station, at: datetime) -> JournalCursor:
    """A frame that was stored at that time and is not applied; the cursor that stands before it."""
    with as_platform():
        Frame.objects.create(
            id=7, tenant=tenant, station=station, received_at=at, gateway=f"g-{tenant.slug}", outbound=False,
            message_type=2, message_id="m", action="StatusNotification", ocpp_version="1.6", apply=True, payload="{}",
        )  # fmt: skip
        JournalHead.objects.create(tenant=tenant, gateway=f"g-{tenant.slug}", last_id=7)
        return JournalCursor.objects.create(tenant=tenant, gateway=f"g-{tenant.slug}", applied_id=6)


def applied(cursor: JournalCursor) -> None:
    with as_platform():
        JournalCursor.objects.filter(pk=cursor.pk).update(applied_id=7)


def test_frames_that_wait_to_be_applied_stay(old_day: None, tenant: Tenant, station: Station) -> None:
    cursor = waits_since(tenant, station, datetime(2020, 1, 1, 12, tzinfo=UTC))
    assert tasks.drop_frames() == 0
    assert is_there(OLD_DAY)
    applied(cursor)
    assert tasks.drop_frames() == 1


def test_a_frame_of_today_that_waits_keeps_no_old_day(
    old_day: None, tenant: Tenant, station: Station
) -> None:
    cursor = waits_since(tenant, station, now())
    assert tasks.drop_frames() == 1
    applied(cursor)


def test_dropping_gives_way_to_writers_and_comes_again(old_day: None) -> None:
    with frames_held():
        assert tasks.drop_frames() == 0
    assert is_there(OLD_DAY)
    assert tasks.drop_frames() == 1


def test_making_partitions_gives_way_to_writers_and_comes_again() -> None:
    tasks.ensure_partitions()
    coming = f"stations_frame_{now() + timedelta(days=3):%Y%m%d}"
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"DROP TABLE {coming}")
    with frames_held():
        tasks.ensure_partitions()
    assert not is_there(coming)
    tasks.ensure_partitions()
    assert is_there(coming)
