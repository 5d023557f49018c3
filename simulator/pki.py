"""A public key infrastructure in the shapes of ISO 15118, for cars and stations that are played. Never for real ones.

ISO 15118-2 annex F: P-256 with SHA-256. ISO 15118-20 annex B: P-521 with SHA-512, or Ed448. Below the V2G root stand
the authorities of operators (for stations) and, where a mobility operator has no root of its own, of contracts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

SHAPES = ("15118-2", "15118-20", "15118-20-ed448")


def new_key(shape: str) -> Any:
    if shape == "15118-2":
        return ec.generate_private_key(ec.SECP256R1())
    if shape == "15118-20":
        return ec.generate_private_key(ec.SECP521R1())
    return ed448.Ed448PrivateKey.generate()


def digest(shape: str) -> Any:
    """What a key of this shape signs with; Ed448 has its own inside."""
    return {"15118-2": hashes.SHA256(), "15118-20": hashes.SHA512()}.get(shape)


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@dataclass(frozen=True)
class Issued:
    """A certificate and what belongs to it. `chain`: its own and those of the authorities below the root."""

    certificate: x509.Certificate
    key: Any
    chain: str

    @property
    def serial(self) -> int:
        return self.certificate.serial_number


@dataclass
class Authority:
    name: str
    shape: str = "15118-2"
    above: Authority | None = None
    domain: str = "V2G"  # domain component, as annex F wants it
    ocsp_url: str = ""  # told in what it issues
    crl_url: str = ""
    path_length: int | None = None
    days: float = 3650
    key: Any = None
    certificate: x509.Certificate = field(init=False)
    revoked: dict[int, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key = self.key or new_key(self.shape)
        self.certificate = (self.above or self)._sign(
            self.key.public_key(), self._subject(), authority=True, days=self.days,
            path_length=self.path_length, root=self.above is None,
        )  # fmt: skip

    def _subject(self) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, self.name),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Voltyard simulation"),
                x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
                x509.NameAttribute(NameOID.DOMAIN_COMPONENT, self.domain),
            ]
        )

    @property
    def pem(self) -> str:
        return pem(self.certificate)

    @property
    def chain(self) -> str:
        """This authority and those above it, without the root."""
        return "" if self.above is None else self.pem + self.above.chain

    def issue(
        self,
        common_name: str,
        *,
        domain: str = "",
        days: float = 730,
        since_days: float = 30,
        shape: str = "",
        key: Any = None,
        **more: Any,
    ) -> Issued:
        """A certificate for a contract, a car, a station or a signer of contract data. `days` below zero: expired."""
        key = key or new_key(shape or self.shape)
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if domain:
            subject.append(x509.NameAttribute(NameOID.DOMAIN_COMPONENT, domain))
        made = self._sign(key.public_key(), x509.Name(subject), days=days, since_days=since_days, **more)
        return Issued(made, key, pem(made) + self.chain)

    def _sign(
        self,
        public: Any,
        subject: x509.Name,
        *,
        authority: bool = False,
        days: float,
        since_days: float = 30,
        path_length: int | None = None,
        root: bool = False,
        usage: bool = True,
        responder: bool = False,
        extra: x509.ExtensionType | None = None,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if root else self._subject())
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=since_days + max(0.0, -days)))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(authority, path_length), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        if usage:
            builder = builder.add_extension(_usage(authority), critical=True)
        if responder:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False
            )
        if extra is not None:
            builder = builder.add_extension(extra, critical=True)
        if not root and self.ocsp_url:
            place = x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(self.ocsp_url)
            )
            builder = builder.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
        if not root and self.crl_url:
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(self.crl_url)], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        return builder.sign(self.key, digest(self.shape))

    def sign_request(self, csr: x509.CertificateSigningRequest, days: float = 60) -> x509.Certificate:
        """A station's certificate for its request (SECC leaf, domain CPO)."""
        return self._sign(csr.public_key(), csr.subject, days=days)

    def revoke(self, serial: int) -> None:
        self.revoked[serial] = datetime.now(UTC) - timedelta(hours=1)

    def hash_data(self, certificate: x509.Certificate, url: str = "") -> dict[str, str]:
        """Of a certificate of this authority, as OCPP's OCSPRequestDataType: written from RFC 6960 4.1.1."""
        return {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": hashlib.sha256(self.certificate.subject.public_bytes()).hexdigest(),
            "issuerKeyHash": hashlib.sha256(key_bits(self.key.public_key())).hexdigest(),
            "serialNumber": f"{certificate.serial_number:x}",
            "responderURL": url or self.ocsp_url,
        }

    def revocation_list(self, hours: float = 24) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._subject())
            .last_update(now - timedelta(hours=1))
            .next_update(now + timedelta(hours=hours))
        )
        for serial, at in self.revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, digest(self.shape)).public_bytes(Encoding.DER)


def key_bits(public: Any) -> bytes:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return bytes(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=not authority, key_cert_sign=authority, crl_sign=authority, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


class Pki:
    """The whole of it: V2G root with operators' authorities, a mobility operator with a root of its own, a car maker,
    and the signer of contract data (CPS)."""

    def __init__(self, shape: str = "15118-2", ocsp_url: str = "", crl_url: str = "") -> None:
        told: dict[str, Any] = {"ocsp_url": ocsp_url, "crl_url": crl_url}
        self.shape = shape
        self.v2g_root = Authority("V2G Root CA", shape, **told)
        self.cpo_sub1 = Authority("CPO Sub1 CA", shape, self.v2g_root, path_length=1, **told)
        self.cpo_sub2 = Authority("CPO Sub2 CA", shape, self.cpo_sub1, path_length=0, **told)
        self.cps_sub = Authority("Prov Sub CA", shape, self.v2g_root, path_length=0, **told)
        self.mo_root = Authority("MO Root CA", shape, domain="MO", **told)
        self.mo_sub1 = Authority("MO Sub1 CA", shape, self.mo_root, domain="MO", path_length=1, **told)
        self.mo_sub2 = Authority("MO Sub2 CA", shape, self.mo_sub1, domain="MO", path_length=0, **told)
        self.oem_root = Authority("OEM Root CA", shape, domain="OEM", **told)
        self.oem_sub = Authority("OEM Sub CA", shape, self.oem_root, domain="OEM", path_length=0, **told)

    @property
    def authorities(self) -> list[Authority]:
        return [
            self.v2g_root, self.cpo_sub1, self.cpo_sub2, self.cps_sub, self.mo_root, self.mo_sub1, self.mo_sub2,
            self.oem_root, self.oem_sub,
        ]  # fmt: skip

    def contract(self, emaid: str, **more: Any) -> Issued:
        """A contract certificate: its common name is the contract id."""
        return self.mo_sub2.issue(emaid, **more)

    def provisioning(self, pcid: str, **more: Any) -> Issued:
        """What the car maker put into the car: its common name is the provisioning certificate id."""
        return self.oem_sub.issue(pcid, domain="OEM", **more)

    def station(self, evse_id: str, **more: Any) -> Issued:
        """A station's certificate towards cars (SECC leaf)."""
        return self.cpo_sub2.issue(evse_id, domain="CPO", **more)

    def signer(self, **more: Any) -> Issued:
        """Who signs contract data for cars (CPS leaf)."""
        return self.cps_sub.issue("Prov Service", domain="CPS", **more)
