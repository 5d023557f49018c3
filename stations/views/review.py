"""Deciding on a session that is held: bill it, with its own or another energy, or never."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from django.contrib import messages
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from stations.services import review as service
from stations.views.common import get_session
from tenants.errors import DomainError, Invalid
from tenants.pages import PageRequest, go, page
from tenants.permissions import Permission


@require_POST
@page(Permission.SESSION_REVIEW)
def release(request: PageRequest, session_id: int) -> HttpResponse:
    session = get_session(request, session_id)
    try:
        service.release_held(
            session=session, actor=request.actor, energy_wh=_watt_hours(request.POST.get("energy_kwh", ""))
        )
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(
            request, _("Session #%(id)s is released. Its price follows within seconds.") % {"id": session.pk}
        )
    return go(request, "session", session.pk)


def _watt_hours(text: str) -> Decimal | None:
    """kWh as typed, with point or comma; empty: the session's own figures."""
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        return Decimal(text) * 1000
    except InvalidOperation:
        raise Invalid(_("Write the energy as a number of kWh, such as 23.18.")) from None


@require_POST
@page(Permission.SESSION_REVIEW)
def void(request: PageRequest, session_id: int) -> HttpResponse:
    session = get_session(request, session_id)
    try:
        service.void(session=session, actor=request.actor, reason=request.POST.get("reason", ""))
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(
            request, _("Session #%(id)s is never billed. The reason is in the audit.") % {"id": session.pk}
        )
    return go(request, "session", session.pk)
