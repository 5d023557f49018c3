"""Connecting, booting, losing the line and coming back."""

from __future__ import annotations

import asyncio

import pytest

from simulator import Car, LinkError, Quirks, SimulatedStation
from tests.simulator.conftest import Stations
from tests.simulator.csms import ScriptedCsms

pytestmark = pytest.mark.nodb


async def test_boots_and_tells_each_connectors_state(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    await connected(version, connectors=2)

    actions = [action for action, _ in csms.calls]
    assert actions[0] == "BootNotification"
    assert set(actions[1:]) == {"StatusNotification"}
    assert len(actions) == (4 if version == "1.6" else 3)  # 1.6 has a connector 0


async def test_boots_again_until_accepted(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    csms.registration = ["Pending", "Rejected", "Accepted"]
    csms.interval = 1
    station = await connected(version, speed=50)

    assert len(csms.of("BootNotification")) == 3
    assert station.booted


async def test_a_pending_station_answers_and_boots_when_triggered(csms: ScriptedCsms, version: str) -> None:
    csms.registration = ["Pending", "Accepted"]
    station = SimulatedStation(url=csms.url, identity="CP 1", version=version, speed=0)
    await station.connect(until="connected")
    await station.until(lambda: station.registration == "Pending")
    answer = await csms.last.ask("TriggerMessage", {"requestedMessage": "BootNotification"})
    await station.until(lambda: station.booted)
    await station.close()

    assert answer == {"status": "Accepted"}


async def test_beats_at_the_interval_it_was_given(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    csms.interval = 1
    await connected(version)
    await csms.until(lambda: len(csms.of("Heartbeat")) >= 2)


async def test_a_wrong_password_is_told_in_one_sentence(version: str) -> None:
    async with ScriptedCsms(passwords={"CP 1": "right"}) as csms:
        station = SimulatedStation(url=csms.url, identity="CP 1", password="wrong", version=version)
        with pytest.raises(LinkError, match=r"refused CP 1: .*password is wrong \(401\)\.$") as caught:
            await station.connect()
        assert caught.value.refused
        await station.close()


async def test_no_common_version_is_told_in_one_sentence() -> None:
    async with ScriptedCsms(subprotocols=("ocpp1.6",)) as csms:
        station = SimulatedStation(url=csms.url, identity="CP 1", version="2.1")
        with pytest.raises(LinkError, match="has no OCPP version in common with CP 1"):
            await station.connect()
        await station.close()


async def test_a_silent_port_is_told_in_one_sentence() -> None:
    station = SimulatedStation(url="ws://127.0.0.1:1/ocpp/acme", identity="CP 1")
    with pytest.raises(LinkError, match=r"^Nothing listens at ws://127.0.0.1:1; "):
        await station.connect()
    await station.close()


async def test_speaks_the_best_version_that_both_know() -> None:
    async with ScriptedCsms(subprotocols=("ocpp2.0.1", "ocpp1.6")) as csms:
        offers = ("2.1", "2.0.1", "1.6")
        async with SimulatedStation(url=csms.url, identity="CP 1", version=offers) as station:
            assert station.version == "2.0.1"
            assert csms.last.version == "2.0.1"


async def test_the_identity_is_percent_encoded(csms: ScriptedCsms, connected: Stations) -> None:
    await connected("1.6", identity="Süd/1 a")
    assert csms.last.path == "/ocpp/acme/S%C3%BCd%2F1%20a"


async def test_a_transaction_runs_on_offline_and_is_told_in_order_afterwards(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    await station.plug_in(1, Car())
    transaction = await station.start(1, "04A1")
    await station.go_offline()
    told = len(csms.calls)
    await station.advance(300)
    await station.stop(1)
    await station.unplug(1)
    assert len(csms.calls) == told
    await station.go_online()

    assert transaction is not None and transaction.energy_wh
    late = [payload for action, payload in csms.calls[told:] if action != "BootNotification"]
    stamps = [moment["timestamp"] for payload in late for moment in payload.get("meterValue", [])]
    assert stamps == sorted(stamps) and len(stamps) >= 5
    if version == "1.6":
        assert csms.of("StopTransaction")[0]["meterStop"] == transaction.meter_stop_wh
    else:
        events = [event for event in csms.of("TransactionEvent") if event.get("offline")]
        assert events[-1]["eventType"] == "Ended" and len(events) >= 6


async def test_a_charge_begun_offline_gets_its_id_later(csms: ScriptedCsms, connected: Stations) -> None:
    station = await connected("1.6", settings={"AllowOfflineTxForUnknownId": "true"})
    await station.go_offline()
    await station.plug_in(1, Car())
    transaction = await station.start(1, "04A1")
    await station.advance(120)
    await station.stop(1)
    await station.go_online()

    assert transaction is not None and transaction.id == 1
    assert [payload["transactionId"] for payload in csms.of("MeterValues")] == [1, 1]
    assert csms.of("StopTransaction")[0]["transactionId"] == 1


async def test_offline_the_local_list_decides(csms: ScriptedCsms, connected: Stations, version: str) -> None:
    station = await connected(version)
    station.local_auth.update(1, True, [("GOOD", "Accepted"), ("BAD", "Blocked")])
    await station.go_offline()

    assert await station.authorize("GOOD") == "Accepted"
    assert await station.authorize("BAD") == "Blocked"
    assert await station.authorize("STRANGER") == "Unknown"


async def test_comes_back_by_itself_when_the_line_is_cut(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    await station.drop()
    await station.back()

    assert len(csms.sessions) == 2
    assert len(csms.of("BootNotification")) == 2


async def test_an_unacknowledged_start_is_sent_again_with_the_same_content(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    action = "StartTransaction" if version == "1.6" else "TransactionEvent"
    station = await connected(version, quirks=Quirks(lost_start_reply=True))
    csms.script[action] = [None]  # the answer never arrives
    await station.plug_in(1, Car())
    transaction = await station.start(1, "04A1")
    await station.back()

    starts = csms.of(action)[:2]
    assert len(starts) == 2 and starts[0] == starts[1]
    assert transaction is not None and transaction.verdict == "Accepted"


async def test_power_loss_ends_the_charge_and_tells_it_after_the_boot(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    await station.plug_in(1, Car())
    await station.start(1, "04A1")
    await station.advance(60)
    await station.power_loss()
    await station.back()

    actions = [action for action, _ in csms.calls]
    if version == "1.6":
        assert csms.of("StopTransaction")[0]["reason"] == "PowerLoss"
        assert actions.index("StopTransaction") > actions.index("BootNotification", 1)
    else:
        assert csms.of("TransactionEvent")[-1]["transactionInfo"]["stoppedReason"] == "PowerLoss"


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.long)])
async def test_many_idle_stations_live_in_one_process(csms: ScriptedCsms, count: int) -> None:
    stations = [
        SimulatedStation(url=csms.url, identity=f"CP {number}", seed=1, keep_frames=5, validate=False)
        for number in range(count)
    ]
    for station in stations:
        station.begin()
    await csms.until(lambda: len(csms.of("BootNotification")) == count, timeout=60)
    await asyncio.gather(*(station.close() for station in stations))


async def test_nonsense_from_the_other_side_does_not_end_the_station(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    for text in (
        "",
        "[]",
        "[2]",
        '[3,"x"]',
        '[4,"x"]',
        '[9,"x",{}]',
        "{}",
        "nul",
        "[" * 5000,
        '[3,"who",{}]',
    ):
        await csms.last.connection.send(text)
    assert await csms.last.ask("ClearCache") == {"status": "Accepted"}
    assert station.connected and len(csms.sessions) == 1


async def test_an_unknown_error_code_is_survived(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    csms.script["Authorize"] = [[4, "NoSuchCode", "", {}]]
    action = "StartTransaction" if version == "1.6" else "TransactionEvent"
    csms.script[action] = [[4, "NoSuchCode", "", {}]]
    station = await connected(version)
    assert await station.authorize("04A1") == "Invalid"
    await station.plug_in(1, Car())
    await station.start(1, "04A1")
    assert len(csms.of(action)) >= 2  # tried again, and acknowledged
    assert station.connectors[1].state == "charging"


@pytest.mark.parametrize("came_before", [False, True])
async def test_a_lost_line_that_is_back_is_no_boot(
    csms: ScriptedCsms, version: str, came_before: bool
) -> None:
    station = SimulatedStation(
        url=csms.url, identity="CP 1", version=version, back_off=(0.01, 0.1), quiet_return=True,
        came_before=came_before,
    )  # fmt: skip
    async with station:
        first = 0 if came_before else 1
        assert len(csms.of("BootNotification")) == first
        await station.drop()
        await station.back()
        assert len(csms.of("BootNotification")) == first
        await station.reboot()
        await station.back()
        assert len(csms.of("BootNotification")) == first + 1
