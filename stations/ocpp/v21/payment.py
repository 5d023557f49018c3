"""Ad-hoc payment (C17 to C25): the payment terminal, VAT numbers, the payment page behind a QR code."""

from __future__ import annotations

from stations.models import CommandKind, SettlementStatus
from stations.neutral import SettlementAnswer, SettlementReport, VatAnswer, VatRequest
from stations.ocpp import wire
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted
from stations.services import settlements, vat

_STATUS = {
    "Settled": SettlementStatus.SETTLED,
    "Canceled": SettlementStatus.CANCELED,
    "Rejected": SettlementStatus.REJECTED,
    "Failed": SettlementStatus.FAILED,
}


def _settlement(asked: Asked) -> SettlementReport:
    told = asked.payload
    return SettlementReport(
        station_id=asked.station_id,
        received_at=asked.received_at,
        psp_ref=told["pspRef"],
        status=_STATUS[told["status"]],
        amount=wire.number(told["settlementAmount"]),
        raw_timestamp=told["settlementTime"],
        transaction_id=told.get("transactionId", ""),
        info=told.get("statusInfo", ""),
        receipt_id=told.get("receiptId", ""),
        receipt_url=told.get("receiptUrl", ""),
        vat_number=told.get("vatNumber", ""),
        vat_company=told.get("vatCompany"),
    )


def _settled(answer: SettlementAnswer, asked: Asked) -> Payload:
    return optional(receiptUrl=answer.receipt_url, receiptId=answer.receipt_id)


def _vat(asked: Asked) -> VatRequest:
    told = asked.payload
    return VatRequest(asked.station_id, asked.received_at, told["vatNumber"], told.get("evseId"))


def _vat_checked(answer: VatAnswer, asked: Asked) -> Payload:
    info = {"reasonCode": answer.reason, "additionalInfo": answer.text[:1024]} if answer.reason else None
    said = optional(evseId=asked.payload.get("evseId"), company=answer.company, statusInfo=info)
    word = "Accepted" if answer.accepted else "Rejected"
    return {"status": word, "vatNumber": asked.payload["vatNumber"][:20], **said}


def _say_web_payment(arguments: Payload, command_id: int) -> Payload:
    return {"evseId": wanted(arguments, "evse", int), "timeout": wanted(arguments, "timeout_seconds", int)}


ANSWERS: dict[str, Journal | Ask] = {
    "NotifySettlement": Ask(settlements.record, _settlement, _settled, cases="C19 C20 C21 C22"),
    "VatNumberValidation": Ask(vat.validate, _vat, _vat_checked, cases="C21"),
}

SAYS: dict[str, Say] = {
    CommandKind.WEB_PAYMENT: Say(
        "NotifyWebPaymentStarted", _say_web_payment, frozenset({""}), status=lambda answer: "", cases="C25"
    ),
}
