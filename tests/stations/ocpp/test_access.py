"""Who gets in, who does not, and what the refused one learns: nothing."""

from __future__ import annotations

import asyncio
import http.client
import secrets
from typing import Any

import pytest
import websockets
from django.utils import timezone

from stations.models import Connection, QuarantinedStation, Station
from stations.services.connections import OpenRequest, open_many
from stations.services.stations import adopt_quarantined, archive_station, password_hash, renew_password
from tenants.context import as_platform
from tenants.models import Site, Tenant
from tests.objects import create_site, create_station
from tests.servers import Role
from tests.stations.ocpp.charger import BOOT, VERSIONS, basic, charger
from tests.stations.ocpp.conftest import Plug, eventually, in_thread, rows


async def refusal(gateway: Role, path: str, authorization: str | None) -> tuple[int, dict[str, str], bytes]:
    """The HTTP answer to an upgrade."""

    def ask() -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": "ocpp1.6",
        }
        if authorization is not None:
            headers["Authorization"] = authorization
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        kept = {name.lower(): value for name, value in answer.getheaders() if name.lower() != "date"}
        return answer.status, kept, answer.read()

    return await asyncio.to_thread(ask)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_known_station_boots_and_is_online(
    plug: Plug, tenant: Tenant, station: Station, version: str
) -> None:
    async with plug(station, version) as wire:
        answer = await wire.ok("BootNotification", BOOT[version])
        assert answer["status"] == "Accepted"
        assert answer["interval"] > 0

        now = await rows(tenant, lambda: Station.objects.get(tenant=tenant, pk=station.pk))
        assert (now.online, now.vendor, now.firmware_version) == (True, "Acme", "1.2.3")
        assert now.ocpp_version == version

    async def offline() -> bool:
        return not (await rows(tenant, lambda: Station.objects.get(tenant=tenant, pk=station.pk))).online

    assert await eventually(offline)


async def test_refusals_are_alike_and_tell_nothing(
    gateway: Role, tenant: Tenant, other_tenant: Tenant, station: Station
) -> None:
    foreign = await in_thread(lambda: create_station(other_tenant, create_site(other_tenant)))
    right = station.password  # type: ignore[attr-defined]
    path = f"/ocpp/{tenant.slug}/{station.identity}"
    answers = [
        await refusal(gateway, path, basic(station.identity, "wrong-password-123")),
        await refusal(gateway, path, None),
        await refusal(gateway, path, "Basic ###"),
        await refusal(gateway, path, "Bearer abc"),
        await refusal(gateway, path, basic("SOMEONE", right)),
        await refusal(gateway, f"/ocpp/{tenant.slug}/NOT-THERE", basic("NOT-THERE", right)),
        await refusal(gateway, f"/ocpp/{tenant.slug}/{foreign.identity}", basic(foreign.identity, right)),
        await refusal(gateway, "/ocpp/no-such-tenant/CP1", basic("CP1", right)),
    ]
    assert {status for status, _headers, _body in answers} == {401}
    assert answers == [answers[0]] * len(answers)


async def test_a_refused_unknown_station_can_be_adopted(
    gateway: Role, tenant: Tenant, site: Site, owner_actor: Any
) -> None:
    identity = f"NEW/{secrets.token_hex(3)}"
    with pytest.raises(websockets.InvalidStatus):
        async with charger(gateway.ws_url, tenant.slug, identity, "x" * 20):
            pass

    async def listed() -> QuarantinedStation | None:
        return await rows(
            tenant, lambda: QuarantinedStation.objects.filter(tenant=tenant, identity=identity).first()
        )

    waiting = await eventually(listed)
    assert (waiting.attempts, waiting.subprotocols) == (1, "ocpp1.6")

    _station, password = await rows(
        tenant, lambda: adopt_quarantined(quarantined=waiting, site=site, actor=owner_actor)
    )
    async with charger(gateway.ws_url, tenant.slug, identity, password) as wire:
        assert (await wire.ok("Heartbeat", {}))["currentTime"]


async def test_profile_0_is_off_unless_a_station_has_it(
    gateway: Role, tenant: Tenant, make_station: Any
) -> None:
    closed, open_door = await in_thread(
        lambda: (make_station(password_hash=""), make_station(password_hash="", allow_unauthenticated=True))
    )
    with pytest.raises(websockets.InvalidStatus):
        async with charger(gateway.ws_url, tenant.slug, closed.identity, None):
            pass
    async with charger(gateway.ws_url, tenant.slug, open_door.identity, None) as wire:
        await wire.ok("Heartbeat", {})


@pytest.mark.parametrize("spelling", ["bytes", "hexadecimal text"])
async def test_an_authorization_key_in_hex_opens_the_door_in_either_spelling(
    plug: Plug, tenant: Tenant, make_station: Any, spelling: str
) -> None:
    key = secrets.token_bytes(20)
    station = await in_thread(lambda: make_station(password_hash=password_hash(key.hex())))
    async with plug(station, password=key if spelling == "bytes" else key.hex()) as wire:
        await wire.ok("Heartbeat", {})


@pytest.mark.parametrize(
    "identity",
    ["CP 1", "Säule-7", "a/b", "AB%41", "x" * 100, "+49*123*456"],
    ids=["space", "umlaut", "slash", "percent", "long", "emi3"],
)
async def test_percent_encoded_identities_work(
    plug: Plug, tenant: Tenant, make_station: Any, identity: str
) -> None:
    station = await in_thread(lambda: make_station(identity=identity))
    async with plug(station) as wire:
        await wire.ok("Heartbeat", {})


async def test_a_doubled_slash_and_an_origin_header_are_borne(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    for path in (f"/ocpp/{tenant.slug}//{station.identity}", f"//ocpp/{tenant.slug}/{station.identity}"):
        async with plug(station, path=path, headers={"Origin": "http://charger.example"}) as wire:
            await wire.ok("Heartbeat", {})


async def test_the_newest_common_version_wins(gateway: Role, tenant: Tenant, station: Station) -> None:
    from websockets.asyncio.client import connect

    headers = {"Authorization": basic(station.identity, station.password)}  # type: ignore[attr-defined]
    url = f"{gateway.ws_url}/ocpp/{tenant.slug}/{station.identity}"
    offered = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1", "soap"]
    async with connect(url, subprotocols=offered, additional_headers=headers) as socket:  # type: ignore[arg-type]
        assert socket.subprotocol == "ocpp2.1"


@pytest.mark.parametrize("offered", [None, "ocpp1.5"])
async def test_no_common_version_is_accepted_without_subprotocol_and_closed(
    plug: Plug, tenant: Tenant, station: Station, offered: str | None
) -> None:
    async with plug(station, offered) as wire:
        assert wire.socket.subprotocol is None
        assert await wire.closed() == (1002, "No common OCPP version.")
    assert not await rows(tenant, lambda: Connection.objects.filter(tenant=tenant, station=station).exists())


async def test_a_second_connection_replaces_the_first_and_its_late_close_changes_nothing(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    async with plug(station) as first:
        await first.ok("Heartbeat", {})
        async with plug(station) as second:
            assert (await first.closed())[0] == 1000
            await second.ok("Heartbeat", {})

            async def first_is_over() -> bool:
                return await rows(
                    tenant,
                    lambda: Connection.objects.filter(
                        tenant=tenant, station=station, closed_at__isnull=False
                    ).exists(),
                )

            await eventually(first_is_over)
            now = await rows(tenant, lambda: Station.objects.get(tenant=tenant, pk=station.pk))
            assert (now.online, now.epoch) == (True, 2)


async def test_bad_credentials_do_nothing_to_the_first_connection(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    async with plug(station) as first:
        for _try in range(3):
            with pytest.raises(websockets.InvalidStatus):
                async with plug(station, password="not-the-password"):
                    pass
        await first.ok("Heartbeat", {})
        now = await rows(tenant, lambda: Station.objects.get(tenant=tenant, pk=station.pk))
        assert (now.online, now.epoch) == (True, 1)


async def is_refused(plug: Plug, station: Station, **options: Any) -> bool:
    try:
        async with plug(station, **options):
            return False
    except websockets.InvalidStatus as refused:
        return refused.response.status_code == 401


async def is_online(tenant: Tenant, station: Station) -> bool:
    return (await rows(tenant, lambda: Station.objects.get(tenant=tenant, pk=station.pk))).online


async def test_an_archived_station_is_disconnected_and_stays_out(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        await wire.ok("Heartbeat", {})
        await rows(tenant, lambda: archive_station(station=station, actor=owner_actor))
        assert not await is_online(tenant, station)
        assert (await wire.closed())[0] == 1000
    assert await is_refused(plug, station)

    async def the_end_is_kept() -> bool:
        ended = Connection.objects.filter(tenant=tenant, station=station, closed_at__isnull=False)
        return await rows(tenant, ended.exists)

    await eventually(the_end_is_kept)
    assert not await is_online(tenant, station)


async def test_a_station_that_is_archived_while_it_connects_stays_out(
    tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    def arrive() -> list[Any]:
        archive_station(station=station, actor=owner_actor)
        request = OpenRequest(station.pk, "nowhere", "1.6", "127.0.0.1", timezone.now())
        return open_many(tenant_id=tenant.pk, requests=[request])

    assert await rows(tenant, arrive) == [None]
    assert not await is_online(tenant, station)


async def test_the_sockets_of_a_suspended_tenant_end(plug: Plug, tenant: Tenant, station: Station) -> None:
    def suspend() -> None:
        with as_platform():
            Tenant.objects.filter(pk=tenant.pk).update(suspended=True)

    async with plug(station) as wire:
        await wire.ok("Heartbeat", {})
        await in_thread(suspend)
        assert (await wire.closed())[0] == 1008
    assert await is_refused(plug, station)


async def test_a_renewed_password_ends_the_socket_that_the_old_one_opened(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        await wire.ok("Heartbeat", {})
        password = await rows(tenant, lambda: renew_password(station=station, actor=owner_actor))
        assert (await wire.closed())[0] == 1000
    assert await is_refused(plug, station)
    async with plug(station, password=password) as wire:
        await wire.ok("Heartbeat", {})
        assert await is_online(tenant, station)


async def test_a_password_may_be_renewed_under_a_running_socket(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        await wire.ok("Heartbeat", {})
        await rows(tenant, lambda: renew_password(station=station, actor=owner_actor, end_socket=False))
        await wire.ok("Heartbeat", {})
        assert await is_online(tenant, station)


async def test_guessing_is_slowed_down_and_the_real_station_is_not() -> None:
    from stations.ocpp.access import MOST_WAITING, Throttle

    throttle = Throttle()
    delays = [throttle.failed("192.0.2.1") for _try in range(12)]
    assert delays[:5] == [0.0] * 5
    assert delays[5:] == sorted(delays[5:])  # type: ignore[type-var]
    assert 0 < (delays[-1] or 0) <= 10
    assert throttle.failed("192.0.2.2") == 0.0  # others are not punished
    for _attempt in range(MOST_WAITING):
        throttle.enter("192.0.2.1")
    assert throttle.failed("192.0.2.1") is None  # 429 at once: no memory is spent on him


async def test_a_silent_half_open_socket_is_found(plug: Plug, tenant: Tenant, station: Station) -> None:
    """The peer's machine is gone without a word: its kernel answers no more. Simulated by reading nothing."""
    async with plug(station) as wire:
        await wire.ok("Heartbeat", {})
        wire.socket.transport.pause_reading()  # pings are not seen, so no pong is sent

        async def offline() -> bool:
            return not (await rows(tenant, lambda: Station.objects.get(tenant=tenant, pk=station.pk))).online

        assert await eventually(offline, 20)
        wire.socket.transport.abort()
