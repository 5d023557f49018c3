"""Blocks A and M: the station's own certificate, and the roots that it trusts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stations.models import CertificateUse, CommandKind
from stations.ocpp import certificates
from stations.ocpp.version import Payload, Say
from stations.ocpp.wire import optional, wanted
from tenants.errors import Invalid

USES = {
    CertificateUse.CSMS_ROOT.value: "CSMSRootCertificate",
    CertificateUse.MANUFACTURER_ROOT.value: "ManufacturerRootCertificate",
    CertificateUse.V2G_ROOT.value: "V2GRootCertificate",
    CertificateUse.MO_ROOT.value: "MORootCertificate",
}
CHAIN = {CertificateUse.V2G_CHAIN.value: "V2GCertificateChain"}  # told of, not installed
SIGNED = {"station": "ChargingStationCertificate", "v2g": "V2GCertificate"}


def _read(words: Mapping[str, str]) -> Callable[[Payload, int], Payload]:
    def encode(arguments: Payload, command_id: int) -> Payload:
        named = [certificates.word(words, str(use)) for use in arguments.get("uses") or ()]
        return optional(certificateType=named or None)

    return encode


def send(words: Mapping[str, str]) -> Callable[[Payload, int], Payload]:
    """CertificateSigned (A02, A03). `request_id`, of 2.1, names the CSR that this answers."""

    def encode(arguments: Payload, command_id: int) -> Payload:
        use = str(arguments.get("use", "station"))
        if use not in words:
            raise Invalid(fields={"use": f"Choose one of {', '.join(words)}."})
        return optional(
            certificateChain=wanted(arguments, "chain", str),
            certificateType=words[use],
            requestId=arguments.get("request_id") if "v2g20" in words else None,
        )

    return encode


def says(uses: Mapping[str, str], signed: Mapping[str, str]) -> dict[str, Say]:
    listed = {**uses, **CHAIN}
    return {
        CommandKind.DELETE_CERTIFICATE: Say(
            "DeleteCertificate", certificates.delete, reports=certificates.gone, cases="M04"
        ),
        CommandKind.INSTALL_CERTIFICATE: Say(
            "InstallCertificate", certificates.install(uses), reports=certificates.taken, cases="M05"
        ),
        CommandKind.READ_CERTIFICATES: Say(
            "GetInstalledCertificateIds",
            _read(listed),
            frozenset({"Accepted", "NotFound"}),
            reports=certificates.told_2x(listed),
            cases="M03",
        ),
        CommandKind.SEND_CERTIFICATE: Say("CertificateSigned", send(signed), cases="A02 A03"),
    }


SAYS = says(USES, SIGNED)
