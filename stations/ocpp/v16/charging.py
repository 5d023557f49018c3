"""Core profile: authorisation, transactions and readings."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from stations.models import CommandKind
from stations.neutral import (
    AuthorizeRequest,
    MeterReport,
    StartAnswer,
    StartRequest,
    StopAnswer,
    StopRequest,
)
from stations.ocpp import profiles, shared, wire
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted
from stations.services import pricing, sessions, start_limits
from tenants.errors import Invalid


def _tag_info(answer: Any) -> Payload:
    """IdTagInfo (7.27)."""
    no_credit = getattr(answer, "no_credit", False)
    info: Payload = {"status": "Blocked" if no_credit else wire.VERDICT[answer.verdict]}
    if answer.group:
        info["parentIdTag"] = answer.group[:20]
    if answer.expires_at is not None:
        info["expiryDate"] = wire.stamp(answer.expires_at)
    return info


def _meter(told: Any) -> Decimal:
    """As told, however absurd: what no meter can show is not 0 Wh, and the verb flags it."""
    try:
        return Decimal(str(told))
    except (InvalidOperation, ValueError):
        return Decimal("NaN")


def _start(asked: Asked) -> StartRequest:
    told = asked.payload
    return StartRequest(
        station_id=asked.station_id,
        connector=told["connectorId"],
        token=wire.token_16(told["idTag"]),
        meter_start_wh=_meter(told["meterStart"]),
        raw_timestamp=told["timestamp"],
        received_at=asked.received_at,
        payload=told,
        reservation=told.get("reservationId"),
    )


def _started(answer: StartAnswer, asked: Asked) -> Payload:
    return {"transactionId": answer.transaction_number, "idTagInfo": _tag_info(answer)}


def _stop(asked: Asked) -> StopRequest:
    told = asked.payload
    return StopRequest(
        station_id=asked.station_id,
        transaction_number=told["transactionId"],
        meter_stop_wh=_meter(told["meterStop"]),
        raw_timestamp=told["timestamp"],
        received_at=asked.received_at,
        payload=told,
        token=wire.token_16(told["idTag"]) if told.get("idTag") else None,
        reason=told.get("reason", "Local"),  # 6.49: absent means Local
        samples=wire.samples_16(told.get("transactionData", ())),
        reason_told="reason" in told,
    )


def _stopped(answer: StopAnswer, asked: Asked) -> Payload:
    return {"idTagInfo": _tag_info(answer)} if answer.verdict is not None else {}


def _meter_values(asked: Asked) -> list[MeterReport]:
    told = asked.payload
    return [
        MeterReport(
            station_id=asked.station_id,
            evse=told["connectorId"],
            received_at=asked.received_at,
            samples=wire.samples_16(told["meterValue"]),
            transaction_number=told.get("transactionId"),
        )
    ]


def _say_start(arguments: Payload, command_id: int) -> Payload:
    start_limits.read(arguments)  # not said: the session is held to it from here
    return optional(
        connectorId=wire.connector_16(arguments),
        idTag=wanted(arguments, "token_uid", str),
        chargingProfile=profiles.of_start(arguments, command_id, profiles.say_16),
    )


def transaction_number(arguments: Payload) -> int:
    """The `transaction_id` of a command as 1.6 knows it. Invalid where it is no whole number."""
    text = str(wanted(arguments, "transaction_id", (str, int)))
    if not text.removeprefix("-").isdecimal():
        raise Invalid(fields={"transaction_id": "OCPP 1.6 knows transactions by a whole number."})
    return int(text)


def _say_stop(arguments: Payload, command_id: int) -> Payload:
    return {"transactionId": transaction_number(arguments)}


def _say_unlock(arguments: Payload, command_id: int) -> Payload:
    connector = wire.connector_16(arguments)
    if connector is None:
        raise Invalid(fields={"evse": "Say which connector to unlock."})
    return {"connectorId": connector}


ANSWERS: dict[str, Journal | Ask] = {
    "Authorize": Ask(
        pricing.authorize,
        lambda asked: AuthorizeRequest(
            asked.station_id, wire.token_16(asked.payload["idTag"]), asked.received_at
        ),
        lambda answer, asked: {"idTagInfo": _tag_info(answer)},
        cases="4.1",
    ),
    "MeterValues": Journal(shared.nothing, _meter_values, cases="4.7"),
    "StartTransaction": Ask(sessions.start, _start, _started, cases="4.8"),
    "StopTransaction": Ask(sessions.stop, _stop, _stopped, cases="4.10"),
}

SAYS: dict[str, Say] = {
    CommandKind.START: Say("RemoteStartTransaction", _say_start, cases="5.11"),
    CommandKind.STOP: Say("RemoteStopTransaction", _say_stop, cases="5.12"),
    CommandKind.UNLOCK: Say("UnlockConnector", _say_unlock, frozenset({"Unlocked"}), cases="5.18"),
}
