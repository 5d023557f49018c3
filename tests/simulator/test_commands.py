"""What the other side asks for, and what the station makes of it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from ocpp.exceptions import SecurityError

from simulator import Car, SimulatedStation
from simulator.quirks import Quirks
from tests.simulator.conftest import Stations
from tests.simulator.csms import ScriptedCsms
from tests.simulator.files import files

pytestmark = pytest.mark.nodb

TOKEN = {"idToken": "04A1", "type": "ISO14443"}


async def start_remotely(csms: ScriptedCsms, version: str, number: int = 1) -> Any:
    if version == "1.6":
        return await csms.last.ask("RemoteStartTransaction", {"connectorId": number, "idTag": "04A1"})
    wanted = {"evseId": number, "idToken": TOKEN, "remoteStartId": 77}
    return await csms.last.ask("RequestStartTransaction", wanted)


async def stop_remotely(csms: ScriptedCsms, version: str, transaction_id: Any) -> Any:
    action = "RemoteStopTransaction" if version == "1.6" else "RequestStopTransaction"
    return await csms.last.ask(action, {"transactionId": transaction_id})


async def profile(
    csms: ScriptedCsms, station: SimulatedStation, limit: float, unit: str = "A", **more: Any
) -> Any:
    """Set a profile; `more` overrides fields of the profile, `target` the connector, `periods` the schedule."""
    target, periods = more.pop("target", 1), more.pop("periods", [{"startPeriod": 0, "limit": limit}])
    schedule = {"chargingRateUnit": unit, "chargingSchedulePeriod": periods}
    body = {
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
    } | more
    number = body.pop("id", 1)
    if station.version == "1.6":
        body |= {"chargingProfileId": number, "chargingSchedule": schedule}
        return await csms.last.ask("SetChargingProfile", {"connectorId": target, "csChargingProfiles": body})
    body |= {"id": number, "chargingSchedule": [{"id": 1, **schedule}]}
    return await csms.last.ask("SetChargingProfile", {"evseId": target, "chargingProfile": body})


async def charging(connected: Stations, version: str, **options: Any) -> SimulatedStation:
    station = await connected(version, **options)
    await station.plug_in(1, Car(ac_max_amps=32, ac_phases=3))
    await station.start(1, "04A1")
    await station.advance(60)
    return station


async def test_remote_start_and_stop(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version)
    assert (await start_remotely(csms, version))["status"] == "Accepted"
    await station.until(lambda: station.connectors[1].state == "charging")
    transaction = station.connectors[1].transaction
    assert transaction is not None
    await station.settled()
    assert (await stop_remotely(csms, version, transaction.id))["status"] == "Accepted"
    await station.until(lambda: not transaction.open)
    await station.settled()

    if version == "1.6":
        assert csms.of("StopTransaction")[0]["reason"] == "Remote"
    else:
        events = csms.of("TransactionEvent")
        assert events[0]["transactionInfo"]["remoteStartId"] == 77
        assert events[-1]["triggerReason"] == "RemoteStop"


async def test_refuses_a_remote_start_where_it_cannot(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    await charging(connected, version)
    assert (await start_remotely(csms, version))["status"] == "Rejected"
    assert (await start_remotely(csms, version, 9))["status"] == "Rejected"
    stranger: Any = 999 if version == "1.6" else "nobody"
    assert (await stop_remotely(csms, version, stranger))["status"] == "Rejected"


async def test_a_limit_of_zero_suspends_and_its_end_resumes(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await charging(connected, version)
    assert (await profile(csms, station, 0))["status"] == "Accepted"
    await station.settled()
    assert station.connectors[1].state == "suspended_evse"
    if version == "1.6":
        cleared = await csms.last.ask("ClearChargingProfile", {"id": 1})
    else:
        cleared = await csms.last.ask("ClearChargingProfile", {"chargingProfileId": 1})
    await station.settled()

    assert cleared["status"] == "Accepted"
    assert station.connectors[1].state == "charging"


@pytest.mark.parametrize(("limit", "unit", "power_w"), [(10, "A", 6900), (4600, "W", 4600)])
async def test_obeys_limits_in_amps_and_watts(
    csms: ScriptedCsms, connected: Stations, version: str, limit: float, unit: str, power_w: float
) -> None:
    station = await charging(connected, version)
    await profile(csms, station, limit, unit)
    await station.advance(60)

    assert station.connectors[1].flow.power_w == pytest.approx(power_w, rel=0.02)


async def test_the_higher_stack_level_rules_and_a_tx_profile_beats_the_default(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await charging(connected, version)
    await profile(csms, station, 20, id=1, stackLevel=0)
    await profile(csms, station, 8, id=2, stackLevel=3)
    assert station.connectors[1].flow.amps == 8
    await profile(csms, station, 12, id=3, chargingProfilePurpose="TxProfile")
    assert station.connectors[1].flow.amps == 12


async def test_the_stations_own_limit_is_shared(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await charging(connected, version, connectors=2)
    await station.plug_in(2, Car(ac_max_amps=32))
    await station.start(2, "04A2")
    purpose = "ChargePointMaxProfile" if version == "1.6" else "ChargingStationMaxProfile"
    await profile(csms, station, 32, target=0, chargingProfilePurpose=purpose, chargingProfileKind="Absolute")

    assert [connector.flow.amps for connector in station.connectors.values()] == [16, 16]


async def test_a_schedule_with_periods_steps_down_in_time(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await charging(connected, version)
    periods = [{"startPeriod": 0, "limit": 30}, {"startPeriod": 600, "limit": 10}]
    await profile(csms, station, 0, periods=periods)
    amps = []
    for _ in range(3):
        await station.advance(300)
        amps.append(station.connectors[1].flow.amps)
    wanted = {"evseId": 1} if version != "1.6" else {"connectorId": 1}
    composite = await csms.last.ask(
        "GetCompositeSchedule", {"duration": 600, "chargingRateUnit": "A", **wanted}
    )

    assert amps == [30, 10, 10]
    schedule = composite["schedule"] if version != "1.6" else composite["chargingSchedule"]
    assert [period["limit"] for period in schedule["chargingSchedulePeriod"]] == [10]


async def test_a_tx_profile_without_a_transaction_is_refused(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    assert (await profile(csms, station, 8, chargingProfilePurpose="TxProfile"))["status"] == "Rejected"


async def test_becomes_inoperative_after_the_charge(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await charging(connected, version)
    if version == "1.6":
        wanted: dict[str, Any] = {"connectorId": 1, "type": "Inoperative"}
    else:
        wanted = {"evse": {"id": 1}, "operationalStatus": "Inoperative"}
    assert (await csms.last.ask("ChangeAvailability", wanted))["status"] == "Scheduled"
    assert station.connectors[1].state == "charging"
    await station.stop(1)
    await station.unplug(1)
    assert station.connectors[1].state == "unavailable"


async def test_a_reset_ends_the_charge_and_boots_anew(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await charging(connected, version)
    kind = "Hard" if version == "1.6" else "Immediate"
    assert (await csms.last.ask("Reset", {"type": kind}))["status"] == "Accepted"
    await csms.until(lambda: len(csms.of("BootNotification")) == 2)
    await station.back()

    if version == "1.6":
        assert csms.of("StopTransaction")[0]["reason"] == "HardReset"
    else:
        assert csms.of("TransactionEvent")[-1]["transactionInfo"]["stoppedReason"] == "ImmediateReset"
        assert csms.of("BootNotification")[1]["reason"] == "RemoteReset"


async def test_2_x_waits_with_a_reset_on_idle(csms: ScriptedCsms, connected: Stations) -> None:
    station = await charging(connected, "2.0.1")
    assert (await csms.last.ask("Reset", {"type": "OnIdle"}))["status"] == "Scheduled"
    assert len(csms.of("BootNotification")) == 1
    await station.stop(1)
    await csms.until(lambda: len(csms.of("BootNotification")) == 2)


async def test_1_6_configuration(csms: ScriptedCsms, connected: Stations) -> None:
    await connected("1.6")
    ask = csms.last.ask
    everything = await ask("GetConfiguration")
    told = await ask(
        "GetConfiguration", {"key": ["heartbeatinterval", "NumberOfConnectors", "AuthorizationKey", "No"]}
    )

    assert len(everything["configurationKey"]) > 30
    rows = {row["key"]: row for row in told["configurationKey"]}
    assert rows["HeartbeatInterval"] == {"key": "HeartbeatInterval", "readonly": False, "value": "300"}
    assert rows["NumberOfConnectors"]["readonly"] is True
    assert "value" not in rows["AuthorizationKey"]
    assert told["unknownKey"] == ["No"]
    answers = {
        ("HeartbeatInterval", "60"): "Accepted",
        ("HeartbeatInterval", "often"): "Rejected",
        ("NumberOfConnectors", "9"): "Rejected",
        ("WebSocketPingInterval", "20"): "RebootRequired",
        ("Unheard", "1"): "NotSupported",
    }
    for (key, value), status in answers.items():
        assert await ask("ChangeConfiguration", {"key": key, "value": value}) == {"status": status}


async def test_a_new_password_is_used_from_the_next_connection_on() -> None:
    async with (
        ScriptedCsms(passwords={"CP 1": "old"}) as csms,
        SimulatedStation(url=csms.url, identity="CP 1", password="old") as station,
    ):
        csms.passwords = {"CP 1": "newer-and-longer"}
        wanted = {"key": "AuthorizationKey", "value": "newer-and-longer"}
        await csms.last.ask("ChangeConfiguration", wanted)
        await csms.until(lambda: len(csms.of("BootNotification")) == 2)
        await station.back()


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_2_x_variables(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    await connected(version)

    def at(component: str, variable: str, **more: Any) -> dict[str, Any]:
        return {"component": {"name": component}, "variable": {"name": variable}, **more}

    wanted = [
        at("OCPPCommCtrlr", "HeartbeatInterval"),
        at("SecurityCtrlr", "BasicAuthPassword"),
        at("NoSuchCtrlr", "X"),
        at("TxCtrlr", "NoSuch"),
        at("TxCtrlr", "EVConnectionTimeOut", attributeType="Target"),
    ]
    got = await csms.last.ask("GetVariables", {"getVariableData": wanted})
    assert [row["attributeStatus"] for row in got["getVariableResult"]] == [
        *("Accepted", "Rejected", "UnknownComponent", "UnknownVariable", "NotSupportedAttributeType")
    ]
    changes = [
        at("OCPPCommCtrlr", "HeartbeatInterval", attributeValue="120"),
        at("OCPPCommCtrlr", "WebSocketPingInterval", attributeValue="20"),
        at("SmartChargingCtrlr", "RateUnit", attributeValue="A"),
    ]
    put = await csms.last.ask("SetVariables", {"setVariableData": changes})
    assert [row["attributeStatus"] for row in put["setVariableResult"]] == [
        "Accepted",
        "RebootRequired",
        "Rejected",
    ]


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_2_x_reports_in_many_parts(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    await connected(version, connectors=2)
    answer = await csms.last.ask("GetBaseReport", {"requestId": 5, "reportBase": "FullInventory"})
    await csms.until(lambda: csms.of("NotifyReport") and not csms.of("NotifyReport")[-1].get("tbc"))

    parts = csms.of("NotifyReport")
    assert answer["status"] == "Accepted"
    assert len(parts) > 2 and [part["seqNo"] for part in parts] == list(range(len(parts)))
    assert {part["requestId"] for part in parts} == {5}
    assert [part["tbc"] for part in parts] == [True] * (len(parts) - 1) + [False]


async def test_triggered_messages(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    await connected(version)
    for message in (
        "Heartbeat",
        "StatusNotification",
        "MeterValues",
        "BootNotification",
        "FirmwareStatusNotification",
    ):
        before = len(csms.of(message))
        assert (await csms.last.ask("TriggerMessage", {"requestedMessage": message}))["status"] == "Accepted"
        await csms.until(lambda: len(csms.of(message)) > before)  # noqa: B023 -- awaited at once


async def test_unlocking_frees_the_cable(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version)
    await station.plug_in(1)
    wanted = {"connectorId": 1} if version == "1.6" else {"evseId": 1, "connectorId": 1}
    assert (await csms.last.ask("UnlockConnector", wanted))["status"] == "Unlocked"
    await station.until(lambda: station.connectors[1].state == "available")
    station.connectors[1].unlock_fails = True
    assert (await csms.last.ask("UnlockConnector", wanted))["status"] == "UnlockFailed"


async def test_a_reserved_connector_is_for_one_card(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    expires = "2099-01-01T00:00:00Z"
    if version == "1.6":
        wanted: dict[str, Any] = {
            "connectorId": 1,
            "expiryDate": expires,
            "idTag": "MINE",
            "reservationId": 4,
        }
    else:
        token = {"idToken": "MINE", "type": "ISO14443"}
        wanted = {"id": 4, "evseId": 1, "expiryDateTime": expires, "idToken": token}
    assert (await csms.last.ask("ReserveNow", wanted))["status"] == "Accepted"
    await station.settled()
    assert (await start_remotely(csms, version))["status"] == "Rejected"
    assert (await csms.last.ask("CancelReservation", {"reservationId": 4}))["status"] == "Accepted"
    assert (await start_remotely(csms, version))["status"] == "Accepted"


async def test_the_local_list_is_kept_by_version(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    if version == "1.6":
        body: dict[str, Any] = {
            "listVersion": 3,
            "localAuthorizationList": [{"idTag": "A", "idTagInfo": {"status": "Accepted"}}],
        }
    else:
        entry = {"idToken": {"idToken": "A", "type": "ISO14443"}, "idTokenInfo": {"status": "Accepted"}}
        body = {"versionNumber": 3, "localAuthorizationList": [entry]}
    assert (await csms.last.ask("SendLocalList", {**body, "updateType": "Full"}))["status"] == "Accepted"
    assert (await csms.last.ask("SendLocalList", {**body, "updateType": "Differential"}))[
        "status"
    ] == "VersionMismatch"
    assert 3 in (await csms.last.ask("GetLocalListVersion")).values()
    assert station.local_auth.entries == {"A": "Accepted"}


async def _order(csms: ScriptedCsms, version: str, location: str) -> None:
    now = "2026-01-01T00:00:00Z"
    if version == "1.6":
        await csms.last.ask("UpdateFirmware", {"location": location, "retrieveDate": now})
    else:
        wanted = {"requestId": 9, "firmware": {"location": location, "retrieveDateTime": now}}
        assert (await csms.last.ask("UpdateFirmware", wanted))["status"] == "Accepted"


def _steps(csms: ScriptedCsms) -> list[str]:
    return [row["status"] for row in csms.of("FirmwareStatusNotification")]


async def test_a_firmware_update_fetches_the_image_and_boots_with_its_version(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version, speed=200)
    async with files() as server:
        await _order(csms, version, f"{server.url}/fw.bin")
        await csms.until(lambda: "Installed" in _steps(csms))
    assert _steps(csms) == ["Downloading", "Downloaded", "Installing", "Installed"]
    assert station.firmware == "4.0.0"
    assert len(csms.of("BootNotification")) == 2


@pytest.mark.parametrize(
    ("fails", "last"),
    [("", "DownloadFailed"), ("download", "DownloadFailed"), ("install", "InstallationFailed")],
)
async def test_a_firmware_update_can_fail(
    csms: ScriptedCsms, connected: Stations, version: str, fails: str, last: str
) -> None:
    station = await connected(version, speed=200, quirks=Quirks(firmware_fails=fails))  # type: ignore[arg-type]
    async with files() as server:
        await _order(csms, version, f"{server.url}/{'fw.bin' if fails else 'nothing'}")
        await csms.until(lambda: last in _steps(csms))
    assert station.firmware == "3.2.1"


async def test_a_log_is_uploaded(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    await connected(version, speed=200)
    async with files() as server:
        if version == "1.6":
            answer = await csms.last.ask("GetDiagnostics", {"location": f"{server.url}/up/"})
            notification = "DiagnosticsStatusNotification"
        else:
            log = {"remoteLocation": f"{server.url}/up/"}
            answer = await csms.last.ask("GetLog", {"log": log, "logType": "DiagnosticsLog", "requestId": 3})
            notification = "LogStatusNotification"
        await csms.until(lambda: len(csms.of(notification)) == 2)
    name = answer["fileName" if version == "1.6" else "filename"]
    assert [row["status"] for row in csms.of(notification)] == ["Uploading", "Uploaded"]
    assert server.taken[f"/up/{name}"].startswith(b"PK")


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_a_local_controller_publishes_what_it_fetched(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    await connected(version, speed=200)
    async with files() as server:
        md5 = hashlib.md5(server.content).hexdigest()
        wanted = {"location": f"{server.url}/fw.bin", "checksum": md5, "requestId": 4}
        assert (await csms.last.ask("PublishFirmware", wanted))["status"] == "Accepted"
        await csms.until(
            lambda: "Published" in [row["status"] for row in csms.of("PublishFirmwareStatusNotification")]
        )
    assert (await csms.last.ask("UnpublishFirmware", {"checksum": md5}))["status"] == "Unpublished"
    assert (await csms.last.ask("UnpublishFirmware", {"checksum": md5}))["status"] == "NoFirmware"


async def test_every_other_action_gets_an_answer(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    await connected(version)
    assert await csms.last.ask("NoSuchAction") == "NotSupported"
    assert await csms.last.ask("Heartbeat") == "NotImplemented"
    assert await csms.last.ask("Reset", {"type": "Sideways"}) in (
        "FormatViolation",
        "PropertyConstraintViolation",
    )
    if version == "2.1":
        assert await csms.last.ask("GetTariffs", {"evseId": 1}) == {"status": "NoTariff"}


async def test_a_test_rules_how_the_station_answers(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    station.rule("ClearCache", {"status": "Rejected"})
    assert await csms.last.ask("ClearCache") == {"status": "Rejected"}
    station.rule("ClearCache", SecurityError())
    assert await csms.last.ask("ClearCache") == "SecurityError"
    station.unrule("ClearCache")
    assert await csms.last.ask("ClearCache") == {"status": "Accepted"}
    assert await station.received("ClearCache", 3) == {}


async def test_a_remote_start_brings_its_profile(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    await station.plug_in(1, Car(ac_max_amps=32))
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9}]}
    body: dict[str, Any] = {
        "stackLevel": 1,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
    }
    if version == "1.6":
        body |= {"chargingProfileId": 4, "chargingSchedule": schedule}
        wanted: dict[str, Any] = {"connectorId": 1, "idTag": "04A1", "chargingProfile": body}
        await csms.last.ask("RemoteStartTransaction", wanted)
    else:
        body |= {"id": 4, "chargingSchedule": [{"id": 1, **schedule}]}
        wanted = {"evseId": 1, "idToken": TOKEN, "remoteStartId": 1, "chargingProfile": body}
        await csms.last.ask("RequestStartTransaction", wanted)
    await station.until(lambda: station.connectors[1].state == "charging")
    assert station.connectors[1].flow.amps == 9
    await station.settled()
    await station.stop(1)
    assert station.profiles.all == []


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_2_x_tells_the_profiles_it_holds(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version)
    wanted = {"requestId": 8, "chargingProfile": {"chargingProfilePurpose": "TxDefaultProfile"}}
    assert (await csms.last.ask("GetChargingProfiles", wanted))["status"] == "NoProfiles"
    await profile(csms, station, 16, id=5)
    assert (await csms.last.ask("GetChargingProfiles", wanted))["status"] == "Accepted"
    await csms.until(lambda: csms.of("ReportChargingProfiles"))

    report = csms.of("ReportChargingProfiles")[0]
    assert (report["requestId"], report["evseId"], report["chargingProfile"][0]["id"]) == (8, 1, 5)


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_2_x_resets_one_evse(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await charging(connected, version, connectors=2)
    await csms.last.ask("Reset", {"type": "Immediate", "evseId": 1})
    await station.until(lambda: station.connectors[1].transaction is None)
    await station.settled()
    assert len(csms.of("BootNotification")) == 1
    assert csms.of("TransactionEvent")[-1]["transactionInfo"]["stoppedReason"] == "ImmediateReset"
