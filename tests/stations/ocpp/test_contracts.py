"""Plug & Charge on the wire: a car's contract is proved with real chains and a real OCSP responder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from simulator.pki import Issued, Pki
from stations.models import (
    Authorization,
    Contract,
    ContractCheck,
    Frame,
    PlugAndCharge,
    RevocationCheck,
    Session,
    Station,
    TrustAnchor,
)
from stations.services import trust
from tenants.context import tenant_scope
from tenants.models import Tenant
from tenants.permissions import system
from tests import objects
from tests.stations.ocpp.charger import Charger
from tests.stations.ocpp.conftest import Plug, in_thread, rows
from tests.stations.ocpp.test_commands import request
from tests.stations.responder import Responder, responder

EMAID = "DE8AAC12345678"
VERSIONS = ("1.6", "2.0.1", "2.1")
PNC = "org.openchargealliance.iso15118pnc"


@pytest.fixture
def ocsp() -> Iterator[Responder]:
    with responder() as made:
        yield made


@dataclass
class Scene:
    """A company that trusts a mobility operator, and a station where cars of its customers are plugged in."""

    tenant: Tenant
    station: Station
    pki: Pki
    ocsp: Responder

    async def settings(self, **values: Any) -> None:
        rows_of = PlugAndCharge.objects
        await rows(self.tenant, lambda: rows_of.update_or_create(tenant=self.tenant, defaults=values))

    async def latest(self) -> ContractCheck:
        return await rows(self.tenant, lambda: ContractCheck.objects.filter(tenant=self.tenant).first())


@pytest.fixture
def scene(tenant: Tenant, station: Station, make_token: Callable[..., Any], ocsp: Responder) -> Scene:
    pki = ocsp.serve(Pki(ocsp_url=ocsp.url, crl_url=""))
    make_token(uid=EMAID, kind="emaid", group="GREEN")
    with tenant_scope(tenant.pk):
        trust.add_anchor(
            tenant_id=tenant.pk, actor=system("tests"), use="mo_root", certificate=pki.mo_root.pem
        )
    return Scene(tenant, station, pki, ocsp)


async def show(
    wire: Charger,
    version: str,
    emaid: str = EMAID,
    *,
    chain: str = "",
    hashes: list[dict[str, str]] | None = None,
) -> tuple[str, str]:
    """(status of the token, status of the certificate) that the station is told."""
    told: dict[str, Any] = {"idToken": {"idToken": emaid, "type": "eMAID"}}
    if chain:
        told["certificate"] = chain
    if hashes:
        told["iso15118CertificateHashData"] = hashes
    if version == "1.6":
        answer = await wire.ok(
            "DataTransfer", {"vendorId": PNC, "messageId": "Authorize", "data": json.dumps(told)}
        )
        assert answer["status"] == "Accepted", answer
        inner = json.loads(answer["data"])
    else:
        inner = await wire.ok("Authorize", told)
    return inner["idTokenInfo"]["status"], inner.get("certificateStatus", "")


def hashes_of(scene: Scene, contract: Issued) -> list[dict[str, str]]:
    return [
        scene.pki.mo_sub2.hash_data(contract.certificate),
        scene.pki.mo_sub1.hash_data(scene.pki.mo_sub2.certificate),
    ]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_good_contract_may_charge_and_is_remembered(plug: Plug, scene: Scene, version: str) -> None:
    contract = scene.pki.contract(EMAID)
    async with plug(scene.station, version) as wire:
        assert await show(wire, version, "DE-8AA-C12345678", chain=contract.chain) == ("Accepted", "Accepted")
        assert len(scene.ocsp.asked) == 3  # the contract and both authorities below the root
        # While the answers hold, nobody is asked again.
        assert await show(wire, version, chain=contract.chain) == ("Accepted", "Accepted")
        assert len(scene.ocsp.asked) == 3
    check = await scene.latest()
    assert (check.emaid, check.status, check.verdict, check.flagged) == (EMAID, "accepted", "accepted", False)
    assert [step["good"] for step in check.steps] == [True] * 9
    seen = await rows(scene.tenant, lambda: Contract.objects.get(tenant=scene.tenant, emaid=EMAID))
    assert (seen.root, seen.key_type, seen.serial) == (
        scene.pki.mo_root.certificate.subject.rfc4514_string(), "P-256", f"{contract.serial:x}",
    )  # fmt: skip


@pytest.mark.parametrize("shape", ["15118-20", "15118-20-ed448"])
async def test_contracts_of_the_newer_edition(plug: Plug, scene: Scene, shape: str) -> None:
    pki = scene.ocsp.serve(Pki(shape, ocsp_url=scene.ocsp.url))
    await rows(
        scene.tenant,
        lambda: trust.add_anchor(
            tenant_id=scene.tenant.pk, actor=system("t"), use="mo_root", certificate=pki.mo_root.pem
        ),
    )
    async with plug(scene.station, "2.1") as wire:
        assert await show(wire, "2.1", chain=pki.contract(EMAID).chain) == ("Accepted", "Accepted")
        wrong = Pki(shape)
        assert await show(wire, "2.1", chain=wrong.contract(EMAID).chain) == ("Invalid", "SignatureError")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_revoked_contract_may_not(plug: Plug, scene: Scene, version: str) -> None:
    contract = scene.pki.contract(EMAID)
    scene.pki.mo_sub2.revoke(contract.serial)
    async with plug(scene.station, version) as wire:
        told = await show(wire, version, chain=contract.chain, hashes=hashes_of(scene, contract))
    assert told == ("Invalid", "CertificateRevoked")
    check = await scene.latest()
    assert (check.status, check.reason) == ("revoked", "certificate") and "Revoked on" in check.detail
    note = await rows(scene.tenant, lambda: Authorization.objects.get(tenant=scene.tenant))
    assert (note.verdict, note.reason, note.kind) == ("invalid", "certificate", "emaid")


async def test_a_revoked_authority_takes_its_contracts_with_it(plug: Plug, scene: Scene) -> None:
    scene.pki.mo_sub1.revoke(scene.pki.mo_sub2.certificate.serial_number)
    async with plug(scene.station, "2.0.1") as wire:
        told = await show(wire, "2.0.1", chain=scene.pki.contract(EMAID).chain)
    assert told == ("Invalid", "CertificateRevoked")


REFUSED = {
    "expired": (lambda s: s.pki.contract(EMAID, days=-1).chain, "Expired", "CertificateExpired"),
    "unknown root": (lambda s: s.pki.cpo_sub2.issue(EMAID).chain, "Invalid", "CertChainError"),
    "somebody else's root": (lambda s: Pki().contract(EMAID).chain, "Invalid", "SignatureError"),
    "another contract": (lambda s: s.pki.contract("DE8AAC87654321").chain, "Invalid", "CertChainError"),
    "no certificate at all": (lambda s: "none", "Invalid", "CertChainError"),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", REFUSED)
async def test_a_bad_certificate_is_refused_and_nobody_is_asked(
    plug: Plug, scene: Scene, version: str, case: str
) -> None:
    make, status, certificate = REFUSED[case]
    async with plug(scene.station, version) as wire:
        assert await show(wire, version, chain=make(scene)) == (status, certificate)
    assert not scene.ocsp.asked
    # What is not proved is not remembered as anybody's contract.
    known = await rows(scene.tenant, lambda: Contract.objects.filter(tenant=scene.tenant).count())
    assert known == (1 if case == "expired" else 0)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("policy", "told"), [
    ("refuse", ("Invalid", "NoCertificateAvailable")), ("accept", ("Accepted", "Accepted")),
])  # fmt: skip
async def test_a_responder_that_is_down_is_a_matter_of_policy(
    plug: Plug, scene: Scene, version: str, policy: str, told: tuple[str, str]
) -> None:
    await scene.settings(unchecked=policy)
    scene.ocsp.status = 503
    async with plug(scene.station, version) as wire:
        assert await show(wire, version, chain=scene.pki.contract(EMAID).chain) == told
    check = await scene.latest()
    assert check.flagged == (policy == "accept") and "HTTP 503" in check.detail


LIES: dict[str, dict[str, Any]] = {
    "an answer of another question": {"wrong_nonce": True},
    "an answer of yesterday": {"hours": -2.0},
}


@pytest.mark.parametrize("lie", LIES)
async def test_an_answer_that_proves_nothing_counts_as_none(plug: Plug, scene: Scene, lie: str) -> None:
    for name, value in LIES[lie].items():
        setattr(scene.ocsp, name, value)
    async with plug(scene.station, "2.0.1") as wire:
        told = await show(wire, "2.0.1", chain=scene.pki.contract(EMAID).chain)
    assert told == ("Invalid", "NoCertificateAvailable")


async def test_an_answer_signed_by_somebody_else_counts_as_none(plug: Plug, scene: Scene) -> None:
    scene.ocsp.impostor = Pki().mo_sub2
    async with plug(scene.station, "2.0.1") as wire:
        told = await show(wire, "2.0.1", chain=scene.pki.contract(EMAID).chain)
    assert told == ("Invalid", "NoCertificateAvailable")
    assert "not signed" in (await scene.latest()).detail


async def test_a_responder_may_answer_for_its_authority_if_that_says_so(plug: Plug, scene: Scene) -> None:
    contract = scene.pki.contract(EMAID)
    hashes = hashes_of(scene, contract)[:1]
    async with plug(scene.station, "2.0.1") as wire:
        scene.ocsp.without_nonce = True
        assert await show(wire, "2.0.1", chain=contract.chain) == ("Accepted", "Accepted")
        await rows(scene.tenant, lambda: RevocationCheck.objects.filter(tenant=scene.tenant).delete())
        for may, told in ((True, "Accepted"), (False, "NoCertificateAvailable")):
            scene.ocsp.signer = scene.pki.mo_sub2.issue("OCSP responder", responder=may)
            assert (await show(wire, "2.0.1", hashes=hashes))[1] == told
            await rows(scene.tenant, lambda: RevocationCheck.objects.filter(tenant=scene.tenant).delete())


async def test_a_revocation_list_will_do_where_there_is_no_responder(plug: Plug, scene: Scene) -> None:
    listing = Pki(crl_url=scene.ocsp.crl_url)
    scene.ocsp.authorities.append(listing.v2g_root)  # its list, whoever asks
    await rows(
        scene.tenant,
        lambda: trust.add_anchor(
            tenant_id=scene.tenant.pk, actor=system("t"), use="v2g_root", certificate=listing.v2g_root.pem
        ),
    )
    good, bad = listing.v2g_root.issue(EMAID), listing.v2g_root.issue(EMAID)
    listing.v2g_root.revoke(bad.serial)
    async with plug(scene.station, "2.0.1") as wire:
        assert await show(wire, "2.0.1", chain=good.chain) == ("Accepted", "Accepted")
        assert await show(wire, "2.0.1", chain=bad.chain) == ("Invalid", "CertificateRevoked")


@pytest.mark.parametrize("version", VERSIONS)
async def test_hash_data_alone_are_checked_where_the_authorities_are_known(
    plug: Plug, scene: Scene, version: str
) -> None:
    """C07.FR.01: the station has checked the chain itself."""
    contract = scene.pki.contract(EMAID)
    async with plug(scene.station, version) as wire:
        told = await show(wire, version, hashes=hashes_of(scene, contract))
        assert told == ("Invalid", "NoCertificateAvailable")  # the authorities were never seen
        await show(wire, version, chain=scene.pki.contract(EMAID).chain)
        await rows(scene.tenant, lambda: RevocationCheck.objects.filter(tenant=scene.tenant).delete())
        assert await show(wire, version, hashes=hashes_of(scene, contract)) == ("Accepted", "Accepted")
        scene.pki.mo_sub2.revoke(contract.serial)
        await rows(scene.tenant, lambda: RevocationCheck.objects.filter(tenant=scene.tenant).delete())
        assert await show(wire, version, hashes=hashes_of(scene, contract)) == (
            "Invalid",
            "CertificateRevoked",
        )


async def test_hash_data_of_a_root_that_is_trusted_no_more_prove_nothing(plug: Plug, scene: Scene) -> None:
    contract = scene.pki.contract(EMAID)
    async with plug(scene.station, "2.0.1") as wire:
        await show(wire, "2.0.1", chain=contract.chain)  # its authorities are known now
        assert await show(wire, "2.0.1", hashes=hashes_of(scene, contract)) == ("Accepted", "Accepted")

        def archive() -> None:
            trust.archive_anchor(anchor=TrustAnchor.objects.get(tenant=scene.tenant), actor=system("tests"))

        await rows(scene.tenant, archive)
        told = await show(wire, "2.0.1", hashes=hashes_of(scene, contract))
        assert told == ("Invalid", "NoCertificateAvailable")


async def test_a_good_certificate_does_not_help_a_contract_that_is_not_ours(plug: Plug, scene: Scene) -> None:
    blocked: dict[str, Any] = {"uid": "DE8AAC00000002", "kind": "emaid", "blocked": True}
    await in_thread(lambda: objects.create_token(scene.tenant, **blocked))
    async with plug(scene.station, "2.0.1") as wire:
        stranger = scene.pki.contract("DE8AAC00000001").chain
        assert await show(wire, "2.0.1", "DE8AAC00000001", chain=stranger) == ("Invalid", "Accepted")
        cancelled = scene.pki.contract("DE8AAC00000002").chain
        assert await show(wire, "2.0.1", "DE8AAC00000002", chain=cancelled) == (
            "Blocked",
            "ContractCancelled",
        )
    assert (await scene.latest()).reason == "blocked"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_contract_id_alone_proves_nothing(
    plug: Plug, scene: Scene, version: str, owner_actor: Any
) -> None:
    tag = {"1.6": {"idTag": EMAID}}.get(version, {"idToken": {"idToken": EMAID, "type": "eMAID"}})

    async def shown(wire: Charger) -> str:
        answer = await wire.ok("Authorize", tag)
        info: dict[str, Any] = answer.get("idTokenInfo") or answer["idTagInfo"]
        return str(info["status"])

    async with plug(scene.station, version) as wire:
        assert await shown(wire) == "Invalid"
        assert (await scene.latest()).reason == "no_certificate"
        await scene.settings(bare=True)
        assert await shown(wire) == "Accepted"
        await scene.settings(bare=False)
        assert await shown(wire) == "Invalid"
        # A remote start of ours that names the contract is proof enough: we asked for it.
        await request(scene.tenant, scene.station, owner_actor, "start", evse=1, token_uid="DE-8AA-C12345678")
        assert await shown(wire) == "Accepted"


async def test_the_session_of_a_contract_belongs_to_its_token(plug: Plug, scene: Scene) -> None:
    async with plug(scene.station, "2.0.1") as wire:
        await show(wire, "2.0.1", chain=scene.pki.contract(EMAID).chain)
        answer = await wire.ok(
            "TransactionEvent",
            {
                "eventType": "Started", "timestamp": "2026-11-23T04:00:00Z", "triggerReason": "Authorized", "seqNo": 0,
                "transactionInfo": {"transactionId": "t1"}, "evse": {"id": 1, "connectorId": 1},
                "idToken": {"idToken": "DE-8AA-C12345678", "type": "eMAID"},
            },
        )  # fmt: skip
    assert answer["idTokenInfo"]["status"] == "Accepted"
    session = await rows(scene.tenant, lambda: Session.objects.get(tenant=scene.tenant))
    assert session.token_uid == EMAID and session.token_id is not None


async def test_a_slow_responder_holds_up_nobody(plug: Plug, scene: Scene) -> None:
    """Not the station's other messages, not other stations, not plain tokens."""
    other = await in_thread(lambda: objects.create_station(scene.tenant, scene.station.site))
    await in_thread(lambda: objects.create_token(scene.tenant, uid="04A2B3C4"))
    scene.ocsp.hang.clear()
    async with plug(scene.station, "2.0.1") as wire, plug(other, "2.0.1") as second:
        slow = asyncio.create_task(show(wire, "2.0.1", chain=scene.pki.contract(EMAID).chain))
        while not scene.ocsp.asked_at_all.is_set():
            await asyncio.sleep(0.02)
        card = {"idToken": {"idToken": "04A2B3C4", "type": "ISO14443"}}
        for socket in (wire, second):
            assert (await socket.ok("Authorize", card))["idTokenInfo"]["status"] == "Accepted"
            await socket.ok("Heartbeat", {})
        assert not slow.done()
        scene.ocsp.hang.set()
        assert await slow == ("Accepted", "Accepted")


async def test_the_last_words_about_a_car_that_nobody_could_check_in_time(plug: Plug, scene: Scene) -> None:
    scene.ocsp.hang.clear()
    async with plug(scene.station, "2.1") as wire:
        told = await show(wire, "2.1", chain=scene.pki.contract(EMAID).chain)
    assert told == ("Invalid", "NoCertificateAvailable")
    assert "cannot be reached" in (await scene.latest()).detail


async def test_hostile_hash_data_break_nothing(plug: Plug, scene: Scene) -> None:
    bad = {
        "hashAlgorithm": "SHA512", "issuerNameHash": "zz", "issuerKeyHash": "", "serialNumber": "-1",
        "responderURL": "file:///etc/passwd",
    }  # fmt: skip
    async with plug(scene.station, "2.0.1") as wire:
        for url in ("file:///etc/passwd", "http://[::", "", "http://user:pass@127.0.0.1/", scene.ocsp.url):
            told = await show(wire, "2.0.1", hashes=[bad | {"responderURL": url}])
            assert told == ("Invalid", "NoCertificateAvailable"), url
    assert not scene.ocsp.asked


async def test_other_messages_of_the_vendor_and_other_vendors(plug: Plug, scene: Scene) -> None:
    async with plug(scene.station, "1.6") as wire:
        for transfer, status in (
            ({"vendorId": PNC, "messageId": "Unheard"}, "UnknownMessageId"),
            ({"vendorId": PNC}, "UnknownMessageId"),
            ({"vendorId": "com.example", "messageId": "Authorize"}, "UnknownVendorId"),
            ({"vendorId": PNC, "messageId": "Authorize", "data": "{"}, "Rejected"),
            ({"vendorId": PNC, "messageId": "Authorize", "data": "[]"}, "Rejected"),
            ({"vendorId": PNC, "messageId": "Authorize", "data": "[" * 5000}, "Rejected"),
            ({"vendorId": PNC, "messageId": "Authorize", "data": '{"idToken": 1}'}, "Rejected"),
        ):
            assert (await wire.ok("DataTransfer", transfer))["status"] == status, transfer
        # Some stations write the contract id as plain text.
        plain = json.dumps({"idToken": EMAID, "certificate": scene.pki.contract(EMAID).chain})
        told = await wire.ok("DataTransfer", {"vendorId": PNC, "messageId": "Authorize", "data": plain})
        assert json.loads(told["data"])["certificateStatus"] == "Accepted"
    # The log of frames is written behind the answers.
    while await rows(scene.tenant, lambda: Frame.objects.filter(tenant=scene.tenant).count()) < 8:
        await asyncio.sleep(0.05)
