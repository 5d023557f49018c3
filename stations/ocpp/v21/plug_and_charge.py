"""Block M for cars: 2.1 carries more, tells how many contracts are left, and asks for the status of whole chains."""

from __future__ import annotations

from datetime import timedelta

from stations.models import RevocationStatus
from stations.neutral import (
    CarCertificateAnswer,
    CarCertificateRequest,
    StatusQuestion,
    StatusRequest,
    StatusTold,
)
from stations.ocpp import wire
from stations.ocpp.v201 import plug_and_charge
from stations.ocpp.v201.charging import certificate_hash
from stations.ocpp.version import Ask, Asked, Journal, Payload
from stations.ocpp.wire import optional
from stations.services.pnc import installs, statuses

MOST_EXI, MOST_OCSP = 17_000, 18_000
SOON = timedelta(minutes=10)  # when to ask again where no responder said
_STATUS = {
    RevocationStatus.GOOD.value: "Good",
    RevocationStatus.REVOKED.value: "Revoked",
    RevocationStatus.UNKNOWN.value: "Unknown",
    RevocationStatus.FAILED.value: "Failed",
}


def _car_request(asked: Asked) -> CarCertificateRequest:
    return plug_and_charge.car_request(asked, MOST_EXI)


def _car_answer(answer: CarCertificateAnswer, asked: Asked) -> Payload:
    told = plug_and_charge.car_answer(answer, asked)
    return told | optional(remainingContracts=answer.remaining if answer.accepted else None)


def _chain_request(asked: Asked) -> StatusRequest:
    questions = tuple(
        StatusQuestion(
            certificate_hash(one["certificateHashData"]), one["source"].lower(), tuple(one["urls"])
        )
        for one in asked.payload["certificateStatusRequests"]
    )
    return StatusRequest(asked.station_id, asked.received_at, questions)


def _chain_answer(answers: tuple[StatusTold, ...], asked: Asked) -> Payload:
    """In the order asked, each with the hash data as they came."""
    requests = asked.payload["certificateStatusRequests"]
    return {
        "certificateStatus": [
            {
                "certificateHashData": request["certificateHashData"],
                "source": request["source"],
                "status": _STATUS[told.status],
                "nextUpdate": wire.stamp(told.next_update or asked.received_at + SOON),
            }
            for request, told in zip(requests, answers, strict=True)
        ]
    }


ANSWERS: dict[str, Journal | Ask] = {
    "Get15118EVCertificate": Ask(
        installs.record, _car_request, _car_answer, cases="M01 M02", errand=plug_and_charge.CAR_ERRAND,
        veil=plug_and_charge.veil,
    ),
    "GetCertificateChainStatus": Ask(
        statuses.record, _chain_request, _chain_answer, cases="M07", errand=plug_and_charge.STATUS_ERRAND
    ),
    "GetCertificateStatus": Ask(
        statuses.record,
        lambda asked: plug_and_charge.status_request(asked, MOST_OCSP),
        plug_and_charge.status_answer,
        cases="M06",
        errand=plug_and_charge.STATUS_ERRAND,
    ),
}  # fmt: skip
