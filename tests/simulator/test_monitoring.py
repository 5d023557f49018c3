"""What a 2.x station watches and tells by itself, and what it keeps of a customer (block N)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator import Car, SimulatedStation
from simulator.car import Contract
from tests.simulator.conftest import Stations
from tests.simulator.csms import ScriptedCsms

pytestmark = [pytest.mark.nodb, pytest.mark.parametrize("version", ["2.0.1", "2.1"])]

TEMPERATURE = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Temperature"}}
STATE = {
    "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 1}},
    "variable": {"name": "AvailabilityState"},
}
POWER = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "ActivePower"}}


async def watch(
    csms: ScriptedCsms, at: dict[str, Any], kind: str, value: float, **more: Any
) -> dict[str, Any]:
    asked = {"type": kind, "value": value, "severity": 5, **at, **more}
    answer = await csms.last.ask("SetVariableMonitoring", {"setMonitoringData": [asked]})
    return dict(answer["setMonitoringResult"][0])


def events(csms: ScriptedCsms) -> list[dict[str, Any]]:
    return [event for told in csms.of("NotifyEvent") for event in told["eventData"]]


async def report(csms: ScriptedCsms, number: int = 5, **more: Any) -> list[tuple[str, str, float]]:
    """(component and variable, kind, value) of each monitor told."""
    answer = await csms.last.ask("GetMonitoringReport", {"requestId": number, **more})
    if answer["status"] == "EmptyResultSet":
        return []

    def parts() -> list[dict[str, Any]]:
        return [part for part in csms.of("NotifyMonitoringReport") if part["requestId"] == number]

    await csms.until(lambda: parts() and not parts()[-1].get("tbc"))
    assert [part["seqNo"] for part in parts()] == list(range(len(parts())))
    return [
        (f"{row['component']['name']}.{row['variable']['name']}", one["type"], one["value"])
        for part in parts()
        for row in part["monitor"]
        for one in row["variableMonitoring"]
    ]


async def test_a_threshold_alerts_once_and_tells_its_end(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    told = await watch(csms, TEMPERATURE, "UpperThreshold", 60)
    assert told["status"] == "Accepted"
    station.connectors[1].heat_c = 50.0  # a fan stands still
    await station.advance(3600)
    station.connectors[1].heat_c = 0.0
    await station.advance(7200)

    found = events(csms)
    assert [(event["variableMonitoringId"], event.get("cleared", False)) for event in found] == [
        (told["id"], False),
        (told["id"], True),
    ]
    assert float(found[0]["actualValue"]) > 60 >= float(found[1]["actualValue"])
    assert (found[0]["trigger"], found[0]["eventNotificationType"]) == ("Alerting", "CustomMonitor")
    assert found[0].get("severity") == (5 if version == "2.1" else None)


async def test_it_warms_up_while_a_car_charges(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version)
    await watch(csms, TEMPERATURE, "UpperThreshold", 40)
    await station.plug_in(1, Car(ac_max_amps=32, battery_wh=90_000, soc=0.1))
    await station.start(1, "04A1")
    await station.advance(3600)
    assert [event["transactionId"] for event in events(csms)] == [station.connectors[1].transaction.id]  # type: ignore[union-attr]
    await station.stop(1)
    await station.advance(3600)
    assert [event.get("cleared", False) for event in events(csms)] == [False, True]


async def test_it_looks_by_itself_while_its_clock_runs_and_no_car_is_there(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version, speed=3600)
    station.connectors[1].heat_c = 45.0
    told = await watch(csms, TEMPERATURE, "UpperThreshold", 60)
    await csms.until(lambda: events(csms))
    station.connectors[1].heat_c = 0.0
    await csms.until(lambda: events(csms)[-1].get("cleared"))
    assert {event["variableMonitoringId"] for event in events(csms)} == {told["id"]}


async def test_a_change_is_told(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version)
    await watch(csms, STATE, "Delta", 1)
    await station.settled()
    await station.plug_in(1, Car())
    await station.advance(10)
    found = [(event["trigger"], event["actualValue"]) for event in events(csms)]
    assert found == [("Delta", "Occupied")]


async def test_periodic_values_come_in_time_and_only_while_a_car_charges(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    await watch(csms, POWER, "Periodic", 60, transaction=True)
    await station.advance(300)
    assert events(csms) == []
    await station.plug_in(1, Car(ac_max_amps=16))
    await station.start(1, "04A1")
    await station.advance(301)
    assert [event["trigger"] for event in events(csms)] == ["Periodic"] * 5
    assert float(events(csms)[-1]["actualValue"]) > 10_000


async def test_aligned_values_come_on_the_full_minute(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    await watch(csms, TEMPERATURE, "PeriodicClockAligned", 60)
    await station.settled()
    await station.advance(180)
    assert [event["timestamp"][17:19] for event in events(csms)] == ["00"] * 3


async def test_what_cannot_be_watched_is_refused_with_its_reason(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    await connected(version)
    password = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    first = await watch(csms, TEMPERATURE, "UpperThreshold", 60)
    cases: list[tuple[dict[str, Any], str, float, dict[str, Any], str]] = [
        ({"component": {"name": "Nowhere"}, "variable": {"name": "X"}}, "Delta", 1, {}, "UnknownComponent"),
        (TEMPERATURE | {"variable": {"name": "X"}}, "Delta", 1, {}, "UnknownVariable"),
        (STATE, "UpperThreshold", 1, {}, "UnsupportedMonitorType"),
        (password, "Delta", 1, {}, "UnsupportedMonitorType"),
        (TEMPERATURE, "UpperThreshold", 900, {}, "Rejected"),
        (TEMPERATURE, "Delta", -1, {}, "Rejected"),
        (TEMPERATURE, "LowerThreshold", 5, {"severity": 10}, "Rejected"),
        (TEMPERATURE, "UpperThreshold", 70, {}, "Duplicate"),
        (TEMPERATURE, "UpperThreshold", 70, {"id": first["id"]}, "Accepted"),
        (TEMPERATURE, "UpperThreshold", 70, {"id": 4711}, "Rejected"),
        (TEMPERATURE, "UpperThreshold", 70, {"id": 1}, "Rejected"),  # hard-wired
    ]  # fmt: skip
    for at, kind, value, more, status in cases:
        assert (await watch(csms, at, kind, value, **more))["status"] == status, (kind, value, more)


async def test_monitors_are_reported_cleared_and_reset_to_the_factorys(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    await connected(version, connectors=3)
    mine = await watch(csms, STATE, "Delta", 1)
    ask = csms.last.ask
    assert ("Connector.AvailabilityState", "Delta", 1) in await report(csms, 1)
    assert len(await report(csms, 2)) == 7  # two of the factory's at each EVSE
    assert await report(csms, 3, monitoringCriteria=["DeltaMonitoring"]) == [
        ("Connector.AvailabilityState", "Delta", 1)
    ]
    at_second = {"component": {"name": "EVSE", "evse": {"id": 2}}}
    assert len(await report(csms, 4, componentVariable=[at_second])) == 2
    assert await report(csms, 6, monitoringCriteria=["PeriodicMonitoring"]) == []

    gone = await ask("ClearVariableMonitoring", {"id": [mine["id"], 1, 4711]})
    assert [row["status"] for row in gone["clearMonitoringResult"]] == ["Accepted", "Rejected", "NotFound"]
    await watch(csms, STATE, "Delta", 1)
    for number, (base, count) in enumerate((("FactoryDefault", 6), ("HardWiredOnly", 3), ("All", 6))):
        assert (await ask("SetMonitoringBase", {"monitoringBase": base}))["status"] == "Accepted"
        assert len(await report(csms, 10 + number)) == count
    wanted = {"component": {"name": "MonitoringCtrlr"}, "variable": {"name": "ActiveMonitoringBase"}}
    told = await ask("GetVariables", {"getVariableData": [wanted]})
    assert told["getVariableResult"][0]["attributeValue"] == "All"


async def test_what_is_below_the_level_stays_untold(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    assert (await csms.last.ask("SetMonitoringLevel", {"severity": 10}))["status"] == "Rejected"
    assert (await csms.last.ask("SetMonitoringLevel", {"severity": 4}))["status"] == "Accepted"
    await watch(csms, POWER, "Periodic", 60)
    await watch(csms, TEMPERATURE, "Periodic", 60, severity=4)
    await station.settled()
    await station.advance(65)
    assert [event["variable"]["name"] for event in events(csms)] == ["Temperature"]


async def test_grave_events_wait_for_the_line(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version)
    await watch(csms, POWER, "Periodic", 60)
    await station.go_offline()
    await station.fault(1, "GroundFailure")
    await station.advance(65)
    await station.go_online()
    assert [event.get("techCode") for event in events(csms)] == ["VY-0211"]


async def test_a_fault_is_told_by_the_problem_of_its_connector(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    await station.fault(1, "GroundFailure", vendor_code="E-217", info="Isolation 12 kOhm")
    await station.clear_fault(1)
    await station.settled()
    first, last = events(csms)
    assert (first["component"]["name"], first["variable"]["name"], first["actualValue"]) == (
        *("Connector", "Problem", "true"),
    )
    assert (first["techCode"], first["techInfo"]) == ("E-217", "Isolation 12 kOhm")
    assert (last["actualValue"], last["cleared"]) == ("false", True)


# -- customers


def told(csms: ScriptedCsms, number: int) -> str:
    parts = [part for part in csms.of("NotifyCustomerInformation") if part["requestId"] == number]
    assert [part["seqNo"] for part in parts] == list(range(len(parts)))
    assert [part["tbc"] for part in parts] == [True] * (len(parts) - 1) + [False] * bool(parts)
    return "".join(part["data"] for part in parts)


async def ask_customer(
    csms: ScriptedCsms, station: SimulatedStation, number: int, *, report: bool = True, **more: Any
) -> str:
    asked = {"requestId": number, "report": report, "clear": False, **more}
    answer = await csms.last.ask("CustomerInformation", asked)
    await station.settled()
    return str(answer["status"])


async def test_a_customer_is_told_and_forgotten(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    token: dict[str, Any] = {"idToken": {"idToken": "04A1", "type": "ISO14443"}}
    for _session in range(8):
        await station.plug_in(1, Car())
        await station.start(1, "04A1")
        await station.advance(600)
        await station.unplug(1)
    assert await ask_customer(csms, station, 1, **token) == "Accepted"
    assert "Accepted in the cache" in told(csms, 1) and told(csms, 1).count("Transaction") == 8
    assert len(csms.of("NotifyCustomerInformation")) > 1

    assert await ask_customer(csms, station, 2, report=False, clear=True, **token) == "Accepted"
    assert told(csms, 2) == ""
    assert await ask_customer(csms, station, 3, **token) == "Accepted"
    assert told(csms, 3) == "Nothing is kept of this customer."
    assert await ask_customer(csms, station, 4) == "Invalid"
    assert await ask_customer(csms, station, 5, **token, customerIdentifier="04A1") == "Invalid"
    assert await ask_customer(csms, station, 6, report=False, **token) == "Rejected"


async def test_a_customer_is_known_by_the_contract_of_the_car(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    data = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "2A"}
    csms.script["Authorize"] = [[3, {"idTokenInfo": {"status": "Accepted"}, "certificateStatus": "Accepted"}]]
    contract = Contract("DE8AA1A2B3C4D59", hashes=({**data, "responderURL": "http://ocsp"},))
    await station.plug_in(1, Car(contract=contract))
    await station.plug_and_charge(1)
    await station.stop(1)
    assert await ask_customer(csms, station, 1, customerCertificate=data) == "Accepted"
    assert told(csms, 1).startswith("Transaction")
