"""Certificates as bytes: read, compared, checked, made. No database here, and no trust in what is read.

X.509 by RFC 5280; the hash data by which OCPP names a certificate are those of an OCSP CertID (RFC 6960 4.1.1).
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tenants.errors import Invalid

MOST_BYTES = 20_000  # of PEM; OCPP carries 10,000
MOST_IN_CHAIN = 6
LEAST_RSA_BITS, MOST_RSA_BITS = 2048, 4096  # A00.FR.309; more bits cost us, not the station
CURVES = ("secp256r1", "secp384r1", "secp521r1")
ALGORITHMS: dict[str, hashes.HashAlgorithm] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
BACKDATE = timedelta(hours=1)  # stations' clocks run behind
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class HashData:
    """OCPP CertificateHashDataType: by whom, by which key and under which number a certificate was issued."""

    algorithm: str  # SHA256 | SHA384 | SHA512
    issuer_name_hash: str  # lower-case hexadecimal
    issuer_key_hash: str
    serial_number: str  # hexadecimal without leading zeros


def chain(text: str, *, field: str = "certificate") -> list[x509.Certificate]:
    """The certificates of a PEM text in their order. Invalid, in words, where one cannot be read."""
    if len(text) > MOST_BYTES:
        raise Invalid(fields={field: "This is longer than any certificate chain that a station takes."})
    blocks = _PEM.findall(text)
    if not blocks:
        raise Invalid(
            fields={field: "Paste a certificate in PEM format, from BEGIN CERTIFICATE to END CERTIFICATE."}
        )
    if len(blocks) > MOST_IN_CHAIN:
        raise Invalid(fields={field: f"A chain of more than {MOST_IN_CHAIN} certificates is not taken."})
    return [_readable(block.encode(), field) for block in blocks]


def one(text: str, *, field: str = "certificate") -> x509.Certificate:
    return chain(text, field=field)[0]


def _readable(pem: bytes, field: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        # Much is parsed only when it is asked for: a malformed name or extension must fail here.
        _ = (
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            certificate.extensions,
        )
        _ = (certificate.not_valid_after_utc, certificate.public_key(), certificate.signature_hash_algorithm)
    except Exception:  # of the many errors that hostile DER causes, some are no ValueError
        raise Invalid(fields={field: "This certificate cannot be read."}) from None
    return certificate


def from_der(der: bytes) -> x509.Certificate:
    return _readable(pem_of_der(der).encode(), "certificate")


def pem_of_der(der: bytes) -> str:
    return ssl.DER_cert_to_PEM_cert(der)


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()[:200]


def common_name(subject: x509.Name) -> str:
    return _attribute(subject, NameOID.COMMON_NAME)


def organisation(subject: x509.Name) -> str:
    return _attribute(subject, NameOID.ORGANIZATION_NAME)


def _attribute(subject: x509.Name, oid: x509.ObjectIdentifier) -> str:
    found = subject.get_attributes_for_oid(oid)
    return str(found[0].value) if len(found) == 1 else ""


def serial(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:x}"


def plain_serial(text: str) -> str:
    """A serial number as stations write it, as `serial` does."""
    return text.strip().lower().removeprefix("0x").lstrip("0")[:64] or "0"


def is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def self_issued(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject and issued_by(certificate, certificate)


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key signed this certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def hash_data(
    certificate: x509.Certificate, issuer: x509.Certificate | None = None, algorithm: str = "SHA256"
) -> HashData:
    """How OCPP names it. `issuer`: None for one that issued itself; without the true issuer the key hash is empty."""
    if issuer is None and certificate.issuer == certificate.subject:
        issuer = certificate
    return HashData(
        algorithm,
        _hashed(algorithm, certificate.issuer.public_bytes()),
        _hashed(algorithm, key_bits(issuer)) if issuer is not None else "",
        serial(certificate),
    )


def _hashed(algorithm: str, data: bytes) -> str:
    digest = hashes.Hash(ALGORITHMS[algorithm])
    digest.update(data)
    return digest.finalize().hex()


def key_bits(certificate: x509.Certificate) -> bytes:
    """The subject's public key without the algorithm before it: the value of the BIT STRING (RFC 6960 4.1.1)."""
    info = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    at = _value_at(info, 0)  # into the outer SEQUENCE
    at = _value_at(info, at) + _length(info, at)  # past the AlgorithmIdentifier
    return info[_value_at(info, at) + 1 :]  # the first byte counts unused bits


def _value_at(data: bytes, at: int) -> int:
    return at + 2 + (data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0)


def _length(data: bytes, at: int) -> int:
    told = data[at + 1]
    return int.from_bytes(data[at + 2 : at + 2 + (told & 0x7F)]) if told & 0x80 else told


def strong(key: object) -> str:
    """What kind of key this is, such as "EC P-256" or "RSA 2048". Invalid for one that is too weak or unknown."""
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        if key.curve.name not in CURVES:
            raise Invalid(f"The key's curve {key.curve.name} is not taken; P-256 is.")
        return f"EC P-{key.curve.key_size}"
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        if not LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
            raise Invalid(
                f"The RSA key has {key.key_size} bits; {LEAST_RSA_BITS} to {MOST_RSA_BITS} are taken."
            )
        return f"RSA {key.key_size}"
    raise Invalid("The key is neither RSA nor of an elliptic curve that is taken.")


# --- requests of stations


@dataclass(frozen=True, slots=True)
class Wish:
    """A certificate signing request that was read, and whose signature is that of its own key."""

    common_name: str
    organisation: str
    key: str  # such as "EC P-256"
    request: x509.CertificateSigningRequest


def wish(csr: str) -> Wish:
    """Read a CSR (PEM, or its base64 alone as some stations send it). Invalid, in words, for what we do not sign."""
    text = csr.strip()
    if len(text) > 5_500:  # OCPP's own limit
        raise Invalid("The request is longer than OCPP allows.")
    if "-----BEGIN" not in text:
        text = f"-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----"
    try:
        request = x509.load_pem_x509_csr(text.encode())
        signed, subject, public = request.is_signature_valid, request.subject, request.public_key()
    except Exception:  # hostile DER fails in many ways
        raise Invalid("The request is no PKCS #10 request that can be read.") from None
    if not signed:
        raise Invalid("The request is not signed by the key that it names.")
    if isinstance(request.signature_hash_algorithm, hashes.SHA1 | hashes.MD5):
        raise Invalid("The request is signed with a hash that is broken.")
    return Wish(common_name(subject), organisation(subject), strong(public), request)


# --- made here


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_text(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def key_of(text: str, password: str = "", *, field: str = "key") -> Key:
    try:
        key = serialization.load_pem_private_key(text.encode(), password.encode() or None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Invalid(
            fields={
                field: "This private key cannot be read. Paste it in PEM format; if it has a password, give that."
            }
        ) from None
    strong(key)
    return cast(Key, key)


def fits(key: Key, certificate: x509.Certificate) -> bool:
    return key.public_key() == certificate.public_key()


def _subject(common_name: str, organisation: str, domain: str = "") -> x509.Name:
    """Lengths by RFC 5280, appendix A.1."""
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])]
    if organisation:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:64]))
    if domain:
        parts.append(x509.NameAttribute(NameOID.DOMAIN_COMPONENT, domain))
    return x509.Name(parts)


def digest(key: Key) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """What this key signs with: P-521 with SHA-512 (ISO 15118-20 annex B), P-384 with SHA-384, others with SHA-256."""
    size = key.curve.key_size if isinstance(key, ec.EllipticCurvePrivateKey) else 0
    if size == 521:
        return hashes.SHA512()
    return hashes.SHA384() if size == 384 else hashes.SHA256()


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=not authority, key_cert_sign=authority, crl_sign=authority, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


def _builder(
    subject: x509.Name, issuer: x509.Name, public: object, until: datetime
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)  # type: ignore[arg-type]
    )


def make_authority(
    *,
    common_name: str,
    organisation: str,
    years: int,
    issuer: tuple[x509.Certificate, Key] | None = None,
    crl_url: str = "",
) -> tuple[x509.Certificate, Key]:
    """A root, or an authority below `issuer`; with its key."""
    key = new_key()
    subject = _subject(common_name, organisation)
    until = datetime.now(UTC) + timedelta(days=365 * years)
    if issuer is not None:
        until = min(until, issuer[0].not_valid_after_utc)
    builder = _builder(subject, issuer[0].subject if issuer else subject, key.public_key(), until)
    builder = builder.add_extension(x509.BasicConstraints(True, 0 if issuer else 1), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    if issuer is not None:
        builder = _points(builder, issuer[0], crl_url)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def _points(
    builder: x509.CertificateBuilder, issuer: x509.Certificate, crl_url: str
) -> x509.CertificateBuilder:
    public: ec.EllipticCurvePublicKey = cast(ec.EllipticCurvePublicKey, issuer.public_key())
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False
    )
    if crl_url:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return builder


def issue(
    *,
    request: x509.CertificateSigningRequest,
    common_name: str,
    organisation: str,
    days: int,
    issuer: tuple[x509.Certificate, Key],
    crl_url: str = "",
    logs_in: bool = True,
    towards_cars: bool = False,
) -> x509.Certificate:
    """A station's certificate: the key is the request's, all else is ours. A00.FR.404, A00.FR.511.

    `logs_in`: here, as a client. `towards_cars`: there the station is the server, and its name tells that it is an
    operator's (ISO 15118-2 annex F: domain component CPO).
    """
    until = min(datetime.now(UTC) + timedelta(days=days), issuer[0].not_valid_after_utc)
    name = _subject(common_name, organisation, "CPO" if towards_cars else "")
    roles = [ExtendedKeyUsageOID.CLIENT_AUTH] * logs_in + [ExtendedKeyUsageOID.SERVER_AUTH] * towards_cars
    builder = _builder(name, issuer[0].subject, request.public_key(), until)
    builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
    builder = builder.add_extension(_key_usage(authority=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(roles), critical=False)
    return _points(builder, issuer[0], crl_url).sign(issuer[1], digest(issuer[1]))


REASONS: dict[str, x509.ReasonFlags] = {
    "unspecified": x509.ReasonFlags.unspecified,
    "key_compromise": x509.ReasonFlags.key_compromise,
    "superseded": x509.ReasonFlags.superseded,
    "cessation": x509.ReasonFlags.cessation_of_operation,
}


def revocation_list(
    *,
    issuer: tuple[x509.Certificate, Key],
    revoked: list[tuple[str, datetime, str]],
    number: int,
    next_days: int = 7,
) -> bytes:
    """DER of the CRL (RFC 5280 5): (serial in hexadecimal, when, a word of REASONS) each."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer[0].subject)
        .last_update(now - timedelta(minutes=5))
        .next_update(now + timedelta(days=next_days))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(
                cast(ec.EllipticCurvePublicKey, issuer[0].public_key())
            ),
            critical=False,
        )
    )
    for serial_number, at, reason in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(int(serial_number, 16)).revocation_date(at)
        if reason in REASONS and reason != "unspecified":  # 5.3.1: unspecified is left out
            entry = entry.add_extension(x509.CRLReason(REASONS[reason]), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer[1], digest(issuer[1])).public_bytes(serialization.Encoding.DER)


def for_clients(certificate: x509.Certificate) -> bool:
    """Whether its extended key usage, if it has one, lets it log in."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage
