"""Block I: what the driver is told of the cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from stations.models import CommandKind
from stations.ocpp.version import Payload, Say
from stations.ocpp.wire import number, optional, wanted
from tenants.errors import Invalid


def amount(arguments: Payload, name: str) -> float | int:
    """Money as a JSON number: whole where it is whole."""
    value = number(wanted(arguments, name, (str, int, float)))
    if value is None:
        raise Invalid(fields={name: "Write an amount, such as 12.34."})
    return plain(value)


def plain(value: Decimal) -> float | int:
    return int(value) if value == value.to_integral_value() else float(value)


def _say_cost(arguments: Payload, command_id: int) -> Payload:
    """CostUpdated (I02, I03). The currency is the station's own."""
    return {
        "totalCost": amount(arguments, "total"),
        "transactionId": str(wanted(arguments, "transaction_id", (str, int))),
    }


def text(words: str, language: str = "") -> dict[str, Any]:
    """MessageContentType."""
    return optional(format="UTF8", language=language) | {"content": words[:512]}


SAYS: dict[str, Say] = {
    CommandKind.TELL_COST: Say(
        "CostUpdated", _say_cost, frozenset({""}), status=lambda answer: "", cases="I02 I03"
    ),
}
