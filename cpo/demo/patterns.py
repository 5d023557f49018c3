"""When cars come to a connector and how much they take: the demo's past, by chance but with a fixed seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

# Cars that come to a fast charger in each hour of the day, as shares of a whole.
_HUB_HOURS = (1, 1, 1, 1, 1, 2, 4, 7, 8, 8, 9, 10, 11, 10, 10, 11, 12, 12, 10, 8, 6, 4, 3, 2)
_STREET_HOURS = (0, 0, 0, 0, 0, 0, 1, 3, 6, 7, 6, 6, 7, 6, 6, 6, 8, 10, 9, 6, 4, 2, 1, 0)
# Share of a car's best DC power at a state of charge.
_DC_CURVE = ((0.0, 0.7), (0.1, 1.0), (0.5, 0.95), (0.65, 0.65), (0.8, 0.4), (0.9, 0.2), (1.0, 0.05))


@dataclass(frozen=True, slots=True)
class Visit:
    """A car's stay: it takes up to `energy_wh` at up to `car_w`; `soc` is where it starts (0 to 1)."""

    start: datetime
    end: datetime
    energy_wh: int
    car_w: int
    battery_wh: int
    soc: float


@dataclass(frozen=True, slots=True)
class Sample:
    at: datetime
    register_wh: int  # since the start
    power_w: float
    soc_percent: float | None


def visits(pattern: str, rng: Random, first: date, last: datetime, zone: ZoneInfo) -> Iterator[Visit]:
    """Stays at one EVSE, in order and without overlap, that end before `last`."""
    free_from = datetime.combine(first, datetime.min.time(), zone)
    day = first
    while day <= last.astimezone(zone).date():
        for visit in sorted(_DAYS[pattern](rng, day, zone), key=lambda one: one.start):
            if visit.start >= free_from and visit.end < last:
                yield visit
                free_from = visit.end + timedelta(minutes=rng.uniform(4, 12))
        day += timedelta(days=1)


def samples(visit: Visit, rng: Random, *, station_w: int, dc: bool) -> list[Sample]:
    """Readings from start to end; the last one that grew is where charging stopped."""
    step = timedelta(minutes=2 if dc else 15)
    taken, at, soc = 0.0, visit.start, visit.soc
    found = [Sample(at, 0, 0.0, round(soc * 100, 1) if dc else None)]
    while at < visit.end:
        until = min(at + step, visit.end)
        power = _power(visit, taken, soc, station_w, dc) * rng.uniform(0.985, 1.0)
        hours = (until - at) / timedelta(hours=1)
        gained = min(power * hours, visit.energy_wh - taken)
        taken, soc, at = taken + gained, soc + gained / visit.battery_wh, until
        found.append(
            Sample(at, round(taken), round(gained / hours, 1), round(min(soc, 1.0) * 100, 1) if dc else None)
        )
    return found


def _power(visit: Visit, taken: float, soc: float, station_w: int, dc: bool) -> float:
    left = visit.energy_wh - taken
    if left < 1:
        return 0.0
    if dc:
        return min(station_w, visit.car_w * _dc_share(soc))
    tapering = left < 0.06 * visit.energy_wh
    return min(station_w, visit.car_w) * (0.45 if tapering else 1.0)


def _dc_share(soc: float) -> float:
    for (low, low_share), (high, high_share) in pairwise(_DC_CURVE):
        if soc <= high:
            return low_share + (high_share - low_share) * (soc - low) / (high - low)
    return _DC_CURVE[-1][1]


def _at(day: date, zone: ZoneInfo, hour: float) -> datetime:
    midnight = datetime.combine(day, datetime.min.time(), zone)
    whole = timedelta(seconds=round(hour * 3600))
    return (midnight + whole).astimezone(UTC)


def _depot(rng: Random, day: date, zone: ZoneInfo) -> Iterator[Visit]:
    """Vans come home in the evening and leave in the morning; some top up at noon."""
    working = day.weekday() < 5
    if working and rng.random() < 0.25:
        yield _ac(rng, _at(day, zone, rng.gauss(12.2, 0.4)), rng.uniform(0.6, 1.4), (6, 16))
    if rng.random() < (0.86 if working else 0.18):
        start = rng.gauss(17.4, 0.9)
        yield _ac(rng, _at(day, zone, start), 24 - start + rng.gauss(6.2, 0.4), (18, 58))


def _office(rng: Random, day: date, zone: ZoneInfo) -> Iterator[Visit]:
    if day.weekday() < 5 and rng.random() < 0.8:
        start = rng.gauss(8.4, 0.5)
        yield _ac(rng, _at(day, zone, start), rng.gauss(7.8, 0.8), (8, 34))


def _street(rng: Random, day: date, zone: ZoneInfo) -> Iterator[Visit]:
    for _ in range(rng.choice((1, 2, 2, 3))):
        hour = rng.choices(range(24), _STREET_HOURS)[0] + rng.random()
        yield _ac(rng, _at(day, zone, hour), rng.uniform(1.0, 4.5), (6, 38))


def _hub(rng: Random, day: date, zone: ZoneInfo) -> Iterator[Visit]:
    for _ in range(rng.choice((4, 5, 5, 6, 7)) + (2 if day.weekday() in (4, 6) else 0)):
        hour = rng.choices(range(24), _HUB_HOURS)[0] + rng.random()
        start, battery = _at(day, zone, hour), rng.choice((52_000, 64_000, 77_000, 94_000))
        soc, target = rng.uniform(0.07, 0.45), rng.uniform(0.68, 0.9)
        stay = timedelta(minutes=rng.uniform(16, 46))
        car_w = rng.choice((75_000, 110_000, 135_000, 170_000, 240_000))
        yield Visit(start, start + stay, round((target - soc) * battery), car_w, battery, soc)


def _ac(rng: Random, start: datetime, hours: float, kwh: tuple[float, float]) -> Visit:
    car_w = rng.choice((3_680, 7_360, 11_040, 11_040, 11_040, 22_080))
    energy = round(rng.uniform(*kwh) * 1000)
    return Visit(start, start + timedelta(hours=max(hours, 0.3)), energy, car_w, 75_000, 0.2)


_DAYS = {"depot": _depot, "office": _office, "street": _street, "hub": _hub}
