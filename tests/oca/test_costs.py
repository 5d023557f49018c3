"""Compliance cases about money: what drivers are told (block I), prepaid cards, terminals and QR codes (C17 to C25),
and sessions within limits (E16)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from billing.models import Tariff
from fleets.models import Token
from stations.services import costs, rating, settlements, web_payments
from tests.oca.cases import oca
from tests.oca.scene import V2, Payload, Scene, Stage, stamp
from tests.oca.visit import START_WH, Visit, token
from tests.stations.ocpp.conftest import eventually, in_thread, rows
from tests.stations.ocpp.test_costs import details, shows_cost
from tests.stations.ocpp.test_payments import address, set_up

CARD = "04A2B3C4"
on_2x = pytest.mark.parametrize("version", V2)
BY_DAY = [
    {"price_components": [{"type": "ENERGY", "price": price, "vat": "19", "step_size": 1}],
     "restrictions": {"start_time": start, "end_time": end}}
    for price, start, end in [("0.49", "06:00", "22:00"), ("0.29", "22:00", "06:00")]
]  # fmt: skip


@pytest.fixture
def tariff(make_tariff: Callable[..., Tariff]) -> Tariff:
    """1.00 to begin and 0.49 per kWh, 19 % tax on top."""
    return make_tariff(is_default=True)


@pytest.fixture
def card(make_token: Callable[..., Token]) -> Token:
    return make_token(uid=CARD)


@pytest.fixture
def prices(tariff: Tariff, card: Token) -> None:
    """A card, and what charging costs."""


async def sweep(scene: Scene) -> None:
    """What the worker does every few seconds."""
    await scene.applied()
    now = datetime.now(UTC)
    await rows(scene.tenant, lambda: costs.sweep(tenant_id=scene.tenant.pk, now=now))


async def cost_of(scene: Scene) -> Payload:
    session = await scene.session()
    return dict(await scene.rest("GET", f"/sessions/{session['id']}/cost"))


async def rated(scene: Scene) -> Payload:
    """The session with its price."""
    await scene.applied()
    await rows(scene.tenant, lambda: rating.rate_ended(tenant_id=scene.tenant.pk))
    await sweep(scene)
    return await scene.session()


# --- what drivers see


@oca("TC_I_01")
@on_2x
async def test_the_running_cost_is_told(stage: Stage, version: str, prices: None) -> None:
    async with stage(version) as scene:
        await shows_cost(scene.tenant, scene.station, version)
        visit = Visit(scene)
        await visit.charging(CARD)
        await visit.event("Updated", "MeterValuePeriodic", "Charging", wh=START_WH + 10_000)
        await sweep(scene)
        call = await scene.hears("CostUpdated", {"transactionId": visit.transaction_id, "totalCost": 7.02})
        await scene.answers(call, {})


@oca("TC_I_02")
@on_2x
async def test_the_final_cost_is_told(stage: Stage, version: str, prices: None) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        answer = await visit.ends()
        assert answer["totalCost"] == 2.65  # 1.00 and 2.5 kWh at 0.49, with tax
        assert "2.65 EUR" in answer["updatedPersonalMessage"]["content"]
        assert float((await rated(scene))["cost_incl_tax"]) == 2.65


@on_2x
@pytest.mark.parametrize("shows", [True, False])
async def test_who_is_known_to_the_station_reads_the_price_too(
    stage: Stage, version: str, prices: None, shows: bool
) -> None:
    """I06: the station found the card in its own list or cache, so no Authorize has told the price."""
    async with stage(version) as scene:
        if shows:
            await shows_cost(scene.tenant, scene.station, version)
        visit = Visit(scene)
        await visit.plugged_in()
        answer = await visit.authorized(CARD)
        said = answer.get("updatedPersonalMessage", {}).get("content", "")
        assert ("0.58" in said or "0.49" in said) == shows
        stranger = await visit.event("Updated", "Authorized", "EVConnected", token=token("04FFFFFF"))
        assert "updatedPersonalMessage" not in stranger


# --- tariffs on the station


async def tariff_put(scene: Scene, tariff: Tariff) -> list[Any]:
    path = f"/stations/{scene.station.pk}/tariff"
    await scene.rest("PUT", path, {"tariff_id": tariff.pk})
    return await scene.hears("SetDefaultTariff", {"evseId": 0})


async def stands(scene: Scene, standing: str) -> Payload:
    async def reached() -> Payload | None:
        told = await scene.rest("GET", f"/stations/{scene.station.pk}/tariff")
        return told if told["standing"] == standing else None

    return dict(await eventually(reached))


@oca("TC_I_101")
async def test_a_tariff_that_depends_on_the_time_of_day(
    stage: Stage, make_tariff: Callable[..., Tariff]
) -> None:
    by_day = await in_thread(lambda: make_tariff(elements=BY_DAY))
    async with stage("2.1") as scene:
        call = await tariff_put(scene, by_day)
        assert call[3]["tariff"]["energy"]["prices"] == [
            {"priceKwh": 0.49, "conditions": {"startTimeOfDay": "06:00", "endTimeOfDay": "22:00"}},
            {"priceKwh": 0.29, "conditions": {"startTimeOfDay": "22:00", "endTimeOfDay": "06:00"}},
        ]
        await scene.answers(call, {"status": "Accepted"})
        await stands(scene, "installed")


CANNOT: list[Any] = [
    pytest.param("TooManyElements", "fewer prices", marks=oca("TC_I_102")),
    pytest.param("ConditionNotSupported", "condition", marks=oca("TC_I_105")),
    pytest.param("DuplicateTariffId", "another tariff of this name", marks=oca("TC_I_106")),
    pytest.param("Rejected", "Rejected", marks=oca("TC_I_106")),
]


@pytest.mark.parametrize(("word", "said"), CANNOT)
async def test_a_tariff_that_the_station_cannot_keep(
    stage: Stage, make_tariff: Callable[..., Tariff], word: str, said: str
) -> None:
    by_day = await in_thread(lambda: make_tariff(elements=BY_DAY))
    async with stage("2.1") as scene:
        await scene.answers(await tariff_put(scene, by_day), {"status": word})
        assert said in (await stands(scene, "refused"))["detail"]


@oca("TC_I_109")
async def test_the_drivers_tariff_is_told_with_the_verdict(stage: Stage, prices: None) -> None:
    async with stage("2.1") as scene:
        await shows_cost(scene.tenant, scene.station, "2.1")
        answer = await scene.tell("Authorize", {"idToken": token(CARD)})
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert answer["tariff"]["energy"]["prices"] == [{"priceKwh": 0.49}]
        visit = Visit(scene)
        await visit.plugged_in()
        info = {"tariffId": answer["tariff"]["tariffId"]}
        await visit.event("Updated", "Authorized", "EVConnected", token=token(CARD), info=info)
        assert (await cost_of(scene))["station_tariff"] == answer["tariff"]["tariffId"]


@oca("TC_I_110")
async def test_the_default_tariff_is_cleared(stage: Stage, tariff: Tariff) -> None:
    async with stage("2.1") as scene:
        call = await tariff_put(scene, tariff)
        await scene.answers(call, {"status": "Accepted"})
        await stands(scene, "installed")
        number = call[3]["tariff"]["tariffId"]
        await scene.rest("DELETE", f"/stations/{scene.station.pk}/tariff", status=202)
        call = await scene.hears("ClearTariffs", {"tariffIds": [number]})
        result = [{"tariffId": number, "status": "Accepted"}]
        await scene.answers(call, {"clearTariffsResult": result})
        await stands(scene, "cleared")


@oca("TC_I_113", "TC_I_114", "TC_I_115")
@pytest.mark.parametrize("word", ["TooManyElements", "ConditionNotSupported", "Accepted"])
async def test_the_tariff_of_a_running_session_is_changed(
    stage: Stage, prices: None, make_tariff: Callable[..., Tariff], word: str
) -> None:
    by_day = await in_thread(lambda: make_tariff(elements=BY_DAY))
    async with stage("2.1") as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        before = await scene.session()
        order = await scene.rest(
            "POST", f"/sessions/{before['id']}/tariff", {"tariff_id": by_day.pk}, status=202
        )
        call = await scene.hears("ChangeTransactionTariff", {"transactionId": visit.transaction_id})
        assert len(call[3]["tariff"]["energy"]["prices"]) == 2
        await scene.answers(call, {"status": word})

        async def settled() -> bool:
            state = (await scene.rest("GET", f"/commands/{order['id']}"))["state"]
            return bool(state == ("accepted" if word == "Accepted" else "rejected"))

        await eventually(settled)
        if word == "Accepted":
            info = {"tariffId": call[3]["tariff"]["tariffId"]}
            await visit.event("Updated", "TariffChanged", "Charging", info=info)
            assert (await cost_of(scene))["station_tariff"] == info["tariffId"]


@oca("TC_I_122")
async def test_the_stations_own_reckoning_is_kept_and_compared(stage: Stage, prices: None) -> None:
    async with stage("2.1") as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        await visit.event("Updated", "RunningCost", "Charging", costDetails=details(1.90))
        await visit.ends(costDetails=details(2.65), info={"tariffId": "T9"})
        await rated(scene)
        cost = await cost_of(scene)
        assert (float(cost["station_total"]), float(cost["difference"])) == (2.65, 0)
        assert cost["station_details"]["totalUsage"]["energy"] == 20_000


# --- prepaid cards


async def prepaid(scene: Scene, card: Token, amount: str) -> Payload:
    account = await scene.rest("POST", "/prepaid", {"token_id": card.pk, "currency": "EUR"}, status=201)
    if amount:
        await scene.rest("POST", f"/prepaid/{account['id']}/pay-in", {"amount": amount, "label": "Cash"})
    return dict(account)


@oca("TC_C_103", "TC_E_109")
async def test_a_prepaid_card_charges_for_its_credit(stage: Stage, prices: None, card: Token) -> None:
    async with stage("2.1") as scene:
        account = await prepaid(scene, card, "5.00")
        answer = await scene.tell("Authorize", {"idToken": token(CARD, "ISO14443")})
        assert answer["idTokenInfo"]["status"] == "Accepted"
        visit = Visit(scene)
        await visit.plugged_in()
        answer = await visit.event("Updated", "Authorized", "EVConnected", token=token(CARD))
        assert answer["transactionLimit"] == {"maxCost": 5}
        await visit.energy_flows()
        told = {"transactionLimit": {"maxCost": 5}}
        await visit.event("Updated", "CostLimitReached", "SuspendedEVSE", wh=3300.0, info=told)
        await visit.ends("CostLimitReached", "Local")
        await rated(scene)
        left = await scene.rest("GET", f"/prepaid/{account['id']}")
        assert float(left["balance"]) == 5 - 2.65


@oca("TC_C_104")
async def test_a_prepaid_card_without_credit(stage: Stage, prices: None, card: Token) -> None:
    async with stage("2.1") as scene:
        await prepaid(scene, card, "")
        answer = await scene.tell("Authorize", {"idToken": token(CARD)})
        assert answer["idTokenInfo"]["status"] == "NoCredit"
        answer = await Visit(scene).event("Started", "Authorized", token=token(CARD), wh=START_WH)
        assert answer["idTokenInfo"]["status"] == "NoCredit" and "transactionLimit" not in answer


# --- sessions within limits


@oca("TC_E_106", "TC_E_107", "TC_E_108")
@pytest.mark.parametrize(
    ("told", "kept", "trigger", "reason"),
    [
        ({"maxEnergy": 2500}, ("limit_energy_wh", 2500), "EnergyLimitReached", "EnergyLimitReached"),
        ({"maxTime": 1800}, ("limit_seconds", 1800), "TimeLimitReached", "TimeLimitReached"),
        ({"maxCost": 2.65}, ("limit_cost", 2.65), "CostLimitReached", "CostLimitReached"),
    ],
)
async def test_a_limit_chosen_at_the_station(
    stage: Stage, prices: None, told: Payload, kept: tuple[str, float], trigger: str, reason: str
) -> None:
    async with stage("2.1") as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        answer = await visit.event("Updated", "LimitSet", "Charging", info={"transactionLimit": told})
        assert "transactionLimit" not in answer
        cost = await cost_of(scene)
        assert (cost["limit_origin"], float(cost[kept[0]])) == ("station", kept[1])
        await sweep(scene)
        await visit.event("Updated", trigger, "SuspendedEVSE", wh=3400.0)
        more: Payload = {"costDetails": details(2.65)} if "maxCost" in told else {}
        answer = await visit.ends(trigger, "Local", **more)
        assert answer["totalCost"] == 2.65
        assert scene.wire.calls.empty(), "the station keeps its own limit"


async def test_the_terminal_is_allowed_more_on_the_way(stage: Stage, prices: None) -> None:
    """C23: the driver's bank lets the station's terminal reserve a larger amount; later a smaller word counts too."""
    async with stage("2.1") as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        for most in (10, 25.5, 20):
            info = {"transactionLimit": {"maxCost": most}}
            await visit.event("Updated", "LimitSet", "Charging", info=info)
            cost = await cost_of(scene)
            assert (cost["limit_origin"], float(cost["limit_cost"])) == ("station", most)


GIVEN: list[Any] = [
    pytest.param({"energy_wh": 2000}, {"maxEnergy": 2000}, {}, marks=oca("TC_E_110")),
    pytest.param({"seconds": 600}, {"maxTime": 600}, {}, marks=oca("TC_E_111")),
    pytest.param({"cost": "2.00"}, {"maxCost": 2}, {}, marks=oca("TC_E_109")),
    pytest.param({"energy_wh": 2000}, {"maxEnergy": 2000}, {"maxEnergy": 9000}, marks=oca("TC_E_102")),
]


@pytest.mark.parametrize(("limit", "told", "own"), GIVEN)
async def test_a_limit_given_with_the_start(
    stage: Stage, prices: None, limit: Payload, told: Payload, own: Payload
) -> None:
    """The station is told with its first event; one that goes on nevertheless is stopped from here."""
    async with stage("2.1") as scene:
        start = {"evse": 1, "token_uid": CARD, "token_kind": "iso14443", "limit": limit}
        heard = await scene.does(
            "start", start, "RequestStartTransaction", {"evseId": 1}, {"status": "Accepted"}, "accepted"
        )
        visit = Visit(scene)
        info = {"remoteStartId": heard["remoteStartId"]} | ({"transactionLimit": own} if own else {})
        answer = await visit.event(
            "Started", "RemoteStart", "Charging", token=token(CARD), info=info, wh=START_WH,
            context="Transaction.Begin",
        )  # fmt: skip
        assert answer["transactionLimit"] == told
        await visit.event("Updated", "LimitSet", "Charging", info={"transactionLimit": told})
        assert (await cost_of(scene))["limit_origin"] == "operator"
        await visit.event("Updated", "MeterValuePeriodic", "Charging", wh=START_WH + 2400)
        for _round in range(2):  # it was told, so it gets one round to stop by itself
            await sweep(scene)
        call = await scene.hears("RequestStopTransaction", {"transactionId": visit.transaction_id})
        await scene.answers(call, {"status": "Accepted"})
        await visit.ends("RemoteStop", "Remote")
        await visit.was("Remote")
        assert (await cost_of(scene))["limit_reached"]


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"energy_wh": -1}, "a number above 0"),
        ({"seconds": 1.5}, "a whole number"),
        ({"litres": 3}, "Give some of cost, energy_wh"),
        ("much", "Give some of cost, energy_wh"),
    ],
)
async def test_a_limit_that_cannot_be_is_refused_in_words(stage: Stage, limit: Any, said: str) -> None:
    async with stage("2.1") as scene:
        order = await scene.order("start", evse=1, token_uid=CARD, limit=limit)
        done = await scene.outcome(order)
        assert done["state"] == "failed" and said in done["detail"]


@pytest.mark.parametrize("version", V2[:1])
async def test_an_older_station_is_held_to_a_limit_from_here(stage: Stage, version: str, card: Token) -> None:
    """It has no word for limits; and no tariff is needed for one of energy."""
    async with stage(version) as scene:
        start = {"evse": 1, "token_uid": CARD, "token_kind": "iso14443", "limit": {"energy_wh": 2000}}
        heard = await scene.does(
            "start", start, "RequestStartTransaction", {"evseId": 1}, {"status": "Accepted"}, "accepted"
        )
        visit = Visit(scene)
        info = {"remoteStartId": heard["remoteStartId"]}
        await visit.event(
            "Started", "RemoteStart", "Charging", token=token(CARD), info=info, wh=START_WH,
            context="Transaction.Begin",
        )  # fmt: skip
        await sweep(scene)
        assert scene.wire.calls.empty()
        await visit.event("Updated", "MeterValuePeriodic", "Charging", wh=START_WH + 2400)
        await sweep(scene)
        call = await scene.hears("RequestStopTransaction", {"transactionId": visit.transaction_id})
        await scene.answers(call, {"status": "Accepted"})
        assert (await cost_of(scene))["limit_reached"] == "energy"


# --- terminals


@oca("TC_C_108")
async def test_a_vat_number_is_checked(stage: Stage) -> None:
    async with stage("2.1") as scene:
        answer = await scene.tell("VatNumberValidation", {"vatNumber": "DE136695976", "evseId": 1})
        assert (answer["status"], answer["evseId"]) == ("Accepted", 1)
        answer = await scene.tell("VatNumberValidation", {"vatNumber": "DE136695978"})
        assert answer["status"] == "Rejected"
        assert [check["accepted"] for check in await scene.seen("/vat-checks")] == [False, True]


PAID = {"pspRef": "PSP-77", "settlementTime": stamp()}


@oca("TC_C_113", "TC_C_119", "TC_C_120")
@pytest.mark.parametrize(
    ("status", "amount", "flags"),
    [
        ("Settled", 2.65, []),
        ("Canceled", 0.0, ["not_paid"]),
        ("Failed", 0.0, ["not_paid"]),
        ("Rejected", 0.0, ["not_paid"]),
    ],
)
async def test_the_terminal_settles(
    stage: Stage, prices: None, status: str, amount: float, flags: list[str]
) -> None:
    """A bank card at the station's terminal; the driver pays 2.65, or does not."""
    async with stage("2.1") as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        answer = await visit.ends()
        assert answer["totalCost"] == 2.65
        told = PAID | {"transactionId": visit.transaction_id, "status": status, "settlementAmount": amount}
        if status == "Settled":
            told |= {"receiptId": "R1", "receiptUrl": "https://psp.example/r1", "vatNumber": "DE136695976"}
        answer = await scene.tell("NotifySettlement", told)
        if status == "Settled":
            assert (answer["receiptId"], answer["receiptUrl"]) == ("R1", "https://psp.example/r1")
        await rated(scene)
        now = datetime.now(UTC)
        await rows(scene.tenant, lambda: settlements.compare(tenant_id=scene.tenant.pk, now=now))
        (kept,) = await scene.seen("/settlements")
        assert (kept["status"], kept["flags"]) == (status.lower(), flags)


@oca("TC_C_118")
async def test_the_terminal_settles_and_we_make_the_receipt(stage: Stage, prices: None) -> None:
    async with stage("2.1") as scene:
        visit = Visit(scene)
        await visit.charging(CARD)
        await visit.ends()
        told = PAID | {"transactionId": visit.transaction_id, "status": "Settled", "settlementAmount": 2.65}
        answer = await scene.tell("NotifySettlement", told)
        assert answer["receiptId"]
        assert answer == await scene.tell("NotifySettlement", told), "told again: the same receipt"
        assert answer["receiptUrl"].startswith("https://cpo.example/pay/")
        path = answer["receiptUrl"].removeprefix("https://cpo.example")
        assert "not settled yet" in (await scan(path)).content.decode()
        await rated(scene)
        page = (await scan(path)).content.decode()
        assert "PSP-77" in page and "2.65" in page and scene.tenant.name in page
        forged = path.rstrip("/")[:-2] + "xx/"
        assert (await scan(forged)).status_code == 404
        refused = told | {"pspRef": "PSP-78", "status": "Failed"}
        assert "receiptUrl" not in await scene.tell("NotifySettlement", refused)


# --- a payment terminal beside the station


@oca("TC_C_125", "TC_C_126")
@pytest.mark.parametrize("reckons", [False, True])
async def test_a_payment_terminal_beside_the_station(stage: Stage, prices: None, reckons: bool) -> None:
    """C24: its backend starts by REST what was paid there. We reckon the cost, or the station does."""
    async with stage("2.1") as scene:
        await scene.rest("PATCH", "/access-rules", {"direct_payment": True})
        start = {
            "evse": 1,
            "token_uid": "PSP-4711",
            "token_kind": "direct_payment",
            "limit": {"cost": "20.00"},
        }
        heard = await scene.does(
            "start", start, "RequestStartTransaction", {"evseId": 1}, {"status": "Accepted"}, "accepted"
        )
        assert heard["idToken"] == {"idToken": "PSP-4711", "type": "DirectPayment"}
        visit = Visit(scene)
        answer = await visit.event(
            "Started", "RemoteStart", "Charging", token=heard["idToken"], wh=START_WH,
            info={"remoteStartId": heard["remoteStartId"]}, context="Transaction.Begin",
        )  # fmt: skip
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert answer["transactionLimit"] == {"maxCost": 20}
        more: Payload = {"costDetails": details(2.65)} if reckons else {}
        answer = await visit.ends(**more)
        assert answer["totalCost"] == 2.65
        session = await rated(scene)
        assert (session["token_uid"], float(session["cost_incl_tax"])) == ("PSP-4711", 2.65)
        cost = await cost_of(scene)
        assert (cost["difference"] is not None) == reckons


# --- QR codes


async def scan(path: str) -> Any:
    return await in_thread(lambda: Client().get(path))


@oca("TC_C_131")
async def test_a_driver_pays_by_qr_code(stage: Stage, prices: None, settings: Any) -> None:
    settings.WEB_PAYMENT_PROVIDER = "trial"
    async with stage("2.1") as scene:
        access = await set_up(scene.tenant, scene.station)
        led = await scan(address(scene.tenant, scene.station, access))
        assert led.status_code == 302
        await scene.answers(await scene.hears("NotifyWebPaymentStarted", {"evseId": 1}), {})
        await in_thread(lambda: Client().post(led["Location"], {"amount": "5"}))
        call = await scene.hears("RequestStartTransaction", {"evseId": 1})
        assert call[3]["idToken"]["type"] == "DirectPayment"
        await scene.answers(call, {"status": "Accepted"})
        visit = Visit(scene)
        answer = await visit.event(
            "Started", "RemoteStart", "Charging", token=call[3]["idToken"], wh=START_WH,
            info={"remoteStartId": call[3]["remoteStartId"]}, context="Transaction.Begin",
        )  # fmt: skip
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert answer["transactionLimit"] == {"maxCost": 5}
        answer = await visit.ends()
        assert answer["totalCost"] == 2.65


@oca("TC_C_132", "TC_C_133")
async def test_a_qr_code_that_is_wrong_leads_nowhere(stage: Stage, prices: None, settings: Any) -> None:
    settings.WEB_PAYMENT_PROVIDER = "trial"
    async with stage("2.1") as scene:
        access = await set_up(scene.tenant, scene.station)
        good = address(scene.tenant, scene.station, access)
        start, code = good.rstrip("/").rsplit("/", 1)
        other = f"/pay/{scene.tenant.slug}/NO-SUCH-STATION/1/{code}/"
        wrong = [other, start[:-2] + f"/99/{code}/", f"{start}/AAAAAAAA/", f"{start}/{code}0/"]
        for path in wrong:
            assert (await scan(path)).status_code in (404, 410), path
        await scene.tell("Heartbeat", {})
        assert scene.wire.calls.empty(), "the station hears nothing of it"
        old = web_payments.code(
            access.secret, at=datetime(2026, 1, 1, tzinfo=UTC), validity_seconds=access.validity_seconds,
            digits=access.digits,
        )  # fmt: skip
        assert (await scan(f"{start}/{old}/")).status_code == 410
        assert (await scan(good)).status_code == 302
