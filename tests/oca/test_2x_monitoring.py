"""Compliance cases of OCPP 2.x in which the station tells by itself, or we ask in parts (blocks B and N), resets that
resume (B13), display texts in the driver's language (O), grid controls (R) and battery swaps (S)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fleets.models import Token
from tests.oca.cases import oca
from tests.oca.scene import V2, Payload, Scene, Stage, stamp
from tests.oca.visit import Visit, token
from tests.stations.ocpp.conftest import eventually, in_thread

CARD = "04A2B3C4"
on_2x = pytest.mark.parametrize("version", V2)
POWER: Payload = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}
MONITOR = {"component": "EVSE", "evse": 1, "name": "Power", "kind": "upper", "value": 22000, "severity": 5}


@pytest.fixture
def card(make_token: Callable[..., Token]) -> Token:
    return make_token(uid=CARD)


async def says(scene: Scene, name: str, instance: str, value: str) -> None:
    """The station tells what it takes (DeviceDataCtrlr)."""
    wanted = {"component": "DeviceDataCtrlr", "name": name, "instance": instance}
    path = f"/stations/{scene.station.pk}/variables"
    await scene.rest("POST", f"{path}/read", {"settings": [wanted]}, status=202)
    call = await scene.hears("GetVariables")
    (asked,) = call[3]["getVariableData"]
    assert (asked["variable"]["name"], asked["variable"]["instance"]) == (name, instance)
    told = asked | {"attributeStatus": "Accepted", "attributeValue": value}
    await scene.answers(call, {"getVariableResult": [told]})

    async def known() -> bool:
        return (name, instance) in [(row["name"], row["instance"]) for row in await scene.seen(path)]

    await eventually(known)


@oca("TC_B_08")
@on_2x
async def test_no_more_variables_are_asked_for_than_the_station_takes(stage: Stage, version: str) -> None:
    names = ["HeartbeatInterval", "OfflineThreshold", "MessageTimeout", "ResetRetries", "QueueAllMessages"]
    settings = [{"component": "OCPPCommCtrlr", "name": name} for name in names]
    async with stage(version) as scene:
        await says(scene, "ItemsPerMessage", "GetVariables", "2")
        path = f"/stations/{scene.station.pk}/variables/read"
        await scene.rest("POST", path, {"settings": settings}, status=202)
        heard = []
        for _part in range(3):
            call = await scene.hears("GetVariables")
            assert len(call[3]["getVariableData"]) <= 2
            heard += [entry["variable"]["name"] for entry in call[3]["getVariableData"]]
            told = [
                entry | {"attributeStatus": "Accepted", "attributeValue": "30"}
                for entry in call[3]["getVariableData"]
            ]
            await scene.answers(call, {"getVariableResult": told})
        assert sorted(heard) == sorted(names)

        async def known() -> bool:
            rows = await scene.seen(f"/stations/{scene.station.pk}/variables")
            return {row["name"] for row in rows} >= set(names)

        await eventually(known)


# --- monitors


async def watched(scene: Scene, number: int = 12, **more: Any) -> list[Any]:
    """A monitor that the operator sets by REST."""
    path = f"/stations/{scene.station.pk}/monitors"
    body = {"monitors": [MONITOR | more]}
    await scene.rest("POST", path, body, status=202)
    call = await scene.hears("SetVariableMonitoring")
    (asked,) = call[3]["setMonitoringData"]
    result = {name: asked[name] for name in ("component", "variable", "type", "severity")}
    await scene.answers(call, {"setMonitoringResult": [result | {"id": number, "status": "Accepted"}]})

    async def set_now() -> bool:
        return number in [row["number"] for row in await scene.seen(path, state="set")]

    await eventually(set_now)
    return call


@oca("TC_N_18")
@on_2x
async def test_monitors_are_removed_within_what_the_station_takes(stage: Stage, version: str) -> None:
    path = "/stations/{}/monitors"
    async with stage(version) as scene:
        await says(scene, "ItemsPerMessage", "ClearVariableMonitoring", "1")
        for number in (11, 12, 13):
            await watched(scene, number, value=20000 + number)
        for row in await scene.seen(path.format(scene.station.pk), state="set"):
            await scene.rest("DELETE", f"{path.format(scene.station.pk)}/{row['id']}", status=202)
        heard = []
        for _monitor in range(3):
            call = await scene.hears("ClearVariableMonitoring")
            (number,) = call[3]["id"]
            heard.append(number)
            await scene.answers(call, {"clearMonitoringResult": [{"id": number, "status": "Accepted"}]})
        assert sorted(heard) == [11, 12, 13]

        async def gone() -> bool:
            return await scene.seen(path.format(scene.station.pk), state="set") == []

        await eventually(gone)


async def event(scene: Scene, number: int, **more: Any) -> None:
    told = {
        "eventId": number, "timestamp": stamp(), "trigger": "Alerting", "actualValue": "23000",
        "eventNotificationType": "CustomMonitor", "variableMonitoringId": 12, **POWER,
    }  # fmt: skip
    one = {name: value for name, value in (told | more).items() if value is not None}
    assert await scene.tell("NotifyEvent", {"generatedAt": stamp(), "seqNo": 0, "eventData": [one]}) == {}


async def alerts(scene: Scene) -> list[Payload]:
    return await scene.seen("/alerts", station_id=scene.station.pk)


@oca("TC_N_21")
@on_2x
async def test_an_alert_of_a_built_in_monitor(stage: Stage, version: str) -> None:
    async with stage(version) as scene:
        await event(scene, 1, eventNotificationType="HardWiredMonitor", techCode="E-42")
        (alert,) = await alerts(scene)
        assert (alert["base"], alert["value"], alert["tech_code"]) == ("hard_wired", "23000", "E-42")


@oca("TC_N_48")
@on_2x
async def test_an_alert_of_a_variable_that_cannot_be_read(stage: Stage, version: str) -> None:
    """Its value stays empty (N07.FR.19)."""
    async with stage(version) as scene:
        secret = {
            "component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}, "actualValue": "",
        }  # fmt: skip
        await event(scene, 1, trigger="Delta", **secret)
        events = await scene.seen(f"/stations/{scene.station.pk}/events", kind="monitor")
        assert "SecurityCtrlr.BasicAuthPassword" in events[0]["text"]


@oca("TC_N_49")
@on_2x
@pytest.mark.parametrize("kind", ["upper", "lower"])
async def test_an_alert_is_over_after_a_restart(stage: Stage, version: str, kind: str) -> None:
    async with stage(version) as scene:
        await watched(scene, kind=kind)
        await event(scene, 1)
        (alert,) = await alerts(scene)
        assert alert["cleared_at"] is None
    async with stage(version) as scene:
        await event(scene, 2, cleared=True, actualValue="11000")
        (alert,) = await alerts(scene)
        assert alert["cleared_at"] is not None and alert["value"] == "11000"


@oca("TC_N_50")
@on_2x
async def test_values_come_at_intervals(stage: Stage, version: str) -> None:
    async with stage(version) as scene:
        await watched(scene, kind="periodic", value=900)
        for number, watts in enumerate(("7000", "7400")):
            await event(scene, number, trigger="Periodic", actualValue=watts)
        assert await alerts(scene) == [], "no alert: nothing is wrong"
        rows = await scene.seen(f"/stations/{scene.station.pk}/variables")
        assert {row["name"]: row["value"] for row in rows}["Power"] == "7400"


@oca("TC_N_105", "TC_N_107")
async def test_frequent_values_come_as_a_stream(stage: Stage) -> None:
    params = {"interval": 60, "values": 5}
    async with stage("2.1") as scene:
        call = await watched(scene, kind="periodic", value=1, stream={"interval_s": 60, "values": 5})
        assert call[3]["setMonitoringData"][0]["periodicEventStream"] == params
        offer = {"id": 7, "variableMonitoringId": 12, "params": params}
        answer = await scene.tell("OpenPeriodicEventStream", {"constantStreamData": offer})
        assert answer == {"status": "Accepted"}
        told = {
            "id": 7,
            "pending": 0,
            "basetime": stamp(),
            "data": [{"t": 0, "v": "7000"}, {"t": 1, "v": "7400"}],
        }
        await scene.wire.raw(json.dumps([6, "s-1", "NotifyPeriodicEventStream", told]))
        await scene.tell("Heartbeat", {})
        heard = await scene.does(
            "read_streams", {}, "GetPeriodicEventStream", {}, {"constantStreamData": [offer]}, "accepted"
        )
        assert heard == {}
        (stream,) = await scene.seen(f"/stations/{scene.station.pk}/streams")
        assert (stream["number"], stream["closed_at"], stream["interval_s"]) == (7, None, 60)
        values = await scene.seen(f"/stations/{scene.station.pk}/streams/{stream['id']}/values")
        assert sorted(float(value["value"]) for value in values) == [7000, 7400]


# --- customers


@oca("TC_N_46")
@on_2x
async def test_a_customer_is_forgotten_and_leaves_the_local_list(
    stage: Stage, version: str, card: Token
) -> None:
    """N10: the station forgets the customer, and the card leaves its local list."""
    async with stage(version) as scene:
        entry = {"uid": CARD, "kind": "iso14443", "verdict": "accepted"}
        await scene.does(
            "send_local_list", {"version": 1, "full": True, "entries": [entry]}, "SendLocalList",
            {"versionNumber": 1}, {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        await scene.does(
            "customer_information", {"report": False, "clear": True, "token_uid": CARD}, "CustomerInformation",
            {"report": False, "clear": True}, {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        gone = {"uid": CARD, "kind": "iso14443"}
        heard = await scene.does(
            "send_local_list", {"version": 2, "full": False, "entries": [gone]}, "SendLocalList",
            {"versionNumber": 2, "updateType": "Differential"}, {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        assert heard["localAuthorizationList"] == [{"idToken": token(CARD)}]


# --- secrets


@oca("TC_B_100", "TC_N_102")
@pytest.mark.parametrize(
    ("kind", "arguments", "action", "secret"),
    [
        (
            "set_network_profile",
            {"slot": 1, "url": "wss://csms.example.com/ocpp", "ocpp_version": "2.1", "interface": "any",
             "security_profile": 2, "identity": "CP-NEW", "password": "a-brand-new-password"},
            "SetNetworkProfile",
            "a-brand-new-password",
        ),
        (
            "fetch_log",
            {"location": "https://station:hush-hush@files.example/logs/", "log": "diagnostics"},
            "GetLog",
            "hush-hush",
        ),
    ],
)  # fmt: skip
async def test_secrets_go_to_the_station_alone(
    stage: Stage, kind: str, arguments: Payload, action: str, secret: str
) -> None:
    async with stage("2.1") as scene:
        heard = await scene.does(kind, arguments, action, {}, {"status": "Accepted"}, "accepted")
        assert secret in str(heard)
        frames = await scene.seen(f"/stations/{scene.station.pk}/frames", action=action)
        commands = await scene.seen("/commands", station_id=scene.station.pk)
        assert frames and secret not in str(frames) + str(commands)


# --- texts in the driver's language


@oca("TC_O_101")
async def test_a_text_in_the_drivers_language(stage: Stage, make_token: Callable[..., Token]) -> None:
    await in_thread(lambda: make_token(uid=CARD, language="de"))
    texts = [
        {"language": "en", "format": "utf8", "text": "Half price today"},
        {"language": "de", "format": "utf8", "text": "Heute zum halben Preis"},
        {"language": "nl", "format": "utf8", "text": "Vandaag voor de helft"},
    ]
    async with stage("2.1") as scene:
        answer = await scene.tell("Authorize", {"idToken": token(CARD)})
        assert answer["idTokenInfo"]["language1"] == "de"
        heard = await scene.does(
            "show_message", {"number": 7, "contents": texts, "priority": "in_front"}, "SetDisplayMessage", {},
            {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        message = heard["message"]
        assert message["message"]["language"] == "en"
        assert [text["language"] for text in message["messageExtra"]] == ["de", "nl"]


# --- grid controls


VOLT_VAR = {
    "kind": "volt_var",
    "settings": {"points": [[92, 44], [98, 0], [102, 0], [108, -44]], "y_unit": "pct_max_var"},
}


@oca("TC_R_107", "TC_R_108")
async def test_a_grid_control_is_set_read_begun_and_cleared(stage: Stage) -> None:
    async with stage("2.1") as scene:
        path = f"/stations/{scene.station.pk}/der-controls"

        async def state(wanted: str) -> None:
            async def reached() -> bool:
                return [row["state"] for row in await scene.seen(path)] == [wanted]

            await eventually(reached)

        row = await scene.rest("POST", path, VOLT_VAR, status=201)
        call = await scene.hears("SetDERControl", {"isDefault": True, "controlType": "VoltVar"})
        control = call[3]["controlId"]
        assert len(call[3]["curve"]["curveData"]) == 4
        await scene.answers(call, {"status": "Accepted"})
        await state("active")
        heard = await scene.does(
            "read_der_controls", {"type": "volt_var"}, "GetDERControl", {"controlType": "VoltVar"},
            {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        curve = {
            "curve": call[3]["curve"], "id": control, "curveType": "VoltVar", "isDefault": True,
            "isSuperseded": False,
        }  # fmt: skip
        assert await scene.tell("ReportDERControl", {"requestId": heard["requestId"], "curve": [curve]}) == {}
        switched = {"controlId": control, "started": True, "timestamp": stamp()}
        assert await scene.tell("NotifyDERStartStop", switched) == {}
        alarm = {
            "controlType": "VoltVar", "gridEventFault": "OverVoltage", "alarmEnded": False, "timestamp": stamp(),
        }  # fmt: skip
        assert await scene.tell("NotifyDERAlarm", alarm) == {}
        assert await scene.tell("NotifyDERAlarm", alarm | {"alarmEnded": True}) == {}
        events = await scene.seen(f"/stations/{scene.station.pk}/events")
        told = [one["text"] for one in events if one["kind"].startswith("der")]
        assert len(told) == 3, events
        await scene.rest("POST", f"/der-controls/{row['id']}/clear", {}, status=202)
        call = await scene.hears("ClearDERControl", {"controlId": control})
        await scene.answers(call, {"status": "Accepted"})
        await state("cleared")


# --- battery swaps


def battery(slot: int, serial: str, soc: float) -> Payload:
    return {"evseId": slot, "serialNumber": serial, "soC": soc, "soH": 97.5}


@oca("TC_S_102", "TC_S_103")
@pytest.mark.parametrize("enough", [False, True])
async def test_a_battery_swap_at_our_request(stage: Stage, card: Token, enough: bool) -> None:
    async with stage("2.1") as scene:
        path = f"/stations/{scene.station.pk}/swaps"
        await scene.rest("POST", path, {"token_uid": CARD, "token_kind": "iso14443"}, status=202)
        call = await scene.hears("RequestBatterySwap", {"idToken": token(CARD)})
        refused = {"status": "Rejected", "statusInfo": {"reasonCode": "NoBatteryAvailable"}}
        await scene.answers(call, {"status": "Accepted"} if enough else refused)

        async def state(wanted: str) -> Payload:
            async def reached() -> Payload | None:
                (swap,) = await scene.seen(path)
                return swap if swap["state"] == wanted else None

            return dict(await eventually(reached))

        if not enough:
            assert "NoBatteryAvailable" in (await state("refused"))["detail"]
            return
        for kind, one in (("BatteryIn", battery(1, "OLD-1", 12)), ("BatteryOut", battery(2, "NEW-9", 96))):
            told = {
                "eventType": kind, "requestId": call[3]["requestId"], "idToken": token(CARD), "batteryData": [one],
            }  # fmt: skip
            assert await scene.tell("BatterySwap", told) == {}
        await state("swap_done")
        slots = await scene.seen(f"/stations/{scene.station.pk}/battery-slots")
        assert {slot["evse_number"]: slot["present"] for slot in slots} == {1: True, 2: False}
        await event(
            scene, 1, trigger="Periodic", eventNotificationType="HardWiredNotification", actualValue="15"
        )


# --- a transaction goes on after an interruption


@oca("TC_E_113", "TC_E_117", "TC_B_103", "TC_B_104", "TC_B_116")
@pytest.mark.parametrize("running", [False, True])
async def test_a_reset_after_which_the_transaction_resumes(stage: Stage, card: Token, running: bool) -> None:
    """B13, E17: the transaction is the same one before and after, and so is its profile."""
    async with stage("2.1") as scene:
        visit = Visit(scene)
        if running:
            await visit.charging(CARD)
        await scene.does(
            "reset", {"hard": True, "resume": True}, "Reset", {"type": "ImmediateAndResume"},
            {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        if running:
            await visit.event("Updated", "ResetCommand", "SuspendedEVSE", wh=2500.0)
    async with stage("2.1") as scene:
        await scene.status("Occupied" if running else "Available")
        if not running:
            assert await scene.seen("/sessions", station_id=scene.station.pk) == []
            return
        visit.scene = scene
        answer = await visit.event("Updated", "TxResumed", "EVConnected")
        assert answer.get("idTokenInfo", {"status": "Accepted"})["status"] == "Accepted"
        body = {
            "evse": 1,
            "purpose": "transaction",
            "starts_at": stamp(),
            "periods": [{"start_s": 0, "limit": 8}],
        }
        await scene.rest("POST", f"/stations/{scene.station.pk}/charging-profiles", body, status=201)
        call = await scene.hears("SetChargingProfile", {"evseId": 1})
        assert call[3]["chargingProfile"]["transactionId"] == visit.transaction_id
        await scene.answers(call, {"status": "Accepted"})
        await visit.event("Updated", "ChargingStateChanged", "Charging", wh=2500.0)
        assert (await scene.session())["state"] == "active"
        await visit.ends()
        await visit.was("EVDisconnected")
