"""What load management has in mind with a session, for its driver: in words that need no knowledge of the site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from energy import picture
from energy.board import STALE
from energy.models import Steering
from stations.models import Session, SessionPower
from stations.outlooks import Outlook

WORTH_TELLING_WH = 300.0


def of_sessions(tenant_id: int, sessions: Sequence[Session]) -> dict[int, Outlook]:
    """By session; without those that nobody steers at the moment."""
    now = timezone.now()
    steering = Steering.objects.filter(
        tenant_id=tenant_id, connection__steers=True, connection__site_id__in={one.site_id for one in sessions},
        picture_at__gt=now - STALE,
    ).select_related("connection")  # fmt: skip
    of_site = {row.connection.site_id: row for row in steering}
    said = dict(
        SessionPower.objects.filter(tenant_id=tenant_id, session__in=sessions).values_list(
            "session_id", "wish_at"
        )
    )
    found = {}
    for session in sessions:
        row = of_site.get(session.site_id)
        outlets = (row.picture or {}).get("outlets", []) if row else []
        mine = next((one for one in outlets if one.get("session") == session.pk), None)
        if row is not None and mine is not None:
            told_at = said.get(session.pk)
            is_old = told_at is not None and (row.programme_at is None or row.programme_at < told_at)
            found[session.pk] = _outlook(mine, {} if is_old else row.programme or {}, now, is_old)
    return found


def _outlook(outlet: Mapping[str, Any], programme: Mapping[str, Any], now: datetime, is_old: bool) -> Outlook:
    evse = str(outlet.get("evse"))
    missing = (programme.get("unmet_wh") or {}).get(evse, 0.0)
    need = outlet.get("need_wh")
    return Outlook(
        sentence=_words(str(outlet.get("why"))),
        need_wh=float(need) if isinstance(need, int | float) and need > WORTH_TELLING_WH else None,
        departure_at=_soon(outlet.get("departure"), now, timedelta(days=8)),
        ready_at=_soon((programme.get("ready") or {}).get(evse), now, timedelta(days=2)),
        missing_wh=float(missing) if missing > WORTH_TELLING_WH else 0.0,
        is_old=is_old,
    )


def _soon(told: Any, now: datetime, within: timedelta) -> datetime | None:
    at = datetime.fromtimestamp(told, now.tzinfo) if isinstance(told, int | float) else None
    return at if at and now < at < now + within else None


def _words(why: str) -> str:
    return {
        picture.FULL: _("Charges as fast as the charger can."),
        picture.CAR: _("Charges as fast as the car takes it."),
        picture.BINDS: _("Shares the power of the site with others."),
        picture.RAMP: _("Gets more within seconds."),
        picture.WAITS: _("Waits for its turn: not all can charge at once."),
        picture.PEAK: _("Charges gently, to keep the site's peak low."),
        picture.LATER: _("Waits for cheaper power."),
        picture.OTHERS: _("Charges as fast as a limit allows."),
        picture.STARTS: _("Has just begun."),
    }.get(why, "")
