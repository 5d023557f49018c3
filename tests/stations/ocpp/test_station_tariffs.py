"""Tariffs on stations of 2.1: said exactly, installed, kept in step, read back; and priced alike on both sides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.models import Tariff
from billing.services import rating
from billing.services import tariffs as billing
from billing.usage import Usage, UsagePeriod
from stations.models import Command, Session, Station, StationTariff, TariffStanding, Variable
from stations.ocpp import schemas
from stations.ocpp.v21 import tariffs as wire_tariffs
from stations.services import station_tariffs
from tenants.errors import Invalid
from tenants.models import Tenant
from tests.stations.ocpp.conftest import Plug, in_thread, rows
from tests.stations.ocpp.test_commands import settled


async def keeps_tariffs(tenant: Tenant, station: Station) -> None:
    await rows(
        tenant,
        lambda: Variable.objects.create(
            tenant=tenant, station=station, component="TariffCostCtrlr", name="Enabled", instance="Tariff",
            value="true", read_at=datetime.now(UTC), source="report",
        ),
    )  # fmt: skip


async def sync(tenant: Tenant, later: timedelta = timedelta(0)) -> int:
    now = datetime.now(UTC) + later
    done: int = await rows(tenant, lambda: station_tariffs.sync(tenant_id=tenant.pk, now=now))
    return done


async def done(tenant: Tenant) -> Command:
    newest = await rows(tenant, lambda: Command.objects.filter(tenant=tenant).latest("id"))
    return await settled(tenant, newest)


async def row(tenant: Tenant, station: Station) -> StationTariff:
    found: StationTariff = await rows(tenant, lambda: StationTariff.objects.get(station=station))
    return found


async def test_the_tariff_that_counts_is_installed_and_follows_each_change(
    plug: Plug, tenant: Tenant, station: Station, make_tariff: Callable[..., Tariff], owner_actor: Any
) -> None:
    tariff = await in_thread(lambda: make_tariff(is_default=True))
    await keeps_tariffs(tenant, station)
    async with plug(station, "2.1") as wire:
        await wire.ok("Heartbeat", {})
        assert await sync(tenant) == 1
        call = await wire.next_call()
        said = call[3]["tariff"]
        assert (call[2], call[3]["evseId"]) == ("SetDefaultTariff", 0)
        assert said["energy"] == {"prices": [{"priceKwh": 0.49}], "taxRates": [{"type": "VAT", "tax": 19}]}
        assert said["fixedFee"]["prices"] == [{"priceFixed": 1}]
        await wire.answer(call, {"status": "Accepted"})
        await done(tenant)
        first = await row(tenant, station)
        assert (first.standing, first.wire_id) == (TariffStanding.INSTALLED, said["tariffId"])
        # It is read back once.
        assert await sync(tenant) == 1
        call = await wire.next_call()
        assert call[2:] == ["GetTariffs", {"evseId": 0}]
        told = {"tariffId": said["tariffId"], "tariffKind": "DefaultTariff", "evseIds": [1]}
        await wire.answer(call, {"status": "Accepted", "tariffAssignments": [told]})
        await done(tenant)
        assert (await row(tenant, station)).standing == TariffStanding.INSTALLED
        assert await sync(tenant) == 0
        # A new price is another tariff.
        elements = [{"price_components": [{"type": "ENERGY", "price": "0.59", "vat": "19", "step_size": 1}]}]
        await rows(tenant, lambda: billing.update_tariff(tariff=tariff, actor=owner_actor, elements=elements))
        assert await sync(tenant) == 1
        call = await wire.next_call()
        assert call[3]["tariff"]["energy"]["prices"] == [{"priceKwh": 0.59}]
        assert call[3]["tariff"]["tariffId"] != said["tariffId"]
        await wire.answer(call, {"status": "Accepted"})
        await done(tenant)


async def test_another_tariff_found_on_the_station_is_shown_and_put_right(
    plug: Plug, tenant: Tenant, station: Station, make_tariff: Callable[..., Tariff], owner_actor: Any
) -> None:
    await in_thread(lambda: make_tariff(is_default=True))
    await keeps_tariffs(tenant, station)
    async with plug(station, "2.1") as wire:
        await wire.ok("Heartbeat", {})
        await sync(tenant)
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        await done(tenant)
        await rows(tenant, lambda: station_tariffs.read(station=station, actor=owner_actor))
        told = {"tariffId": "MAKERS-OWN", "tariffKind": "DefaultTariff", "evseIds": [1]}
        await wire.answer(await wire.next_call(), {"status": "Accepted", "tariffAssignments": [told]})
        await done(tenant)
        drifted = await row(tenant, station)
        assert drifted.standing == TariffStanding.DRIFT and "MAKERS-OWN" in drifted.detail
        assert await sync(tenant) == 0  # not at once, lest two masters fight
        assert await sync(tenant, timedelta(minutes=6)) == 1
        assert (await wire.next_call())[2] == "SetDefaultTariff"


@pytest.mark.parametrize("word", ["Rejected", "TooManyElements", "ConditionNotSupported"])
async def test_a_refusal_is_shown_and_not_repeated(
    plug: Plug, tenant: Tenant, station: Station, make_tariff: Callable[..., Tariff], word: str
) -> None:
    await in_thread(lambda: make_tariff(is_default=True))
    await keeps_tariffs(tenant, station)
    async with plug(station, "2.1") as wire:
        await wire.ok("Heartbeat", {})
        await sync(tenant)
        await wire.answer(await wire.next_call(), {"status": word})
        await done(tenant)
        assert (await row(tenant, station)).standing == TariffStanding.REFUSED
        assert await sync(tenant, timedelta(days=2)) == 0


async def test_a_tariff_with_steps_is_refused_in_words(
    plug: Plug, tenant: Tenant, station: Station, make_tariff: Callable[..., Tariff]
) -> None:
    stepped = [{"price_components": [{"type": "TIME", "price": "6", "vat": None, "step_size": 900}]}]
    await in_thread(lambda: make_tariff(is_default=True, elements=stepped))
    await keeps_tariffs(tenant, station)
    async with plug(station, "2.1") as wire:
        await wire.ok("Heartbeat", {})
        await sync(tenant)
        await done(tenant)
    refused = await row(tenant, station)
    assert refused.standing == TariffStanding.REFUSED and "steps of 900" in refused.detail


async def test_a_running_session_is_billed_by_the_tariff_that_its_station_has_taken(
    plug: Plug, tenant: Tenant, station: Station, make_tariff: Any, make_session: Any, owner_actor: Any
) -> None:  # fmt: skip
    cheap = await in_thread(lambda: make_tariff())
    session = await in_thread(lambda: make_session(station, transaction_id="tx-9"))
    async with plug(station, "2.1") as wire:
        await wire.ok("Heartbeat", {})
        for word, counts in (("TxNotFound", False), ("Accepted", True)):
            await rows(
                tenant,
                lambda: station_tariffs.change(
                    session=Session.objects.get(pk=session.pk), tariff=cheap, actor=owner_actor
                ),
            )
            call = await wire.next_call()
            assert (call[2], call[3]["transactionId"]) == ("ChangeTransactionTariff", "tx-9")
            await wire.answer(call, {"status": word})
            await done(tenant)
            now = await rows(tenant, lambda: Session.objects.get(pk=session.pk))
            assert (now.tariff is not None) == counts


# --- both sides price alike ---

_money = st.decimals(0, 5, places=4)
_vat = st.sampled_from((None, "0", "7", "19", "25.5"))


@st.composite
def terms(draw: st.DrawFn) -> dict[str, Any]:
    kinds = draw(
        st.lists(st.sampled_from(("ENERGY", "TIME", "PARKING_TIME", "FLAT")), min_size=1, unique=True)
    )
    components = [
        {"type": kind, "price": str(draw(_money)), "vat": draw(_vat), "step_size": 1} for kind in kinds
    ]
    included = draw(st.booleans())
    side = "incl_tax" if included else "excl_tax"
    least, most = draw(st.none() | _money), draw(st.none() | st.decimals(5, 50, places=2))
    return {
        "id": 1, "name": "Made up", "currency": "EUR", "tax_included": included,
        "elements": [{"price_components": components}],
        "min_price": {side: str(least)} if least else None,
        "max_price": {side: str(most)} if most else None,
    }  # fmt: skip


def reckon(tariff: dict[str, Any], kwh: Decimal, charging_s: int, idle_s: int) -> Decimal:
    """The price with tax by OCPP 2.1 part 2, block I, alone: prices without tax, per kWh, per minute, once; one tax a
    part; the least and the highest price at the end. Written without a look at our own engine."""
    used = {
        "energy": kwh,
        "chargingTime": Decimal(charging_s) / 60,
        "idleTime": Decimal(idle_s) / 60,
        "fixedFee": 1,
    }
    words = {
        "energy": "priceKwh",
        "chargingTime": "priceMinute",
        "idleTime": "priceMinute",
        "fixedFee": "priceFixed",
    }
    net = gross = Decimal(0)
    first_rate = None
    for part, amount in used.items():
        if part not in tariff:
            continue
        rate = (
            1 + sum((Decimal(str(one["tax"])) for one in tariff[part].get("taxRates", ())), Decimal(0)) / 100
        )
        first_rate = first_rate or rate
        price = Decimal(str(tariff[part]["prices"][0][words[part]])) * amount
        net, gross = net + price, gross + price * rate
    for bound, wins in (("minCost", max), ("maxCost", min)):
        if bound in tariff:
            rate = gross / net if net else None
            limit = tariff[bound]
            if "inclTax" in limit:
                gross = wins(gross, Decimal(str(limit["inclTax"])))
            elif rate is not None:
                gross = wins(gross, Decimal(str(limit["exclTax"])) * rate)
    return gross


@given(terms(), st.integers(0, 120_000), st.integers(60, 40_000), st.integers(60, 40_000))
def test_the_same_use_costs_the_same_by_our_engine_and_by_the_stations_reading(
    price: dict[str, Any], wh: int, charging_s: int, idle_s: int
) -> None:
    said = wire_tariffs.tariff(price)
    assert schemas.check("2.1", "SetDefaultTariff", {"evseId": 0, "tariff": said}) is None
    start = datetime(2026, 11, 22, 10, tzinfo=UTC)
    middle, end = start + timedelta(seconds=charging_s), start + timedelta(seconds=charging_s + idle_s)
    used = Usage(
        start, end, "Europe/Berlin",
        (UsagePeriod(start, middle, Decimal(wh), True), UsagePeriod(middle, end, Decimal(0), False)),
    )  # fmt: skip
    ours = rating.rate(tariff=price, usage=used)
    if not ours.exact_excl_tax and price["min_price"]:
        return  # a least price of nothing: by whose tax it is raised, no rule says
    theirs = reckon(said, Decimal(wh) / 1000, charging_s, idle_s)
    assert abs(theirs - Decimal(ours.exact_incl_tax.numerator) / ours.exact_incl_tax.denominator) < Decimal(
        "0.0001"
    )


@pytest.mark.parametrize(
    ("element", "words"),
    [
        ({"price_components": [{"type": "ENERGY", "price": "1", "step_size": 1000}]}, "steps of 1000"),
        (
            {
                "price_components": [{"type": "FLAT", "price": "1", "step_size": 1}],
                "restrictions": {"min_kwh": 5},
            },
            "fixed fee",
        ),
        (
            {"price_components": [{"type": "ENERGY", "price": "1"}], "restrictions": {"moon": "full"}},
            "no condition moon",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_in_words(element: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        wire_tariffs.tariff({"currency": "EUR", "elements": [element]})


def test_conditions_are_said_in_the_stations_units() -> None:
    element = {
        "price_components": [{"type": "ENERGY", "price": "0.30", "vat": "19", "step_size": 1}],
        "restrictions": {
            "start_time": "22:00", "end_time": "06:00", "day_of_week": ["SATURDAY"], "min_power": 11,
            "max_kwh": 20, "min_duration": 60,
        },
    }  # fmt: skip
    said = wire_tariffs.tariff({"currency": "EUR", "elements": [element]})
    assert schemas.check("2.1", "SetDefaultTariff", {"evseId": 0, "tariff": said}) is None
    assert said["energy"]["prices"][0]["conditions"] == {
        "startTimeOfDay": "22:00", "endTimeOfDay": "06:00", "dayOfWeek": ["Saturday"], "minPower": 11000,
        "maxEnergy": 20000, "minTime": 60,
    }  # fmt: skip
