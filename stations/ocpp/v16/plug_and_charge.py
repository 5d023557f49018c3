"""Plug & Charge over DataTransfer: OCA application note "Using ISO 15118 Plug & Charge with OCPP 1.6", version 1.0.

The messages are those of OCPP 2.0.1, written as JSON into `data`. Vendors' identifiers for a message are its name.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from stations.models import SigningUse
from stations.neutral import EventReport, SignRequest
from stations.ocpp import schemas
from stations.ocpp.transfers import UNKNOWN_MESSAGE
from stations.ocpp.v201 import certificates, charging, plug_and_charge
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say
from stations.services import events, signing
from tenants.errors import Invalid

VENDOR = "org.openchargealliance.iso15118pnc"
INNER = "2.0.1"  # whose schemas the messages keep to


def _sign_request(asked: Asked) -> SignRequest:
    """Of this vendor it is for a certificate towards cars, whether it says so or not."""
    return replace(certificates.sign_request(asked), use=SigningUse.V2G.value)


MESSAGES: dict[str, Ask] = {
    "Authorize": charging.ANSWERS["Authorize"],  # type: ignore[dict-item]
    "Get15118EVCertificate": plug_and_charge.ANSWERS["Get15118EVCertificate"],  # type: ignore[dict-item]
    "GetCertificateStatus": plug_and_charge.ANSWERS["GetCertificateStatus"],  # type: ignore[dict-item]
    "SignCertificate": Ask(signing.receive, _sign_request, certificates.signed, cases="A02 A03"),
}


def row(asked: Asked) -> Journal | Ask:
    """The row of 2.0.1 that answers, in the wrapping of 1.6."""
    message = str(asked.payload.get("messageId", "")).strip()
    known = MESSAGES.get(message)
    if known is None:
        return UNKNOWN_MESSAGE
    inner, wrong = _unwrapped(message, asked.payload.get("data"))
    if wrong:
        return _refusal(message, wrong)
    within = replace(asked, payload=inner)
    return replace(
        known,
        request=lambda _asked: known.request(within),
        respond=lambda answer, _asked: {
            "status": "Accepted", "data": orjson.dumps(known.respond(answer, within)).decode(),
        },
        veil=partial(_veiled, known),
    )  # fmt: skip


def _unwrapped(message: str, data: Any) -> tuple[Payload, str]:
    """(payload, "") or ({}, what is wrong)."""
    try:
        inner = json.loads(data) if isinstance(data, str) else None
    except (ValueError, RecursionError):
        inner = None
    if not isinstance(inner, dict):
        return {}, "data: no JSON object"
    if message == "Authorize" and isinstance(inner.get("idToken"), str):
        inner["idToken"] = {"idToken": inner["idToken"], "type": "eMAID"}  # so some stations write it
    violation = schemas.check(INNER, message, inner)
    return (inner, "") if violation is None else ({}, violation[1])


def _veiled(known: Ask, payload: Payload) -> Payload:
    if known.veil is None:
        return payload
    try:
        inner = json.loads(payload.get("data") or "")
    except ValueError:
        return {**payload, "data": "***"}
    return {**payload, "data": json.dumps(known.veil(inner))} if isinstance(inner, dict) else payload


def _refusal(message: str, wrong: str) -> Ask:
    """What cannot be read is refused, and noted without its content: it may hold what a log must not."""

    def note(asked: Asked) -> EventReport:
        return EventReport(
            station_id=asked.station_id, kind="vendor", severity="warning",
            text=f"Plug & Charge message {message} could not be read", raw_timestamp="",
            received_at=asked.received_at, detail={"reason": wrong[:200]},
        )  # fmt: skip

    return Ask(
        record_notes,
        note,
        lambda answer, asked: {"status": "Rejected", "data": wrong[:200]},
        veil=lambda payload: {**payload, "data": "***"} if "vendorId" in payload else payload,
    )


def record_notes(*, tenant_id: int, requests: list[EventReport]) -> list[None]:
    return events.record(tenant_id=tenant_id, reports=requests)


def wrapped(message: str, say: Say, cases: str = "") -> Say:
    """A command of 2.0.1 in the wrapping of 1.6."""

    def encode(arguments: Payload, command_id: int) -> Payload:
        inner = say.encode(arguments, command_id)
        violation = schemas.check(INNER, say.action, inner)
        if violation is not None:
            raise Invalid(violation[1])
        return {"vendorId": VENDOR, "messageId": message, "data": orjson.dumps(inner).decode()}

    def status(answer: Payload) -> str:
        if answer.get("status") != "Accepted":
            return str(answer.get("status", ""))
        return say.status(opened(answer))

    return Say(
        "DataTransfer",
        encode,
        say.accepted,
        status=status,
        reports=None if say.reports is None else lambda answered: _reports(say, answered),
        cases=cases,
    )


def opened(payload: Payload) -> Payload:
    """The message in `data`; empty where there is none."""
    try:
        inner = json.loads(payload.get("data") or "")
    except (ValueError, TypeError, RecursionError):
        return {}
    return inner if isinstance(inner, dict) else {}


def _reports(say: Say, answered: Any) -> list[Any]:
    assert say.reports is not None
    inner = replace(answered, request=opened(answered.request), response=opened(answered.response))
    return say.reports(inner)
