"""Frames written by hand from the specifications, held against the schemas and the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulator import Car, Quirks, SimulatedStation
from simulator.driver import Battery
from simulator.transaction import Transaction
from tests.simulator.conftest import Stations
from tests.simulator.csms import ScriptedCsms
from tests.simulator.schemas import problems

pytestmark = pytest.mark.nodb

GOLDEN = Path(__file__).parent.parent / "golden"
FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
FILES = sorted(GOLDEN.glob("*/*.json"))
FROM_STATION = {
    *("Authorize", "BootNotification", "DiagnosticsStatusNotification", "FirmwareStatusNotification"),
    *("Heartbeat", "LogStatusNotification", "MeterValues", "NotifyEvent", "NotifyPeriodicEventStream"),
    *("NotifyReport", "OpenPeriodicEventStream", "ReservationStatusUpdate", "SecurityEventNotification"),
    "StartTransaction",
    *("StatusNotification", "StopTransaction", "TransactionEvent"),
    *("BatterySwap", "NotifyDisplayMessages", "NotifySettlement", "VatNumberValidation"),
    *("ClearedChargingLimit", "ClosePeriodicEventStream", "NotifyChargingLimit", "NotifyCustomerInformation"),
    *("NotifyDERAlarm", "NotifyDERStartStop", "NotifyEVChargingNeeds", "NotifyMonitoringReport"),
    *("ReportChargingProfiles", "ReportDERControl", "SignCertificate", "SignedFirmwareStatusNotification"),
}
# What issue 2 lists: in and out, per version.
COMMON = {
    *("Authorize", "BootNotification", "ChangeAvailability", "ClearCache", "DataTransfer"),
    *("FirmwareStatusNotification", "Heartbeat", "LogStatusNotification", "MeterValues", "Reset"),
    *("SecurityEventNotification", "StatusNotification", "TriggerMessage", "UnlockConnector"),
}
ONLY_16 = {
    *("ChangeConfiguration", "DiagnosticsStatusNotification", "GetConfiguration", "RemoteStartTransaction"),
    *("RemoteStopTransaction", "StartTransaction", "StopTransaction"),
}
ONLY_2 = {
    *("GetBaseReport", "GetVariables", "NotifyEvent", "NotifyReport", "RequestStartTransaction"),
    *("RequestStopTransaction", "SetVariables", "TransactionEvent"),
}


def frames(version: str, action: str) -> list[Any]:
    path = GOLDEN / FOLDERS[version] / f"{action}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def shape(value: Any, path: str = "") -> set[tuple[str, str]]:
    """Each field's path with its JSON type; numbers are numbers, whole or not."""
    if isinstance(value, dict):
        return {("", "object")} | {
            leaf for key, item in value.items() for leaf in shape(item, f"{path}.{key}")
        }
    if isinstance(value, list):
        return {leaf for item in value for leaf in shape(item, f"{path}[]")}
    kinds = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return {(path, kinds[type(value)])}


def golden_shape(version: str, action: str, kinds: tuple[int, ...]) -> set[tuple[str, str]]:
    return {leaf for frame in frames(version, action) if frame[0] in kinds for leaf in shape(frame[-1])}


def test_every_message_of_the_issue_has_its_frames() -> None:
    have = {
        version: {path.stem for path in FILES if path.parent.name == folder}
        for version, folder in FOLDERS.items()
    }
    assert have["1.6"] >= COMMON | ONLY_16
    assert have["2.0.1"] >= COMMON | ONLY_2
    assert have["2.1"] >= COMMON | ONLY_2 | {"NotifyPeriodicEventStream"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_frames_keep_the_schemas(path: Path) -> None:
    version = next(version for version, folder in FOLDERS.items() if folder == path.parent.name)
    for frame in frames(version, path.stem):
        assert frame[0] in (2, 3, 6)
        if frame[0] != 3:
            assert frame[2] == path.stem
        assert problems(version, path.stem, frame[-1], request=frame[0] != 3) == []


@pytest.mark.parametrize("version", FOLDERS)
async def test_the_simulator_sends_what_the_specification_knows(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version, kind="ac", quirks=Quirks(signed_ocmf=True), speed=0)
    await live_a_day(csms, station)

    sent = {action for action, _ in csms.calls}
    expected = {path.stem for path in FILES if path.parent.name == FOLDERS[version]} & FROM_STATION
    assert sent >= expected, expected - sent
    for action, payload in csms.calls:
        unknown = shape(payload) - golden_shape(version, action, (2, 6))
        assert unknown == set(), f"{action}: {unknown}"


async def live_a_day(csms: ScriptedCsms, station: SimulatedStation) -> None:
    """Everything a station says of itself, at least once."""
    await station.tell(station.says.heartbeat())
    await station.plug_in(1, Car())
    await station.start(1, "04A1")
    await station.advance(120)
    await station.stop(1)
    await station.report_now(1)
    await station.unplug(1)
    await station.fault(1, "GroundFailure")
    await station.security_event("SettingSystemTime", "by hand")
    await station.tell(station.says.firmware_status("Idle", None))
    await station.tell(station.says.log_status("Uploading", 3))
    await station.ask_for_certificate()
    if station.version == "1.6":
        await station.tell(station.says.log_status("Uploading", None))
        await station.tell(station.says.firmware_status("SignatureVerified", 71))
    else:
        await live_a_day_of_2_x(csms, station)
        await station.tell(station.says.reservation_status(7, "Expired"))
        await station.notify_event("ElectricalFeed", "Problem", "true", number=1)
        await csms.last.ask("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"})
        shown = {"id": 7, "priority": "InFront", "message": {"format": "UTF8", "content": "Half price"}}
        station.screen.messages[7] = shown
        await csms.last.ask("GetDisplayMessages", {"requestId": 2})
    if station.version == "2.1":
        await station.open_stream(1)
        await station.send_stream(1, [(0, "1.5")])
        await station.close_stream(1)
        await station.grid_alarm("LVMustTrip", "UnderVoltage")
        for frame in frames("2.1", "SetDERControl")[:2]:
            await csms.last.ask(frame[2], frame[3] | {"isDefault": True})
        await csms.last.ask("GetDERControl", {"requestId": 3})
        await station.advance(60)  # the second's time is over
        paid = Transaction(1, None, 0, station.clock.now(), id="3fa85f64-5717-4562-b3fc-2c963f66afa6")
        await station.settle_payment(paid, 12.85, receipt_id="R-1")
        await station.check_vat("DE136695976", 1)
        station.screen.slots = {1: None, 2: Battery("B2", 97.0)}
        await station.swap("04A1", "ISO14443", 7)
    await station.settled()


async def live_a_day_of_2_x(csms: ScriptedCsms, station: SimulatedStation) -> None:
    for action in ("SetVariableMonitoring", "SetChargingProfile"):
        await csms.last.ask(action, frames(station.version, action)[0][3])
    station.connectors[1].heat_c = 900.0
    await station.advance(600)
    for action in ("CustomerInformation", "GetMonitoringReport", "GetChargingProfiles"):
        await csms.last.ask(action, frames(station.version, action)[0][3])
    await station.settled()
    await station.need(1, 20_000)
    await station.outside_limit(4_200)
    await station.outside_limit(None)


@pytest.mark.parametrize("version", FOLDERS)
async def test_the_simulator_answers_golden_commands(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    names = [path.stem for path in FILES if path.parent.name == FOLDERS[version]]
    for action in names:
        if action in FROM_STATION:
            continue
        for frame in [frame for frame in frames(version, action) if frame[0] == 2]:
            station = await connected(version, identity=f"CP {frame[1]}", auto_plug=None)
            answer = await csms.last.ask(action, frame[3])
            assert isinstance(answer, dict), f"{action}: {answer}"
            unknown = shape(answer) - golden_shape(version, action, (3,))
            assert unknown == set(), f"{action}: {unknown}"
            await station.close()
