"""Certificates of stations: asked for on the wire, checked, signed, handed over, and taken back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from django.utils import timezone

from simulator.pki import Pki
from stations.models import (
    Approval,
    Command,
    SecurityPolicy,
    SigningRequest,
    Station,
    StationCertificate,
)
from stations.models import (
    Authority as AuthorityRow,
)
from stations.services import authority, signing
from tenants.context import tenant_scope
from tenants.errors import Conflict, Invalid
from tenants.models import Tenant
from tenants.permissions import system
from tests.stations import pki
from tests.stations.ocpp.charger import VERSIONS, Charger
from tests.stations.ocpp.conftest import Plug, eventually, rows


@pytest.fixture
def asked(tenant: Tenant, station: Station, owner_actor: Any) -> None:
    """Somebody asked the station for a certificate."""
    with tenant_scope(tenant.pk):
        Command.objects.create(
            tenant=tenant, station=station, kind="trigger", arguments={"message": "sign_certificate"},
            origin_kind="user", origin_label="Olga", state="accepted", expires_at=timezone.now(),
        )  # fmt: skip


async def sign(wire: Charger, csr: str, **more: Any) -> dict[str, Any]:
    return await wire.ok("SignCertificate", {"csr": csr, **more})


async def newest(tenant: Tenant, station: Station) -> SigningRequest:
    return await rows(
        tenant,
        lambda: SigningRequest.objects.filter(station=station).select_related("station", "certificate")[0],
    )


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_request_is_signed_and_the_chain_handed_over(
    plug: Plug, tenant: Tenant, station: Station, asked: None, version: str
) -> None:
    csr, key = pki.request(station.identity, tenant.name)
    async with plug(station, version) as wire:
        number = {"requestId": 77} if version == "2.1" else {}
        assert await sign(wire, csr, **number) == {"status": "Accepted"}
        call = await wire.next_call()
        assert call[2] == "CertificateSigned"
        chain = x509.load_pem_x509_certificates(call[3].pop("certificateChain").encode())
        expected = {} if version == "1.6" else {"certificateType": "ChargingStationCertificate"}
        assert call[3] == expected | number
        await wire.answer(call, {"status": "Accepted"})

        async def installed() -> bool:
            return (await newest(tenant, station)).state == "installed"

        await eventually(installed)
    leaf, issuing = chain
    assert leaf.public_key() == key.public_key()
    assert leaf.subject.rfc4514_string() == f"CN={station.identity},O={tenant.name}"
    leaf.verify_directly_issued_by(issuing)
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in usage
    row = (await newest(tenant, station)).certificate
    assert row is not None and row.serial == f"{leaf.serial_number:x}" and row.installed_at is not None
    root = await rows(tenant, lambda: AuthorityRow.objects.get(kind="root"))
    issuing.verify_directly_issued_by(x509.load_pem_x509_certificate(root.pem.encode()))
    assert "PRIVATE KEY" not in await rows(tenant, lambda: _stored_key(tenant))


def _stored_key(tenant: Tenant) -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(key, ' ') FROM stations_authority")
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_that_refuses_its_certificate_is_shown_so(
    plug: Plug, tenant: Tenant, station: Station, asked: None, version: str
) -> None:
    csr, _key = pki.request(station.identity)
    async with plug(station, version) as wire:
        await sign(wire, csr)
        await wire.answer(await wire.next_call(), {"status": "Rejected"})

        async def failed() -> bool:
            return (await newest(tenant, station)).state == "failed"

        await eventually(failed)
    assert "Rejected" in (await newest(tenant, station)).detail


REFUSED = {
    "another identity": (lambda identity: pki.request("SOMEBODY-ELSE")[0], "is for SOMEBODY-ELSE"),
    "nobody": (lambda identity: pki.request("")[0], "is for nobody"),
    "a weak key": (lambda identity: pki.request(identity, bits=1024)[0], "1024 bits"),
    "a curve that is not taken": (lambda identity: pki.request(identity, curve="secp224r1")[0], "curve"),
    "a broken signature": (lambda identity: pki.broken(pki.request(identity)[0]), "request"),
    "no request at all": (lambda identity: "hello", "no PKCS #10"),
    "malformed DER": (
        lambda identity: "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----",
        "no PKCS #10",
    ),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_not_signed_is_refused_with_its_reason(
    plug: Plug, tenant: Tenant, station: Station, asked: None, version: str, case: str
) -> None:
    make, reason = REFUSED[case]
    async with plug(station, version) as wire:
        answer = await sign(wire, make(station.identity))
        assert answer["status"] == "Rejected"
        if version != "1.6":
            assert reason in answer["statusInfo"]["additionalInfo"]
        await wire.ok("Heartbeat", {})
    row = await newest(tenant, station)
    assert (row.state, row.certificate) == ("refused", None) and reason in row.detail


async def test_a_flood_of_requests_is_refused_unread(
    plug: Plug, tenant: Tenant, station: Station, asked: None
) -> None:
    async with plug(station, "2.0.1") as wire:
        answers = [await sign(wire, "nonsense") for _try in range(12)]
    assert [answer["statusInfo"]["reasonCode"] for answer in answers] == ["InvalidCSR"] * 6 + ["TooMany"] * 6
    assert await rows(tenant, lambda: SigningRequest.objects.filter(station=station).count()) == 6


@pytest.mark.parametrize("version", VERSIONS)
async def test_one_that_nobody_asked_for_waits_for_a_person(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    csr, _key = pki.request(station.identity, tenant.name)
    async with plug(station, version) as wire:
        assert (await sign(wire, csr))["status"] == "Accepted"
        row = await newest(tenant, station)
        assert row.state == "pending" and "Nobody asked" in row.detail
        await asyncio.sleep(0.2)
        assert wire.calls.empty()
        await rows(tenant, lambda: signing.approve(row=row, actor=owner_actor))
        call = await wire.next_call()
        assert call[2] == "CertificateSigned"
        await wire.answer(call, {"status": "Accepted"})
        with pytest.raises(Conflict):
            await rows(tenant, lambda: signing.approve(row=row, actor=owner_actor))


async def test_a_person_refuses_one(
    plug: Plug, tenant: Tenant, station: Station, asked: None, owner_actor: Any
) -> None:
    await rows(tenant, lambda: SecurityPolicy.objects.create(tenant=tenant, approval=Approval.MANUAL))
    async with plug(station) as wire:
        await sign(wire, pki.request(station.identity)[0])
        row = await newest(tenant, station)
        assert row.state == "pending"
        await rows(tenant, lambda: signing.refuse(row=row, actor=owner_actor, reason="Stolen"))
    assert (await newest(tenant, station)).detail == "Stolen"


async def test_an_organisation_that_is_not_ours_waits_for_a_person(
    plug: Plug, tenant: Tenant, station: Station, asked: None
) -> None:
    async with plug(station) as wire:
        await sign(wire, pki.request(station.identity, "Factory Ltd")[0])
    row = await newest(tenant, station)
    assert row.state == "pending" and "Factory Ltd" in row.detail


async def test_an_external_signer_signs_and_its_certificate_is_brought(
    plug: Plug, tenant: Tenant, station: Station, asked: None, owner_actor: Any
) -> None:
    root = pki.Authority("Corporate root")
    issuing = pki.Authority("Corporate stations", under=root)
    await rows(
        tenant,
        lambda: authority.delegate(tenant_id=tenant.pk, actor=owner_actor, chain=issuing.pem + root.pem),
    )
    csr, key = pki.request(station.identity)
    async with plug(station, "2.0.1") as wire:
        await sign(wire, csr)
        row = await newest(tenant, station)
        assert row.state == "pending" and "signs elsewhere" in row.detail
        strange = pki.Authority().sign(key.public_key(), pki.named(station.identity))
        other = issuing.issue(station.identity)[0]
        for_servers = pki.pem(
            issuing.sign(
                key.public_key(), pki.named(station.identity), names=(station.identity,), server=True
            )
        )
        for wrong in (pki.pem(strange), other, for_servers):
            with pytest.raises(Invalid):
                await rows(tenant, partial(signing.bring, row=row, actor=owner_actor, certificate=wrong))
        right = pki.pem(issuing.sign(key.public_key(), pki.named(station.identity)))
        await rows(tenant, lambda: signing.bring(row=row, actor=owner_actor, certificate=right))
        call = await wire.next_call()
        assert call[3]["certificateChain"] == right + issuing.pem
        await wire.answer(call, {"status": "Accepted"})


def test_a_delegated_authority_must_hold_together(tenant: Tenant, owner_actor: Any) -> None:
    root, other = pki.Authority("Root"), pki.Authority("Other")
    issuing = pki.Authority("Issuing", under=root)
    leaf, leaf_key = root.issue("CP-1")
    wrong: list[dict[str, str]] = [
        {"chain": issuing.pem + other.pem, "key": pki.key_pem(issuing.key)},
        {"chain": issuing.pem, "key": pki.key_pem(other.key)},
        {"chain": leaf, "key": leaf_key},
        {"chain": issuing.pem, "key": "nonsense"},
        {"chain": pki.Authority(days=-1).pem},
    ]
    for given in wrong:
        with tenant_scope(tenant.pk), pytest.raises(Invalid):
            authority.delegate(tenant_id=tenant.pk, actor=owner_actor, **given)
    with tenant_scope(tenant.pk):
        made = authority.delegate(
            tenant_id=tenant.pk, actor=owner_actor, chain=issuing.pem + root.pem, key=pki.key_pem(issuing.key)
        )
        assert authority.current(tenant.pk) == made
        assert made.kind == "delegated"


async def test_a_certificate_that_ends_soon_is_renewed(
    plug: Plug, tenant: Tenant, station: Station, asked: None, owner_actor: Any
) -> None:
    async with plug(station, "2.0.1") as wire:
        await sign(wire, pki.request(station.identity)[0])
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        assert await rows(tenant, lambda: signing.renew_due(tenant_id=tenant.pk)) == 0

        def soon() -> None:
            Command.objects.all().delete()  # nobody asked
            StationCertificate.objects.update(not_after=timezone.now() + timedelta(days=3))

        await rows(tenant, soon)
        assert await rows(tenant, lambda: signing.renew_due(tenant_id=tenant.pk)) == 1
        call = await wire.next_call()
        assert call[2:] == ["TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}]
        await wire.answer(call, {"status": "Accepted"})
        await sign(wire, pki.request(station.identity)[0])
        assert (await wire.next_call())[2] == "CertificateSigned"
        assert await rows(tenant, lambda: signing.renew_due(tenant_id=tenant.pk)) == 0
        # The new one ends soon as well, for its authority does: it is asked for another tomorrow, not at once.
        await rows(tenant, soon)
        assert await rows(tenant, lambda: signing.renew_due(tenant_id=tenant.pk)) == 0


def test_certificates_last_longer_than_they_are_renewed_ahead(tenant: Tenant, owner_actor: Any) -> None:
    who = {"tenant_id": tenant.pk, "actor": owner_actor}
    with tenant_scope(tenant.pk):
        for changes in ({"certificate_days": 30}, {"certificate_days": 60, "renew_days": 60}):
            with pytest.raises(Invalid) as refused:
                authority.set_policy(**who, changes=changes)
            assert list(refused.value.fields) == ["renew_days"]
        authority.set_policy(**who, changes={"certificate_days": 60, "renew_days": 20})


@pytest.mark.parametrize("use", ["station", "v2g", "v2g20"])
def test_a_certificate_says_what_the_station_is_by_it(
    tenant: Tenant, station: Station, owner_actor: Any, use: str
) -> None:
    """Here it logs in as a client; towards cars it is the server, of a charge point operator (ISO 15118-2 annex F)."""
    with tenant_scope(tenant.pk):
        if use != "station":
            root = Pki("15118-20").v2g_root
            authority.delegate(
                tenant_id=tenant.pk, actor=owner_actor, chain=root.pem, key=pki.key_pem(root.key), use="v2g"
            )
        csr, _key = pki.request(station.identity)
        row = SigningRequest.objects.create(
            tenant=tenant, station=station, use=use, csr=csr, common_name=station.identity,
            received_at=timezone.now(),
        )  # fmt: skip
        made = signing.approve(row=row, actor=owner_actor).certificate
    assert made is not None
    leaf = x509.load_pem_x509_certificate(made.pem.encode())
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    domains = [part.value for part in leaf.subject.get_attributes_for_oid(x509.oid.NameOID.DOMAIN_COMPONENT)]
    oids = x509.oid.ExtendedKeyUsageOID
    used = leaf.signature_hash_algorithm
    assert used is not None
    if use == "station":
        assert (list(usage), domains, used.name) == (
            [oids.CLIENT_AUTH],
            [],
            "sha256",
        )
    else:
        assert (list(usage), domains, used.name) == (
            [oids.SERVER_AUTH],
            ["CPO"],
            "sha512",
        )


def test_one_certificate_for_both_says_both(tenant: Tenant, station: Station, owner_actor: Any) -> None:
    with tenant_scope(tenant.pk):
        signing_asked = {"message": "sign_combined_certificate"}
        Command.objects.create(
            tenant=tenant, station=station, kind="trigger", arguments=signing_asked, origin_kind="user",
            origin_label="Olga", state="accepted", expires_at=timezone.now(),
        )  # fmt: skip
        row = SigningRequest.objects.create(
            tenant=tenant, station=station, csr=pki.request(station.identity)[0],
            common_name=station.identity, received_at=timezone.now(),
        )  # fmt: skip
        made = signing.approve(row=row, actor=owner_actor).certificate
    assert made is not None
    usage = x509.load_pem_x509_certificate(made.pem.encode()).extensions.get_extension_for_class(
        x509.ExtendedKeyUsage
    )
    oids = x509.oid.ExtendedKeyUsageOID
    assert set(usage.value) == {oids.CLIENT_AUTH, oids.SERVER_AUTH}


def test_an_authority_that_has_expired_signs_nothing(
    tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    """Ours is made anew; one of the company's own PKI is for people to replace."""
    with tenant_scope(tenant.pk):
        first = authority.ensure(tenant.pk)
        AuthorityRow.objects.filter(pk=first.pk).update(not_after=timezone.now())
        assert authority.ensure(tenant.pk).pk not in (first.pk, None)
        other = pki.Authority("Own PKI")
        authority.delegate(
            tenant_id=tenant.pk, actor=owner_actor, chain=other.pem, key=pki.key_pem(other.key)
        )
        AuthorityRow.objects.filter(active=True).update(not_after=timezone.now())
        row = SigningRequest.objects.create(
            tenant=tenant, station=station, csr=pki.request(station.identity)[0],
            common_name=station.identity, received_at=timezone.now(),
        )  # fmt: skip
        with pytest.raises(Conflict, match="has expired"):
            signing.approve(row=row, actor=owner_actor)


def test_the_revocation_list_names_what_was_taken_back(
    tenant: Tenant, station: Station, owner_actor: Any, client: Any
) -> None:
    csr, _key = pki.request(station.identity)
    with tenant_scope(tenant.pk):
        issuer = authority.ensure(tenant.pk)
        row = SigningRequest.objects.create(
            tenant=tenant, station=station, csr=csr, common_name=station.identity, received_at=timezone.now()
        )
        signing.approve(row=row, actor=owner_actor)
        certificate = StationCertificate.objects.get(station=station)
        signing.revoke(certificate=certificate, actor=owner_actor, reason="key_compromise")
        with pytest.raises(Conflict):
            signing.revoke(certificate=certificate, actor=owner_actor)
    answer = client.get(f"/crl/{issuer.fingerprint}.crl")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pkix-crl")
    crl = x509.load_der_x509_crl(answer.content)
    signer = x509.load_pem_x509_certificate(issuer.pem.encode())
    assert crl.is_signature_valid(signer.public_key())  # type: ignore[arg-type]
    entry = crl.get_revoked_certificate_by_serial_number(int(certificate.serial, 16))
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise
    assert client.get(f"/crl/{'0' * 64}.crl").status_code == 404


def test_who_enters_our_authority_too_does_not_hide_our_list(
    tenant: Tenant, other_tenant: Tenant, owner_actor: Any, client: Any
) -> None:
    """Certificates of authorities are public: anybody can enter one that is said to sign elsewhere."""
    shared = pki.Authority("A PKI of two companies")
    who = {"chain": shared.pem, "use": "station"}
    with tenant_scope(other_tenant.pk):
        authority.delegate(tenant_id=other_tenant.pk, actor=system("Neighbour"), **who)
    with tenant_scope(tenant.pk):
        key = pki.key_pem(shared.key)
        found = authority.delegate(tenant_id=tenant.pk, actor=owner_actor, key=key, **who)
    assert authority.find(found.fingerprint) == (tenant.pk, found.pk)
    assert client.get(f"/crl/{found.fingerprint}.crl").status_code == 200
