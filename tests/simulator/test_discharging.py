"""A car that gives energy back when a setpoint of 2.1 asks for it (block Q)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator import Car, SimulatedStation
from tests.simulator.conftest import Stations
from tests.simulator.csms import ScriptedCsms

pytestmark = pytest.mark.nodb

MEASURANDS = "Energy.Active.Import.Register,Energy.Active.Export.Register,Power.Active.Export"


async def charging(connected: Stations, **options: Any) -> SimulatedStation:
    station = await connected(
        "2.1", settings={"MeterValuesSampledData": MEASURANDS, "MeterValueSampleInterval": "60"}, **options
    )
    await station.plug_in(1, Car(gives_w=7_000, soc=0.5, battery_wh=60_000))
    await station.start(1, "04A1")
    return station


async def setpoint(csms: ScriptedCsms, station: SimulatedStation, watts: float) -> None:
    transaction = station.connectors[1].transaction
    assert transaction is not None
    period = {"startPeriod": 0, "setpoint": watts, "operationMode": "CentralSetpoint"}
    profile = {
        "id": 7, "stackLevel": 1, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Dynamic",
        "transactionId": transaction.id,
        "chargingSchedule": [{"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}],
    }  # fmt: skip
    answer = await csms.last.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": profile})
    assert answer["status"] == "Accepted"


def last_readings(csms: ScriptedCsms) -> dict[str, float]:
    told = [event for event in csms.of("TransactionEvent") if event["triggerReason"] == "MeterValuePeriodic"][
        -1
    ]
    return {row["measurand"]: row["value"] for row in told["meterValue"][0]["sampledValue"]}


@pytest.mark.parametrize("kind", ["ac", "dc"])
async def test_gives_what_is_asked_and_its_meter_tells_it(
    csms: ScriptedCsms, connected: Stations, kind: str
) -> None:
    station = await charging(connected, kind=kind)
    connector = station.connectors[1]
    await setpoint(csms, station, -5_000)
    bought = connector.register_wh
    await station.advance(3600)
    assert connector.export_wh == pytest.approx(5_000) and connector.register_wh == bought
    assert connector.state == "charging"
    now = last_readings(csms)
    assert now["Energy.Active.Export.Register"] == pytest.approx(5_000, abs=90)
    assert now["Power.Active.Export"] == 5_000

    update = {"chargingProfileId": 7, "scheduleUpdate": {"setpoint": 3_000}}
    assert (await csms.last.ask("UpdateDynamicSchedule", update))["status"] == "Accepted"
    update["scheduleUpdate"] = {"setpoint": -9_000}
    await csms.last.ask("UpdateDynamicSchedule", update)
    await station.advance(60)
    assert connector.flow.power_w == -7_000  # no more than the car can


async def test_stops_at_its_reserve(csms: ScriptedCsms, connected: Stations) -> None:
    station = await charging(connected)
    car = station.connectors[1].car
    assert car is not None
    await setpoint(csms, station, -7_000)
    await station.advance(4 * 3600)
    assert car.soc == pytest.approx(car.reserve_soc, abs=0.01)
    assert station.connectors[1].flow.power_w == 0


async def test_gives_nothing_where_the_operator_does_not_allow_it(
    csms: ScriptedCsms, connected: Stations
) -> None:
    station = await charging(connected)
    transaction = station.connectors[1].transaction
    assert transaction is not None
    await setpoint(csms, station, -5_000)
    await station.advance(60)
    told = {"transactionId": transaction.id, "allowedEnergyTransfer": ["AC_three_phase"]}
    for ways, power_w in ((["AC_three_phase"], 0), (["AC_three_phase", "AC_BPT"], -5_000)):
        told["allowedEnergyTransfer"] = ways
        assert (await csms.last.ask("NotifyAllowedEnergyTransfer", told))["status"] == "Accepted"
        await station.advance(60)
        assert station.connectors[1].flow.power_w == power_w


async def test_tells_that_it_can(csms: ScriptedCsms, connected: Stations) -> None:
    station = await charging(connected)
    await station.need(1, 20_000)
    needs = csms.of("NotifyEVChargingNeeds")[-1]["chargingNeeds"]
    assert needs["requestedEnergyTransfer"] == "AC_BPT"
    assert needs["v2xChargingParameters"]["maxDischargePower"] == 7_000
