"""Autocharge: cars known by their MAC address or VIN. Who is not known yet waits here for an operator's word.

Of strangers' cars nothing is collected where Autocharge is off; where it is on, a sighting goes after 30 days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.db.models import F, QuerySet
from django.utils import timezone

from fleets.models import SAID_BY_CARS, Driver, Fleet, Reason, Token, Verdict
from fleets.services import autocharge, tokens
from fleets.services.authorization import Judgement
from stations.models import SeenVehicle
from stations.neutral import AuthorizeRequest
from tenants.errors import Conflict
from tenants.models import Site
from tenants.permissions import Actor, Permission
from tenants.services import audit

MOST_SEEN = 2_000  # a company: beyond it the oldest go
KEPT = timedelta(days=30)


def judge(
    *,
    tenant_id: int,
    requests: Sequence[AuthorizeRequest],
    uids: Sequence[str],
    judged: Sequence[Judgement],
    sites: Mapping[int, int],
) -> list[Judgement]:
    """Of a car that no token is known for: whether that is so because Autocharge is off; else it is listed."""
    strange = {
        place
        for place, (request, one) in enumerate(zip(requests, judged, strict=True))
        if request.token.kind in SAID_BY_CARS and one.reason == Reason.UNKNOWN
    }
    if not strange:
        return list(judged)
    on = autocharge.on_at(tenant_id, {sites[requests[place].station_id] for place in strange})
    answers = list(judged)
    for place in sorted(strange, key=lambda place: uids[place]):
        request = requests[place]
        if on[sites[request.station_id]]:
            _see(tenant_id, request, uids[place])
        else:
            answers[place] = replace(judged[place], verdict=Verdict.INVALID, reason=Reason.AUTOCHARGE_OFF)
    return answers


def _see(tenant_id: int, request: AuthorizeRequest, uid: str) -> None:
    rows = SeenVehicle.objects.filter(tenant_id=tenant_id)
    at = request.received_at
    if rows.filter(uid=uid).update(
        last_seen_at=at, station_id=request.station_id, times=F("times") + 1, kind=request.token.kind
    ):
        return
    if not uid:
        return
    if rows.count() >= MOST_SEEN:
        oldest = rows.order_by("last_seen_at").values_list("pk", flat=True)[:1]
        rows.filter(pk__in=list(oldest)).delete()
    rows.get_or_create(
        tenant_id=tenant_id, uid=uid,
        defaults={
            "kind": request.token.kind, "station_id": request.station_id, "first_seen_at": at, "last_seen_at": at,
        },
    )  # fmt: skip


def seen(tenant_id: int, actor: Actor) -> QuerySet[SeenVehicle]:
    """What an actor may see: strangers' cars are for who manages tokens of the whole company, at the actor's sites."""
    rows = SeenVehicle.objects.filter(tenant_id=tenant_id).select_related("station")
    if actor.fleet_ids is not None or actor.driver_ids is not None:
        return rows.none()
    return rows if actor.site_ids is None else rows.filter(station__site_id__in=actor.site_ids)


def confirm(
    *,
    vehicle: SeenVehicle,
    actor: Actor,
    driver: Driver | None = None,
    fleet: Fleet | None = None,
    visual_number: str = "",
    sites: Sequence[Site] = (),
) -> Token:
    """Make a token of a car that was seen. Conflict where it would belong to nobody: a MAC address proves nothing."""
    if driver is None and fleet is None:
        raise Conflict("Say which driver or fleet pays for this car.")
    token = tokens.create_token(
        tenant_id=vehicle.tenant_id, actor=actor, uid=vehicle.uid, kind=vehicle.kind, driver=driver, fleet=fleet,
        visual_number=visual_number, sites=sites,
    )  # fmt: skip
    vehicle.delete()
    return token


def dismiss(*, vehicle: SeenVehicle, actor: Actor) -> None:
    """No car of ours: not shown again."""
    actor.require(Permission.TOKEN_EDIT)
    vehicle.dismissed_at = timezone.now()
    vehicle.save(update_fields=["dismissed_at"])
    audit.record(tenant_id=vehicle.tenant_id, actor=actor, action="vehicle.dismiss", subject=vehicle)


def forget(*, tenant_id: int, now: datetime) -> int:
    """Sightings of long ago go."""
    return SeenVehicle.objects.filter(tenant_id=tenant_id, last_seen_at__lt=now - KEPT).delete()[0]
