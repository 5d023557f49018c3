from energy.models.metering import MeterKind, MeterSample, MeterSource, SiteMeter, SiteMinute
from energy.models.steering import Steering
from energy.models.tree import (
    GridConnection,
    GridNode,
    LimitOrigin,
    LimitWindow,
    NodeKind,
    Outlet,
    SupplyKind,
)
from energy.models.whatif import WhatIf, WhatIfState

__all__ = [
    "GridConnection",
    "GridNode",
    "LimitOrigin",
    "LimitWindow",
    "MeterKind",
    "MeterSample",
    "MeterSource",
    "NodeKind",
    "Outlet",
    "SiteMeter",
    "SiteMinute",
    "Steering",
    "SupplyKind",
    "WhatIf",
    "WhatIfState",
]
