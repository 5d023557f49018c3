"""Stops that nobody knows are applied to the session that a person finds, or set aside with a note."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from stations import visible
from stations.models import OrphanMessage, Session, SessionState
from stations.services import orphans, sessions, sheets
from stations.services.guardian import GUARDIAN_CLOSED
from stations.services.sheet import LATE_STOP, REVIEWED, Sheet
from tenants import rows
from tenants.errors import Conflict, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit

LONGEST = timedelta(days=30)  # no car stands longer at a charger, and the guardian ends sessions long before
MOST_OFFERED = 20


@dataclass(frozen=True, slots=True)
class Fit:
    """A session that a stop may belong to, and what it would become by it."""

    session: Session
    outcome: Sheet


def fitting(*, orphan: OrphanMessage, actor: Actor) -> list[Fit]:
    """Sessions of the station that began before the stop and lack one, or are held; newest first."""
    request = orphans.stop_of(orphan)
    if request is None or orphan.resolved_at is not None:
        return []
    at, _flags = sessions.stop_time(request)
    without_stop = Q(flags__contains=GUARDIAN_CLOSED, ended_received_at=None)
    found = (
        visible.sessions(orphan.tenant_id, actor)
        .filter(station_id=orphan.station_id, started_at__range=(at - LONGEST, at))
        .filter(Q(state__in=(SessionState.ACTIVE, SessionState.HELD)) | without_stop)
        .exclude(flags__contains=REVIEWED)
        .select_related("evse", "connector", "driver", "token")
        .order_by("-started_at", "-id")[:MOST_OFFERED]
    )
    ids = sorted(session.pk for session in found)
    loaded = rows.alone(orphan.tenant_id, sheets.load(sheets.BY_ID, ids, lock=sheets.LOOK))
    by_id = {sheet.id: sheet for sheet in loaded if _refusal(sheet, at) is None}
    for sheet in by_id.values():
        sessions.foresee_stop(sheet, request)
    return [Fit(session, by_id[session.pk]) for session in found if session.pk in by_id]


def apply(*, orphan: OrphanMessage, session: Session, actor: Actor) -> OrphanMessage:
    """End this session by the stop, as if its station had told it for it. Conflict in words if it cannot be."""
    for site_id in (orphan.station.site_id, session.site_id):
        actor.require(Permission.SESSION_REVIEW, site_id=site_id)
    orphan = _unresolved(orphan)
    request = orphans.stop_of(orphan)
    if request is None:
        raise Conflict("Only a stop can be applied to a session. Close this with a note.", code="no_stop")
    if session.station_id != orphan.station_id:
        raise Invalid(fields={"session_id": f"Session {session} was at another station."})
    sheet = sheets.by_ids(orphan.tenant_id, [session.pk])[session.pk]
    refusal = _refusal(sheet, sessions.stop_time(request)[0])
    if refusal is not None:
        raise refusal
    before = _figures(sheet)
    sessions.apply_stop(tenant_id=orphan.tenant_id, sheet=sheet, request=request)
    orphan.session, orphan.resolved_at = session, timezone.now()
    orphan.resolution = f"Applied to session {session}."
    orphan.save(update_fields=["session", "resolved_at", "resolution"])
    detail = {"session_id": session.pk, "changed": audit.changes(before, _figures(sheet))}
    audit.record(
        tenant_id=orphan.tenant_id, actor=actor, action="orphan.apply", subject=orphan, site_id=session.site_id,
        detail=detail,
    )  # fmt: skip
    return orphan


def resolve(*, orphan: OrphanMessage, actor: Actor, resolution: str) -> OrphanMessage:
    """Say what was found out about it. It is never billed by itself."""
    actor.require(Permission.SESSION_REVIEW, site_id=orphan.station.site_id)
    if not resolution.strip():
        raise Invalid(fields={"resolution": "Say what you found out, in a few words."})
    orphan = _unresolved(orphan, noted_is_fine=True)
    orphan.resolution, orphan.resolved_at = resolution.strip()[:200], timezone.now()
    orphan.save(update_fields=["resolution", "resolved_at"])
    audit.record(
        tenant_id=orphan.tenant_id,
        actor=actor,
        action="orphan.resolve",
        subject=orphan,
        site_id=orphan.station.site_id,
        detail={"resolution": orphan.resolution},
    )
    return orphan


def _unresolved(orphan: OrphanMessage, *, noted_is_fine: bool = False) -> OrphanMessage:
    """Under lock. Conflict if it was applied, or set aside unless a better note may replace the first."""
    found = (
        OrphanMessage.objects.select_for_update(of=("self",))
        .select_related("station")
        .get(tenant_id=orphan.tenant_id, pk=orphan.pk)
    )
    if found.session_id is not None or (found.resolved_at is not None and not noted_is_fine):
        raise Conflict(f"This is resolved already: {found.resolution}", code="resolved")
    return found


def _refusal(sheet: Sheet, at: datetime) -> Conflict | None:
    """Why a stop of this time cannot be this session's; None: it can."""
    notes, name = set(sheet.evidence.notes), f"Session #{sheet.id}"
    if REVIEWED in notes or sheet.state == SessionState.VOID:
        return Conflict(f"{name} was reviewed already; what a person decided stays.", code="reviewed")
    over = sheet.state in (SessionState.ENDED, SessionState.RATED)
    if LATE_STOP in notes or (over and (GUARDIAN_CLOSED not in notes or sheet.evidence.ended is not None)):
        return Conflict(f"{name} has a stop of its own.", code="has_stop")
    if sheet.started_at > at:
        return Conflict(f"{name} began after this stop.", code="began_later")
    return None


def _figures(sheet: Sheet) -> dict[str, object]:
    return {
        "state": sheet.state, "energy_wh": sheet.energy_wh, "ended_at": sheet.ended_at,
        "held_reason": sheet.held_reason,
    }  # fmt: skip
