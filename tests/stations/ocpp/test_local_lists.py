"""Local authorisation lists on the wire: computed from tokens, sent in parts, kept in step, repaired."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleets.models import Token
from fleets.services import tokens
from stations.models import Command, ListState, LocalList, Station, Variable
from stations.neutral import ListAnswered
from stations.services import access, commands, local_lists
from tenants.context import tenant_scope
from tenants.errors import Conflict
from tenants.models import Tenant
from tenants.services import dispatch
from tests.stations.ocpp.charger import BOOT, VERSIONS, Charger
from tests.stations.ocpp.conftest import Plug, in_thread, rows

MakeToken = Callable[..., Token]
Mint = Callable[..., Awaitable[Token]]
VERSION_WORD = {"1.6": "listVersion", "2.0.1": "versionNumber", "2.1": "versionNumber"}


def told(version: str, call: list[Any]) -> tuple[int, str, dict[str, str | None]]:
    """(version, how, {token: status or None}) of a SendLocalList, whichever OCPP."""
    assert call[2] == "SendLocalList", call
    payload = call[3]
    listed: dict[str, str | None] = {}
    for entry in payload.get("localAuthorizationList", []):
        if version == "1.6":
            listed[entry["idTag"]] = (entry.get("idTagInfo") or {}).get("status")
        else:
            listed[entry["idToken"]["idToken"]] = (entry.get("idTokenInfo") or {}).get("status")
    return payload[VERSION_WORD[version]], payload["updateType"], listed


@pytest.fixture
def mint(make_token: MakeToken) -> Mint:
    """A token, made from within an event loop."""

    async def make(**values: Any) -> Token:
        return await in_thread(lambda: make_token(**values))

    return make


clock = itertools.count()


@pytest.fixture(autouse=True)
def _clock() -> None:
    """Sweeps of a test are 20 seconds apart."""
    global clock
    clock = itertools.count(20, 20)


async def sweep(tenant: Tenant, at: datetime | None = None) -> int:
    now = at or datetime.now(UTC) + timedelta(seconds=next(clock))
    return await rows(tenant, lambda: local_lists.sweep(tenant_id=tenant.pk, now=now))


async def switch(tenant: Tenant, actor: Any, **changes: Any) -> None:
    await rows(tenant, lambda: access.change_rule(tenant_id=tenant.pk, actor=actor, changes=changes))
    await hear(tenant)


async def hear(tenant: Tenant) -> None:
    await in_thread(lambda: dispatch.dispatch(tenant_id=tenant.pk))


async def state(tenant: Tenant, station: Station) -> LocalList:
    return await rows(tenant, lambda: LocalList.objects.get(tenant=tenant, station=station))


async def settled(tenant: Tenant, station: Station) -> None:
    """All commands of the station have come to their end."""

    def last() -> Command:
        return Command.objects.filter(tenant=tenant, station=station).order_by("-id")[0]

    command = await rows(tenant, last)
    await in_thread(lambda: commands.wait(tenant_id=tenant.pk, command_id=command.pk, timeout_seconds=15))


async def know_limits(tenant: Tenant, station: Station, version: str, items: int, most: int = 1000) -> None:
    def write() -> None:
        own = {"tenant": tenant, "station": station, "read_at": datetime.now(UTC), "source": "report"}
        if version == "1.6":
            Variable.objects.create(**own, name="SendLocalListMaxLength", value=str(items))
            Variable.objects.create(**own, name="LocalAuthListMaxLength", value=str(most))
        else:
            Variable.objects.create(
                **own, component="LocalAuthListCtrlr", name="ItemsPerMessage", value=str(items)
            )
            Variable.objects.create(
                **own, component="LocalAuthListCtrlr", name="Entries", value="0", max_limit=most
            )

    await rows(tenant, write)


async def answer_version(wire: Charger, version: str, number: int) -> None:
    call = await wire.next_call()
    assert call[2] == "GetLocalListVersion", call
    await wire.answer(call, {VERSION_WORD[version]: number})


async def in_step(
    wire: Charger, tenant: Tenant, station: Station, actor: Any, version: str
) -> tuple[int, str, dict[str, str | None]]:
    """Bring a fresh station's list in step; gives the message that did it."""
    await know_limits(tenant, station, version, 100)
    await switch(tenant, actor, local_list=True)
    await sweep(tenant)
    await answer_version(wire, version, 0)
    await settled(tenant, station)
    await sweep(tenant)
    call = await wire.next_call()
    await wire.answer(call, {"status": "Accepted"})
    await settled(tenant, station)
    return told(version, call)


@pytest.mark.parametrize("version", VERSIONS)
async def test_nothing_is_sent_unless_it_is_switched_on(
    plug: Plug, tenant: Tenant, station: Station, mint: Mint, version: str
) -> None:
    await mint(uid="A1")
    async with plug(station, version):
        assert await sweep(tenant) == 0
    assert not await rows(tenant, lambda: Command.objects.filter(tenant=tenant).exists())


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_limits_are_asked_then_the_version_then_all_is_sent(
    plug: Plug, tenant: Tenant, station: Station, mint: Mint, owner_actor: Any, version: str
) -> None:
    await mint(uid="A1", group="STAFF", expires_at=datetime(2040, 1, 31, 12, tzinfo=UTC))
    await mint(uid="B2", blocked=True)
    await mint(uid="C3", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    async with plug(station, version) as wire:
        await switch(tenant, owner_actor, local_list=True)
        await sweep(tenant)
        call = await wire.next_call()
        if version == "1.6":
            assert call[2] == "GetConfiguration"
            keys = [{"key": "SendLocalListMaxLength", "readonly": True, "value": "50"}]
            await wire.answer(call, {"configurationKey": keys})
        else:
            assert call[2] == "GetVariables"
            results = [entry | {"attributeStatus": "UnknownVariable"} for entry in call[3]["getVariableData"]]
            await wire.answer(call, {"getVariableResult": results})
        await settled(tenant, station)
        await sweep(tenant)
        await answer_version(wire, version, 0)
        await settled(tenant, station)
        await sweep(tenant)
        call = await wire.next_call()
        entries = call[3]["localAuthorizationList"]
        if version == "1.6":
            assert entries[0] == {
                "idTag": "A1",
                "idTagInfo": {
                    "status": "Accepted", "expiryDate": "2040-01-31T12:00:00.000Z", "parentIdTag": "STAFF",
                },
            }  # fmt: skip
        else:
            assert entries[0] == {
                "idToken": {"idToken": "A1", "type": "ISO14443"},
                "idTokenInfo": {
                    "status": "Accepted", "cacheExpiryDateTime": "2040-01-31T12:00:00.000Z",
                    "groupIdToken": {"idToken": "STAFF", "type": "Central"},
                },
            }  # fmt: skip
        assert told(version, call) == (1, "Full", {"A1": "Accepted", "B2": "Blocked"})
        await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, station)
    now = await state(tenant, station)
    assert (now.state, now.version, now.size, now.problem) == (ListState.IN_STEP, 1, 2, "")
    assert now.synced_at is not None


@pytest.mark.parametrize("version", VERSIONS)
async def test_only_what_changed_is_sent_and_a_block_at_once(
    plug: Plug, tenant: Tenant, station: Station, mint: Mint, owner_actor: Any, version: str
) -> None:
    lost, gone = await mint(uid="LOST"), await mint(uid="GONE")
    await mint(uid="KEPT")
    async with plug(station, version) as wire:
        await in_step(wire, tenant, station, owner_actor, version)
        await rows(tenant, lambda: tokens.block_token(token=lost, actor=owner_actor))
        await rows(tenant, lambda: tokens.delete_token(token=gone, actor=owner_actor))
        await hear(tenant)
        await sweep(tenant, datetime.now(UTC) + timedelta(milliseconds=50))  # no time to gather
        call = await wire.next_call()
        assert told(version, call) == (2, "Differential", {"LOST": "Blocked", "GONE": None})
        command = await rows(tenant, lambda: Command.objects.filter(tenant=tenant).order_by("-id")[0])
        assert command.urgent
        await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, station)
        assert (await state(tenant, station)).entries.keys() == {"LOST", "KEPT"}
        await sweep(tenant)
        assert wire.calls.empty()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_long_list_goes_in_parts_with_rising_versions(
    plug: Plug, tenant: Tenant, station: Station, mint: Mint, owner_actor: Any, version: str
) -> None:
    for number in range(7):
        await mint(uid=f"CARD{number}")
    await know_limits(tenant, station, version, items=3, most=6)
    async with plug(station, version) as wire:
        await switch(tenant, owner_actor, local_list=True)
        await sweep(tenant)
        await answer_version(wire, version, 41)
        await settled(tenant, station)
        await sweep(tenant)
        parts = []
        for _part in range(2):
            call = await wire.next_call()
            parts.append(told(version, call))
            await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, station)
    assert [(number, how, len(listed)) for number, how, listed in parts] == [
        (42, "Full", 3), (43, "Differential", 3),
    ]  # fmt: skip
    now = await state(tenant, station)
    assert (now.state, now.size, now.left_out) == (ListState.IN_STEP, 6, 1)
    assert "CARD0" not in now.entries, "the oldest one is left out"


@pytest.mark.parametrize("version", VERSIONS)
async def test_another_version_there_is_repaired_by_a_full_list(
    plug: Plug, tenant: Tenant, station: Station, mint: Mint, owner_actor: Any, version: str
) -> None:
    await mint(uid="A1")
    async with plug(station, version) as wire:
        await in_step(wire, tenant, station, owner_actor, version)
        await wire.ok("BootNotification", BOOT[version])
        await sweep(tenant, datetime.now(UTC) + timedelta(minutes=6))
        await answer_version(wire, version, 7)
        await settled(tenant, station)
        await sweep(tenant)
        call = await wire.next_call()
        assert told(version, call) == (8, "Full", {"A1": "Accepted"})
        await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, station)
    assert (await state(tenant, station)).state == ListState.IN_STEP


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_version_mismatch_is_answered_by_a_full_list(
    plug: Plug, tenant: Tenant, station: Station, mint: Mint, owner_actor: Any, version: str
) -> None:
    await mint(uid="A1")
    async with plug(station, version) as wire:
        await in_step(wire, tenant, station, owner_actor, version)
        await mint(uid="B2")
        await sweep(tenant, datetime.now(UTC) + timedelta(minutes=6))
        call = await wire.next_call()
        assert told(version, call)[1] == "Differential"
        await wire.answer(call, {"status": "VersionMismatch"})
        await settled(tenant, station)
        await sweep(tenant)
        await answer_version(wire, version, 9)
        await settled(tenant, station)
        await sweep(tenant)
        call = await wire.next_call()
        assert told(version, call) == (10, "Full", {"A1": "Accepted", "B2": "Accepted"})


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_failed_is_tried_again_later_and_later(
    plug: Plug, tenant: Tenant, station: Station, mint: Mint, owner_actor: Any, version: str
) -> None:
    await mint(uid="A1")
    pauses = []
    async with plug(station, version) as wire:
        await in_step(wire, tenant, station, owner_actor, version)
        await mint(uid="B2")
        at = datetime.now(UTC) + timedelta(minutes=6)
        for _try in range(3):
            await sweep(tenant, at)
            call = await wire.next_call()
            await wire.answer(call, {"status": "Failed"})
            await settled(tenant, station)
            now = await state(tenant, station)
            assert now.state == ListState.FAILED and now.due_at is not None
            pauses.append((now.due_at - datetime.now(UTC)).total_seconds())
            at = now.due_at
        assert told(version, call)[1] == "Full"
    assert pauses[0] < pauses[1] < pauses[2]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_without_lists_is_left_alone(
    plug: Plug, tenant: Tenant, station: Station, mint: Mint, owner_actor: Any, version: str
) -> None:
    await mint(uid="A1")
    await know_limits(tenant, station, version, 10)
    async with plug(station, version) as wire:
        await switch(tenant, owner_actor, local_list=True)
        await sweep(tenant)
        call = await wire.next_call()
        await wire.raw(json.dumps([4, call[1], "NotImplemented", "", {}]))
        await settled(tenant, station)
        assert (await state(tenant, station)).state == ListState.UNSUPPORTED
        await sweep(tenant, datetime.now(UTC) + timedelta(days=2))
        assert wire.calls.empty()


@pytest.mark.parametrize("version", VERSIONS)
async def test_no_answer_leaves_it_unknown_and_the_version_is_asked(
    plug: Plug, tenant: Tenant, station: Station, mint: Mint, owner_actor: Any, version: str
) -> None:
    await mint(uid="A1")
    async with plug(station, version) as wire:
        await in_step(wire, tenant, station, owner_actor, version)
        await mint(uid="B2")
        await sweep(tenant, datetime.now(UTC) + timedelta(minutes=6))
        await wire.next_call()
        await settled(tenant, station)
        assert (await state(tenant, station)).state == ListState.UNKNOWN
        await sweep(tenant, datetime.now(UTC) + timedelta(minutes=5))
        await answer_version(wire, version, 2)  # it had taken it after all: what it holds is not certain
        await settled(tenant, station)
        await sweep(tenant)
        call = await wire.next_call()
        assert told(version, call) == (3, "Full", {"A1": "Accepted", "B2": "Accepted"})


@pytest.mark.parametrize("version", VERSIONS)
async def test_switched_off_the_station_forgets_it(
    plug: Plug, tenant: Tenant, station: Station, mint: Mint, owner_actor: Any, version: str
) -> None:
    await mint(uid="A1")
    async with plug(station, version) as wire:
        await in_step(wire, tenant, station, owner_actor, version)
        await switch(tenant, owner_actor, local_list=False)
        await sweep(tenant)
        call = await wire.next_call()
        assert told(version, call)[2] == {"A1": None}
        await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, station)
        now = await state(tenant, station)
        assert (now.state, now.size) == (ListState.OFF, 0)
        with pytest.raises(Conflict):
            await rows(tenant, lambda: local_lists.sync_now(station=station, actor=owner_actor))


async def test_a_list_that_somebody_else_sent_is_found_out(
    plug: Plug, tenant: Tenant, station: Station, mint: Mint, owner_actor: Any
) -> None:
    await mint(uid="A1")
    async with plug(station, "1.6") as wire:
        await in_step(wire, tenant, station, owner_actor, "1.6")
        entries = [{"uid": "OTHER", "verdict": "accepted"}]
        await rows(
            tenant,
            lambda: commands.request_command(
                tenant_id=tenant.pk, station_id=station.pk, kind="send_local_list", actor=owner_actor,
                arguments={"version": 90, "full": True, "entries": entries},
            ),
        )  # fmt: skip
        call = await wire.next_call()
        assert told("1.6", call) == (90, "Full", {"OTHER": "Accepted"})
        await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, station)
        await sweep(tenant)
        await answer_version(wire, "1.6", 90)
        await settled(tenant, station)
        await sweep(tenant)
        assert told("1.6", await wire.next_call()) == (91, "Full", {"A1": "Accepted"})


def test_which_tokens_a_list_holds(
    tenant: Tenant, station: Station, make_token: MakeToken, make_site: Any, owner_actor: Any
) -> None:
    other = make_site()
    make_token(uid="EVERYWHERE")
    here, there = make_token(uid="HERE"), make_token(uid="THERE", group="STAFF")
    make_token(uid="X" * 21)
    make_token(uid="LATER", valid_from=datetime.now(UTC) + timedelta(days=1))

    def listed(**changes: Any) -> list[str]:
        access.change_rule(
            tenant_id=tenant.pk, actor=owner_actor, station=station, changes={"local_list": True, **changes}
        )
        return [line.uid for line in local_lists.lines(station, access.of_station(station))]

    with tenant_scope(tenant.pk):
        tokens.update_token(token=here, actor=owner_actor, sites=[station.site])
        tokens.update_token(token=there, actor=owner_actor, sites=[other, station.site])
        station.ocpp_version = "1.6"
        assert listed() == ["THERE", "HERE", "EVERYWHERE"]
        assert listed(list_scope="site") == ["THERE", "HERE"]
        assert listed(list_scope="group", list_group="STAFF") == ["THERE"]
        station.ocpp_version = "2.1"
        assert "X" * 21 in listed(list_scope="all")


def test_limits_that_make_no_sense_do_no_harm(
    tenant: Tenant, station: Station, make_token: MakeToken
) -> None:
    make_token(uid="ONE")
    now = datetime.now(UTC)
    with tenant_scope(tenant.pk):
        Variable.objects.create(
            tenant_id=tenant.pk, station=station, component="", name="LocalAuthListMaxLength", attribute="actual",
            value="²", read_at=now,
        )  # fmt: skip
        assert local_lists.limits(station) == (None, None, None)
        Variable.objects.create(
            tenant_id=tenant.pk, station=station, component="LocalAuthListCtrlr", name="Entries",
            attribute="actual", max_limit=-1, read_at=now,
        )  # fmt: skip
        assert local_lists.limits(station)[0] == 0
        rules = access.Rules(local_list=True)
        target = local_lists.wanted(station, rules, -1, now)
        assert (len(target.entries), target.left_out) == (0, 1)


def test_a_list_that_cannot_be_brought_forward_makes_room_for_the_next(
    tenant: Tenant, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)

    def broken(*_: Any) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(local_lists, "advance", broken)
    with tenant_scope(tenant.pk):
        LocalList.objects.create(tenant_id=tenant.pk, station=station, due_at=now - timedelta(hours=1))
        assert local_lists.sweep(tenant_id=tenant.pk, now=now) == 1
        assert local_lists.sweep(tenant_id=tenant.pk, now=now) == 0


@pytest.mark.parametrize("by_person", [True, False])
def test_what_makes_a_whole_list_needful_outlives_a_difference_under_way(
    tenant: Tenant, station: Station, make_token: MakeToken, owner_actor: Any, by_person: bool
) -> None:
    """Somebody else sent a list, or a person wants all anew: the answer to a difference is no answer to that."""
    make_token(uid="CARD")
    now = datetime.now(UTC)
    with tenant_scope(tenant.pk):
        access.change_rule(tenant_id=tenant.pk, actor=owner_actor, changes={"local_list": True})
        Station.objects.update(online=True)
        station.refresh_from_db()
        one = LocalList.objects.create(
            tenant=tenant, station=station, version=3, told_version=3, told_at=now, limits_at=now,
            full_wanted=False, entries={"GONE": "app:1"}, size=1, state=ListState.IN_STEP,
        )  # fmt: skip
        local_lists.advance(one, access.of_station(station), now)
        assert one.flight is not None and not one.flight["full"]
        if by_person:
            local_lists.sync_now(station=station, actor=owner_actor, full=True)
        else:
            local_lists.forget(tenant_id=tenant.pk, station_id=station.pk)
        report = ListAnswered(station.pk, one.command_id or 0, "taken")
        local_lists.answered(tenant_id=tenant.pk, reports=[report])
        one.refresh_from_db()
        assert one.flight is not None and one.flight["full"] and set(one.flight["entries"]) == {"CARD"}
