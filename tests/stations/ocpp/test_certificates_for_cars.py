"""Get15118EVCertificate, GetCertificateStatus and GetCertificateChainStatus on the wire."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.x509 import ocsp as x509_ocsp

from simulator.pki import Pki
from stations.models import CertificateInstallation, Frame, PlugAndCharge, Station, StationEvent
from tenants.models import Tenant
from tests.stations.ocpp.charger import Charger
from tests.stations.ocpp.conftest import Plug, rows
from tests.stations.ocpp.test_contracts import PNC, VERSIONS
from tests.stations.opcp import NO_CONTRACT, Server, server
from tests.stations.responder import Responder, responder

CAR = "gJgCGn8CYlRaMiyK" * 20


@pytest.fixture
def opcp() -> Iterator[Server]:
    with server() as made:
        yield made


@pytest.fixture
def ocsp() -> Iterator[Responder]:
    with responder() as made:
        yield made


async def provide(tenant: Tenant, made: Server) -> None:
    await rows(tenant, lambda: PlugAndCharge.objects.create(tenant=tenant, **made.settings))


async def ask(wire: Charger, version: str, action: str, told: dict[str, Any]) -> dict[str, Any]:
    if version != "1.6":
        return await wire.ok(action, told)
    wrapped = {"vendorId": PNC, "messageId": action, "data": json.dumps(told)}
    answer = await wire.ok("DataTransfer", wrapped)
    assert answer["status"] == "Accepted"
    return dict(json.loads(answer["data"]))


async def kept_frames(tenant: Tenant) -> list[Any]:
    """(payload, reply) of what is in the log of frames, once something is: it is written behind the answer."""
    while True:
        found = await rows(
            tenant, lambda: list(Frame.objects.filter(tenant=tenant).values_list("payload", "reply"))
        )
        if found:
            return found
        await asyncio.sleep(0.05)


def install(version: str, **more: Any) -> dict[str, Any]:
    extra = {"maximumContractCertificateChains": 2, "prioritizedEMAIDs": ["DE-8BB-C00000002"]}
    return {
        "iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef", "action": "Install", "exiRequest": CAR,
        **(extra if version == "2.1" else {}), **more,
    }  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_car_gets_its_contract_and_nobody_reads_along(
    plug: Plug, tenant: Tenant, station: Station, opcp: Server, version: str
) -> None:
    first, second = "A" * 6000, "B" * 7000
    opcp.local.contracts[CAR] = [("DE8AAC12345678", first), ("DE8BBC00000002", second)]
    await provide(tenant, opcp)
    async with plug(station, version) as wire:
        answer = await ask(wire, version, "Get15118EVCertificate", install(version))
    wanted = {"status": "Accepted", "exiResponse": second if version == "2.1" else first}
    assert answer == wanted | ({"remainingContracts": 1} if version == "2.1" else {})
    assert opcp.calls[-1][2]["certificateInstallationReq"] == CAR
    kept = await rows(tenant, lambda: CertificateInstallation.objects.get(tenant=tenant))
    assert (kept.accepted, kept.update, kept.request_characters, kept.response_characters) == (
        True, False, len(CAR), len(wanted["exiResponse"]),
    )  # fmt: skip
    frames = await kept_frames(tenant)
    assert len(frames) == 1 and "characters" in frames[0][0]
    assert not any(secret in str(frames) for secret in (CAR, first, second))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_car_without_a_contract_hears_it_from_the_provider(
    plug: Plug, tenant: Tenant, station: Station, opcp: Server, version: str
) -> None:
    await provide(tenant, opcp)
    async with plug(station, version) as wire:
        answer = await ask(wire, version, "Get15118EVCertificate", install(version, action="Update"))
    assert (answer["status"], answer["exiResponse"]) == ("Failed", NO_CONTRACT)
    assert "no contract" in answer["statusInfo"]["additionalInfo"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_without_a_provider_the_answer_says_so(
    plug: Plug, tenant: Tenant, station: Station, version: str
) -> None:
    async with plug(station, version) as wire:
        answer = await ask(wire, version, "Get15118EVCertificate", install(version))
    assert (answer["status"], answer["exiResponse"]) == ("Failed", "")
    assert answer["statusInfo"] == {
        "reasonCode": "NoCertificate",
        "additionalInfo": "No provider of certificates is set up for Plug & Charge.",
    }


async def test_an_answer_that_the_version_cannot_carry_fails_in_words(
    plug: Plug, tenant: Tenant, station: Station, opcp: Server
) -> None:
    opcp.local.contracts[CAR] = [("DE8AAC12345678", "A" * 7501)]
    await provide(tenant, opcp)
    async with plug(station, "2.0.1") as wire:
        answer = await ask(wire, "2.0.1", "Get15118EVCertificate", install("2.0.1"))
    assert answer["status"] == "Failed" and "7500" in answer["statusInfo"]["additionalInfo"]


async def test_what_breaks_the_schema_is_not_logged_either(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    async with plug(station, "2.0.1") as wire:
        frame = await wire.call("Get15118EVCertificate", install("2.0.1", action="Steal"))
        assert frame[0] == 4
        data = json.dumps(install("2.0.1", action="Steal"))
    assert CAR not in str(await kept_frames(tenant))
    async with plug(station, "1.6") as wire:
        told = {"vendorId": PNC, "messageId": "Get15118EVCertificate", "data": data}
        assert (await wire.ok("DataTransfer", told))["status"] == "Rejected"
    assert CAR not in str(await rows(tenant, lambda: list(Frame.objects.filter(tenant=tenant).values())))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_responders_word_is_passed_on_as_it_came(
    plug: Plug, tenant: Tenant, station: Station, ocsp: Responder, version: str
) -> None:
    """M06: the station staples it; the car checks it."""
    pki = ocsp.serve(Pki(ocsp_url=ocsp.url))
    leaf = pki.station("DE*VLT*E1")
    told = {"ocspRequestData": pki.cpo_sub2.hash_data(leaf.certificate)}
    async with plug(station, version) as wire:
        for _time in range(2):  # the second time from what is kept
            answer = await ask(wire, version, "GetCertificateStatus", told)
            assert answer["status"] == "Accepted"
            response = x509_ocsp.load_der_ocsp_response(base64.b64decode(answer["ocspResult"]))
            assert response.serial_number == leaf.serial
    assert ocsp.asked == [leaf.serial]
    noted = await rows(tenant, lambda: StationEvent.objects.filter(tenant=tenant, kind="certificate").first())
    assert noted.text == f"Certificate {leaf.serial:x}: good"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_responder_that_says_nothing(
    plug: Plug, tenant: Tenant, station: Station, ocsp: Responder, version: str
) -> None:
    pki = ocsp.serve(Pki(ocsp_url=ocsp.url))
    ocsp.status = 500
    told = {"ocspRequestData": pki.cpo_sub2.hash_data(pki.station("DE*VLT*E1").certificate)}
    async with plug(station, version) as wire:
        answer = await ask(wire, version, "GetCertificateStatus", told)
    assert answer["status"] == "Failed" and "ocspResult" not in answer
    assert "HTTP 500" in answer["statusInfo"]["additionalInfo"]


async def test_the_status_of_a_whole_chain(
    plug: Plug, tenant: Tenant, station: Station, ocsp: Responder
) -> None:
    pki = ocsp.serve(Pki(ocsp_url=ocsp.url))
    good, bad = pki.mo_sub2.issue("DE8AAC00000001"), pki.mo_sub2.issue("DE8AAC00000002")
    pki.mo_sub2.revoke(bad.serial)

    def question(issued: Any, *urls: str, source: str = "OCSP") -> dict[str, Any]:
        told = pki.mo_sub2.hash_data(issued.certificate)
        told.pop("responderURL")
        return {"certificateHashData": told, "source": source, "urls": list(urls)}

    asked = [
        question(good, "http://127.0.0.1:1/", ocsp.url),
        question(bad, ocsp.url),
        question(good, "http://127.0.0.1:1/"),
        question(good, ocsp.crl_url, source="CRL"),  # whose authority nobody here knows
    ]
    async with plug(station, "2.1") as wire:
        answer = await wire.ok("GetCertificateChainStatus", {"certificateStatusRequests": asked})
    told = answer["certificateStatus"]
    assert [one["status"] for one in told] == ["Good", "Revoked", "Failed", "Failed"]
    assert [one["certificateHashData"] for one in told] == [one["certificateHashData"] for one in asked]
    assert all(one["nextUpdate"].endswith("Z") for one in told)
