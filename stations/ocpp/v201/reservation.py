"""Block H: reservations."""

from __future__ import annotations

from stations.models import CommandKind
from stations.neutral import ReservationTold
from stations.ocpp import lists, shared, wire
from stations.ocpp.version import Ask, Asked, Journal, Payload, Say
from stations.ocpp.wire import optional, wanted

_ENDED = {"Expired": "expired", "Removed": "removed", "NoTransaction": "no_transaction"}
# OCPI's plugs in OCPP's words, where the station has told no word of its own.
_PLUG = {
    "CHADEMO": "cG105",
    "DOMESTIC_F": "sCEE-7-7",
    "IEC_62196_T1": "cType1",
    "IEC_62196_T1_COMBO": "cCCS1",
    "IEC_62196_T2": "sType2",
    "IEC_62196_T2_COMBO": "cCCS2",
    "IEC_62196_T3A": "sType3",
    "IEC_62196_T3C": "sType3",
    "TESLA_S": "cTesla",
}


def _say_reserve(arguments: Payload, command_id: int) -> Payload:
    """One EVSE (H01 S2), any with a plug (H01 S3), or any at all (H01 S1)."""
    plug = arguments.get("plug") or _PLUG.get(str(arguments.get("standard") or ""), "")
    return optional(
        id=wanted(arguments, "reservation_id", int),
        expiryDateTime=wire.moment(arguments, "expires_at"),
        connectorType=plug or ("Unknown" if arguments.get("standard") else None),
        idToken=wire.id_token(wanted(arguments, "token_uid", str), arguments.get("token_kind", "")),
        evseId=arguments.get("evse") if isinstance(arguments.get("evse"), int) else None,
        groupIdToken=wire.group_2x(arguments.get("token_group")),
    )


def _ended(asked: Asked) -> list[ReservationTold]:
    told = asked.payload
    outcome = _ENDED.get(told["reservationUpdateStatus"], "removed")
    return [ReservationTold(asked.station_id, int(told["reservationId"]), outcome, asked.received_at)]


ANSWERS: dict[str, Journal | Ask] = {
    "ReservationStatusUpdate": Journal(shared.nothing, _ended, cases="H02 H04"),
}

SAYS: dict[str, Say] = {
    CommandKind.RESERVE: Say("ReserveNow", _say_reserve, reports=lists.reserved, cases="H01 H03"),
    CommandKind.CANCEL_RESERVATION: Say(
        "CancelReservation",
        lambda arguments, command_id: {"reservationId": wanted(arguments, "reservation_id", int)},
        reports=lists.cancelled,
        cases="H02",
    ),
}
