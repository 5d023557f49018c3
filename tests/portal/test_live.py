"""The socket of an open page tells members what changed, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser

from portal.live import LiveConsumer
from stations import live
from stations.live import group
from tenants.models import Site, Tenant

Make = Callable[..., Any]


def _socket(user: object, slug: str) -> WebsocketCommunicator:
    communicator = WebsocketCommunicator(LiveConsumer.as_asgi(), f"/live/{slug}/")
    communicator.scope |= {"user": user, "url_route": {"kwargs": {"tenant_slug": slug}}}
    return communicator


async def _tell(tenant: Tenant, site_id: int, station_id: int = 3) -> None:
    await get_channel_layer().group_send(
        group(tenant.pk),
        {
            "type": "live.event",
            "kind": "connector",
            "station_id": station_id,
            "site_id": site_id,
            "data": {"id": 9},
        },
    )


async def _hear(page: WebsocketCommunicator, tell: Callable[[], Awaitable[None]]) -> Any:
    """What the page is told first. Told again until then: nothing says when a watch is in force."""
    for _try in range(100):
        await tell()
        if not await page.receive_nothing(0.1):
            break
    return await page.receive_json_from(1)


async def test_a_member_hears_of_what_the_page_watches(tenant: Tenant, make_member: Make) -> None:
    user, _password = await sync_to_async(make_member)("owner")
    page = _socket(user, tenant.slug)
    await page.connect()
    await page.send_json_to({"watch": ["station:3"]})

    async def tell() -> None:
        await _tell(tenant, site_id=1, station_id=4)
        await _tell(tenant, site_id=1, station_id=3)

    assert (await _hear(page, tell))["station_id"] == 3
    await page.disconnect()


async def test_a_facility_manager_hears_of_their_sites_alone(
    tenant: Tenant, make_member: Make, make_site: Make
) -> None:
    own: Site = await sync_to_async(make_site)(name="Own")
    user, _password = await sync_to_async(make_member)("facility_manager", [own])
    page = _socket(user, tenant.slug)
    await page.connect()
    await page.send_json_to({"watch": ["connector"]})

    async def tell() -> None:
        await _tell(tenant, site_id=own.pk + 1)
        await _tell(tenant, site_id=own.pk)

    assert (await _hear(page, tell))["site_id"] == own.pk
    await page.disconnect()


@pytest.mark.parametrize(("who", "code"), [("stranger", 4404), ("anonymous", 4401), ("driver", 4404)])
def test_others_are_turned_away(
    tenant: Tenant, other_tenant: Tenant, make_member: Make, who: str, code: int
) -> None:
    if who == "anonymous":
        user: object = AnonymousUser()
    elif who == "stranger":
        user, _password = make_member("owner", tenant=other_tenant)
    else:
        user, _password = make_member("driver")

    async def knock() -> int:
        page = _socket(user, tenant.slug)
        await page.connect()
        closed = await page.receive_output(5)
        return int(closed["code"])

    assert async_to_sync(knock)() == code


async def test_a_page_hears_what_it_missed_between_its_drawing_and_its_socket(
    tenant: Tenant, other_tenant: Tenant, make_member: Make, make_site: Make
) -> None:
    own: Site = await sync_to_async(make_site)(name="Own")
    user, _password = await sync_to_async(make_member)("facility_manager", [own])
    for company, site_id, station_id in (
        (tenant, own.pk, 3),
        (tenant, own.pk + 1, 4),
        (other_tenant, own.pk, 3),
    ):
        data = {"id": station_id}
        tell = partial(
            live.publish, company.pk, kind="station", station_id=station_id, site_id=site_id, data=data
        )
        await sync_to_async(tell)()
    for _try in range(100):
        if len(await live.recent(tenant.pk, 30)) == 2 and await live.recent(other_tenant.pk, 30):
            break
        await asyncio.sleep(0.05)
    page = _socket(user, tenant.slug)
    await page.connect()
    await page.send_json_to({"watch": ["station:4"], "age": 10})
    assert await page.receive_nothing(0.1)
    await page.send_json_to({"watch": ["station:3", "station:4"], "age": 10})
    assert (await page.receive_json_from(5))["site_id"] == own.pk
    await page.send_json_to({"watch": ["station:3"], "age": 10})  # not twice
    assert await page.receive_nothing(0.2)
    await page.disconnect()


async def test_nonsense_from_the_browser_is_ignored(tenant: Tenant, make_member: Make) -> None:
    user, _password = await sync_to_async(make_member)("owner")
    page = _socket(user, tenant.slug)
    await page.connect()
    ages = ('{"watch": ["a"], "age": "b"}', '{"watch": ["b"], "age": -1e400}', '{"watch": ["c"], "age": NaN}')
    for text in ("{", "[]", '{"watch": 7}', '{"watch": [{"a": 1}]}', *ages):
        await page.send_to(text_data=text)
    await page.send_json_to({"watch": ["*"]})
    assert (await _hear(page, partial(_tell, tenant, site_id=1)))["kind"] == "connector"
    await page.disconnect()
