"""Repairs that a public charger needs, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from stations.ocpp import tolerance

pytestmark = pytest.mark.nodb


@pytest.mark.parametrize("told", [{}, {"triggerReason": ""}])
def test_an_end_without_its_trigger_is_an_end(told: dict[str, Any]) -> None:
    """MicroOcpp, when a card is refused after the start; refused, it would repeat and then drop the message."""
    payload = {
        "eventType": "Ended", "timestamp": "2026-05-20T12:00:00Z", "seqNo": 1,
        "transactionInfo": {"transactionId": "A1", "chargingState": "Idle"}, **told,
    }  # fmt: skip
    wrong, notes = tolerance.accept("2.0.1", "TransactionEvent", payload)
    assert wrong is None
    assert "triggerReason: missing" in notes
    assert payload["triggerReason"] == "AbnormalCondition"


def test_a_whole_number_beyond_all_measure_is_refused_and_not_carried_on() -> None:
    """10**30 as an integer is what no frame can be made of: the socket would end without a word."""
    payload = {"connectorId": 1, "idTag": "A", "meterStart": 1e30, "timestamp": "2026-05-20T12:00:00Z"}
    wrong, _notes = tolerance.accept("1.6", "StartTransaction", payload)
    assert wrong is not None and wrong[0] == "TypeConstraintViolation"


@pytest.mark.parametrize(
    ("beside", "kept"),
    [
        ({"numberOfPhasesUsed": 4}, {}),
        ({"numberOfPhasesUsed": "3"}, {"numberOfPhasesUsed": 3}),
        ({"numberOfPhasesUsed": [1, 2]}, {}),
        ({"cableMaxCurrent": 31.5}, {}),
        ({"cableMaxCurrent": "32 A"}, {}),
        ({"preconditioningStatus": "Warm"}, {}),
        ({"evseSleep": "true"}, {}),
        ({"transactionInfo": {"transactionId": "A1", "timeSpentCharging": 12.7}}, {}),
        ({"transactionInfo": {"transactionId": "A1", "operationMode": "Turbo"}}, {}),
    ],
)
def test_a_strange_word_on_the_circumstances_costs_no_event(
    beside: dict[str, Any], kept: dict[str, Any]
) -> None:
    """They only tell why a car is slow; refused, the session would lose its readings or its end."""
    payload: dict[str, Any] = {
        "eventType": "Ended", "timestamp": "2026-05-20T12:00:00Z", "seqNo": 1, "triggerReason": "EVDeparted",
        "transactionInfo": {"transactionId": "A1"},
    }  # fmt: skip
    told = payload | beside
    wrong, notes = tolerance.accept("2.1", "TransactionEvent", told)
    assert wrong is None and len(notes) == 1
    assert told == payload | kept
