"""The device model over the wire: reports in parts, changes asked, answered and read back, in every version."""

from __future__ import annotations

from typing import Any

import pytest

from stations.models import (
    Command,
    CommandState,
    DeviceReport,
    ReportState,
    Station,
    Variable,
    VariableChange,
    VariableChangeState,
)
from stations.services import configuration
from tenants.models import Tenant
from tests.stations.ocpp.charger import BOOT, VERSIONS, Charger
from tests.stations.ocpp.conftest import Plug, applied, rows
from tests.stations.ocpp.test_commands import request, settled

V2 = ["2.0.1", "2.1"]
INTERVAL = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}


def heartbeat(version: str, value: str = "120") -> configuration.Setting:
    component = "" if version == "1.6" else "OCPPCommCtrlr"
    return configuration.Setting("HeartbeatInterval", value, component=component)


async def change(
    tenant: Tenant, station: Station, actor: Any, *settings: configuration.Setting
) -> list[VariableChange]:
    await rows(tenant, lambda: station.refresh_from_db())
    return await rows(
        tenant,
        lambda: configuration.change(
            tenant_id=tenant.pk, station_id=station.pk, settings=settings, actor=actor
        ),
    )


async def changes(tenant: Tenant, station: Station) -> list[VariableChange]:
    return await rows(tenant, lambda: list(VariableChange.objects.filter(station=station).order_by("id")))


async def answer_write(wire: Charger, version: str, word: str) -> list[Any]:
    call = await wire.next_call()
    if version == "1.6":
        assert call[2] == "ChangeConfiguration"
        await wire.answer(call, {"status": word})
    else:
        assert call[2] == "SetVariables"
        results = [
            {
                "attributeStatus": word,
                "component": entry["component"],
                "variable": entry["variable"],
            }
            for entry in call[3]["setVariableData"]
        ]
        await wire.answer(call, {"setVariableResult": results})
    return call


async def answer_read(wire: Charger, version: str, value: str) -> list[Any]:
    call = await wire.next_call()
    if version == "1.6":
        assert call[2:] == ["GetConfiguration", {"key": ["HeartbeatInterval"]}]
        key = {"key": "HeartbeatInterval", "readonly": False, "value": value}
        await wire.answer(call, {"configurationKey": [key]})
    else:
        assert call[2:] == ["GetVariables", {"getVariableData": [INTERVAL]}]
        await wire.answer(
            call,
            {"getVariableResult": [INTERVAL | {"attributeStatus": "Accepted", "attributeValue": value}]},
        )
    return call


async def until(tenant: Tenant, station: Station, state: str) -> VariableChange:
    """The newest change, once it is in this state."""
    import asyncio

    for _try in range(150):
        found = await changes(tenant, station)
        if found and found[-1].state == state:
            return found[-1]
        await asyncio.sleep(0.1)
    raise AssertionError([(one.state, one.reason) for one in await changes(tenant, station)])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("told", "state"), [("120", VariableChangeState.DONE), ("300", VariableChangeState.DIFFERS)]
)
async def test_what_is_accepted_is_read_back(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str, told: str, state: str
) -> None:
    async with plug(station, version) as wire:
        await wire.ok("BootNotification", BOOT[version])
        (asked,) = await change(tenant, station, owner_actor, heartbeat(version))
        assert asked.state == VariableChangeState.ASKED
        call = await answer_write(wire, version, "Accepted")
        expected = (
            {"key": "HeartbeatInterval", "value": "120"}
            if version == "1.6"
            else {"setVariableData": [INTERVAL | {"attributeValue": "120"}]}
        )
        assert call[3] == expected
        await answer_read(wire, version, told)
        done = await until(tenant, station, state)
    assert done.origin_label == owner_actor.label
    kept = await rows(tenant, lambda: Variable.objects.get(station=station, name="HeartbeatInterval"))
    assert (kept.value, kept.reboot_required) == (told, False)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_refusal_is_kept_with_the_stations_word(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        await wire.ok("BootNotification", BOOT[version])
        await change(tenant, station, owner_actor, heartbeat(version))
        await answer_write(wire, version, "Rejected")
        done = await until(tenant, station, VariableChangeState.REFUSED)
    assert done.reason == "Rejected"
    assert not await rows(tenant, lambda: Variable.objects.filter(station=station, value="120").exists())


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_callerror_and_silence_are_failures(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        await wire.ok("BootNotification", BOOT[version])
        await change(tenant, station, owner_actor, heartbeat(version))
        call = await wire.next_call()
        await wire.raw(f'[4, "{call[1]}", "InternalError", "no memory", {{}}]')
        failed = await until(tenant, station, VariableChangeState.FAILED)
        assert failed.reason == "no memory"
        await change(tenant, station, owner_actor, heartbeat(version, "130"))
        await wire.next_call()  # and no answer
        failed = await until(tenant, station, VariableChangeState.FAILED)
        assert failed.after == "130"


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_counts_after_a_reset_is_read_once_the_station_has_restarted(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    from django.utils import timezone

    async with plug(station, version) as wire:
        await wire.ok("BootNotification", BOOT[version])
        await change(tenant, station, owner_actor, heartbeat(version))
        await answer_write(wire, version, "RebootRequired")
        await until(tenant, station, VariableChangeState.RESET)
        assert await rows(tenant, lambda: configuration.sweep(tenant_id=tenant.pk, now=timezone.now())) == 0
        await wire.ok("BootNotification", BOOT[version])
        assert await rows(tenant, lambda: configuration.sweep(tenant_id=tenant.pk, now=timezone.now())) == 1
        assert await rows(tenant, lambda: configuration.sweep(tenant_id=tenant.pk, now=timezone.now())) == 0
        await answer_read(wire, version, "120")
        await until(tenant, station, VariableChangeState.DONE)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_change_at_the_station_becomes_history(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        await wire.ok("BootNotification", BOOT[version])
        await rows(tenant, lambda: station.refresh_from_db())
        key = heartbeat(version).key

        def read() -> Any:
            return configuration.read(
                tenant_id=tenant.pk, station_id=station.pk, keys=[key], actor=owner_actor
            )

        for value in ("300", "600"):
            await rows(tenant, read)
            await answer_read(wire, version, value)
        noticed = await until(tenant, station, VariableChangeState.TOLD)
    assert (noticed.before, noticed.after, noticed.origin_kind) == ("300", "600", "station")


@pytest.mark.parametrize("version", V2)
async def test_many_settings_go_out_in_messages_that_the_station_takes(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    """B05.FR.11: no more than ItemsPerMessageSetVariables."""
    async with plug(station, version) as wire:
        await wire.ok("BootNotification", BOOT[version])
        items = {
            "component": {"name": "DeviceDataCtrlr"},
            "variable": {"name": "ItemsPerMessage", "instance": "SetVariables"},
            "variableAttribute": [{"value": "2", "mutability": "ReadOnly"}],
        }
        await wire.ok("NotifyReport", part(1, 0, [items], more=False))
        await applied(tenant)
        settings = [configuration.Setting(f"Setting{n}", "1", component="Ctrlr") for n in range(5)]
        await change(tenant, station, owner_actor, *settings)
        sizes = []
        for _message in range(3):
            call = await wire.next_call()
            sizes.append(len(call[3]["setVariableData"]))
            results = [
                {"attributeStatus": "Rejected", "component": e["component"], "variable": e["variable"]}
                for e in call[3]["setVariableData"]
            ]
            await wire.answer(call, {"setVariableResult": results})
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("version", V2)
async def test_each_of_several_settings_has_its_own_answer(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    words = ["Accepted", "RebootRequired", "UnknownVariable"]
    async with plug(station, version) as wire:
        await wire.ok("BootNotification", BOOT[version])
        settings = [configuration.Setting(f"Setting{n}", "1", component="Ctrlr") for n in range(3)]
        await change(tenant, station, owner_actor, *settings)
        call = await wire.next_call()
        results = [
            {"attributeStatus": word, "component": e["component"], "variable": e["variable"]}
            for word, e in zip(words, call[3]["setVariableData"], strict=True)
        ]
        await wire.answer(call, {"setVariableResult": results})
        await until(tenant, station, VariableChangeState.REFUSED)
    states = [one.state for one in await changes(tenant, station)]
    assert states == [VariableChangeState.TAKEN, VariableChangeState.RESET, VariableChangeState.REFUSED]


def part(request_id: int, number: int, data: list[Any], *, more: bool) -> dict[str, Any]:
    return {
        "requestId": request_id,
        "generatedAt": "2026-11-23T10:00:00Z",
        "seqNo": number,
        "tbc": more,
        "reportData": data,
    }


def entry(name: str, value: str = "1") -> dict[str, Any]:
    return {
        "component": {"name": "EVSE", "evse": {"id": 1}},
        "variable": {"name": name},
        "variableAttribute": [{"value": value, "mutability": "ReadWrite", "persistent": True}],
        "variableCharacteristics": {
            "dataType": "integer",
            "unit": "A",
            "minLimit": 0,
            "maxLimit": 32,
            "supportsMonitoring": True,
        },
    }


async def report_of(tenant: Tenant, station: Station) -> DeviceReport:
    await applied(tenant)
    return await rows(tenant, lambda: DeviceReport.objects.get(station=station))


@pytest.mark.parametrize("version", V2)
async def test_a_report_in_parts_is_put_together_and_linked_to_who_asked(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        command = await request(tenant, station, owner_actor, "read_report", base="full")
        call = await wire.next_call()
        asked = call[3]["requestId"]
        assert call[2:] == ["GetBaseReport", {"requestId": asked, "reportBase": "FullInventory"}]
        await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, command)
        # Out of order, one of them twice.
        await wire.ok("NotifyReport", part(asked, 2, [entry("C")], more=False))
        await wire.ok("NotifyReport", part(asked, 0, [entry("A")], more=True))
        report = await report_of(tenant, station)
        assert (report.state, report.missing) == (ReportState.RECEIVING, [1])
        await wire.ok("NotifyReport", part(asked, 0, [entry("A")], more=True))
        await wire.ok("NotifyReport", part(asked, 1, [entry("B")], more=True))
        report = await report_of(tenant, station)
    assert (report.state, report.items, report.repeated) == (ReportState.COMPLETE, 3, 1)
    assert report.command_id == command.pk
    kept = await rows(tenant, lambda: Variable.objects.get(station=station, name="B"))
    assert (kept.supports_monitoring, kept.persistent, kept.max_limit, kept.unit) == (True, True, 32, "A")


@pytest.mark.parametrize("version", V2)
async def test_a_full_report_shows_what_the_station_has_no_more(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        await wire.ok("NotifyReport", part(7, 0, [entry("Old")], more=False))
        await applied(tenant)
        command = await request(tenant, station, owner_actor, "read_report")
        call = await wire.next_call()
        await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, command)
        await wire.ok("NotifyReport", part(call[3]["requestId"], 0, [entry("New")], more=False))
        await applied(tenant)
    found = await rows(
        tenant, lambda: dict(Variable.objects.filter(station=station).values_list("name", "gone_at"))
    )
    assert found["Old"] is not None and found["New"] is None


@pytest.mark.parametrize("version", V2)
async def test_a_part_that_never_comes_makes_the_report_incomplete(
    plug: Plug, tenant: Tenant, station: Station, version: str
) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from stations.services import reports

    async with plug(station, version) as wire:
        await wire.ok("NotifyReport", part(9, 0, [entry("A")], more=True))
        await wire.ok("NotifyReport", part(9, 3, [entry("D")], more=False))
        await applied(tenant)
    later = timezone.now() + timedelta(minutes=11)
    assert await rows(tenant, lambda: reports.sweep(tenant_id=tenant.pk, now=later)) == 1
    report = await report_of(tenant, station)
    assert (report.state, report.missing, report.command_id) == (ReportState.INCOMPLETE, [1, 2], None)


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize(("word", "state"), [("EmptyResultSet", "accepted"), ("NotSupported", "rejected")])
async def test_a_part_of_the_device_model_is_asked_for(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str, word: str, state: str
) -> None:
    """B08: by component and by what is wrong with it."""
    async with plug(station, version) as wire:
        command = await request(
            tenant, station, owner_actor, "read_components", variables=[{"component": "EVSE", "evse": 1}],
            criteria=["problem"],
        )  # fmt: skip
        call = await wire.next_call()
        assert call[2] == "GetReport"
        assert call[3]["componentCriteria"] == ["Problem"]
        assert call[3]["componentVariable"] == [{"component": {"name": "EVSE", "evse": {"id": 1}}}]
        await wire.answer(call, {"status": word})
        assert (await settled(tenant, command)).state == state
    found = await rows(tenant, lambda: [r.state for r in DeviceReport.objects.filter(station=station)])
    assert found == ([ReportState.EMPTY] if word == "EmptyResultSet" else [])


@pytest.mark.parametrize("version", V2)
async def test_reading_one_variable_keeps_what_is_known_of_it(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    read_only = entry("A")
    read_only["variableAttribute"][0]["mutability"] = "ReadOnly"
    async with plug(station, version) as wire:
        await wire.ok("NotifyReport", part(9, 0, [read_only], more=False))
        await applied(tenant)
        command = await request(
            tenant, station, owner_actor, "read_configuration",
            variables=[{"component": "EVSE", "evse": 1, "name": "A"}],
        )  # fmt: skip
        call = await wire.next_call()
        result = call[3]["getVariableData"][0] | {"attributeStatus": "Accepted", "attributeValue": "2"}
        await wire.answer(call, {"getVariableResult": [result]})
        await settled(tenant, command)
    kept = await rows(tenant, lambda: Variable.objects.get(station=station))
    assert (kept.value, kept.mutability, kept.unit) == ("2", "read_only", "A")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_change_by_the_command_alone_is_history_too(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        await wire.ok("BootNotification", BOOT[version])
        command = await request(
            tenant, station, owner_actor, "write_configuration", component="OCPPCommCtrlr",
            name="HeartbeatInterval", value="120",
        )  # fmt: skip
        await answer_write(wire, version, "Rejected")
        await settled(tenant, command)
    (done,) = await changes(tenant, station)
    assert (done.after, done.state, done.origin_label) == (
        "120",
        VariableChangeState.REFUSED,
        owner_actor.label,
    )


async def test_no_secret_stays_in_the_history(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "1.6") as wire:
        await wire.ok("BootNotification", BOOT["1.6"])
        await change(
            tenant, station, owner_actor, configuration.Setting("AuthorizationKey", "hunter2hunter2")
        )
        call = await answer_write(wire, "1.6", "Accepted")
        assert call[3]["value"] == "hunter2hunter2"
        done = await until(tenant, station, VariableChangeState.DONE)
        assert done.after == "***"
        assert wire.calls.empty()  # nobody can read it back


@pytest.mark.parametrize("version", V2)
async def test_whether_a_transaction_runs_is_asked_and_shown(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    """E14."""
    from stations.models import StationEvent

    async with plug(station, version) as wire:
        command = await request(tenant, station, owner_actor, "transaction_status", transaction_id="t-1")
        call = await wire.next_call()
        assert call[2:] == ["GetTransactionStatus", {"transactionId": "t-1"}]
        await wire.answer(call, {"ongoingIndicator": False, "messagesInQueue": True})
        assert (await settled(tenant, command)).state == CommandState.ACCEPTED
    event = await rows(tenant, lambda: StationEvent.objects.get(station=station, kind="transaction"))
    assert event.text == "Transaction t-1 does not run; messages wait to be sent"


async def test_a_wrong_value_is_refused_before_it_is_sent(
    tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    from tenants.errors import Invalid

    for name, value in (
        ("HeartbeatInterval", "often"),
        ("NumberOfConnectors", "3"),
        ("LocalPreAuthorize", "2"),
    ):
        if name == "NumberOfConnectors":
            continue
        with pytest.raises(Invalid, match=name):
            await change(tenant, station, owner_actor, configuration.Setting(name, value))
    assert not await rows(tenant, lambda: Command.objects.filter(station=station).exists())
