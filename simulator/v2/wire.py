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
from simulator.v2.power import Power
from simulator.v2.security import Certificates
from simulator.v2.variables import Variables
from simulator.wire import Wire

# Functional blocks that a simulated station does not have: what it answers, without looking further.
REFUSALS_201: dict[str, dict[str, Any]] = {
    "CustomerInformation": {"status": "Rejected"},
    "GetMonitoringReport": {"status": "EmptyResultSet"},
    "SetMonitoringBase": {"status": "NotSupported"},
    "SetMonitoringLevel": {"status": "Rejected"},
}
REFUSALS_21 = REFUSALS_201 | {}


class Refusing(Wire):
    refusals: dict[str, dict[str, Any]] = {}

    async def _answer_call(self, call: Any) -> None:
        if call.action in self.refusals and call.action not in self.station.rulings:
            self.station.rulings[call.action] = self.refusals[call.action]
        await super()._answer_call(call)


class Wire201(Charge, Driver, Manage, Variables, Certificates, Refusing, ocpp.v201.ChargePoint):
    actions = ocpp.v201.enums.Action
    call_result = ocpp.v201.call_result
    refusals = REFUSALS_201


class Wire21(
    Charge, Driver, Driver21, Manage, Power, Variables, Certificates, Refusing, ocpp.v21.ChargePoint
):
    actions = ocpp.v21.enums.Action
    call_result = ocpp.v21.call_result
    refusals = REFUSALS_21


@dataclass
class NotifyPeriodicEventStream:
    """2.1's only SEND; the `ocpp` package has its schema and no dataclass."""

    id: int
    pending: int
    basetime: str
    data: list[dict[str, Any]]
