"""VAT numbers typed in at stations (OCPP 2.1): form and check digits for every country of the EU, then a register.

The register (VIES, for instance) is asked through `CompanyRegister`; `cpo` may plug one in. Without one, a number of
the right form counts as valid, and the answer names no company.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stations.models import VatCheck
from stations.neutral import VatAnswer, VatRequest


@dataclass(frozen=True, slots=True)
class Company:
    name: str
    address: str
    city: str
    country: str
    postal_code: str = ""


class CompanyRegister(Protocol):
    def find(self, *, country: str, number: str) -> Company | None:
        """The company of this number; None: there is none. TimeoutError where nobody can say now."""
        ...


REGISTER: CompanyRegister | None = None

# ISO 3166 (Greece: EL) -> pattern after the country's letters (European Commission, VIES: structure of VAT numbers).
_PATTERNS: dict[str, str] = {
    "AT": r"U\d{8}",
    "BE": r"[01]\d{9}",
    "BG": r"\d{9,10}",
    "CY": r"\d{8}[A-Z]",
    "CZ": r"\d{8,10}",
    "DE": r"[1-9]\d{8}",
    "DK": r"[1-9]\d{7}",
    "EE": r"\d{9}",
    "EL": r"\d{9}",
    "ES": r"[A-Z]\d{7}[A-Z0-9]|\d{8}[A-Z]",
    "FI": r"\d{8}",
    "FR": r"[A-HJ-NP-Z0-9]{2}\d{9}",
    "HR": r"\d{11}",
    "HU": r"\d{8}",
    "IE": r"\d[A-Z0-9+*]\d{5}[A-W][A-I]?",
    "IT": r"\d{11}",
    "LT": r"\d{9}|\d{12}",
    "LU": r"\d{8}",
    "LV": r"\d{11}",
    "MT": r"\d{8}",
    "NL": r"\d{9}B\d{2}",
    "PL": r"\d{10}",
    "PT": r"\d{9}",
    "RO": r"\d{2,10}",
    "SE": r"\d{10}01",
    "SI": r"[1-9]\d{7}",
    "SK": r"[1-9]\d{9}",
    "XI": r"\d{9}|\d{12}",
}


def _digits(text: str) -> list[int]:
    return [int(letter) for letter in text]


def _weighted(text: str, weights: Sequence[int]) -> int:
    return sum(int(letter) * weight for letter, weight in zip(text, weights, strict=False))


def _luhn(text: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(_digits(text))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _iso_7064(text: str) -> bool:
    """ISO 7064 MOD 11,10, of Germany and Croatia."""
    product = 10
    for digit in _digits(text[:-1]):
        total = (digit + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(text[-1])


def _at(text: str) -> bool:
    parts = [int(letter) * (2 if place % 2 else 1) for place, letter in enumerate(text[1:8])]
    total = sum(part // 10 + part % 10 for part in parts)
    return (10 - (total + 4) % 10) % 10 == int(text[8])


def _dk(text: str) -> bool:
    return _weighted(text, (2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _el(text: str) -> bool:
    return _weighted(text, (256, 128, 64, 32, 16, 8, 4, 2)) % 11 % 10 == int(text[8])


def _fi(text: str) -> bool:
    return (11 - _weighted(text, (7, 9, 10, 5, 8, 4, 2)) % 11) % 11 == int(text[7])


def _fr(text: str) -> bool:
    """Keys of two digits can be checked; those with letters are given without a public rule."""
    siren = text[2:]
    return not text[:2].isdigit() or (12 + 3 * (int(siren) % 97)) % 97 == int(text[:2])


def _hu(text: str) -> bool:
    return (10 - _weighted(text, (9, 7, 3, 1, 9, 7, 3)) % 10) % 10 == int(text[7])


def _lu(text: str) -> bool:
    return int(text[:6]) % 89 == int(text[6:])


def _mt(text: str) -> bool:
    return 37 - _weighted(text, (3, 4, 6, 7, 8, 9)) % 37 == int(text[6:])


def _nl(text: str) -> bool:
    """Of companies by modulus 11; since 2020 those of persons by ISO 7064 MOD 97 over all letters."""
    if _weighted(text, (9, 8, 7, 6, 5, 4, 3, 2)) % 11 == int(text[8]):
        return True
    spelled = "".join(str(int(letter, 36)) for letter in f"NL{text}")
    return int(spelled) % 97 == 1


def _pl(text: str) -> bool:
    return _weighted(text, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == int(text[9])


def _pt(text: str) -> bool:
    check = 11 - _weighted(text, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if check > 9 else check) == int(text[8])


def _ro(text: str) -> bool:
    padded = text.zfill(10)
    return _weighted(padded, (7, 5, 3, 2, 1, 7, 5, 3, 2)) * 10 % 11 % 10 == int(padded[9])


def _si(text: str) -> bool:
    check = 11 - _weighted(text, (8, 7, 6, 5, 4, 3, 2)) % 11
    return check < 11 and check % 10 == int(text[7])


def _ee(text: str) -> bool:
    return (10 - _weighted(text, (3, 7, 1, 3, 7, 1, 3, 7)) % 10) % 10 == int(text[8])


_CHECKS: dict[str, Callable[[str], bool]] = {
    "AT": _at,
    "BE": lambda text: 97 - int(text[:8]) % 97 == int(text[8:]),
    "DE": _iso_7064,
    "DK": _dk,
    "EE": _ee,
    "EL": _el,
    "FI": _fi,
    "FR": _fr,
    "HR": _iso_7064,
    "HU": _hu,
    "IT": _luhn,
    "LU": _lu,
    "MT": _mt,
    "NL": _nl,
    "PL": _pl,
    "PT": _pt,
    "RO": _ro,
    "SE": lambda text: _luhn(text[:10]),
    "SI": _si,
    "SK": lambda text: int(text) % 11 == 0,
}


def check(number: str) -> VatAnswer:
    """Whether a VAT number has the form of its country, its check digits included."""
    text = re.sub(r"[\s.\-/]", "", number).upper()
    country, rest = text[:2], text[2:]
    country = "EL" if country == "GR" else country
    pattern = _PATTERNS.get(country)
    if pattern is None:
        return VatAnswer(
            False, "UnknownCountry", "The number does not begin with the letters of an EU country."
        )
    if not re.fullmatch(pattern, rest, re.ASCII):
        return VatAnswer(False, "InvalidFormat", f"Numbers of {country} look different.")
    rule = _CHECKS.get(country)
    if rule is not None and not rule(rest):
        return VatAnswer(False, "InvalidCheckDigit", "A digit of the number is wrong.")
    return _registered(country, rest)


def _registered(country: str, number: str) -> VatAnswer:
    if REGISTER is None:
        return VatAnswer(True)
    try:
        company = REGISTER.find(country=country, number=number)
    except (TimeoutError, OSError):
        return VatAnswer(True, "NotVerified", "The register did not answer; the form is right.")
    if company is None:
        return VatAnswer(False, "NotRegistered", "The register does not know this number.")
    told = {
        "name": company.name[:50],
        "address1": company.address[:100],
        "city": company.city[:100],
        "postalCode": company.postal_code[:20],
        "country": company.country[:50],
    }
    return VatAnswer(
        True, company={name: value for name, value in told.items() if value or name != "postalCode"}
    )


def validate(*, tenant_id: int, requests: Sequence[VatRequest]) -> list[VatAnswer]:
    """Judge the numbers and keep what was said."""
    answers = [check(request.number) for request in requests]
    VatCheck.objects.bulk_create(
        [
            VatCheck(
                tenant_id=tenant_id, station_id=request.station_id, number=request.number[:20], at=request.received_at,
                evse_number=request.evse if request.evse is not None and 0 <= request.evse <= 999 else None,
                accepted=answer.accepted, reason=answer.reason[:20], company=answer.company,
            )
            for request, answer in zip(requests, answers, strict=True)
        ]
    )  # fmt: skip
    return answers
