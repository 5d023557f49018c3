"""What a station bends and we bear: counted at the station, for the operator to see."""

from __future__ import annotations

from django.utils import timezone

from stations.models import Station
from tenants.context import tenant_scope

MOST_NOTES = 40


def add(*, tenant_id: int, station_id: int, counts: dict[str, int]) -> None:
    """Add {what: how often} to the station's notes, the latest kept."""
    with tenant_scope(tenant_id):
        station = Station.objects.select_for_update().filter(tenant_id=tenant_id, pk=station_id).first()
        if station is None:
            return
        now = timezone.now().isoformat(timespec="seconds")
        for text, count in counts.items():
            before = station.notes.get(text, {}).get("count", 0)
            station.notes[text] = {"count": before + count, "last": now}
        kept = sorted(station.notes.items(), key=lambda entry: entry[1]["last"], reverse=True)[:MOST_NOTES]
        station.notes = dict(kept)
        station.save(update_fields=["notes"])
