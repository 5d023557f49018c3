"""`python -m bench.gateway --target FILE [--quick]`: started by `manage.py bench`, which prepares the database.

FILE holds {"gateway": {"command": [...], "env": {...}, "port": n, "log": "..."}, "cwd": "...", "path": "/ocpp/bench",
"stations": [[identity, password]], "token": "...", "pids": {"database": n, ...}}: how to start the gateway, and whose
CPU to count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from bench import processes
from bench.gateway.loops import Result, Station, Target, closed_loop, connect_all, open_loop
from bench.gateway.report import Report, Round, median
from bench.gateway.services import Service, echo_service


class Bench:
    """All measurements of one run, alternating between the gateway and the echo server."""

    def __init__(self, setup: dict[str, Any], options: argparse.Namespace) -> None:
        self.setup, self.options = setup, options
        self.report = Report()
        self.gateway = Service.of("The gateway", setup["gateway"], Path(setup["cwd"]))
        self.echo = echo_service()
        self.stations = [(identity, password) for identity, password in setup["stations"]]

    def target(self, service: Service) -> Target:
        url = f"ws://127.0.0.1:{service.port}{self.setup['path']}"
        name = "gateway" if service is self.gateway else "echo"
        return Target(name, url, self.stations, self.setup["token"], echo=service is self.echo)

    async def run(self) -> bool:
        self.gateway.start()
        self.echo.start()
        try:
            await self._throughput()
            await self._latency()
            await self._memory()
            await self._return()
            await self._restart()
        finally:
            self.gateway.stop()
            self.echo.stop()
        return self.report.finish()

    # -- throughput and CPU

    async def _throughput(self) -> None:
        rounds: dict[str, list[Round]] = {"echo": [], "gateway": []}
        for _ in range(self.options.rounds):
            for service in (self.echo, self.gateway):
                rounds[self.target(service).name].append(await self._closed_round(service))
        share = median(
            [own.rate / bare.rate for own, bare in zip(rounds["gateway"], rounds["echo"], strict=True)]
        )
        cost = median([
            sum(own.per_thousand(who) for who in own.cpu) / bare.per_thousand("server")
            for own, bare in zip(rounds["gateway"], rounds["echo"], strict=True)
        ])  # fmt: skip
        goal = self.report.goal
        goal("calls/s, closed loop, share of the echo server's", f"{share:.2f}", "0.40 or more", share >= 0.4)
        goal(
            "CPU per 1,000 calls, gateway and database, against echo",
            f"{cost:.1f} x",
            "3 x or less",
            cost <= 3,
        )

    async def _closed_round(self, service: Service) -> Round:
        target = self.target(service)
        stations = await self._connected(target, self.options.stations)
        before = self._cpu(service)
        result = await closed_loop(stations, self.options.seconds, warm_up=self.options.warm_up)
        calls = sum(station.answered for station in stations)
        self._drop(stations)
        lag = await self._let_settle(service)
        # All the CPU of all the calls: that of the warm-up, and what is done behind the answers.
        used = {who: seconds - before[who] for who, seconds in self._cpu(service).items()}
        done = Round(
            calls, result.rate, result.percentile(0.5), result.percentile(0.99), _errors(result), used
        )
        parts = ", ".join(f"{who} {done.per_thousand(who):.3f}" for who in used)
        self.report.say(
            f"{target.name:<8} closed loop, {len(stations)} stations: {done.rate:8.0f} calls/s, "
            f"p50 {done.p50_ms:.1f} ms, p99 {done.p99_ms:.1f} ms, CPU-s per 1,000 calls: {parts}; errors {done.errors}"
        )
        if service is self.gateway:
            self.report.say(f"         p99 by kind, ms: {result.kinds(0.99)}")
        if lag > 1:
            self.report.say(f"         and {lag:.0f} s until the work behind the answers was done")
        self._show_errors(result)
        return done

    def _cpu(self, service: Service) -> dict[str, float]:
        found = {"server": processes.cpu_seconds(service.pid)}
        if service is self.gateway:
            children = [pid for pid in processes.tree(service.pid) if pid != service.pid]
            beside = sum(processes.cpu_seconds(pid) for pid in children)
            found = {"server": found["server"] - beside, "its children": beside}
            found |= {who: processes.cpu_seconds(pid) for who, pid in self.setup["pids"].items()}
        return found

    async def _let_settle(self, service: Service) -> float:
        """Wait for what the gateway does behind its answers; the seconds it took."""
        if service is not self.gateway:
            return 0.0
        before = sum(self._cpu(service).values())
        for second in range(self.options.settle):
            await asyncio.sleep(1)
            now = sum(self._cpu(service).values())
            if now - before < 0.1:
                return second
            before = now
        return self.options.settle

    # -- latency

    async def _latency(self) -> None:
        target = self.target(self.gateway)
        for rate in self.options.rates:
            stations = await self._connected(target, self.options.stations)
            result = await open_loop(stations, rate, self.options.seconds, warm_up=self.options.warm_up)
            self._drop(stations)
            p99 = result.percentile(0.99)
            self.report.say(
                f"gateway  open loop at {rate}/s: {result.rate:.0f} calls/s answered, "
                f"p50 {result.percentile(0.5):.1f} ms, p95 {result.percentile(0.95):.1f} ms, p99 {p99:.1f} ms, "
                f"worst {result.percentile(1):.1f} ms; "
                f"errors {_errors(result)}"
            )
            self.report.say(f"         p99 by kind, ms: {result.kinds(0.99)}")
            self._show_errors(result)
            await self._let_settle(self.gateway)
            if rate == 2000:
                goal = self.report.goal
                goal("p99 at 2,000 calls/s, open loop", f"{p99:.1f} ms", "below 10 ms", p99 < 10)

    # -- memory

    async def _memory(self) -> None:
        per_socket: dict[str, float] = {}
        for service in (self.echo, self.gateway):
            target = self.target(service)
            count = min(self.options.idle, len(self.stations))
            await asyncio.to_thread(service.stop)  # a fresh process: a used one has room left from earlier
            await asyncio.to_thread(service.start)
            self._drop(await self._connected(target, 20))
            await asyncio.sleep(1)
            before = service.resident()
            stations = await self._connected(target, count)
            await asyncio.sleep(3)
            per_socket[target.name] = (service.resident() - before) / count / 1024
            self.report.say(
                f"{target.name:<8} {count} idle connections: {per_socket[target.name]:.1f} KB each"
            )
            self._drop(stations)
            await self._let_settle(service)
        ratio = per_socket["gateway"] / per_socket["echo"]
        name = f"memory per idle connection, {count} connected, against echo"
        self.report.goal(name, f"{ratio:.1f} x", "3 x or less", ratio <= 3)

    # -- coming back

    async def _return(self) -> None:
        """All stations drop at once and boot again, the gateway staying up."""
        count = min(self.options.idle, len(self.stations))
        stations = await self._connected(self.target(self.gateway), count)
        await self._let_settle(self.gateway)
        self._drop(stations)
        seconds = await connect_all(stations, at_once=1000)
        self._drop(stations)
        self.report.say(
            f"gateway  {count} stations dropped at once and were booted again after {seconds:.1f} s"
        )
        wanted = 10 * count / 5000
        goal = f"{wanted:.0f} s or less"
        self.report.goal(
            f"{count} stations drop and are all booted again", f"{seconds:.1f} s", goal, seconds <= wanted
        )

    async def _restart(self) -> None:
        """The gateway is stopped and started anew under its stations."""
        count = min(2000, len(self.stations))
        stations = await self._connected(self.target(self.gateway), count)
        await self._let_settle(self.gateway)
        begun = time.perf_counter()
        await asyncio.to_thread(self.gateway.stop)
        down = time.perf_counter()
        await asyncio.to_thread(self.gateway.start)
        up = time.perf_counter()
        back = await connect_all(stations, at_once=1000)
        self._drop(stations)
        self.report.say(
            f"gateway  restart under {count} stations: drained in {down - begun:.1f} s, "
            f"listening after {up - down:.1f} s more, all booted {back:.1f} s later"
        )
        self.report.goal(f"{count} stations back after a restart, from listening", f"{back:.1f} s", "-", None)

    # -- helpers

    async def _connected(self, target: Target, count: int) -> list[Station]:
        stations = [Station(number, target) for number in range(min(count, len(self.stations)))]
        await connect_all(stations)
        await asyncio.sleep(1)
        return stations

    def _drop(self, stations: list[Station]) -> None:
        for station in stations:
            station.drop()

    def _show_errors(self, result: Result) -> None:
        for text, count in result.errors.most_common(3):
            self.report.say(f"         {count} x {text}")


def _errors(result: Result) -> int:
    return sum(result.errors.values())


def main(arguments: list[str]) -> int:
    words = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    words.add_argument("--target", required=True)
    words.add_argument("--quick", action="store_true", help="less of everything: a look, not a measurement")
    words.add_argument("--stations", type=int, default=200, help="in the loops")
    words.add_argument("--seconds", type=float, default=10)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--idle", type=int, default=5000, help="connections for memory and return")
    words.add_argument(
        "--rates", type=int, nargs="*", default=[500, 2000], help="calls a second in the open loop"
    )
    words.add_argument(
        "--settle", type=int, default=30, help="most seconds to wait for work behind the answers"
    )
    words.set_defaults(warm_up=2.0)
    options = words.parse_args(arguments)
    if options.quick:
        options.seconds, options.rounds, options.idle, options.warm_up = 3.0, 1, 500, 1.0
    processes.allow_many_files()
    setup = json.loads(Path(options.target).read_text())
    return 0 if uvloop.run(Bench(setup, options).run()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
