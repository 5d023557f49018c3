"""What real stations get wrong, seen on the wire of public implementations: none of it loses a session, doubles it, or
bills nonsense."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from simulator import Car, Clock, Quirks, SimulatedStation
from stations.models import OrphanMessage, Session, Station
from stations.services import rating
from tenants.models import Tenant
from tests.servers import Role
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import applied, in_thread, rows

EVERYWHERE: dict[str, Quirks] = {
    "no boot after reconnect": Quirks(no_boot_after_reconnect=True),
    "status before boot": Quirks(status_before_boot=True),
    "two calls in flight": Quirks(two_calls_in_flight=True),
    "signed OCMF text": Quirks(signed_ocmf=True),
    "repeating message ids": Quirks(repeating_message_ids=True),
    "doubled slash": Quirks(doubled_slash=True),
    "origin header": Quirks(origin="http://charger.example"),
    "white space": Quirks(white_space=True),
    "stop told five times": Quirks(repeat_stop=5),
    "lost start reply": Quirks(lost_start_reply=True),
    "starts anyway": Quirks(starts_anyway=True),
}
ONLY_16 = {
    "bare stop": Quirks(bare_stop=True),
    "empty strings": Quirks(empty_strings=True),
    "unknown words": Quirks(unknown_enum=True),
}
ONLY_2X = {
    "ended twice, same number": Quirks(ended_twice="same"),
    "ended twice, next number": Quirks(ended_twice="next"),
    "number always 0": Quirks(seq_no_always_zero=True),
    "34 characters": Quirks(long_transaction_ids=True),
}
CASES = (
    [(version, name, quirks) for version in VERSIONS for name, quirks in EVERYWHERE.items()]
    + [("1.6", name, quirks) for name, quirks in ONLY_16.items()]
    + [(version, name, quirks) for version in ("2.0.1", "2.1") for name, quirks in ONLY_2X.items()]
)


async def charge(
    gateway: Role, tenant: Tenant, station: Station, uid: str, version: str, quirks: Quirks, **more: Any
) -> Any:
    """Half an hour of charging with a lost line in the middle; the transaction as the station knows it."""
    async with SimulatedStation(
        url=f"{gateway.ws_url}/ocpp/{tenant.slug}",
        identity=station.identity,
        password=station.password,  # type: ignore[attr-defined]
        version=version,
        speed=0,
        quirks=quirks,
        **more,
    ) as simulated:
        await simulated.plug_in(1, Car(soc=0.2))
        transaction = await simulated.start(1, uid)
        await simulated.advance(900)
        await simulated.drop()
        await simulated.back()
        await simulated.advance(900)
        await simulated.stop(1)
        await simulated.unplug(1)
        await simulated.settled()
    await applied(tenant)
    await rows(tenant, lambda: rating.rate_ended(tenant_id=tenant.pk))
    return transaction


@pytest.fixture(autouse=True)
def tariff(make_tariff: Any) -> None:
    make_tariff(is_default=True)


@pytest.mark.parametrize(("version", "name", "quirks"), CASES, ids=[f"{one[0]}-{one[1]}" for one in CASES])
async def test_one_session_with_the_right_energy(
    gateway: Role, tenant: Tenant, station: Station, make_token: Any, version: str, name: str, quirks: Quirks
) -> None:
    token = await in_thread(lambda: make_token(blocked=quirks.starts_anyway))
    transaction = await charge(gateway, tenant, station, token.uid, version, quirks)

    (session,) = await rows(tenant, lambda: list(Session.objects.filter(tenant=tenant, station=station)))
    assert abs(session.energy_wh - Decimal(str(transaction.energy_wh))) <= 2, "the meter tells whole Wh"
    if quirks.starts_anyway:  # it stops by itself once it hears the verdict
        assert "token_refused" in session.flags  # recorded and flagged, not lost
    else:
        assert session.energy_wh > 1000
        assert (session.state, session.flags) == ("rated", [])
    assert not await rows(tenant, lambda: OrphanMessage.objects.filter(tenant=tenant).exists())


@pytest.mark.parametrize("version", VERSIONS)
async def test_watt_hours_called_kilowatt_hours_are_never_billed_unseen(
    gateway: Role, tenant: Tenant, station: Station, make_token: Any, version: str
) -> None:
    token = await in_thread(make_token)
    transaction = await charge(gateway, tenant, station, token.uid, version, Quirks(wh_called_kwh=True))

    (session,) = await rows(tenant, lambda: list(Session.objects.filter(tenant=tenant, station=station)))
    right = abs(session.energy_wh - Decimal(str(transaction.energy_wh))) <= 2
    assert right or session.state == "held"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_clock_that_says_1970_is_never_billed_unseen(
    gateway: Role, tenant: Tenant, station: Station, make_token: Any, version: str
) -> None:
    token = await in_thread(make_token)
    await charge(gateway, tenant, station, token.uid, version, Quirks(), clock=Clock(0, stuck_1970=True))

    (session,) = await rows(tenant, lambda: list(Session.objects.filter(tenant=tenant, station=station)))
    assert session.state == "held"
    assert "bad_timestamp" in session.flags
    assert session.started_at.year >= 2026
