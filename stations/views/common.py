"""What several pages of this app begin with."""

from __future__ import annotations

from stations import visible
from stations.models import Session, Station
from tenants.errors import NotFound
from tenants.pages import PageRequest
from tenants.permissions import Permission


def get_station(request: PageRequest, station_id: int) -> Station:
    """The station, if the reader may see it; else NotFound. Who sees sessions alone (fleets) sees no stations."""
    request.actor.require(Permission.STATION_VIEW)
    found = (
        visible.stations(request.tenant.pk, request.actor)
        .select_related("site", "tariff")
        .filter(pk=station_id)
    )
    station = found.first()
    if station is None:
        raise NotFound
    return station


def get_session(request: PageRequest, session_id: int) -> Session:
    found = visible.sessions(request.tenant.pk, request.actor).select_related(
        "station", "site", "evse", "connector", "driver", "token", "fleet"
    )
    session = found.filter(pk=session_id).first()
    if session is None:
        raise NotFound
    return session
