"""How a token's identifier is written."""

from __future__ import annotations

MAX_UID = 255


def normal_uid(text: str) -> str:
    """Upper case, no white space around: identifiers are compared without case (OCPP 1.6 CiString).

    Text that no token can bear (a NUL, a lone surrogate: PostgreSQL stores neither) becomes empty, and
    nothing is stored under the empty identifier.
    """
    uid = text.strip().upper()
    if "\0" in uid or (not uid.isascii() and any("\ud800" <= character <= "\udfff" for character in uid)):
        return ""
    return uid
