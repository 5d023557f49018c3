"""End to end, from the desk: a station breaks, its log shows why, a hard reset ends it, and new firmware goes in."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from stations.models import Alert, Connector, LogFile, LogRequest, Station
from stations.services.files import contents, logs
from tests.objects import create_image
from tests.stations.files.test_with_simulated_stations import CONTENT, Street, street  # noqa: F401
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import in_thread, reads, rows
from tests.stations.ocpp.test_commands import request, settled


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_broken_station_is_mended_without_a_journey(
    street: Street,  # noqa: F811
    station: Station,
    owner_actor: Any,
    version: str,
) -> None:
    image = await in_thread(
        lambda: create_image(street.tenant, vendor="Voltyard", version="4.0.0", content=CONTENT)
    )
    own = await street.connect(station, version)

    def status() -> str:
        return str(Connector.objects.get(evse__station=station).status)

    await own.fault(1, "GroundFailure", heals="hard_reset")
    await reads(street.tenant, status, "faulted", seconds=30)
    if version == "1.6":
        connector = await rows(street.tenant, lambda: Connector.objects.get(evse__station=station))
        found = (connector.error_code, connector.vendor_error_code, connector.info)
        assert found == ("GroundFailure", "VY-0211", "Residual current 34 mA, limit 30 mA")
    else:
        await reads(
            street.tenant,
            lambda: list(Alert.objects.values_list("tech_code", flat=True)),
            ["VY-0211"],
            seconds=30,
        )

    def fetch() -> LogRequest:
        with override_settings(FILES_URL=street.gateway.url):
            return logs.request(tenant_id=street.tenant.pk, station_id=station.pk, actor=owner_actor)

    asked = await rows(street.tenant, fetch)
    await reads(street.tenant, lambda: LogRequest.objects.get(pk=asked.pk).state, "uploaded", seconds=30)
    file = await rows(street.tenant, lambda: LogFile.objects.get(request=asked))
    shown = await in_thread(lambda: contents.shown(file, member="station.log", only="error"))
    assert [line.text.partition("ERROR ")[2] for line in shown.lines] == [
        "Connector 1: VY-0211 GroundFailure: Residual current 34 mA, limit 30 mA"
    ]

    for hard, after in ((False, "faulted"), (True, "available")):
        boots = own.link.connections
        command = await request(street.tenant, station, owner_actor, "reset", hard=hard)
        assert (await settled(street.tenant, command)).state == "accepted"
        await own.until(lambda: own.link.connections > boots and own.greeted)  # noqa: B023 -- awaited at once
        await own.settled()
        await reads(street.tenant, status, after, seconds=30)
    if version != "1.6":
        await reads(street.tenant, lambda: Alert.objects.filter(cleared_at=None).count(), 0, seconds=30)

    await street.start(image)
    await street.until(lambda now: set(now.values()) == {"installed"})
    await reads(
        street.tenant, lambda: Station.objects.get(pk=station.pk).firmware_version, "4.0.0", seconds=30
    )
