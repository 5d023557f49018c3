"""OCPP 1.6J: what we answer and what we say. Clauses refer to the OCPP 1.6 edition 2 specification."""

from __future__ import annotations

from stations.ocpp.v16 import (
    charging,
    configuration,
    core,
    cost,
    diagnostics,
    firmware,
    local_list,
    reservation,
    security,
    smart,
    trigger,
)
from stations.ocpp.version import Version, table

VERSION = Version(
    "1.6",
    "ocpp1.6",
    answers=table(core.ANSWERS, charging.ANSWERS, diagnostics.ANSWERS, security.ANSWERS, firmware.ANSWERS),
    says=table(
        core.SAYS,
        charging.SAYS,
        configuration.SAYS,
        trigger.SAYS,
        local_list.SAYS,
        reservation.SAYS,
        security.SAYS,
        cost.SAYS,
        smart.SAYS,
        firmware.SAYS,
    ),
    errors_unreadable=False,
)
