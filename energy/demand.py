"""What cars really asked of a site in a past time: its sessions as cars of a replay, its minutes as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db.models import Max, Q

from energy.grid import Floats
from energy.models import SiteMinute
from energy.queries import SiteTree
from energy.replay import Car, Steps
from stations.models import Reading, Session, SessionPower

QUARTER_S = 900
LEAST_WH = 50.0  # less is no charging
LATEST = timedelta(days=7)  # a session that began earlier and still runs is none


@dataclass(frozen=True)
class Minutes:
    """Means of the steps in W; nan: nothing was recorded. `net_w`: building less sun, with the battery."""

    cars_w: Floats
    building_w: Floats
    solar_w: Floats
    net_w: Floats
    grid_w: Floats
    limit_w: Floats
    planned_w: Floats
    waiting: Floats

    @property
    def known(self) -> float:
        """How much of the time was recorded, 0 to 1."""
        return float(np.mean(np.isfinite(self.cars_w))) if len(self.cars_w) else 0.0


def quarter(at: datetime) -> datetime:
    """The quarter of an hour in which it lies."""
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def minutes_of(tree: SiteTree, steps: Steps) -> Minutes:
    names = ("cars_w", "building_w", "solar_w", "battery_w", "grid_w", "limit_w", "planned_w", "waiting")
    begin = datetime.fromtimestamp(steps.begin, UTC)
    rows = SiteMinute.objects.filter(
        tenant_id=tree.connection.tenant_id, connection=tree.connection, minute__gte=begin,
        minute__lt=begin + timedelta(seconds=steps.step_s * steps.count),
    ).order_by("minute").values_list("minute", *names)  # fmt: skip
    sums, counts = np.zeros((len(names), steps.count)), np.zeros((len(names), steps.count))
    for minute, *values in rows.iterator(chunk_size=5000):
        place = int((minute.timestamp() - steps.begin) // steps.step_s)
        for kind, value in enumerate(values):
            if value is not None:
                sums[kind, place] += value
                counts[kind, place] += 1
    with np.errstate(invalid="ignore", divide="ignore"):
        means = dict(zip(names, np.where(counts > 0, sums / counts, np.nan), strict=True))
    net = means["building_w"] - np.nan_to_num(means["solar_w"]) + np.nan_to_num(means.pop("battery_w"))
    return Minutes(net_w=net, **means)


def cars_of(tree: SiteTree, begin: datetime, end: datetime) -> list[Car]:
    """Sessions that were there in this time, cut to it: of one that reaches beyond it, the energy in proportion.

    Needs what it really took; takes at most what its readings ever showed (or it told, ISO 15118), else its mean.
    """
    leaf_of = {wired.evse_id: leaf for leaf, wired in enumerate(tree.wired)}
    found = list(
        Session.objects.filter(
            Q(ended_at__gt=begin) | Q(ended_at=None, started_at__gt=begin - LATEST),
            tenant_id=tree.connection.tenant_id, evse_id__in=list(leaf_of), started_at__lt=end,
            energy_wh__gte=LEAST_WH,
        ).order_by("started_at", "id")
    )  # fmt: skip
    most_w, most_a = _seen(tree.connection.tenant_id, found)
    cars = []
    for session in found:
        until = session.ended_at or min(end, session.last_reading_at or end)
        length = (until - session.started_at).total_seconds()
        since, till = max(session.started_at, begin), min(until, end)
        inside = (till - since).total_seconds()
        if inside <= 0 or length <= 0:
            continue
        leaf = leaf_of[session.evse_id]
        mean_w = float(session.energy_wh) * 3600 / length
        amps, per_a = _draw(
            tree, leaf, max(most_w.get(session.pk, 0.0), mean_w * 1.001), most_a.get(session.pk, 0.0)
        )
        need = float(session.energy_wh) * inside / length
        cars.append(Car(leaf, since.timestamp(), till.timestamp(), need, amps, per_a, session.pk))
    return cars


def _draw(tree: SiteTree, leaf: int, watts: float, told_a: float) -> tuple[float, float]:
    """(A of pilot, W at each of them) of a car that took so many W at most: one on a single phase shows by its A."""
    volts, most = float(tree.grid.volts[leaf]), float(tree.grid.max_a[leaf])
    amps = watts / volts
    if told_a > amps * 1.2 and not tree.wired[leaf].is_dc:
        amps = told_a
    amps = min(max(amps, float(tree.grid.min_a[leaf]), 0.1), most)
    return amps, min(watts / amps, volts)


def _seen(tenant_id: int, sessions: Sequence[Session]) -> tuple[dict[int, float], dict[int, float]]:
    """By session: the most W, and the most A on a line, that it was seen to take."""
    if not sessions:
        return {}, {}
    since = min(one.started_at for one in sessions) - timedelta(hours=1)
    numbers = [one.pk for one in sessions]
    rows = (
        Reading.objects.filter(
            tenant_id=tenant_id, session_id__in=numbers, sampled_at__gte=since,
            station_id__in={one.station_id for one in sessions},
        )
        .order_by().values_list("session_id").annotate(Max("power_w"), Max("current_a"))
    )  # fmt: skip
    watts: dict[int, float] = {}
    amps: dict[int, float] = {}
    for number, most_w, most_a in rows:
        watts[number], amps[number] = float(most_w or 0), float(most_a or 0)
    told = SessionPower.objects.filter(tenant_id=tenant_id, session_id__in=numbers, max_power_w__gt=0)
    for number, most in told.values_list("session_id", "max_power_w"):
        if number is not None:
            watts[number] = max(watts.get(number, 0.0), float(most or 0))
    return watts, amps
