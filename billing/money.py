"""Amounts: exact while they are summed, rounded half up once."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

# ISO 4217 currencies whose minor unit is not a hundredth.
_MINOR_DIGITS = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def minor_digits(currency: str) -> int:
    return _MINOR_DIGITS.get(currency, 2)


def half_up(amount: Fraction | Decimal, digits: int) -> Decimal:
    """Rounded to `digits` decimals, halves away from zero. Exact: thirds of an hour lose nothing on the way."""
    exact = Fraction(amount)
    scaled = abs(exact) * 10**digits
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole if exact >= 0 else -whole).scaleb(-digits)
