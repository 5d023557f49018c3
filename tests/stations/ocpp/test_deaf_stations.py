"""A station that talks and never reads costs the others nothing, and is ended within a bound.

It answers no ping, which ends it as long as the kernel takes what we write. Once more waits than the kernel takes,
pings and goodbyes wait behind it; then the kernel ends it (TCP_USER_TIMEOUT, two pings), and a goodbye is given up in
seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bench.sockets import frame
from stations.models import CommandState, Station
from tenants.models import Tenant
from tests.servers import Role, Roles
from tests.stations.ocpp.charger import charger, upgrade
from tests.stations.ocpp.conftest import Plug, eventually, in_thread, rows
from tests.stations.ocpp.test_commands import request, settled

LARGE = "x" * 5_000_000  # more than the kernel takes off our hands for one who takes nothing (4 MB)


class Deaf:
    """The socket of a station that reads the answer to its upgrade and nothing after it."""

    def __init__(self, gateway: Role) -> None:
        self.gateway = gateway
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.setblocking(False)
        self.loop = asyncio.get_running_loop()

    async def connect(self, tenant: Tenant, station: Station) -> None:
        await self.loop.sock_connect(self.socket, ("127.0.0.1", self.gateway.port))
        await self.loop.sock_sendall(self.socket, upgrade(tenant, station))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await asyncio.wait_for(self.loop.sock_recv(self.socket, 1), 15)
        assert b" 101 " in answer.splitlines()[0]

    async def say(self, text: str) -> None:
        await self.loop.sock_sendall(self.socket, frame(text.encode()))

    async def flood(self) -> None:
        """Calls and calls, until the other side ends it."""
        with suppress(ConnectionError):
            for number in itertools.count():
                await self.say(f'[2,"{number}","Heartbeat",{{}}]')
                await asyncio.sleep(
                    0
                )  # the kernel takes megabytes at once, and the good station must answer pings

    async def is_stuck(self) -> bool:
        """Whether more waits for this socket at the gateway than its kernel sends off."""
        return self._waiting() > len(LARGE) // 4

    async def is_gone(self) -> bool:
        """Whether the gateway's kernel holds nothing of this socket any more."""
        return self._waiting() < 0

    def _waiting(self) -> int:
        """Bytes that the gateway's kernel has for this socket; -1 when it knows of none."""
        ours, theirs = self.socket.getsockname()[1], self.gateway.port
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            local, remote, _state, queues = line.split()[1:5]
            if local.endswith(f":{theirs:04X}") and remote.endswith(f":{ours:04X}"):
                return int(queues.split(":")[0], 16)
        return -1


@asynccontextmanager
async def deaf(gateway: Role, tenant: Tenant, station: Station) -> AsyncIterator[Deaf]:
    one = Deaf(gateway)
    try:
        await one.connect(tenant, station)
        yield one
    finally:
        one.socket.close()


def is_offline(tenant: Tenant, station: Station) -> Any:
    async def read() -> bool:
        return not (await rows(tenant, lambda: Station.objects.get(tenant=tenant, pk=station.pk))).online

    return read


async def test_floods_of_stations_that_never_read_are_ended_and_nobody_else_waits(
    gateway: Role, plug: Plug, tenant: Tenant, make_station: Any, owner_actor: Any
) -> None:
    good, *bad = await in_thread(lambda: [make_station() for _one in range(6)])
    async with plug(good) as wire:
        sockets = [Deaf(gateway) for _one in bad]
        for one, station in zip(sockets, bad, strict=True):
            await one.connect(tenant, station)
        floods = [asyncio.create_task(one.flood()) for one in sockets]
        for one in sockets:
            while not await one.is_gone():
                await wire.ok("Heartbeat", {})
                await asyncio.sleep(0.05)
        command = await request(tenant, good, owner_actor, "clear_cache")
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        assert (await settled(tenant, command)).state == CommandState.ACCEPTED
        for flood, station in zip(floods, bad, strict=True):
            flood.cancel()  # its own kernel may not have heard yet that nobody is there
            await eventually(is_offline(tenant, station))
        await asyncio.gather(*floods, return_exceptions=True)
        for one in sockets:
            one.socket.close()


async def test_commands_to_one_that_never_reads_hold_up_no_others(
    gateway: Role, plug: Plug, tenant: Tenant, make_station: Any, owner_actor: Any
) -> None:
    bad, good = await in_thread(lambda: (make_station(), make_station()))
    async with deaf(gateway, tenant, bad) as one, plug(good) as wire:
        lost = [
            await request(tenant, bad, owner_actor, "data_transfer", vendor_id="a", data=LARGE)
            for _one in range(3)
        ]
        command = await request(tenant, good, owner_actor, "clear_cache")
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        assert (await settled(tenant, command)).state == CommandState.ACCEPTED
        assert (await settled(tenant, lost[0])).state == CommandState.TIMED_OUT
        await eventually(one.is_gone, seconds=30)
    await eventually(is_offline(tenant, bad))


async def test_one_that_never_reads_comes_back_by_another_socket(
    gateway: Role, plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with deaf(gateway, tenant, station) as one:
        stuck = await request(tenant, station, owner_actor, "data_transfer", vendor_id="a", data=LARGE)
        await eventually(one.is_stuck)
        async with plug(station) as wire:
            await wire.ok("Heartbeat", {})
            command = await request(tenant, station, owner_actor, "clear_cache")
            await wire.answer(await wire.next_call(), {"status": "Accepted"})
            assert (await settled(tenant, command)).state == CommandState.ACCEPTED
            assert (await settled(tenant, stuck)).state == CommandState.TIMED_OUT
            await eventually(one.is_gone, seconds=30)


@pytest.fixture(scope="module")
def patient_gateway(session_roles: Roles) -> Role:
    """Whose kernel gives a peer two minutes."""
    return session_roles.start("gateway", env={"OCPP_PING_SECONDS": "60"})


async def test_a_goodbye_that_nobody_reads_is_given_up(
    patient_gateway: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with deaf(patient_gateway, tenant, station) as one:
        await request(tenant, station, owner_actor, "data_transfer", vendor_id="a", data=LARGE)
        await eventually(one.is_stuck)
        for number in range(60):  # answers that nobody asked for, which end the socket with 1008
            await one.say(json.dumps([3, f"ghost-{number}", {}]))
        await eventually(is_offline(tenant, station), seconds=30)
        assert not await one.is_gone()  # the kernel had no part in it
        async with charger(
            patient_gateway.ws_url,
            tenant.slug,
            station.identity,
            station.password,  # type: ignore[attr-defined]
        ) as wire:
            await wire.ok("Heartbeat", {})
