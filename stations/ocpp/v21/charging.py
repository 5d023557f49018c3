"""What 2.1 adds to authorisation and transactions: tariffs, costs and limits in the answers (E16, I07, I12, C17)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fleets.models import TokenKind
from stations.models import CommandKind
from stations.neutral import TransactionAnswer, TransactionEvent
from stations.ocpp import profiles, v201
from stations.ocpp.v21 import tariffs
from stations.ocpp.v201 import charging, display
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional
from stations.services import pricing, priority
from tenants.errors import Invalid

_BATTERY = {
    "Ready": "ready",
    "NotReady": "not_ready",
    "Preconditioning": "preconditioning",
    "Unknown": "unknown",
}


def _event(asked: Asked) -> TransactionEvent:
    told, event = asked.payload, charging.event(asked)
    return replace(
        event,
        circumstances={**event.circumstances, **_circumstances(told)},
        cost=tariffs.reckoned(told.get("costDetails")),
        tariff_id=told["transactionInfo"].get("tariffId", ""),
        limit=tariffs.limit(told["transactionInfo"].get("transactionLimit")),
    )


def _circumstances(told: Payload) -> Payload:
    return optional(
        mode=profiles.MODE_TOLD.get(told["transactionInfo"].get("operationMode", "")),
        battery=_BATTERY.get(told.get("preconditioningStatus", "")),
        asleep=told.get("evseSleep", False),  # left out, it is false: the EVSE has woken up
    )


def _event_recorded(answer: TransactionAnswer, asked: Asked) -> Payload:
    said = charging.event_recorded(answer, asked)
    if answer.limit is not None and answer.limit.any:
        said["transactionLimit"] = tariffs.say_limit(answer.limit)
    return said


def _authorized(answer: Any, asked: Asked) -> Payload:
    said = charging.authorized(answer, asked)
    if answer.tariff:
        try:
            said["tariff"] = tariffs.tariff(answer.tariff)
        except Invalid:
            pass  # what OCPP 2.1 cannot say stands in words beside it
    if answer.bidirectional:  # Q01; left out, the station takes it that cars may only charge
        said["allowedEnergyTransfer"] = list(priority.TRANSFERS)
    return said


def _say_start(arguments: Payload, command_id: int) -> Payload:
    """F01; who paid on the web page is no card (C25)."""
    said = v201.SAYS[CommandKind.START].encode(arguments, command_id)
    if arguments.get("token_kind") == TokenKind.DIRECT_PAYMENT:
        said["idToken"]["type"] = "DirectPayment"
    return said


ANSWERS: dict[str, Journal | Ask] = {
    "Authorize": Ask(
        pricing.authorize,
        charging.authorize_request,
        _authorized,
        cases=f"{v201.ANSWERS['Authorize'].cases} I08 Q01",
        errand=charging.AUTHORIZE_ERRAND,
    ),
    "TransactionEvent": Ask(
        pricing.record_events_with_limits,
        _event,
        _event_recorded,
        cases=f"{v201.ANSWERS['TransactionEvent'].cases} C17 C18 C23 E16 E17 I12 Q11 Q12",
    ),
}

SAYS: dict[str, Say] = {
    CommandKind.START: replace(
        v201.SAYS[CommandKind.START], encode=_say_start, cases=f"{v201.SAYS[CommandKind.START].cases} C24 C25"
    ),
    CommandKind.SHOW_MESSAGE: Say(
        "SetDisplayMessage",
        lambda arguments, command_id: display.say_show(arguments, command_id, extra=True),
        cases="O01 O02 O06",
    ),
}
