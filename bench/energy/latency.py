"""From a reading of a site's meter to SetChargingProfile on the stations' sockets. Started by `manage.py bench energy`.

    python3 manage.py bench energy --sites 20 -- --rounds 10

Each site has a breaker of 63 A, a building, and two cars that charge. Its meter tells each second by REST (those
of many sites all together, as from a system that reads them); in each round the building jumps from 5 to 50 A on all
sites at once, and the clock runs from just before the POST to the CALL that lowers the first car of that site. Then it
falls again, and the cars are raised.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from bench.commands.rest import Rest
from bench.gateway.loops import Station, Target, percentile
from bench.gateway.report import Report
from bench.gateway.services import Service

LOW_A, HIGH_A = 5.0, 50.0
GOALS_MS = {1: 250.0, 500: 1000.0}
CALM_S = 60.0  # that the cars may take to be raised again; the first time each site is taken up before


class Charging(Station):
    """A station of 1.6 whose car takes whatever it is told to."""

    def __init__(self, number: int, target: Target) -> None:
        super().__init__(number, target)
        self.limit, self.changed = 0.0, 0.0
        self.lowered: asyncio.Future[float] | None = None

    def start(self) -> None:
        assert self.socket is not None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        told = {"connectorId": 1, "idTag": self.target.token, "meterStart": 0, "timestamp": now}
        self.socket.send(json.dumps([2, "start", "StartTransaction", told]).encode())

    def _answer(self, text: bytes) -> None:
        if b'"SetChargingProfile"' not in text or self.socket is None:
            super()._answer(text)
            return
        _kind, message_id, _action, told = json.loads(text)
        self.socket.send(json.dumps([3, message_id, {"status": "Accepted"}]).encode())
        profile = told["csChargingProfiles"]
        if profile["chargingProfilePurpose"] != "TxProfile":
            return
        now, limit = time.perf_counter(), profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        if limit < self.limit and self.lowered is not None and not self.lowered.done():
            self.lowered.set_result(now)
        self.limit, self.changed = limit, now


class Bench:
    def __init__(self, setup: dict[str, Any], options: argparse.Namespace) -> None:
        self.setup, self.options = setup, options
        self.report = Report()
        where = Path(setup["cwd"])
        self.services = [
            Service.of(f"The role {role}", setup[role], where) for role in ("gateway", "web", "energy")
        ]
        self.load = LOW_A
        self.noise = itertools.count()
        self.errors = 0
        self.one = asyncio.Lock()  # who tells

    async def run(self) -> bool:
        try:
            for service in self.services[:2]:
                service.start()
            self.services[2].start(ready=False)
            await self._measure()
        finally:
            for service in reversed(self.services):
                service.stop()
        return self.report.finish()

    async def _measure(self) -> None:
        gateway, web, _energy = self.services
        target = Target(
            "gateway", f"ws://127.0.0.1:{gateway.port}{self.setup['path']}",
            [(identity, password) for identity, password in self.setup["stations"]], self.setup["token"],
        )  # fmt: skip
        sites = self.setup["meters"]
        stations = [Charging(number, target) for number in range(2 * len(sites))]
        for station in stations:
            await station.connect()
            station.start()
        of_site = [stations[number :: len(sites)] for number in range(len(sites))]
        self.rest = await Rest("127.0.0.1", web.port, self.setup["key"]).open()
        telling = asyncio.create_task(self._tell_for_ever())
        took: list[float] = []
        for number in range(self.options.rounds):
            calm_s = await self._calm(stations, CALM_S if number else CALM_S + len(sites))
            moments = [asyncio.get_running_loop().create_future() for _site in sites]
            for mine, moment in zip(of_site, moments, strict=True):
                for station in mine:
                    station.lowered = moment
            async with self.one:
                self.load = HIGH_A
                begun = time.perf_counter()
                await self._tell(sites)
            told_s = time.perf_counter() - begun
            done, late = await asyncio.wait(moments, timeout=20)
            took += [moment.result() - begun for moment in done] + [20.0] * len(late)
            self.report.say(
                f"round {number + 1}: all raised after {calm_s:.0f} s, all told after {1000 * told_s:.0f} ms,"
                f" worst {1000 * max(took[-len(sites) :]):.0f} ms, {len(late)} not lowered"
            )
            self.load = LOW_A
            await asyncio.sleep(random.uniform(0.0, 1.0))
        telling.cancel()
        p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
        goal = GOALS_MS.get(len(sites))
        self.report.say(
            f"{len(sites)} sites, {len(took)} spikes: p50 {p50:.0f} ms, p99 {p99:.0f} ms; errors {self.errors}"
        )
        self.report.goal(
            f"p99 from the reading to the CALL, {len(sites)} sites", f"{p99:.0f} ms",
            f"below {goal:.0f} ms" if goal else "-", p99 < goal if goal else None,
        )  # fmt: skip

    async def _calm(self, stations: list[Charging], most_s: float) -> float:
        """Until all cars have had more than the least for some seconds: after so many."""
        begun = time.perf_counter()
        while (now := time.perf_counter()) - begun < most_s:
            if all(station.limit > 20 and now - station.changed > 3 for station in stations):
                return now - begun
            await asyncio.sleep(0.1)
        raise SystemExit(f"The cars were not raised: {[station.limit for station in stations][:20]}")

    async def _tell_for_ever(self) -> None:
        while True:
            begun = time.perf_counter()
            async with self.one:
                if self.load == LOW_A:
                    await self._tell(self.setup["meters"])
            await asyncio.sleep(max(0.0, 1.0 - (time.perf_counter() - begun)))

    async def _tell(self, sites: list[tuple[int, int]]) -> None:
        """A reading of each: the only one by itself, many together, as from a system that reads them all."""
        told = [
            {"meter_id": meter, "amps": [self.load + next(self.noise) % 97 / 1000, self.load, self.load]}
            for _site, meter in sites
        ]
        path, body = "/api/v1/meter-readings", told
        if len(sites) == 1:
            path = "/api/v1/sites/{}/meters/{}/readings".format(*sites[0])
            body = [{"amps": told[0]["amps"]}]
        try:
            status, _told = await self.rest.post(path, body)
            self.errors += status >= 300
        except (OSError, ValueError, asyncio.IncompleteReadError):
            self.errors += 1
            self.rest.close()
            await self.rest.open()


def main(arguments: list[str]) -> int:
    words = argparse.ArgumentParser(prog="python -m bench.energy.latency", description=__doc__,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    words.add_argument("--target", required=True)
    words.add_argument("--quick", action="store_true", help="less of everything: a look, not a measurement")
    words.add_argument("--rounds", type=int, default=20)
    options = words.parse_args(arguments)
    if options.quick:
        options.rounds = 3
    setup = json.loads(Path(options.target).read_text())
    return 0 if uvloop.run(Bench(setup, options).run()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
