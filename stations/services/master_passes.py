"""Master passes: cards of the staff that end sessions (2.x C16)."""

from __future__ import annotations

from collections.abc import Sequence

from stations.models import CommandKind, Session, SessionState
from stations.neutral import AuthorizeRequest
from stations.services import commands
from tenants.permissions import system

US = system("Master pass")


def end_sessions(tenant_id: int, shown: Sequence[AuthorizeRequest]) -> None:
    """A station of 2.x knows the group and ends its sessions by itself; for one that tells no kind of token (1.6),
    which only knows parents, it is asked to."""
    stations = {request.station_id for request in shown if not request.token.kind}
    if not stations:
        return
    running = Session.objects.filter(
        tenant_id=tenant_id, station__in=stations, state=SessionState.ACTIVE
    ).order_by("id")
    for session in running[:50]:
        commands.request_command(
            tenant_id=tenant_id, station_id=session.station_id, kind=CommandKind.STOP, actor=US,
            arguments={"transaction_id": session.transaction_id},
        )  # fmt: skip
