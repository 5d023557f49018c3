"""Security whitepaper (edition 3): certificates. Sections A05, M02 to M06; messages 4.1, 4.2, 5.1 to 5.5."""

from __future__ import annotations

from stations.models import CertificateUse, CommandKind
from stations.ocpp import certificates
from stations.ocpp.version import Payload, Say
from stations.ocpp.wire import wanted

USES = {
    CertificateUse.CSMS_ROOT.value: "CentralSystemRootCertificate",
    CertificateUse.MANUFACTURER_ROOT.value: "ManufacturerRootCertificate",
}


def _read(arguments: Payload, command_id: int) -> Payload:
    uses = arguments.get("uses") or [CertificateUse.CSMS_ROOT.value]  # one a message
    return {"certificateType": certificates.word(USES, str(uses[0]))}


SAYS: dict[str, Say] = {
    CommandKind.DELETE_CERTIFICATE: Say(
        "DeleteCertificate", certificates.delete, reports=certificates.gone, cases="A.2 M04"
    ),
    CommandKind.INSTALL_CERTIFICATE: Say(
        "InstallCertificate", certificates.install(USES), reports=certificates.taken, cases="A.2 M05"
    ),
    CommandKind.READ_CERTIFICATES: Say(
        "GetInstalledCertificateIds",
        _read,
        frozenset({"Accepted", "NotFound"}),
        reports=certificates.told_16(USES),
        cases="A.2 M03",
    ),
    CommandKind.SEND_CERTIFICATE: Say(
        "CertificateSigned",
        lambda arguments, command_id: {"certificateChain": wanted(arguments, "chain", str)},
        cases="A.2 A02",
    ),
}
