"""The OPCP client against a real HTTPS server, and the same questions to a PKI without a network: one behaviour."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from stations import pki
from stations.models import PlugAndCharge
from stations.services.pnc import opcp, provider
from stations.services.pnc.provider import CarQuestion, Provider, ProviderError
from tests.stations.opcp import NO_CONTRACT, Server, csr_pem, server

pytestmark = pytest.mark.nodb
SCHEMA = "urn:iso:15118:2:2013:MsgDef"


@pytest.fixture
def opcp_server() -> Iterator[Server]:
    with server() as made:
        made.local.contracts["car-1"] = [("DE8AAC12345678", "EXI-1"), ("DE8BBC00000002", "EXI-2")]
        yield made


def client(made: Server, **changed: Any) -> Provider:
    return provider.of(PlugAndCharge(tenant_id=1, **(made.settings | changed)))


@pytest.fixture(params=["http", "local"])
def asked(request: pytest.FixtureRequest, opcp_server: Server) -> Provider:
    return client(opcp_server) if request.param == "http" else opcp_server.local


def test_a_cars_message_goes_through_as_it_is(asked: Provider) -> None:
    answer = asked.car_certificate(CarQuestion(SCHEMA, "car-1", wanted_chains=3))
    assert (answer.accepted, answer.exi, answer.remaining) == (True, "EXI-1", 1)


def test_a_car_without_a_contract_gets_a_refusal_of_its_own(asked: Provider) -> None:
    answer = asked.car_certificate(CarQuestion(SCHEMA, "car-2"))
    assert (answer.accepted, answer.exi) == (False, NO_CONTRACT)


def test_the_roots_of_the_pool(asked: Provider, opcp_server: Server) -> None:
    found = {root.use: pki.one(root.pem) for root in asked.roots()}
    made = opcp_server.local.pki
    assert found == {
        "v2g_root": made.v2g_root.certificate, "mo_root": made.mo_root.certificate,
        "oem_root": made.oem_root.certificate,
    }  # fmt: skip


def test_a_stations_request_is_signed_with_the_chain_above_it(asked: Provider, opcp_server: Server) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    chain = x509.load_pem_x509_certificates(asked.sign(csr_pem(key, "DE*VLT*E1"), "v2g").encode())
    made = opcp_server.local.pki
    assert chain[0].public_key() == key.public_key()
    assert chain[1:] == [made.cpo_sub2.certificate, made.cpo_sub1.certificate]  # without the root


def test_contracts_that_the_driver_wants_first(opcp_server: Server) -> None:
    told = client(opcp_server).car_certificate(
        CarQuestion(SCHEMA, "car-1", emaids=("FRXYZC99999999", "DE-8BB-C00000002"))
    )
    assert told.exi == "EXI-2"
    assert opcp_server.calls[-1][2] == {"certificateInstallationReq": "car-1", "xsdMsgDefNamespace": SCHEMA}


def test_a_token_is_fetched_once_and_renewed_when_it_counts_no_more(opcp_server: Server) -> None:
    asked = client(opcp_server)
    asked.roots()
    asked.roots()
    assert [path for _m, path, _b in opcp_server.calls].count("/oauth/token") == 1
    assert opcp_server.calls[0][2]["audience"] == "https://eu.plugncharge.example"
    opcp_server.token = "token-2"
    assert asked.roots()
    assert [path for _m, path, _b in opcp_server.calls].count("/oauth/token") == 2


def test_what_fails_for_a_moment_is_tried_again(opcp_server: Server) -> None:
    opcp_server.fails = [503]
    assert client(opcp_server).roots()


def test_a_provider_that_is_down_is_left_alone_for_a_moment(opcp_server: Server) -> None:
    asked = client(opcp_server)
    opcp_server.fails = [500, 500, 500, 500]
    with pytest.raises(ProviderError, match="HTTP 500"):
        asked.roots()
    with pytest.raises(ProviderError, match="asked again in some seconds"):
        asked.roots()
    assert len(opcp_server.fails) == 2
    opcp_server.fails.clear()
    other = provider.of(PlugAndCharge(tenant_id=2, **opcp_server.settings))
    assert other.roots()  # one company's trouble with a provider is not the next one's
    opcp._resting.clear()


def test_wrong_credentials_are_said_to_be_wrong(opcp_server: Server) -> None:
    with pytest.raises(ProviderError, match="refused the client id or the client secret"):
        client(opcp_server, client_secret="wrong").roots()


def test_what_it_refuses_is_told_in_its_words(opcp_server: Server) -> None:
    opcp_server.fails = [400]
    with pytest.raises(ProviderError, match=r"HTTP 400\. It says: Out of order"):
        client(opcp_server).car_certificate(CarQuestion(SCHEMA, "car-1"))


def test_a_server_that_proves_nothing_gets_no_secret(opcp_server: Server) -> None:
    with pytest.raises(ProviderError, match="CERTIFICATE_VERIFY_FAILED"):
        client(opcp_server, trusted_ca="").roots()
    assert not opcp_server.calls
    opcp._resting.clear()


def test_without_a_provider_that_is_said() -> None:
    with pytest.raises(ProviderError, match="No provider"):
        provider.of(PlugAndCharge(tenant_id=1))
