"""Compliance cases of OCPP 2.x: provisioning (B), remote control (F), availability (G), data transfer (P)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleets.models import Token
from stations.models import Station
from tests.oca.cases import oca
from tests.oca.scene import V2, Payload, Stage, stamp
from tests.oca.visit import START_WH, Visit, token
from tests.stations.ocpp.conftest import Plug

CARD = "04A2B3C4"
EVSE: Payload = {"id": 1}
pytestmark = pytest.mark.parametrize("version", V2)


@pytest.fixture
def card(make_token: Callable[..., Token]) -> Token:
    return make_token(uid=CARD)


# --- B: booting ---


@oca("TC_B_01", "TC_G_01")
async def test_cold_boot(stage: Stage, version: str) -> None:
    async with stage(version, booted=False) as scene:
        answer = await scene.boot()
        assert (answer["status"], answer["interval"] > 0) == ("Accepted", True)
        told = datetime.fromisoformat(answer["currentTime"])
        assert abs(told - datetime.now(UTC)) < timedelta(minutes=1)
        await scene.status("Available")
        await scene.applied()
        shown = await scene.rest("GET", f"/stations/{scene.station.pk}")
        assert shown["evses"][0]["connectors"][0]["status"] == "available"


async def registration(scene: Any, word: str) -> None:
    await scene.rest("PATCH", f"/stations/{scene.station.pk}", {"registration": word})


@oca("TC_B_02")
async def test_a_station_waits_until_it_is_accepted(stage: Stage, version: str) -> None:
    async with stage(version, booted=False) as scene:
        await registration(scene, "pending")
        assert (await scene.boot())["status"] == "Pending"
        await registration(scene, "accepted")
        assert (await scene.boot())["status"] == "Accepted"


@oca("TC_B_30")
async def test_nothing_else_is_answered_before(stage: Stage, version: str) -> None:
    async with stage(version, booted=False) as scene:
        await registration(scene, "rejected")
        assert (await scene.boot())["status"] == "Rejected"
        told = {"evseId": 1, "connectorId": 1, "connectorStatus": "Available", "timestamp": stamp()}
        answer = await scene.wire.call("StatusNotification", told)
        assert (answer[0], answer[2]) == (4, "SecurityError")


@oca("TC_B_31")
async def test_a_pending_station_is_asked_to_boot_again(stage: Stage, version: str) -> None:
    async with stage(version, booted=False) as scene:
        await registration(scene, "pending")
        await scene.boot()
        await scene.does(
            "trigger", {"message": "boot"}, "TriggerMessage", {"requestedMessage": "BootNotification"},
            {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        await registration(scene, "accepted")
        assert (await scene.boot(reason="Triggered"))["status"] == "Accepted"


@oca("TC_B_58")
@pytest.mark.parametrize("offered", ["ocpp0.1", "xmpp"])
async def test_an_unknown_subprotocol_is_not_spoken(
    plug: Plug, version: str, station: Station, offered: str
) -> None:
    """Part 4, 3.1.2: the handshake ends without a subprotocol, and the server closes at once."""
    async with plug(station, offered) as wire:
        assert wire.socket.subprotocol is None
        await wire.closed()


# --- B: variables and reports ---


def variable(name: str, component: str = "OCPPCommCtrlr") -> Payload:
    return {"component": {"name": component}, "variable": {"name": name}}


@oca("TC_B_06", "TC_B_07")
@pytest.mark.parametrize("names", [["OfflineThreshold"], ["OfflineThreshold", "HeartbeatInterval"]])
async def test_variables_are_read(stage: Stage, version: str, names: list[str]) -> None:
    async with stage(version) as scene:
        order = await scene.order("read_configuration", names=[f"OCPPCommCtrlr.{name}" for name in names])
        call = await scene.hears("GetVariables")
        asked = [
            (entry["component"]["name"], entry["variable"]["name"]) for entry in call[3]["getVariableData"]
        ]
        assert asked == [("OCPPCommCtrlr", name) for name in names]
        results = [
            variable(name) | {"attributeStatus": "Accepted", "attributeValue": "123"} for name in names
        ]
        await scene.answers(call, {"getVariableResult": results})
        assert (await scene.outcome(order))["state"] == "accepted"
        rows = await scene.seen(f"/stations/{scene.station.pk}/variables")
        assert {row["name"]: row["value"] for row in rows} == dict.fromkeys(names, "123")


@oca("TC_B_09")
async def test_a_variable_is_set(stage: Stage, version: str) -> None:
    async with stage(version) as scene:
        arguments = {"component": "OCPPCommCtrlr", "name": "OfflineThreshold", "value": "60"}
        order = await scene.order("write_configuration", **arguments)
        call = await scene.hears("SetVariables")
        assert call[3]["setVariableData"] == [variable("OfflineThreshold") | {"attributeValue": "60"}]
        result = variable("OfflineThreshold") | {"attributeStatus": "Accepted"}
        await scene.answers(call, {"setVariableResult": [result]})
        assert (await scene.outcome(order))["state"] == "accepted"


@oca("TC_B_12", "TC_B_13", "TC_B_14")
@pytest.mark.parametrize(
    ("base", "word"),
    [("configuration", "ConfigurationInventory"), ("full", "FullInventory"), ("summary", "SummaryInventory")],
)
async def test_a_base_report(stage: Stage, version: str, base: str, word: str) -> None:
    async with stage(version) as scene:
        heard = await scene.does(
            "read_report",
            {"base": base},
            "GetBaseReport",
            {"reportBase": word},
            {"status": "Accepted"},
            "accepted",
        )
        for number, name in enumerate(["HeartbeatInterval", "OfflineThreshold"]):
            entry = variable(name) | {
                "variableAttribute": [{"value": "300", "mutability": "ReadWrite"}],
                "variableCharacteristics": {"dataType": "integer", "supportsMonitoring": False, "unit": "s"},
            }
            await scene.tell(
                "NotifyReport",
                {"requestId": heard["requestId"], "generatedAt": stamp(), "seqNo": number, "tbc": number == 0,
                 "reportData": [entry]},
            )  # fmt: skip
        rows = await scene.seen(f"/stations/{scene.station.pk}/variables")
        assert {(row["name"], row["value"], row["unit"]) for row in rows} == {
            ("HeartbeatInterval", "300", "s"), ("OfflineThreshold", "300", "s"),
        }  # fmt: skip


# --- B: resets ---


@oca("TC_B_20", "TC_B_21", "TC_B_22", "TC_B_25", "TC_B_26", "TC_B_27")
@pytest.mark.parametrize(("hard", "word"), [(False, "OnIdle"), (True, "Immediate")])
@pytest.mark.parametrize("evse", [None, 1])
@pytest.mark.parametrize(("status", "running"), [("Accepted", False), ("Scheduled", True)])
async def test_resets(
    stage: Stage,
    version: str,
    card: Token,
    hard: bool,
    word: str,
    evse: int | None,
    status: str,
    running: bool,
) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        if running:
            await visit.charging(CARD)
        where = {"evse": evse} if evse else {}
        await scene.does(
            "reset",
            {"hard": hard, **where},
            "Reset",
            {"type": word, "evseId": evse},
            {"status": status},
            "accepted",
        )
        if running:
            await visit.ends("ResetCommand", "ImmediateReset" if hard else "Local")
            await visit.was("ImmediateReset" if hard else "Local")


# --- F: remote control ---


@oca("TC_F_01", "TC_F_02", "TC_F_03", "TC_F_04")
@pytest.mark.parametrize("plugged", [True, False])
@pytest.mark.parametrize("asks", [True, False])
async def test_a_remote_start(stage: Stage, version: str, card: Token, plugged: bool, asks: bool) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        if plugged:
            await visit.plugged_in()
        order = await scene.order("start", evse=1, token_uid=CARD, token_kind="iso14443")
        call = await scene.hears("RequestStartTransaction", {"evseId": 1, "idToken": token(CARD)})
        known = {"transactionId": visit.transaction_id} if plugged else {}
        await scene.answers(call, {"status": "Accepted", **known})
        assert (await scene.outcome(order))["state"] == "accepted"
        if asks:
            told = await scene.tell("Authorize", {"idToken": token(CARD)})
            assert told["idTokenInfo"]["status"] == "Accepted"
        await visit.event(
            "Updated" if plugged else "Started", "RemoteStart", "EVConnected" if plugged else "", token=token(CARD),
            info={"remoteStartId": call[3]["remoteStartId"]},
            wh=None if plugged else START_WH, context="Sample.Periodic" if plugged else "Transaction.Begin",
        )  # fmt: skip
        session = await scene.session()
        assert (session["remote_command_id"], session["token_uid"]) == (order.id, CARD)
        if not plugged:
            await visit.event(
                "Ended", "EVConnectTimeout", wh=START_WH, context="Transaction.End", reason="Timeout"
            )
            await visit.was("Timeout", 0)


@oca("TC_F_06")
@pytest.mark.parametrize(
    ("word", "state"),
    [("Unlocked", "accepted"), ("UnlockFailed", "rejected"), ("OngoingAuthorizedTransaction", "rejected"),
     ("UnknownConnector", "rejected")],
)  # fmt: skip
async def test_unlock(stage: Stage, version: str, word: str, state: str) -> None:
    async with stage(version) as scene:
        await scene.does(
            "unlock", {"evse": 1, "connector": 1}, "UnlockConnector", {"evseId": 1, "connectorId": 1},
            {"status": word}, state,
        )  # fmt: skip


@oca(
    "TC_F_11",
    "TC_F_12",
    "TC_F_13",
    "TC_F_14",
    "TC_F_15",
    "TC_F_18",
    "TC_F_20",
    "TC_F_23",
    "TC_F_24",
    "TC_F_27",
)
@pytest.mark.parametrize(
    ("message", "word", "evse"),
    [
        ("meter_values", "MeterValues", 1),
        ("meter_values", "MeterValues", None),
        ("transaction", "TransactionEvent", 1),
        ("transaction", "TransactionEvent", None),
        ("log", "LogStatusNotification", None),
        ("firmware", "FirmwareStatusNotification", None),
        ("heartbeat", "Heartbeat", None),
        ("status", "StatusNotification", 1),
    ],
)
@pytest.mark.parametrize(("status", "state"), [("Accepted", "accepted"), ("NotImplemented", "rejected")])
async def test_triggers(
    stage: Stage, version: str, message: str, word: str, evse: int | None, status: str, state: str
) -> None:
    where = {"evse": evse, "connector": 1} if evse else {}
    expected = {"requestedMessage": word, "evse": {"id": evse, "connectorId": 1} if evse else None}
    async with stage(version) as scene:
        await scene.does(
            "trigger", {"message": message, **where}, "TriggerMessage", expected, {"status": status}, state
        )
        if (message, status) == ("log", "Accepted"):
            assert await scene.tell("LogStatusNotification", {"status": "Idle"}) == {}
        if (message, status) == ("firmware", "Accepted"):
            assert await scene.tell("FirmwareStatusNotification", {"status": "Idle"}) == {}


# --- G: availability ---


@oca("TC_G_03", "TC_G_04", "TC_G_05", "TC_G_06", "TC_G_07", "TC_G_08", "TC_G_11", "TC_G_14", "TC_G_17")
@pytest.mark.parametrize(
    ("where", "evse"),
    [({}, None), ({"evse": 1}, {"id": 1}), ({"evse": 1, "connector": 1}, {"id": 1, "connectorId": 1})],
)
@pytest.mark.parametrize(("operative", "word"), [(False, "Inoperative"), (True, "Operative")])
@pytest.mark.parametrize("status", ["Accepted", "Scheduled"])
async def test_change_availability(
    stage: Stage, version: str, where: Payload, evse: Payload | None, operative: bool, word: str, status: str
) -> None:
    async with stage(version) as scene:
        await scene.does(
            "set_availability", {"operative": operative, **where}, "ChangeAvailability",
            {"operationalStatus": word, "evse": evse}, {"status": status}, "accepted",
        )  # fmt: skip
        now = "Available" if operative or status == "Scheduled" else "Unavailable"
        await scene.status(now)
        await scene.applied()
        shown = await scene.rest("GET", f"/stations/{scene.station.pk}")
        assert shown["evses"][0]["connectors"][0]["status"] == now.lower()


@oca("TC_G_20")
async def test_the_lock_fails(stage: Stage, version: str) -> None:
    async with stage(version) as scene:
        event = {
            "eventId": 1, "timestamp": stamp(), "trigger": "Delta", "actualValue": "true",
            "eventNotificationType": "HardWiredNotification",
            "component": {"name": "ConnectorPlugRetentionLock", "evse": {"id": 1, "connectorId": 1}},
            "variable": {"name": "Problem"},
        }  # fmt: skip
        await scene.tell("NotifyEvent", {"generatedAt": stamp(), "seqNo": 0, "eventData": [event]})
        events = await scene.seen(f"/stations/{scene.station.pk}/events", kind="monitor")
        assert "ConnectorPlugRetentionLock#1.1.Problem" in events[0]["text"]


# --- P ---


@oca("TC_P_02")
async def test_data_transfer_of_an_unknown_vendor(stage: Stage, version: str) -> None:
    async with stage(version) as scene:
        answer = await scene.tell("DataTransfer", {"vendorId": "org.example", "messageId": "m", "data": "d"})
        assert answer["status"] in ("UnknownVendorId", "Rejected")
        events = await scene.seen(f"/stations/{scene.station.pk}/events", kind="vendor")
        assert events[0]["detail"]["data"] == "d"


@oca("TC_P_03")
async def test_custom_data_is_borne(stage: Stage, version: str, card: Token) -> None:
    custom = {"vendorId": "org.example", "anything": {"at": "all"}}
    async with stage(version) as scene:
        visit = Visit(scene)
        await visit.plugged_in()
        answer = await visit.event("Updated", "Authorized", token=token(CARD), customData=custom)
        assert answer["idTokenInfo"]["status"] == "Accepted"
