"""What a session's page says of the circumstances that its station told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stations import circumstances
from stations.models import Session
from stations.services.evidence import Evidence

pytestmark = pytest.mark.nodb
BEGAN = datetime(2026, 5, 20, 12, tzinfo=UTC)


def told(*, lasted: timedelta = timedelta(minutes=20), **values: Any) -> dict[str, Any]:
    evidence = Evidence()
    for name, value in values.items():
        evidence.circumstance(1, name, value)
    session = Session(started_at=BEGAN, ended_at=BEGAN + lasted, evidence=evidence.to_json())
    return {name: value for name, _label, value in circumstances.rows(session)}


def test_energy_flows_no_longer_than_the_session_lasts() -> None:
    assert told(charging_s=900) == {"charging_s": 900}
    assert told(charging_s=900_000) == {}  # milliseconds


def test_what_nobody_told_is_not_shown() -> None:
    assert told() == {}
    assert told(asleep=False, battery="unknown") == {}
