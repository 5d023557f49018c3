"""Compliance cases in which the operator asks something of the station and the station answers: blocks K and O.

Each row is a case: what the operator orders, which CALL must be heard, what the station answers and tells afterwards.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.oca.cases import oca
from tests.oca.scene import V2, Payload, Stage

PROFILE = {
    "number": 77, "purpose": "default", "kind": "absolute", "unit": "A", "stack_level": 1, "evse": 1,
    "starts_at": "2026-11-23T08:00:00Z", "periods": [{"start_s": 0, "limit": 10}],
}  # fmt: skip
TEXT = [{"language": "en", "format": "utf8", "text": "Half price today"}]
REQUEST = "<the request's id>"  # replaced by what was heard


def row(
    *cases: str, on: tuple[str, ...] = V2, kind: str, arguments: Any, action: str, expected: Any,
    answer: Payload, state: str = "accepted", then: list[tuple[str, Payload]] | None = None, name: str = "",
) -> Any:  # fmt: skip
    label = name or f"{'-'.join(cases)}"
    return pytest.param(
        on, kind, arguments, action, expected, answer, state, then or [], marks=oca(*cases), id=label
    )


def message_row(*cases: str, answer: str = "Accepted", state: str = "accepted", **more: Any) -> Any:
    return row(
        *cases, kind="show_message", arguments={"number": 7, "contents": TEXT, "priority": "in_front"} | more,
        action="SetDisplayMessage", expected={}, answer={"status": answer}, state=state,
    )  # fmt: skip


def shown(number: int = 7) -> Payload:
    text = {"format": "UTF8", "content": "Half price today"}
    return {"requestId": REQUEST, "messageInfo": [{"id": number, "priority": "InFront", "message": text}]}


def limits_row(*cases: str, arguments: Payload, criterion: Payload, evse: int | None = None) -> Any:
    reported = {
        "requestId": REQUEST, "chargingLimitSource": "CSO", "evseId": evse or 0, "chargingProfile": [{
            "id": 77, "stackLevel": 1, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute",
            "chargingSchedule": [{"id": 1, "chargingRateUnit": "A", "startSchedule": "2026-11-23T08:00:00Z",
                                  "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}]}],
        }],
    }  # fmt: skip
    return row(
        *cases, kind="read_charging_profiles", arguments=arguments, action="GetChargingProfiles",
        expected={"chargingProfile": criterion, "evseId": evse}, answer={"status": "Accepted"},
        then=[("ReportChargingProfiles", reported)],
    )  # fmt: skip


VARIABLE = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "AvailabilityState"}}
CARD = {"token_uid": "04A2B3C4"}

ROWS = [
    # K and 1.6's smart charging
    row("TC_K_01", kind="set_charging_profile", arguments={"profile": PROFILE}, action="SetChargingProfile",
        expected={"evseId": 1}, answer={"status": "Accepted"}),
    row("TC_056", on=("1.6",), kind="set_charging_profile", arguments={"profile": PROFILE},
        action="SetChargingProfile", expected={"connectorId": 1}, answer={"status": "Accepted"}),
    row("TC_K_03", kind="set_charging_profile",
        arguments={"profile": PROFILE | {"purpose": "station_max", "evse": 0}},
        action="SetChargingProfile", expected={"evseId": 0}, answer={"status": "Accepted"}),
    row("TC_K_10", kind="set_charging_profile", arguments={"profile": PROFILE | {"evse": 0}},
        action="SetChargingProfile", expected={"evseId": 0}, answer={"status": "Accepted"}),
    row("TC_K_04", kind="set_charging_profile", arguments={"profile": PROFILE | {"number": 78}},
        action="SetChargingProfile", expected={"evseId": 1}, answer={"status": "Accepted"}),
    row("TC_K_15", kind="set_charging_profile", arguments={"profile": PROFILE}, action="SetChargingProfile",
        expected={}, answer={"status": "Rejected"}, state="rejected"),
    row("TC_K_19", kind="set_charging_profile",
        arguments={"profile": PROFILE | {"kind": "recurring", "recurrence": "daily", "duration_s": 86400}},
        action="SetChargingProfile", expected={"evseId": 1}, answer={"status": "Accepted"}),
    row("TC_K_05", kind="clear_charging_profile", arguments={"number": 77}, action="ClearChargingProfile",
        expected={"chargingProfileId": 77}, answer={"status": "Accepted"}),
    row("TC_067", on=("1.6",), kind="clear_charging_profile", arguments={"number": 77}, action="ClearChargingProfile",
        expected={"id": 77}, answer={"status": "Accepted"}),
    row("TC_K_06", kind="clear_charging_profile", arguments={"evse": 1, "purpose": "default", "stack_level": 1},
        action="ClearChargingProfile",
        expected={"chargingProfileCriteria": {
            "evseId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1}},
        answer={"status": "Accepted"}),
    row("TC_K_08", kind="clear_charging_profile", arguments={"number": 77}, action="ClearChargingProfile",
        expected={"chargingProfileId": 77}, answer={"status": "Unknown"}, state="accepted"),
    limits_row("TC_K_29", arguments={"evse": 0}, criterion={}, evse=0),
    limits_row("TC_K_30", arguments={"evse": 1}, criterion={}, evse=1),
    limits_row("TC_K_31", arguments={}, criterion={}),
    limits_row("TC_K_32", arguments={"numbers": [77]}, criterion={"chargingProfileId": [77]}),
    limits_row("TC_K_33", arguments={"evse": 1, "stack_level": 1}, criterion={"stackLevel": 1}, evse=1),
    limits_row("TC_K_34", arguments={"evse": 1, "sources": ["ems"]},
               criterion={"chargingLimitSource": ["EMS"]}, evse=1),
    limits_row("TC_K_35", arguments={"evse": 1, "purpose": "default"},
               criterion={"chargingProfilePurpose": "TxDefaultProfile"}, evse=1),
    limits_row("TC_K_36", arguments={"evse": 1, "purpose": "default", "stack_level": 1},
               criterion={"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1}, evse=1),
    *[row(case, kind="read_composite_schedule", arguments={"evse": evse, "duration_s": 300},
          action="GetCompositeSchedule", expected={"evseId": evse, "duration": 300},
          answer={"status": "Accepted", "schedule": {
              "evseId": evse, "duration": 300, "scheduleStart": "2026-11-23T08:00:00Z", "chargingRateUnit": "A",
              "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}]}})
      for case, evse in [("TC_K_43", 1), ("TC_K_44", 0)]],
    row("TC_066", on=("1.6",), kind="read_composite_schedule", arguments={"evse": 1, "duration_s": 300},
        action="GetCompositeSchedule", expected={"connectorId": 1, "duration": 300},
        answer={"status": "Accepted", "connectorId": 1, "scheduleStart": "2026-11-23T08:00:00Z", "chargingSchedule": {
            "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}]}}),
    # O
    message_row("TC_O_01"),
    message_row("TC_O_06", transaction_id="tx-1"),
    message_row("TC_O_10", transaction_id="tx-9", answer="UnknownTransaction", state="rejected"),
    message_row("TC_O_12"),
    message_row("TC_O_13", starts_at="2026-11-24T08:00:00Z"),
    message_row("TC_O_14", ends_at="2026-11-24T08:00:00Z"),
    message_row("TC_O_17", priority="always_front", answer="NotSupportedPriority", state="rejected"),
    message_row("TC_O_18", answer="NotSupportedState", state="rejected"),
    message_row("TC_O_19", answer="NotSupportedMessageFormat", state="rejected"),
    message_row("TC_O_26", answer="Rejected", state="rejected"),
    message_row("TC_O_27", transaction_id="tx-1", starts_at="2026-11-24T08:00:00Z"),
    message_row("TC_O_28", transaction_id="tx-1", ends_at="2026-11-24T08:00:00Z"),
    row("TC_O_25", kind="show_message", arguments={"number": 7, "contents": TEXT, "state": "charging"},
        action="SetDisplayMessage", expected={}, answer={"status": "Accepted"}),
    *[row(case, kind="read_messages", arguments=arguments, action="GetDisplayMessages", expected=expected,
          answer={"status": word}, then=[("NotifyDisplayMessages", shown())] if word == "Accepted" else [])
      for case, arguments, expected, word in [
          ("TC_O_02", {}, {"id": None}, "Accepted"), ("TC_O_03", {}, {"id": None}, "Unknown"),
          ("TC_O_07", {"numbers": [7]}, {"id": [7]}, "Accepted"),
          ("TC_O_08", {"priority": "in_front"}, {"priority": "InFront"}, "Accepted"),
          ("TC_O_09", {"state": "idle"}, {"state": "Idle"}, "Accepted"),
          ("TC_O_11", {"numbers": [99]}, {"id": [99]}, "Unknown")]],
    *[row(case, kind="clear_message", arguments={"number": 7}, action="ClearDisplayMessage", expected={"id": 7},
          answer={"status": word})
      for case, word in [("TC_O_04", "Accepted"), ("TC_O_05", "Unknown")]],
]  # fmt: skip


def _in_version(rows: list[Any]) -> list[Any]:
    """A parameter a version that the case is published for."""
    return [
        pytest.param(version, *param.values[1:], marks=param.marks, id=f"{param.id}-{version}")
        for param in rows
        for version in param.values[0]
    ]


@pytest.mark.parametrize(
    ("version", "kind", "arguments", "action", "expected", "answer", "state", "then"), _in_version(ROWS)
)
async def test_an_order(
    stage: Stage, version: str, kind: str, arguments: Payload, action: str, expected: Payload, answer: Payload,
    state: str, then: list[tuple[str, Payload]],
) -> None:  # fmt: skip
    async with stage(version) as scene:
        heard = await scene.does(kind, arguments, action, expected, answer, state)
        for told, payload in then:
            named = (
                {**payload, "requestId": heard["requestId"]}
                if payload.get("requestId") == REQUEST
                else payload
            )
            assert await scene.tell(told, named) == {}
        notes = await scene.seen(f"/stations/{scene.station.pk}/events", kind="note")
        assert notes == [], "could not be understood"
