"""Security notices."""

from __future__ import annotations

from stations.ocpp import shared
from stations.ocpp.version import Ask, Journal

ANSWERS: dict[str, Journal | Ask] = {
    "SecurityEventNotification": Journal(shared.nothing, shared.security_event, cases="A.3"),
}
