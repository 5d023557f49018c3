"""Who may connect: the address a station calls, what it proves, and the slowing down of those who guess.

Security profiles (OCPP 1.6 security whitepaper 2; OCPP 2.0.1 part 2 A00): 1, HTTP Basic, user is the identity; 2, the
same over TLS; 3, TLS with a certificate whose common name is the identity.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from django.conf import settings

from stations.services.connections import FoundStation
from stations.services.signing import Proof
from stations.services.stations import password_hash
from tenants.middleware import client_address

FREE_TRIES = 5  # bad attempts of an address within WINDOW_SECONDS before it is made to wait
WINDOW_SECONDS = 300.0
MOST_DELAY_SECONDS = 10.0
MOST_WAITING = 16  # of one address; more get 429 at once
MOST_ADDRESSES = 20_000
NOBODY = "0" * 64
MOST_CERTIFICATE = 24_000  # characters of a header
# How a TLS proxy hands a client's certificate on: RFC 9440, and what nginx's and others' handbooks use.
CERTIFICATE_HEADERS = (b"client-cert", b"x-client-cert", b"x-ssl-client-cert", b"ssl-client-cert")


def header(scope: dict[str, Any], name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def address(scope: dict[str, Any]) -> tuple[str, str] | None:
    """(tenant slug, identity) of `/ocpp/<tenant>/<identity>`; None where it is no such path.

    Identities are percent-encoded (OCPP-J 1.6 3.1.1). Some stations double the slash before theirs.
    """
    raw = scope.get("raw_path") or scope["path"].encode()
    parts = [part for part in raw.decode("latin-1").partition("?")[0].split("/") if part]
    if len(parts) < 3 or parts[0] != "ocpp":
        return None
    slug = unquote(parts[1], errors="replace")[:50]
    identity = unquote("/".join(parts[2:]), errors="replace")
    if len(identity) > 128 or "\x00" in slug + identity:
        return None
    return slug, identity


def credentials(scope: dict[str, Any]) -> tuple[str, bytes] | None:
    """(user, password) of HTTP Basic; None without or with an unreadable header."""
    scheme, _space, encoded = header(scope, b"authorization").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user.decode("utf-8", "replace"), password) if colon else None


def _spellings(password: bytes) -> list[str]:
    """The password as sent, and as the hexadecimal AuthorizationKey of 1.6 or its bytes: stations do either."""
    text = password.decode("utf-8", "surrogateescape")
    try:
        from_hex = bytes.fromhex(text).decode("utf-8", "surrogateescape")
    except ValueError:
        from_hex = text
    return [text, password.hex(), password.hex().upper(), from_hex]


@dataclass(frozen=True, slots=True)
class Peer:
    """What the transport tells of who is there. `certificate`: DER, proven by a TLS handshake; empty: none shown."""

    tls: bool
    certificate: bytes = b""
    forged: bool = False  # a certificate in a header, from nobody who may set that header


@dataclass(frozen=True, slots=True)
class Entry:
    """Let in, under this security profile."""

    profile: int
    used_next: bool = False  # by the password that is to replace the old one
    certificate_id: int | None = None
    password_hash: str = ""  # of the password that opened


@dataclass(frozen=True, slots=True)
class Refusal:
    """Refused. `type` is one of security_events.AT_THE_DOOR; empty: nothing to note."""

    type: str = ""
    info: str = ""


def peer(scope: dict[str, Any]) -> Peer:
    """TLS that ends here, or at a proxy in front (TRUSTED_PROXIES), whose headers are believed; nobody else's are."""
    shown = [value for key, value in scope["headers"] if key in CERTIFICATE_HEADERS and value.strip()]
    if not is_trusted((scope.get("client") or ("",))[0]):
        return Peer(scope.get("scheme") == "wss", scope.get("client_certificate") or b"", forged=bool(shown))
    if len(shown) > 1:  # one of them is not the proxy's
        return Peer(True, forged=True)
    certificate = header_certificate(shown[0].decode("latin-1")) if shown else b""
    secure = header(scope, b"x-forwarded-proto").strip().lower() in ("https", "wss")
    own = scope.get("scheme") == "wss"
    return Peer(secure or own or bool(shown), certificate or scope.get("client_certificate") or b"")


def header_certificate(text: str) -> bytes:
    """DER of a certificate in a header: RFC 9440 (`:base64:`), or PEM with percent signs (nginx). Unreadable: as it is,
    so that it proves nothing and is refused as what it is."""
    text = text.strip()[:MOST_CERTIFICATE]
    try:
        if text.startswith(":"):
            return base64.b64decode(text.strip(":"), validate=True)
        body = unquote(text).partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
        return base64.b64decode("".join(body.split()), validate=True) or b"unreadable"
    except (binascii.Error, ValueError):
        return b"unreadable"


def decide(
    found: FoundStation | None,
    identity: str,
    given: tuple[str, bytes] | None,
    peer: Peer,
    proof: Proof | None = None,
) -> Entry | Refusal:
    """Whether this opens the station's door, and by which profile. The same work is done whether or not it exists."""
    known = found is not None and found.station_id is not None
    stored = (found.password_hash if found is not None else "") or NOBODY
    coming = (found.next_password_hash if found is not None else "") or NOBODY
    user, password = given if given is not None else ("", b"")
    hashes = [password_hash(spelling) for spelling in _spellings(password[:256])]
    old = True in [hmac.compare_digest(one, stored) for one in hashes]  # all of them, always
    new = True in [hmac.compare_digest(one, coming) for one in hashes]
    same_user = hmac.compare_digest(user.encode(), identity.encode())
    if not known or found is None:
        return Refusal()
    if peer.forged:
        return Refusal(
            "CertificateHeaderForged", "A client certificate in a header of somebody who is no proxy."
        )
    if proof is not None and proof.certificate_id is not None:
        return Entry(3, certificate_id=proof.certificate_id)
    if found.allow_unauthenticated and (given is None or stored == NOBODY):
        return _high_enough(Entry(0), max(found.security_profile, found.highest_profile), least=2)
    if same_user and (old or new):
        entry = Entry(
            2 if peer.tls else 1, used_next=new and not old, password_hash=stored if old else coming
        )
        floor = max(found.security_profile, found.highest_profile)
        if floor == 3 and proof is not None:
            return Refusal("CertificateRefused", proof.reason)
        return _high_enough(entry, floor)
    if proof is not None:
        return Refusal("CertificateRefused", proof.reason)
    return Refusal("WrongPassword", "") if given is not None else Refusal()


def _high_enough(entry: Entry, floor: int, least: int = 0) -> Entry | Refusal:
    """A station that was seen under a profile, or must have it, does not come by a lower one (A05.FR.06)."""
    if entry.profile < floor and floor >= least:
        return Refusal("ProfileTooLow", f"It came by profile {entry.profile} and must come by {floor}.")
    return entry


def is_trusted(direct: str) -> bool:
    """Whether this peer is a proxy of ours."""
    try:
        address = ipaddress.ip_address(direct)
    except ValueError:
        return False
    return any(address in network for network in settings.TRUSTED_PROXIES)


def remote_address(scope: dict[str, Any]) -> str:
    direct = (scope.get("client") or ("",))[0]
    return client_address(direct, header(scope, b"x-forwarded-for"))[:64]


class Throttle:
    """Makes addresses that guess wait longer and longer. Good credentials never wait."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[int, float]] = {}
        self._waiting: dict[str, int] = {}

    def failed(self, remote: str) -> float | None:
        """Seconds to wait before the refusal; None if too many of this address wait already."""
        now = time.monotonic()
        count, since = self._failures.get(remote, (0, now))
        if now - since > WINDOW_SECONDS:
            count, since = 0, now
        if len(self._failures) >= MOST_ADDRESSES:
            self._failures.clear()  # under such an attack remembering is worth less than memory
        self._failures[remote] = (count + 1, since)
        if self._waiting.get(remote, 0) >= MOST_WAITING:
            return None
        return (
            0.0 if count < FREE_TRIES else min(MOST_DELAY_SECONDS, 0.1 * 2.0 ** min(count - FREE_TRIES, 10))
        )

    def enter(self, remote: str) -> None:
        self._waiting[remote] = self._waiting.get(remote, 0) + 1

    def leave(self, remote: str) -> None:
        left = self._waiting.get(remote, 1) - 1
        if left:
            self._waiting[remote] = left
        else:
            self._waiting.pop(remote, None)
