"""What the car of a session wants, plans and may have: a card of the session's page, and its two switches."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from stations import limits, outlooks, schedules
from stations.models import Session, SessionPower, SessionState
from stations.services import needs, priority, wishes
from stations.views.common import get_session
from stations.views.drawing import Line, chart
from tenants.errors import Conflict, DomainError, Invalid
from tenants.pages import PageRequest, PortalForm, go, page
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


TAKE_BACK = "take-back"


class WishForm(PortalForm):
    """Energy and time of day, as people say them."""

    kwh = forms.FloatField(
        label=_("Energy in all, kWh"), required=False, min_value=0.1, max_value=1000,
        error_messages=dict.fromkeys(("min_value", "max_value"), wishes.AMOUNTS),
    )  # fmt: skip
    ready_by = forms.TimeField(
        label=_("Leaves at"), required=False, help_text=_("Within 24 hours, by the site's clock."),
        widget=forms.TimeInput({"type": "time"}, format="%H:%M"),
    )  # fmt: skip

    @classmethod
    def of(cls, session: Session, row: SessionPower | None, data: Any = None) -> WishForm:
        zone = ZoneInfo(session.site.time_zone)
        until = row.wish_departure_at.astimezone(zone) if row and row.wish_departure_at else None
        told = {
            "kwh": row.wish_wh / 1000 if row and row.wish_wh else None,
            "ready_by": until.time() if until and until > timezone.now() else None,
        }
        form = cls(data, initial=told, prefix=f"wish-{session.pk}")
        if session.energy_wh:
            charged = {"energy": _kwh(float(session.energy_wh))}
            form.fields["kwh"].help_text = _t("%(energy)s kWh of it are charged.") % charged
        return form

    def told(self, session: Session) -> dict[str, Any]:
        """As the service takes it: the time is the next one at the site."""
        kwh, clock = self.cleaned_data["kwh"], self.cleaned_data["ready_by"]
        zone = ZoneInfo(session.site.time_zone)
        return {
            "energy_wh": None if kwh is None else kwh * 1000,
            "departure_at": None if clock is None else wishes.next_at(clock, timezone.now(), zone),
        }

    def refused(self, error: DomainError) -> None:
        places = {"energy_wh": "kwh", "departure_at": "ready_by"}
        if isinstance(error, Invalid):
            error = Invalid(fields={places.get(name, name): text for name, text in error.fields.items()})
        super().refused(error)


def save(request: PageRequest, session: Session) -> WishForm | None:
    """Take the wish that was posted, or take it back, and say what became of it. A form: what was refused, and why."""
    form = WishForm.of(session, None, {} if TAKE_BACK in request.POST else request.POST)
    if not form.is_valid():
        return form
    try:
        row = wishes.wish(session=session, actor=request.actor, **form.told(session))
    except Conflict as error:  # there is nothing to correct
        messages.error(request, str(error.detail))
    except DomainError as error:
        form.refused(error)
        return form
    else:
        with timezone.override(ZoneInfo(session.site.time_zone)):
            said = people_say(row)
        messages.success(
            request,
            _t("Planned so: %(wish)s") % {"wish": said}
            if said
            else _t("Taken back: load management goes by what it knows."),
        )
    return None


def _kwh(energy_wh: float) -> str:
    return number_format(round(energy_wh / 1000, 1), 1)  # by itself it cuts off


def people_say(row: SessionPower | None) -> str:
    """At least 20.0 kWh by 17:30. Empty: nobody said anything."""
    if row is None or (row.wish_wh is None and row.wish_departure_at is None):
        return ""
    energy = "" if row.wish_wh is None else _kwh(row.wish_wh)
    by = "" if row.wish_departure_at is None else limits.clock(row.wish_departure_at)
    if energy and by:
        return _t("At least %(energy)s kWh by %(time)s.") % {"energy": energy, "time": by}
    return (
        _t("At least %(energy)s kWh.") % {"energy": energy}
        if energy
        else _t("Leaves at %(time)s.") % {"time": by}
    )


def card(session: Session, actor: Actor, form: WishForm | None = None) -> dict[str, Any] | None:
    """What the card shows; None where there is nothing to show or to do. `form`: what was just refused."""
    row = needs.of_session(session)
    running = session.state == SessionState.ACTIVE
    may = running and actor.may(Permission.STATION_COMMAND, site_id=session.site_id)
    is_21 = session.station.ocpp_version == "2.1"
    may_wish = running and wishes.may_wish(session, actor)
    if row is None and not may_wish:
        return None
    told = list(row.transfers or ([row.transfer] if row.transfer else [])) if row else []
    return {
        "row": row,
        "sentence": sentence(row, session) if row else "",
        "people": people_say(row),
        "form": form or WishForm.of(session, row) if may_wish else None,
        "outlook": outlooks.of_session(session) if running else None,
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
