"""Blocks C, E, F and J: authorisation, transactions, remote control, readings."""

from __future__ import annotations

from typing import Any

from fleets.models import Reason
from stations.models import CertificateStatus, CommandKind, wire_number
from stations.neutral import (
    AuthorizeAnswer,
    AuthorizeRequest,
    CertificateHash,
    ContractShown,
    MeterReport,
    TokenShown,
    TransactionAnswer,
    TransactionEvent,
)
from stations.ocpp import profiles, shared, wire
from stations.ocpp.v201 import cost
from stations.ocpp.version import Ask, Asked, Errand, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted
from stations.services import pricing, start_limits
from stations.services.pnc import contracts

KIND = {"Started": "started", "Updated": "updated", "Ended": "ended"}

CHARGING_STATE = {
    "EVConnected": "ev_connected",
    "Charging": "charging",
    "SuspendedEV": "suspended_ev",
    "SuspendedEVSE": "suspended_evse",
    "Idle": "idle",
}


def token_info(answer: Any) -> Payload:
    """IdTokenInfoType (2.28). What follows the status says why it is refused, and how to speak to the driver."""
    status = _FINER.get(answer.reason, wire.VERDICT[answer.verdict])
    info: Payload = {"status": "NoCredit" if getattr(answer, "no_credit", False) else status}
    if answer.group:
        info["groupIdToken"] = wire.group_2x(answer.group)
    if answer.expires_at is not None:
        info["cacheExpiryDateTime"] = wire.stamp(answer.expires_at)
    if answer.priority is not None:
        info["chargingPriority"] = answer.priority
    return info | spoken(answer.language, answer.message)


def spoken(language: str, message: str) -> Payload:
    """What the station is to say to the driver, and in which language (C03.FR.01, C14)."""
    said: Payload = {"language1": language} if language else {}
    if message:
        content = {"format": "UTF8", "content": message[:512]}
        said["personalMessage"] = content | ({"language": language} if language else {})
    return said


_FINER = {Reason.OTHER_SITE.value: "NotAtThisLocation"}  # words that 1.6 has not
_CERTIFICATE = {
    CertificateStatus.ACCEPTED.value: "Accepted",
    CertificateStatus.SIGNATURE_ERROR.value: "SignatureError",
    CertificateStatus.EXPIRED.value: "CertificateExpired",
    CertificateStatus.REVOKED.value: "CertificateRevoked",
    CertificateStatus.NOT_AVAILABLE.value: "NoCertificateAvailable",
    CertificateStatus.CHAIN_ERROR.value: "CertChainError",
    CertificateStatus.CANCELLED.value: "ContractCancelled",
}


def authorize_request(asked: Asked) -> AuthorizeRequest:
    """With a contract (C07): its certificate chain, hash data of it for OCSP, or both."""
    told = asked.payload
    chain, listed = told.get("certificate", ""), told.get("iso15118CertificateHashData", ())
    contract = (
        ContractShown(chain, tuple(certificate_hash(one) for one in listed)) if chain or listed else None
    )
    token = wire.token_2x(told["idToken"])
    return AuthorizeRequest(asked.station_id, token or TokenShown(""), asked.received_at, contract)


def certificate_hash(told: Payload) -> CertificateHash:
    """OCSPRequestDataType, and CertificateHashDataType, which has no address."""
    return CertificateHash(
        told["hashAlgorithm"], told["issuerNameHash"].lower(), told["issuerKeyHash"].lower(), told["serialNumber"],
        told.get("responderURL", ""),
    )  # fmt: skip


def event(asked: Asked) -> TransactionEvent:
    told = asked.payload
    info, evse = told["transactionInfo"], told.get("evse") or {}
    return TransactionEvent(
        station_id=asked.station_id,
        kind=KIND[told["eventType"]],
        transaction_id=info["transactionId"],
        seq_no=told["seqNo"],
        raw_timestamp=told["timestamp"],
        received_at=asked.received_at,
        payload=told,
        trigger=told.get("triggerReason", ""),
        offline=bool(told.get("offline", False)),
        evse=evse.get("id", 0),
        connector=evse.get("connectorId", 0),
        token=wire.token_2x(told.get("idToken")),
        charging_state=CHARGING_STATE.get(info.get("chargingState", ""), ""),
        stopped_reason=info.get("stoppedReason", ""),
        remote_start_id=info.get("remoteStartId"),
        reservation=told.get("reservationId"),
        samples=wire.samples_2x(told.get("meterValue", ())),
        circumstances=_circumstances(told),
    )


def _circumstances(told: Payload) -> dict[str, Any]:
    return {
        name: int(value)  # 32.0 is a whole number as well
        for name, value, most in (
            ("phases", told.get("numberOfPhasesUsed"), 3),
            ("cable_a", told.get("cableMaxCurrent"), 10_000),
            ("charging_s", told["transactionInfo"].get("timeSpentCharging"), 10**9),
        )
        if value is not None and 0 <= value <= most
    }


def event_recorded(answer: TransactionAnswer, asked: Asked) -> Payload:
    """With the cost of a session that has ended, where it is certain already (I03), or its price in words (I06)."""
    return optional(
        idTokenInfo=token_info(answer) if answer.verdict is not None else None,
        totalCost=None if answer.total is None else cost.plain(answer.total),
        updatedPersonalMessage=cost.text(answer.text) if answer.text else None,
    )


def authorized(answer: AuthorizeAnswer, asked: Asked) -> Payload:
    """I01: the price stands in words beside the verdict; C07: what was found of a contract's certificates."""
    return optional(idTokenInfo=token_info(answer), certificateStatus=_CERTIFICATE.get(answer.certificate))


def _meter_values(asked: Asked) -> list[MeterReport]:
    told = asked.payload
    return [
        MeterReport(asked.station_id, told["evseId"], asked.received_at, wire.samples_2x(told["meterValue"]))
    ]


def _say_start(arguments: Payload, command_id: int) -> Payload:
    start_limits.read(
        arguments
    )  # not said here: 2.1 is told with the first event, others are held to it (E16)
    return optional(
        idToken=wire.id_token(wanted(arguments, "token_uid", str), arguments.get("token_kind", "")),
        groupIdToken=wire.group_2x(arguments.get("token_group")),
        remoteStartId=wire_number(command_id),
        evseId=arguments.get("evse"),
        chargingProfile=profiles.of_start(arguments, command_id, profiles.say_201),
    )


def _say_unlock(arguments: Payload, command_id: int) -> Payload:
    return {"evseId": wanted(arguments, "evse", int), "connectorId": arguments.get("connector") or 1}


AUTHORIZE_ERRAND = Errand(contracts.examine, contracts.late, contracts.needed)

ANSWERS: dict[str, Journal | Ask] = {
    "Authorize": Ask(
        pricing.authorize,
        authorize_request,
        authorized,
        cases="C01 C02 C03 C04 C06 C07 C08 C09 C10 C12 C14 C16 C17 I01",
        errand=AUTHORIZE_ERRAND,
    ),
    "MeterValues": Journal(shared.nothing, _meter_values, cases="J01"),
    "TransactionEvent": Ask(
        pricing.record_events,
        event,
        event_recorded,
        cases="C02 C05 C13 C15 H03 E01 E02 E03 E04 E05 E06 E07 E08 E09 E10 E11 E12 E13 E15 I03 I06 J02 J03",
    ),
}

SAYS: dict[str, Say] = {
    CommandKind.CLEAR_CACHE: Say("ClearCache", lambda arguments, command_id: {}, cases="C11"),
    CommandKind.START: Say("RequestStartTransaction", _say_start, cases="F01 F02 F07 K05"),
    CommandKind.STOP: Say(
        "RequestStopTransaction",
        lambda arguments, command_id: {"transactionId": str(wanted(arguments, "transaction_id", (str, int)))},
        cases="F03 F04",
    ),
    CommandKind.UNLOCK: Say("UnlockConnector", _say_unlock, frozenset({"Unlocked"}), cases="F05"),
}
