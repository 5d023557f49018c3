"""Habits of real stations that a test can switch on."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from simulator import Car, Clock, Quirks, SimulatedStation
from tests.simulator.conftest import Stations
from tests.simulator.csms import ScriptedCsms

pytestmark = pytest.mark.nodb


async def charge(station: SimulatedStation, seconds: float = 120) -> None:
    await station.plug_in(1, Car())
    await station.start(1, "04A1")
    await station.advance(seconds)
    await station.stop(1)
    await station.settled()


async def test_no_boot_and_no_heartbeat_after_a_reconnect(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    csms.interval = 1
    station = await connected(version, quirks=Quirks(no_boot_after_reconnect=True))
    await station.drop()
    await station.back()
    await charge(station)

    assert len(csms.of("BootNotification")) == 1
    assert [action for action, _ in csms.last.calls if action in ("BootNotification", "Heartbeat")] == []


async def test_states_are_told_before_the_boot_is_answered(csms: ScriptedCsms, version: str) -> None:
    csms.script["BootNotification"] = [None]
    quirks = Quirks(status_before_boot=True, two_calls_in_flight=True)
    station = SimulatedStation(url=csms.url, identity="CP 1", version=version, quirks=quirks)
    await station.connect(until="connected")
    await csms.until(lambda: csms.of("StatusNotification"))
    await station.close()

    assert {action for action, _ in csms.calls} == {"BootNotification", "StatusNotification"}


async def test_two_calls_in_flight(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version, quirks=Quirks(two_calls_in_flight=True))
    csms.script["DataTransfer"] = [None]
    waiting = asyncio.create_task(station.ask_raw("DataTransfer", {"vendorId": "x"}))
    await csms.until(lambda: csms.of("DataTransfer"))
    assert await station.authorize("04A1") == "Accepted"
    waiting.cancel()


@pytest.mark.parametrize(("how", "gap"), [("same", 0), ("next", 1)])
async def test_ended_is_sent_twice(csms: ScriptedCsms, connected: Stations, how: Any, gap: int) -> None:
    await charge(await connected("2.0.1", quirks=Quirks(ended_twice=how)))

    first, second = [event for event in csms.of("TransactionEvent") if event["eventType"] == "Ended"]
    assert second["seqNo"] - first["seqNo"] == gap


async def test_the_sequence_number_stays_zero(csms: ScriptedCsms, connected: Stations) -> None:
    await charge(await connected("2.0.1", quirks=Quirks(seq_no_always_zero=True)))
    assert {event["seqNo"] for event in csms.of("TransactionEvent")} == {0}


async def test_units_are_confused(csms: ScriptedCsms, connected: Stations) -> None:
    station = await connected("1.6", quirks=Quirks(wh_called_kwh=True))
    await charge(station)

    during = csms.of("MeterValues")[0]["meterValue"][0]["sampledValue"][0]
    end = csms.of("StopTransaction")[0]["transactionData"][0]["sampledValue"][0]
    assert during["unit"] == "kWh" and float(during["value"]) > 100_000
    assert end["unit"] == "Wh" and float(end["value"]) < 10_000
    assert csms.of("StopTransaction")[0]["meterStop"] == int(station.connectors[1].register_wh)


async def test_a_bare_stop(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    await charge(await connected(version, quirks=Quirks(bare_stop=True)))

    if version == "1.6":
        assert csms.of("StopTransaction")[0].keys() == {
            *("meterStop", "timestamp", "transactionId", "transactionData")
        }
    else:
        ended = csms.of("TransactionEvent")[-1]
        assert "idToken" not in ended and "stoppedReason" not in ended["transactionInfo"]


async def test_signed_text_as_a_value(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    await charge(await connected(version, quirks=Quirks(signed_ocmf=True)))

    if version == "1.6":
        value = csms.of("StopTransaction")[0]["transactionData"][0]["sampledValue"][-1]
        assert value["format"] == "SignedData" and value["value"].startswith("OCMF|{")
    else:
        value = csms.of("TransactionEvent")[-1]["meterValue"][0]["sampledValue"][-1]
        assert bytes.fromhex(value["signedMeterValue"]["signedMeterData"]).startswith(b"OCMF|{")


async def test_message_ids_repeat_from_station_to_station(csms: ScriptedCsms, connected: Stations) -> None:
    for name in ("CP 1", "CP 2"):
        await connected("1.6", identity=name, quirks=Quirks(repeating_message_ids=True))
    ids = [[frame[1] for frame in session.frames] for session in csms.sessions]
    assert ids == [["1", "2", "3"], ["1", "2", "3"]]


async def test_a_doubled_slash_and_an_origin(csms: ScriptedCsms, connected: Stations) -> None:
    await connected("1.6", quirks=Quirks(doubled_slash=True, origin="http://192.168.1.4"))
    assert csms.last.path == "/ocpp/acme//CP%201"
    assert csms.last.headers["Origin"] == "http://192.168.1.4"


async def test_long_transaction_ids(csms: ScriptedCsms, connected: Stations) -> None:
    await charge(await connected("2.0.1", quirks=Quirks(long_transaction_ids=True)))
    assert len(csms.of("TransactionEvent")[0]["transactionInfo"]["transactionId"]) == 34


async def test_a_stop_repeated_with_new_message_ids(csms: ScriptedCsms, connected: Stations) -> None:
    await charge(await connected("1.6", quirks=Quirks(repeat_stop=5)))

    stops = [frame for frame in csms.last.frames if frame[2:3] == ["StopTransaction"]]
    assert len(stops) == 5
    assert len({frame[1] for frame in stops}) == 5
    assert all(frame[3] == stops[0][3] for frame in stops)


async def test_a_transaction_of_a_refused_card(csms: ScriptedCsms, connected: Stations) -> None:
    csms.verdicts["BAD"] = "Invalid"
    settings = {"StopTransactionOnInvalidId": "false"}
    station = await connected("1.6", quirks=Quirks(starts_anyway=True), settings=settings)
    await station.plug_in(1)
    await station.start(1, "BAD")
    assert csms.of("StartTransaction")[0]["idTag"] == "BAD"


@pytest.mark.parametrize(
    ("clock", "start"),
    [
        (Clock(0, stuck_1970=True), "1970-01-01T00:"),
        (Clock(0, offset=timedelta(days=3652)), "203"),
    ],
)
async def test_wrong_clocks(csms: ScriptedCsms, connected: Stations, clock: Clock, start: str) -> None:
    await charge(await connected("1.6", clock=clock))
    assert csms.of("StartTransaction")[0]["timestamp"].startswith(start)
    assert csms.of("MeterValues")[0]["meterValue"][0]["timestamp"].startswith(start)


async def test_a_clock_without_zone(csms: ScriptedCsms, connected: Stations) -> None:
    await charge(await connected("1.6", clock=Clock(0, zone=False)))
    assert csms.of("StartTransaction")[0]["timestamp"][-1].isdigit()
    csms.violations.clear()  # the schema wants a zone; that is the point of this quirk


async def test_faults_come_and_go(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version)
    await station.fault(1, "GroundFailure")
    await station.clear_fault(1)

    word = "status" if version == "1.6" else "connectorStatus"
    assert [status[word] for status in csms.of("StatusNotification")][-2:] == ["Faulted", "Available"]
    if version == "1.6":
        assert [status["errorCode"] for status in csms.of("StatusNotification")][-2:] == [
            "GroundFailure",
            "NoError",
        ]


async def test_pretty_printed_frames(csms: ScriptedCsms, connected: Stations) -> None:
    station = await connected("1.6", quirks=Quirks(white_space=True))
    assert await station.authorize("04A1") == "Accepted"
    assert station.frames[0][1].endswith("\r\n")


async def test_2_1_sends_a_stream_without_waiting_for_an_answer(
    csms: ScriptedCsms, connected: Stations
) -> None:
    station = await connected("2.1")
    assert await station.open_stream(7) == "Accepted"
    await station.send_stream(7, [(0, "1.5"), (1.5, "1.7")])
    await csms.until(lambda: csms.of("NotifyPeriodicEventStream"))
    listed = await csms.last.ask("GetPeriodicEventStream")

    assert csms.last.frames[-2][0] == 6
    assert csms.of("NotifyPeriodicEventStream")[0]["data"] == [{"t": 0, "v": "1.5"}, {"t": 1.5, "v": "1.7"}]
    assert listed["constantStreamData"][0]["id"] == 7


async def test_2_1_complains_about_a_result_that_breaks_the_schema(
    csms: ScriptedCsms, connected: Stations
) -> None:
    station = await connected("2.1")
    csms.script["Authorize"] = [[3, {"idTokenInfo": {"status": 7}}]]
    assert await station.authorize("04A1") == "Invalid"
    await csms.until(lambda: csms.last.frames[-1][0] == 5)
    asked = next(frame for frame in reversed(csms.last.frames) if frame[0] == 2)
    assert csms.last.frames[-1][1] == asked[1]


async def test_2_1_remembers_a_complaint_about_its_own_result(
    csms: ScriptedCsms, connected: Stations
) -> None:
    station = await connected("2.1")
    await csms.last.connection.send(json.dumps([5, "m1", "FormatViolation", "no", {}]))
    await station.until(lambda: station.result_errors)
    assert station.result_errors[0][:2] == ("m1", "FormatViolation")
