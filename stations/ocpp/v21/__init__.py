"""OCPP 2.1: 2.0.1 and what it adds. Rows of the same name take the place of 2.0.1's. Clauses refer to part 2."""

from __future__ import annotations

from stations.ocpp import v201
from stations.ocpp.v21 import (
    battery,
    certificates,
    charging,
    der,
    monitoring,
    network,
    payment,
    plug_and_charge,
    provisioning,
    smart,
    streams,
    tariffs,
)
from stations.ocpp.version import Version, table

VERSION = Version(
    "2.1",
    "ocpp2.1",
    answers=v201.ANSWERS
    | table(
        der.ANSWERS,
        smart.ANSWERS,
        charging.ANSWERS,
        payment.ANSWERS,
        battery.ANSWERS,
        certificates.ANSWERS,
        plug_and_charge.ANSWERS,
        streams.ANSWERS,
    ),
    says=v201.SAYS
    | table(
        der.SAYS,
        smart.SAYS,
        certificates.SAYS,
        charging.SAYS,
        tariffs.SAYS,
        payment.SAYS,
        battery.SAYS,
        monitoring.SAYS,
        network.SAYS,
        provisioning.SAYS,
        streams.SAYS,
    ),
    sends=table(streams.SENDS),
)
