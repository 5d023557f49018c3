"""What load management has in mind with a session, for its driver: in words that need no knowledge of the site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from energy import picture
from energy.board import STALE
from energy.models import Steering
from stations.models import Session

WORTH_TELLING_WH = 300.0


@dataclass(frozen=True)
class Outlook:
    """`sentence`: what it does now. `ready_at`: when it will have what it needs, by the plan of the day; None: not
    known. `missing_wh`: what it will lack at its departure."""

    sentence: str
    ready_at: datetime | None = None
    missing_wh: float = 0.0


def of_sessions(tenant_id: int, sessions: Sequence[Session]) -> dict[int, Outlook]:
    """By session; without those that nobody steers at the moment."""
    now = timezone.now()
    steering = Steering.objects.filter(
        tenant_id=tenant_id, connection__steers=True, connection__site_id__in={one.site_id for one in sessions},
        picture_at__gt=now - STALE,
    ).select_related("connection")  # fmt: skip
    of_site = {row.connection.site_id: row for row in steering}
    found = {}
    for session in sessions:
        row = of_site.get(session.site_id)
        outlets = (row.picture or {}).get("outlets", []) if row else []
        mine = next((one for one in outlets if one.get("session") == session.pk), None)
        if row is not None and mine is not None:
            found[session.pk] = _outlook(mine, row.programme or {}, now)
    return found


def _outlook(outlet: Mapping[str, Any], programme: Mapping[str, Any], now: datetime) -> Outlook:
    evse = str(outlet.get("evse"))
    ready = (programme.get("ready") or {}).get(evse)
    at = datetime.fromtimestamp(ready, now.tzinfo) if isinstance(ready, int | float) else None
    missing = (programme.get("unmet_wh") or {}).get(evse, 0.0)
    return Outlook(
        sentence=_words(str(outlet.get("why"))),
        ready_at=at if at and now < at < now + timedelta(days=2) else None,
        missing_wh=float(missing) if missing > WORTH_TELLING_WH else 0.0,
    )


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
