"""Where load management cannot steer: a station that knows few stack levels has no place for it beside the limits of
others. The connector counts with those, so nothing is over; but it is told nothing until one of them goes."""

from __future__ import annotations

from collections.abc import Collection

from stations.models import ChargingProfile, Evse, Station
from stations.services import profiles, rules


def of_evses(tenant_id: int, evse_ids: Collection[int]) -> dict[int, ChargingProfile]:
    """By EVSE: the limit that holds the last place."""
    evses = list(Evse.objects.filter(tenant_id=tenant_id, pk__in=evse_ids).only("pk", "number", "station_id"))
    takes = rules.allowed(tenant_id, sorted({evse.station_id for evse in evses}))
    few = [
        station_id
        for station_id, takes_of in takes.items()
        if takes_of.most_stack is not None and takes_of.most_stack < profiles.ENERGY_STACK
    ]
    if not few:
        return {}
    known = profiles.known(tenant_id, list(Station.objects.filter(tenant_id=tenant_id, pk__in=few)))
    found = {
        evse.pk: profiles.in_the_way(known[evse.station_id], evse.number)
        for evse in evses
        if evse.station_id in known
    }
    return {number: row for number, row in found.items() if row is not None}
