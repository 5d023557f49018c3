"""The things of the scenarios: sites, stations, tokens, tariffs. Made as plain rows, so that a test of one service does
not fail for the sake of another."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from billing.models import Tariff
from fleets.models import Driver, Fleet, Token, Vehicle
from stations.models import (
    Command,
    CommandBatch,
    Connector,
    ConnectorStatus,
    Evse,
    FirmwareImage,
    Reservation,
    Session,
    Station,
)
from stations.services.files import images, store
from stations.services.stations import password_hash
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tenants.permissions import system

STATION_PASSWORD = "station-password-1234"
ELEMENTS = [
    {
        "price_components": [
            {"type": "ENERGY", "price": "0.49", "vat": "19.0", "step_size": 1},
            {"type": "FLAT", "price": "1.00", "vat": "19.0", "step_size": 1},
        ]
    }
]


def create_site(tenant: Tenant, **values: Any) -> Site:
    defaults = {
        "name": f"Harbour car park {secrets.token_hex(3)}",
        "city": "Hamburg",
        "country": "DE",
        "latitude": Decimal("53.543000"),
        "longitude": Decimal("9.966000"),
    }
    with tenant_scope(tenant.pk):
        return Site.objects.create(tenant=tenant, **(defaults | values))


def create_station(
    tenant: Tenant,
    site: Site,
    *,
    identity: str = "",
    evses: int = 1,
    connectors: int = 1,
    password: str = STATION_PASSWORD,
    **values: Any,
) -> Station:
    """A station with its EVSEs and connectors. `.password` is what it logs in with."""
    name = identity or f"CP-{secrets.token_hex(4).upper()}"
    values = {"password_hash": password_hash(password)} | values
    with tenant_scope(tenant.pk):
        station = Station.objects.create(tenant=tenant, site=site, identity=name, **values)
        for number in range(1, evses + 1):
            evse = Evse.objects.create(tenant=tenant, station=station, number=number)
            for plug in range(1, connectors + 1):
                Connector.objects.create(
                    tenant=tenant, evse=evse, number=plug, status=ConnectorStatus.AVAILABLE
                )
    station.password = password  # type: ignore[attr-defined]
    return station


def create_token(tenant: Tenant, *, uid: str = "", **values: Any) -> Token:
    with tenant_scope(tenant.pk):
        return Token.objects.create(tenant=tenant, uid=(uid or secrets.token_hex(4)).upper(), **values)


def create_driver(tenant: Tenant, **values: Any) -> Driver:
    with tenant_scope(tenant.pk):
        return Driver.objects.create(tenant=tenant, **({"name": "Dora Drake"} | values))


def create_vehicle(tenant: Tenant, **values: Any) -> Vehicle:
    with tenant_scope(tenant.pk):
        return Vehicle.objects.create(tenant=tenant, **({"plate": "HH-VY 123"} | values))


def create_command(tenant: Tenant, station: Station, *, note: str = "") -> Command:
    """A command that waits."""
    with tenant_scope(tenant.pk):
        return Command.objects.create(
            tenant=tenant,
            station=station,
            kind="reset",
            arguments={"note": note},
            origin_kind="user",
            origin_label="Olga",
            expires_at=datetime.now(UTC) + timedelta(minutes=5),
        )


def create_batch(tenant: Tenant, station: Station, *, note: str = "") -> CommandBatch:
    """An order to many stations, of which one waits."""
    command = create_command(tenant, station, note=note)
    with tenant_scope(tenant.pk):
        batch = CommandBatch.objects.create(tenant=tenant, order="restart", started_by=note or "Olga")
        Command.objects.filter(pk=command.pk).update(batch=batch)
    return batch


def create_reservation(tenant: Tenant, station: Station, **values: Any) -> Reservation:
    """Of the station's first EVSE, tomorrow for half an hour."""
    begin = datetime.now(UTC) + timedelta(days=1)
    with tenant_scope(tenant.pk):
        evse = Evse.objects.filter(tenant=tenant, station=station).order_by("number")[0]
        defaults = {
            "site_id": station.site_id, "evse": evse, "token_uid": "CARD", "starts_at": begin,
            "expires_at": begin + timedelta(minutes=30), "asked_by": "Olga",
        }  # fmt: skip
        return Reservation.objects.create(tenant=tenant, station=station, **(defaults | values))


def create_fleet(tenant: Tenant, **values: Any) -> Fleet:
    with tenant_scope(tenant.pk):
        return Fleet.objects.create(tenant=tenant, **({"name": f"Vans {secrets.token_hex(3)}"} | values))


def create_tariff(tenant: Tenant, **values: Any) -> Tariff:
    defaults = {"name": f"Standard {secrets.token_hex(3)}", "currency": tenant.currency, "elements": ELEMENTS}
    with tenant_scope(tenant.pk):
        return Tariff.objects.create(tenant=tenant, **(defaults | values))


def create_session(tenant: Tenant, station: Station, **values: Any) -> Session:
    """A running session at the station's first EVSE, begun an hour ago."""
    began = datetime.now(UTC) - timedelta(hours=1)
    with tenant_scope(tenant.pk):
        evse = Evse.objects.filter(tenant=tenant, station=station).order_by("number")[0]
        connector = Connector.objects.filter(tenant=tenant, evse=evse).order_by("number").first()
        number = secrets.randbelow(2**31)
        defaults = {
            "evse": evse,
            "connector": connector,
            "site_id": station.site_id,
            "transaction_number": number,
            "transaction_id": str(number),
            "start_key": secrets.token_hex(16),
            "started_at": began,
            "started_received_at": began,
            "meter_start_wh": Decimal(1000),
        }
        return Session.objects.create(tenant=tenant, station=station, **(defaults | values))


def create_image(tenant: Tenant, *, content: bytes = b"firmware " * 1000, **values: Any) -> FirmwareImage:
    """An image whose file is in the storage."""
    given = {"vendor": "Acme", "version": "2.0.0"} | values
    signature, certificate = given.pop("signature", ""), given.pop("certificate", "")
    spooled = store.spool(10_000_000)
    spooled.write(content)
    with tenant_scope(tenant.pk):
        image = images.create(tenant_id=tenant.pk, actor=system("tests"), **given)
        return images.attach(
            image=image, spooled=spooled, name=f"acme-{image.version}.bin", actor=system("tests"),
            signature=signature, certificate=certificate,
        )  # fmt: skip


def signed_by_maker(content: bytes, scheme: str) -> tuple[str, str]:
    """(signature in base64, certificate in PEM) by a maker of firmware."""
    key: Any = (
        ec.generate_private_key(ec.SECP256R1())
        if scheme == "ECDSA"
        else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Acme Firmware")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    if scheme == "ECDSA":
        raw = key.sign(content, ec.ECDSA(hashes.SHA256()))
    elif scheme == "RSA-PSS":
        raw = key.sign(content, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    else:
        raw = key.sign(content, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(raw).decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def signature(content: bytes) -> dict[str, str]:
    """As a form or a REST call gives it."""
    text, certificate = signed_by_maker(content, "ECDSA")
    return {"signature": text, "certificate": certificate}


@pytest.fixture
def site(tenant: Tenant) -> Site:
    return create_site(tenant)


@pytest.fixture
def make_site(tenant: Tenant) -> Callable[..., Site]:
    """make_site(name=..., tenant=...)."""
    return _of_tenant(create_site, tenant)


@pytest.fixture
def make_station(tenant: Tenant) -> Callable[..., Station]:
    """make_station(site=..., identity=..., evses=1, connectors=1, password=..., tenant=..., **columns) -> Station.

    Its `.password` is what it logs in with; without `site` a site is made.
    """
    company = tenant

    def make(*, site: Site | None = None, tenant: Tenant | None = None, **values: Any) -> Station:
        owner = tenant or company
        return create_station(owner, site or create_site(owner), **values)

    return make


@pytest.fixture
def station(make_station: Callable[..., Station], site: Site) -> Station:
    return make_station(site=site)


@pytest.fixture
def make_token(tenant: Tenant) -> Callable[..., Token]:
    """make_token(uid=..., driver=..., blocked=..., tenant=..., **columns)."""
    return _of_tenant(create_token, tenant)


@pytest.fixture
def make_driver(tenant: Tenant) -> Callable[..., Driver]:
    return _of_tenant(create_driver, tenant)


@pytest.fixture
def make_fleet(tenant: Tenant) -> Callable[..., Fleet]:
    return _of_tenant(create_fleet, tenant)


@pytest.fixture
def make_tariff(tenant: Tenant) -> Callable[..., Tariff]:
    return _of_tenant(create_tariff, tenant)


@pytest.fixture
def make_session(tenant: Tenant) -> Callable[..., Session]:
    """make_session(station, **columns): a running session; see create_session."""

    def make(station: Station, **values: Any) -> Session:
        return create_session(tenant, station, **values)

    return make


def _of_tenant(create: Callable[..., Any], company: Tenant) -> Callable[..., Any]:
    def make(*, tenant: Tenant | None = None, **values: Any) -> Any:
        return create(tenant or company, **values)

    return make
