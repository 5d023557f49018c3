"""The load generator of the benchmark says what it should and measures what it claims."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench import processes
from bench.gateway.loops import Station, Target, closed_loop, connect_all, open_loop
from bench.gateway.mix import STEPS, Script
from bench.sockets import Refused, connect
from tests.simulator.csms import ScriptedCsms
from tests.simulator.schemas import problems

pytestmark = pytest.mark.nodb


def target(url: str, count: int = 4) -> Target:
    return Target("test", url, [(f"B-{number}", "password") for number in range(count)], "BENCH0001")


def test_the_mix_is_the_one_that_was_agreed() -> None:
    counts = {name: STEPS.count(name) for name in STEPS}
    assert counts == {"authorize": 1, "start": 1, "stop": 1, "heartbeat": 3, "status": 4, "meter": 10}


def test_frames_keep_the_schemas() -> None:
    script = Script(3, "BENCH0001")
    for _ in range(2 * len(STEPS)):
        name, text = script.next()
        kind, _id, action, payload = json.loads(text)
        assert kind == 2
        assert problems("1.6", action, payload, request=True) == []
        if name == "meter":
            assert sum(len(moment["sampledValue"]) for moment in payload["meterValue"]) == 8
            assert 1_100 < len(text) < 1_200


async def test_uses_the_transaction_ids_it_was_given(csms: ScriptedCsms) -> None:
    csms.script["StartTransaction"] = [[3, {"transactionId": 4711, "idTagInfo": {"status": "Accepted"}}]]
    stations = [Station(0, target(csms.url))]
    await connect_all(stations)
    stations[0].looping = True
    stations[0].call()
    await csms.until(lambda: csms.of("StopTransaction"))
    stations[0].drop()

    assert {payload["transactionId"] for payload in csms.of("MeterValues")[:10]} == {4711}
    assert csms.of("StopTransaction")[0]["transactionId"] == 4711


async def test_the_closed_loop_waits_for_each_answer(csms: ScriptedCsms) -> None:
    stations = [Station(number, target(csms.url)) for number in range(4)]
    await connect_all(stations)
    result = await closed_loop(stations, 0.3, warm_up=0.1)
    for station in stations:
        station.drop()

    assert result.calls == len(result.latencies) > 0
    assert not result.errors
    assert sum(station.answered for station in stations) == len(csms.calls) - 4  # the boots


async def test_the_open_loop_counts_from_the_moment_a_call_was_due() -> None:
    async def slow(connection: ServerConnection) -> None:
        async for text in connection:
            frame: list[Any] = json.loads(text)
            await asyncio.sleep(0 if frame[2] == "BootNotification" else 0.05)
            await connection.send(json.dumps([3, frame[1], {}]))

    async with serve(slow, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:  # type: ignore[list-item]
        port = next(iter(server.sockets)).getsockname()[1]
        stations = [Station(0, target(f"ws://127.0.0.1:{port}/ocpp/x"))]
        await connect_all(stations)
        result = await open_loop(stations, rate=40, seconds=1.0, warm_up=0.0)
        stations[0].drop()

    # 40 calls a second at a server that takes 20: the queue, not the server's 50 ms, is what callers feel.
    assert result.percentile(1) > 200


async def test_a_refused_upgrade_is_told() -> None:
    async with ScriptedCsms(passwords={}) as csms:
        with pytest.raises(Refused, match="401"):
            await connect(csms.url, "B-1", "password")


async def test_answers_what_the_gateway_asks(csms: ScriptedCsms) -> None:
    stations = [Station(0, target(csms.url))]
    await connect_all(stations)
    answer = await csms.last.ask("GetConfiguration")
    other = await csms.last.ask("Reset", {"type": "Soft"})
    stations[0].drop()
    assert (answer, other) == ({"configurationKey": [], "unknownKey": []}, "NotImplemented")


def test_cpu_of_children_that_ended_is_counted() -> None:
    before = processes.cpu_seconds(os.getpid())
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert processes.cpu_seconds(os.getpid()) - before > 0.25
