"""Lanes of the gateway's group commit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from stations.ocpp import writer


async def test_a_lane_without_work_gives_its_connection_back_and_takes_one_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "IDLE_SECONDS", 0.05)
    held: list[BaseDatabaseWrapper] = []

    def commit(key: Any, payloads: list[Any]) -> list[Any]:
        connection.ensure_connection()
        held.append(connections["default"])
        return payloads

    lane = writer.Lane("lane", commit)

    async def ask(payload: str) -> Any:
        future = lane.loop.create_future()
        lane.put(writer.Item(None, payload, future))
        return await future

    assert await ask("first") == "first"
    for _try in range(200):
        if held[0].connection is None:
            break
        await asyncio.sleep(0.05)
    assert held[0].connection is None
    assert await ask("second") == "second"
    await lane.close()
    assert held[1].connection is None
