"""`python -m bench.servers`: calls a second, CPU, latency, memory and refusals of ASGI servers.

Servers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import sys
from collections.abc import Callable

import uvloop

from bench import processes
from bench.gateway.loops import Station, Target, closed_loop, connect_all, open_loop
from bench.gateway.services import Service, echo_service, free_port
from bench.sockets import Refused, connect

APP = "bench.servers.app:application"
PYTHON = [sys.executable, "-m"]


def _uvicorn(port: int, protocol: str) -> list[str]:
    quiet = ["--log-level", "error", "--no-access-log", "--backlog", "4096"]
    return [*PYTHON, "uvicorn", APP, "--port", str(port), "--ws", protocol, "--loop", "uvloop", *quiet]


# name, package, command
SERVERS: tuple[tuple[str, str, Callable[[int], list[str]]], ...] = (
    ("daphne", "daphne", lambda port: [*PYTHON, "daphne", "-p", str(port), "-v", "0", APP]),
    ("uvicorn, websockets-sansio", "uvicorn", lambda port: _uvicorn(port, "websockets-sansio")),
    ("uvicorn, websockets", "uvicorn", lambda port: _uvicorn(port, "websockets")),
    ("uvicorn, wsproto", "wsproto", lambda port: _uvicorn(port, "wsproto")),
    (
        "hypercorn",
        "hypercorn",
        lambda port: [
            *PYTHON,
            "hypercorn",
            APP,
            "-b",
            f"127.0.0.1:{port}",
            "-k",
            "uvloop",
            "--backlog",
            "4096",
        ],
    ),
    (
        "granian",
        "granian",
        lambda port: [*PYTHON, "granian", "--interface", "asgi", "--port", str(port), "--no-log", APP],
    ),
)


async def measure(service: Service, name: str, options: argparse.Namespace) -> None:
    many = [(f"B-{number}", "password") for number in range(options.idle)]
    target = Target(name, f"ws://127.0.0.1:{service.port}/ocpp/bench", many, "BENCH0001", echo=True)
    service.start()
    try:
        memory = await _memory(service, target)
        stations = [Station(number, target) for number in range(options.stations)]
        await connect_all(stations)
        before = processes.cpu_seconds(service.pid)
        loaded = await closed_loop(stations, options.seconds, warm_up=0)
        cpu = (processes.cpu_seconds(service.pid) - before) / loaded.calls * 1000
        steady = await open_loop(stations, 2000, options.seconds, warm_up=1)
        for station in stations:
            station.drop()
        refusal = await _refusal(service)
    finally:
        service.stop()
    print(
        f"{name:<28} {loaded.rate:9.0f} {cpu:11.3f} {steady.percentile(0.5):9.2f} {steady.percentile(0.99):9.2f} "
        f"{memory:11.1f}   {refusal}",
        flush=True,
    )


async def _memory(service: Service, target: Target) -> float:
    """KB per idle connection."""
    warm = [Station(number, target) for number in range(20)]
    await connect_all(warm)
    for station in warm:
        station.drop()
    await asyncio.sleep(0.5)
    before = service.resident()
    stations = [Station(number, target) for number in range(len(target.stations))]
    await connect_all(stations)
    await asyncio.sleep(1)
    used = (service.resident() - before) / len(stations) / 1024
    for station in stations:
        station.drop()
    await asyncio.sleep(0.5)
    return used


async def _refusal(service: Service) -> str:
    """What a client without password gets to see."""
    try:
        socket = await connect(f"ws://127.0.0.1:{service.port}/ocpp/bench", "B-1", "")
    except (Refused, OSError) as error:
        return str(error)
    socket.abort()
    return "upgraded"


async def main(options: argparse.Namespace) -> None:
    head = (
        f"{'server':<28} {'calls/s':>9} {'CPU-s/1,000':>11} {'p50 ms':>9} {'p99 ms':>9} {'KB a socket':>11}"
    )
    print(f"{head}   refused with", flush=True)
    await measure(echo_service(), "bare websockets, no ASGI", options)
    for name, package, command in SERVERS:
        if importlib.util.find_spec(package) is None:
            print(f"{name:<28} not installed", flush=True)
            continue
        port = free_port()
        await measure(Service(name, command(port), port), name, options)


if __name__ == "__main__":
    words = argparse.ArgumentParser(prog="python -m bench.servers", description=__doc__)
    words.add_argument("--seconds", type=float, default=5)
    words.add_argument("--stations", type=int, default=200)
    words.add_argument("--idle", type=int, default=1000)
    processes.allow_many_files()
    uvloop.run(main(words.parse_args()))
