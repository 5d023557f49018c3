"""Many stations at once: the demo's population and the terminal."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from pathlib import Path

import pytest

from simulator import StationThread
from simulator.run import Options, Plan, Run, read_plans
from tests.simulator.csms import ScriptedCsms

pytestmark = pytest.mark.nodb


def plans(url: str, count: int, **more: object) -> list[Plan]:
    return [Plan(url=url, identity=f"SIM-{n}", tokens=["04A1"], **more) for n in range(count)]  # type: ignore[arg-type]


async def test_cars_come_and_running_charges_are_brought_along(csms: ScriptedCsms) -> None:
    out = io.StringIO()
    options = Options(plans(csms.url, 10), speed=30, seed=4, history=True, for_seconds=6, out=out)
    assert await Run(options).run() == 0

    starts, stops = csms.of("StartTransaction"), csms.of("StopTransaction")
    assert len(starts) >= 5
    assert len(stops) == len(starts)  # what still ran was ended at the stop
    booted = [
        frame for session in csms.sessions for frame in session.frames if frame[2:3] == ["BootNotification"]
    ]
    assert len(booted) >= 10
    assert "stations online" in out.getvalue() and "Stopped after" in out.getvalue()


async def test_a_signal_stops_it_and_sessions_end(csms: ScriptedCsms) -> None:
    run = asyncio.create_task(Run(Options(plans(csms.url, 4), speed=30, seed=4, out=io.StringIO())).run())
    await csms.until(lambda: csms.of("StartTransaction"))
    os.kill(os.getpid(), signal.SIGTERM)

    assert await asyncio.wait_for(run, 15) == 0
    assert len(csms.of("StopTransaction")) == len(csms.of("StartTransaction"))


async def test_says_once_why_nobody_can_connect() -> None:
    async with ScriptedCsms(passwords={}) as csms:
        out = io.StringIO()
        code = await Run(Options(plans(csms.url, 3, password="wrong"), out=out)).run()

    assert code == 1
    assert out.getvalue().count("\n") == 1
    assert "refused SIM-0: the identity is unknown there or the password is wrong (401)." in out.getvalue()


def test_reads_the_demo_file(tmp_path: Path) -> None:
    row = {"url": "ws://127.0.0.1:1/ocpp/a", "identity": "A 1", "version": "2.0.1", "kind": "dc", "more": 1}
    path = tmp_path / "demo.json"
    path.write_text(json.dumps({"simulator": [row], "logins": []}))
    assert read_plans(str(path)) == [Plan(url=row["url"], identity="A 1", version="2.0.1", kind="dc")]  # type: ignore[arg-type]


async def test_a_station_can_live_in_a_thread(csms: ScriptedCsms) -> None:
    def drive() -> str:
        with StationThread(url=csms.url, identity="CP 1", speed=0) as own:
            return own.do(own.station.authorize("04A1"))

    assert await asyncio.to_thread(drive) == "Accepted"


@pytest.mark.parametrize(
    ("verdict", "advice"),
    [
        ("Invalid", "(Invalid); --token names one"),
        ("ConcurrentTx", "(ConcurrentTx): it charges elsewhere already."),
    ],
)
async def test_tells_that_a_card_is_refused(csms: ScriptedCsms, verdict: str, advice: str) -> None:
    csms.verdicts["04A1"] = verdict
    out = io.StringIO()
    run = Run(Options(plans(csms.url, 1), speed=500, seed=2, for_seconds=8, out=out))
    assert await run.run() == 0
    assert run.tally.refused >= 1
    assert f"A card was refused at SIM-0 {advice}" in out.getvalue()


async def test_breaks_a_connector_until_somebody_resets_it_hard(csms: ScriptedCsms) -> None:
    def states() -> list[str]:
        return [told["status"] for told in csms.of("StatusNotification") if told["connectorId"] == 1]

    options = Options(plans(csms.url, 1), idle=True, breaks_with="PowerMeterFailure", out=io.StringIO())
    run = Run(options)
    running = asyncio.create_task(run.run())
    await csms.until(lambda: "Faulted" in states())
    for kind, state in (("Soft", "Faulted"), ("Hard", "Available")):
        told = len(states())
        await csms.last.ask("Reset", {"type": kind})
        await csms.until(lambda: len(states()) > told)  # noqa: B023 -- awaited at once
        assert states()[-1] == state
    run._stopping.set()
    assert await running == 0
