"""Security whitepaper (edition 3): certificates. Sections A05, M02 to M06; messages 4.1, 4.2, 5.1 to 5.5."""

from __future__ import annotations

from collections.abc import Callable

from stations.models import CertificateUse, CommandKind
from stations.neutral import SignRequest
from stations.ocpp import certificates
from stations.ocpp.v16 import plug_and_charge
from stations.ocpp.v201 import certificates as certificates_201
from stations.ocpp.version import Ask, Journal, Payload, Say
from stations.ocpp.wire import wanted
from stations.services import signing

USES = {
    CertificateUse.CSMS_ROOT.value: "CentralSystemRootCertificate",
    CertificateUse.MANUFACTURER_ROOT.value: "ManufacturerRootCertificate",
}


def _read(arguments: Payload, command_id: int) -> Payload:
    uses = arguments.get("uses") or [CertificateUse.CSMS_ROOT.value]  # one a message
    return {"certificateType": certificates.word(USES, str(uses[0]))}


ANSWERS: dict[str, Journal | Ask] = {
    "SignCertificate": Ask(
        signing.receive,
        lambda asked: SignRequest(asked.station_id, asked.received_at, asked.payload["csr"]),
        lambda answer, asked: {"status": "Accepted" if answer.accepted else "Rejected"},
        cases="A.2 A02 A03",
    ),
}
# What the whitepaper has no word for goes as in 2.0.1, wrapped for Plug & Charge.
_PNC = {
    kind: plug_and_charge.wrapped(certificates_201.SAYS[kind].action, certificates_201.SAYS[kind])
    for kind in (
        CommandKind.DELETE_CERTIFICATE,
        CommandKind.INSTALL_CERTIFICATE,
        CommandKind.READ_CERTIFICATES,
        CommandKind.SEND_CERTIFICATE,
    )
}
_PNC_USES = {"v2g", CertificateUse.V2G_ROOT, CertificateUse.MO_ROOT, CertificateUse.V2G_CHAIN}


def _wrapped(kind: str) -> Callable[[Payload], Say | None]:
    """Wrapped where the arguments name a use of Plug & Charge."""

    def choose(arguments: Payload) -> Say | None:
        uses = arguments.get("uses")
        named = [*(uses if isinstance(uses, list) else ()), arguments.get("use", "")]
        return _PNC[CommandKind(kind)] if any(use in _PNC_USES for use in named) else None

    return choose


SAYS: dict[str, Say] = {
    CommandKind.DELETE_CERTIFICATE: Say(
        "DeleteCertificate",
        certificates.delete,
        reports=certificates.gone,
        cases="A.2 M04",
        instead=_wrapped(CommandKind.DELETE_CERTIFICATE),
    ),
    CommandKind.INSTALL_CERTIFICATE: Say(
        "InstallCertificate",
        certificates.install(USES),
        reports=certificates.taken,
        cases="A.2 M05",
        instead=_wrapped(CommandKind.INSTALL_CERTIFICATE),
    ),
    CommandKind.READ_CERTIFICATES: Say(
        "GetInstalledCertificateIds",
        _read,
        frozenset({"Accepted", "NotFound"}),
        reports=certificates.told_16(USES),
        cases="A.2 M03",
        instead=_wrapped(CommandKind.READ_CERTIFICATES),
    ),
    CommandKind.SEND_CERTIFICATE: Say(
        "CertificateSigned",
        lambda arguments, command_id: {"certificateChain": wanted(arguments, "chain", str)},
        cases="A.2 A02",
        instead=_wrapped(CommandKind.SEND_CERTIFICATE),
    ),
}
