"""Commands: from the caller's wish to the station's whole answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from stations.models import Command, CommandState, Frame, Session, Station, Variable
from stations.services import commands, outcomes
from tenants.errors import Invalid
from tenants.models import Tenant
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import Plug, in_thread, rows

RESET = {"1.6": {"type": "Hard"}, "2.0.1": {"type": "Immediate"}, "2.1": {"type": "Immediate"}}


async def request(tenant: Tenant, station: Station, actor: Any, kind: str, **arguments: Any) -> Command:
    extra = {name: arguments.pop(name) for name in ("urgent", "expires_in_seconds") if name in arguments}
    return await rows(
        tenant,
        lambda: commands.request_command(
            tenant_id=tenant.pk, station_id=station.pk, kind=kind, arguments=arguments, actor=actor, **extra
        ),
    )


async def settled(tenant: Tenant, command: Command) -> Command:
    return await in_thread(
        lambda: commands.wait(tenant_id=tenant.pk, command_id=command.pk, timeout_seconds=15)
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("word", "state"), [("Accepted", "accepted"), ("Rejected", "rejected")])
async def test_a_reset_goes_out_and_the_answer_settles_it(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str, word: str, state: str
) -> None:
    async with plug(station, version) as wire:
        command = await request(tenant, station, owner_actor, "reset", hard=True)
        call = await wire.next_call()
        assert call[2:] == ["Reset", RESET[version]]
        await wire.answer(call, {"status": word})
        done = await settled(tenant, command)
    assert (done.state, done.answer, done.response) == (state, word, {"status": word})
    assert (done.origin_kind, done.origin_label) == ("user", owner_actor.label)
    assert done.sent_at is not None and done.settled_at is not None and done.sent_at <= done.settled_at


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unanswered_command_times_out_and_the_next_one_goes_out(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        silent = await request(tenant, station, owner_actor, "reset", hard=True)
        second = await request(tenant, station, owner_actor, "clear_cache")
        lost = await wire.next_call()
        assert (await settled(tenant, silent)).state == CommandState.TIMED_OUT
        call = await wire.next_call()
        assert call[2] == "ClearCache"
        await wire.answer(lost, {"status": "Accepted"})  # too late: nobody waits for it any more
        await wire.answer(call, {"status": "Accepted"})
        assert (await settled(tenant, second)).state == CommandState.ACCEPTED
        assert (await rows(tenant, lambda: Command.objects.get(pk=silent.pk))).state == CommandState.TIMED_OUT


async def test_a_stop_overtakes_what_waits(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    for kind, arguments in (("clear_cache", {}), ("reset", {}), ("stop", {"transaction_id": "77"})):
        await request(tenant, station, owner_actor, kind, **arguments)
    async with plug(station) as wire:
        order = []
        for _command in range(3):
            call = await wire.next_call()
            order.append(call[2])
            await wire.answer(call, {"status": "Accepted"})
    assert order == ["RemoteStopTransaction", "ClearCache", "Reset"]


async def test_only_one_call_is_under_way_and_the_stations_own_calls_go_on(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        for _command in range(2):
            await request(tenant, station, owner_actor, "clear_cache")
        first = await wire.next_call()
        await wire.ok("Heartbeat", {})
        await asyncio.sleep(0.3)
        assert wire.calls.empty()
        await wire.answer(first, {"status": "Accepted"})
        await wire.answer(await wire.next_call(), {"status": "Accepted"})


async def test_arguments_go_out_as_given(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    """An unknown connector is for the station to refuse."""
    async with plug(station) as wire:
        command = await request(tenant, station, owner_actor, "start", evse=99, token_uid="04A2B3")
        call = await wire.next_call()
        assert call[2:] == ["RemoteStartTransaction", {"connectorId": 99, "idTag": "04A2B3"}]
        await wire.answer(call, {"status": "Rejected"})
        assert (await settled(tenant, command)).state == CommandState.REJECTED
    assert not await rows(tenant, lambda: Session.objects.filter(tenant=tenant).exists())


async def test_a_call_error_is_the_answer(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        for code, state in (("NotSupported", "rejected"), ("InternalError", "failed")):
            command = await request(tenant, station, owner_actor, "clear_cache")
            call = await wire.next_call()
            await wire.raw(json.dumps([4, call[1], code, "no such thing", {}]))
            done = await settled(tenant, command)
            assert (done.state, done.answer, done.detail) == (state, code, "no such thing")


async def test_what_the_version_cannot_say_is_refused_with_the_reason(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "1.6"):
        with pytest.raises(Invalid, match=r"needs OCPP 2\.0\.1 or 2\.1"):
            await request(tenant, station, owner_actor, "read_report")
        stop = await settled(
            tenant, await request(tenant, station, owner_actor, "stop", transaction_id="abc")
        )
        assert "whole number" in stop.detail


async def test_an_offline_station_leaves_it_waiting_until_it_expires(
    tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    command = await request(tenant, station, owner_actor, "reset", expires_in_seconds=0)
    assert await rows(tenant, lambda: commands.expire(tenant_id=tenant.pk)) == 1
    now = await rows(tenant, lambda: Command.objects.get(pk=command.pk))
    assert now.state == CommandState.EXPIRED
    assert "not connected in time" in now.detail


async def test_a_waiting_command_can_be_taken_back(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    command = await request(tenant, station, owner_actor, "reset")
    cancelled = await rows(tenant, lambda: commands.cancel(command=command, actor=owner_actor))
    assert cancelled.state == CommandState.CANCELLED
    async with plug(station) as wire:
        await asyncio.sleep(0.3)
        assert wire.calls.empty()


async def test_the_configuration_that_was_read_is_kept(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        command = await request(tenant, station, owner_actor, "read_configuration")
        call = await wire.next_call()
        assert call[2:] == ["GetConfiguration", {}]
        keys = [
            {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
            {"key": "NumberOfConnectors", "readonly": True, "value": "2"},
        ]
        await wire.answer(call, {"configurationKey": keys, "unknownKey": []})
        assert (await settled(tenant, command)).state == CommandState.ACCEPTED

    def kept() -> list[tuple[str, str | None, str]]:
        found = Variable.objects.filter(tenant=tenant, station=station).order_by("name")
        return [(variable.name, variable.value, variable.mutability) for variable in found]

    assert await rows(tenant, kept) == [
        ("HeartbeatInterval", "300", "read_write"),
        ("NumberOfConnectors", "2", "read_only"),
    ]


async def test_a_variable_that_is_unknown_loses_not_what_was_read(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    names = ["OCPPCommCtrlr.HeartbeatInterval", "OCPPCommCtrlr.Nonsense"]
    async with plug(station, "2.0.1") as wire:
        command = await request(tenant, station, owner_actor, "read_configuration", names=names)
        call = await wire.next_call()
        asked = call[3]["getVariableData"]
        results = [
            asked[0] | {"attributeStatus": "Accepted", "attributeValue": "300"},
            asked[1] | {"attributeStatus": "UnknownVariable"},
        ]
        await wire.answer(call, {"getVariableResult": results})
        assert (await settled(tenant, command)).state == CommandState.ACCEPTED
    found = Variable.objects.filter(tenant=tenant, station=station).values_list("name", "value")
    assert await rows(tenant, lambda: list(found)) == [("HeartbeatInterval", "300")]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_secret_goes_out_and_is_kept_nowhere(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    name = "AuthorizationKey" if version == "1.6" else "BasicAuthPassword"
    async with plug(station, version) as wire:
        command = await request(
            tenant, station, owner_actor, "write_configuration", component="SecurityCtrlr", name=name,
            value="very-secret-value-1",
        )  # fmt: skip
        call = await wire.next_call()
        assert "very-secret-value-1" in json.dumps(call)
        if version == "1.6":
            await wire.answer(call, {"status": "Accepted"})
        else:
            entry = call[3]["setVariableData"][0]
            result = {
                "attributeStatus": "Accepted",
                "component": entry["component"],
                "variable": entry["variable"],
            }
            await wire.answer(call, {"setVariableResult": [result]})
        done = await settled(tenant, command)
        assert done.state == CommandState.ACCEPTED
        await wire.ok("Heartbeat", {})
    assert "very-secret" not in json.dumps([done.request, done.response, done.arguments])
    kept = await rows(
        tenant, lambda: [frame.payload for frame in Frame.objects.filter(tenant=tenant, station=station)]
    )
    assert kept and not any("very-secret" in payload for payload in kept)


async def test_when_the_socket_ends_the_command_does(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        command = await request(tenant, station, owner_actor, "reset")
        await wire.next_call()
    done = await settled(tenant, command)
    assert (done.state, done.detail) == (
        CommandState.TIMED_OUT,
        "The connection ended before the station answered.",
    )


async def test_who_waits_for_a_command_is_told_of_its_end_and_cannot_undo_it(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, str]] = []

    def follow(*, command: Command) -> None:
        told.append((command.pk, command.state))
        Station.objects.filter(tenant=tenant, pk=station.pk).update(name="half done")
        raise RuntimeError("a follower that fails")

    monkeypatch.setattr(commands, "follow_for_test", follow, raising=False)
    monkeypatch.setitem(outcomes.FOLLOWERS, "reset", "stations.services.commands.follow_for_test")
    command = await request(tenant, station, owner_actor, "reset")
    await rows(tenant, lambda: commands.cancel(command=command, actor=owner_actor))
    assert told == [(command.pk, CommandState.CANCELLED)]
    assert (await rows(tenant, lambda: Command.objects.get(pk=command.pk))).state == CommandState.CANCELLED
    assert (await rows(tenant, lambda: Station.objects.get(pk=station.pk))).name != "half done"
