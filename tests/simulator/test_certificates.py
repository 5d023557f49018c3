"""Certificates of a simulated station: its own, and the one it shows to cars; on 1.6 the latter inside DataTransfer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography import x509

from simulator import SimulatedStation
from simulator.pki import Pki
from tests.simulator.conftest import Stations
from tests.simulator.csms import ScriptedCsms

pytestmark = pytest.mark.nodb

PNC = "org.openchargealliance.iso15118pnc"


async def ask(csms: ScriptedCsms, version: str, action: str, told: dict[str, Any]) -> dict[str, Any]:
    if version != "1.6":
        return dict(await csms.last.ask(action, told))
    wrapped = {"vendorId": PNC, "messageId": action, "data": json.dumps(told)}
    answer = await csms.last.ask("DataTransfer", wrapped)
    assert answer["status"] == "Accepted"
    return dict(json.loads(answer["data"]))


def requests(csms: ScriptedCsms, version: str) -> list[dict[str, Any]]:
    if version != "1.6":
        return csms.of("SignCertificate")
    return [
        json.loads(told["data"]) for told in csms.of("DataTransfer") if told["messageId"] == "SignCertificate"
    ]


async def test_a_certificate_for_cars_is_asked_for_taken_and_listed(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    station = await connected(version)
    pki = Pki()
    wanted = await ask(csms, version, "TriggerMessage", {"requestedMessage": "SignV2GCertificate"})
    assert wanted["status"] == "Accepted"
    await csms.until(lambda: requests(csms, version))
    (request,) = requests(csms, version)
    assert request["certificateType"] == "V2GCertificate"
    csr: Any = x509.load_pem_x509_csr(request["csr"].encode())
    chain = pki.cpo_sub2.issue("SECC", key=csr).chain

    signed = {"certificateChain": chain, "certificateType": "V2GCertificate"}
    other = {**signed, "certificateChain": pki.station("SECC").chain}
    assert (await ask(csms, version, "CertificateSigned", other))["status"] == "Rejected"
    assert (await ask(csms, version, "CertificateSigned", signed))["status"] == "Accepted"
    listed = await ask(
        csms, version, "GetInstalledCertificateIds", {"certificateType": ["V2GCertificateChain"]}
    )
    (row,) = listed["certificateHashDataChain"]
    serial = x509.load_pem_x509_certificates(chain.encode())[0].serial_number
    assert row["certificateHashData"]["serialNumber"] == f"{serial:x}"
    assert station.security.chain == ""  # its own towards the CSMS is another


async def test_roots_are_installed_listed_and_deleted(
    csms: ScriptedCsms, connected: Stations, version: str
) -> None:
    await connected(version)
    root = {"certificateType": "V2GRootCertificate", "certificate": Pki().v2g_root.pem}
    assert (await ask(csms, version, "InstallCertificate", root))["status"] == "Accepted"
    asked = {"certificateType": ["V2GRootCertificate"]}
    listed = await ask(csms, version, "GetInstalledCertificateIds", asked)
    data = listed["certificateHashDataChain"][0]["certificateHashData"]
    for status in ("Accepted", "NotFound"):
        gone = await ask(csms, version, "DeleteCertificate", {"certificateHashData": data})
        assert gone["status"] == status
    assert await ask(csms, version, "GetInstalledCertificateIds", asked) == {"status": "NotFound"}


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"messageId": "NoSuch", "data": "{}"}, "UnknownMessageId"),
        ({"messageId": "TriggerMessage", "data": "{"}, "Rejected"),
    ],
)
async def test_what_cannot_be_read_inside_is_refused(
    csms: ScriptedCsms, connected: Stations, told: dict[str, str], status: str
) -> None:
    station: SimulatedStation = await connected("1.6")
    answer = await csms.last.ask("DataTransfer", {"vendorId": PNC, **told})
    assert answer["status"] == status
    station.device.put("ISO15118PnCEnabled", "false")
    answer = await csms.last.ask("DataTransfer", {"vendorId": PNC, **told})
    assert answer["status"] == "UnknownVendorId"
