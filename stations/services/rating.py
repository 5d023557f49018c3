"""Sessions that have ended get their price. The rows that say "ended" are the list of work."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from django.db import DatabaseError, transaction
from django.utils import timezone

from billing.services import charges
from billing.services.rating import NotRatable
from billing.usage import Usage
from stations import live
from stations.models import Reading, Session, SessionState, StationEvent
from stations.services import clock, holding
from stations.services.evidence import Evidence
from stations.services.usage import Point, State, usage
from tenants import rows
from tenants.context import current_alias
from tenants.services import facts

log = logging.getLogger("voltyard.rating")

# Meter values that came before the stop are applied within a second; a journal that is stuck must not stop billing.
JOURNAL_PATIENCE = timedelta(seconds=60)
NO_TARIFF = "no_tariff"
READINGS_CONTRADICT = "readings_contradict"
CONTRADICTION_FACTOR = 20  # power measured against energy counted: units mixed up, not just a coarse meter
CONTRADICTION_WH = Decimal(1000)
NOT_RATABLE = "The tariff cannot be priced."
FAILED = "Making the price failed; the error is in the log."

_READY = """
SELECT s.id FROM stations_session s
WHERE s.tenant_id = %(tenant)s AND s.state = 'ended' AND (
    coalesce(s.ended_received_at, s.ended_at) < %(patience)s
    OR NOT EXISTS (
        SELECT 1 FROM stations_journalhead h
        LEFT JOIN stations_journalcursor c ON c.tenant_id = h.tenant_id AND c.gateway = h.gateway
        CROSS JOIN LATERAL (
            SELECT 1 FROM stations_frame f
            WHERE f.tenant_id = %(tenant)s AND f.station_id = s.station_id AND f.id > coalesce(c.applied_id, 0)
              AND f.apply AND f.gateway = h.gateway AND f.received_at <= s.ended_received_at LIMIT 1) waiting
        WHERE h.tenant_id = %(tenant)s AND h.last_id > coalesce(c.applied_id, 0)))
ORDER BY s.id LIMIT %(limit)s
"""


def rate_ended(*, tenant_id: int, limit: int = 200) -> int:
    """Price what has ended, once its earlier meter values are in. Returns how many sessions were dealt with."""
    patience = timezone.now() - JOURNAL_PATIENCE
    ids = [row[0] for row in rows.run(_READY, tenant_id, [], patience=patience, limit=limit)]
    return sum(_rate(tenant_id, session_id) for session_id in ids)


def _rate(tenant_id: int, session_id: int) -> bool:
    try:
        with transaction.atomic(using=current_alias()):
            session = (
                Session.objects.select_for_update(of=("self",), skip_locked=True)
                .select_related("site")
                .filter(tenant_id=tenant_id, pk=session_id, state=SessionState.ENDED)
                .first()
            )
            if session is not None:
                _settle(session)
            return session is not None
    except DatabaseError:
        raise
    except Exception:
        log.exception("session not rated", extra={"session": session_id})
        Session.objects.filter(tenant_id=tenant_id, pk=session_id, state=SessionState.ENDED).update(
            state=SessionState.HELD, held_reason=FAILED
        )
        return True


def _settle(session: Session) -> None:
    """Hold, or price. At most one charge: billing keeps one for each subject."""
    readings = _readings(session)
    if "reviewed" not in session.flags and _contradicts(session, readings):
        session.flags = sorted({*session.flags, READINGS_CONTRADICT})
        _hold(session, holding.HOLDING[READINGS_CONTRADICT])
        return
    if session.tariff is None:
        session.flags = sorted({*session.flags, NO_TARIFF})
        _done(session)
        return
    assert session.ended_at is not None
    try:
        charge = charges.charge(
            tenant_id=session.tenant_id, subject=f"session:{session.pk}", tariff=session.tariff,
            usage=_used(session, session.ended_at, readings), site_id=session.site_id,
        )  # fmt: skip
    except NotRatable as error:
        _hold(session, f"{NOT_RATABLE} {error}"[:200])
        return
    session.charge_id, session.cost_incl_tax, session.currency = charge.pk, charge.incl_tax, charge.currency
    _done(session)


def used(session: Session, until: datetime) -> Usage:
    """The use of a session up to an instant: of one that runs, as if it ended then."""
    return _used(session, until, _readings(session))


def _used(session: Session, until: datetime, readings: Sequence[Reading]) -> Usage:
    return usage(
        started_at=session.started_at,
        ended_at=until,
        meter_start_wh=session.meter_start_wh or Decimal(0),
        energy_wh=session.energy_wh,
        time_zone=session.site.time_zone,
        points=[Point(one.sampled_at, one.energy_wh) for one in readings if one.energy_wh is not None],
        states=_states(session),
    )


def _readings(session: Session) -> list[Reading]:
    """The session's meter values, by time."""
    return list(
        Reading.objects.filter(
            tenant_id=session.tenant_id, station_id=session.station_id, session_id=session.pk,
            sampled_at__gte=session.started_at - timedelta(hours=1),
            sampled_at__lte=(session.ended_at or timezone.now()) + timedelta(hours=1),
        )
        .defer("values", "flags")
        .order_by("sampled_at", "id")
    )  # fmt: skip


_CHARGING = "charging"


def _states(session: Session) -> list[State]:
    """What the station said of charging: 2.x within the session's events, 1.6 by the connector's status."""
    told = Evidence.from_json(session.evidence).states
    if told:
        return [State(clock.from_milliseconds(at), state == _CHARGING) for at, state in told]
    heard = StationEvent.objects.filter(
        tenant_id=session.tenant_id, station_id=session.station_id, kind="status",
        evse_number=session.evse.number, occurred_at__gte=session.started_at - timedelta(minutes=10),
        occurred_at__lte=session.ended_at or timezone.now(),
    ).values_list("occurred_at", "detail")  # fmt: skip
    states = [State(at, detail.get("status") == _CHARGING) for at, detail in heard]
    # 2.x connectors only say "occupied", which tells nothing of charging.
    return states if any(state.charging for state in states) else []


def _contradicts(session: Session, readings: Sequence[Reading]) -> bool:
    """Does the power that was measured speak of a wholly different energy? (Wh counted in kWh, or the other way.)"""
    measured = [(one.sampled_at, one.power_w) for one in readings if one.power_w is not None]
    if len(measured) < 3 or session.ended_at is None:
        return False
    covered = measured[-1][0] - measured[0][0]
    if covered * 2 < session.ended_at - session.started_at:
        return False
    by_power = sum((_drawn(a, b) for a, b in pairwise(measured)), Decimal(0))
    high, low = max(by_power, session.energy_wh), min(by_power, session.energy_wh)
    return high - low > CONTRADICTION_WH and high > low * CONTRADICTION_FACTOR


def _drawn(a: tuple[datetime, float], b: tuple[datetime, float]) -> Decimal:
    hours = (b[0] - a[0]).total_seconds() / 3600
    return Decimal((a[1] + b[1]) / 2 * hours).quantize(Decimal("0.001"))


def _hold(session: Session, reason: str) -> None:
    session.state, session.held_reason = SessionState.HELD, reason
    session.save(update_fields=["state", "held_reason", "flags"])
    _tell(session, "session.held", {"reason": reason})


def _done(session: Session) -> None:
    session.state = SessionState.RATED
    session.save(update_fields=["state", "flags", "charge_id", "cost_incl_tax", "currency"])
    cost = None if session.cost_incl_tax is None else str(session.cost_incl_tax)
    _tell(session, "session.rated", {"cost_incl_tax": cost, "currency": session.currency})


def _tell(session: Session, kind: str, more: dict[str, str | None]) -> None:
    facts.publish(
        tenant_id=session.tenant_id, kind=kind, subject_type="session", subject_id=session.pk,
        payload={
            "station_id": session.station_id, "site_id": session.site_id, "state": session.state,
            "energy_wh": str(session.energy_wh), **more,
        },
    )  # fmt: skip
    live.publish(
        session.tenant_id, kind="session", station_id=session.station_id, site_id=session.site_id,
        data={"id": session.pk, "session_id": session.pk, "state": session.state},
    )  # fmt: skip
