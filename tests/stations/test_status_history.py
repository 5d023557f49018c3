"""The history of connectors: every change at its time, however late it is told; a flood is bounded."""

from __future__ import annotations

from datetime import timedelta

from stations import lanes
from stations.models import StatusEntry
from stations.neutral import StatusReport
from stations.services import connectors
from tenants.context import tenant_scope
from tests.stations.telling import Speaker, now, wire


def told(speaker: Speaker, evse: int = 1) -> list[tuple[str, float]]:
    """(status, minutes it held) as the history tells, the last one until now."""
    with tenant_scope(speaker.tenant_id):
        until = now()
        (lane,) = [
            one for one in lanes.of_station(speaker.station, until - timedelta(days=2), until)
            if one.evse_number == evse
        ]  # fmt: skip
        return [
            (part.status, round((part.end - part.start).total_seconds() / 60))
            for part in lane.parts
            if part.status != "unknown"
        ]


def test_changes_become_intervals(speaker: Speaker) -> None:
    at = now() - timedelta(hours=3)
    for minutes, status in ((0, "available"), (60, "faulted"), (90, "available")):
        when = at + timedelta(minutes=minutes)
        speaker.status(status, at=when, received_at=when)
    assert told(speaker) == [("available", 60), ("faulted", 30), ("available", 90)]


def test_late_news_take_their_place_and_what_was_told_after_still_holds(speaker: Speaker) -> None:
    at = now() - timedelta(hours=3)
    speaker.status("available", at=at, received_at=at)
    speaker.status("available", at=at + timedelta(hours=2), received_at=at + timedelta(hours=2))
    speaker.status("faulted", at=at + timedelta(hours=1), received_at=now(), error_code="GroundFailure")
    assert told(speaker) == [("available", 60), ("faulted", 60), ("available", 60)]


def test_a_repeat_is_kept_once(speaker: Speaker) -> None:
    at = now() - timedelta(minutes=10)
    for _ in range(5):
        speaker.status("charging", at=at, received_at=at)
    with tenant_scope(speaker.tenant_id):
        assert StatusEntry.objects.filter(station=speaker.station).count() == 1


def test_a_flood_is_bounded_and_the_last_word_counts(speaker: Speaker) -> None:
    at = now() - timedelta(minutes=30)
    reports = [
        StatusReport(
            speaker.station.pk, 1, 1, "faulted" if n % 2 else "available", wire(at + timedelta(seconds=n)), at
        )
        for n in range(1000)
    ]
    with tenant_scope(speaker.tenant_id):
        connectors.record_status(tenant_id=speaker.tenant_id, reports=reports)
        assert StatusEntry.objects.filter(station=speaker.station).count() <= connectors.MOST_AN_HOUR
    assert told(speaker)[-1][0] == "faulted"


def test_what_cannot_be_a_connector_is_not_the_stations_fault(speaker: Speaker) -> None:
    speaker.status("faulted", evse=70_000)
    with tenant_scope(speaker.tenant_id):
        assert not StatusEntry.objects.filter(station=speaker.station).exists()


def test_a_wrong_clock_is_known(speaker: Speaker) -> None:
    speaker.status("available", at=now() + timedelta(hours=3), received_at=now())
    with tenant_scope(speaker.tenant_id):
        (entry,) = StatusEntry.objects.filter(station=speaker.station)
        assert round(entry.clock_ahead_s or 0) == 3 * 3600
