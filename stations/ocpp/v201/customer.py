"""Block N: what a station keeps of a customer, told in parts and deleted (N09, N10)."""

from __future__ import annotations

from typing import Any

from fleets.models import TokenKind
from stations.models import CommandKind, wire_number
from stations.neutral import CustomerPart
from stations.ocpp import shared, wire
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional
from stations.services import customers
from tenants.errors import Invalid

_HASH = ("algorithm", "issuer_name_hash", "issuer_key_hash", "serial_number")


def _part(asked: Asked) -> CustomerPart:
    told = asked.payload
    return CustomerPart(
        asked.station_id, asked.received_at, wire.whole(told["requestId"]), wire.whole(told["seqNo"]),
        bool(told.get("tbc", False)), told["data"],
    )  # fmt: skip


def _say(arguments: Payload, command_id: int) -> Payload:
    """N09.FR.01: exactly one of token, identifier and certificate names the customer."""
    uid, identifier = arguments.get("token_uid"), arguments.get("customer_identifier")
    certificate = arguments.get("certificate")
    if sum(map(bool, (uid, identifier, certificate))) != 1:
        raise Invalid(
            fields={
                "token_uid": "Name the customer by one of token, identifier and certificate, not by more."
            }
        )
    report, clear = bool(arguments.get("report", True)), bool(arguments.get("clear", False))
    if not report and not clear:
        raise Invalid(fields={"report": "Ask for a report, for deletion, or for both."})
    token: Any = None
    if uid:
        kind = wire.TOKEN_TYPE.get(arguments.get("token_kind") or TokenKind.CENTRAL, "Central")
        token = {"idToken": str(uid), "type": kind}
    return optional(
        idToken=token,
        customerIdentifier=identifier,
        customerCertificate=_certificate(certificate) if certificate else None,
    ) | {"requestId": wire_number(command_id), "report": report, "clear": clear}


def _certificate(told: Any) -> Payload:
    if not isinstance(told, dict) or not all(told.get(name) for name in _HASH):
        raise Invalid(fields={"certificate": f"Needs {', '.join(_HASH)}."})
    return {
        "hashAlgorithm": told["algorithm"],
        "issuerNameHash": told["issuer_name_hash"],
        "issuerKeyHash": told["issuer_key_hash"],
        "serialNumber": told["serial_number"],
    }


def _veil(payload: Payload) -> Payload:
    return {name: "***" if name == "data" else value for name, value in payload.items()}


ANSWERS: dict[str, Journal | Ask] = {
    # Asked, not journalled: what it carries must not stay in the log of frames.
    "NotifyCustomerInformation": Ask(
        customers.receive,
        _part,
        lambda answer, asked: shared.nothing(asked),
        cases="N09 N10",
        veil=_veil,
    )
}

SAYS: dict[str, Say] = {
    CommandKind.CUSTOMER_INFORMATION: Say("CustomerInformation", _say, cases="N09 N10"),
}
