"""Contract identifiers (eMAID): one number, written in many ways.

ISO 15118-1 / 15118-2 annex H: country (2), provider (3), instance (9) and an optional check character, with hyphens or
without. DIN SPEC 91286: instance (6) and a check digit of its own, which stand in the instance of ISO behind "00".
"""

from __future__ import annotations

import re

_ISO = re.compile(r"([A-Z]{2})-([A-Z0-9]{3})-([A-Z0-9]{9})(?:-?([A-Z0-9]))?")
_PLAIN = re.compile(r"([A-Z]{2}[A-Z0-9]{3}[A-Z0-9]{9})([A-Z0-9])?")
_DIN = re.compile(r"([A-Z]{2})([-*])([A-Z0-9]{3})\2([A-Z0-9]{6})\2([0-9X])")
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Pair = tuple[int, int]
Matrix = tuple[int, int, int, int]


def canonical(text: str) -> str:
    """The 14 characters that a contract is known by here, or "" where the text is no contract identifier.

    A check character is left out where it is right; text without separators whose fifteenth character is no such
    check is something else (the number of a card, say).
    """
    upper = text.strip().upper()
    if found := _ISO.fullmatch(upper):
        plain = "".join(found.group(1, 2, 3))
        check = found.group(4)
        return plain if check is None or check == check_character(plain) else ""
    if found := _DIN.fullmatch(upper):
        return f"{found[1]}{found[3]}00{found[4]}{found[5]}"
    if (found := _PLAIN.fullmatch(upper)) and found[2] in (None, check_character(found[1])):
        return str(found[1])
    return ""


def same(one: str, other: str) -> bool:
    """Whether two texts name the same contract."""
    return canonical(one) != "" and canonical(one) == canonical(other)


def shown(uid: str) -> str:
    """As people read it: DE-ABC-C12345678-X. Text that is no contract identifier stays as it is."""
    plain = canonical(uid)
    return f"{plain[:2]}-{plain[2:5]}-{plain[5:]}-{check_character(plain)}" if plain else uid


def check_character(plain: str) -> str:
    """The check character of 14 letters and digits (ISO 15118-2 annex H.1.2: two sums of powers of matrices)."""
    first: Pair = (0, 0)
    second: Pair = (0, 0)
    power_2: Matrix = (0, 1, 1, 1)
    power_3: Matrix = (0, 1, 1, 2)
    for letter in plain:
        number = _LETTERS.index(letter)
        first = _sum(first, _times((number // 18, number // 9 % 2), power_2), 2)
        second = _sum(second, _times((number // 3 % 3, number % 3), power_3), 3)
        power_2, power_3 = _next(power_2, (0, 1, 1, 1), 2), _next(power_3, (0, 1, 1, 2), 3)
    x, y = (part % 3 for part in _times(second, (0, 2, 2, 1)))
    return _LETTERS[first[0] * 18 + first[1] * 9 + x * 3 + y]


def _times(row: Pair, m: Matrix) -> Pair:
    return row[0] * m[0] + row[1] * m[2], row[0] * m[1] + row[1] * m[3]


def _sum(one: Pair, other: Pair, modulus: int) -> Pair:
    return (one[0] + other[0]) % modulus, (one[1] + other[1]) % modulus


def _next(m: Matrix, by: Matrix, modulus: int) -> Matrix:
    top, bottom = _times((m[0], m[1]), by), _times((m[2], m[3]), by)
    return top[0] % modulus, top[1] % modulus, bottom[0] % modulus, bottom[1] % modulus
