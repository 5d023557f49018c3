"""Killed at any point, nothing acknowledged is lost and no session is doubled.

A seeded slice of the rounds runs with the suite; `--long` runs many more.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connections
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from stations.models import Frame, Session, Station
from tenants.models import Tenant
from tests.objects import create_site, create_station, create_token
from tests.people import make_tenant
from tests.servers import Cluster, Role, Roles
from tests.stations.ocpp.charger import charger
from tests.stations.ocpp.conftest import in_thread, rows

STATIONS = 6
BEGAN = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
DEAD = (ConnectionError, ConnectionClosed, InvalidHandshake, TimeoutError, asyncio.TimeoutError, OSError)


class StubbornCharger:
    """Goes through sessions one after the other; what is not answered is sent again, as the specification asks."""

    def __init__(self, url: str, tenant: Tenant, station: Station, uid: str) -> None:
        self.url, self.tenant, self.station, self.uid = url, tenant, station, uid
        self.starts: dict[int, int] = {}  # our session number -> transactionId that was acknowledged
        self.stops: set[int] = set()
        self.acknowledged_frames: set[str] = set()
        self.number = 0
        self.enough = asyncio.Event()

    def _start(self) -> dict[str, Any]:
        at = BEGAN + timedelta(minutes=self.number)
        return {
            "connectorId": 1,
            "idTag": self.uid,
            "meterStart": self.number * 1000,
            "timestamp": at.isoformat(),
        }

    def _stop(self) -> dict[str, Any]:
        at = BEGAN + timedelta(minutes=self.number, seconds=50)
        meter = self.number * 1000 + 500
        transaction_id = self.starts[self.number]
        return {"transactionId": transaction_id, "meterStop": meter, "timestamp": at.isoformat()}

    async def run(self) -> None:
        while not self.enough.is_set():
            try:
                password = self.station.password  # type: ignore[attr-defined]
                async with charger(self.url, self.tenant.slug, self.station.identity, password) as wire:
                    await self._talk(wire)
            except DEAD:
                await asyncio.sleep(0.05)

    async def _talk(self, wire: Any) -> None:
        while not self.enough.is_set():
            if self.number not in self.starts:
                answer = await wire.call("StartTransaction", self._start())
                if answer[0] != 3:
                    continue
                self.starts[self.number] = answer[2]["transactionId"]
            message_id = f"beat-{self.station.pk}-{self.number}"
            if (await wire.call("DataTransfer", {"vendorId": message_id}))[0] == 3:
                self.acknowledged_frames.add(message_id)
            if (await wire.call("StopTransaction", self._stop()))[0] != 3:
                continue
            self.stops.add(self.number)
            self.number += 1


def check(tenant: Tenant, one: StubbornCharger) -> None:
    """Inside the tenant: every acknowledged thing is there, once."""
    sessions = list(Session.objects.filter(tenant=tenant, station=one.station))
    numbers = [
        int(session.meter_start_wh) // 1000 for session in sessions if session.meter_start_wh is not None
    ]
    assert len(numbers) == len(set(numbers)), "a session was doubled"
    by_number = dict(zip(numbers, sessions, strict=True))
    for number, transaction_id in one.starts.items():
        assert by_number[number].transaction_number == transaction_id, "an acknowledged start is lost"
    for number in one.stops:
        assert by_number[number].meter_stop_wh == number * 1000 + 500, "an acknowledged stop is lost"
    kept = {
        json.loads(payload)["vendorId"]
        for payload in Frame.objects.filter(
            tenant=tenant, station=one.station, action="DataTransfer"
        ).values_list("payload", flat=True)
    }
    assert one.acknowledged_frames <= kept, "an acknowledged frame is lost"


async def _rounds(rounds: int, tenant: Tenant, chargers: list[StubbornCharger], kill: Any, seed: int) -> None:
    chance = random.Random(seed)
    running = [asyncio.create_task(one.run()) for one in chargers]
    for _round in range(rounds):
        await asyncio.sleep(chance.uniform(0.3, 1.2))
        await in_thread(kill)
    await asyncio.sleep(1.0)
    for one in chargers:
        one.enough.set()
    await asyncio.wait(running, timeout=30)
    assert all(task.done() for task in running)
    for one in chargers:
        await rows(tenant, partial(check, tenant, one))
    assert sum(len(one.stops) for one in chargers) > rounds * len(chargers), "hardly anything was tried"


async def _prepare(tenant: Tenant, make_station: Any, make_token: Any, url: str) -> list[StubbornCharger]:
    found = []
    for _number in range(STATIONS):
        station = await in_thread(make_station)
        token = await in_thread(lambda: make_token(concurrent=True))
        found.append(StubbornCharger(url, tenant, station, token.uid))
    return found


@pytest.mark.parametrize(
    "rounds", [pytest.param(3, id="slice"), pytest.param(60, id="many", marks=pytest.mark.long)]
)
async def test_a_killed_gateway_loses_nothing_acknowledged(
    roles: Roles, tenant: Tenant, make_station: Any, make_token: Any, rounds: int
) -> None:
    running: list[Role] = [await in_thread(lambda: roles.start("gateway"))]
    port = running[0].port
    chargers = await _prepare(tenant, make_station, make_token, running[0].ws_url)

    def kill() -> None:
        running[0].kill()
        running[0] = roles.start("gateway", port=port)

    await _rounds(rounds, tenant, chargers, kill, seed=1)


@pytest.mark.parametrize(
    "rounds", [pytest.param(2, id="slice"), pytest.param(30, id="many", marks=pytest.mark.long)]
)
async def test_a_database_that_stops_immediately_loses_nothing_acknowledged(
    roles: Roles, here: Cluster, rounds: int
) -> None:
    tenant = await in_thread(make_tenant)
    running = await in_thread(lambda: roles.start("gateway", env=here.env))
    site = await in_thread(lambda: create_site(tenant))
    chargers = await _prepare(
        tenant,
        lambda: create_station(tenant, site),
        lambda **values: create_token(tenant, **values),
        running.ws_url,
    )

    def kill() -> None:
        here.stop_immediately()
        here.start()

    await _rounds(rounds, tenant, chargers, kill, seed=2)


@pytest.fixture
def here(cluster: Cluster) -> Iterator[Cluster]:
    """The server of the test's own, which this process's own connections go to as well."""
    there = urlsplit(cluster.url)
    before = {alias: dict(values) for alias, values in connections.settings.items()}

    def move(values: dict[str, dict[str, Any]]) -> None:
        for connection in connections.all(initialized_only=True):
            connection.close()
        for alias in connections.settings:
            connections[alias].close()
            if connections[alias].settings_dict["OPTIONS"].get("pool"):
                connections[alias].close_pool()  # type: ignore[attr-defined]
            connections.settings[alias].update(values[alias])
            connections[alias].settings_dict.update(values[alias])

    moved = {"HOST": there.hostname, "PORT": str(there.port), "NAME": there.path.strip("/")}
    owner = {"USER": there.username, "PASSWORD": there.password}
    move({alias: moved | (owner if alias == "owner" else {}) for alias in before})
    yield cluster
    move(before)
