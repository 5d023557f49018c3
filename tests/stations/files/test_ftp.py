"""The file door by FTP and FTPS, with a real server process and a real client."""

from __future__ import annotations

import io
import socket
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ftplib import FTP, FTP_TLS, all_errors
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.test import override_settings

from cpo.embedded import ports
from stations.doors.work import MOST_OF_A_TICKET
from stations.models import FirmwareUpdate, LogFile, LogRequest, Station
from stations.services.commands import unsealed
from stations.services.files import logs, updates
from tenants.context import tenant_scope
from tenants.models import Tenant
from tests.objects import create_image
from tests.servers import Role, Roles

URLS = {"FTP_URL": "ftp://127.0.0.1:1", "FTPS_URL": "ftps://127.0.0.1:2"}


def certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "files.test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "ftp.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@pytest.fixture(scope="module")
def door(session_roles: Roles, tmp_path_factory: pytest.TempPathFactory) -> Role:
    pem = certificate(tmp_path_factory.mktemp("ftp"))
    port = next(port for port in (ports.any_free() for _try in range(50)) if ports.is_free(port + 1))
    return session_roles.start("ftp", port=port, env={"FTPS_CERTIFICATE": str(pem), "LOG_MAX_MB": "2"})


class ImplicitTLS(FTP_TLS):
    """ftplib knows explicit TLS alone."""

    _sock: Any = None

    @property
    def sock(self) -> Any:
        return self._sock

    @sock.setter
    def sock(self, value: Any) -> None:
        plain = value is not None and not isinstance(value, ssl.SSLSocket)
        self._sock = self.context.wrap_socket(value) if plain else value


def opened(door: Role, user: str, password: str, *, secure: bool = False) -> FTP:
    context = ssl._create_unverified_context()
    client: Any = ImplicitTLS(context=context) if secure else FTP()
    client.connect("127.0.0.1", door.port + secure, timeout=15)
    client.login(user, password)
    if secure:
        client.prot_p()
    return client


def credentials(location: str) -> tuple[str, str]:
    user, _colon, password = location.partition("://")[2].partition("@")[0].partition(":")
    return user, password


def asked(tenant: Tenant, station: Station, actor: Any, protocol: str) -> tuple[LogRequest, tuple[str, str]]:
    with tenant_scope(tenant.pk), override_settings(**URLS):
        row = logs.request(tenant_id=tenant.pk, station_id=station.pk, actor=actor, protocol=protocol)
        assert row.command is not None
        return row, credentials(unsealed(row.command.arguments)["location"])


@pytest.mark.parametrize("protocol", ["ftp", "ftps"])
def test_a_log_is_uploaded(
    door: Role, tenant: Tenant, station: Station, owner_actor: Any, protocol: str
) -> None:
    row, login = asked(tenant, station, owner_actor, protocol)
    client = opened(door, *login, secure=protocol == "ftps")
    client.cwd("/logs/of/mine")
    assert client.storbinary("STOR cp 1.log", io.BytesIO(b"12:00 ERROR relay\n" * 10_000)).startswith("226")
    client.quit()
    with tenant_scope(tenant.pk):
        row.refresh_from_db()
        file = LogFile.objects.get(request=row)
    assert (row.state, file.name, file.size_bytes, file.protocol) == (
        "uploaded",
        "cp_1.log",
        180_000,
        protocol,
    )


def test_nothing_can_be_listed_fetched_or_removed(
    door: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    _row, login = asked(tenant, station, owner_actor, "ftp")
    client = opened(door, *login)
    client.storbinary("STOR a.log", io.BytesIO(b"x"))
    for refused in (client.nlst, lambda: client.delete("a.log"), lambda: client.rename("a.log", "b"),
                    lambda: client.mkd("d"), lambda: client.retrbinary("RETR a.log", print)):  # fmt: skip
        with pytest.raises(all_errors):
            refused()


def test_a_wrong_or_old_password_opens_nothing(
    door: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    row, (user, password) = asked(tenant, station, owner_actor, "ftp")
    with pytest.raises(all_errors):
        opened(door, user, "0" * 24)
    with tenant_scope(tenant.pk):
        logs.cancel(asked=row, actor=owner_actor)
    with pytest.raises(all_errors):
        opened(door, user, password)


def test_a_file_that_is_too_large_is_refused(
    door: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    row, login = asked(tenant, station, owner_actor, "ftp")
    client = opened(door, *login)
    with pytest.raises(all_errors):
        client.storbinary("STOR big.log", io.BytesIO(b"x" * 3_000_000))
    with tenant_scope(tenant.pk):
        assert not LogFile.objects.filter(request=row).exists()


def test_an_image_is_fetched(door: Role, tenant: Tenant, station: Station, owner_actor: Any) -> None:
    content = bytes(range(256)) * 1000
    image = create_image(tenant, content=content)
    with tenant_scope(tenant.pk), override_settings(**URLS):
        Station.objects.filter(pk=station.pk).update(
            ocpp_version="1.6", vendor="Acme", firmware_version="1.0", online=True
        )
        update = updates.plan(
            tenant_id=tenant.pk, station_id=station.pk, image_id=image.pk, actor=owner_actor, protocol="ftp"
        )
        assert update.command is not None
        login = credentials(unsealed(update.command.arguments)["location"])
    got: list[bytes] = []
    client = opened(door, *login)
    client.retrbinary("RETR acme-2.0.0.bin", got.append)
    client.quit()
    assert b"".join(got) == content
    with tenant_scope(tenant.pk):
        now = FirmwareUpdate.objects.select_related("image").get(pk=update.pk)
    assert (now.state, now.percent) == ("downloading", 100)


def test_who_connects_to_the_data_port_from_elsewhere_gets_nothing(
    door: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    """The open port can be guessed: a stranger neither reads an image nor puts in a log."""
    row, login = asked(tenant, station, owner_actor, "ftp")
    client = opened(door, *login)
    host, port = client.makepasv()
    client.putcmd("STOR a.log")
    with (
        socket.create_connection((host, port), 15, source_address=("127.0.0.9", 0)) as stranger,
        suppress(OSError),  # the door is shut before or after the first word
    ):
        stranger.sendall(b"forged")
        stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(100):
            pass
    with socket.create_connection((host, port), 15) as mine:
        mine.sendall(b"12:00 true")
    assert client.getresp().startswith("150") and client.getresp().startswith("226")
    with tenant_scope(tenant.pk):
        assert LogFile.objects.get(request=row).size_bytes == len(b"12:00 true")


def test_one_station_does_not_take_the_places_of_all(
    door: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    row, login = asked(tenant, station, owner_actor, "ftp")
    waiting = []
    for number in range(MOST_OF_A_TICKET):
        client = opened(door, *login)
        waiting.append((client, client.transfercmd(f"STOR {number}.log")))
    late = opened(door, *login)
    with pytest.raises(all_errors, match="moving already"):
        late.storbinary("STOR late.log", io.BytesIO(b"x"))
    for number, (client, data) in enumerate(waiting):
        data.sendall(b"log %d" % number)
        data.close()
        assert client.voidresp().startswith("226")
    assert late.storbinary("STOR late.log", io.BytesIO(b"x")).startswith("226")
    with tenant_scope(tenant.pk):
        assert LogFile.objects.filter(request=row).count() == MOST_OF_A_TICKET + 1


def test_a_slow_download_shows_while_it_goes_on(
    door: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    """An old station on a slow line takes longer than an update is waited for in silence."""
    image = create_image(tenant, content=b"firmware" * 1_200_000)
    with tenant_scope(tenant.pk), override_settings(**URLS):
        Station.objects.filter(pk=station.pk).update(
            vendor="Acme", model="M", ocpp_version="1.6", online=True, firmware_version="1"
        )
        update = updates.plan(
            tenant_id=tenant.pk, station_id=station.pk, image_id=image.pk, actor=owner_actor, protocol="ftp"
        )
        assert update.command is not None
        login = credentials(unsealed(update.command.arguments)["location"])
    client = opened(door, *login)
    host, port = client.makepasv()
    with socket.socket() as data:
        data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        data.settimeout(30)
        data.connect((host, port))
        client.putcmd("RETR a.bin")

        def shown() -> int:
            with tenant_scope(tenant.pk):
                return FirmwareUpdate.objects.get(pk=update.pk).bytes_sent

        while not shown():  # the server waits for this reader, and is told of what went before
            assert data.recv(65_536), "it came to its end without a word"
            time.sleep(0.05)
        assert 0 < shown() < image.size_bytes
