"""Periodic event streams and timed grid controls of 2.1."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.simulator.conftest import Stations
from tests.simulator.csms import ScriptedCsms
from tests.simulator.test_monitoring import TEMPERATURE, events, watch

pytestmark = pytest.mark.nodb


async def test_the_values_of_a_monitor_come_as_a_stream(csms: ScriptedCsms, connected: Stations) -> None:
    station = await connected("2.1")
    monitor = await watch(
        csms, TEMPERATURE, "Periodic", 10, periodicEventStream={"interval": 60, "values": 3}
    )
    await station.settled()
    data = csms.of("OpenPeriodicEventStream")[0]["constantStreamData"]
    assert data["variableMonitoringId"] == monitor["id"]
    assert await csms.last.ask("GetPeriodicEventStream") == {"constantStreamData": [data]}

    await station.advance(61)
    await csms.until(lambda: len(csms.of("NotifyPeriodicEventStream")) == 2)
    first, second = csms.of("NotifyPeriodicEventStream")
    assert (first["id"], [row["t"] for row in first["data"]]) == (data["id"], [0, 10, 20])
    assert second["basetime"] > first["basetime"] and events(csms) == []

    changed = {"id": data["id"], "params": {"values": 1}}
    assert (await csms.last.ask("AdjustPeriodicEventStream", changed))["status"] == "Accepted"
    await station.advance(10)
    await csms.until(lambda: len(csms.of("NotifyPeriodicEventStream")) == 3)
    assert len(csms.of("NotifyPeriodicEventStream")[-1]["data"]) == 1

    await csms.last.ask("ClearVariableMonitoring", {"id": [monitor["id"]]})
    await csms.until(lambda: csms.of("ClosePeriodicEventStream") == [{"id": data["id"]}])
    assert await csms.last.ask("GetPeriodicEventStream") == {}
    assert (await csms.last.ask("AdjustPeriodicEventStream", changed))["status"] == "Rejected"


async def test_values_wait_no_longer_than_the_interval(csms: ScriptedCsms, connected: Stations) -> None:
    station = await connected("2.1")
    await watch(csms, TEMPERATURE, "Periodic", 10, periodicEventStream={"interval": 20})
    await station.settled()
    await station.advance(41)
    await csms.until(lambda: csms.of("NotifyPeriodicEventStream"))
    assert [len(told["data"]) for told in csms.of("NotifyPeriodicEventStream")] == [3]


async def test_a_refused_stream_leaves_events(csms: ScriptedCsms, connected: Stations) -> None:
    station = await connected("2.1")
    csms.script["OpenPeriodicEventStream"] = [[3, {"status": "Rejected"}]]
    await watch(csms, TEMPERATURE, "Periodic", 10, periodicEventStream={"interval": 20})
    await station.settled()
    await station.advance(21)
    assert len(events(csms)) == 2 and station.streams == {}


async def test_a_timed_grid_control_begins_and_ends_by_itself(
    csms: ScriptedCsms, connected: Stations
) -> None:
    station = await connected("2.1")
    droop: dict[str, Any] = {
        "priority": 1, "overFreq": 50.2, "underFreq": 49.8, "overDroop": 0.05, "underDroop": 0.05, "responseTime": 2,
    }  # fmt: skip
    asked: dict[str, Any] = {"isDefault": False, "controlType": "FreqDroop"}
    start = station.clock.stamp(station.clock.now() + timedelta(seconds=300))
    await csms.last.ask("SetDERControl", asked | {"controlId": "old", "freqDroop": droop})
    timed = droop | {"startTime": start, "duration": 600}
    answer = await csms.last.ask("SetDERControl", asked | {"controlId": "new", "freqDroop": timed})
    assert answer == {"status": "Accepted"}
    await station.advance(1200)
    told = [
        (one["controlId"], one["started"], one.get("supersededIds")) for one in csms.of("NotifyDERStartStop")
    ]
    assert told == [("new", True, ["old"]), ("new", False, None)]
    assert list(station.grid.controls) == ["old"]
