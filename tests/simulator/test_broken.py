"""A station that is broken: how it shows, what its log says, and what heals it."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from simulator import Car, Quirks, SimulatedStation
from tests.simulator.conftest import Stations
from tests.simulator.csms import ScriptedCsms
from tests.simulator.files import files

pytestmark = pytest.mark.nodb

SOFT = {"1.6": "Soft", "2.0.1": "OnIdle", "2.1": "OnIdle"}
HARD = {"1.6": "Hard", "2.0.1": "Immediate", "2.1": "Immediate"}


def last_state(csms: ScriptedCsms) -> str:
    told = csms.of("StatusNotification")[-1]
    return str(told.get("connectorStatus") or told["status"])


async def reset(csms: ScriptedCsms, station: SimulatedStation, kind: str) -> None:
    boots = len(csms.of("BootNotification"))
    assert (await csms.last.ask("Reset", {"type": kind}))["status"] == "Accepted"
    await csms.until(lambda: len(csms.of("BootNotification")) == boots + 1)
    await station.back()


async def test_a_hard_reset_ends_what_a_soft_one_does_not(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    await station.fault(1, "GroundFailure", heals="hard_reset")
    if version == "1.6":
        told = csms.of("StatusNotification")[-1]
        assert (told["errorCode"], told["vendorId"], told["vendorErrorCode"]) == (
            *("GroundFailure", "Voltyard", "VY-0211"),
        )
        assert told["info"] == "Residual current 34 mA, limit 30 mA"
    await reset(csms, station, SOFT[version])
    assert last_state(csms) == "Faulted"
    await reset(csms, station, HARD[version])
    assert last_state(csms) == "Available"


@pytest.mark.parametrize("heals", ["", "reset"])
async def test_the_mains_end_what_any_reset_ends(
    csms: ScriptedCsms, connected: Stations, version: str, heals: str
) -> None:
    station = await connected(version)
    await station.fault(1, "HighTemperature", heals=heals)
    await station.power_loss()
    await station.back()
    assert last_state(csms) == ("Available" if heals else "Faulted")


async def fetch(
    csms: ScriptedCsms, version: str, kind: str = "DiagnosticsLog", **more: Any
) -> dict[str, str]:
    """The files of an uploaded log, by name."""
    before = len(csms.of("LogStatusNotification"))
    async with files() as server:
        log = {"remoteLocation": f"{server.url}/up/", **more}
        asked = {"log": log, "logType": kind, "requestId": 3}
        assert (await csms.last.ask("GetLog", asked))["status"] == "Accepted"
        await csms.until(lambda: len(csms.of("LogStatusNotification")) == before + 2)
    with zipfile.ZipFile(io.BytesIO(next(iter(server.taken.values())))) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


async def test_its_log_shows_the_fault(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version)
    await station.plug_in(1, Car())
    await station.start(1, "04A1")
    await station.advance(60)
    await station.fault(1, "GroundFailure")
    await station.security_event("TamperDetectionActivated", "door open")
    found = await fetch(csms, version)
    assert set(found) == {"station.log", "frames.log"}
    lines = [line for line in found["station.log"].splitlines() if "ERROR" in line]
    assert [line.partition("ERROR ")[2] for line in lines] == [
        "Connector 1: VY-0211 GroundFailure: Residual current 34 mA, limit 30 mA"
    ]
    assert "transaction begins" in found["station.log"] and "StatusNotification" in found["frames.log"]
    assert "Tamper" not in found["station.log"]

    await station.advance(1)
    later = station.clock.stamp()
    await station.advance(60)
    await station.clear_fault(1)
    found = await fetch(csms, version, oldestTimestamp=later)
    assert "is over" in found["station.log"] and "ERROR" not in found["station.log"]
    assert "door open" in (await fetch(csms, version, "SecurityLog"))["security.log"]


async def test_starts_can_fail(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version, quirks=Quirks(starts_fail=True))
    await station.plug_in(1, Car())
    assert await station.start(1, "04A1") is None
    assert station.last_verdict == "Accepted" and len(csms.of("Authorize")) == 1
    assert csms.of("StartTransaction") == csms.of("TransactionEvent") == []
    assert any("VY-0104" in line for line in station.journal.lines())


async def test_a_silent_station_stays_connected(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    csms.interval = 1
    silent = await connected(version, identity="SILENT", quirks=Quirks(no_heartbeat=True))
    spoken = await connected(version, identity="SPEAKS")
    await csms.until(lambda: csms.of("Heartbeat"))
    assert silent.connected and silent.sent("Heartbeat") == [] and len(spoken.sent("Heartbeat")) == 1


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_a_summary_names_what_is_wrong(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version, connectors=2)
    await station.fault(2)
    await csms.last.ask("GetBaseReport", {"requestId": 5, "reportBase": "SummaryInventory"})
    await csms.until(lambda: csms.of("NotifyReport") and not csms.of("NotifyReport")[-1].get("tbc"))
    rows = [row for part in csms.of("NotifyReport") for row in part["reportData"]]
    problems = [
        (row["component"].get("evse", {}).get("id"), row["variableAttribute"][0]["value"])
        for row in rows
        if row["variable"]["name"] == "Problem"
    ]
    assert problems == [(None, "true"), (1, "false"), (2, "true")]
    assert len(rows) < 20
    await csms.last.ask("GetReport", {"requestId": 6, "componentCriteria": ["Problem"]})
    await csms.until(
        lambda: not csms.of("NotifyReport")[-1]["tbc"] and csms.of("NotifyReport")[-1]["requestId"] == 6
    )
    told = [part for part in csms.of("NotifyReport") if part["requestId"] == 6]
    places = {
        (row["component"]["name"], row["component"].get("evse", {}).get("id"))
        for part in told
        for row in part["reportData"]
    }
    assert places == {("ChargingStation", None), ("Connector", 2)}
