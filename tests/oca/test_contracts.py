"""Compliance cases of Plug & Charge: contracts that are shown (C07), certificates for cars and their status (M)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.x509 import ocsp as x509_ocsp

from fleets.models import Token
from simulator.pki import Pki
from stations.models import PlugAndCharge
from tests.oca.cases import oca
from tests.oca.scene import V2, Payload, Scene, Stage
from tests.oca.visit import Visit, token
from tests.stations.ocpp.conftest import rows
from tests.stations.opcp import NO_CONTRACT, Server, server
from tests.stations.responder import Responder, responder

EMAID = "DE8AAC12345678"
CAR = "gJgCGn8CYlRaMiyK" * 20  # the car's EXI message
CONTRACT = token(EMAID, "eMAID")
on_2x = pytest.mark.parametrize("version", V2)


@pytest.fixture
def ocsp() -> Iterator[Responder]:
    with responder() as made:
        yield made


@pytest.fixture
def pki(ocsp: Responder) -> Pki:
    return ocsp.serve(Pki(ocsp_url=ocsp.url))


@pytest.fixture
def contract_token(make_token: Callable[..., Token]) -> Token:
    return make_token(uid=EMAID, kind="emaid")


async def trusts(scene: Scene, pki: Pki) -> None:
    """The company believes this mobility operator."""
    root = {"use": "mo_root", "certificate": pki.mo_root.pem}
    await scene.rest("POST", "/security/roots", root, status=201)


async def shown(scene: Scene, **proof: Any) -> tuple[str, str]:
    """(status of the contract, status of its certificate) as the station is told."""
    answer = await scene.tell("Authorize", {"idToken": CONTRACT, **proof})
    return answer["idTokenInfo"]["status"], answer["certificateStatus"]


def hashes(pki: Pki, contract: Any) -> list[Payload]:
    """Of a chain that the station has checked itself."""
    return [
        pki.mo_sub2.hash_data(contract.certificate),
        pki.mo_sub1.hash_data(pki.mo_sub2.certificate),
    ]


@oca("TC_C_50", "TC_C_51")
@on_2x
async def test_the_station_checked_the_chain_and_asks_for_its_revocation(
    stage: Stage, version: str, contract_token: Token, pki: Pki
) -> None:
    first, contract = pki.contract(EMAID), pki.contract(EMAID)
    async with stage(version) as scene:
        await trusts(scene, pki)
        # The authorities are known here since their first chain was seen.
        assert await shown(scene, certificate=first.chain) == ("Accepted", "Accepted")
        told = hashes(pki, contract)
        assert await shown(scene, iso15118CertificateHashData=told) == ("Accepted", "Accepted")
        visit = Visit(scene)
        answer = await visit.event("Started", "Authorized", "EVConnected", token=CONTRACT, wh=1000.0)
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert (await scene.session())["token_uid"] == EMAID
        revoked = pki.contract(EMAID)
        pki.mo_sub2.revoke(revoked.serial)
        told = hashes(pki, revoked)
        assert await shown(scene, iso15118CertificateHashData=told) == ("Invalid", "CertificateRevoked")
        checks = await scene.seen("/contract-checks")
        assert [check["status"] for check in checks] == ["revoked", "accepted", "accepted"]


@oca("TC_C_52")
@on_2x
async def test_we_check_the_chain(stage: Stage, version: str, contract_token: Token, pki: Pki) -> None:
    async with stage(version) as scene:
        chain = pki.contract(EMAID).chain
        assert (await shown(scene, certificate=chain))[0] == "Invalid", "nobody is trusted yet"
        await trusts(scene, pki)
        assert await shown(scene, certificate=chain) == ("Accepted", "Accepted")
        stranger = Pki().contract(EMAID).chain
        assert (await shown(scene, certificate=stranger))[0] == "Invalid"


# --- status of certificates


@oca("TC_M_24")
@on_2x
async def test_the_status_of_the_stations_certificate(stage: Stage, version: str, pki: Pki) -> None:
    leaf = pki.station("DE*VLT*E1")
    async with stage(version) as scene:
        told = {"ocspRequestData": pki.cpo_sub2.hash_data(leaf.certificate)}
        answer = await scene.tell("GetCertificateStatus", told)
        assert answer["status"] == "Accepted"
        response = x509_ocsp.load_der_ocsp_response(base64.b64decode(answer["ocspResult"]))
        assert response.serial_number == leaf.serial
        assert response.certificate_status is x509_ocsp.OCSPCertStatus.GOOD


# --- certificates for cars


@pytest.fixture
def provider() -> Iterator[Server]:
    with server() as made:
        yield made


SCHEMA = {"-2": "urn:iso:15118:2:2013:MsgDef", "-20": "urn:iso:std:iso:15118:-20:CommonMessages"}


@oca("TC_M_26", "TC_M_28", "TC_M_100")
@pytest.mark.parametrize(
    ("version", "edition", "action"),
    [*[(version, "-2", action) for version in V2 for action in ("Install", "Update")],
     ("2.1", "-20", "Install")],
)  # fmt: skip
async def test_a_car_gets_its_contract(
    stage: Stage, provider: Server, version: str, edition: str, action: str
) -> None:
    first, second = "A" * 5000, "B" * 5500
    provider.local.contracts[CAR] = [(EMAID, first), ("DE8BBC00000002", second)]
    told: Payload = {"iso15118SchemaVersion": SCHEMA[edition], "action": action, "exiRequest": CAR}
    if edition == "-20":
        told |= {"maximumContractCertificateChains": 2, "prioritizedEMAIDs": ["DE-8BB-C00000002"]}
    async with stage(version) as scene:
        await rows(
            scene.tenant, lambda: PlugAndCharge.objects.create(tenant=scene.tenant, **provider.settings)
        )
        answer = await scene.tell("Get15118EVCertificate", told)
        wanted: Payload = {"status": "Accepted", "exiResponse": first}
        if edition == "-20":
            wanted |= {"exiResponse": second, "remainingContracts": 1}
        assert answer == wanted
        (kept,) = await scene.seen("/certificate-installations")
        assert (kept["accepted"], kept["update"]) == (True, action == "Update")
        answer = await scene.tell("Get15118EVCertificate", told | {"exiRequest": "AAAA"})
        assert (answer["status"], answer["exiResponse"]) == ("Failed", NO_CONTRACT)
