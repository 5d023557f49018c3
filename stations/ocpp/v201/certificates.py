"""Blocks A and M: the station's own certificate, and the roots that it trusts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stations.models import CertificateUse, CommandKind
from stations.neutral import SignAnswer, SignRequest
from stations.ocpp import certificates
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted
from stations.services import signing
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
    """CertificateSigned (A02, A03). Without a type it is for both connections. `request_id` (2.1) names the CSR."""

    def encode(arguments: Payload, command_id: int) -> Payload:
        use = str(arguments.get("use", "station"))
        if use not in words and use != "both":
            raise Invalid(fields={"use": f"Choose one of {', '.join(words)}, both."})
        return optional(
            certificateChain=wanted(arguments, "chain", str),
            certificateType=words.get(use),
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


def signed(answer: SignAnswer, asked: Asked) -> Payload:
    if answer.accepted:
        return {"status": "Accepted"}
    told = {"reasonCode": answer.code[:20], "additionalInfo": answer.reason[:512]}
    return {"status": "Rejected", "statusInfo": told}


def sign_request(asked: Asked, words: Mapping[str, str] = SIGNED) -> SignRequest:
    told = asked.payload
    number, named = told.get("requestId"), told.get("certificateType", "")
    return SignRequest(
        asked.station_id,
        asked.received_at,
        told["csr"],
        # A02.FR.06: absent means the station's
        use=next((use for use, wire in words.items() if wire == named), "station"),
        request_id=number if isinstance(number, int) and abs(number) < 2**31 else None,
        root_hash=told.get("hashRootCertificate"),
    )


def answers(words: Mapping[str, str]) -> dict[str, Journal | Ask]:
    return {
        "SignCertificate": Ask(
            signing.receive, lambda asked: sign_request(asked, words), signed, cases="A02 A03"
        )
    }


ANSWERS = answers(SIGNED)
SAYS = says(USES, SIGNED)
