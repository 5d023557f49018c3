"""Plug & Charge on 1.6: messages of 2.0.1 inside DataTransfer (OCA note "Using ISO 15118 with OCPP 1.6")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ocpp.charge_point import camel_to_snake_case, snake_to_camel_case

if TYPE_CHECKING:
    from simulator.commands import Then
    from simulator.station import SimulatedStation

PNC = "org.openchargealliance.iso15118pnc"
TRIGGERS = ("SignV2GCertificate",)


def answer(station: SimulatedStation, message: str, data: str, then: Then) -> tuple[str, str | None]:
    """Status of the DataTransfer, and the answer of the message inside."""
    try:
        asked: dict[str, Any] = camel_to_snake_case(json.loads(data))
    except ValueError:
        return "Rejected", None
    told = _answer(station, message, asked, then)
    if told is None:
        return "UnknownMessageId", None
    return "Accepted", json.dumps(snake_to_camel_case(told))


def _answer(
    station: SimulatedStation, message: str, asked: dict[str, Any], then: Then
) -> dict[str, Any] | None:
    security = station.security
    match message:
        case "CertificateSigned":
            use = asked.get("certificate_type", "V2GCertificate")
            return {"status": station.certificate_signed(asked["certificate_chain"], then, use)}
        case "InstallCertificate":
            return {"status": security.install(asked["certificate_type"], asked["certificate"])}
        case "DeleteCertificate":
            return {"status": security.delete(asked["certificate_hash_data"])}
        case "GetInstalledCertificateIds":
            found = [
                {"certificate_type": use, "certificate_hash_data": data}
                for use, data in security.listed(asked.get("certificate_type"))
            ]
            return (
                {"status": "Accepted", "certificate_hash_data_chain": found}
                if found
                else {"status": "NotFound"}
            )
        case "TriggerMessage":
            word = asked["requested_message"]
            return {"status": station.trigger(word, [], then) if word in TRIGGERS else "NotImplemented"}
    return None
