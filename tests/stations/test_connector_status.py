from __future__ import annotations

from datetime import timedelta

import pytest

from stations.models import Connector, StationEvent
from stations.neutral import StatusReport
from stations.services import connectors
from tenants.context import tenant_scope
from tests.stations.telling import Speaker, now, wire


def connector(speaker: Speaker, evse: int = 1) -> Connector:
    with tenant_scope(speaker.tenant_id):
        return Connector.objects.get(evse__station=speaker.station, evse__number=evse)


def changes(speaker: Speaker) -> list[str]:
    with tenant_scope(speaker.tenant_id):
        return list(
            StationEvent.objects.filter(station=speaker.station).order_by("id").values_list("text", flat=True)
        )


def test_a_status_is_known_at_once(speaker: Speaker) -> None:
    speaker.status("charging")
    assert connector(speaker).status == "charging"
    assert changes(speaker) == ["charging"]


def test_the_same_status_again_is_no_change(speaker: Speaker) -> None:
    for _ in range(3):
        speaker.status("charging")
    assert changes(speaker) == ["charging"]


def test_a_fault_tells_its_code(speaker: Speaker) -> None:
    speaker.status("faulted", error_code="GroundFailure", vendor_error_code="E17", info="leak")
    assert (connector(speaker).error_code, connector(speaker).vendor_error_code) == ("GroundFailure", "E17")
    assert changes(speaker) == ["faulted: GroundFailure (leak)"]


def test_a_batch_is_applied_in_order_with_every_change(speaker: Speaker) -> None:
    at = now()
    told = [
        StatusReport(speaker.station.pk, 1, 1, status, wire(at), at)
        for status in ("preparing", "charging", "charging", "finishing")
    ]
    with tenant_scope(speaker.tenant_id):
        connectors.record_status(tenant_id=speaker.tenant_id, reports=told)
    assert connector(speaker).status == "finishing"
    assert changes(speaker) == ["preparing", "charging", "finishing"]


def test_late_news_from_the_queue_changes_nothing(speaker: Speaker) -> None:
    speaker.status("charging")
    speaker.status("available", at=now() - timedelta(hours=3), received_at=now())
    assert connector(speaker).status == "charging"
    assert changes(speaker) == ["charging"]


def test_a_clock_that_was_set_back_freezes_nothing(speaker: Speaker) -> None:
    ahead = now() + timedelta(minutes=8)
    speaker.status("charging", at=ahead, received_at=now())
    speaker.status("finishing")
    assert connector(speaker).status == "finishing"


@pytest.mark.parametrize("odd", ["1970-01-01T00:00:00Z", "222222017-01-01T00:00:00Z", ""])
def test_an_absurd_time_is_the_time_of_receipt(speaker: Speaker, odd: str) -> None:
    speaker.status("charging")
    received = now()
    speaker.status("finishing", at=odd or "?", received_at=received)
    assert connector(speaker).status == "finishing"
    assert connector(speaker).status_at == received


def test_an_unknown_connector_is_made(speaker: Speaker) -> None:
    speaker.status("available", evse=4)
    assert connector(speaker, evse=4).status == "available"


def test_the_station_itself_has_events_for_changes_alone(speaker: Speaker) -> None:
    speaker.status("available", evse=0, connector=0)
    speaker.status("available", evse=0, connector=0)
    speaker.status("faulted", evse=0, connector=0, error_code="OtherError")
    assert changes(speaker) == ["available", "faulted: OtherError"]


def test_an_impossible_connector_number_harms_nobody(speaker: Speaker) -> None:
    speaker.status("available", evse=70_000)
    speaker.status("available", evse=1, connector=70_000)
    assert connector(speaker).status == "available"
