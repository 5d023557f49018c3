"""2.1: an answer that the other side cannot take comes back as CALLRESULTERROR (part 4, 4.2.4)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from stations.models import CommandState, Frame, Station, StationEvent
from tenants.models import Tenant
from tests.stations.ocpp.conftest import Plug, rows
from tests.stations.ocpp.test_commands import request, settled


async def test_an_answer_that_breaks_the_schema_fails_the_command_and_is_sent_back(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "2.1") as wire:
        command = await request(tenant, station, owner_actor, "clear_cache")
        call = await wire.next_call()
        await wire.answer(call, {"status": "Perhaps"})
        error = await wire.next_other()
        assert error[:3] == [5, call[1], "PropertyConstraintViolation"]
        assert len(error) == 5 and error[4] == {}
        done = await settled(tenant, command)
        assert (done.state, done.answer) == (CommandState.FAILED, "malformed")
        assert "Perhaps" in done.detail
        await wire.ok("Heartbeat", {})
        kept = Frame.objects.filter(tenant=tenant, station=station, message_type=5, outbound=True)
        for _try in range(50):
            if await rows(tenant, kept.exists):
                break
            await asyncio.sleep(0.1)
        assert await rows(tenant, kept.exists)


async def test_an_answer_with_too_long_a_text_is_taken_all_the_same(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "2.1") as wire:
        command = await request(tenant, station, owner_actor, "clear_cache")
        long = {"status": "Rejected", "statusInfo": {"reasonCode": "x" * 60}}
        await wire.answer(await wire.next_call(), long)
        done = await settled(tenant, command)
        assert (done.state, done.answer) == (CommandState.REJECTED, "Rejected")
        assert wire.others.empty()


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_older_stations_are_not_told_for_they_do_not_know_the_message(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        command = await request(tenant, station, owner_actor, "clear_cache")
        await wire.answer(await wire.next_call(), {"status": "Perhaps"})
        done = await settled(tenant, command)
        assert done.state == CommandState.REJECTED and "bends the specification" in done.detail
        await wire.ok("Heartbeat", {})
        assert wire.others.empty()


@pytest.mark.parametrize(
    "entry",
    [
        {"attributeStatus": "Accepted", "component": {"name": "EVSE"}, "variable": {}},
        {"attributeStatus": "Accepted", "component": "EVSE", "variable": {"name": "Power"}},
    ],
)
async def test_an_answer_that_cannot_be_read_fails_the_command(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, entry: dict[str, Any]
) -> None:
    async with plug(station, "2.0.1") as wire:
        command = await request(tenant, station, owner_actor, "read_configuration", names=["EVSE.Power"])
        await wire.answer(await wire.next_call(), {"getVariableResult": [entry]})
        done = await settled(tenant, command)
        assert (done.state, done.answer) == (CommandState.FAILED, "malformed")
        assert "bends the specification" in done.detail


async def test_what_a_station_cannot_take_of_ours_stands_at_the_station(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    async with plug(station, "2.1") as wire:
        await wire.ok("Heartbeat", {}, "hb-1")
        await wire.raw(json.dumps([5, "hb-1", "FormatViolation", "no such time", {}]))
        await wire.ok("Heartbeat", {})
        notes = StationEvent.objects.filter(tenant=tenant, station=station, kind="note")
        for _try in range(100):
            found = await rows(tenant, lambda: list(notes.all()))  # each time anew
            if found:
                break
            await asyncio.sleep(0.1)
    (note,) = found
    assert note.text == "It could not take our answer to Heartbeat: FormatViolation"
    assert note.detail["description"] == "no such time"


async def test_one_for_nothing_that_we_said_is_kept_and_harms_nobody(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    async with plug(station, "2.1") as wire:
        await wire.raw(json.dumps([5, "ghost", "GenericError", "", {}]))
        await wire.ok("Heartbeat", {})
        assert wire.others.empty()
