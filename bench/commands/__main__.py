"""`python -m bench.commands --target FILE [--quick]`: started by `manage.py bench`, which prepares the database.

FILE holds {"gateway": {"command": [...], "env": {...}, "port": n, "log": "..."}, "web": {the same}, "cwd": "...",
"path": "/ocpp/bench", "stations": [[identity, password]], "ids": [n], "key": "vy_...", "token": "...",
"pids": {"database": n, ...}, "redis": n}: how to start the roles, and whose CPU is no stranger's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench import processes
from bench.commands.rest import Rest
from bench.commands.stations import ORDERS, Commanded
from bench.gateway.loops import Target, connect_all, percentile
from bench.gateway.report import Report
from bench.gateway.services import Service

GOAL_MS = 50.0
LONGEST_S = 30.0  # until a command counts as lost
WAIT_S = 20.0  # what a caller asks for who waits for the answer


@dataclass
class Result:
    """Of one round. Seconds from just before the POST to the CALL at the station, and to the answer of the POST."""

    to_station: list[float] = field(default_factory=list)
    to_caller: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def told(self) -> str:
        def ms(values: list[float], share: float) -> str:
            return f"{percentile(values, share):.1f}"

        frame, answer = self.to_station, self.to_caller
        return (
            f"POST to the CALL at the station: p50 {ms(frame, 0.5)} ms, p95 {ms(frame, 0.95)} ms, "
            f"p99 {ms(frame, 0.99)} ms, worst {ms(frame, 1)} ms; to the answer of the POST: "
            f"p50 {ms(answer, 0.5)} ms, p99 {ms(answer, 0.99)} ms; errors {len(self.errors)}"
        )


class Bench:
    """Commands to a few dozen stations: one at a time, then some in parallel, each way of asking."""

    def __init__(self, setup: dict[str, Any], options: argparse.Namespace) -> None:
        self.setup, self.options = setup, options
        self.report = Report()
        self.gateway = Service.of("The gateway", setup["gateway"], Path(setup["cwd"]))
        self.web = Service.of("The web process", setup["web"], Path(setup["cwd"]))
        self.random = random.Random(1)

    async def run(self) -> bool:
        try:
            self.gateway.start()
            self.web.start()
            await self._measure()
        finally:
            self.web.stop()
            self.gateway.stop()
        return self.report.finish()

    async def _measure(self) -> None:
        url = f"ws://127.0.0.1:{self.gateway.port}{self.setup['path']}"
        credentials = [(identity, password) for identity, password in self.setup["stations"]]
        target = Target("gateway", url, credentials, self.setup["token"])
        stations = [Commanded(number, target) for number in range(self.options.stations)]
        await connect_all(stations)
        await _settled(stations)
        first = await self._round(stations, 1, 1, wait=False)
        self.report.say(f"the very first command: {first.told()}")
        await self._round(stations, 40, 1, wait=True)  # warm-up
        for at_once, goal in ((1, GOAL_MS), (self.options.parallel, None)):
            for wait in (True, False):
                await self._told_round(stations, at_once, wait=wait, goal_ms=goal)
        for station in stations:
            station.drop()

    async def _told_round(
        self, stations: list[Commanded], at_once: int, *, wait: bool, goal_ms: float | None
    ) -> None:
        begun, before = time.perf_counter(), self._others()
        result = await self._round(stations, self.options.commands, at_once, wait=wait)
        others = (self._others() - before) / (time.perf_counter() - begun)
        how = "waiting for the answer" if wait else "returning at once"
        many = "one at a time" if at_once == 1 else f"{at_once} in parallel"
        self.report.say(f"{self.options.commands} commands, {many}, {how}:\n    {result.told()}")
        self.report.say(
            f"    meanwhile others on this machine used {others:.2f} of its {os.cpu_count()} cores"
        )
        for error in result.errors[:3]:
            self.report.say(f"    {error}")
        p99 = percentile(result.to_station, 0.99)
        goal = f"below {goal_ms:.0f} ms" if goal_ms else "-"
        met = p99 < goal_ms and not result.errors if goal_ms else None
        self.report.goal(f"p99 to the station, {many}, {how}", f"{p99:.1f} ms", goal, met)

    def _others(self) -> float:
        """CPU seconds of all that is neither us nor what we measure."""
        ours = [os.getpid(), self.setup["redis"], *self.setup["pids"].values()]
        return processes.machine_seconds() - sum(processes.cpu_seconds(pid) for pid in ours)

    async def _round(self, stations: list[Commanded], count: int, at_once: int, *, wait: bool) -> Result:
        """`count` commands by `at_once` callers, each with a connection and stations of its own."""
        result = Result()
        shares = [len(range(caller, count, at_once)) for caller in range(at_once)]
        async with asyncio.TaskGroup() as callers:
            for caller, share in enumerate(shares):
                own = range(caller, len(stations), at_once)
                callers.create_task(self._caller(stations, own, share, result, wait=wait))
        return result

    async def _caller(
        self, stations: list[Commanded], own: range, count: int, result: Result, *, wait: bool
    ) -> None:
        rest = await Rest("127.0.0.1", self.web.port, self.setup["key"]).open()
        for turn in range(count):
            number = own[turn % len(own)]
            order = ORDERS[turn % len(ORDERS)]
            body = {"kind": order.kind, "arguments": order.arguments, "wait_seconds": WAIT_S if wait else 0}
            path = f"/api/v1/stations/{self.setup['ids'][number]}/commands"
            arrival = stations[number].expect(order)
            begun = time.perf_counter()
            try:
                async with asyncio.timeout(LONGEST_S):
                    status, answer = await rest.post(path, body)
                    result.to_caller.append(time.perf_counter() - begun)
                    if status not in (200, 202) or (wait and status != 200):
                        raise ValueError(f"HTTP {status}: {answer}")
                    result.to_station.append(await arrival - begun)
            except Exception as error:
                result.errors.append(f"{order.kind} to {stations[number].identity}: {error!r}"[:300])
                rest.close()
                rest = await Rest("127.0.0.1", self.web.port, self.setup["key"]).open()
            # Irregular, so as to keep no step with anything that polls; and the work behind the answer is done.
            await asyncio.sleep(self.random.uniform(0.02, 0.1))
        rest.close()


async def _settled(stations: list[Commanded], quiet_s: float = 2.0) -> None:
    """Wait until the gateway has asked all that it wants to know of stations that have booted."""
    begun = time.perf_counter()
    while time.perf_counter() - max(begun, *(station.last_call for station in stations)) < quiet_s:
        await asyncio.sleep(0.1)


def main(arguments: list[str]) -> int:
    words = argparse.ArgumentParser(prog="python -m bench.commands", description=__doc__)
    words.add_argument("--target", required=True)
    words.add_argument("--quick", action="store_true", help="less of everything: a look, not a measurement")
    words.add_argument("--stations", type=int, default=40)
    words.add_argument("--commands", type=int, default=500, help="in each round")
    words.add_argument("--parallel", type=int, default=4, help="callers in the later rounds")
    options = words.parse_args(arguments)
    if options.quick:
        options.commands = min(options.commands, 150)
    setup = json.loads(Path(options.target).read_text())
    return 0 if uvloop.run(Bench(setup, options).run()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
