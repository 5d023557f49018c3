"""Who may connect: the address a station calls, its credentials, and the slowing down of those who guess.

Security profile 1 (OCPP 1.6 security whitepaper 4.1; OCPP 2.0.1 part 2 A00): HTTP Basic, user is the identity.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from typing import Any
from urllib.parse import unquote

from stations.services.connections import FoundStation
from stations.services.stations import password_hash
from tenants.middleware import client_address

FREE_TRIES = 5  # bad attempts of an address within WINDOW_SECONDS before it is made to wait
WINDOW_SECONDS = 300.0
MOST_DELAY_SECONDS = 10.0
MOST_WAITING = 16  # of one address; more get 429 at once
MOST_ADDRESSES = 20_000
NOBODY = "0" * 64


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


def admits(found: FoundStation | None, identity: str, given: tuple[str, bytes] | None) -> bool:
    """Whether these credentials open this station's door. The same work is done whether or not it exists."""
    known = found is not None and found.station_id is not None
    stored = found.password_hash if found is not None and found.password_hash else NOBODY
    user, password = given if given is not None else ("", b"")
    hits = [hmac.compare_digest(password_hash(spelling), stored) for spelling in _spellings(password[:256])]
    same_user = hmac.compare_digest(user.encode(), identity.encode())
    if given is None:
        return known and found is not None and found.allow_unauthenticated
    if known and found is not None and found.allow_unauthenticated and stored == NOBODY:
        return True
    return known and same_user and any(hits)


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
