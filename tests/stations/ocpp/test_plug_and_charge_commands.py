"""Plug & Charge commands on 1.6: those of 2.0.1, wrapped into DataTransfer; what is not for it stays as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography import x509

from simulator.pki import Pki
from stations.models import InstalledCertificate, Station
from stations.services import authority
from tenants.models import Tenant
from tests.stations import pki
from tests.stations.ocpp.conftest import Plug, rows
from tests.stations.ocpp.test_commands import request, settled
from tests.stations.ocpp.test_contracts import PNC

HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "ab", "issuerKeyHash": "cd", "serialNumber": "1f"}
COMMANDS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "a mobility operator's root": (
        "install_certificate", {"use": "mo_root", "certificate": "PEM"},
        "InstallCertificate", {"certificateType": "MORootCertificate", "certificate": "PEM"},
    ),
    "a deletion": (
        "delete_certificate",
        {"issuer_name_hash": "ab", "issuer_key_hash": "cd", "serial_number": "1f", "use": "v2g_root"},
        "DeleteCertificate", {"certificateHashData": HASH},
    ),
    "a list": (
        "read_certificates", {"uses": ["v2g_root", "v2g_chain"]},
        "GetInstalledCertificateIds", {"certificateType": ["V2GRootCertificate", "V2GCertificateChain"]},
    ),
    "a certificate towards cars": (
        "send_certificate", {"use": "v2g", "chain": "PEM"},
        "CertificateSigned", {"certificateChain": "PEM", "certificateType": "V2GCertificate"},
    ),
    "a request for one": (
        "trigger", {"message": "sign_v2g_certificate"}, "TriggerMessage", {"requestedMessage": "SignV2GCertificate"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", COMMANDS)
@pytest.mark.parametrize(("inner", "state"), [("Accepted", "accepted"), ("Rejected", "rejected")])
async def test_a_command_goes_wrapped_and_the_inner_answer_counts(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, case: str, inner: str, state: str
) -> None:
    kind, arguments, message, payload = COMMANDS[case]
    async with plug(station, "1.6") as wire:
        command = await request(tenant, station, owner_actor, kind, **arguments)
        call = await wire.next_call()
        assert call[2] == "DataTransfer"
        assert (call[3]["vendorId"], call[3]["messageId"]) == (PNC, message)
        assert json.loads(call[3]["data"]) == payload
        await wire.answer(call, {"status": "Accepted", "data": json.dumps({"status": inner})})
        done = await settled(tenant, command)
    assert (done.state, done.answer) == (state, inner)


async def test_a_station_that_knows_nothing_of_it_refuses(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "1.6") as wire:
        command = await request(tenant, station, owner_actor, "trigger", message="sign_v2g_certificate")
        await wire.answer(await wire.next_call(), {"status": "UnknownVendorId"})
        done = await settled(tenant, command)
    assert (done.state, done.answer) == ("rejected", "UnknownVendorId")


async def test_what_a_station_took_and_tells_is_known(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    root = Pki().mo_root
    async with plug(station, "1.6") as wire:
        command = await request(
            tenant, station, owner_actor, "install_certificate", use="mo_root", certificate=root.pem
        )
        await wire.answer(await wire.next_call(), {"status": "Accepted", "data": '{"status": "Accepted"}'})
        await settled(tenant, command)
        held = await rows(tenant, lambda: InstalledCertificate.objects.get(tenant=tenant, station=station))
        assert (held.use, held.serial) == ("mo_root", f"{root.certificate.serial_number:x}")
        command = await request(tenant, station, owner_actor, "read_certificates", uses=["mo_root"])
        await wire.answer(await wire.next_call(), {"status": "Accepted", "data": '{"status": "NotFound"}'})
        await settled(tenant, command)
    left = await rows(tenant, lambda: InstalledCertificate.objects.filter(tenant=tenant).count())
    assert left == 0


async def test_a_station_asks_for_a_certificate_towards_cars_and_gets_it(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    root = pki.Authority("V2G root")
    await rows(
        tenant,
        lambda: authority.delegate(
            tenant_id=tenant.pk, actor=owner_actor, chain=root.pem, key=pki.key_pem(root.key), use="v2g"
        ),
    )
    csr, key = pki.request(station.identity)
    async with plug(station, "1.6") as wire:
        command = await request(tenant, station, owner_actor, "trigger", message="sign_v2g_certificate")
        await wire.answer(await wire.next_call(), {"status": "Accepted", "data": '{"status": "Accepted"}'})
        await settled(tenant, command)
        told = {"vendorId": PNC, "messageId": "SignCertificate", "data": json.dumps({"csr": csr})}
        answer = await wire.ok("DataTransfer", told)
        assert (answer["status"], json.loads(answer["data"])) == ("Accepted", {"status": "Accepted"})
        call = await wire.next_call()
        assert (call[2], call[3]["messageId"]) == ("DataTransfer", "CertificateSigned")
        inner = json.loads(call[3]["data"])
        assert inner["certificateType"] == "V2GCertificate"
        chain = x509.load_pem_x509_certificates(inner["certificateChain"].encode())
        assert chain[0].public_key() == key.public_key()
        chain[0].verify_directly_issued_by(root.certificate)


async def test_what_the_whitepaper_has_goes_by_its_own_messages(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "1.6") as wire:
        await request(tenant, station, owner_actor, "install_certificate", use="csms_root", certificate="PEM")
        assert (await wire.next_call())[2] == "InstallCertificate"
