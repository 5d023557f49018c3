"""What people want of a session: energy, and until when. Said by its driver, its fleet's manager or an operator."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from stations import live
from stations.models import Session, SessionPower, SessionState
from stations.neutral import EventReport
from stations.services import events, needs
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit

LEAST_WH, MOST_WH = 100.0, 1e6
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
        _tell(session, row, now)
    return row


def _check(energy_wh: float | None, departure_at: datetime | None, now: datetime) -> None:
    wrong: dict[str, str] = {}
    if energy_wh is not None and not (math.isfinite(energy_wh) and LEAST_WH <= energy_wh <= MOST_WH):
        wrong["energy_wh"] = _("Between 0.1 and 1,000 kWh.")
    if departure_at is not None and departure_at <= now:
        wrong["departure_at"] = _("That time has passed.")
    elif departure_at is not None and departure_at > now + FARTHEST:
        wrong["departure_at"] = _("Within the next seven days.")
    if wrong:
        raise Invalid(fields=wrong)


def _tell(session: Session, row: SessionPower, now: datetime) -> None:
    parts = [] if row.wish_wh is None else [f"{row.wish_wh / 1000:.1f} kWh"]
    parts += [] if row.wish_departure_at is None else [f"by {row.wish_departure_at:%H:%M} UTC"]
    text = f"{row.wish_by} wants {' '.join(parts)}" if parts else f"{row.wish_by} took the wish back"
    report = EventReport(
        station_id=session.station_id, kind="needs", severity="info", text=text, raw_timestamp="", received_at=now,
        evse=row.evse_number,
    )  # fmt: skip
    events.record(tenant_id=session.tenant_id, reports=[report])
    live.publish(
        session.tenant_id, kind="session", station_id=session.station_id, site_id=session.site_id,
        data={"id": session.pk, "session_id": session.pk},
    )  # fmt: skip
