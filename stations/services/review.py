"""What a person decides about sessions that are held, and about stops that nobody knows."""

from __future__ import annotations

from decimal import Decimal

from billing.models import Charge
from billing.services import charges
from stations import live
from stations.models import Session, SessionState
from stations.services import evidence
from stations.services.evidence import Evidence
from stations.services.sheet import LATE_STOP, REVIEWED
from tenants.errors import Conflict, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit, facts

MOST_WH = Decimal(1_000_000)  # 1 MWh: no car takes more; a typing error does


def release_held(*, session: Session, actor: Actor, energy_wh: Decimal | None = None) -> Session:
    """Let a held session be priced, with its own figures or with the energy a person has found out.

    One that has its price already (a late stop) keeps it: it was billed once.
    """
    actor.require(Permission.SESSION_REVIEW, site_id=session.site_id)
    session = _locked(session)
    if session.state != SessionState.HELD:
        raise Conflict(
            f"Session {session} is not held: it is {session.get_state_display()}.", code="not_held"
        )
    if energy_wh is not None and not 0 <= energy_wh <= MOST_WH:
        raise Invalid(fields={"energy_wh": f"Write 0 to {MOST_WH} Wh."})
    energy = session.energy_wh if energy_wh is None else energy_wh
    if energy_wh is None and not _makes_sense(session):
        raise Invalid(fields={"energy_wh": "Its own figures make no sense. Write how much is to be billed."})
    before = {"state": session.state, "energy_wh": session.energy_wh}
    session.energy_wh = energy
    session.state = SessionState.RATED if session.charge_id else SessionState.ENDED
    session.ended_at = session.ended_at or session.last_reading_at or session.started_at
    _decide(session, actor, "session.release", before)
    return session


def void(*, session: Session, actor: Actor, reason: str) -> Session:
    """This session is never billed; a charge that was made for it is taken back."""
    actor.require(Permission.SESSION_REVIEW, site_id=session.site_id)
    session = _locked(session)
    if not reason.strip():
        raise Invalid(fields={"reason": "Say why, in a few words."})
    if session.state == SessionState.VOID:
        return session
    if session.state == SessionState.ACTIVE:
        raise Conflict(f"Session {session} is still running. Stop it first.", code="running")
    charge = Charge.objects.filter(tenant_id=session.tenant_id, subject=f"session:{session.pk}").first()
    if charge is not None:
        charges.void(charge=charge, actor=actor, reason=reason)
    before = {"state": session.state, "energy_wh": session.energy_wh}
    session.state, session.held_reason = SessionState.VOID, reason.strip()[:200]
    _decide(session, actor, "session.void", before)
    return session


def _locked(session: Session) -> Session:
    return Session.objects.select_for_update().get(tenant_id=session.tenant_id, pk=session.pk)


def _makes_sense(session: Session) -> bool:
    """Can the energy that follows from the figures be billed at all? Rollbacks and lone values give none."""
    nonsense = {evidence.METER_ROLLBACK, evidence.METER_NEGATIVE, evidence.METER_MISSING, evidence.ENERGY_ABSURD,
                evidence.UNIT_MISMATCH}  # fmt: skip
    return session.energy_wh >= 0 and not nonsense & set(session.flags)


def _decide(session: Session, actor: Actor, action: str, before: dict[str, object]) -> None:
    known = Evidence.from_json(session.evidence)
    known.note(REVIEWED)
    session.evidence = known.to_json()
    session.flags = sorted({*session.flags, REVIEWED} - {LATE_STOP})
    if session.state != SessionState.VOID:
        session.held_reason = ""
    session.save(update_fields=["state", "energy_wh", "ended_at", "held_reason", "flags", "evidence"])
    after = {"state": session.state, "energy_wh": session.energy_wh}
    audit.record(
        tenant_id=session.tenant_id, actor=actor, action=action, subject=session, site_id=session.site_id,
        detail={"changed": audit.changes(before, after), "reason": session.held_reason},
    )  # fmt: skip
    facts.publish(
        tenant_id=session.tenant_id, kind="session.reviewed", subject_type="session", subject_id=session.pk,
        payload={"state": session.state, "energy_wh": str(session.energy_wh)},
    )  # fmt: skip
    live.publish(
        session.tenant_id, kind="session", station_id=session.station_id, site_id=session.site_id,
        data={"id": session.pk, "session_id": session.pk, "state": session.state},
    )  # fmt: skip
