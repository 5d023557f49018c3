"""What people want of a session: energy, and until when. Said by its driver, its fleet's manager or an operator."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from stations.models import Session, SessionPower, SessionState
from stations.services import needs
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit

LEAST_WH, MOST_WH = 100.0, 1e6
AMOUNTS = _lazy("Between 0.1 and 1,000 kWh.")
FARTHEST = timedelta(days=7)


def may_wish(session: Session, actor: Actor) -> bool:
    """Whether the actor speaks for this session: who may command its station, its fleet's manager, its driver."""
    if actor.may(Permission.STATION_COMMAND, site_id=session.site_id):
        return True
    if actor.fleet_ids is not None and actor.may(Permission.DRIVER_EDIT):
        return session.fleet_id in actor.fleet_ids
    driver = session.driver
    is_own = driver is not None and driver.user_id is not None and driver.user_id == actor.user_id
    return is_own and actor.may(Permission.OWN_VIEW)


def wish(
    *,
    session: Session,
    actor: Actor,
    energy_wh: float | None = None,
    departure_at: datetime | None = None,
) -> SessionPower:
    """Say how much energy the session is to have at least (Wh, all of it) and until when. Neither takes it back.

    Conflict once the session is over; Invalid for what cannot be; Forbidden for whom it does not concern.
    """
    if not may_wish(session, actor):
        raise Forbidden(f"{actor.label} does not speak for this session.")
    if session.state != SessionState.ACTIVE:
        raise Conflict(_("This session is over."))
    now = timezone.now()
    _check(energy_wh, departure_at, now)
    needs.hold(session.station_id)
    row = needs.of_place(session.tenant_id, session.station_id, session.evse.number)
    if row.session_id != session.pk:  # a newer one has begun at that EVSE
        raise Conflict(_("This session is over."))
    before = {"energy_wh": row.wish_wh, "departure_at": row.wish_departure_at}
    row.wish_wh, row.wish_departure_at = energy_wh, departure_at
    row.wish_at, row.wish_by = now, actor.label[:120]
    row.save()
    changed = audit.changes(before, {"energy_wh": energy_wh, "departure_at": departure_at})
    if changed:
        audit.record(
            tenant_id=session.tenant_id, actor=actor, action="session.wish", subject=session, site_id=session.site_id,
            detail={"changed": changed},
        )  # fmt: skip
        wanted = needs.amounts(energy_wh, departure_at)
        text = f"{row.wish_by} wants {wanted}" if wanted else f"{row.wish_by} took the wish back"
        needs.tell(session.station, row, now, text)
    return row


def _check(energy_wh: float | None, departure_at: datetime | None, now: datetime) -> None:
    wrong: dict[str, str] = {}
    if energy_wh is not None and not (math.isfinite(energy_wh) and LEAST_WH <= energy_wh <= MOST_WH):
        wrong["energy_wh"] = str(AMOUNTS)
    if departure_at is not None and departure_at <= now:
        wrong["departure_at"] = _("That time has passed.")
    elif departure_at is not None and departure_at > now + FARTHEST:
        wrong["departure_at"] = _("Within the next seven days.")
    if wrong:
        raise Invalid(fields=wrong)


def next_at(clock: time, since: datetime, zone: ZoneInfo, weekdays: Collection[int] = ()) -> datetime | None:
    """The first moment after `since` at which its clocks show this time. `weekdays`: 0 is Monday; none: all."""
    first = since.astimezone(zone).date()
    days = (first + timedelta(days=ahead) for ahead in range(8))
    moments = (
        datetime.combine(day, clock, zone) for day in days if not weekdays or day.weekday() in weekdays
    )
    return next((moment for moment in moments if moment > since), None)
