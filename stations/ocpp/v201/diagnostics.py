"""Block A04: notices of security; block P: vendor messages."""

from __future__ import annotations

from stations.models import CommandKind
from stations.ocpp import shared
from stations.ocpp.transfers import transfer
from stations.ocpp.version import Ask, Journal, Say, Transfer

ANSWERS: dict[str, Journal | Ask | Transfer] = {
    "DataTransfer": transfer({}, "P02"),
    "SecurityEventNotification": Journal(shared.nothing, shared.security_event, cases="A04"),
}

SAYS: dict[str, Say] = {
    CommandKind.DATA_TRANSFER: Say("DataTransfer", shared.say_transfer, cases="P01"),
}
