"""What a station keeps for its security: roots it trusts, its key and certificate, and by which profile it connects."""

from __future__ import annotations

import hashlib
import ssl
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from simulator.station import SimulatedStation

OWN = "ChargingStationCertificate"  # towards the CSMS; the others are shown to cars
ATTEMPTS = 3  # by a new profile, before the old one is taken again
CSMS_ROOTS = ("CentralSystemRootCertificate", "CSMSRootCertificate")
MOST_ROOTS = 20


@dataclass(frozen=True)
class Way:
    """One way to the CSMS."""

    url: str
    profile: int


class Security:
    """Of one station. `trust`: PEM of the roots it left the factory with."""

    def __init__(self, station: SimulatedStation, trust: str = "") -> None:
        self._station = station
        self.roots: list[tuple[str, x509.Certificate]] = [
            ("CSMSRootCertificate", root) for root in _certificates(trust)
        ]
        self.key: ec.EllipticCurvePrivateKey | None = None
        self.chain = ""
        self.for_cars: dict[str, tuple[ec.EllipticCurvePrivateKey, str]] = {}  # use -> key and chain
        self._coming: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.slots: dict[str, Way] = {}
        self.secure_url = ""  # 1.6 knows one address; profiles 2 and 3 begin it with wss
        self._worked: int | None = None  # 1.6: the profile that last worked
        self._failures = 0

    # -- the way to the CSMS

    @property
    def way(self) -> Way:
        """By which to connect now."""
        station = self._station
        first = Way(station.url, 2 if station.url.startswith("wss") else 1)
        if "1.6" in (station.version, *station.versions[:1]):
            profile = max(station.device.number("SecurityProfile"), first.profile)
            secure = self.secure_url or station.url.replace("ws://", "wss://", 1)
            return Way(secure if profile >= 2 else station.url, profile)
        named = station.device.members("OCPPCommCtrlr.NetworkConfigurationPriority")
        known = [way for way in ({"1": first} | self.slots).items() if way[0] in named]
        known.sort(key=lambda one: named.index(one[0]))
        ways = [way for _slot, way in known] or [first]
        return ways[(self._failures // ATTEMPTS) % len(ways)]

    def came_in(self) -> None:
        self._failures = 0
        self._worked = self.way.profile

    def failed(self) -> None:
        """After some attempts back to what worked (A05; 2.x: on to the next slot, B10)."""
        self._failures += 1
        station = self._station
        if station.version == "1.6" and self._failures >= ATTEMPTS and self._worked is not None:
            if self._worked < station.device.number("SecurityProfile"):
                station.device.put("SecurityProfile", str(self._worked))
            self._failures = 0

    def may_rise(self, profile: str) -> bool:
        """Never down; to TLS only with a root, to profile 3 only with a certificate (whitepaper A05)."""
        if not profile.isdigit() or int(profile) < self.way.profile or int(profile) > 3:
            return False
        if int(profile) >= 2 and not self._trusted():
            return False
        return int(profile) < 3 or bool(self.chain)

    def set_slot(self, slot: int, data: dict[str, Any]) -> str:
        if data["security_profile"] < self.way.profile:
            return "Rejected"
        self.slots[str(slot)] = Way(data["ocpp_csms_url"], data["security_profile"])
        return "Accepted"

    def _trusted(self) -> list[x509.Certificate]:
        return [root for use, root in self.roots if use in CSMS_ROOTS]

    def context(self) -> ssl.SSLContext | None:
        """For TLS: the roots, and from profile 3 on the station's own certificate."""
        way = self.way
        if not way.url.startswith("wss"):
            return None
        context = ssl.create_default_context(cadata="".join(_pem(root) for root in self._trusted()) or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if way.profile >= 3 and self.key is not None:
            with tempfile.TemporaryDirectory() as folder:  # the ssl module reads keys from files alone
                both = Path(folder) / "station.pem"
                both.touch(0o600)
                both.write_text(self.chain + _key_pem(self.key))
                context.load_cert_chain(both)
        return context

    # -- its own certificate

    def request(self, use: str = OWN) -> str:
        """A new key, and the CSR for it. The old key counts until the new certificate is there."""
        self._coming[use] = key = ec.generate_private_key(ec.SECP256R1())
        station = self._station
        subject = station.identity if use == OWN else station.device.text("ISO15118Ctrlr.SeccId")
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, subject),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self._station.device.text("CpoName")),
            ]
        )
        made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def signed(self, chain: str, use: str = OWN) -> bool:
        """Take a signed certificate, if it is for the key that was made for it and its chain holds."""
        found, key = _certificates(chain), self._coming.get(use)
        if not found or key is None or found[0].public_key() != key.public_key():
            return False
        for lower, upper in pairwise(found):
            try:
                lower.verify_directly_issued_by(upper)
            except (InvalidSignature, ValueError, TypeError):
                return False
        del self._coming[use]
        if use == OWN:
            self.key, self.chain = key, chain
        else:
            self.for_cars[use] = (key, chain)
        return True

    # -- roots

    def install(self, use: str, text: str) -> str:
        found = _certificates(text)
        if not found:
            return "Rejected"
        if len(self.roots) >= MOST_ROOTS:
            return "Failed"
        if (use, found[0]) not in self.roots:
            self.roots.append((use, found[0]))
        return "Accepted"

    def listed(self, uses: list[str] | None) -> list[tuple[str, dict[str, str]]]:
        found = [(use, hash_data(root)) for use, root in self.roots]
        for _key, chain in self.for_cars.values():
            leaf, *above = _certificates(chain)
            found.append(("V2GCertificateChain", hash_data(leaf, issuer=above[0] if above else leaf)))
        return [(use, data) for use, data in found if not uses or use in uses]

    def delete(self, data: dict[str, str]) -> str:
        """By its hash data, in any of the algorithms."""
        algorithm = data["hash_algorithm"]
        kept = [one for one in self.roots if not _same(hash_data(one[1], algorithm), data)]
        if len(kept) == len(self.roots):
            return "NotFound"
        self.roots = kept
        return "Accepted"


def _same(ours: dict[str, str], told: dict[str, str]) -> bool:
    return all(value.lower() == str(told.get(name, "")).lower() for name, value in ours.items())


def hash_data(
    root: x509.Certificate, algorithm: str = "SHA256", issuer: x509.Certificate | None = None
) -> dict[str, str]:
    """OCPP's CertificateHashDataType (RFC 6960 4.1.1); without an issuer the certificate is its own."""
    digest = getattr(hashlib, algorithm.lower())
    public: Any = (issuer or root).public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        bits = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    else:
        bits = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return {
        "hash_algorithm": algorithm,
        "issuer_name_hash": digest(root.issuer.public_bytes()).hexdigest(),
        "issuer_key_hash": digest(bits).hexdigest(),
        "serial_number": f"{root.serial_number:x}",
    }


def _certificates(text: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode()) if text.strip() else []
    except ValueError:
        return []


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
