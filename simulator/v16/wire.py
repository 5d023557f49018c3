"""The 1.6 connection: frames, and the table of answers gathered from the feature profiles."""

from __future__ import annotations

import ocpp.v16
from ocpp.v16.enums import Action

from simulator.v16.core import Core
from simulator.v16.extras import Extras
from simulator.v16.smart import Smart
from simulator.wire import Wire


class Wire16(Core, Smart, Extras, Wire, ocpp.v16.ChargePoint):
    actions = Action
