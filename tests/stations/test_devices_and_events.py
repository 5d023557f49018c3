from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from stations.models import StationEvent, Variable
from stations.neutral import EventReport, VariableReport
from stations.services import devices, events
from tenants.context import tenant_scope
from tests.stations.telling import Speaker, now


def record(speaker: Speaker, *reports: VariableReport, at: Any = None, source: str = "report") -> None:
    with tenant_scope(speaker.tenant_id):
        devices.record_variables(
            tenant_id=speaker.tenant_id,
            station_id=speaker.station.pk,
            reports=reports,
            source=source,
            at=at or now(),
        )


def variables(speaker: Speaker) -> list[Variable]:
    with tenant_scope(speaker.tenant_id):
        return list(Variable.objects.filter(station=speaker.station).order_by("name"))


def test_a_variable_told_again_is_brought_up_to_date(speaker: Speaker) -> None:
    record(speaker, VariableReport("HeartbeatInterval", "300", data_type="integer", unit="s"))
    record(speaker, VariableReport("HeartbeatInterval", "600"))
    (one,) = variables(speaker)
    assert (one.value, one.data_type, one.unit) == ("600", "integer", "s")


def test_older_news_does_not_overwrite_newer(speaker: Speaker) -> None:
    record(speaker, VariableReport("A", "new"))
    record(speaker, VariableReport("A", "old"), at=now() - timedelta(hours=1))
    assert variables(speaker)[0].value == "new"


def test_the_last_word_of_a_batch_counts(speaker: Speaker) -> None:
    record(speaker, VariableReport("A", "1"), VariableReport("A", "2"))
    assert [one.value for one in variables(speaker)] == ["2"]


def test_a_write_only_key_has_no_value(speaker: Speaker) -> None:
    record(speaker, VariableReport("AuthorizationKey", None, mutability="write_only"))
    assert variables(speaker)[0].value is None


@pytest.mark.parametrize(
    "name",
    ["AuthorizationKey", "BasicAuthPassword", "authorizationkey", "WifiPassword", "VendorSecret"],
)
def test_a_secret_that_a_station_tells_is_not_kept(speaker: Speaker, name: str) -> None:
    record(speaker, VariableReport(name, "hunter2hunter2"), VariableReport("HeartbeatInterval", "300"))
    assert {one.name: one.value for one in variables(speaker)} == {name: "***", "HeartbeatInterval": "300"}


def test_an_empty_secret_is_told_from_one_that_is_set(speaker: Speaker) -> None:
    record(speaker, VariableReport("AuthorizationKey", ""))
    assert variables(speaker)[0].value == ""


def test_instances_and_connectors_are_told_apart(speaker: Speaker) -> None:
    record(
        speaker,
        VariableReport("Power", "1", component="Connector", evse=1, connector=1),
        VariableReport("Power", "2", component="Connector", evse=1, connector=2),
        VariableReport("Power", "3", component="Connector", evse=1, connector=1, attribute="max"),
    )
    assert len(variables(speaker)) == 3


def test_a_flood_of_variables_is_bounded(speaker: Speaker) -> None:
    record(speaker, *(VariableReport(f"V{n}", "x") for n in range(devices.MOST_VARIABLES + 50)))
    assert len(variables(speaker)) == devices.MOST_VARIABLES


@pytest.mark.parametrize("raw", ["", "1970-01-01T00:00:00Z", "garbage"])
def test_an_event_without_a_usable_time_happened_when_it_came(speaker: Speaker, raw: str) -> None:
    received = now()
    report = EventReport(
        speaker.station.pk, "security", "warning", "t" * 500, raw, received, {"x": 1}, evse=99_999
    )
    with tenant_scope(speaker.tenant_id):
        events.record(tenant_id=speaker.tenant_id, reports=[report])
        (event,) = StationEvent.objects.filter(station=speaker.station)
    assert (event.occurred_at, event.evse_number, len(event.text)) == (received, None, 200)
