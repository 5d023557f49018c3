"""OCPP 1.6 compliance cases of the core profile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleets.models import Token
from tests.oca.cases import oca
from tests.oca.scene import Scene, Stage, stamp
from tests.stations.ocpp.conftest import in_thread

CARD = "04A2B3C4"


@pytest.fixture
def card(make_token: Callable[..., Token]) -> Token:
    return make_token(uid=CARD)


async def authorize(scene: Scene, status: str = "Accepted", card: str = CARD) -> None:
    answer = await scene.tell("Authorize", {"idTag": card})
    assert answer["idTagInfo"]["status"] == status


async def start(
    scene: Scene, status: str = "Accepted", at: datetime | None = None, card: str = CARD, **more: Any
) -> int:
    told = {"connectorId": 1, "idTag": card, "meterStart": 1000, "timestamp": stamp(at)}
    answer = await scene.tell("StartTransaction", told | more)
    assert answer["idTagInfo"]["status"] == status
    return int(answer["transactionId"])


async def stop(scene: Scene, number: int, reason: str, at: datetime | None = None, **more: Any) -> None:
    told = {"transactionId": number, "meterStop": 3500, "timestamp": stamp(at), "reason": reason}
    await scene.tell("StopTransaction", told | more)


async def charging(scene: Scene) -> int:
    """A session is running."""
    await scene.status("Preparing")
    await authorize(scene)
    number = await start(scene)
    await scene.status("Charging")
    return number


async def ended(scene: Scene, reason: str) -> None:
    session = await scene.session()
    assert (session["state"] in ("ended", "rated"), session["stop_reason"]) == (True, reason), session
    assert float(session["energy_wh"]) == 2500


async def connector(scene: Scene) -> str:
    await scene.applied()
    told = await scene.rest("GET", f"/stations/{scene.station.pk}")
    return str(told["evses"][0]["connectors"][0]["status"])


@oca("TC_001")
async def test_cold_boot(stage: Stage) -> None:
    async with stage("1.6", booted=False) as scene:
        answer = await scene.boot()
        assert (answer["status"], answer["interval"] > 0) == ("Accepted", True)
        await scene.status("Available", evse=0)
        await scene.status("Available")
        told = (await scene.tell("Heartbeat", {}))["currentTime"]
        assert abs(datetime.fromisoformat(told) - datetime.now(UTC)) < timedelta(minutes=1)
        assert await connector(scene) == "available"


@oca("TC_003", "TC_004_1")
@pytest.mark.parametrize("plug_first", [True, False])
async def test_a_regular_session(stage: Stage, card: Token, plug_first: bool) -> None:
    async with stage("1.6") as scene:
        if plug_first:
            await scene.status("Preparing")
        await authorize(scene)
        if not plug_first:
            await scene.status("Preparing")
        number = await start(scene)
        await scene.status("Charging")
        assert await connector(scene) == "charging"
        await authorize(scene)
        await stop(scene, number, "Local", idTag=CARD)
        await scene.status("Finishing")
        await scene.status("Available")
        await ended(scene, "Local")
        assert await connector(scene) == "available"


@oca("TC_004_2")
async def test_nobody_plugs_in_after_identification(stage: Stage, card: Token) -> None:
    async with stage("1.6") as scene:
        await authorize(scene)
        await scene.status("Preparing")
        await scene.status("Available")
        assert await connector(scene) == "available"
        assert await scene.seen("/sessions", station_id=scene.station.pk) == []


@oca("TC_005_1")
async def test_the_cable_is_pulled_at_the_car(stage: Stage, card: Token) -> None:
    async with stage("1.6") as scene:
        number = await charging(scene)
        await scene.status("SuspendedEV")
        await stop(scene, number, "EVDisconnected")
        await scene.status("Finishing")
        await scene.status("Available")
        await ended(scene, "EVDisconnected")


@oca("TC_007")
async def test_a_cached_card_starts_without_asking(stage: Stage, card: Token) -> None:
    async with stage("1.6") as scene:
        await scene.status("Preparing")
        await start(scene)
        await scene.status("Charging")
        assert (await scene.session())["state"] == "active"


@oca("TC_010", "TC_011_1")
@pytest.mark.parametrize("plug_first", [True, False])
async def test_a_remote_start(stage: Stage, card: Token, plug_first: bool) -> None:
    async with stage("1.6") as scene:
        if plug_first:
            await scene.status("Preparing")
        order = await scene.order("start", evse=1, token_uid=CARD)
        call = await scene.hears("RemoteStartTransaction", {"connectorId": 1, "idTag": CARD})
        await scene.answers(call, {"status": "Accepted"})
        assert (await scene.outcome(order))["state"] == "accepted"
        await authorize(scene)
        if not plug_first:
            await scene.status("Preparing")
        await start(scene)
        await scene.status("Charging")
        assert (await scene.session())["remote_command_id"] == order.id


@oca("TC_011_2")
async def test_a_remote_start_that_nobody_follows(stage: Stage, card: Token) -> None:
    async with stage("1.6") as scene:
        await scene.does(
            "start", {"evse": 1, "token_uid": CARD}, "RemoteStartTransaction", {"idTag": CARD},
            {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        await authorize(scene)
        await scene.status("Preparing")
        await scene.status("Available")
        assert await scene.seen("/sessions", station_id=scene.station.pk) == []


@oca("TC_012")
async def test_a_remote_stop(stage: Stage, card: Token) -> None:
    async with stage("1.6") as scene:
        number = await charging(scene)
        await scene.does(
            "stop", {"transaction_id": str(number)}, "RemoteStopTransaction", {"transactionId": number},
            {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        await stop(scene, number, "Remote")
        await ended(scene, "Remote")


@oca("TC_013", "TC_014")
@pytest.mark.parametrize(
    ("hard", "word", "reason"), [(True, "Hard", "HardReset"), (False, "Soft", "SoftReset")]
)
async def test_a_reset_with_a_session(stage: Stage, card: Token, hard: bool, word: str, reason: str) -> None:
    async with stage("1.6") as scene:
        number = await charging(scene)
        await scene.does("reset", {"hard": hard}, "Reset", {"type": word}, {"status": "Accepted"}, "accepted")
        if not hard:
            await stop(scene, number, reason)
    async with stage("1.6") as scene:
        if hard:  # told after the boot
            await stop(scene, number, reason)
        await scene.status("Available")
        await ended(scene, reason)


@oca("TC_017_1", "TC_017_2", "TC_030", "TC_031")
@pytest.mark.parametrize(
    ("evse", "word", "state"),
    [(1, "Unlocked", "accepted"), (1, "NotSupported", "rejected"), (1, "UnlockFailed", "rejected"),
     (9, "NotSupported", "rejected")],
)  # fmt: skip
async def test_unlock(stage: Stage, evse: int, word: str, state: str) -> None:
    async with stage("1.6") as scene:
        await scene.does(
            "unlock", {"evse": evse}, "UnlockConnector", {"connectorId": evse}, {"status": word}, state
        )


@oca("TC_018_1")
async def test_unlock_ends_a_session(stage: Stage, card: Token) -> None:
    async with stage("1.6") as scene:
        number = await charging(scene)
        await scene.does(
            "unlock", {"evse": 1}, "UnlockConnector", {"connectorId": 1}, {"status": "Unlocked"}, "accepted"
        )
        await stop(scene, number, "UnlockCommand")
        await scene.status("Finishing")
        await scene.status("Available")
        await ended(scene, "UnlockCommand")


@oca("TC_019_1", "TC_019_2")
@pytest.mark.parametrize("names", [[], ["SupportedFeatureProfiles"]])
async def test_the_configuration_is_retrieved(stage: Stage, names: list[str]) -> None:
    async with stage("1.6") as scene:
        keys = [{"key": "SupportedFeatureProfiles", "readonly": True, "value": "Core,SmartCharging"}]
        await scene.does(
            "read_configuration", {"names": names} if names else {}, "GetConfiguration",
            {"key": names} if names else {}, {"configurationKey": keys}, "accepted",
        )  # fmt: skip
        (variable,) = await scene.seen(f"/stations/{scene.station.pk}/variables")
        assert (variable["name"], variable["value"]) == ("SupportedFeatureProfiles", "Core,SmartCharging")


@oca("TC_021", "TC_040_1", "TC_040_2")
@pytest.mark.parametrize(
    ("value", "word", "state"),
    [("10", "Accepted", "accepted"), ("10", "NotSupported", "rejected"), ("-1", "Rejected", "rejected")],
)
async def test_the_configuration_is_changed(stage: Stage, value: str, word: str, state: str) -> None:
    arguments = {"name": "MeterValueSampleInterval", "value": value}
    expected = {"key": "MeterValueSampleInterval", "value": value}
    async with stage("1.6") as scene:
        await scene.does(
            "write_configuration", arguments, "ChangeConfiguration", expected, {"status": word}, state
        )


@oca("TC_023_1", "TC_023_2", "TC_023_3")
@pytest.mark.parametrize("status", ["Invalid", "Expired", "Blocked"])
async def test_a_card_that_is_no_good(stage: Stage, make_token: Callable[..., Token], status: str) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    values: dict[str, Any] = {"Expired": {"expires_at": past}, "Blocked": {"blocked": True}}
    if status in values:
        await in_thread(lambda: make_token(uid=CARD, **values[status]))
    async with stage("1.6") as scene:
        await authorize(scene, status)


@oca("TC_024")
async def test_the_lock_fails(stage: Stage, card: Token) -> None:
    async with stage("1.6") as scene:
        await scene.status("Preparing")
        await authorize(scene)
        await scene.status("Faulted", errorCode="ConnectorLockFailure")
        assert await connector(scene) == "faulted"
        told = await scene.rest("GET", f"/stations/{scene.station.pk}")
        assert told["evses"][0]["connectors"][0]["error_code"] == "ConnectorLockFailure"


@oca("TC_026", "TC_028", "TC_061")
@pytest.mark.parametrize(
    ("kind", "arguments", "action"),
    [
        ("start", {"evse": 1, "token_uid": CARD}, "RemoteStartTransaction"),
        ("stop", {"transaction_id": "4711"}, "RemoteStopTransaction"),
        ("clear_cache", {}, "ClearCache"),
    ],
)
@pytest.mark.parametrize(("word", "state"), [("Accepted", "accepted"), ("Rejected", "rejected")])
async def test_what_a_station_may_refuse(
    stage: Stage, kind: str, arguments: dict[str, Any], action: str, word: str, state: str
) -> None:
    async with stage("1.6") as scene:
        await scene.does(kind, arguments, action, {}, {"status": word}, state)


@oca("TC_032_1")
async def test_a_power_failure_ends_sessions(stage: Stage, card: Token) -> None:
    async with stage("1.6") as scene:
        number = await charging(scene)
    async with stage("1.6") as scene:
        await scene.status("Available")
        await stop(scene, number, "PowerLoss")
        await ended(scene, "PowerLoss")


@oca("TC_037_1")
async def test_started_while_offline(stage: Stage, card: Token) -> None:
    async with stage("1.6") as scene:
        at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
        await start(scene, at=at)
        await scene.status("Charging")
        assert datetime.fromisoformat((await scene.session())["started_at"]) == at


@oca("TC_037_3")
async def test_started_while_offline_with_a_card_that_is_no_good(stage: Stage) -> None:
    async with stage("1.6") as scene:
        number = await start(scene, "Invalid", at=datetime.now(UTC) - timedelta(minutes=10))
        await stop(scene, number, "DeAuthorized")
        session = await scene.session()
        assert (session["stop_reason"], session["verdict"]) == ("DeAuthorized", "invalid")


@oca("TC_039")
async def test_a_whole_session_while_offline(stage: Stage, card: Token) -> None:
    async with stage("1.6") as scene:
        at = datetime.now(UTC) - timedelta(hours=2)
        number = await start(scene, at=at)
        await stop(scene, number, "Local", at=at + timedelta(hours=1), idTag=CARD)
        await ended(scene, "Local")


@oca("TC_064")
async def test_data_transfer_to_the_central_system(stage: Stage) -> None:
    async with stage("1.6") as scene:
        answer = await scene.tell("DataTransfer", {"vendorId": "org.example", "messageId": "m", "data": "d"})
        assert answer["status"] == "UnknownVendorId"
        events = await scene.seen(f"/stations/{scene.station.pk}/events", kind="vendor")
        assert events[0]["detail"]["data"] == "d"
