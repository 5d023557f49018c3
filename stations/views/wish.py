"""What the car of a session wants, plans and may have: a card of the session's page, and its two switches."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from stations import limits, schedules
from stations.models import Session, SessionPower, SessionState
from stations.services import needs, priority
from stations.views.common import get_session
from stations.views.drawing import Line, chart
from tenants.errors import DomainError
from tenants.pages import PageRequest, go, page
from tenants.permissions import Actor, Permission

TRANSFER_NAMES: dict[str, Any] = {
    "AC_single_phase": _("AC, 1 phase"),
    "AC_two_phase": _("AC, 2 phases"),
    "AC_three_phase": _("AC, 3 phases"),
    "AC_BPT": _("AC, both ways"),
    "AC_BPT_DER": _("AC, both ways, for the grid"),
    "AC_DER": _("AC, for the grid"),
    "DC": "DC",
    "DC_BPT": _("DC, both ways"),
    "DC_ACDP": _("DC, pantograph"),
    "DC_ACDP_BPT": _("DC, pantograph, both ways"),
    "WPT": _("Wireless"),
}


def card(session: Session, actor: Actor) -> dict[str, Any] | None:
    """What the card shows; None where there is nothing to show or to do."""
    row = needs.of_session(session)
    running = session.state == SessionState.ACTIVE
    may = running and actor.may(Permission.STATION_COMMAND, site_id=session.site_id)
    is_21 = session.station.ocpp_version == "2.1"
    if row is None and not (may and is_21):
        return None
    told = list(row.transfers or ([row.transfer] if row.transfer else [])) if row else []
    return {
        "row": row,
        "sentence": sentence(row, session) if row else "",
        "plan": _plan(row) if row and row.plan else None,
        "transfer": str(TRANSFER_NAMES.get(row.transfer, row.transfer)) if row else "",
        "may_switch": may and is_21,
        "choices": [
            (name, TRANSFER_NAMES.get(name, name), not row or name in (row.allowed_transfers or told))
            for name in told or ("AC_three_phase", "AC_BPT", "DC", "DC_BPT")
            if name in priority.TRANSFERS
        ],
        "allowed": [str(TRANSFER_NAMES.get(name, name)) for name in row.allowed_transfers] if row else [],
    }


def sentence(row: SessionPower, session: Session) -> str:
    """The car wants 22.0 kWh by 17:30."""
    if row.needs_at is None:
        return ""
    energy = None if row.energy_wh is None else f"{row.energy_wh / 1000:.1f}"
    by = None if row.departure_at is None else limits.clock(row.departure_at)
    if energy and by:
        return _t("The car wants %(energy)s kWh by %(time)s.") % {"energy": energy, "time": by}
    if energy:
        return _t("The car wants %(energy)s kWh and told no departure.") % {"energy": energy}
    if by:
        return _t("The car leaves at %(time)s and told no energy.") % {"time": by}
    return _t("The car told neither energy nor departure.")


def _plan(row: SessionPower) -> dict[str, Any] | None:
    periods = [one for one in limits.read_periods(row.plan) if one.limit is not None]
    if not periods or row.plan_starts_at is None:
        return None
    points = [
        (
            float(one.start_s),
            schedules.to_unit(one.limit or 0, row.plan_unit or "W", schedules.WATTS, one.phases or 3) / 1000,
        )
        for one in periods
    ]
    length = timedelta(seconds=min(max(3600, max(one.start_s for one in periods) * 1.2), 86_400))
    if row.departure_at and timedelta(0) < row.departure_at - row.plan_starts_at < timedelta(days=1):
        length = row.departure_at - row.plan_starts_at
    most = max(value for _second, value in points)
    return chart(
        row.plan_starts_at,
        length,
        [Line(_t("the car's plan"), "charging", points, area=True)],
        most=(row.max_power_w or most * 1000) / 1000,
        unit="kW",
    )


@require_POST
@page(Permission.STATION_COMMAND)
def switch_priority(request: PageRequest, running_id: int) -> HttpResponse:
    session = get_session(request, running_id)
    active = request.POST.get("active") == "yes"
    try:
        priority.switch(
            tenant_id=session.tenant_id, session_id=session.pk, active=active, actor=request.actor
        )
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _t("Asked of the station; it answers within seconds."))
    return go(request, "session", session.pk)


@require_POST
@page(Permission.STATION_COMMAND)
def allow_transfer(request: PageRequest, running_id: int) -> HttpResponse:
    session = get_session(request, running_id)
    try:
        priority.allow(
            tenant_id=session.tenant_id,
            session_id=session.pk,
            transfers=request.POST.getlist("transfers")[:20],
            actor=request.actor,
        )
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _t("Asked of the station; it answers within seconds."))
    return go(request, "session", session.pk)
