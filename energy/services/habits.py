"""What a car probably needs whose driver told nothing: learned from sessions of its driver, else of the site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.db.models import Q
from django.utils import timezone

from energy.queries import SiteTree
from stations.models import Session

LOOK_BACK = timedelta(days=60)
ENOUGH, MOST = 3, 200  # sessions
LEAST_WH = 500.0  # less is no charge
SHARE = 75  # per cent of earlier sessions that took no more


@dataclass(frozen=True, slots=True)
class Habit:
    """Wh, and seconds from start to end."""

    wh: float
    stay_s: float


def of_sessions(tree: SiteTree, session_ids: Sequence[int]) -> dict[int, Habit]:
    """By session; those of which nothing is known are left out."""
    tenant_id, site_id = tree.connection.tenant_id, tree.connection.site_id
    found: dict[int, Habit] = {}
    of_site: list[tuple[float, float]] | None = None
    rows = Session.objects.filter(tenant_id=tenant_id, pk__in=list(session_ids))
    for pk, driver, token in rows.values_list("pk", "driver_id", "token_id"):
        own = []
        if driver or token:
            own = _past(tenant_id, site_id, Q(driver_id=driver) if driver else Q(token_id=token))
        if len(own) < ENOUGH:
            of_site = _past(tenant_id, site_id, Q()) if of_site is None else of_site
            own = of_site
        if len(own) >= ENOUGH:
            wh, stays = zip(*own, strict=True)
            found[pk] = Habit(float(np.percentile(wh, SHARE)), float(np.median(stays)))
    return found


def _past(tenant_id: int, site_id: int, whose: Q) -> list[tuple[float, float]]:
    rows = Session.objects.filter(
        whose, tenant_id=tenant_id, site_id=site_id, ended_at__isnull=False, energy_wh__gte=LEAST_WH,
        started_at__gt=timezone.now() - LOOK_BACK,
    ).order_by("-started_at")  # fmt: skip
    told = rows.values_list("energy_wh", "started_at", "ended_at")[:MOST]
    return [(float(wh), (ended - began).total_seconds()) for wh, began, ended in told if ended is not None]
