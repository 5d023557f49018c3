"""Block M for cars: contract certificates that they ask for (M01, M02), and certificate status (M06)."""

from __future__ import annotations

from stations.models import RevocationStatus
from stations.neutral import (
    CarCertificateAnswer,
    CarCertificateRequest,
    StatusQuestion,
    StatusRequest,
    StatusTold,
)
from stations.ocpp.v201.charging import certificate_hash
from stations.ocpp.version import Ask, Asked, Errand, Journal, Payload
from stations.ocpp.wire import optional
from stations.services.pnc import installs, statuses

MOST_EXI, MOST_OCSP = 7_500, 5_500  # characters that an answer of 2.0.1 carries
_SEALED = ("exiRequest", "exiResponse")


def veil(payload: Payload) -> Payload:
    """EXI messages hold a car's identity and keys made for it: the log keeps their length alone."""
    return {
        name: f"*** ({len(value)} characters)"
        if name in _SEALED and isinstance(value, str) and value
        else value
        for name, value in payload.items()
    }


def status_info(code: str, text: str, most: int = 512) -> Payload | None:
    """StatusInfoType, where there is something to say."""
    return {"reasonCode": code, "additionalInfo": text[:most]} if text else None


def car_request(asked: Asked, most_exi: int = MOST_EXI) -> CarCertificateRequest:
    told = asked.payload
    return CarCertificateRequest(
        asked.station_id, asked.received_at, told["iso15118SchemaVersion"], told["action"] == "Update",
        told["exiRequest"], most_exi, told.get("maximumContractCertificateChains"),
        tuple(told.get("prioritizedEMAIDs", ())),
    )  # fmt: skip


def car_answer(answer: CarCertificateAnswer, asked: Asked) -> Payload:
    return optional(
        status="Accepted" if answer.accepted else "Failed",
        statusInfo=None if answer.accepted else status_info("NoCertificate", answer.detail),
    ) | {"exiResponse": answer.exi}


def status_request(asked: Asked, most_ocsp: int = MOST_OCSP) -> StatusRequest:
    told = certificate_hash(asked.payload["ocspRequestData"])
    question = StatusQuestion(told, "ocsp", (told.responder_url,))
    return StatusRequest(asked.station_id, asked.received_at, (question,), most_ocsp)


def status_answer(answers: tuple[StatusTold, ...], asked: Asked) -> Payload:
    """M06.FR.06: the responder's answer as it came, whatever it says of the certificate; else Failed."""
    told = answers[0]
    if told.response and told.status != RevocationStatus.FAILED:
        return {"status": "Accepted", "ocspResult": told.response}
    return optional(status="Failed", statusInfo=status_info("NoStatus", told.detail))


CAR_ERRAND = Errand(installs.fetch, installs.late)
STATUS_ERRAND = Errand(statuses.fetch, statuses.late)

ANSWERS: dict[str, Journal | Ask] = {
    "Get15118EVCertificate": Ask(
        installs.record, car_request, car_answer, cases="M01 M02", errand=CAR_ERRAND, veil=veil
    ),
    "GetCertificateStatus": Ask(
        statuses.record, status_request, status_answer, cases="M06", errand=STATUS_ERRAND
    ),
}
