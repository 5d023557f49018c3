"""What the endpoints below a station share."""

from __future__ import annotations

from stations import visible
from stations.models import Station
from tenants.rest import TenantView


class BelowStation(TenantView):
    def station(self) -> Station:
        """The station in the address, or 404."""
        return self.one(visible.stations(self.tenant_id, self.actor), pk=self.kwargs["station_id"])
