"""A simulated station of 2.1 (2.0.1, 1.6) plays all that drivers see and pay, against the real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from billing.models import Tariff
from fleets.models import Token
from simulator.driver import Battery
from simulator.station import SimulatedStation
from stations.models import (
    BatterySlot,
    BatterySwap,
    Command,
    DisplayMessage,
    Session,
    SessionCost,
    Settlement,
    Station,
    StationTariff,
    Variable,
    WebPayment,
)
from stations.services import (
    commands,
    costs,
    displays,
    prepaid,
    rating,
    settlements,
    station_tariffs,
    swaps,
    web_payments,
)
from tenants.models import Tenant
from tenants.permissions import system
from tests.servers import Role
from tests.stations.ocpp.conftest import applied, in_thread, rows

VERSIONS = ("1.6", "2.0.1", "2.1")
ACTOR = system("tests")


def simulated(gateway: Role, tenant: Tenant, station: Station, version: str, **more: Any) -> SimulatedStation:
    """Its time stands still until it is moved."""
    return SimulatedStation(
        url=f"{gateway.ws_url}/ocpp/{tenant.slug}", identity=station.identity, version=version,
        password=station.password, speed=0, auto_plug=0, **more,  # type: ignore[attr-defined]
    )  # fmt: skip


async def quiet(tenant: Tenant) -> None:
    """All commands are settled, all that was told is applied."""
    for _try in range(150):
        busy = await rows(
            tenant, lambda: Command.objects.filter(tenant=tenant, state__in=("queued", "sent")).exists()
        )
        if not busy:
            break
        await asyncio.sleep(0.1)
    await applied(tenant)


async def ask(tenant: Tenant, station: Station, kind: str, **arguments: Any) -> None:
    await rows(
        tenant,
        lambda: commands.request_command(
            tenant_id=tenant.pk, station_id=station.pk, kind=kind, arguments=arguments, actor=ACTOR
        ),
    )
    await quiet(tenant)


async def read_settings(tenant: Tenant, station: Station, version: str) -> None:
    await ask(tenant, station, "read_configuration" if version == "1.6" else "read_report")
    for _try in range(50):
        if await rows(tenant, lambda: Variable.objects.filter(station=station).exists()):
            return
        await asyncio.sleep(0.1)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def card(make_token: Callable[..., Token]) -> Token:
    return make_token(uid="04A2B3C4")


@pytest.fixture
def tariff(make_tariff: Callable[..., Tariff]) -> Tariff:
    return make_tariff(is_default=True)


@pytest.mark.parametrize("version", VERSIONS)
async def test_prices_are_shown_while_charging_and_at_the_end(
    gateway: Role, tenant: Tenant, station: Station, card: Token, tariff: Tariff, version: str
) -> None:
    async with simulated(gateway, tenant, station, version) as own:
        await read_settings(tenant, station, version)
        await own.plug_in(1)
        started = await own.start(1, card.uid)
        await own.advance(900)
        await quiet(tenant)
        await rows(tenant, lambda: costs.sweep(tenant_id=tenant.pk, now=now()))
        await quiet(tenant)
        cost = await rows(tenant, lambda: SessionCost.objects.get(tenant=tenant))
        assert own.screen.running == {str(started.id): float(cost.shown)}
        if version == "1.6":
            assert "0.49 EUR per kWh" in own.screen.user_price
        stopped = await own.stop(1)
        await applied(tenant)
        await rows(tenant, lambda: rating.rate_ended(tenant_id=tenant.pk))
        await rows(tenant, lambda: costs.sweep(tenant_id=tenant.pk, now=now()))
        await quiet(tenant)
        billed = (await rows(tenant, lambda: Session.objects.get(tenant=tenant))).cost_incl_tax
        assert stopped is not None and billed is not None
        shown = own.screen.final[str(started.id)] if version == "1.6" else stopped.total_cost
        assert shown == float(billed)


@pytest.mark.parametrize("version", VERSIONS[1:])
async def test_messages_are_shown_listed_and_go_with_their_session(
    gateway: Role, tenant: Tenant, station: Station, card: Token, version: str
) -> None:
    async with simulated(gateway, tenant, station, version) as own:
        own.screen.messages[900] = {
            "id": 900, "priority": "NormalCycle", "message": {"format": "UTF8", "content": "Welcome"},
        }  # fmt: skip
        await own.plug_in(1)
        started = await own.start(1, card.uid)

        def write(**values: Any) -> Any:
            contents = [{"language": "en", "format": "utf8", "text": "Free coffee"}]
            fresh = [Station.objects.get(pk=station.pk)]
            return displays.write(
                tenant_id=tenant.pk, actor=ACTOR, stations=fresh, contents=contents, **values
            )

        await rows(tenant, write)
        await rows(tenant, lambda: write(transaction_id=started.id))
        await quiet(tenant)
        assert len(own.screen.messages) == 3
        await own.stop(1)
        await rows(tenant, lambda: displays.ask(station=station, actor=ACTOR))
        await quiet(tenant)
        assert len(own.screen.messages) == 2
        for _try in range(50):
            found = await rows(
                tenant,
                lambda: sorted(
                    (one.text, one.standing) for one in DisplayMessage.objects.filter(station=station)
                ),
            )
            if ("Welcome", "shown") in found and ("Free coffee", "missing") in found:
                break
            await applied(tenant)
            await asyncio.sleep(0.1)
        assert found == [("Free coffee", "missing"), ("Free coffee", "shown"), ("Welcome", "shown")]


async def test_a_station_that_keeps_tariffs_reckons_what_is_billed_and_its_terminal_is_matched(
    gateway: Role, tenant: Tenant, station: Station, card: Token, tariff: Tariff
) -> None:
    async with simulated(gateway, tenant, station, "2.1") as own:
        await read_settings(tenant, station, "2.1")
        for _twice in range(2):
            await rows(tenant, lambda: station_tariffs.sync(tenant_id=tenant.pk, now=now()))
            await quiet(tenant)
        kept = await rows(tenant, lambda: StationTariff.objects.get(station=station))
        assert kept.standing == "installed" and kept.told is not None
        assert own.screen.tariffs[0]["tariff_id"] == kept.wire_id
        await own.plug_in(1)
        await own.start(1, card.uid)
        await own.advance(1800)
        stopped = await own.stop(1)
        assert stopped is not None and stopped.total_cost is not None
        await own.settle_payment(stopped, stopped.total_cost, receipt_id="R-1")
        await rows(tenant, lambda: rating.rate_ended(tenant_id=tenant.pk))
        await rows(tenant, lambda: costs.sweep(tenant_id=tenant.pk, now=now()))
        await rows(tenant, lambda: settlements.compare(tenant_id=tenant.pk, now=now()))
        cost = await rows(tenant, lambda: SessionCost.objects.get(tenant=tenant))
        assert cost.station_tariff == kept.wire_id
        assert cost.difference is not None and not costs.differs(cost)
        paid = await rows(tenant, lambda: Settlement.objects.get(tenant=tenant))
        assert (paid.session_id, paid.flags, paid.receipt_id) == (cost.session_id, [], "R-1")
        answer = await own.check_vat("DE136695976", 1)
        assert answer.status == "Accepted"


async def test_a_station_of_2_1_stops_by_itself_when_the_credit_is_used_up(
    gateway: Role, tenant: Tenant, station: Station, card: Token, tariff: Tariff
) -> None:
    def credit() -> Any:
        account = prepaid.open_account(tenant_id=tenant.pk, token=card, currency="EUR", actor=ACTOR)
        prepaid.pay_in(account=account, amount=Decimal("3.00"), actor=ACTOR)
        return account

    account = await rows(tenant, credit)
    async with simulated(gateway, tenant, station, "2.1") as own:
        await read_settings(tenant, station, "2.1")
        await rows(tenant, lambda: station_tariffs.sync(tenant_id=tenant.pk, now=now()))
        await quiet(tenant)
        await own.plug_in(1)
        started = await own.start(1, card.uid)
        assert started.limit == {"max_cost": 3}
        await own.advance(3600)
        await own.settled()
        assert own.connectors[1].transaction is None
    await rows(tenant, lambda: rating.rate_ended(tenant_id=tenant.pk))
    await rows(tenant, lambda: costs.sweep(tenant_id=tenant.pk, now=now()))
    session = await rows(tenant, lambda: Session.objects.get(tenant=tenant))
    assert session.stop_reason == "LocalOutOfCredit"
    left = await rows(tenant, lambda: prepaid.balance(account))
    assert Decimal("-0.50") < left <= 0  # a minute of charging at most
    assert not await rows(tenant, lambda: Command.objects.filter(kind="stop").exists())


async def test_the_code_on_the_display_leads_to_a_charge_that_is_paid(
    gateway: Role, tenant: Tenant, station: Station, tariff: Tariff, settings: Any
) -> None:
    settings.WEB_PAYMENT_PROVIDER = "trial"
    browser = Client()
    async with simulated(gateway, tenant, station, "2.1") as own:
        fresh = await rows(tenant, lambda: Station.objects.get(pk=station.pk))
        await rows(tenant, lambda: web_payments.install(station=fresh, tenant_slug=tenant.slug, actor=ACTOR))
        await quiet(tenant)
        own.clock.advance((now() - own.clock.now()).total_seconds())
        path = own.payment_address(1).removeprefix(settings.PUBLIC_URL)
        assert path.startswith(f"/pay/{tenant.slug}/{station.identity}/1/")
        led = await in_thread(lambda: browser.get(path))
        assert led.status_code == 302
        await quiet(tenant)
        assert own.screen.payments == {1: 300}
        await in_thread(lambda: browser.post(led["Location"], {"amount": "20"}))
        await quiet(tenant)
        await own.until(lambda: own.connectors[1].transaction is not None, 20)
        for _try in range(50):
            await rows(tenant, lambda: web_payments.sweep(tenant_id=tenant.pk, now=now()))
            payment = await rows(
                tenant, lambda: WebPayment.objects.select_related("session").get(tenant=tenant)
            )
            if payment.session is not None:
                break
            await asyncio.sleep(0.1)
        assert payment.session is not None and payment.state == "started"
        assert payment.session.token_uid == payment.token_uid


async def test_batteries_are_swapped(gateway: Role, tenant: Tenant, station: Station, card: Token) -> None:
    async with simulated(gateway, tenant, station, "2.1", connectors=2) as own:
        fresh = await rows(tenant, lambda: Station.objects.get(pk=station.pk))

        def begin() -> Any:
            return swaps.ask(station=fresh, token_uid=card.uid, token_kind="iso14443", actor=ACTOR)

        await rows(tenant, begin)
        await quiet(tenant)
        own.screen.slots = {1: None, 2: Battery("FULL-1", 97.0)}
        await rows(tenant, begin)
        await quiet(tenant)
        for _try in range(50):
            states = await rows(
                tenant, lambda: list(BatterySwap.objects.order_by("id").values_list("state", flat=True))
            )
            if states == ["refused", "swap_done"]:
                break
            await asyncio.sleep(0.1)
        assert states == ["refused", "swap_done"]
        slots = await rows(
            tenant,
            lambda: dict(BatterySlot.objects.values_list("evse_number", "present").filter(tenant=tenant)),
        )
        assert slots == {1: True, 2: False}
