"""The 2.0.1 and 2.1 connections: frames, and the table of answers gathered from the functional blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ocpp.v21
import ocpp.v21.enums
import ocpp.v201
import ocpp.v201.enums

from simulator.v2.charge import Charge
from simulator.v2.driver import Driver, Driver21
from simulator.v2.manage import Manage
from simulator.v2.monitoring import Monitoring, Streams
from simulator.v2.power import Power
from simulator.v2.security import Certificates
from simulator.v2.variables import Variables
from simulator.wire import Wire


class Wire201(Charge, Driver, Manage, Monitoring, Variables, Certificates, Wire, ocpp.v201.ChargePoint):
    actions = ocpp.v201.enums.Action
    call_result = ocpp.v201.call_result


class Blocks21(Charge, Driver, Driver21, Manage, Monitoring, Streams, Power, Variables, Certificates):
    """All that 2.1 answers."""


class Wire21(Blocks21, Wire, ocpp.v21.ChargePoint):
    actions = ocpp.v21.enums.Action
    call_result = ocpp.v21.call_result


@dataclass
class NotifyPeriodicEventStream:
    """2.1's only SEND; the `ocpp` package has its schema and no dataclass."""

    id: int
    pending: int
    basetime: str
    data: list[dict[str, Any]]
