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
    firmware,
    local_list,
    monitoring,
    network,
    plug_and_charge,
    provisioning,
    reservation,
    smart,
    transactions,
    trigger,
    variables,
)
from stations.ocpp.version import Version, table

ANSWERS = table(
    provisioning.ANSWERS,
    charging.ANSWERS,
    availability.ANSWERS,
    diagnostics.ANSWERS,
    reservation.ANSWERS,
    display.ANSWERS,
    smart.ANSWERS,
    certificates.ANSWERS,
    plug_and_charge.ANSWERS,
    variables.ANSWERS,
    monitoring.ANSWERS,
    customer.ANSWERS,
    firmware.ANSWERS,
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
    variables.SAYS,
    transactions.SAYS,
    monitoring.SAYS,
    customer.SAYS,
    network.SAYS,
    firmware.SAYS,
    trigger.SAYS,
)

VERSION = Version("2.0.1", "ocpp2.0.1", ANSWERS, SAYS)
