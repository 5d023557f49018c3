"""Battery swap stations (2.1, block S): what goes in and out, and what is in the slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stations.models import BatterySlot, BatterySwap, Station, SwapState
from stations.services import swaps
from tenants.models import Tenant
from tests.people import ApiClient
from tests.stations.ocpp.conftest import Plug, applied, in_thread, rows
from tests.stations.ocpp.test_commands import settled


def battery(slot: int, serial: str, soc: float, **more: Any) -> dict[str, Any]:
    return {"evseId": slot, "serialNumber": serial, "soC": soc, "soH": 97.5, **more}


def swap(kind: str, request: int, *batteries: dict[str, Any]) -> dict[str, Any]:
    token = {"idToken": "04A2B3C4", "type": "ISO14443"}
    return {"eventType": kind, "requestId": request, "idToken": token, "batteryData": list(batteries)}


async def only_swap(tenant: Tenant) -> BatterySwap:
    found: BatterySwap = await rows(tenant, lambda: BatterySwap.objects.get(tenant=tenant))
    return found


async def test_a_swap_begun_at_the_station_is_one_row_and_changes_the_slots(
    plug: Plug, tenant: Tenant, station: Station, make_token: Callable[..., Any]
) -> None:
    token = await in_thread(lambda: make_token(uid="04A2B3C4"))
    async with plug(station, "2.1") as wire:
        empty = battery(1, "OLD-1", 12, productionDate="2024-05-01T00:00:00Z", vendorInfo="v2")
        assert await wire.ok("BatterySwap", swap("BatteryIn", 7, empty)) == {}
        await applied(tenant)
        assert (await only_swap(tenant)).state == SwapState.BATTERY_IN
        full = battery(2, "NEW-9", 96)
        for _twice in range(2):
            await wire.ok("BatterySwap", swap("BatteryOut", 7, full))
        await applied(tenant)
    done = await only_swap(tenant)
    assert (done.state, done.token_id) == (SwapState.DONE, token.pk)
    assert [one["serial_number"] for one in done.put_in + done.taken_out] == ["OLD-1", "NEW-9"]
    slots = await rows(
        tenant, lambda: {one.evse_number: one for one in BatterySlot.objects.filter(tenant=tenant)}
    )
    assert (slots[1].present, slots[1].serial_number, slots[1].soc_percent) == (True, "OLD-1", 12)
    assert slots[1].produced_at.year == 2024
    assert (slots[2].present, slots[2].serial_number) == (False, "")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"status": "Accepted"}, SwapState.ASKED),
        ({"status": "Rejected", "statusInfo": {"reasonCode": "NoFullBattery"}}, SwapState.REFUSED),
    ],
)
async def test_a_swap_that_is_asked_for_is_followed(
    plug: Plug,
    tenant: Tenant,
    station: Station,
    api_client: Callable[..., ApiClient],
    answer: Any,
    state: str,
) -> None:
    async with plug(station, "2.1") as wire:
        await wire.ok("Heartbeat", {})
        api = await in_thread(api_client)
        body = {"token_uid": "04A2B3C4", "token_kind": "iso14443"}
        asked = await in_thread(lambda: api.write("POST", f"/stations/{station.pk}/swaps", body, status=202))
        call = await wire.next_call()
        assert call[2] == "RequestBatterySwap"
        assert call[3]["idToken"] == {"idToken": "04A2B3C4", "type": "ISO14443"}
        await wire.answer(call, answer)
        await settled(tenant, type("C", (), {"pk": asked["command_id"]}))  # type: ignore[arg-type]
        found = await only_swap(tenant)
        assert found.state == state and found.request_id == call[3]["requestId"]
        if state == SwapState.REFUSED:
            assert found.detail == "NoFullBattery"
            return
        await wire.ok("BatterySwap", swap("BatteryIn", call[3]["requestId"], battery(1, "OLD-1", 12)))
        await wire.ok("BatterySwap", swap("BatteryOutTimeout", call[3]["requestId"], battery(2, "NEW-9", 96)))
        await applied(tenant)
    over = await only_swap(tenant)
    assert over.state == SwapState.TIMED_OUT and "in time" in over.detail
    slot = await rows(tenant, lambda: BatterySlot.objects.get(tenant=tenant, evse_number=2))
    assert slot.present  # nobody took it


async def test_slots_of_a_station_that_lies_are_bounded(plug: Plug, tenant: Tenant, station: Station) -> None:
    async with plug(station, "2.1") as wire:
        many = [battery(number, f"B{number}", 50) for number in range(swaps.MOST_SLOTS + 50)]
        await wire.ok("BatterySwap", swap("BatteryIn", 1, *many))
        await wire.ok("BatterySwap", swap("BatteryIn", 2, battery(10**12, "far", 50)))
        await applied(tenant)
    kept = await rows(tenant, lambda: BatterySlot.objects.filter(tenant=tenant).count())
    assert kept == swaps.MOST_SLOTS
