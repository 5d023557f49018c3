"""Payment at the station without a contract: terminals, VAT numbers, the page behind the QR code (C17 to C25)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from billing.models import Tariff
from fleets.models import Token
from stations import payments
from stations.models import (
    Command,
    Session,
    SessionCost,
    Settlement,
    Station,
    VatCheck,
    WebPayment,
    WebPaymentAccess,
)
from stations.services import costs, settlements, vat, web_payments
from stations.services.rating import rate_ended
from tenants.models import Tenant
from tests.people import ApiClient
from tests.stations.ocpp.conftest import Plug, in_thread, rows
from tests.stations.ocpp.test_commands import settled
from tests.stations.ocpp.test_costs import Charge, stamp


def payment(amount: float, status: str = "Settled", **more: Any) -> dict[str, Any]:
    return {
        "pspRef": "PSP-77", "status": status, "settlementAmount": amount, "settlementTime": stamp(),
        "transactionId": "tx-1", **more,
    }  # fmt: skip


async def charged(plug: Plug, tenant: Tenant, station: Station, told: list[dict[str, Any]]) -> Settlement:
    """A session of 20 kWh for 12.85 EUR, after which the terminal reports so."""
    async with plug(station, "2.1") as wire:
        charge = Charge(wire, "2.1")
        await charge.start()
        await charge.stop(21_000)
        for one in told:
            answer = await wire.ok("NotifySettlement", one)
            own = {name: one[name] for name in ("receiptId", "receiptUrl") if name in one}
            if own or one["status"] != "Settled":
                assert answer == own
            else:  # the terminal makes no receipt: we do
                assert answer["receiptUrl"].startswith(f"https://cpo.example/pay/{tenant.slug}/r/")
    await rows(tenant, lambda: rate_ended(tenant_id=tenant.pk))
    now = datetime.now(UTC)
    await rows(tenant, lambda: settlements.compare(tenant_id=tenant.pk, now=now))
    found: Settlement = await rows(
        tenant, lambda: Settlement.objects.select_related("session").filter(tenant=tenant).first()
    )
    return found


@pytest.fixture
def prices(make_tariff: Callable[..., Tariff], make_token: Callable[..., Token]) -> None:
    make_tariff(is_default=True)
    make_token(uid="04A2B3C4")


@pytest.mark.parametrize(
    ("told", "flags"),
    [
        ([payment(12.85, receiptId="R1", receiptUrl="https://psp.example/r1")], []),
        ([payment(12.85), payment(12.85)], []),
        ([payment(13.0)], ["amount_differs"]),
        ([payment(12.85), payment(12.85, pspRef="PSP-78")], ["paid_twice"]),
        ([payment(0, "Failed")], ["not_paid"]),
        ([payment(12.85, transactionId="tx-none")], []),
        ([payment(1e15)], ["amount_absurd", "amount_differs"]),
    ],
)
async def test_a_payment_is_kept_once_matched_and_held_against_the_price(
    plug: Plug, tenant: Tenant, station: Station, prices: None, told: list[dict[str, Any]], flags: list[str]
) -> None:
    row = await charged(plug, tenant, station, told)
    if told[0]["transactionId"] == "tx-none":
        assert row.session is None and row.flags == ["session_unknown"] and row.compared_at is None
        return
    assert row.session is not None and row.flags == flags
    kept = await rows(tenant, lambda: Settlement.objects.filter(tenant=tenant).count())
    assert kept == len({one["pspRef"] for one in told})


async def test_what_does_not_fit_stands_on_the_sessions_page_and_in_the_list(
    plug: Plug, tenant: Tenant, station: Station, prices: None, make_member: Any, portal_client: Any, api_client: Any
) -> None:  # fmt: skip
    row = await charged(plug, tenant, station, [payment(13.0)])

    def pages() -> tuple[str, str, Any]:
        browser = portal_client(make_member("operator")[0])
        base = f"/t/{tenant.slug}"
        return (
            browser.get(f"{base}/sessions/{row.session_id}/").content.decode(),
            browser.get(f"{base}/payments/?flagged=1").content.decode(),
            api_client().read("/settlements", flagged="true"),
        )

    session, listed, rest = await in_thread(pages)
    assert "The amount is not the price of the session." in session
    assert "PSP-77" in listed
    assert [one["psp_ref"] for one in rest["results"]] == ["PSP-77"]


async def test_a_link_that_is_none_of_the_web_is_not_kept(
    plug: Plug, tenant: Tenant, station: Station, prices: None
) -> None:
    async with plug(station, "2.1") as wire:
        await wire.ok("NotifySettlement", payment(1, receiptUrl="javascript:alert(1)"))
    row = await rows(tenant, lambda: Settlement.objects.get(tenant=tenant))
    assert row.receipt_url == ""


# --- VAT numbers ---

GOOD = [
    "ATU13585627", "BE0428759497", "DE136695976", "DK13585628", "EL094259216", "FI20774740", "FR40303265045",
    "HR33392005961", "HU12892312", "IT00743110157", "LU15027442", "MT11679112", "NL004495445B01", "PL8567346215",
    "PT501964843", "RO18547290", "SE123456789701", "SI50223054", "SK2022749619", "EE100931558", "de 136.695.976",
    "GR094259216", "ESB58378431", "IE6433435F", "CZ25123891", "LV40003521600", "LT119511515", "CY10259033P",
    "BG175074752",
]  # fmt: skip


@pytest.mark.nodb
@pytest.mark.parametrize("number", GOOD)
def test_vat_numbers_of_each_country_are_good(number: str) -> None:
    assert vat.check(number).accepted, number


@pytest.mark.nodb
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("DE136695978", "InvalidCheckDigit"),
        ("NL004495446B01", "InvalidCheckDigit"),
        ("DE12", "InvalidFormat"),
        ("US123456789", "UnknownCountry"),
        ("", "UnknownCountry"),
    ],
)
def test_vat_numbers_that_are_wrong_are_refused_with_the_reason(number: str, reason: str) -> None:
    answer = vat.check(number)
    assert (answer.accepted, answer.reason) == (False, reason)


@pytest.mark.nodb
@given(st.sampled_from(sorted(vat._PATTERNS)), st.text(max_size=20))
def test_no_text_breaks_the_check(country: str, text: str) -> None:
    vat.check(country + text)


@pytest.mark.nodb
def test_a_register_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    class Register:
        def find(self, *, country: str, number: str) -> vat.Company | None:
            if number == "136695976":
                return vat.Company("Acme GmbH", "Hafen 1", "Hamburg", "DE", "20457")
            if country == "AT":
                raise TimeoutError
            return None

    monkeypatch.setattr(vat, "REGISTER", Register())
    assert vat.check("DE136695976").company == {
        "name": "Acme GmbH", "address1": "Hafen 1", "city": "Hamburg", "country": "DE", "postalCode": "20457",
    }  # fmt: skip
    assert vat.check("IT00743110157").reason == "NotRegistered"
    assert vat.check("ATU13585627").reason == "NotVerified"


async def test_a_station_is_answered_and_the_number_is_kept(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    async with plug(station, "2.1") as wire:
        good = await wire.ok("VatNumberValidation", {"vatNumber": "DE136695976", "evseId": 1})
        assert good == {"status": "Accepted", "vatNumber": "DE136695976", "evseId": 1}
        bad = await wire.ok("VatNumberValidation", {"vatNumber": "DE136695978"})
        assert (bad["status"], bad["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidCheckDigit")
    kept = await rows(
        tenant, lambda: list(VatCheck.objects.filter(tenant=tenant).values_list("accepted", flat=True))
    )
    assert sorted(kept) == [False, True]


# --- the page behind the QR code ---


@pytest.mark.nodb
def test_the_changing_part_is_made_as_the_specification_says() -> None:
    """HMAC-SHA256 over the count of intervals, in base 62; worked out apart with openssl."""
    at = datetime(2025, 1, 1, tzinfo=UTC)
    code = web_payments.code("a-shared-secret-of-32-characters", at=at, validity_seconds=60, digits=8)
    assert len(code) == 8 and set(code) <= set(web_payments.ALPHABET)
    assert code == web_payments.code(
        "a-shared-secret-of-32-characters", at=at.replace(second=59), validity_seconds=60, digits=8
    )
    assert code != web_payments.code(
        "a-shared-secret-of-32-characters", at=at.replace(minute=1), validity_seconds=60, digits=8
    )


async def set_up(tenant: Tenant, station: Station) -> WebPaymentAccess:
    def make() -> WebPaymentAccess:
        return WebPaymentAccess.objects.create(tenant=tenant, station=station, secret="x" * 32)

    access: WebPaymentAccess = await rows(tenant, make)
    return access


def address(tenant: Tenant, station: Station, access: WebPaymentAccess) -> str:
    now = datetime.now(UTC)
    code = web_payments.code(
        access.secret, at=now, validity_seconds=access.validity_seconds, digits=access.digits
    )
    return f"/pay/{tenant.slug}/{station.identity}/1/{code}/"


async def test_a_driver_scans_pays_charges_and_is_stopped_at_what_was_set_aside(
    plug: Plug, tenant: Tenant, station: Station, prices: None, settings: Any
) -> None:
    settings.WEB_PAYMENT_PROVIDER = "trial"
    access = await set_up(tenant, station)
    browser = Client()
    async with plug(station, "2.1") as wire:
        await wire.ok("Heartbeat", {})
        led = await in_thread(lambda: browser.get(address(tenant, station, access)))
        assert led.status_code == 302
        call = await wire.next_call()
        assert call[2:] == ["NotifyWebPaymentStarted", {"evseId": 1, "timeout": 300}]
        await wire.answer(call, {})
        page = await in_thread(lambda: browser.get(led["Location"]).content.decode())
        assert "0.49 EUR per kWh" in page and "Pay and charge" in page
        await in_thread(lambda: browser.post(led["Location"], {"amount": "5"}))
        call = await wire.next_call()
        token = call[3]["idToken"]
        assert (call[2], token["type"], call[3]["evseId"]) == ("RequestStartTransaction", "DirectPayment", 1)
        await wire.answer(call, {"status": "Accepted"})
        command = await rows(tenant, lambda: Command.objects.get(kind="start"))
        await settled(tenant, command)
        charge = Charge(wire, "2.1", uid=token["idToken"])
        answer = await charge.start()
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert answer["transactionLimit"] == {"maxCost": 5}
        now = datetime.now(UTC)
        await rows(tenant, lambda: web_payments.sweep(tenant_id=tenant.pk, now=now))
        await charge.meter(11_000)
        for _round in range(2):  # it was told, so it gets one round to stop by itself
            await rows(tenant, lambda: costs.sweep(tenant_id=tenant.pk, now=now))
        call = await wire.next_call()
        assert call[2] == "RequestStopTransaction"
        await wire.answer(call, {"status": "Accepted"})
        going = await in_thread(lambda: browser.get(led["Location"]).content.decode())
        assert "Charging. It ends by itself" in going
    paid = await rows(tenant, lambda: WebPayment.objects.select_related("session").get(tenant=tenant))
    assert paid.session is not None and paid.session.verdict == "accepted"
    cost = await rows(tenant, lambda: SessionCost.objects.get(session=paid.session))
    assert (cost.limit_cost, cost.limit_origin) == (Decimal(5), "web")


async def test_a_payment_whose_provider_is_slow_is_not_given_up(
    tenant: Tenant, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over while the provider thinks: whoever paid has paid."""
    now = datetime.now(UTC)
    asked, swept = threading.Event(), threading.Event()

    class Slow(payments.Trial):
        def begin(self, **given: Any) -> payments.Taken:
            asked.set()
            swept.wait(2)
            return super().begin(**given)

    monkeypatch.setattr(payments, "provider", Slow)
    opened = await rows(
        tenant,
        lambda: WebPayment.objects.create(
            tenant=tenant, station=station, evse_number=1, code="abc", key="k" * 43, token_uid="WEB0011223344556677",
            currency="EUR", expires_at=now,
        ),
    )  # fmt: skip
    amount = Decimal(20)
    paying = asyncio.create_task(
        rows(tenant, lambda: web_payments.pay(payment=opened, amount=amount, back="https://x", now=now))
    )
    await asyncio.to_thread(asked.wait, 5)
    await rows(tenant, lambda: web_payments.sweep(tenant_id=tenant.pk, now=now + timedelta(seconds=1)))
    swept.set()
    await paying
    assert (await rows(tenant, lambda: WebPayment.objects.get(tenant=tenant))).state == "authorized"


async def test_an_old_code_and_one_that_was_used_lead_nowhere(
    plug: Plug, tenant: Tenant, station: Station, prices: None, settings: Any
) -> None:
    settings.WEB_PAYMENT_PROVIDER = "trial"
    access = await set_up(tenant, station)
    browser = Client()
    assert (
        await in_thread(lambda: browser.get(f"/pay/{tenant.slug}/{station.identity}/1/AAAAAAAA/"))
    ).status_code == 410
    scanned = address(tenant, station, access)
    led = await in_thread(lambda: browser.get(scanned))
    assert (await in_thread(lambda: browser.get(scanned)))["Location"] == led["Location"]  # loaded anew
    await in_thread(lambda: browser.post(led["Location"], {"amount": "20"}))
    assert (await in_thread(lambda: browser.get(scanned))).status_code == 410
    assert (await in_thread(lambda: browser.post(led["Location"], {"amount": "20"}))).status_code == 422
    assert await rows(tenant, lambda: Command.objects.filter(tenant=tenant, kind="start").count()) == 1


async def test_without_a_provider_nothing_is_taken_and_the_page_says_so(
    tenant: Tenant, station: Station, prices: None
) -> None:
    access = await set_up(tenant, station)
    browser = Client()
    led = await in_thread(lambda: browser.get(address(tenant, station, access)))
    page = await in_thread(lambda: browser.get(led["Location"]).content.decode())
    assert "not set up here yet" in page
    assert (await in_thread(lambda: browser.post(led["Location"], {"amount": "20"}))).status_code == 422
    assert not await rows(tenant, lambda: Session.objects.filter(tenant=tenant).exists())


async def test_setting_up_gives_the_station_the_address_and_a_secret_that_is_kept_nowhere_in_clear(
    plug: Plug, tenant: Tenant, station: Station, api_client: Callable[..., ApiClient]
) -> None:
    async with plug(station, "2.1") as wire:
        await wire.ok("Heartbeat", {})
        api = await in_thread(api_client)
        shown = await in_thread(
            lambda: api.write("POST", f"/stations/{station.pk}/web-payment", {}, status=201)
        )
        assert "secret" not in json.dumps(shown)
        told: dict[str, str] = {}
        for _variable in range(6):
            call = await wire.next_call()
            entry = call[3]["setVariableData"][0]
            told[entry["variable"]["name"]] = entry["attributeValue"]
            assert entry["component"] == {"name": "WebPaymentsCtrlr"}
            result = {key: entry[key] for key in ("component", "variable")} | {"attributeStatus": "Accepted"}
            await wire.answer(call, {"setVariableResult": [result]})
    assert told["URLTemplate"].endswith(f"/pay/{tenant.slug}/{{chargingStationId}}/{{evse}}/{{totp}}/")
    access = await rows(tenant, lambda: WebPaymentAccess.objects.get(station=station))
    assert told["SharedSecret"] == access.secret and len(access.secret) == 32
    commands = await rows(tenant, lambda: list(Command.objects.filter(tenant=tenant)))
    assert access.secret not in json.dumps([[one.arguments, one.request] for one in commands])
