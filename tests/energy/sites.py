"""Sites with a grid connection, as plain rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from energy.models import (
    GridConnection,
    GridNode,
    LimitWindow,
    MeterSample,
    Outlet,
    SiteMeter,
    SiteMinute,
    Steering,
    WhatIf,
)
from energy.services.whatif import Result, Side
from stations.models import ChargingProfile, Evse, Station, Variable
from tenants.context import tenant_scope
from tenants.models import Site, Tenant


@dataclass
class Rows:
    connection: GridConnection
    root: GridNode
    outlets: list[Outlet]
    meter: SiteMeter | None
    what_if: WhatIf | None = None


def create_tree(
    tenant: Tenant, site: Site, stations: Sequence[Station], *, main_a: float = 63.0, panel_a: float | None = None,
    building_most_a: float = 10.0, meter: str = "building", **values: Any,
) -> Rows:  # fmt: skip
    """A main breaker, a panel below it if told, and every EVSE of the stations on three lines. Steered."""
    with tenant_scope(tenant.pk):
        own = {"tenant": tenant}
        connection = GridConnection.objects.create(
            **own, site=site, building_most_a=building_most_a, **({"steers": True} | values)
        )
        root = GridNode.objects.create(
            **own, connection=connection, kind="connection", name="Main", limit_a=[main_a] * 3
        )
        place = root
        if panel_a is not None:
            place = GridNode.objects.create(
                **own, connection=connection, parent=root, name="Panel", limit_a=[panel_a] * 3
            )
        outlets = [
            Outlet.objects.create(**own, connection=connection, node=place, evse=evse, lines=[0, 1, 2])
            for evse in Evse.objects.filter(station__in=stations, **own).order_by("station_id", "number")
        ]
        of_building = None
        if meter:
            of_building = SiteMeter.objects.create(
                **own, connection=connection, kind=meter, name="Building", maximum_a=building_most_a
            )
        Steering.objects.create(**own, connection=connection)
    return Rows(connection, root, outlets, of_building)


def full_of_limits(station: Station, *, most: int = 0, **values: Any) -> ChargingProfile:
    """It knows stack levels up to `most`, and an operator's limits have all of them. Inside the tenant's scope."""
    now = datetime.now(UTC)
    own = {"tenant_id": station.tenant_id, "station": station}
    Variable.objects.create(
        **own, name="ChargeProfileMaxStackLevel", value=str(most), attribute="actual", read_at=now,
        source="get_configuration",
    )  # fmt: skip
    told = {"settled_at": now, "intent": "limit", "label": "Olga Operator"} | values
    made = [
        ChargingProfile.objects.create(
            **own, number=70 + level, evse_number=1, purpose="default", kind="absolute", unit="A", stack_level=level,
            periods=[{"start_s": 0, "limit": 10.0 + level}], state="accepted", starts_at=now, **told,
        )
        for level in range(most + 1)
    ]  # fmt: skip
    return made[0]


def one_of_each(tenant: Tenant, site: Site, station: Station, marker: str) -> Rows:
    """With a row of every model, for walks over all of them. Inside the tenant's scope."""
    made = create_tree(tenant, site, [station], steers=False)
    now = datetime.now(UTC)
    own = {"tenant": tenant}
    GridNode.objects.filter(pk=made.root.pk).update(name=marker)
    if made.meter is not None:
        SiteMeter.objects.filter(pk=made.meter.pk).update(name=marker)
    LimitWindow.objects.create(
        **own, node=made.root, begins=time(17), ends=time(20), limit_a=32, label=marker
    )
    assert made.meter is not None
    MeterSample.objects.create(**own, meter=made.meter, at=now, received_at=now, amps=[8, 8, 8], watts=5520)
    SiteMinute.objects.create(**own, connection=made.connection, minute=now, cars_w=7000, building_w=5520)
    Steering.objects.filter(connection=made.connection).update(owner=marker)
    side = Side(900.0, 1, 4_000.0, None, None, 0.5, [4_000.0, 0.0])
    result = Result(now.timestamp(), 1, 1_000.0, 1.0, side, side, side, [[1, 1_000, 1_000, 900]])
    made.what_if = WhatIf.objects.create(
        **own, connection=made.connection, begins_at=now - timedelta(days=2), ends_at=now - timedelta(days=1),
        label=marker, state="done", result=result.as_json(),
    )  # fmt: skip
    return made
