"""Compliance cases of the security profiles: passwords, TLS, certificates of stations (1.6 security, 2.x block A)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from cryptography import x509

from stations.models import Station
from tenants.models import Tenant
from tests.oca.cases import oca
from tests.oca.scene import V2, Payload, Scene, Stage, stamp
from tests.people import ApiClient
from tests.servers import Role
from tests.stations import pki
from tests.stations.ocpp.charger import charger
from tests.stations.ocpp.conftest import Plug, eventually, in_thread
from tests.stations.ocpp.proxies import Papers
from tests.stations.ocpp.test_profile_changes import PASSWORD_SETTING, verdict
from tests.stations.ocpp.test_profiles_at_the_door import (  # noqa: F401
    REFUSALS,
    gateway,
    papers,
    secret,
    tls_port,
)

ALL = ("1.6", *V2)
FRESH = "a-brand-new-password"
SIGN = {"1.6": "SignChargePointCertificate", "2.0.1": "SignChargingStationCertificate"}
SIGN["2.1"] = SIGN["2.0.1"]
every_version = pytest.mark.parametrize("version", ALL)


class Secure:
    """The station's way in over TLS."""

    def __init__(
        self, gateway: Role, papers: Papers, tenant: Tenant, station: Station, desk: ApiClient  # noqa: F811
    ) -> None:  # fmt: skip
        self.url = f"wss://127.0.0.1:{tls_port(gateway)}"
        self.papers, self.tenant, self.station, self.desk = papers, tenant, station, desk

    @asynccontextmanager
    async def stage(
        self, version: str, *, shown: tuple[str, str] | None = None, password: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[Scene]:  # fmt: skip
        """A booted charger that shows a certificate, or a password."""
        async with charger(
            self.url, self.tenant.slug, self.station.identity, password, version,
            tls=tls or self.papers.client(shown),
        ) as wire:  # fmt: skip
            scene = Scene(version, wire, self.desk, self.tenant, self.station)
            assert (await scene.boot())["status"] == "Accepted"
            yield scene

    async def opens(self, version: str, **shown: Any) -> bool:
        try:
            async with self.stage(version, **shown):
                return True
        except REFUSALS:
            return False


@pytest.fixture
def secure(
    gateway: Role,  # noqa: F811
    papers: Papers,  # noqa: F811
    tenant: Tenant,
    station: Station,
    api_client: Callable[..., ApiClient],
) -> Secure:
    return Secure(gateway, papers, tenant, station, api_client())


async def profile(scene: Scene, wanted: int) -> None:
    """The operator sees that it came by this security profile."""

    async def shown() -> bool:
        told = await scene.rest("GET", f"/stations/{scene.station.pk}/security-profile")
        return bool(told["effective"] == wanted)

    await eventually(shown)


# --- passwords


@oca("TC_085", "TC_A_01")
@every_version
async def test_a_valid_password(stage: Stage, version: str) -> None:
    async with stage(version) as scene:
        assert scene.wire.socket.subprotocol == f"ocpp{version}"
        await profile(scene, 1)


@oca("TC_A_02", "TC_A_03")
@pytest.mark.parametrize("wrong", [{"user": "SOMEBODY-ELSE"}, {"password": "not-the-right-one"}])
@every_version
async def test_a_wrong_name_or_password(
    plug: Plug, station: Station, version: str, wrong: dict[str, str]
) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with plug(station, version, **wrong):
            pass
    assert refused.value.response.status_code == 401
    async with plug(station, version):
        pass


@oca("TC_073", "TC_A_09", "TC_A_10")
@every_version
@pytest.mark.parametrize("word", ["Accepted", "Rejected"])
async def test_a_new_password(stage: Stage, plug: Plug, version: str, word: str) -> None:
    path = "/stations/{}/password-changes"
    action, payload = PASSWORD_SETTING[version]
    async with stage(version) as scene:
        await scene.rest("POST", path.format(scene.station.pk), {"password": FRESH}, status=201)
        call = await scene.hears(action, payload(FRESH))
        await scene.answers(call, verdict(version, word))
        if (version, word) == ("1.6", "Rejected"):  # some want it in hexadecimal
            await scene.answers(await scene.hears(action), verdict(version, word))

        async def told() -> bool:
            newest = (await scene.seen(path.format(scene.station.pk)))[0]
            return bool(newest["state"] == ("accepted" if word == "Accepted" else "failed"))

        await eventually(told)
        frames = await scene.seen(f"/stations/{scene.station.pk}/frames", action=action)
        assert FRESH not in str(frames), "the log of frames shows the password"
    if word == "Accepted":
        async with stage(version, password=FRESH):
            pass
    with pytest.raises(websockets.InvalidStatus):
        wrong = {} if word == "Accepted" else {"password": FRESH}
        async with plug(scene.station, version, **wrong):
            pass


# --- TLS


@oca("TC_086", "TC_A_04")
@every_version
async def test_tls_with_our_certificate(secure: Secure, version: str) -> None:
    async with secure.stage(version, password=secret(secure.station)) as scene:
        session: Any = scene.wire.socket.transport.get_extra_info("ssl_object")
        assert session.version() in ("TLSv1.2", "TLSv1.3")
        await profile(scene, 2)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
@oca("TC_A_06")
@every_version
async def test_tls_that_is_too_old(secure: Secure, version: str) -> None:
    old = secure.papers.client()
    old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    assert not await secure.opens(version, password=secret(secure.station), tls=old)
    assert await secure.opens(version, password=secret(secure.station))


@oca("TC_087", "TC_A_07", "TC_A_08")
@every_version
async def test_a_certificate_of_the_station(secure: Secure, version: str) -> None:
    root = pki.Authority(f"Stations of {secure.tenant.slug}")
    chain = {"chain": root.pem, "key": pki.key_pem(root.key)}
    await in_thread(lambda: secure.desk.write("POST", "/security/authorities", chain, status=201))
    identity, name = secure.station.identity, secure.tenant.name
    good = root.issue(identity, name)
    await eventually(lambda: secure.opens(version, shown=good), 30)
    async with secure.stage(version, shown=good) as scene:
        await profile(scene, 3)
    stranger = pki.Authority(f"Stations of {secure.tenant.slug}")
    for wrong in (
        stranger.issue(identity, name),
        root.issue(identity, name, days=-1),
        root.issue("CP-ELSEWHERE", name),
    ):
        assert not await secure.opens(version, shown=wrong)
    assert not await secure.opens(version, password=secret(secure.station))
    assert await secure.opens(version, shown=good)


# --- certificates renewed at our request


async def asked_for(scene: Scene, message: str, word: str) -> None:
    kind = "extended_trigger" if scene.version == "1.6" else "trigger"
    action = "ExtendedTriggerMessage" if scene.version == "1.6" else "TriggerMessage"
    expected = {"requestedMessage": word}
    await scene.does(kind, {"message": message}, action, expected, {"status": "Accepted"}, "accepted")


async def signed(scene: Scene, use: str | None = "", name: str = "") -> tuple[list[Any], str]:
    """(CertificateSigned as heard, the key that the station made) after a request that is accepted."""
    csr, key = pki.request(name or scene.station.identity, scene.tenant.name)
    told: Payload = {"csr": csr} | ({"certificateType": use} if use else {})
    assert (await scene.tell("SignCertificate", told))["status"] == "Accepted"
    call = await scene.hears("CertificateSigned", {"certificateType": use} if use else {})
    (leaf, *above) = x509.load_pem_x509_certificates(call[3]["certificateChain"].encode())
    assert leaf.public_key() == key.public_key()
    assert above
    leaf.verify_directly_issued_by(above[0])
    return call, pki.key_pem(key)


async def became(scene: Scene, state: str) -> Payload:
    """The newest request for a certificate, once it is in this state."""

    async def reached() -> Payload | None:
        newest = (await scene.seen("/security/requests", station_id=scene.station.pk))[0]
        return newest if newest["state"] == state else None

    return dict(await eventually(reached))


@oca("TC_074", "TC_A_11")
@every_version
async def test_a_certificate_is_renewed(stage: Stage, secure: Secure, version: str) -> None:
    async with stage(version) as scene:
        await asked_for(scene, "sign_certificate", SIGN[version])
        call, key = await signed(scene, "" if version == "1.6" else "ChargingStationCertificate")
        await scene.answers(call, {"status": "Accepted"})
        await became(scene, "installed")
    shown = (call[3]["certificateChain"], key)
    await eventually(lambda: secure.opens(version, shown=shown), 30)
    async with secure.stage(version, shown=shown) as scene:
        await profile(scene, 3)


@oca("TC_A_12")
@pytest.mark.parametrize("version", V2)
async def test_a_certificate_towards_cars_is_renewed(stage: Stage, version: str) -> None:
    root = pki.Authority("V2G root")
    sub = pki.Authority("CPO sub-CA", under=root)
    chain = {"chain": sub.pem + root.pem, "key": pki.key_pem(sub.key), "use": "v2g"}
    async with stage(version) as scene:
        await scene.rest("POST", "/security/authorities", chain, status=201)
        await asked_for(scene, "sign_v2g_certificate", "SignV2GCertificate")
        call, _key = await signed(scene, "V2GCertificate")
        assert sub.pem in call[3]["certificateChain"]
        await scene.answers(call, {"status": "Accepted"})
        await became(scene, "installed")


@oca("TC_A_13")
@pytest.mark.parametrize("version", V2)
async def test_one_certificate_for_both_is_renewed(stage: Stage, version: str) -> None:
    """It was asked for without a type and goes back without one (CertificateSigningUseEnumType)."""
    async with stage(version) as scene:
        await asked_for(scene, "sign_combined_certificate", "SignCombinedCertificate")
        call, _key = await signed(scene)
        assert "certificateType" not in call[3]
        await scene.answers(call, {"status": "Accepted"})
        await became(scene, "installed")


INVALID = {"1.6": "InvalidChargePointCertificate", "2.0.1": "InvalidChargingStationCertificate"}
INVALID["2.1"] = INVALID["2.0.1"]


@oca("TC_077", "TC_A_14")
@every_version
async def test_a_station_finds_its_new_certificate_invalid(stage: Stage, version: str) -> None:
    async with stage(version) as scene:
        await asked_for(scene, "sign_certificate", SIGN[version])
        call, _key = await signed(scene, "" if version == "1.6" else "ChargingStationCertificate")
        await scene.answers(call, {"status": "Rejected"})
        told = {"type": INVALID[version], "timestamp": stamp()}
        assert await scene.tell("SecurityEventNotification", told) == {}
        assert "Rejected" in (await became(scene, "failed"))["detail"]
        events = await scene.seen("/security/events", station_id=scene.station.pk)
        assert [event["type"] for event in events] == ["InvalidChargingStationCertificate"]


@oca("TC_078")
async def test_a_station_finds_a_root_invalid(stage: Stage) -> None:
    root = pki.Authority("Central system").pem
    async with stage("1.6") as scene:
        await scene.does(
            "install_certificate", {"use": "csms_root", "certificate": root}, "InstallCertificate",
            {"certificateType": "CentralSystemRootCertificate"}, {"status": "Rejected"}, "rejected",
        )  # fmt: skip
        told = {"type": "InvalidCentralSystemCertificate", "timestamp": stamp()}
        assert await scene.tell("SecurityEventNotification", told) == {}
        events = await scene.seen("/security/events", station_id=scene.station.pk)
        assert [event["type"] for event in events] == ["InvalidCsmsCertificate"]


# --- a higher profile


@oca("TC_083", "TC_A_19")
@every_version
async def test_a_station_rises_to_profile_2(stage: Stage, secure: Secure, plug: Plug, version: str) -> None:
    """1.6: ChangeConfiguration; 2.x: a network profile, then its place in the order, then a restart (B09, B10)."""
    changes = f"/stations/{secure.station.pk}/profile-changes"
    async with stage(version) as scene:
        await scene.rest("POST", changes, {"profile": 2, "url": secure.url, "slot": 2}, status=201)
        if version == "1.6":
            call = await scene.hears("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"})
            await scene.answers(call, {"status": "Accepted"})
        else:
            call = await scene.hears("GetVariables")
            read = call[3]["getVariableData"][0] | {"attributeStatus": "Accepted", "attributeValue": "1,0"}
            await scene.answers(call, {"getVariableResult": [read]})
            call = await scene.hears("SetNetworkProfile", {"configurationSlot": 2})
            data = call[3]["connectionData"]
            assert data["securityProfile"] == 2 and data["ocppCsmsUrl"].startswith(secure.url)
            await scene.answers(call, {"status": "Accepted"})
            call = await scene.hears("SetVariables")
            (entry,) = call[3]["setVariableData"]
            assert entry["variable"]["name"] == "NetworkConfigurationPriority"
            assert entry["attributeValue"].split(",")[0] == "2"
            result = {"component": entry["component"], "variable": entry["variable"]}
            await scene.answers(call, {"setVariableResult": [result | {"attributeStatus": "RebootRequired"}]})
            await scene.answers(await scene.hears("Reset"), {"status": "Accepted"})

        async def switched() -> bool:
            return bool((await scene.seen(changes))[0]["state"] == "return")

        await eventually(switched)
    async with secure.stage(version, password=secret(secure.station)) as scene:
        await profile(scene, 2)

        async def done() -> bool:
            return bool((await scene.seen(changes))[0]["state"] == "done")

        await eventually(done)
    with pytest.raises(websockets.InvalidStatus):
        async with plug(secure.station, version):
            pass


@oca("TC_088")
@pytest.mark.parametrize("offered", ["1.6", "ocpp1.5, ocpp1.6"])
async def test_the_subprotocol_is_agreed(plug: Plug, station: Station, offered: str) -> None:
    async with plug(station, offered) as wire:
        assert wire.socket.subprotocol == "ocpp1.6"
        await wire.ok("Heartbeat", {})
