"""Authorities and certificates of the tests, made by `cryptography` alone and by nothing of the product."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


def named(common_name: str, organisation: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(private: Any) -> str:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class Authority:
    """A root of the test's own; `under` makes it an intermediate."""

    def __init__(
        self, common_name: str = "Test root", under: Authority | None = None, days: int = 30
    ) -> None:
        self.key, self.under = key(), under
        self.certificate = (under or self).sign(
            self.key.public_key(),
            named(common_name),
            authority=True,
            issuer=None if under else named(common_name),
            days=days,
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(
        self,
        public: Any,
        subject: x509.Name,
        *,
        authority: bool = False,
        issuer: x509.Name | None = None,
        days: float = 30,
        names: tuple[str, ...] = (),
        server: bool = False,
    ) -> x509.Certificate:
        """`days` below zero: expired so long ago."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=90))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if server:
            usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH])
            builder = builder.add_extension(usage, critical=False)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(
                    [
                        x509.IPAddress(ipaddress.ip_address(name))
                        if name[0].isdigit()
                        else x509.DNSName(name)
                        for name in names
                    ]
                ),
                critical=False,
            )
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, common_name: str, organisation: str = "", **more: Any) -> tuple[str, str]:
        """(certificate, key) as PEM."""
        private = key()
        made = self.sign(private.public_key(), named(common_name, organisation), **more)
        return made.public_bytes(serialization.Encoding.PEM).decode(), key_pem(private)

    def hash_data(self) -> dict[str, str]:
        """As OCPP names this root, written from RFC 6960."""
        public = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": hashlib.sha256(self.certificate.issuer.public_bytes()).hexdigest(),
            "issuerKeyHash": hashlib.sha256(public).hexdigest(),
            "serialNumber": f"{self.certificate.serial_number:x}",
        }


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def request(
    common_name: str, organisation: str = "", *, bits: int = 0, curve: str = "secp256r1"
) -> tuple[str, Any]:
    """(certificate signing request as PEM, its key)."""
    curves = {"secp256r1": ec.SECP256R1(), "secp224r1": ec.SECP224R1()}
    private: Any = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(curves[curve])
    subject = named(common_name, organisation) if common_name else x509.Name([])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(private, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode(), private


def broken(csr: str) -> str:
    """The request with its signature spoilt."""
    der = bytearray(x509.load_pem_x509_csr(csr.encode()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 0x01
    body = base64.encodebytes(bytes(der)).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"


def answer(csr: str, authority: str, key: str, common_name: str) -> str:
    """The certificate, signed by this authority (PEM, as its key), that answers a request."""
    signer = Authority.__new__(Authority)
    signer.key = serialization.load_pem_private_key(key.encode(), None)  # type: ignore[assignment]
    signer.certificate = x509.load_pem_x509_certificate(authority.encode())
    public = x509.load_pem_x509_csr(csr.encode()).public_key()
    return pem(signer.sign(public, named(common_name)))
