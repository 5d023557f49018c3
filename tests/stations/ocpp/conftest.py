from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from django.db import connections

from stations.models import JournalCursor, JournalHead, Station
from tenants.context import tenant_scope
from tenants.models import Tenant
from tests.servers import Role, Roles
from tests.stations.ocpp.charger import Charger, charger


@pytest.fixture(scope="session")
def gateway(session_roles: Roles) -> Role:
    """One gateway process that the tests of a worker share."""
    env = {
        "OCPP_CALL_TIMEOUT_SECONDS": "2",
        "OCPP_PING_SECONDS": "2",
        "LOG_MAX_MB": "2",
        "PUBLIC_URL": "https://cpo.example",
    }
    return session_roles.start("gateway", env=env)


Plug = Callable[..., AbstractAsyncContextManager[Charger]]


@pytest.fixture
def plug(gateway: Role, tenant: Tenant) -> Plug:
    """plug(station, version) -> a charger connected as this station."""

    def make(
        station: Station, version: str | None = "1.6", **options: Any
    ) -> AbstractAsyncContextManager[Charger]:
        password = options.pop("password", station.password)  # type: ignore[attr-defined]
        return charger(gateway.ws_url, tenant.slug, station.identity, password, version, **options)

    return make


async def in_thread(function: Callable[[], Any]) -> Any:
    """What `function` gives, on a thread that leaves no database connection behind."""

    def run() -> Any:
        try:
            return function()
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


async def rows(tenant: Tenant, read: Callable[[], Any]) -> Any:
    """What `read` gives inside the tenant."""

    def inside() -> Any:
        with tenant_scope(tenant.pk):
            return read()

    return await in_thread(inside)


async def eventually(check: Callable[[], Any], seconds: float = 10) -> Any:
    """What `check` gives once it is true."""
    for _try in range(int(seconds / 0.05)):
        value = await check()
        if value:
            return value
        await asyncio.sleep(0.05)
    raise AssertionError("it never came true")


async def reads(tenant: Tenant, read: Callable[[], Any], wanted: Any, seconds: float = 10) -> None:
    """Returns once `read()` inside the tenant gives `wanted`."""
    for _try in range(int(seconds / 0.1)):
        if await rows(tenant, read) == wanted:
            return
        await asyncio.sleep(0.1)
    assert await rows(tenant, read) == wanted


async def applied(tenant: Tenant, seconds: float = 30) -> None:
    """Returns once the applier beside the gateway has applied all that this tenant's stations told."""

    def behind() -> bool:
        done = dict(JournalCursor.objects.filter(tenant=tenant).values_list("gateway", "applied_id"))
        heads = JournalHead.objects.filter(tenant=tenant).values_list("gateway", "last_id")
        return any(done.get(gateway, 0) < last for gateway, last in heads)

    for _try in range(int(seconds / 0.1)):
        if not await rows(tenant, behind):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the journal was not applied")
