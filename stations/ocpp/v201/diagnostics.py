"""Blocks A04, L and N01: notices of security, firmware and logs; block P: vendor messages."""

from __future__ import annotations

from stations.models import CommandKind
from stations.ocpp import shared
from stations.ocpp.transfers import transfer
from stations.ocpp.version import Ask, Journal, Say, Transfer

ANSWERS: dict[str, Journal | Ask | Transfer] = {
    "DataTransfer": transfer({}, "P02"),
    "FirmwareStatusNotification": Journal(
        shared.nothing, shared.notice("firmware", "Firmware"), cases="L01 L02"
    ),
    "LogStatusNotification": Journal(shared.nothing, shared.notice("log", "Log"), cases="N01"),
    "SecurityEventNotification": Journal(shared.nothing, shared.security_event, cases="A04"),
}

SAYS: dict[str, Say] = {
    CommandKind.DATA_TRANSFER: Say("DataTransfer", shared.say_transfer, cases="P01"),
}
