"""Certificates for cars (Get15118EVCertificate, M01 and M02): a car's message goes to the provider, its answer back.

What the messages hold is between the car and the provider: neither is read here, kept or logged.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from stations.models import CertificateInstallation
from stations.neutral import CarCertificateAnswer, CarCertificateRequest
from stations.services.pnc import provider, settings
from stations.services.pnc.provider import CarQuestion, ProviderError
from tenants.context import tenant_scope


def fetch(*, tenant_id: int, request: CarCertificateRequest) -> CarCertificateRequest:
    """The request with the provider's answer."""
    began = time.monotonic()
    with tenant_scope(tenant_id):
        own = settings.of(tenant_id)
    error = ""
    try:
        told = provider.of(own).car_certificate(
            CarQuestion(request.schema, request.exi, request.update, request.wanted_chains, request.emaids)
        )
        answer = CarCertificateAnswer(told.accepted, told.exi, told.detail, told.remaining)
        if len(told.exi) > request.most_answer:
            most = request.most_answer
            answer = CarCertificateAnswer(
                False, detail=f"The answer has {len(told.exi)} characters; this OCPP version carries {most}."
            )
    except ProviderError as problem:
        error = str(problem)
        answer = CarCertificateAnswer(False, detail=error)
    took_ms = int((time.monotonic() - began) * 1000)
    with tenant_scope(tenant_id):
        settings.note_call(tenant_id=tenant_id, error=error)
    return replace(request, answer=replace(answer, took_ms=took_ms))


def late(request: CarCertificateRequest) -> CarCertificateRequest:
    return replace(request, answer=CarCertificateAnswer(False, detail="The provider did not answer in time."))


def record(*, tenant_id: int, requests: Sequence[CarCertificateRequest]) -> list[CarCertificateAnswer]:
    """Keep that it was asked and what became of it, and give the answers."""
    answers = [request.answer or CarCertificateAnswer(False) for request in requests]
    CertificateInstallation.objects.bulk_create(
        CertificateInstallation(
            tenant_id=tenant_id, station_id=request.station_id, at=request.received_at, schema=request.schema[:50],
            update=request.update, emaids=[text[:64] for text in request.emaids[:8]],
            wanted_chains=_small(request.wanted_chains), accepted=answer.accepted, detail=answer.detail[:300],
            remaining=_small(answer.remaining), request_characters=len(request.exi),
            response_characters=len(answer.exi), took_ms=answer.took_ms,
        )
        for request, answer in zip(requests, answers, strict=True)
    )  # fmt: skip
    return answers


def _small(number: int | None) -> int | None:
    return number if number is None or 0 <= number < 2**31 else None
