"""Firmware, log and security notices."""

from __future__ import annotations

from stations.ocpp import shared
from stations.ocpp.version import Ask, Journal

ANSWERS: dict[str, Journal | Ask] = {
    "DiagnosticsStatusNotification": Journal(
        shared.nothing, shared.notice("log", "Diagnostics"), cases="4.4"
    ),
    "FirmwareStatusNotification": Journal(shared.nothing, shared.notice("firmware", "Firmware"), cases="4.5"),
    "LogStatusNotification": Journal(shared.nothing, shared.notice("log", "Log"), cases="A.4"),
    "SecurityEventNotification": Journal(shared.nothing, shared.security_event, cases="A.3"),
    "SignedFirmwareStatusNotification": Journal(
        shared.nothing, shared.notice("firmware", "Firmware"), cases="A.5"
    ),
}
