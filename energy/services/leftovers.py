"""What load management leaves behind: profiles at stations that nobody steers any more, and orders of long ago."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db.models import F, QuerySet
from django.utils import timezone

from energy.models import Outlet
from stations.models import ChargingProfile, Command, CommandKind, ProfileState
from stations.services import profiles
from stations.services.commands import LOAD_MANAGEMENT
from tenants.errors import DomainError

log = logging.getLogger("voltyard.energy")

AGAIN = timedelta(minutes=15)  # after a station did not take the order
MOST = 200  # orders of one sweep
COMMANDS_KEPT, PROFILES_KEPT = timedelta(days=7), timedelta(days=30)
TRIMMED_AT_ONCE = 5_000


def take_back(*, tenant_id: int) -> int:
    """Have profiles of ours cleared where the EVSE is in no tree that is steered: a default of 6 A, or of nothing, must
    not outlive load management. How many were ordered; stations that are away follow when they are back."""
    steered = Outlet.objects.filter(
        tenant_id=tenant_id, connection__steers=True, connection__site=F("evse__station__site")
    )
    keep = set(steered.values_list("evse__station_id", "evse__number"))
    held = ChargingProfile.objects.filter(
        tenant_id=tenant_id, intent="energy", state=ProfileState.ACCEPTED, station__online=True,
        station__archived_at=None,
    )  # fmt: skip
    left = [row for row in held.order_by("id") if (row.station_id, row.evse_number) not in keep][:MOST]
    if not left:
        return 0
    asked = set(
        Command.objects.filter(
            tenant_id=tenant_id, station_id__in={row.station_id for row in left}, kind=CommandKind.CLEAR_PROFILE,
            created_at__gt=timezone.now() - AGAIN, origin_id=LOAD_MANAGEMENT.id,
        ).values_list("station_id", "arguments__number")
    )  # fmt: skip
    ordered = 0
    for row in left:
        if (row.station_id, row.number) in asked:
            continue
        try:
            profiles.clear(tenant_id=tenant_id, profile_id=row.pk, actor=LOAD_MANAGEMENT)
            ordered += 1
        except DomainError as error:
            log.info("a profile stays", extra={"station": row.station_id, "detail": str(error)[:200]})
    return ordered


def trim(*, tenant_id: int) -> int:
    """Orders come by the minute: their commands go after a week, their profiles after a month."""
    now = timezone.now()
    old = ChargingProfile.objects.filter(
        tenant_id=tenant_id, intent="energy", ended_at__lt=now - PROFILES_KEPT
    ).exclude(state__in=(ProfileState.SENT, ProfileState.ACCEPTED))
    gone = _oldest(old)
    sent = Command.objects.filter(
        tenant_id=tenant_id,
        origin_kind="task",
        origin_id=LOAD_MANAGEMENT.id,
        settled_at__lt=now - COMMANDS_KEPT,
    )
    return gone + _oldest(sent)


def _oldest(rows: QuerySet[ChargingProfile] | QuerySet[Command]) -> int:
    ids = list(rows.order_by("id").values_list("pk", flat=True)[:TRIMMED_AT_ONCE])
    if ids:
        rows.model._default_manager.filter(pk__in=ids).delete()
    return len(ids)
