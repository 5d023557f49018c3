"""A bad peer harms only itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from stations.models import Command, CommandState, Frame, JournalCursor, JournalHead, Station
from stations.ocpp import applier, schemas
from stations.ocpp.access import address
from tenants.context import tenant_scope
from tenants.models import Tenant
from tests.stations.ocpp.conftest import Plug, eventually, in_thread, rows
from tests.stations.ocpp.test_commands import request, settled


@pytest.mark.parametrize("strict", [False, True])
async def test_a_frame_of_errors_does_not_hold_up_the_others(
    plug: Plug, tenant: Tenant, make_station: Any, strict: bool
) -> None:
    hostile, other = await in_thread(lambda: (make_station(strict=strict), make_station()))
    many = json.dumps({"connectorId": 1, "meterValue": [1] * 100_000}, separators=(",", ":"))
    async with plug(hostile) as bad, plug(other) as good:
        await good.ok("Heartbeat", {})
        for number in range(20):
            await bad.raw(f'[2,"h{number}","MeterValues",{many}]')
        # To collect all errors of these frames takes a minute, and this one waits for fifteen seconds.
        await good.ok("Heartbeat", {})
        assert (await bad.next_other())[2] == "TypeConstraintViolation"


async def test_made_up_actions_cost_no_memory_and_end_the_socket(plug: Plug, station: Station) -> None:
    async with plug(station) as wire:
        for number in range(60):
            await wire.raw(f'[2,"x{number}","NoSuchThing{number}",{{}}]')
        assert (await wire.closed())[0] == 1008
    before = schemas._compiled.cache_info().currsize
    assert schemas.validator("1.6", "NoSuchThing", False) is None
    assert schemas._compiled.cache_info().currsize == before


async def test_a_large_answer_that_nobody_asked_for_is_not_kept_whole(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    async with plug(station) as wire:
        await wire.raw(json.dumps([3, "ghost", {"data": "x" * 200_000}]))
        await wire.ok("Heartbeat", {})

    def kept() -> list[int]:
        return [len(frame.payload) for frame in Frame.objects.filter(tenant=tenant, station=station)]

    async def there() -> bool:
        return len(await rows(tenant, kept)) == 2

    await eventually(there)
    assert max(await rows(tenant, kept)) < 10_000


@pytest.mark.parametrize("arguments", [{"transaction_id": "--5"}, {"transaction_id": "²"}])
async def test_arguments_that_cannot_be_sent_do_not_block_the_next_command(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, arguments: dict[str, Any]
) -> None:
    poison = await request(tenant, station, owner_actor, "stop", **arguments)
    sound = await request(tenant, station, owner_actor, "clear_cache")
    async with plug(station) as wire:
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        assert (await settled(tenant, sound)).state == CommandState.ACCEPTED
    assert (await settled(tenant, poison)).state == CommandState.FAILED


async def test_an_odd_answer_settles_its_command(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        odd = await request(tenant, station, owner_actor, "read_configuration")
        call = await wire.next_call()
        await wire.answer(
            call, {"configurationKey": [{"key": "A", "readonly": False, "value": 300}, {"x": 1}]}
        )
        assert (await settled(tenant, odd)).state in (CommandState.ACCEPTED, CommandState.FAILED)
        after = await request(tenant, station, owner_actor, "clear_cache")
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        assert (await settled(tenant, after)).state == CommandState.ACCEPTED


async def test_commands_that_wait_are_kept_when_the_socket_ends(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        await request(tenant, station, owner_actor, "reset")
        waiting = [await request(tenant, station, owner_actor, "clear_cache") for _one in range(2)]
        await wire.next_call()
        wire.socket.transport.abort()
    await asyncio.sleep(0.5)
    states = await rows(tenant, lambda: [Command.objects.get(pk=command.pk).state for command in waiting])
    assert states == [CommandState.QUEUED] * 2
    async with plug(station) as wire:
        for command in waiting:
            await wire.answer(await wire.next_call(), {"status": "Accepted"})
            assert (await settled(tenant, command)).state == CommandState.ACCEPTED


async def test_a_close_reason_with_nul_still_ends_the_connection(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    async with plug(station) as wire:
        await wire.ok("BootNotification", {"chargePointVendor": "a\x00b", "chargePointModel": "c"})
        await wire.socket.close(4000, "bye\x00bye")

    async def offline() -> bool:
        return not (await rows(tenant, lambda: Station.objects.get(tenant=tenant, pk=station.pk))).online

    await eventually(offline)


def test_an_address_with_nul_is_no_address() -> None:
    for path in (b"/ocpp/%00/x", b"/ocpp/a/%00", b"/ocpp/a\x00/x"):
        assert address({"raw_path": path, "path": ""}) is None


def test_an_applier_never_passes_what_is_stored_while_it_looks(
    tenant: Tenant, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another gateway's applier found nothing to apply; before it moved the cursor, a frame came."""
    gateway = f"test-{tenant.slug}"
    with tenant_scope(tenant.pk):
        JournalHead.objects.create(tenant=tenant, gateway=gateway, last_id=5)
        JournalCursor.objects.create(tenant=tenant, gateway=gateway, applied_id=5)
    looks = """
        WITH stored AS (
            UPDATE stations_journalhead SET last_id = 6 WHERE tenant_id = %(tenant)s AND gateway = %(gateway)s)
        SELECT id FROM stations_frame WHERE false AND id > %(applied)s AND received_at > %(since)s LIMIT %(most)s
    """
    monkeypatch.setattr(applier, "_WAITING", looks)
    with tenant_scope(tenant.pk):  # appliers of other tests see nothing of it before its end
        applier.apply_batch(tenant.pk, gateway)
        assert JournalHead.objects.get(tenant=tenant, gateway=gateway).last_id == 6
        assert JournalCursor.objects.get(tenant=tenant, gateway=gateway).applied_id == 5
        JournalCursor.objects.filter(tenant=tenant, gateway=gateway).update(
            applied_id=6
        )  # nothing left for them
