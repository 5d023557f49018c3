"""Stored secrets: encrypted under a ring of keys (rotatable) or, where only comparison is needed, hashed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets as random

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


def _ring() -> MultiFernet:
    keys = [key.encode() for key in settings.ENCRYPTION_KEYS]
    if not keys:  # demo and tests only: production refuses to start without keys
        keys = [
            base64.urlsafe_b64encode(
                hashlib.sha256(f"stored secrets {settings.SECRET_KEY}".encode()).digest()
            )
        ]
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(text: str) -> str:
    return _ring().encrypt(text.encode()).decode()


def decrypt(stored: str) -> str:
    return _ring().decrypt(stored.encode()).decode()


def rotated(stored: str) -> str:
    """The same secret under the newest key."""
    return _ring().rotate(stored.encode()).decode()


def new_secret(length: int = 32) -> str:
    """Random text of unreserved URL characters."""
    return random.token_urlsafe(length)[:length]


def fingerprint(secret: str, *, purpose: str) -> str:
    """HMAC-SHA256 of a long random secret under the server's key, hex.

    Enough for machine credentials, which are long and random: a slow hash would cost 0.26 CPU-seconds for
    each of thousands of stations that reconnect at once.
    """
    key = hashlib.sha256(f"{purpose} {settings.SECRET_KEY}".encode()).digest()
    return hmac.new(key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def matches(secret: str, stored: str, *, purpose: str) -> bool:
    """Constant-time comparison of a secret with a stored fingerprint."""
    return hmac.compare_digest(fingerprint(secret, purpose=purpose), stored)
