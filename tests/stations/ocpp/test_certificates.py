"""Roots on stations: installed, listed and deleted, and what the desk sees of it."""

from __future__ import annotations

from typing import Any

import pytest

from stations.models import InstalledCertificate, Station, TrustAnchor
from stations.services import trust
from tenants.errors import Conflict, Invalid
from tenants.models import Tenant
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import Plug, eventually, rows
from tests.stations.ocpp.test_commands import request, settled
from tests.stations.pki import Authority

ROOT = {
    "1.6": "CentralSystemRootCertificate",
    "2.0.1": "CSMSRootCertificate",
    "2.1": "CSMSRootCertificate",
}


async def kept(tenant: Tenant, actor: Any, root: Authority, use: str = "csms_root") -> TrustAnchor:
    return await rows(
        tenant, lambda: trust.add_anchor(tenant_id=tenant.pk, actor=actor, use=use, certificate=root.pem)
    )


async def held(tenant: Tenant, station: Station) -> list[tuple[str, str, str]]:
    """(use, serial, name of the root we know it to be) of what the station holds."""

    def read() -> Any:
        found = InstalledCertificate.objects.filter(station=station).select_related("anchor")
        return [(row.use, row.serial, row.anchor.name if row.anchor else "") for row in found]

    return await rows(tenant, read)


def listing(version: str, *certificates: tuple[str, dict[str, str]]) -> dict[str, Any]:
    if version == "1.6":
        return {"status": "Accepted", "certificateHashData": [data for _use, data in certificates]}
    chain = [{"certificateType": use, "certificateHashData": data} for use, data in certificates]
    return {"status": "Accepted", "certificateHashDataChain": chain}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_root_is_installed_and_stands_at_the_station(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    root = Authority("Alder root")
    anchor = await kept(tenant, owner_actor, root)
    async with plug(station, version) as wire:
        command = await rows(tenant, lambda: trust.install(station=station, anchor=anchor, actor=owner_actor))
        call = await wire.next_call()
        assert call[2:] == [
            "InstallCertificate",
            {"certificateType": ROOT[version], "certificate": root.pem},
        ]
        await wire.answer(call, {"status": "Accepted"})
        assert (await settled(tenant, command)).state == "accepted"
    assert await held(tenant, station) == [("csms_root", root.hash_data()["serialNumber"], "Alder root")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("word", ["Rejected", "Failed"])
async def test_a_refused_root_does_not_stand_there(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str, word: str
) -> None:
    anchor = await kept(tenant, owner_actor, Authority())
    async with plug(station, version) as wire:
        command = await rows(tenant, lambda: trust.install(station=station, anchor=anchor, actor=owner_actor))
        await wire.answer(await wire.next_call(), {"status": word})
        done = await settled(tenant, command)
    assert (done.state, done.answer) == ("rejected", word)
    assert await held(tenant, station) == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_tells_what_it_holds_and_we_know_our_own_again(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    """Hash data may be written in capitals and with leading zeros; a stranger's root is listed as unknown."""
    ours, strange = Authority("Alder root"), Authority("Strange")
    await kept(tenant, owner_actor, ours)
    loud = ours.hash_data() | {
        "serialNumber": "00" + ours.hash_data()["serialNumber"].upper(),
        "issuerKeyHash": ours.hash_data()["issuerKeyHash"].upper(),
    }
    async with plug(station, version) as wire:
        command = await request(tenant, station, owner_actor, "read_certificates", uses=["csms_root"])
        call = await wire.next_call()
        asked = ROOT[version] if version == "1.6" else [ROOT[version]]
        assert call[2:] == ["GetInstalledCertificateIds", {"certificateType": asked}]
        await wire.answer(call, listing(version, (ROOT[version], loud), (ROOT[version], strange.hash_data())))
        assert (await settled(tenant, command)).state == "accepted"
        found = await held(tenant, station)
        assert sorted(name for _use, _serial, name in found) == ["", "Alder root"]

        # Known later, recognised later.
        await kept(tenant, owner_actor, strange)
        assert sorted(name for _use, _serial, name in await held(tenant, station)) == [
            "Alder root",
            "Strange",
        ]

        # What a later list does not name is gone.
        await request(tenant, station, owner_actor, "read_certificates", uses=["csms_root"])
        await wire.answer(await wire.next_call(), listing(version, (ROOT[version], loud)))
        last = await request(tenant, station, owner_actor, "read_certificates", uses=["manufacturer_root"])
        await wire.answer(await wire.next_call(), {"status": "NotFound"})
        assert (await settled(tenant, last)).state == "accepted"
    assert [name for _use, _serial, name in await held(tenant, station)] == ["Alder root"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("word", "left"), [("Accepted", 0), ("NotFound", 0), ("Failed", 1)])
async def test_a_deleted_certificate_is_gone_unless_the_station_failed(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str, word: str, left: int
) -> None:
    root = Authority()
    async with plug(station, version) as wire:
        await request(
            tenant, station, owner_actor, "install_certificate", use="csms_root", certificate=root.pem
        )
        await wire.answer(await wire.next_call(), {"status": "Accepted"})

        async def one() -> InstalledCertificate:
            return await rows(tenant, lambda: InstalledCertificate.objects.get(station=station))

        await eventually(lambda: held(tenant, station))
        row = await one()
        command = await rows(tenant, lambda: trust.delete(held=row, actor=owner_actor))
        call = await wire.next_call()
        assert call[2:] == ["DeleteCertificate", {"certificateHashData": root.hash_data()}]
        await wire.answer(call, {"status": word})
        await settled(tenant, command)
    assert len(await held(tenant, station)) == left


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_a_v2g_chain_is_listed_with_what_stands_below_it(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    root, sub = Authority().hash_data(), Authority().hash_data()
    async with plug(station, version) as wire:
        command = await request(tenant, station, owner_actor, "read_certificates")
        call = await wire.next_call()
        assert call[2:] == ["GetInstalledCertificateIds", {}]
        entry = {
            "certificateType": "V2GCertificateChain",
            "certificateHashData": root,
            "childCertificateHashData": [sub],
        }
        await wire.answer(call, {"status": "Accepted", "certificateHashDataChain": [entry]})
        assert (await settled(tenant, command)).state == "accepted"
    row = await rows(tenant, lambda: InstalledCertificate.objects.get(station=station))
    assert (row.use, row.children) == ("v2g_chain", [list(sub.values())])


async def test_a_station_that_tells_of_thousands_is_kept_within_bounds(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    data = Authority().hash_data()
    async with plug(station, "2.0.1") as wire:
        command = await request(tenant, station, owner_actor, "read_certificates")
        many = [("CSMSRootCertificate", data | {"serialNumber": f"{n + 1:x}"}) for n in range(700)]
        await wire.answer(await wire.next_call(), listing("2.0.1", *many))
        assert (await settled(tenant, command)).state == "accepted"
    assert len(await held(tenant, station)) == 500


@pytest.mark.parametrize(
    ("version", "use"), [("1.6", "oem_root"), ("2.0.1", "oem_root"), ("2.1", "nonsense")]
)
async def test_what_a_version_cannot_trust_is_refused_in_words(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str, use: str
) -> None:
    async with plug(station, version):
        command = await request(
            tenant, station, owner_actor, "install_certificate", use=use, certificate="PEM"
        )
        done = await settled(tenant, command)
    assert done.state == "failed" and "This version knows csms_root" in done.detail


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\n" + "A" * 30_000 + "\n-----END CERTIFICATE-----",
        Authority().pem * 7,
        Authority().issue("CP-1")[0],
        Authority(days=-1).pem,
    ],
    ids=["nothing", "malformed", "huge", "endless chain", "no authority", "expired"],
)
def test_what_is_no_root_is_refused_in_words(tenant: Tenant, owner_actor: Any, text: str) -> None:
    from tenants.context import tenant_scope

    with tenant_scope(tenant.pk), pytest.raises(Invalid) as refused:
        trust.add_anchor(tenant_id=tenant.pk, actor=owner_actor, use="csms_root", certificate=text)
    assert "certificate" in refused.value.fields


def test_the_same_root_is_kept_once(tenant: Tenant, owner_actor: Any) -> None:
    from tenants.context import tenant_scope

    root = Authority()
    with tenant_scope(tenant.pk):
        first = trust.add_anchor(
            tenant_id=tenant.pk, actor=owner_actor, use="csms_root", certificate=root.pem
        )
        with pytest.raises(Conflict):
            trust.add_anchor(tenant_id=tenant.pk, actor=owner_actor, use="csms_root", certificate=root.pem)
        trust.archive_anchor(anchor=first, actor=owner_actor)
        again = trust.add_anchor(
            tenant_id=tenant.pk, actor=owner_actor, use="csms_root", certificate=root.pem
        )
    assert again.pk == first.pk
