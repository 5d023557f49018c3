"""Block E: whether a transaction still runs (E14)."""

from __future__ import annotations

from stations.models import CommandKind
from stations.neutral import TransactionStatusTold
from stations.ocpp.version import Answered, Payload, Say
from stations.ocpp.wire import optional


def _say(arguments: Payload, command_id: int) -> Payload:
    return optional(transactionId=str(arguments.get("transaction_id") or ""))


def _told(answered: Answered) -> list[TransactionStatusTold]:
    told = answered.response
    return [
        TransactionStatusTold(
            answered.station_id, answered.command_id, answered.received_at, answered.request.get("transactionId", ""),
            told.get("ongoingIndicator"), bool(told.get("messagesInQueue", False)),
        )
    ]  # fmt: skip


SAYS: dict[str, Say] = {
    CommandKind.TRANSACTION_STATUS: Say(
        "GetTransactionStatus", _say, frozenset({""}), status=lambda answer: "", reports=_told, cases="E14"
    ),
}
