"""Security profiles over real TLS: ended by the gateway, by a proxy, and by nginx under our own instructions."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

import pytest
import websockets

from cpo.embedded import ports
from stations.models import SecurityEvent, Station, StationCertificate
from stations.services import authority, security_profiles, signing
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden
from tenants.models import AuditRecord, Tenant
from tests.objects import create_site, create_station
from tests.servers import Role, Roles
from tests.stations import pki
from tests.stations.ocpp.charger import VERSIONS, Charger, charger
from tests.stations.ocpp.conftest import eventually, rows
from tests.stations.ocpp.proxies import PROXY, Papers, SmallProxy, nginx, nginx_program

REFUSALS = (websockets.InvalidStatus, websockets.InvalidMessage, ssl.SSLError, ConnectionError, EOFError)


def secret(station: Station) -> str:
    return str(station.password)  # type: ignore[attr-defined]


def tls_port(gateway: Role) -> int:
    return int(gateway.tls_port)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def gateway(session_roles: Roles, papers: Papers) -> Role:
    """A gateway that ends TLS itself, and believes proxies at one address."""
    port = ports.any_free()
    role = session_roles.start(
        "gateway",
        env={
            "OCPP_TLS_PORT": str(port),
            "OCPP_TLS_CERTIFICATE": str(papers.certificate),
            "OCPP_TLS_KEY": str(papers.key),
            "TRUSTED_PROXIES": PROXY,
        },
    )
    role.tls_port = port  # type: ignore[attr-defined]
    return role


@pytest.fixture
def operator(make_actor: Any) -> Any:
    return make_actor("operator")


class Door:
    """One way in, over TLS."""

    def __init__(self, papers: Papers, tenant: Tenant, port: int) -> None:
        self.papers, self.tenant, self.port = papers, tenant, port

    def open(
        self, station: Station, shown: tuple[str, str] | None = None, version: str = "1.6", **more: Any
    ) -> AbstractAsyncContextManager[Charger]:
        password = more.pop("password", None)
        return charger(
            f"wss://127.0.0.1:{self.port}", self.tenant.slug, station.identity, password, version,
            tls=self.papers.client(shown), **more,
        )  # fmt: skip

    async def refuses(self, station: Station, shown: tuple[str, str] | None = None, **more: Any) -> None:
        with pytest.raises(REFUSALS):
            async with self.open(station, shown, **more) as wire:
                await wire.ok("Heartbeat", {})  # TLS 1.3 tells of a refused certificate only now


@pytest.fixture(params=["gateway", "proxy", "nginx"])
def door(
    request: pytest.FixtureRequest, gateway: Role, papers: Papers, tenant: Tenant, root: pki.Authority
) -> Iterator[Door]:
    if request.param == "gateway":
        yield Door(papers, tenant, tls_port(gateway))
    elif request.param == "proxy":
        proxy = SmallProxy(papers, gateway.port, [root.pem])
        yield Door(papers, tenant, proxy.port)
        proxy.close()
    else:
        with nginx(papers, gateway.port, nginx_program()) as port:
            yield Door(papers, tenant, port)


@pytest.fixture
def other(make_station: Any) -> Station:
    return make_station()


@pytest.fixture
def namesake(other_tenant: Tenant, station: Station) -> Station:
    """The neighbour's station of the same name."""
    return create_station(other_tenant, create_site(other_tenant), identity=station.identity)


@pytest.fixture
def root(tenant: Tenant, owner_actor: Any) -> pki.Authority:
    """An authority of the company's own PKI, whose key the test holds, so that it can sign what it must not."""
    made = pki.Authority(f"Stations of {tenant.slug}")
    with tenant_scope(tenant.pk):
        authority.delegate(tenant_id=tenant.pk, actor=owner_actor, chain=made.pem, key=pki.key_pem(made.key))
    return made


async def told(tenant: Tenant, station: Station) -> Station:
    return await rows(tenant, lambda: Station.objects.get(pk=station.pk))


async def came_by(tenant: Tenant, station: Station, profile: int) -> None:
    async def true() -> bool:
        return (await told(tenant, station)).highest_profile >= profile

    await eventually(true)


async def events(tenant: Tenant, station: Station) -> dict[str, int]:
    found = await rows(
        tenant, lambda: list(SecurityEvent.objects.filter(station=station).values_list("type", "count"))
    )
    return dict(found)


async def accepted(door: Door, station: Station, shown: tuple[str, str], **more: Any) -> None:
    """It is let in; the gateway hears of a new authority within seconds."""

    async def enters() -> bool:
        try:
            async with door.open(station, shown, **more) as wire:
                await wire.ok("Heartbeat", {})
        except REFUSALS:
            return False
        return True

    await eventually(enters, 30)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_password_over_tls_is_profile_2_and_then_profile_1_is_closed(
    door: Door,
    gateway: Role,
    tenant: Tenant,
    station: Station,
    owner_actor: Any,
    operator: Any,
    version: str,
) -> None:
    async with charger(gateway.ws_url, tenant.slug, station.identity, secret(station), version):
        await came_by(tenant, station, 1)
    async with door.open(station, version=version, password=secret(station)) as wire:
        await came_by(tenant, station, 2)
        await wire.raw("[2,")  # the socket is a socket like any other
        assert (await told(tenant, station)).effective_profile == 2
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with charger(gateway.ws_url, tenant.slug, station.identity, secret(station), version):
            pass
    assert refused.value.response.status_code == 403

    async def noted() -> bool:
        return "ProfileTooLow" in await events(tenant, station)

    await eventually(noted)
    with pytest.raises(Forbidden):
        await rows(tenant, lambda: security_profiles.reset(station=station, actor=operator, profile=1))
    await rows(
        tenant,
        lambda: security_profiles.reset(
            station=Station.objects.get(pk=station.pk), actor=owner_actor, profile=1
        ),
    )
    async with charger(gateway.ws_url, tenant.slug, station.identity, secret(station), version) as wire:
        assert (await told(tenant, station)).effective_profile == 1
    audited = await rows(
        tenant, lambda: AuditRecord.objects.get(tenant=tenant, action="station.profile_reset").detail
    )
    assert audited == {"from": 2, "to": 1}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_certificate_is_profile_3_and_no_password_will_do_any_more(
    door: Door, tenant: Tenant, station: Station, root: pki.Authority, version: str
) -> None:
    shown = root.issue(station.identity, tenant.name)
    await accepted(door, station, shown, version=version)
    await came_by(tenant, station, 3)
    row = await rows(tenant, lambda: StationCertificate.objects.get(station=station))
    assert row.state == "in_use" and row.first_used_at is not None
    await door.refuses(station, password=secret(station))

    async def noted() -> bool:
        return "ProfileTooLow" in await events(tenant, station)

    await eventually(noted)


async def test_wrong_certificates_are_refused(
    door: Door, tenant: Tenant, other_tenant: Tenant, station: Station, root: pki.Authority, owner_actor: Any,
    other_owner_actor: Any,
) -> None:  # fmt: skip
    await accepted(door, station, root.issue(station.identity, tenant.name))
    stranger = pki.Authority(f"Stations of {tenant.slug}")  # the same name, another key
    neighbour = pki.Authority(f"Stations of {tenant.slug}")  # must not shut the others out by it
    await rows(
        other_tenant,
        lambda: authority.delegate(tenant_id=other_tenant.pk, actor=other_owner_actor, chain=neighbour.pem),
    )
    wrong = {
        "another authority": stranger.issue(station.identity, tenant.name),
        "itself": pki.Authority(station.identity).issue(station.identity, tenant.name),
        "another company's authority": neighbour.issue(station.identity, tenant.name),
        "another identity": root.issue("CP-ELSEWHERE", tenant.name),
        "expired": root.issue(station.identity, tenant.name, days=-1),
        "another organisation": root.issue(station.identity, "Somebody Ltd"),
        "an authority": (
            pki.pem(root.certificate),
            pki.key_pem(root.key),
        ),
    }
    for case, shown in wrong.items():
        try:
            await door.refuses(station, shown)
        except BaseException as error:
            raise AssertionError(f"let in: {case}") from error
    await accepted(door, station, root.issue(station.identity, tenant.name))


async def test_what_is_taken_back_cuts_the_socket_and_opens_no_more(
    door: Door, tenant: Tenant, station: Station, root: pki.Authority, owner_actor: Any
) -> None:
    shown = root.issue(station.identity, tenant.name)
    await accepted(door, station, shown)
    async with door.open(station, shown) as wire:
        await wire.ok("Heartbeat", {})

        def revoke() -> None:
            certificate = StationCertificate.objects.select_related("station").get(station=station)
            signing.revoke(certificate=certificate, actor=owner_actor, reason="key_compromise")

        await rows(tenant, revoke)
        await wire.closed()
    await door.refuses(station, shown)

    async def noted() -> bool:
        return "CertificateRefused" in await events(tenant, station)

    await eventually(noted)
    assert await rows(tenant, lambda: AuditRecord.objects.filter(action="certificate.revoke").count()) == 1


def headers_of(certificate: str) -> dict[str, dict[str, str]]:
    der = ssl.PEM_cert_to_DER_cert(certificate)
    return {
        "RFC 9440": {"Client-Cert": f":{base64.b64encode(der).decode()}:"},
        "nginx": {"X-SSL-Client-Cert": quote(certificate)},
        "others": {"SSL-Client-Cert": quote(certificate), "X-Forwarded-Proto": "https"},
    }


@pytest.mark.parametrize("form", ["RFC 9440", "nginx", "others"])
async def test_a_certificate_in_a_header_counts_from_our_proxy_alone(
    gateway: Role, tenant: Tenant, station: Station, root: pki.Authority, form: str
) -> None:
    certificate, _key = root.issue(station.identity, tenant.name)
    headers = headers_of(certificate)[form]
    password = secret(station)
    for given in (None, password):  # not even beside the right password
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with charger(gateway.ws_url, tenant.slug, station.identity, given, headers=headers):
                pass
        assert refused.value.response.status_code == 401

    async def noted() -> bool:
        return (await events(tenant, station)).get("CertificateHeaderForged") == 2

    await eventually(noted)
    assert (await told(tenant, station)).effective_profile is None
    async with charger(gateway.ws_url, tenant.slug, station.identity, None, headers=headers, source=PROXY):
        await came_by(tenant, station, 3)


async def test_a_scheme_in_a_header_counts_from_our_proxy_alone(
    gateway: Role, tenant: Tenant, station: Station
) -> None:
    headers = {"X-Forwarded-Proto": "https"}
    password = secret(station)
    for source, profile in (("", 1), (PROXY, 2)):
        async with charger(
            gateway.ws_url, tenant.slug, station.identity, password, headers=headers, source=source
        ):
            await came_by(tenant, station, profile)
            assert (await told(tenant, station)).effective_profile == profile


@pytest.mark.parametrize(
    "text", ["::", ":AAAA:", "%ZZ", ":" + "A" * 30_000 + ":", "-----BEGIN CERTIFICATE-----", "\u00ff\u00fe"]
)
async def test_a_malformed_header_of_our_proxy_proves_nothing(
    gateway: Role, tenant: Tenant, station: Station, text: str
) -> None:
    with pytest.raises(REFUSALS):
        async with charger(
            gateway.ws_url, tenant.slug, station.identity, None, source=PROXY,
            headers={"Client-Cert": text.encode().decode("latin-1")},
        ):  # fmt: skip
            pass


async def test_our_certificate_is_renewed_without_dropping_a_socket(
    gateway: Role, papers: Papers, tenant: Tenant, station: Station, other: Station
) -> None:
    door = Door(papers, tenant, tls_port(gateway))
    async with door.open(station, password=secret(station)) as wire:
        fresh = ssl.PEM_cert_to_DER_cert(papers.renew())

        async def fresh_one() -> bool:
            async with door.open(other, password=secret(other)) as second:
                tls: Any = second.socket.transport.get_extra_info("ssl_object")
                return bool(tls.getpeercert(binary_form=True) == fresh)

        await eventually(fresh_one, 20)
        await wire.ok("Heartbeat", {})


@pytest.mark.parametrize(
    ("newest", "ciphers"),
    [(ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"), (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-SHA")],
)
async def test_old_tls_and_weak_suites_are_refused(
    gateway: Role, papers: Papers, tenant: Tenant, station: Station, newest: Any, ciphers: str
) -> None:
    context = papers.client()
    context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, newest
    context.set_ciphers(ciphers)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with charger(
            f"wss://127.0.0.1:{tls_port(gateway)}",
            tenant.slug,
            station.identity,
            secret(station),
            tls=context,
        ):
            pass


async def test_the_desk_may_ask_for_more_than_a_station_does(
    gateway: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    await rows(tenant, lambda: security_profiles.require(station=station, actor=owner_actor, profile=2))
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with charger(gateway.ws_url, tenant.slug, station.identity, secret(station)):
            pass
    assert refused.value.response.status_code == 403
    with pytest.raises(Conflict):
        await rows(
            tenant,
            lambda: security_profiles.require(
                station=Station.objects.get(pk=station.pk), actor=owner_actor, profile=1
            ),
        )


async def test_a_wrong_password_is_counted_at_the_station(
    gateway: Role, tenant: Tenant, station: Station
) -> None:
    for _try in range(3):
        with pytest.raises(websockets.InvalidStatus):
            async with charger(gateway.ws_url, tenant.slug, station.identity, "guessed-password"):
                pass

    async def counted() -> bool:
        return await events(tenant, station) == {"WrongPassword": 3}

    await eventually(counted)


async def test_a_neighbours_station_of_the_same_name_is_not_let_in(
    gateway: Role,
    tenant: Tenant,
    other_tenant: Tenant,
    station: Station,
    namesake: Station,
    root: pki.Authority,
) -> None:
    """A certificate of the one company under the other's address."""

    certificate, _key = root.issue(station.identity, tenant.name)
    headers = headers_of(certificate)["nginx"]
    with pytest.raises(websockets.InvalidStatus):
        async with charger(
            gateway.ws_url, other_tenant.slug, namesake.identity, None, headers=headers, source=PROXY
        ):
            pass
