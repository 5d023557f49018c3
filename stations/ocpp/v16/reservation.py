"""Reservation profile (5.1, 5.13)."""

from __future__ import annotations

from stations.models import CommandKind
from stations.ocpp import lists, wire
from stations.ocpp.version import Payload, Say
from stations.ocpp.wire import optional, wanted


def _say_reserve(arguments: Payload, command_id: int) -> Payload:
    """Connector 0 is any of the station."""
    return optional(
        connectorId=wire.connector_16(arguments) or 0,
        expiryDate=wire.moment(arguments, "expires_at"),
        idTag=wanted(arguments, "token_uid", str),
        parentIdTag=str(arguments.get("token_group") or "")[:20],
        reservationId=wanted(arguments, "reservation_id", int),
    )


SAYS: dict[str, Say] = {
    CommandKind.RESERVE: Say("ReserveNow", _say_reserve, reports=lists.reserved, cases="5.13"),
    CommandKind.CANCEL_RESERVATION: Say(
        "CancelReservation",
        lambda arguments, command_id: {"reservationId": wanted(arguments, "reservation_id", int)},
        reports=lists.cancelled,
        cases="5.1",
    ),
}
