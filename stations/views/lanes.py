"""Who has which connector when: a lane a connector over the next day, for pages to draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from stations.models import LIVE_RESERVATIONS, Evse, Reservation, Session, SessionState, Station

SPAN = timedelta(hours=24)


@dataclass(frozen=True)
class Bar:
    """From and width in percent of the span."""

    left: float
    width: float
    state: str
    title: str
    reservation_id: int | None = None


@dataclass
class Lane:
    station: Station
    evse: int | None  # None: any of the station
    bars: list[Bar] = field(default_factory=list)


def lanes(stations: Iterable[Station], *, only_busy: bool = False) -> list[Lane]:
    """Running sessions and live reservations of the next 24 hours, by connector."""
    listed = {station.pk: station for station in stations}
    now = timezone.now()
    made = {
        (evse.station_id, evse.number): Lane(listed[evse.station_id], evse.number)
        for evse in Evse.objects.filter(station__in=listed).order_by("station_id", "number")
    }
    for session in Session.objects.filter(station__in=listed, state=SessionState.ACTIVE).select_related(
        "evse"
    ):
        lane = made.get((session.station_id, session.evse.number))
        if lane is not None:
            lane.bars.append(Bar(0.0, 1.5, "charging", ""))
    found = Reservation.objects.filter(
        Q(expires_at__gt=now) | Q(extended_from__gt=now), station__in=listed, state__in=LIVE_RESERVATIONS,
        starts_at__lt=now + SPAN,
    ).select_related("evse", "token")  # fmt: skip
    for one in found.order_by("starts_at"):
        number = one.evse.number if one.evse else None
        lane = made.setdefault((one.station_id, number), Lane(listed[one.station_id], number))  # type: ignore[arg-type]
        lane.bars.append(_bar(one, now))
    found_lanes = [lane for lane in made.values() if lane.bars or not only_busy]
    return sorted(found_lanes, key=lambda lane: (str(lane.station), lane.evse or 0))


def _bar(one: Reservation, now: datetime) -> Bar:
    left = max(0.0, (one.starts_at - now) / SPAN) * 100
    right = min(1.0, (one.holds_until - now) / SPAN) * 100
    who = str(one.token) if one.token else one.token_uid
    begin, end = (timezone.localtime(at).strftime("%H:%M") for at in (one.starts_at, one.holds_until))
    return Bar(
        round(left, 2), round(max(0.8, right - left), 2), "reserved", f"{who}, {begin} – {end}", one.pk
    )
