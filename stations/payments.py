"""Who takes the money behind a QR code: one Protocol, one table. WEB_PAYMENT_PROVIDER chooses."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a payment. `address`: where the driver pays, if anywhere else than here."""

    authorized: bool
    reference: str = ""
    address: str = ""


class Provider(Protocol):
    name: str

    def begin(self, *, key: str, amount: Decimal, currency: str, back: str) -> Taken:
        """Set an amount aside for a charge; `back` is the driver's page at our side."""
        ...


class Trial:
    """Pays without money: for demonstrations and tests."""

    name = "trial"

    def begin(self, *, key: str, amount: Decimal, currency: str, back: str) -> Taken:
        return Taken(authorized=True, reference=f"TRIAL-{key[:12]}")


PROVIDERS: dict[str, Provider] = {"trial": Trial()}


def provider() -> Provider | None:
    """The one that is set up; None: nobody takes money here."""
    return PROVIDERS.get(settings.WEB_PAYMENT_PROVIDER)
