"""End to end: simulated stations fetch images and upload logs for real, through the gateway's file door."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from django.test import override_settings

from simulator import SimulatedStation
from simulator.quirks import Quirks
from stations.models import Campaign, FirmwareImage, FirmwareUpdate, LogFile, LogRequest, Station
from stations.services.files import campaigns, contents, logs
from stations.services.files.campaigns import Choice, Rules
from tenants.models import Site, Tenant
from tests.objects import create_image, signed_by_maker
from tests.servers import Role
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import in_thread, rows

CONTENT = b"voltyard-firmware 4.0.0\n" + bytes(300_000)


class Street:
    """Some stations of one site, and the campaign that goes through them."""

    def __init__(self, tenant: Tenant, gateway: Role, actor: Any, stack: contextlib.AsyncExitStack) -> None:
        self.tenant, self.gateway, self.actor, self.stack = tenant, gateway, actor, stack
        self.stations: dict[str, SimulatedStation] = {}
        self.campaign: Campaign

    async def connect(self, station: Station, version: str, **options: Any) -> SimulatedStation:
        password = station.password  # type: ignore[attr-defined]
        simulated = SimulatedStation(
            url=f"{self.gateway.ws_url}/ocpp/{self.tenant.slug}", identity=station.identity,
            password=password, version=version, speed=200, seed=1, back_off=(0.05, 0.5), **options,
        )  # fmt: skip
        self.stations[station.identity] = await self.stack.enter_async_context(simulated)
        return simulated

    async def start(self, image: FirmwareImage, **rules: Any) -> None:
        given = Rules(**({"max_per_site": 10, "max_attempts": 1, "wave_percent": 50} | rules))
        self.campaign = await rows(
            self.tenant,
            lambda: campaigns.start(
                tenant_id=self.tenant.pk,
                name="Street",
                image=image,
                choice=Choice(),
                rules=given,
                actor=self.actor,
            ),
        )

    async def states(self) -> dict[str, str]:
        def read() -> dict[str, str]:
            self.campaign.refresh_from_db()
            found = FirmwareUpdate.objects.filter(campaign=self.campaign).select_related("station")
            return {row.station.identity: row.blocked_by or row.state for row in found}

        return dict(await rows(self.tenant, read))

    async def until(self, what: Callable[[dict[str, str]], bool], seconds: float = 60) -> dict[str, str]:
        """Look again and again, as the sweep does, until it is so."""
        for _look in range(int(seconds / 0.1)):
            with override_settings(FILES_URL=self.gateway.url):
                await rows(self.tenant, lambda: campaigns.advance(tenant_id=self.tenant.pk))
            states = await self.states()
            if what(states):
                return states
            await asyncio.sleep(0.1)
        raise AssertionError(f"it never came true: {await self.states()}")


@pytest.fixture
async def street(tenant: Tenant, gateway: Role, owner_actor: Any) -> AsyncIterator[Street]:
    async with contextlib.AsyncExitStack() as stack:
        yield Street(tenant, gateway, owner_actor, stack)


async def test_six_stations_are_updated_in_waves_and_a_busy_one_waits(
    street: Street, make_station: Callable[..., Station], site: Site
) -> None:
    text, pem = await in_thread(lambda: signed_by_maker(CONTENT, "ECDSA"))
    image = await in_thread(
        lambda: create_image(
            street.tenant,
            vendor="Voltyard",
            version="4.0.0",
            content=CONTENT,
            signature=text,
            certificate=pem,
        )
    )
    made = [
        await in_thread(lambda number=number: make_station(site=site, identity=f"SIM-{number}"))  # type: ignore[misc]
        for number in range(1, 7)
    ]
    for station, version in zip(made, VERSIONS * 2, strict=True):
        await street.connect(station, version)
    busy = street.stations["SIM-6"]
    await busy.plug_in(1)
    await busy.settled()
    await asyncio.sleep(1)  # its status is applied from the journal
    await street.start(image, canary=1)
    assert sum(state == "wave" for state in (await street.states()).values()) == 5
    states = await street.until(lambda now: list(now.values()).count("installed") == 5)
    assert states["SIM-6"] == "busy" and street.campaign.state == "running"
    assert {one.firmware for name, one in street.stations.items() if name != "SIM-6"} == {"4.0.0"}
    await busy.unplug(1)
    await street.until(lambda now: set(now.values()) == {"installed"})
    await street.until(lambda _now: street.campaign.state == "finished")
    found = await rows(
        street.tenant,
        lambda: list(FirmwareUpdate.objects.filter(campaign=street.campaign).select_related("image")),
    )
    assert {update.percent for update in found} == {100}
    assert {update.signed for update in found} == {True}
    assert {update.from_version for update in found} == {"3.2.1"}


async def test_failures_halt_the_campaign(
    street: Street, make_station: Callable[..., Station], site: Site
) -> None:
    image = await in_thread(
        lambda: create_image(street.tenant, vendor="Voltyard", version="4.0.0", content=CONTENT)
    )
    fails = {"SIM-1": "install", "SIM-2": "download", "SIM-3": "", "SIM-4": "", "SIM-5": "", "SIM-6": ""}
    for number, (identity, how) in enumerate(fails.items()):
        station = await in_thread(lambda identity=identity: make_station(site=site, identity=identity))  # type: ignore[misc]
        await street.connect(station, VERSIONS[number % 3], quirks=Quirks(firmware_fails=how))  # type: ignore[arg-type]
    await street.start(image, canary=2, max_failures=2)
    states = await street.until(lambda _now: street.campaign.state == "halted")
    assert (states["SIM-1"], states["SIM-2"]) == ("failed", "failed")
    await street.until(lambda now: list(now.values()).count("paused") == 4)
    assert "bound is 2" in street.campaign.reason
    assert {one.firmware for one in street.stations.values()} == {"3.2.1"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("form", [False, True])
async def test_a_log_comes_in_and_can_be_read(
    street: Street, station: Station, owner_actor: Any, version: str, form: bool
) -> None:
    simulated = await street.connect(station, version, quirks=Quirks(log_by_form=form))

    def ask() -> LogRequest:
        with override_settings(FILES_URL=street.gateway.url):
            return logs.request(tenant_id=street.tenant.pk, station_id=station.pk, actor=owner_actor)

    asked = await rows(street.tenant, ask)
    await simulated.received("GetDiagnostics" if version == "1.6" else "GetLog")
    for _look in range(200):
        now = await rows(street.tenant, lambda: LogRequest.objects.get(pk=asked.pk))
        if now.told_at and now.arrived_at:
            break
        await asyncio.sleep(0.05)
    assert (now.state, now.station_word) == ("uploaded", "Uploaded")
    file = await rows(street.tenant, lambda: LogFile.objects.get(request=asked))
    shown = await in_thread(lambda: contents.shown(file, member="frames.log"))
    assert file.content_type == "application/zip" and file.name.endswith(".zip")
    assert any("BootNotification" in line.text for line in shown.lines)
