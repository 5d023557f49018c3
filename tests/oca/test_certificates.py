"""Compliance cases on root certificates: installed, listed, deleted (1.6 security, 2.x block M)."""

from __future__ import annotations

import pytest

from tests.oca.cases import oca
from tests.oca.scene import Payload, Stage
from tests.stations import pki

HASH: Payload = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "a1" * 32,
    "issuerKeyHash": "b2" * 32,
    "serialNumber": "1a2b",
}
NAMED = {
    "hash_algorithm": "SHA256",
    "issuer_name_hash": "a1" * 32,
    "issuer_key_hash": "b2" * 32,
    "serial_number": "1a2b",
}
SOME = [
    pytest.param("1.6", "csms_root", "CentralSystemRootCertificate", marks=oca("TC_075_2")),
    pytest.param("1.6", "manufacturer_root", "ManufacturerRootCertificate", marks=oca("TC_075_1")),
    *[
        pytest.param(version, use, word, marks=mark)
        for version in ("2.0.1", "2.1")
        for use, word, mark in [
            ("csms_root", "CSMSRootCertificate", oca("TC_M_01")),
            ("manufacturer_root", "ManufacturerRootCertificate", oca("TC_M_02")),
            ("v2g_root", "V2GRootCertificate", oca("TC_M_03")),
            ("mo_root", "MORootCertificate", oca("TC_M_04")),
        ]
    ],
    pytest.param("2.1", "oem_root", "OEMRootCertificate", marks=oca("TC_M_101")),
]


@pytest.mark.parametrize(("version", "use", "word"), SOME)
async def test_a_root_is_installed(stage: Stage, version: str, use: str, word: str) -> None:
    root = pki.Authority("Root").pem
    async with stage(version) as scene:
        await scene.does(
            "install_certificate", {"use": use, "certificate": root}, "InstallCertificate",
            {"certificateType": word, "certificate": root}, {"status": "Accepted"}, "accepted",
        )  # fmt: skip


@oca("TC_M_05")
@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
@pytest.mark.parametrize("word", ["Failed", "Rejected"])
async def test_a_root_is_not_installed(stage: Stage, version: str, word: str) -> None:
    async with stage(version) as scene:
        await scene.does(
            "install_certificate", {"use": "csms_root", "certificate": pki.Authority("Root").pem}, "InstallCertificate",
            {}, {"status": word}, "rejected",
        )  # fmt: skip


@oca("TC_M_12", "TC_M_13", "TC_M_14", "TC_M_15", "TC_M_16", "TC_M_17", "TC_M_18")
@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
@pytest.mark.parametrize(
    ("uses", "words"),
    [
        (["csms_root"], ["CSMSRootCertificate"]),
        (["manufacturer_root"], ["ManufacturerRootCertificate"]),
        (["v2g_root"], ["V2GRootCertificate"]),
        (["v2g_chain"], ["V2GCertificateChain"]),
        (["mo_root"], ["MORootCertificate"]),
        (["csms_root", "manufacturer_root"], ["CSMSRootCertificate", "ManufacturerRootCertificate"]),
        ([], None),
    ],
)
async def test_certificates_are_retrieved(
    stage: Stage, version: str, uses: list[str], words: list[str] | None
) -> None:
    told = [
        {"certificateType": word, "certificateHashData": HASH | {"serialNumber": f"{number}f"}}
        for number, word in enumerate(words or ["V2GRootCertificate"])
    ]
    async with stage(version) as scene:
        await scene.does(
            "read_certificates", {"uses": uses} if uses else {}, "GetInstalledCertificateIds",
            {"certificateType": words}, {"status": "Accepted", "certificateHashDataChain": told}, "accepted",
        )  # fmt: skip


@oca("TC_M_19")
@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_there_are_none(stage: Stage, version: str) -> None:
    async with stage(version) as scene:
        await scene.does(
            "read_certificates", {"uses": ["v2g_root"]}, "GetInstalledCertificateIds", {},
            {"status": "NotFound"}, "accepted",
        )  # fmt: skip


@oca("TC_076", "TC_M_20", "TC_M_21")
@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
@pytest.mark.parametrize(
    ("word", "state"), [("Accepted", "accepted"), ("Failed", "rejected"), ("NotFound", "rejected")]
)
async def test_a_certificate_is_deleted(stage: Stage, version: str, word: str, state: str) -> None:
    async with stage(version) as scene:
        await scene.does(
            "delete_certificate",
            NAMED,
            "DeleteCertificate",
            {"certificateHashData": HASH},
            {"status": word},
            state,
        )
