"""The benchmark of commands measures what it claims, and takes its options in any order."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from bench.commands.__main__ import Bench
from bench.commands.stations import ORDERS, Commanded
from bench.gateway.loops import Target, connect_all
from cpo.embedded import ports
from cpo.management.commands.bench import Command, cut
from tests.simulator.csms import ScriptedCsms
from tests.simulator.schemas import problems

DELAY_S = 0.1


@asynccontextmanager
async def rest_of(csms: ScriptedCsms, status: int) -> AsyncIterator[int]:
    """A REST server that takes its time before it commands the one station; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # the caller has left
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length:")[1].split()[0])
                order = json.loads(await reader.readexactly(size))
                await asyncio.sleep(DELAY_S)
                if status < 300:
                    action = next(one.action.decode() for one in ORDERS if one.kind == order["kind"])
                    await csms.last.ask(action)
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}" % status)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def measured(csms: ScriptedCsms, status: int) -> Bench:
    """A bench after one round of commands to one station."""
    async with rest_of(csms, status) as port:
        role = {"command": [], "port": port, "env": {}, "log": "unused"}
        setup = {"gateway": role, "web": role, "cwd": ".", "ids": [1], "key": "vy_x", "pids": {}, "redis": 0}
        bench = Bench(setup, Namespace(commands=4))
        station = Commanded(0, Target("test", csms.url, [("B-1", "password")], "BENCH0001"))
        await connect_all([station])
        await bench._told_round([station], 1, wait=True, goal_ms=50)
        station.drop()
    return bench


@pytest.mark.nodb
async def test_the_time_counts_from_the_post_to_the_call(csms: ScriptedCsms) -> None:
    begun = time.perf_counter()
    bench = await measured(csms, status=200)
    goal = bench.report.goals[0]
    assert DELAY_S * 1000 <= float(goal.figure.split()[0]) < (time.perf_counter() - begun) * 1000
    assert goal.met is False


@pytest.mark.nodb
async def test_commands_that_fail_do_not_meet_the_goal(csms: ScriptedCsms) -> None:
    bench = await measured(csms, status=500)
    assert bench.report.goals[0].met is False
    assert any("HTTP 500" in line for line in bench.report.lines)


@pytest.mark.nodb
def test_answers_keep_the_schemas() -> None:
    for order in ORDERS:
        assert problems("1.6", order.action.decode(), json.loads(order.answer), request=False) == []


def test_all_figures_come_from_the_roles_as_the_product_starts_them(
    tmp_path: Path, worker_database: str
) -> None:
    said = io.StringIO()
    call_command("bench_setup", "4", stdout=said)
    roles = {}
    for role in ("gateway", "web"):
        port = ports.any_free()
        roles[role] = {
            "command": [sys.executable, "manage.py", "serve", role, "--port", str(port)],
            "port": port,
            "env": {"VOLTYARD_PROCESS": role},
            "log": str(tmp_path / f"{role}.log"),
        }
    target = tmp_path / "bench.json"
    setup: dict[str, Any] = json.loads(said.getvalue()) | roles | {"cwd": os.getcwd(), "pids": {}, "redis": 0}
    target.write_text(json.dumps(setup))
    options = ("--commands", "8", "--stations", "4", "--parallel", "2")
    command = [sys.executable, "-m", "bench.commands", "--target", str(target), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert done.returncode in (0, 1), done.stderr  # whether this machine is quick is not our question
    assert done.stdout.count("errors 0") == 5, done.stdout
    for many in ("one at a time", "2 in parallel"):
        for how in ("waiting for the answer", "returning at once"):
            assert f"p99 to the station, {many}, {how} " in done.stdout


@pytest.mark.nodb
@pytest.mark.parametrize(
    "words",
    [
        "gateway --quick --known 7 -- --rates 500 1000",
        "--quick gateway --known 7 -- --rates 500 1000",
        "--known 7 --quick gateway -- --rates 500 1000",
    ],
)
def test_options_stand_where_one_likes_before_what_is_passed_on(words: str) -> None:
    ours, rest = cut(["manage.py", "bench", *words.split()])
    options = Command().create_parser(*ours[:2]).parse_args(ours[2:])
    assert (options.what, options.quick, options.known) == ("gateway", True, 7)
    assert rest == ["--rates", "500", "1000"]


@pytest.mark.nodb
def test_nothing_needs_to_be_passed_on() -> None:
    assert cut(["manage.py", "bench", "commands"]) == (["manage.py", "bench", "commands"], [])
