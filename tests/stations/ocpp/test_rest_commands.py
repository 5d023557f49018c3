"""A command from another process: REST to the socket and back, with the answer waited for."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import httpx
import pytest

from stations.models import Command, Station
from tenants.models import Tenant
from tenants.permissions import Permission
from tenants.services import keys
from tests.servers import Role, Roles
from tests.stations.ocpp.conftest import Plug, eventually, rows


@pytest.fixture(scope="module")
def web(session_roles: Roles) -> Role:
    return session_roles.start("web")


@pytest.fixture
async def key(tenant: Tenant, owner_actor: Any) -> str:
    scopes = [Permission.STATION_VIEW.value, Permission.STATION_COMMAND.value]
    _key, text = await rows(
        tenant, lambda: keys.create_key(tenant_id=tenant.pk, actor=owner_actor, name="Desk", scopes=scopes)
    )
    return str(text)


async def test_the_caller_gets_the_stations_answer(
    web: Role, plug: Plug, tenant: Tenant, station: Station, key: str
) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    order = {"kind": "unlock", "arguments": {"evse": 1}, "wait_seconds": 10}
    async with plug(station) as wire, httpx.AsyncClient(base_url=web.url, headers=headers) as rest:
        asking = asyncio.create_task(
            rest.post(f"/api/v1/stations/{station.pk}/commands", json=order, timeout=30)
        )
        call = await wire.next_call()
        assert call[2:] == ["UnlockConnector", {"connectorId": 1}]
        await wire.answer(call, {"status": "Unlocked"})
        answer = await asking
    assert answer.status_code in (200, 201)
    told = answer.json()
    assert (told["state"], told["answer"], told["response"]) == (
        "accepted",
        "Unlocked",
        {"status": "Unlocked"},
    )


async def test_without_waiting_the_command_can_be_followed(
    web: Role, plug: Plug, tenant: Tenant, station: Station, key: str
) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    async with plug(station) as wire, httpx.AsyncClient(base_url=web.url, headers=headers) as rest:
        first = await rest.post(
            f"/api/v1/stations/{station.pk}/commands", json={"kind": "clear_cache"}, timeout=30
        )
        assert first.status_code == 202
        assert first.json()["state"] in ("queued", "sent")
        await wire.answer(await wire.next_call(), {"status": "Rejected"})
        for _try in range(100):
            now = (await rest.get(f"/api/v1/commands/{first.json()['id']}")).json()
            if now["state"] not in ("queued", "sent"):
                break
            await asyncio.sleep(0.1)
    assert (now["state"], now["answer"]) == ("rejected", "Rejected")


async def test_web_ends_when_told_though_a_caller_waits(
    roles: Roles, tenant: Tenant, station: Station, key: str
) -> None:
    own = roles.start("web")
    headers = {"Authorization": f"Bearer {key}"}
    order = {"kind": "unlock", "arguments": {"evse": 1}, "wait_seconds": 50}
    async with httpx.AsyncClient(base_url=own.url, headers=headers) as rest:
        asking = asyncio.create_task(
            rest.post(f"/api/v1/stations/{station.pk}/commands", json=order, timeout=60)
        )
        await eventually(lambda: rows(tenant, Command.objects.filter(tenant=tenant, station=station).exists))
        own.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(own.process.wait, 15) == 0
        with pytest.raises(httpx.HTTPError):
            await asking
