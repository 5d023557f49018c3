"""OCPP 2.0.1: what we answer and what we say. Clauses refer to part 2 of the specification."""

from __future__ import annotations

from stations.ocpp.v201 import (
    availability,
    certificates,
    charging,
    cost,
    diagnostics,
    display,
    local_list,
    provisioning,
    reservation,
    smart,
)
from stations.ocpp.version import Version, table

ANSWERS = table(
    provisioning.ANSWERS,
    charging.ANSWERS,
    availability.ANSWERS,
    certificates.ANSWERS,
    diagnostics.ANSWERS,
    reservation.ANSWERS,
    display.ANSWERS,
    smart.ANSWERS,
)
SAYS = table(
    provisioning.SAYS,
    charging.SAYS,
    availability.SAYS,
    diagnostics.SAYS,
    local_list.SAYS,
    reservation.SAYS,
    certificates.SAYS,
    display.SAYS,
    cost.SAYS,
    smart.SAYS,
)

VERSION = Version("2.0.1", "ocpp2.0.1", ANSWERS, SAYS)
