"""The main job, end to end: a charger not written here boots, charges, is stopped from the desk, and is billed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.client import connect

from billing.models import Charge, SiteTariff
from stations.models import Command, CommandState, Connector, Frame, Reading, Session, Station
from stations.services import commands, rating
from tenants.models import Site, Tenant
from tests.servers import Role
from tests.stations.ocpp.charger import SUBPROTOCOL, VERSIONS, basic
from tests.stations.ocpp.conftest import applied, in_thread, rows
from tests.stations.ocpp.package_client import CHARGE, CLIENTS, METER_STOP_WH


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_foreign_client_charges_is_stopped_and_is_billed(
    gateway: Role,
    tenant: Tenant,
    site: Site,
    station: Station,
    make_token: Any,
    make_tariff: Any,
    owner_actor: Any,
    version: str,
) -> None:
    token = await in_thread(make_token)
    tariff = await in_thread(make_tariff)
    await rows(tenant, lambda: SiteTariff.objects.create(tenant=tenant, site=site, tariff=tariff))
    url = f"{gateway.ws_url}/ocpp/{tenant.slug}/{station.identity}"
    headers = {"Authorization": basic(station.identity, station.password)}  # type: ignore[attr-defined]
    async with connect(url, subprotocols=[SUBPROTOCOL[version]], additional_headers=headers) as socket:  # type: ignore[list-item]
        client = CLIENTS[version](station.identity, socket)
        reader = asyncio.create_task(client.start())
        began = datetime.now(UTC).replace(microsecond=0) - CHARGE

        assert await client.boot() == "Accepted"
        assert await client.authorize(token.uid) == "Accepted"
        transaction_id = await client.begin(token.uid, began)
        for step in range(1, 6):
            await client.meter(10_000 + step * 1_500, 18_000, began + CHARGE * step / 6)

        command = await rows(
            tenant,
            lambda: commands.request_command(
                tenant_id=tenant.pk,
                station_id=station.pk,
                kind="stop",
                arguments={"transaction_id": transaction_id},
                actor=owner_actor,
            ),
        )
        await asyncio.wait_for(client.stopped.wait(), 10)
        await client.end(token.uid, began + CHARGE)
        reader.cancel()

    await applied(tenant)
    await rows(tenant, lambda: rating.rate_ended(tenant_id=tenant.pk, limit=10))

    session = await rows(tenant, lambda: Session.objects.get(tenant=tenant, station=station))
    assert (session.state, session.flags, session.held_reason) == ("rated", [], "")
    assert session.transaction_id == transaction_id
    assert session.energy_wh == METER_STOP_WH - 10_000
    assert (session.started_at, session.ended_at) == (began, began + CHARGE)
    assert session.token_id == token.pk

    # 8.25 kWh x 0.49 + 1.00, plus 19 % tax
    charge = await rows(tenant, lambda: Charge.objects.get(tenant=tenant, subject=f"session:{session.pk}"))
    assert (charge.excl_tax, charge.incl_tax) == (Decimal("5.04"), Decimal("6.00"))
    assert session.cost_incl_tax == charge.incl_tax

    powers = await rows(
        tenant,
        lambda: list(
            Reading.objects.filter(tenant=tenant, station=station).values_list("power_w", flat=True)
        ),
    )
    assert powers.count(18_000.0) == 5
    actions = await rows(
        tenant,
        lambda: list(Frame.objects.filter(tenant=tenant, station=station).values_list("action", flat=True)),
    )
    assert {"BootNotification", "Authorize", "StatusNotification"} <= set(actions)
    assert (await rows(tenant, lambda: Command.objects.get(pk=command.pk))).state == CommandState.ACCEPTED
    connector = await rows(tenant, lambda: Connector.objects.get(tenant=tenant, evse__station=station))
    assert connector.status == "available"
