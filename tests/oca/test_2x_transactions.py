"""Compliance cases of OCPP 2.x: transactions (E), authorisation at the start and the stop (C), meter values (J)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from fleets.models import Token
from tenants.models import Role, Tenant, User
from tests.oca.cases import oca
from tests.oca.scene import V2, Stage
from tests.oca.visit import START_WH, STOP_WH, Visit, energy, token
from tests.people import MakeMember
from tests.stations.ocpp.conftest import in_thread

CARD, OTHER = "04A2B3C4", "04D5E6F7"
pytestmark = pytest.mark.parametrize("version", V2)


@pytest.fixture
def card(make_token: Callable[..., Token]) -> Token:
    return make_token(uid=CARD)


# --- C: who may charge ---


@oca("TC_C_02", "TC_C_06", "TC_C_07")
@pytest.mark.parametrize("status", ["Invalid", "Blocked", "Expired"])
async def test_a_card_that_is_no_good(
    stage: Stage, version: str, make_token: Callable[..., Token], status: str
) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    values: dict[str, Any] = {"Expired": {"expires_at": past}, "Blocked": {"blocked": True}}
    if status in values:
        await in_thread(lambda: make_token(uid=CARD, **values[status]))
    async with stage(version) as scene:
        answer = await scene.tell("Authorize", {"idToken": token(CARD)})
        assert answer["idTokenInfo"]["status"] in (status, "Unknown")


@oca("TC_C_08")
async def test_a_cached_card_starts_without_asking(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        await visit.plugged_in()
        await visit.authorized(CARD)


@oca("TC_C_20", "TC_E_16")
async def test_a_cached_card_that_is_no_good_any_more(stage: Stage, version: str) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        await visit.plugged_in()
        answer = await visit.event("Updated", "Authorized", "EVConnected", token=token(CARD))
        assert answer["idTokenInfo"]["status"] != "Accepted"
        await visit.event(
            "Ended",
            "Deauthorized",
            "EVConnected",
            wh=START_WH,
            context="Transaction.End",
            reason="DeAuthorized",
        )
        await visit.was("DeAuthorized", 0)


@oca("TC_C_39")
async def test_a_card_of_the_same_group_stops(
    stage: Stage, version: str, make_token: Callable[..., Token]
) -> None:
    await in_thread(lambda: [make_token(uid=uid, group="FAMILY") for uid in (CARD, OTHER)])
    async with stage(version) as scene:
        for uid in (CARD, OTHER):
            told = await scene.tell("Authorize", {"idToken": token(uid)})
            assert told["idTokenInfo"]["groupIdToken"]["idToken"] == "FAMILY"
        visit = Visit(scene)
        await visit.charging(CARD)
        answer = await visit.event("Updated", "StopAuthorized", "EVConnected", token=token(OTHER))
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert answer["idTokenInfo"]["groupIdToken"]["idToken"] == "FAMILY"
        await visit.ends("EVCommunicationLost", "Local")
        assert (await visit.was("Local"))["token_uid"] == CARD


@oca("TC_C_37", "TC_C_38")
@pytest.mark.parametrize(("word", "state"), [("Accepted", "accepted"), ("Rejected", "rejected")])
async def test_the_cache_is_cleared(stage: Stage, version: str, word: str, state: str) -> None:
    async with stage(version) as scene:
        await scene.does("clear_cache", {}, "ClearCache", {}, {"status": word}, state)


# --- E: how transactions start ---


@oca("TC_E_03")
async def test_cable_first(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        await scene.status("Occupied")
        await visit.event(
            "Started", "CablePluggedIn", "EVConnected", wh=START_WH, context="Transaction.Begin"
        )
        assert (await scene.tell("Authorize", {"idToken": token(CARD)}))["idTokenInfo"][
            "status"
        ] == "Accepted"
        await visit.authorized(CARD)
        await visit.energy_flows()
        session = await scene.session()
        assert (session["token_uid"], session["charging_state"]) == (CARD, "charging")
        await visit.ends()
        await visit.was("EVDisconnected")


@oca("TC_E_04", "TC_E_10")
async def test_card_first(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        answer = await visit.event(
            "Started", "Authorized", token=token(CARD), wh=START_WH, context="Transaction.Begin"
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        await scene.status("Occupied")
        await visit.event("Updated", "CablePluggedIn", "EVConnected")
        await visit.energy_flows()
        await visit.ends()
        await visit.was("EVDisconnected")


@oca("TC_E_01", "TC_E_02", "TC_E_09", "TC_E_11", "TC_E_12", "TC_E_38")
@pytest.mark.parametrize(
    ("trigger", "state"),
    [
        ("ChargingStateChanged", "SuspendedEVSE"),  # PowerPathClosed
        ("ChargingStateChanged", "Charging"),  # EnergyTransfer
        ("CablePluggedIn", "EVConnected"),  # EVConnected
        ("SignedDataReceived", "EVConnected"),  # DataSigned
        ("EVDetected", "Idle"),  # ParkingBayOccupancy
        ("ChargingStateChanged", "SuspendedEV"),  # the car is not ready
    ],
)
async def test_a_transaction_starts_at_any_point(
    stage: Stage, version: str, card: Token, trigger: str, state: str
) -> None:
    async with stage(version) as scene:
        assert (await scene.tell("Authorize", {"idToken": token(CARD)}))["idTokenInfo"][
            "status"
        ] == "Accepted"
        visit = Visit(scene)
        answer = await visit.event(
            "Started", trigger, state, token=token(CARD), wh=START_WH, context="Transaction.Begin"
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        await visit.energy_flows()
        assert (await scene.session())["state"] == "active"
        await visit.ends()
        await visit.was("EVDisconnected")


# --- E: how transactions stop ---


@oca(
    "TC_E_07", "TC_E_08", "TC_E_14", "TC_E_15", "TC_E_17", "TC_E_19", "TC_E_20", "TC_E_22", "TC_E_26",
)  # fmt: skip
@pytest.mark.parametrize(
    ("trigger", "reason"),
    [
        ("StopAuthorized", "Local"),
        ("ChargingStateChanged", "Local"),
        ("EVCommunicationLost", "EVDisconnected"),
        ("StopAuthorized", "SOCLimitReached"),
        ("Deauthorized", "DeAuthorized"),
        ("EVDeparted", "Local"),
        ("ChargingStateChanged", "StoppedByEV"),
        ("EnergyLimitReached", "EnergyLimitReached"),
        ("AbnormalCondition", "GroundFault"),
    ],
)
async def test_a_transaction_stops_for_any_reason(
    stage: Stage, version: str, card: Token, trigger: str, reason: str
) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        await visit.event("Updated", "ChargingStateChanged", "SuspendedEV")
        await visit.ends(trigger, reason)
        await scene.status("Available")
        await visit.was(reason)


@oca("TC_E_21", "TC_F_03")
async def test_a_remote_stop(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        await scene.does(
            "stop", {"transaction_id": visit.transaction_id}, "RequestStopTransaction",
            {"transactionId": visit.transaction_id}, {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        await visit.ends("RemoteStop", "Remote")
        await visit.was("Remote")


@oca("TC_E_39")
async def test_nobody_plugs_in(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        await visit.event(
            "Started", "Authorized", token=token(CARD), wh=START_WH, context="Transaction.Begin"
        )
        await visit.event(
            "Ended", "EVConnectTimeout", wh=START_WH, context="Transaction.End", reason="Timeout"
        )
        await visit.was("Timeout", 0)


@oca("TC_E_53")
async def test_sequence_numbers_begin_anew(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        for _again in range(2):
            visit = Visit(scene)
            await visit.charging(CARD)
            await visit.ends()
            assert "seq_gap" not in (await visit.was("EVDisconnected"))["flags"]


# --- J: readings ---


@oca("TC_J_01")
async def test_readings_without_a_transaction(stage: Stage, version: str) -> None:
    async with stage(version) as scene:
        for evse in (0, 1):
            answer = await scene.tell(
                "MeterValues", {"evseId": evse, "meterValue": energy(4711.0, "Sample.Clock")}
            )
            assert answer == {}
        assert await scene.seen("/sessions", station_id=scene.station.pk) == []


@oca("TC_J_02", "TC_J_07", "TC_J_08", "TC_J_09")
async def test_readings_of_a_transaction(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        await visit.event("Updated", "MeterValueClock", "Charging", wh=2400.0, context="Sample.Clock")
        await visit.event("Updated", "MeterValuePeriodic", "Charging", wh=2900.0)
        session = await scene.session()
        assert float(session["energy_wh"]) == 2900 - START_WH
        readings = await scene.seen(f"/sessions/{session['id']}/readings")
        assert {2400.0, 2900.0} <= {float(row["energy_wh"] or 0) for row in readings}


@oca("TC_J_03", "TC_J_10")
async def test_all_readings_come_with_the_end(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        at = visit.at
        told = [
            *energy(2500.0, "Sample.Clock", at + timedelta(seconds=10)),
            *energy(3000.0, "Sample.Periodic", at + timedelta(seconds=20)),
            *energy(STOP_WH, "Transaction.End", at + timedelta(seconds=60)),
        ]
        await visit.event("Ended", "EVCommunicationLost", "Idle", reason="EVDisconnected", meterValue=told)
        await visit.was("EVDisconnected")


@oca("TC_J_04", "TC_J_11")
async def test_signed_readings(stage: Stage, version: str, card: Token) -> None:
    signed = {
        "signedMeterData": "T0NNRnx7fXx7fQ==",
        "signingMethod": "",
        "encodingMethod": "OCMF",
        "publicKey": "b2NhOmJhc2UxNjphc24xOjMwNTkz",
    }
    async with stage(version) as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        told = energy(STOP_WH, "Transaction.End", visit.at + timedelta(seconds=60), signedMeterValue=signed)
        await visit.event("Ended", "EVCommunicationLost", "Idle", reason="EVDisconnected", meterValue=told)
        session = await visit.was("EVDisconnected")
        frames = await scene.seen(f"/stations/{scene.station.pk}/frames", action="TransactionEvent")
        assert any(signed["signedMeterData"] in str(frame["payload"]) for frame in frames)
        assert session["flags"] == []


# --- what the station tells beside


async def test_why_a_car_is_slow_is_told(
    stage: Stage, version: str, card: Token, tenant: Tenant, make_member: MakeMember,
    portal_client: Callable[[User], Client],
) -> None:  # fmt: skip
    """Phases, cable and the time with energy; 2.1 tells the mode, the battery and whether the electronics sleep. The
    latest word of each counts, in whatever order they come; what cannot be is left out."""
    async with stage(version) as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        late: dict[str, Any] = {"info": {"timeSpentCharging": 900}, "numberOfPhasesUsed": 1}
        if version == "2.1":
            late["info"]["operationMode"] = "LocalFrequency"
            late |= {"preconditioningStatus": "Preconditioning", "evseSleep": True}
        await visit.event("Updated", "ChargingStateChanged", "SuspendedEV", **late)
        visit.at -= timedelta(minutes=5)
        before = {"timeSpentCharging": 60} | ({"operationMode": "Idle"} if version == "2.1" else {})
        await visit.event(
            "Updated", "MeterValuePeriodic", info=before, numberOfPhasesUsed=3, cableMaxCurrent=32.0
        )
        await visit.event("Updated", "MeterValuePeriodic", cableMaxCurrent=-7)
        session = await scene.session()
        told = (await scene.rest("GET", f"/sessions/{session['id']}"))["circumstances"]
        assert (told["phases"], told["cable_a"], told["charging_s"]) == (1, 32, 900)
        more = ("local_frequency", "preconditioning", True) if version == "2.1" else (None, None, None)
        assert (told.get("mode"), told.get("battery"), told.get("asleep")) == more
        user, _password = await in_thread(lambda: make_member(Role.OPERATOR))
        address = reverse("session", args=[tenant.slug, session["id"]])
        page = await in_thread(lambda: portal_client(user).get(address).content.decode())
        assert "32 A" in page and ("Frequency support by the station" in page) == (version == "2.1")
        visit.at += timedelta(minutes=30)
        await visit.event("Updated", "MeterValuePeriodic")
        told = (await scene.rest("GET", f"/sessions/{session['id']}"))["circumstances"]
        assert not told.get("asleep")  # left out, `evseSleep` is false
