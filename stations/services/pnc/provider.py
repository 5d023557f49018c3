"""The provider of certificates as this system sees it; one file for each kind, named in KINDS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from stations.models import PlugAndCharge, ProviderKind


class ProviderError(Exception):
    """The provider gave nothing usable; the text says why and is shown."""


@dataclass(frozen=True, slots=True)
class CarQuestion:
    """A car's CertificateInstallationReq or CertificateUpdateReq (EXI, base64), as it came."""

    schema: str  # ISO 15118 namespace
    exi: str
    update: bool = False
    wanted_chains: int | None = None
    emaids: tuple[str, ...] = ()  # which contracts the driver wants first


@dataclass(frozen=True, slots=True)
class CarAnswer:
    """The answer for the car (EXI, base64). Not `accepted`: a refusal in the car's own words."""

    exi: str
    accepted: bool = True
    detail: str = ""
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class OfferedRoot:
    use: str  # CertificateUse
    pem: str
    name: str = ""


class Provider(Protocol):
    """Calls strangers: outside of any transaction, bounded in time. Each raises ProviderError."""

    def car_certificate(self, question: CarQuestion) -> CarAnswer: ...

    def roots(self) -> list[OfferedRoot]: ...

    def sign(self, csr: str, use: str) -> str:
        """The chain (PEM, the station's certificate first, without the root) for a CSR (PEM). `use`: v2g | v2g20."""
        ...


# Kind -> "module.function" that makes the provider of these settings.
KINDS: dict[str, str] = {ProviderKind.OPCP: "stations.services.pnc.opcp.provider"}


def of(settings: PlugAndCharge) -> Provider:
    """The company's provider. ProviderError where none is set."""
    name = KINDS.get(settings.provider)
    if name is None:
        raise ProviderError("No provider of certificates is set up for Plug & Charge.")
    module, _dot, function = name.rpartition(".")
    make = cast(Callable[[PlugAndCharge], Provider], getattr(import_module(module), function))
    return make(settings)
