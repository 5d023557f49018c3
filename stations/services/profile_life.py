"""How commands about profiles end: the profile's own row, then the plans that rest on the limits (outcomes)."""

from __future__ import annotations

from stations import live
from stations.models import ChargingProfile, Command, CommandState, Purpose
from stations.services import dynamic, needs, profiles


def _changed(command: Command) -> None:
    """Limits are others now. A plan of ours that has just arrived changes none, and shares of power come by the minute:
    plans rest on what lies below them, and lists of stations need not be drawn anew."""
    own = ChargingProfile.objects.filter(
        tenant_id=command.tenant_id, command_id=command.pk, station_id=command.station_id,
        intent__in=("plan", profiles.ENERGY),
    ).first()  # fmt: skip
    if own is None:
        needs.replan(tenant_id=command.tenant_id, station_id=command.station_id)
    if own is None or own.intent != profiles.ENERGY or own.purpose != Purpose.TRANSACTION:
        live.publish(
            command.tenant_id, kind="station", station_id=command.station_id, site_id=command.station.site_id,
            data={"id": command.station_id},
        )  # fmt: skip


def settled(*, command: Command) -> None:
    profiles.settled(command=command)
    if command.state == CommandState.ACCEPTED:
        _changed(command)


def cleared(*, command: Command) -> None:
    profiles.cleared(command=command)
    if command.state == CommandState.ACCEPTED:
        _changed(command)


def updated(*, command: Command) -> None:
    dynamic.updated(command=command)
