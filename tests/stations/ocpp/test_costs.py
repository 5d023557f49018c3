"""What drivers are told of the price: while they charge, at the end, and what bounds a prepaid session."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Tariff
from fleets.models import Token
from stations.models import (
    Command,
    PrepaidAccount,
    Session,
    SessionCost,
    SessionState,
    Station,
    Variable,
)
from stations.services import costs, prepaid
from stations.services.rating import rate_ended
from tenants.models import Tenant
from tests.stations.ocpp.charger import Charger
from tests.stations.ocpp.conftest import Plug, rows
from tests.stations.ocpp.test_commands import settled

VERSIONS = ("1.6", "2.0.1", "2.1")


@pytest.fixture
def tariff(make_tariff: Callable[..., Tariff]) -> Tariff:
    """1.00 to begin and 0.49 per kWh, 19 % tax on top."""
    return make_tariff(is_default=True)


@pytest.fixture
def card(make_token: Callable[..., Token]) -> Token:
    return make_token(uid="04A2B3C4")


def stamp(minutes: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def shows_cost(tenant: Tenant, station: Station, version: str) -> None:
    """The station's configuration says that it shows prices."""
    told: list[dict[str, str]] = (
        [{"name": "CustomDisplayCostAndPrice"}]
        if version == "1.6"
        else [
            {"component": "TariffCostCtrlr", "name": "Enabled", "instance": what}
            for what in ("Cost", "Tariff")
        ]
    )

    def keep() -> None:
        for one in told:
            Variable.objects.create(
                tenant=tenant,
                station=station,
                value="true",
                read_at=datetime.now(UTC),
                source="report",
                **one,
            )

    await rows(tenant, keep)


class Charge:
    """A session told on the wire of a version."""

    def __init__(self, wire: Charger, version: str, uid: str = "04A2B3C4") -> None:
        self.wire, self.version, self.uid = wire, version, uid
        self.number: Any = "tx-1"
        self.seq = -1

    def _event(self, kind: str, wh: int, minutes: float, **more: Any) -> dict[str, Any]:
        self.seq += 1
        sampled: dict[str, Any] = {"value": wh, "measurand": "Energy.Active.Import.Register"}
        sampled["context"] = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(
            kind, "Sample.Periodic"
        )
        return {
            "eventType": kind, "timestamp": stamp(minutes), "triggerReason": "Authorized", "seqNo": self.seq,
            "transactionInfo": {"transactionId": self.number, "chargingState": "Charging", **more.pop("info", {})},
            "evse": {"id": 1, "connectorId": 1},
            "meterValue": [{"timestamp": stamp(minutes), "sampledValue": [sampled]}], **more,
        }  # fmt: skip

    async def start(self) -> dict[str, Any]:
        if self.version == "1.6":
            told = {"connectorId": 1, "idTag": self.uid, "meterStart": 1000, "timestamp": stamp(-30)}
            reply = await self.wire.ok("StartTransaction", told)
            self.number = reply["transactionId"]
            return reply
        token = {"idToken": self.uid, "type": "ISO14443"}
        return await self.wire.ok("TransactionEvent", self._event("Started", 1000, -30, idToken=token))

    async def meter(self, wh: int) -> None:
        if self.version == "1.6":
            value = [{"timestamp": stamp(-10), "sampledValue": [{"value": str(wh)}]}]
            await self.wire.ok(
                "MeterValues", {"connectorId": 1, "transactionId": self.number, "meterValue": value}
            )
            return
        await self.wire.ok("TransactionEvent", self._event("Updated", wh, -10))

    async def stop(self, wh: int, **more: Any) -> dict[str, Any]:
        if self.version == "1.6":
            told = {"transactionId": self.number, "meterStop": wh, "timestamp": stamp()}
            return await self.wire.ok("StopTransaction", told)
        return await self.wire.ok("TransactionEvent", self._event("Ended", wh, 0, **more))


async def sweep(tenant: Tenant, later: float = 0) -> None:
    now = datetime.now(UTC) + timedelta(seconds=later)
    await rows(tenant, lambda: costs.sweep(tenant_id=tenant.pk, now=now))


async def energy(tenant: Tenant, wh: int) -> None:
    """Wait until the readings are in."""
    import asyncio

    for _try in range(100):
        if await rows(tenant, lambda: Session.objects.filter(tenant=tenant, energy_wh__gte=wh).exists()):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the energy was not read")


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_running_cost_is_told_where_it_is_shown_and_again_only_when_it_changed(
    plug: Plug, tenant: Tenant, station: Station, tariff: Tariff, card: Token, version: str
) -> None:
    async with plug(station, version) as wire:
        await shows_cost(tenant, station, version)
        charge = Charge(wire, version)
        await charge.start()
        await charge.meter(11_000)
        await energy(tenant, 10_000)
        await sweep(tenant)
        call = await wire.next_call()
        if version == "1.6":
            assert call[3]["messageId"] == "SetUserPrice"
            told = json.loads(call[3]["data"])
            assert told["idToken"] == "04A2B3C4" and "0.49 EUR per kWh" in told["priceText"]
            await wire.answer(call, {"status": "Accepted"})
            call = await wire.next_call()
            data = json.loads(call[3]["data"])
            assert call[3]["vendorId"] == "org.openchargealliance.costmsg"
            assert (call[3]["messageId"], data["transactionId"], data["cost"]) == (
                "RunningCost",
                charge.number,
                7.02,
            )
            assert data["meterValue"] == 11_000 and data["chargingPrice"]["kWhPrice"] == 0.5831
            await wire.answer(call, {"status": "Accepted"})
        else:
            assert call[2:] == ["CostUpdated", {"totalCost": 7.02, "transactionId": "tx-1"}]
            await wire.answer(call, {})
        command = await rows(tenant, lambda: Command.objects.filter(kind="tell_cost").latest("id"))
        await settled(tenant, command)
        cost = await rows(tenant, lambda: SessionCost.objects.get(session__station=station))
        assert (cost.shown, cost.shown_count) == (Decimal("7.02"), 1)
        await sweep(tenant, later=3600)  # nothing changed
        assert await rows(tenant, lambda: Command.objects.filter(kind="tell_cost").count()) == 1
        await charge.meter(21_000)
        await energy(tenant, 20_000)
        await sweep(tenant)  # too soon
        assert await rows(tenant, lambda: Command.objects.filter(kind="tell_cost").count()) == 1


async def test_a_station_that_shows_no_cost_is_told_none(
    plug: Plug, tenant: Tenant, station: Station, tariff: Tariff, card: Token
) -> None:
    async with plug(station, "2.1") as wire:
        charge = Charge(wire, "2.1")
        await charge.start()
        await charge.meter(11_000)
        await energy(tenant, 10_000)
        await sweep(tenant)
    assert not await rows(tenant, lambda: Command.objects.filter(tenant=tenant).exists())


@pytest.mark.parametrize("version", VERSIONS[1:])
async def test_the_answer_to_the_stop_carries_the_final_cost_and_it_is_what_is_billed(
    plug: Plug, tenant: Tenant, station: Station, tariff: Tariff, card: Token, version: str
) -> None:
    async with plug(station, version) as wire:
        charge = Charge(wire, version)
        await charge.start()
        answer = await charge.stop(21_000)
        assert answer["totalCost"] == 12.85
        assert answer["updatedPersonalMessage"]["content"] == "12.85 EUR · 20.00 kWh"
    await rows(tenant, lambda: rate_ended(tenant_id=tenant.pk))
    await sweep(tenant)
    session = await rows(tenant, lambda: Session.objects.get(tenant=tenant))
    cost = await rows(tenant, lambda: SessionCost.objects.get(session=session))
    assert session.cost_incl_tax == cost.final == Decimal("12.85")
    assert cost.final_how == "answer" and cost.settled_at is not None


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_price_that_needs_the_curve_is_told_once_it_is_made(
    plug: Plug, tenant: Tenant, station: Station, make_tariff: Any, card: Token, version: str
) -> None:
    by_time = [{"price_components": [{"type": "TIME", "price": "6", "vat": None, "step_size": 1}]}]
    await rows(tenant, lambda: Tariff.objects.create(
        tenant=tenant, name="By time", currency="EUR", elements=by_time, is_default=True))  # fmt: skip
    async with plug(station, version) as wire:
        await shows_cost(tenant, station, version)
        charge = Charge(wire, version)
        await charge.start()
        await charge.meter(11_000)
        await energy(tenant, 10_000)
        await sweep(tenant)
        while True:
            call = await wire.next_call()
            await wire.answer(call, {} if version != "1.6" else {"status": "Accepted"})
            if "SetUserPrice" not in json.dumps(call):
                break
        answer = await charge.stop(21_000)
        assert "totalCost" not in answer
        await rows(tenant, lambda: rate_ended(tenant_id=tenant.pk))
        await sweep(tenant)
        call = await wire.next_call()
        billed = (await rows(tenant, lambda: Session.objects.get(tenant=tenant))).cost_incl_tax
        if version == "1.6":
            assert call[3]["messageId"] == "FinalCost"
            assert json.loads(call[3]["data"])["cost"] == float(billed)
            await wire.answer(call, {"status": "Accepted"})
        else:
            assert call[2:] == ["CostUpdated", {"totalCost": float(billed), "transactionId": "tx-1"}]
            await wire.answer(call, {})
        command = await rows(tenant, lambda: Command.objects.filter(kind="tell_cost").latest("id"))
        await settled(tenant, command)
        cost = await rows(tenant, lambda: SessionCost.objects.get(tenant=tenant))
        assert (cost.final, cost.final_how) == (billed, "command")


def details(incl: float, currency: str = "EUR") -> dict[str, Any]:
    return {
        "totalCost": {"currency": currency, "typeOfCost": "NormalCost", "total": {"inclTax": incl}},
        "totalUsage": {"energy": 20_000, "chargingTime": 1800, "idleTime": 0},
    }


@pytest.mark.parametrize(("told", "differs"), [(12.85, False), (12.84, False), (14.0, True)])
async def test_what_the_station_reckons_is_held_against_what_is_billed(
    plug: Plug, tenant: Tenant, station: Station, tariff: Tariff, card: Token, told: float, differs: bool
) -> None:
    async with plug(station, "2.1") as wire:
        charge = Charge(wire, "2.1")
        await charge.start()
        await charge.stop(21_000, costDetails=details(told), info={"tariffId": "T9"})
    await rows(tenant, lambda: rate_ended(tenant_id=tenant.pk))
    await sweep(tenant)
    cost = await rows(tenant, lambda: SessionCost.objects.get(tenant=tenant))
    assert cost.station_tariff == "T9" and cost.station_total == Decimal(str(told))
    assert cost.difference == Decimal(str(told)) - Decimal("12.85")
    assert costs.differs(cost) == differs


# --- prepaid ---


async def make_prepaid(tenant: Tenant, card: Token, actor: Any, amount: str) -> PrepaidAccount:
    def make() -> PrepaidAccount:
        account = prepaid.open_account(tenant_id=tenant.pk, token=card, currency="EUR", actor=actor)
        if Decimal(amount):
            prepaid.pay_in(account=account, amount=Decimal(amount), actor=actor)
        return account

    account: PrepaidAccount = await rows(tenant, make)
    return account


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_prepaid_session_ends_when_its_credit_is_used_up_and_is_booked(
    plug: Plug, tenant: Tenant, station: Station, tariff: Tariff, card: Token, owner_actor: Any, version: str
) -> None:
    account = await make_prepaid(tenant, card, owner_actor, "5.00")
    async with plug(station, version) as wire:
        charge = Charge(wire, version)
        answer = await charge.start()
        assert answer.get("transactionLimit") == ({"maxCost": 5} if version == "2.1" else None)
        await charge.meter(4_000)
        await energy(tenant, 3_000)
        await sweep(tenant)
        assert wire.calls.empty()  # 2.94 of 5.00
        await charge.meter(11_000)
        await energy(tenant, 10_000)
        await sweep(tenant)
        await sweep(tenant)
        call = await wire.next_call()
        name = "RemoteStopTransaction" if version == "1.6" else "RequestStopTransaction"
        assert call[2:] == [name, {"transactionId": charge.number}]
        await wire.answer(call, {"status": "Accepted"})
        await charge.stop(11_000)
    await rows(tenant, lambda: rate_ended(tenant_id=tenant.pk))
    for _twice in range(2):
        await sweep(tenant)
    cost = await rows(tenant, lambda: SessionCost.objects.get(tenant=tenant))
    assert (cost.limit_cost, cost.limit_reached) == (Decimal("5.00"), "cost")
    assert await rows(tenant, lambda: prepaid.balance(account)) == Decimal("-2.02")


@pytest.mark.parametrize(
    ("version", "word"), [("1.6", "Blocked"), ("2.0.1", "NoCredit"), ("2.1", "NoCredit")]
)
async def test_a_prepaid_card_without_credit_is_refused(
    plug: Plug, tenant: Tenant, station: Station, tariff: Tariff, card: Token, owner_actor: Any, version: str, word: str
) -> None:  # fmt: skip
    await make_prepaid(tenant, card, owner_actor, "0")
    async with plug(station, version) as wire:
        if version == "1.6":
            assert (await wire.ok("Authorize", {"idTag": card.uid}))["idTagInfo"]["status"] == word
            return
        told = {"idToken": {"idToken": card.uid, "type": "ISO14443"}}
        assert (await wire.ok("Authorize", told))["idTokenInfo"]["status"] == word
        if version == "2.1":
            assert (await Charge(wire, version).start())["idTokenInfo"]["status"] == word


async def test_two_sessions_of_one_card_share_its_credit(
    plug: Plug,
    tenant: Tenant,
    make_station: Any,
    site: Any,
    tariff: Tariff,
    make_token: Any,
    owner_actor: Any,
) -> None:
    from tests.stations.ocpp.conftest import in_thread

    card = await in_thread(lambda: make_token(uid="04A2B3C4", concurrent=True))
    one, two = [await in_thread(lambda: make_station(site=site)) for _n in range(2)]
    await make_prepaid(tenant, card, owner_actor, "5.00")
    async with plug(one, "2.1") as first, plug(two, "2.1") as second:
        assert (await Charge(first, "2.1").start())["transactionLimit"] == {"maxCost": 5}
        answer = await Charge(second, "2.1").start()
        assert answer["idTokenInfo"]["status"] == "NoCredit"


@pytest.mark.parametrize("version", VERSIONS[1:])
async def test_the_driver_reads_the_price_when_the_card_is_held_to_it(
    plug: Plug, tenant: Tenant, station: Station, tariff: Tariff, card: Token, version: str
) -> None:
    async with plug(station, version) as wire:
        told = {"idToken": {"idToken": card.uid, "type": "ISO14443"}}
        assert "personalMessage" not in (await wire.ok("Authorize", told))["idTokenInfo"]
        await shows_cost(tenant, station, version)
        answer = await wire.ok("Authorize", told)
        assert "0.49 EUR per kWh" in answer["idTokenInfo"]["personalMessage"]["content"]
        if version == "2.1":
            assert answer["tariff"]["energy"] == {
                "prices": [{"priceKwh": 0.49}], "taxRates": [{"type": "VAT", "tax": 19}],
            }  # fmt: skip


async def test_held_sessions_get_no_price_in_the_answer(
    plug: Plug, tenant: Tenant, station: Station, tariff: Tariff
) -> None:
    async with plug(station, "2.1") as wire:
        charge = Charge(wire, "2.1", uid="UNKNOWN1")
        await charge.start()
        assert "totalCost" not in await charge.stop(21_000)
    session = await rows(tenant, lambda: Session.objects.get(tenant=tenant))
    assert session.state == SessionState.HELD
