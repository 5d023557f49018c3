"""A scripted other side and stations connected to it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from simulator import SimulatedStation
from tests.simulator.csms import ScriptedCsms

VERSIONS = ("1.6", "2.0.1", "2.1")


@pytest.fixture
async def csms() -> AsyncIterator[ScriptedCsms]:
    async with ScriptedCsms() as server:
        yield server
        assert server.violations == []


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Stations:
    """Makes stations whose time stands still, and closes them after the test."""

    def __init__(self, url: str, stack: contextlib.AsyncExitStack) -> None:
        self.url, self.stack = url, stack

    async def __call__(
        self, version: str = "1.6", identity: str = "CP 1", **options: Any
    ) -> SimulatedStation:
        defaults: dict[str, Any] = {"speed": 0, "seed": 7, "password": "secret", "answer_timeout": 5.0}
        station = SimulatedStation(url=self.url, identity=identity, version=version, **(defaults | options))
        return await self.stack.enter_async_context(station)


@pytest.fixture
async def connected(csms: ScriptedCsms) -> AsyncIterator[Stations]:
    async with contextlib.AsyncExitStack() as stack:
        yield Stations(csms.url, stack)
