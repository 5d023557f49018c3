"""Certificates as bytes: read, compared, checked, made. No database here, and no trust in what is read.

X.509 by RFC 5280; the hash data by which OCPP names a certificate are those of an OCSP CertID (RFC 6960 4.1.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

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
    import ssl

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
        _hashed(algorithm, _key_bits(issuer)) if issuer is not None else "",
        serial(certificate),
    )


def _hashed(algorithm: str, data: bytes) -> str:
    digest = hashes.Hash(ALGORITHMS[algorithm])
    digest.update(data)
    return digest.finalize().hex()


def _key_bits(certificate: x509.Certificate) -> bytes:
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
