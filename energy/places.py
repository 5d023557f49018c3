"""The EVSEs of a site as an electrician sees them: what may be wired, and what it takes at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from energy.grid import Supply
from energy.queries import UNKNOWN_A
from stations.models import Connector, Evse, PowerType


@dataclass(frozen=True)
class Place:
    """One EVSE. `plugs`: its connectors; none where the station has not told of any."""

    evse_id: int
    number: int
    station_id: int
    station: str
    alone: bool  # the only one of its station
    plugs: tuple[Connector, ...] = ()

    @property
    def label(self) -> str:
        return self.station if self.alone else f"{self.station} · {self.number}"

    @property
    def is_dc(self) -> bool:
        return bool(self.plugs) and all(plug.power_type == PowerType.DC for plug in self.plugs)

    @property
    def is_single_phase(self) -> bool:
        return bool(self.plugs) and all(plug.power_type == PowerType.AC_1_PHASE for plug in self.plugs)

    @property
    def most_w(self) -> float:
        return float(max((plug.max_power_w for plug in self.plugs), default=0))

    def most_a(self, supply: Supply, lines: int) -> float:
        """A on each of its lines. Of DC its power counts: its amps are those of the car's side."""
        told = [
            plug.max_power_w / (supply.volts * max(1, lines))
            if plug.power_type == PowerType.DC
            else float(plug.max_amps)
            for plug in self.plugs
        ]
        return max(told, default=UNKNOWN_A)


Places = Mapping[int, Place]


def places_of(tenant_id: int, site_id: int) -> dict[int, Place]:
    """By EVSE, in the order of the stations' names. Two statements."""
    evses = list(
        Evse.objects.filter(tenant_id=tenant_id, station__site_id=site_id, station__archived_at=None)
        .select_related("station")
        .order_by("station__name", "station__identity", "number")
    )
    plugs: dict[int, list[Connector]] = {}
    for plug in Connector.objects.filter(tenant_id=tenant_id, evse_id__in=[evse.pk for evse in evses]):
        plugs.setdefault(plug.evse_id, []).append(plug)
    count: dict[int, int] = {}
    for evse in evses:
        count[evse.station_id] = count.get(evse.station_id, 0) + 1
    return {
        evse.pk: Place(
            evse.pk, evse.number, evse.station_id, str(evse.station), count[evse.station_id] == 1,
            tuple(plugs.get(evse.pk, ())),
        )
        for evse in evses
    }  # fmt: skip


def by_station(places: Places) -> dict[int, Sequence[Place]]:
    found: dict[int, list[Place]] = {}
    for place in places.values():
        found.setdefault(place.station_id, []).append(place)
    return dict(found)
