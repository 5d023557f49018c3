"""How a token's identifier is written."""

from __future__ import annotations

import re

from fleets import emaid

MAX_UID = 255
VEHICLE_PREFIX = "VID:"  # 1.6 Autocharge: the idTag is this and the car's MAC address
_MAC = re.compile(
    r"(?:VID:)?([0-9A-F]{2})([:-]?)([0-9A-F]{2})\2([0-9A-F]{2})\2([0-9A-F]{2})\2([0-9A-F]{2})\2([0-9A-F]{2})"
)


def normal_uid(text: str) -> str:
    """Upper case, no white space around: identifiers are compared without case (OCPP 1.6 CiString).

    A contract identifier is its 14 characters (`fleets.emaid`), a MAC address its 12 hexadecimal digits, however they
    were written. Text that no token can bear (a NUL, a lone surrogate: PostgreSQL stores neither) becomes empty, and
    nothing is stored under the empty identifier.
    """
    uid = text.strip().upper()
    if "\0" in uid or (not uid.isascii() and any("\ud800" <= character <= "\udfff" for character in uid)):
        return ""
    if 14 <= len(uid) <= 18 and (contract := emaid.canonical(uid)):
        return contract
    if 12 <= len(uid) <= 21 and (mac := _MAC.fullmatch(uid)):
        return "".join(mac.group(1, 3, 4, 5, 6, 7))
    return uid
