"""Monitors, alerts, event streams, customers' data and network profiles over the wire."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from stations.models import (
    Alert,
    CustomerQuery,
    CustomerQueryState,
    Frame,
    Monitor,
    MonitorState,
    NetworkProfile,
    Station,
    StationEvent,
    Stream,
    StreamValue,
    Variable,
)
from stations.services import alerts, customers, monitors, networks
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.models import Role, Tenant
from tests.stations.ocpp.charger import BOOT, Charger
from tests.stations.ocpp.conftest import Plug, applied, reads, rows
from tests.stations.ocpp.test_commands import request, settled

V2 = ["2.0.1", "2.1"]
TEMPERATURE = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Temperature"}}
HOT: dict[str, Any] = {
    "component": "EVSE", "evse": 1, "name": "Temperature", "kind": "upper", "value": 80, "severity": 3,
}  # fmt: skip


async def watch(
    tenant: Tenant, station: Station, actor: Any, wire: Charger, number: int = 12, word: str = "Accepted"
) -> list[Any]:
    await rows(
        tenant,
        lambda: monitors.set_monitors(
            tenant_id=tenant.pk, station_id=station.pk, monitors=[HOT], actor=actor
        ),
    )
    call = await wire.next_call()
    result = TEMPERATURE | {"type": "UpperThreshold", "severity": 3, "status": word}
    await wire.answer(
        call, {"setMonitoringResult": [result | ({"id": number} if word == "Accepted" else {})]}
    )
    await reads(
        tenant, lambda: Monitor.objects.filter(station=station, state=MonitorState.ASKED).exists(), False
    )
    return call


def monitors_of(station: Station) -> list[tuple[int | None, str, float, int]]:
    found = Monitor.objects.filter(station=station).exclude(state="cleared").order_by("id")
    return [(one.number, one.state, one.value, one.severity) for one in found]


@pytest.mark.parametrize("version", V2)
async def test_a_monitor_is_set_listed_and_removed(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        call = await watch(tenant, station, owner_actor, wire)
        asked = TEMPERATURE | {"type": "UpperThreshold", "value": 80, "severity": 3}
        assert call[2:] == ["SetVariableMonitoring", {"setMonitoringData": [asked]}]
        assert await rows(tenant, lambda: monitors_of(station)) == [(12, "set", 80.0, 3)]
        command = await request(tenant, station, owner_actor, "clear_monitors", ids=[12])
        call = await wire.next_call()
        assert call[2:] == ["ClearVariableMonitoring", {"id": [12]}]
        await wire.answer(call, {"clearMonitoringResult": [{"id": 12, "status": "Accepted"}]})
        assert (await settled(tenant, command)).state == "accepted"
    assert await rows(tenant, lambda: monitors_of(station)) == []


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("word", ["UnknownVariable", "UnsupportedMonitorType", "Rejected", "Duplicate"])
async def test_a_monitor_that_is_refused_says_why(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str, word: str
) -> None:
    async with plug(station, version) as wire:
        await watch(tenant, station, owner_actor, wire, word=word)
    (refused,) = await rows(tenant, lambda: list(Monitor.objects.filter(station=station)))
    assert refused.state == MonitorState.REFUSED and refused.reason


@pytest.mark.parametrize("version", V2)
async def test_what_a_station_watches_is_told_in_parts(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    """N02. What the complete report does not name is gone."""
    async with plug(station, version) as wire:
        await watch(tenant, station, owner_actor, wire, number=5)
        command = await request(tenant, station, owner_actor, "read_monitors")
        call = await wire.next_call()
        number = call[3]["requestId"]
        assert call[2:] == ["GetMonitoringReport", {"requestId": number}]
        await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, command)
        for part, monitor in ((1, 22), (0, 21)):
            told = {"id": monitor, "transaction": False, "value": 7, "type": "Delta", "severity": 6}
            if version == "2.1":
                told["eventNotificationType"] = "PreconfiguredMonitor"
            await wire.ok(
                "NotifyMonitoringReport",
                {
                    "requestId": number, "seqNo": part, "tbc": part == 0, "generatedAt": "2026-11-23T10:00:00Z",
                    "monitor": [TEMPERATURE | {"variableMonitoring": [told]}],
                },
            )  # fmt: skip
        await applied(tenant)
    found = await rows(tenant, lambda: monitors_of(station))
    assert sorted(found) == [(21, "set", 7.0, 6), (22, "set", 7.0, 6)]


def event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "eventId": number, "timestamp": timezone.now().isoformat(), "trigger": "Alerting", "actualValue": "92",
        "eventNotificationType": "CustomMonitor", "variableMonitoringId": 12, **TEMPERATURE, **more,
    }  # fmt: skip


async def tell(wire: Charger, tenant: Tenant, *events: dict[str, Any]) -> None:
    await wire.ok(
        "NotifyEvent",
        {"generatedAt": "2026-11-23T10:00:00Z", "seqNo": 0, "tbc": False, "eventData": list(events)},
    )
    await applied(tenant)


@pytest.mark.parametrize("version", V2)
async def test_an_alert_opens_counts_and_closes(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        await watch(tenant, station, owner_actor, wire)
        first = event(1, techCode="E-42", techInfo="fan", transactionId="t-1", cause=7)
        await tell(wire, tenant, first)
        await tell(wire, tenant, first)  # told again: nothing new
        alert = await rows(tenant, lambda: Alert.objects.get(station=station))
        # 2.0.1 does not tell a severity: the monitor's counts.
        assert (alert.severity, alert.count, alert.cleared_at) == (3, 1, None)
        assert (alert.tech_code, alert.tech_info, alert.transaction_id, alert.cause_number) == (
            "E-42",
            "fan",
            "t-1",
            7,
        )
        await tell(wire, tenant, event(2, actualValue="95"))
        alert = await rows(tenant, lambda: Alert.objects.get(station=station))
        assert (alert.count, alert.value) == (2, "95")
        await tell(wire, tenant, event(3, actualValue="60", cleared=True))
    alert = await rows(tenant, lambda: Alert.objects.get(station=station))
    assert alert.cleared_at is not None and alert.value == "60"
    events = await rows(
        tenant, lambda: list(StationEvent.objects.filter(station=station, kind="monitor").order_by("id"))
    )
    assert [one.severity for one in events] == ["error", "error", "error", "info"]
    assert events[0].text == "Critical: EVSE#1.Temperature is 92 (E-42)"
    value = await rows(tenant, lambda: Variable.objects.get(station=station, name="Temperature").value)
    assert value == "60"


async def test_an_alert_of_a_built_in_monitor_is_closed_by_hand(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "2.1") as wire:
        told = event(1, eventNotificationType="HardWiredNotification", severity=1)
        told.pop("variableMonitoringId")
        await tell(wire, tenant, told)
    alert = await rows(tenant, lambda: Alert.objects.select_related("station").get(station=station))
    assert (alert.severity, alert.base) == (1, "notification")
    closed = await rows(tenant, lambda: alerts.close(alert=alert, actor=owner_actor))
    assert closed.cleared_at is not None and closed.cleared_by == owner_actor.label


async def test_absurd_events_break_nothing(plug: Plug, tenant: Tenant, station: Station) -> None:
    """Numbers beyond all bounds, an evse that cannot be, times of another age."""
    odd = event(2**40, timestamp="0001-01-01T00:00:00Z", variableMonitoringId=2**40, severity=77, cause=2**40)
    odd["component"] = {"name": "X" * 50, "evse": {"id": 2**31}}
    async with plug(station, "2.1") as wire:
        await tell(wire, tenant, odd)
        await tell(wire, tenant, event(1))
    assert await rows(tenant, lambda: Alert.objects.filter(station=station).count()) == 2


@pytest.mark.parametrize("version", V2)
async def test_the_set_and_the_level_of_monitoring_are_chosen_and_known(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        command = await request(tenant, station, owner_actor, "set_monitoring_level", severity=4)
        call = await wire.next_call()
        assert call[2:] == ["SetMonitoringLevel", {"severity": 4}]
        await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, command)
        command = await request(tenant, station, owner_actor, "set_monitoring_base", base="hard_wired")
        call = await wire.next_call()
        assert call[2:] == ["SetMonitoringBase", {"monitoringBase": "HardWiredOnly"}]
        await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, command)
        call = await wire.next_call()  # the list has changed: it is asked for
        assert call[2] == "GetMonitoringReport"
        await wire.answer(call, {"status": "EmptyResultSet"})
    found = await rows(
        tenant, lambda: dict(Variable.objects.filter(station=station).values_list("name", "value"))
    )
    assert found == {"ActiveMonitoringLevel": "4", "ActiveMonitoringBase": "HardWiredOnly"}


# --- event streams (2.1) ---


def stream_data(number: int) -> dict[str, Any]:
    return {
        "constantStreamData": {
            "id": number,
            "variableMonitoringId": 12,
            "params": {"interval": 60, "values": 5},
        }
    }


async def test_a_stream_is_opened_fed_changed_and_closed(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "2.1") as wire:
        assert await wire.ok("OpenPeriodicEventStream", stream_data(7)) == {"status": "Accepted"}
        told = {
            "id": 7, "pending": 2, "basetime": timezone.now().isoformat(),
            "data": [{"t": 0, "v": "20.5"}, {"t": 1.5, "v": "21"}, {"t": 3, "v": "n/a"}],
        }  # fmt: skip
        for message in ("a", "b"):  # the second is a repeat
            await wire.raw(json.dumps([6, message, "NotifyPeriodicEventStream", told]))
        await wire.ok("Heartbeat", {})
        await applied(tenant)
        numbers = await rows(
            tenant,
            lambda: list(
                StreamValue.objects.filter(stream__station=station)
                .order_by("at")
                .values_list("number", flat=True)
            ),
        )
        assert numbers == [20.5, 21.0, None]
        command = await request(tenant, station, owner_actor, "adjust_stream", id=7, interval_s=30)
        call = await wire.next_call()
        assert call[2:] == ["AdjustPeriodicEventStream", {"id": 7, "params": {"interval": 30}}]
        await wire.answer(call, {"status": "Accepted"})
        await settled(tenant, command)
        stream = await rows(tenant, lambda: Stream.objects.get(station=station))
        assert (stream.interval_s, stream.values_per_message, stream.pending, stream.monitor_number) == (
            30,
            5,
            2,
            12,
        )
        await wire.ok("ClosePeriodicEventStream", {"id": 7})
        await applied(tenant)
    stream = await rows(tenant, lambda: Stream.objects.get(station=station))
    assert stream.closed_at is not None


async def test_the_streams_that_are_open_are_those_the_station_names(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "2.1") as wire:
        for number in (1, 2):
            await wire.ok("OpenPeriodicEventStream", stream_data(number))
        command = await request(tenant, station, owner_actor, "read_streams")
        call = await wire.next_call()
        assert call[2:] == ["GetPeriodicEventStream", {}]
        await wire.answer(call, {"constantStreamData": [stream_data(2)["constantStreamData"]]})
        await settled(tenant, command)
    found = Stream.objects.filter(station=station, closed_at=None).values_list("number", flat=True)
    assert await rows(tenant, lambda: list(found)) == [2]


# --- customers' data ---


def customer_part(number: int, part: int, text: str, *, more: bool) -> dict[str, Any]:
    return {
        "requestId": number, "seqNo": part, "data": text, "tbc": more, "generatedAt": "2026-11-23T10:00:00Z",
    }  # fmt: skip


async def ask_customer(tenant: Tenant, station: Station, actor: Any, **more: Any) -> CustomerQuery:
    return await rows(
        tenant,
        lambda: customers.ask(
            tenant_id=tenant.pk,
            station_id=station.pk,
            actor=actor,
            **({"token_uid": "04A2B3", "report": True} | more),
        ),
    )


@pytest.mark.parametrize("version", V2)
async def test_a_customers_data_is_collected_read_and_deleted(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    """N09. It stands in no frame, and is encrypted in its row."""
    async with plug(station, version) as wire:
        query = await ask_customer(tenant, station, owner_actor)
        call = await wire.next_call()
        number = call[3]["requestId"]
        assert call[2:] == [
            "CustomerInformation",
            {
                "idToken": {"idToken": "04A2B3", "type": "Central"},
                "requestId": number,
                "report": True,
                "clear": False,
            },
        ]
        await wire.answer(call, {"status": "Accepted"})
        await wire.ok("NotifyCustomerInformation", customer_part(number, 1, "Diggle", more=False))
        with pytest.raises(Conflict):
            await rows(
                tenant,
                lambda: customers.delete(
                    query=CustomerQuery.objects.select_related("station").get(pk=query.pk), actor=owner_actor
                ),
            )
        await wire.ok("NotifyCustomerInformation", customer_part(number, 0, "Dora ", more=True))
        await wire.ok("NotifyCustomerInformation", customer_part(number, 0, "Dora ", more=True))

    def read() -> tuple[str, str]:
        found = CustomerQuery.objects.select_related("station").get(pk=query.pk)
        return found.state, customers.text_of(query=found, actor=owner_actor)

    assert await rows(tenant, read) == (CustomerQueryState.COMPLETE, "Dora Diggle")
    frames = await rows(
        tenant, lambda: [(f.action, f.payload) for f in Frame.objects.filter(tenant=tenant, station=station)]
    )
    assert any(action == "NotifyCustomerInformation" for action, _payload in frames)
    assert not any("Dora" in payload or "Diggle" in payload for _action, payload in frames)

    def raw() -> str:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT told FROM stations_customerquery WHERE id = %s", [query.pk])
            return str(cursor.fetchone()[0])

    assert "Dora" not in await rows(tenant, raw)
    found = await rows(tenant, lambda: CustomerQuery.objects.select_related("station").get(pk=query.pk))
    await rows(tenant, lambda: customers.delete(query=found, actor=owner_actor))
    assert (await rows(tenant, lambda: CustomerQuery.objects.get(pk=query.pk))).told == ""


@pytest.mark.parametrize("version", V2)
async def test_a_customer_is_forgotten_on_request(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    """N10: deletion without a report."""
    async with plug(station, version) as wire:
        query = await ask_customer(tenant, station, owner_actor, report=False, clear=True)
        call = await wire.next_call()
        assert (call[3]["report"], call[3]["clear"]) == (False, True)
        await wire.answer(call, {"status": "Accepted"})
        read = lambda: CustomerQuery.objects.get(pk=query.pk).state  # noqa: E731
        await reads(tenant, read, CustomerQueryState.CLEARED)
        query = await ask_customer(tenant, station, owner_actor)
        await wire.answer(await wire.next_call(), {"status": "Invalid"})
        await reads(tenant, read, CustomerQueryState.REFUSED)


async def test_what_nobody_asked_for_is_not_kept_and_the_rest_not_for_long(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "2.0.1") as wire:
        await wire.ok("NotifyCustomerInformation", customer_part(9, 0, "Somebody", more=False))
        assert await rows(tenant, lambda: CustomerQuery.objects.filter(station=station).exists()) is False
        query = await ask_customer(tenant, station, owner_actor)
        call = await wire.next_call()
        await wire.answer(call, {"status": "Accepted"})
        await wire.ok("NotifyCustomerInformation", customer_part(call[3]["requestId"], 0, "Dora", more=True))
    now = timezone.now()
    await rows(tenant, lambda: customers.sweep(tenant_id=tenant.pk, now=now + timedelta(minutes=11)))
    read = lambda: CustomerQuery.objects.get(pk=query.pk)  # noqa: E731
    assert (await rows(tenant, read)).state == CustomerQueryState.INCOMPLETE
    await rows(tenant, lambda: customers.sweep(tenant_id=tenant.pk, now=now + timedelta(hours=25)))
    kept = await rows(tenant, read)
    assert (kept.state, kept.told) == (CustomerQueryState.DELETED, "")


async def test_who_may_not_see_drivers_asks_nothing_of_customers(
    tenant: Tenant, station: Station, make_actor: Any
) -> None:
    for role in (Role.TECHNICIAN, Role.BILLING):
        actor = await rows_free(make_actor, role)
        with pytest.raises(Forbidden):
            await ask_customer(tenant, station, actor)


async def rows_free(make: Any, *arguments: Any) -> Any:
    from tests.stations.ocpp.conftest import in_thread

    return await in_thread(lambda: make(*arguments))


# --- network profiles ---


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize(
    ("word", "state"), [("Accepted", "set"), ("Rejected", "refused"), ("Failed", "refused")]
)
async def test_a_network_profile_is_set_and_its_secrets_kept_nowhere(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str, word: str, state: str
) -> None:
    profile = {
        "slot": 2, "url": "wss://new.example.com/ocpp", "ocpp_version": "2.0.1", "interface": "wireless0",
        "security_profile": 2, "apn": {"name": "internet", "password": "apn-word-1", "pin_secret": "4711"},
        "vpn": {"server": "vpn.example.com", "user": "u", "password": "vpn-word-1", "key_secret": "shared-key-1"},
    }  # fmt: skip
    async with plug(station, version) as wire:
        await rows(
            tenant,
            lambda: networks.set_profile(
                tenant_id=tenant.pk, station_id=station.pk, actor=owner_actor, **profile
            ),
        )
        call = await wire.next_call()
        assert call[2] == "SetNetworkProfile"
        data = call[3]["connectionData"]
        assert call[3]["configurationSlot"] == 2
        assert data["ocppVersion"] == ("OCPP20" if version == "2.0.1" else "OCPP201")
        assert (data["apn"]["simPin"], data["vpn"]["key"]) == (4711, "shared-key-1")
        await wire.answer(call, {"status": word})
        read = lambda: NetworkProfile.objects.get(station=station).state  # noqa: E731
        await reads(tenant, read, state)
        await wire.ok("Heartbeat", {})
    frames = await rows(
        tenant, lambda: " ".join(f.payload for f in Frame.objects.filter(tenant=tenant, station=station))
    )
    for secret in ("apn-word-1", "4711", "vpn-word-1", "shared-key-1"):
        assert secret not in frames


async def test_the_order_of_the_slots_is_a_setting(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    """B10: by NetworkConfigurationPriority."""
    async with plug(station, "2.0.1") as wire:
        await wire.ok("BootNotification", BOOT["2.0.1"])
        await rows(
            tenant,
            lambda: networks.set_priority(
                tenant_id=tenant.pk, station_id=station.pk, slots=[2, 1], actor=owner_actor
            ),
        )
        call = await wire.next_call()
        (asked,) = call[3]["setVariableData"]
        assert (asked["variable"]["name"], asked["attributeValue"]) == ("NetworkConfigurationPriority", "2,1")
    with pytest.raises(Invalid):
        await rows(
            tenant,
            lambda: networks.set_priority(
                tenant_id=tenant.pk, station_id=station.pk, slots=[2, 2], actor=owner_actor
            ),
        )
