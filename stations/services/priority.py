"""OCPP 2.1: priority charging (K21, K22) and the ways of energy transfer a session may use (Q02)."""

from __future__ import annotations

from collections.abc import Sequence

from stations import live
from stations.models import Command, CommandKind, Session, SessionPower, SessionState, Station
from stations.neutral import EventReport
from stations.neutral_power import PriorityTold, TransfersAllowed
from stations.services import commands, events, needs
from tenants.errors import Conflict, Invalid, NotFound
from tenants.permissions import Actor

TRANSFERS = (
    "AC_single_phase", "AC_two_phase", "AC_three_phase", "DC", "AC_BPT", "AC_BPT_DER", "AC_DER", "DC_BPT",
    "DC_ACDP", "DC_ACDP_BPT", "WPT",
)  # fmt: skip


def _running(tenant_id: int, session_id: int, actor: Actor) -> Session:
    session = Session.objects.select_related("station").filter(tenant_id=tenant_id, pk=session_id).first()
    if session is None or (actor.site_ids is not None and session.site_id not in actor.site_ids):
        raise NotFound("There is no such session.")
    if session.state != SessionState.ACTIVE:
        raise Conflict("This session is over.")
    if session.station.ocpp_version and session.station.ocpp_version != "2.1":
        raise Invalid(
            f"This needs OCPP 2.1; {session.station} speaks {session.station.ocpp_version}.",
            code="needs_2_1",
        )
    return session


def switch(*, tenant_id: int, session_id: int, active: bool, actor: Actor) -> Command:
    """Have a session charged first, or no longer. The driver's page calls it with an actor of its own."""
    session = _running(tenant_id, session_id, actor)
    return commands.request_command(
        tenant_id=tenant_id,
        station_id=session.station_id,
        kind=CommandKind.USE_PRIORITY,
        arguments={"transaction_id": session.transaction_id, "active": active},
        actor=actor,
    )


def allow(*, tenant_id: int, session_id: int, transfers: Sequence[str], actor: Actor) -> Command:
    """Say which ways of energy transfer a session may use; the car then chooses among them."""
    if not transfers or set(transfers) - set(TRANSFERS):
        raise Invalid(fields={"transfers": f"Choose some of {', '.join(TRANSFERS)}."})
    session = _running(tenant_id, session_id, actor)
    return commands.request_command(
        tenant_id=tenant_id,
        station_id=session.station_id,
        kind=CommandKind.ALLOW_TRANSFER,
        arguments={"transaction_id": session.transaction_id, "transfers": list(dict.fromkeys(transfers))},
        actor=actor,
    )


def _row(tenant_id: int, station_id: int, transaction_id: str) -> SessionPower | None:
    session = (
        Session.objects.select_related("evse")
        .filter(tenant_id=tenant_id, station_id=station_id, transaction_id=transaction_id[:64])
        .first()
    )
    if session is None:
        return None
    needs.hold(station_id)
    found = SessionPower.objects.filter(tenant_id=tenant_id, session=session).first()
    return found or SessionPower(
        tenant_id=tenant_id, station_id=station_id, evse_number=session.evse.number, session=session
    )


def record(*, tenant_id: int, reports: Sequence[PriorityTold]) -> None:
    """Priority charging was switched: by the station (NotifyPriorityCharging), or by a command that it accepted."""
    for told in reports:
        row = _row(tenant_id, told.station_id, told.transaction_id)
        if row is not None:
            row.priority, row.priority_at, row.priority_by = (
                told.active,
                told.received_at,
                told.by or "station",
            )
            row.save()
        text = "Priority charging on" if told.active else "Priority charging off"
        _tell(tenant_id, told.station_id, row, text, told)


def record_transfers(*, tenant_id: int, reports: Sequence[TransfersAllowed]) -> None:
    """The station took on which ways of transfer a session may use."""
    for told in reports:
        if row := _row(tenant_id, told.station_id, told.transaction_id):
            row.allowed_transfers, row.allowed_at = list(told.transfers)[:20], told.received_at
            row.save()
            _tell(tenant_id, told.station_id, row, f"May transfer by {', '.join(told.transfers)}", told)


def _tell(
    tenant_id: int,
    station_id: int,
    row: SessionPower | None,
    text: str,
    told: PriorityTold | TransfersAllowed,
) -> None:
    report = EventReport(
        station_id=station_id, kind="priority", severity="info", text=text, raw_timestamp="",
        received_at=told.received_at, evse=row.evse_number if row else None,
        detail={"transaction": told.transaction_id},
    )  # fmt: skip
    events.record(tenant_id=tenant_id, reports=[report])
    site = (
        Station.objects.filter(tenant_id=tenant_id, pk=station_id).values_list("site_id", flat=True).first()
    )
    if row is not None and site is not None:
        live.publish(
            tenant_id, kind="session", station_id=station_id, site_id=site,
            data={"id": row.session_id, "session_id": row.session_id},
        )  # fmt: skip
