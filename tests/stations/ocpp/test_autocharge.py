"""Autocharge: cars known by what they say of themselves. Off until switched on; the unknown wait for an operator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from fleets.models import Token
from fleets.services import autocharge
from stations.models import Authorization, SeenVehicle, Session, Station
from stations.services.pnc import vehicles
from tenants.models import Tenant
from tests import objects, people
from tests.stations.ocpp.charger import Charger
from tests.stations.ocpp.conftest import Plug, in_thread, rows

VERSIONS = ("1.6", "2.0.1", "2.1")
MAC = "001A2B3C4D5E"
SAYS: dict[str, dict[str, Any]] = {
    "1.6": {"idTag": f"VID:{MAC}"},
    "2.0.1": {"idToken": {"idToken": "00:1a:2b:3c:4d:5e", "type": "MacAddress"}},
    "2.1": {"idToken": {"idToken": "00-1A-2B-3C-4D-5E", "type": "EVCCID"}},
}


async def plugged_in(wire: Charger, version: str) -> str:
    answer = await wire.ok("Authorize", SAYS[version])
    info: dict[str, Any] = answer.get("idTokenInfo") or answer["idTagInfo"]
    return str(info["status"])


async def switch(tenant: Tenant, actor: Any, enabled: bool | None, **where: Any) -> None:
    await rows(tenant, lambda: autocharge.switch(tenant_id=tenant.pk, actor=actor, enabled=enabled, **where))


async def reason(tenant: Tenant) -> str:
    newest = await rows(tenant, lambda: Authorization.objects.filter(tenant=tenant).latest("id"))
    return str(newest.reason)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_car_that_is_known_charges_only_where_it_is_switched_on(
    plug: Plug,
    tenant: Tenant,
    station: Station,
    make_token: Callable[..., Any],
    owner_actor: Any,
    version: str,
) -> None:
    await in_thread(lambda: objects.create_token(tenant, uid=MAC, kind="mac_address"))
    async with plug(station, version) as wire:
        assert await plugged_in(wire, version) == "Invalid"
        assert await reason(tenant) == "autocharge_off"
        await switch(tenant, owner_actor, True)
        assert await plugged_in(wire, version) == "Accepted"
        await switch(tenant, owner_actor, False, site=station.site)
        assert await plugged_in(wire, version) == "Invalid"
        await switch(tenant, owner_actor, None, site=station.site)
        assert await plugged_in(wire, version) == "Accepted"


@pytest.mark.parametrize("version", VERSIONS)
async def test_of_a_strangers_car_nothing_is_collected_while_it_is_off(
    plug: Plug, tenant: Tenant, station: Station, version: str
) -> None:
    async with plug(station, version) as wire:
        assert await plugged_in(wire, version) == "Invalid"
    assert await reason(tenant) == "autocharge_off"
    assert not await rows(tenant, lambda: SeenVehicle.objects.filter(tenant=tenant).exists())


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_strangers_car_is_linked_and_then_recognised(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    await switch(tenant, owner_actor, True)
    driver = await in_thread(lambda: objects.create_driver(tenant))
    api = await in_thread(lambda: people.make_api_client(tenant))
    async with plug(station, version) as wire:
        for _time in range(2):
            assert await plugged_in(wire, version) == "Invalid"
        assert await reason(tenant) == "unknown"
        (seen,) = (await in_thread(lambda: api.read("/seen-vehicles")))["results"]
        assert (seen["uid"], seen["times"], seen["station_id"]) == (MAC, 2, station.pk)
        path = f"/seen-vehicles/{seen['id']}/confirm"
        refused = await in_thread(lambda: api.call("POST", path, {}))
        assert refused.status_code == 409  # to nobody
        token = await in_thread(lambda: api.write("POST", path, {"driver_id": driver.pk}, status=201))
        assert (token["uid"], token["kind"], token["driver_id"]) == (MAC, "mac_address", driver.pk)
        assert await plugged_in(wire, version) == "Accepted"
        assert not (await in_thread(lambda: api.read("/seen-vehicles")))["results"]


async def test_the_card_of_the_same_number_does_not_get_around_the_switch(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    """A token of a car stays one, whatever a station takes it for; and a start obeys the switch as well."""
    await in_thread(lambda: objects.create_token(tenant, uid=MAC, kind="mac_address"))
    async with plug(station, "1.6") as wire:
        assert (await wire.ok("Authorize", {"idTag": MAC}))["idTagInfo"]["status"] == "Invalid"
        told = {"connectorId": 1, "idTag": MAC, "meterStart": 0, "timestamp": timezone.now().isoformat()}
        assert (await wire.ok("StartTransaction", told))["idTagInfo"]["status"] == "Invalid"
    session = await rows(tenant, lambda: Session.objects.get(tenant=tenant))
    assert session.verdict == "invalid"


async def test_sightings_are_bounded_and_forgotten(
    tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    def run() -> tuple[int, int]:
        now = timezone.now()
        for days, uid in ((31, "OLD"), (1, "NEW")):
            at = now - timedelta(days=days)
            SeenVehicle.objects.create(
                tenant=tenant, uid=uid, kind="mac_address", station=station, first_seen_at=at, last_seen_at=at
            )
        gone = vehicles.forget(tenant_id=tenant.pk, now=now)
        return gone, SeenVehicle.objects.filter(tenant=tenant).count()

    assert await rows(tenant, run) == (1, 1)
    vehicle = await rows(tenant, lambda: SeenVehicle.objects.get(tenant=tenant))
    await rows(tenant, lambda: vehicles.dismiss(vehicle=vehicle, actor=owner_actor))
    assert not await rows(tenant, lambda: Token.objects.filter(tenant=tenant).exists())
