"""DataTransfer from stations (1.6 clause 4.3, 2.x P02): which vendors' messages are understood here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stations.ocpp import shared
from stations.ocpp.version import Ask, Asked, Journal, Transfer

# Kept and shown in the station's timeline; that no such vendor is known here is the honest answer.
UNKNOWN_VENDOR = Journal(lambda asked: {"status": "UnknownVendorId"}, shared.vendor_message)
UNKNOWN_MESSAGE = Journal(lambda asked: {"status": "UnknownMessageId"}, shared.vendor_message)


def transfer(vendors: Mapping[str, Callable[[Asked], Journal | Ask]], cases: str) -> Transfer:
    return Transfer(vendors, UNKNOWN_VENDOR, cases)
