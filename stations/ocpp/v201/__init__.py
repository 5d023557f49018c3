"""OCPP 2.0.1: what we answer and what we say. Clauses refer to part 2 of the specification."""

from __future__ import annotations

from stations.ocpp.v201 import (
    availability,
    certificates,
    charging,
    cost,
    customer,
    diagnostics,
    display,
    local_list,
    monitoring,
    network,
    provisioning,
    reservation,
    smart,
    transactions,
    variables,
)
from stations.ocpp.version import Version, table

ANSWERS = table(
    provisioning.ANSWERS,
    variables.ANSWERS,
    charging.ANSWERS,
    availability.ANSWERS,
    diagnostics.ANSWERS,
    monitoring.ANSWERS,
    customer.ANSWERS,
    reservation.ANSWERS,
    display.ANSWERS,
    smart.ANSWERS,
)
SAYS = table(
    provisioning.SAYS,
    variables.SAYS,
    charging.SAYS,
    transactions.SAYS,
    availability.SAYS,
    certificates.SAYS,
    diagnostics.SAYS,
    monitoring.SAYS,
    customer.SAYS,
    network.SAYS,
    local_list.SAYS,
    reservation.SAYS,
    display.SAYS,
    cost.SAYS,
    smart.SAYS,
)

VERSION = Version("2.0.1", "ocpp2.0.1", ANSWERS, SAYS)
