"""Certificate commands as 1.6 (security whitepaper) and 2.x word them: alike but for the names of the uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stations.neutral import CertificateGone, CertificatesTold, CertificateTaken, CertificateTold
from stations.ocpp.version import Answered, Payload
from stations.ocpp.wire import wanted
from tenants.errors import Invalid

MOST_TOLD = 500  # certificates of one answer: more are left out
ALGORITHMS = ("SHA256", "SHA384", "SHA512")
Encode = Callable[[Payload, int], Payload]


def word(words: Mapping[str, str], use: str) -> str:
    try:
        return words[use]
    except KeyError:
        known = ", ".join(words)
        raise Invalid(fields={"use": f"This version knows {known}, not {use[:30]!r}."}) from None


def install(words: Mapping[str, str]) -> Encode:
    def encode(arguments: Payload, command_id: int) -> Payload:
        return {
            "certificateType": word(words, wanted(arguments, "use", str)),
            "certificate": wanted(arguments, "certificate", str),
        }

    return encode


def taken(answered: Answered) -> list[CertificateTaken]:
    if not answered.accepted:
        return []
    given = answered.arguments
    return [CertificateTaken(answered.station_id, answered.received_at, given["use"], given["certificate"])]


def delete(arguments: Payload, command_id: int) -> Payload:
    algorithm = str(arguments.get("hash_algorithm", "SHA256"))
    if algorithm not in ALGORITHMS:
        raise Invalid(fields={"hash_algorithm": f"Choose one of {', '.join(ALGORITHMS)}."})
    return {
        "certificateHashData": {
            "hashAlgorithm": algorithm,
            "issuerNameHash": wanted(arguments, "issuer_name_hash", str),
            "issuerKeyHash": wanted(arguments, "issuer_key_hash", str),
            "serialNumber": wanted(arguments, "serial_number", str),
        }
    }


def gone(answered: Answered) -> list[CertificateGone]:
    """NotFound says as well that the station does not hold it."""
    if not answered.accepted and answered.response.get("status") != "NotFound":
        return []
    return [
        CertificateGone(
            answered.station_id, answered.received_at, *_hashes(answered.request["certificateHashData"])
        )
    ]


def _hashes(told: Payload) -> tuple[str, str, str, str]:
    return (
        str(told["hashAlgorithm"]),
        str(told["issuerNameHash"]),
        str(told["issuerKeyHash"]),
        str(told["serialNumber"]),
    )


def told_16(words: Mapping[str, str]) -> Callable[[Answered], list[CertificatesTold]]:
    """1.6 lists one use an answer, without naming it."""
    neutral = {wire: use for use, wire in words.items()}

    def told(answered: Answered) -> list[CertificatesTold]:
        use = neutral[answered.request["certificateType"]]
        listed = answered.response.get("certificateHashData") or ()
        found = tuple(CertificateTold(use, *_hashes(entry)) for entry in listed[:MOST_TOLD])
        return _listing(answered, (use,), found)

    return told


def told_2x(words: Mapping[str, str]) -> Callable[[Answered], list[CertificatesTold]]:
    neutral = {wire: use for use, wire in words.items()}

    def told(answered: Answered) -> list[CertificatesTold]:
        asked = tuple(neutral[name] for name in answered.request.get("certificateType", ()))
        listed = answered.response.get("certificateHashDataChain") or ()
        found = tuple(
            CertificateTold(
                neutral[entry["certificateType"]],
                *_hashes(entry["certificateHashData"]),
                tuple(_hashes(child) for child in entry.get("childCertificateHashData", ())[:4]),
            )
            for entry in listed[:MOST_TOLD]
            if entry["certificateType"] in neutral
        )
        return _listing(answered, asked, found)

    return told


def _listing(
    answered: Answered, uses: tuple[str, ...], found: tuple[CertificateTold, ...]
) -> list[CertificatesTold]:
    if answered.response.get("status") not in ("Accepted", "NotFound"):
        return []
    return [CertificatesTold(answered.station_id, answered.received_at, uses, found)]
