"""A car comes, charges and leaves, in every version."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from simulator import Car
from tests.simulator.conftest import Stations
from tests.simulator.csms import ScriptedCsms

pytestmark = pytest.mark.nodb


def registers(csms: ScriptedCsms) -> list[float]:
    """Every reading of the energy register in the order it arrived, in Wh."""
    found: list[float] = []
    for _, payload in csms.calls:
        for moment in payload.get("meterValue", payload.get("transactionData", [])):
            for value in moment["sampledValue"]:
                if value.get("measurand") == "Energy.Active.Import.Register":
                    found.append(float(value["value"]))
    return found


async def test_a_charge_tells_its_energy_in_readings_that_never_go_back(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    await station.plug_in(1, Car(ac_max_amps=16, ac_phases=3))
    transaction = await station.start(1, "04A1")
    await station.advance(1800)
    await station.stop(1)

    assert transaction is not None and transaction.energy_wh is not None
    assert 5_300 < transaction.energy_wh < 5_700  # half an hour of 11 kW
    seen = registers(csms)
    assert len(seen) > 30
    assert seen == sorted(seen)
    assert seen[-1] == transaction.meter_stop_wh


async def test_1_6_uses_the_id_that_the_other_side_gave(csms: ScriptedCsms, connected: Stations) -> None:
    csms.script["StartTransaction"] = [[3, {"transactionId": 4711, "idTagInfo": {"status": "Accepted"}}]]
    station = await connected("1.6")
    await station.plug_in(1)
    await station.start(1, "04A1")
    await station.advance(60)
    await station.stop(1)

    assert csms.of("MeterValues")[0]["transactionId"] == 4711
    assert csms.of("StopTransaction")[0]["transactionId"] == 4711


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_2_x_numbers_its_events_without_gaps(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    await station.plug_in(1)
    await station.start(1, "04A1")
    await station.advance(300)
    await station.stop(1)

    events = csms.of("TransactionEvent")
    assert [event["seqNo"] for event in events] == list(range(len(events)))
    assert [events[0]["eventType"], events[-1]["eventType"]] == ["Started", "Ended"]
    assert len({event["transactionInfo"]["transactionId"] for event in events}) == 1


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_2_x_can_begin_a_transaction_with_the_cable(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    points = {"TxCtrlr.TxStartPoint": "EVConnected", "TxCtrlr.TxStopPoint": "EVConnected"}
    station = await connected(version, settings=points)
    await station.plug_in(1)
    before_card = len(csms.of("TransactionEvent"))
    await station.start(1, "04A1")
    await station.settled()

    events = csms.of("TransactionEvent")
    assert before_card == 1 and "idToken" not in events[0]
    assert events[0]["triggerReason"] == "CablePluggedIn"
    assert events[1]["triggerReason"] == "Authorized" and events[1]["idToken"]["idToken"] == "04A1"
    assert events[-1]["transactionInfo"]["chargingState"] == "Charging"


async def test_a_refused_card_starts_nothing(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    csms.verdicts["BAD"] = "Blocked"
    station = await connected(version)
    await station.plug_in(1)

    assert await station.start(1, "BAD") is None
    assert station.last_verdict == "Blocked"
    assert not csms.of("StartTransaction") and not csms.of("TransactionEvent")


async def test_a_card_refused_at_the_start_stops_the_transaction(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    csms.verdicts["BAD"] = "Blocked"
    station = await connected(version)
    await station.plug_in(1)
    transaction = await station.start(1, "BAD", authorize=False)
    await station.settled()

    assert transaction is not None and transaction.reason == "DeAuthorized"


async def test_a_full_car_is_suspended_and_draws_nothing(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    await station.plug_in(1, Car(soc=0.99, battery_wh=20_000))
    await station.start(1, "04A1")
    await station.advance(3600)

    assert station.connectors[1].state == "suspended_ev"
    assert station.connectors[1].flow.power_w == 0
    if version == "1.6":
        assert [status["status"] for status in csms.of("StatusNotification")][-1] == "SuspendedEV"
    else:
        states = [event["transactionInfo"].get("chargingState") for event in csms.of("TransactionEvent")]
        assert states[-1] == "SuspendedEV"


async def test_a_fast_charger_tapers_as_the_battery_fills(csms: ScriptedCsms, connected: Stations) -> None:
    station = await connected("1.6", kind="dc", max_power_w=150_000)
    car = Car(soc=0.1, battery_wh=60_000, dc_max_w=150_000)
    await station.plug_in(1, car)
    await station.start(1, "04A1")
    powers: list[float] = []
    for _ in range(30):
        await station.advance(60)
        powers.append(station.connectors[1].flow.power_w)

    assert max(powers) == 150_000
    assert powers[-1] < 30_000 and car.soc > 0.8
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(powers))


async def test_readings_agree_with_each_other(csms: ScriptedCsms, connected: Stations) -> None:
    station = await connected("1.6")
    await station.plug_in(1, Car(ac_phases=3))
    await station.start(1, "04A1")
    await station.advance(60)

    values: dict[tuple[str, str], Any] = {
        (value["measurand"], value.get("phase", "")): float(value["value"])
        for value in csms.of("MeterValues")[0]["meterValue"][0]["sampledValue"]
    }
    volts, amps = values["Voltage", "L1-N"], values["Current.Import", "L2"]
    assert values["Power.Active.Import", ""] == pytest.approx(3 * volts * amps, rel=0.01)


async def test_a_one_phase_car_loads_one_phase(csms: ScriptedCsms, connected: Stations) -> None:
    station = await connected("1.6")
    await station.plug_in(1, Car(ac_phases=1, ac_max_amps=16))
    await station.start(1, "04A1")
    await station.advance(60)

    current = {
        value["phase"]: float(value["value"])
        for value in csms.of("MeterValues")[0]["meterValue"][0]["sampledValue"]
        if value["measurand"] == "Current.Import"
    }
    assert current == {"L1": 16.0, "L2": 0.0, "L3": 0.0}


async def test_clock_aligned_readings_come_on_the_quarter_hour(
    csms: ScriptedCsms, connected: Stations
) -> None:
    station = await connected(
        "1.6", settings={"ClockAlignedDataInterval": "900", "MeterValueSampleInterval": "0"}
    )
    await station.plug_in(1, Car())
    await station.start(1, "04A1")
    await station.advance(3600)

    moments = [payload["meterValue"][0] for payload in csms.of("MeterValues")]
    assert len(moments) == 4
    for moment in moments:
        assert moment["sampledValue"][0]["context"] == "Sample.Clock"
        assert int(moment["timestamp"][14:16]) % 15 == 0 and moment["timestamp"][17:19] == "00"


async def test_the_same_seed_gives_the_same_frames(csms: ScriptedCsms, connected: Stations) -> None:
    from datetime import UTC, datetime

    from simulator import Clock

    logs: list[list[tuple[str, Any]]] = []
    for _ in range(2):
        csms.calls.clear()
        station = await connected("2.0.1", clock=Clock(0, since=datetime(2026, 3, 1, tzinfo=UTC)), seed=5)
        await station.plug_in(1)
        await station.start(1, "04A1")
        await station.advance(600)
        await station.close()
        logs.append(list(csms.calls))

    assert logs[0] == logs[1]
    assert len(logs[0]) > 10
