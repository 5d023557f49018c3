"""What goes wrong on a simulated day: stations, the wire, the central system, the meter, and who does not obey."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bench.energy.site import Car, Evse
    from bench.energy.world import Day

DAY_S = 86_400.0
DEAF_S = 3600.0
HARDWARE_A = 32.0


def plan(day: Day) -> None:
    """All of a day's faults, from the day's own stream of chance."""
    random, stations = day.of_faults, day.result.stations
    for _time in range(random.randint(1, stations)):
        begin, long = random.uniform(0, DAY_S), random.choice([90, 400, 3600, 4 * 3600])
        _plan_offline(day, [random.randrange(stations)], begin, random.expovariate(1 / long), "offline")
    half = random.sample(range(stations), max(1, stations // 2))
    _plan_offline(day, half, random.uniform(0, DAY_S), random.uniform(60, 3600), "half the site offline")
    for _time in range(random.randint(0, 6)):
        station = random.randrange(stations)
        day.at(random.uniform(0, DAY_S), partial(_restart, day, station))
    for _time in range(random.randint(1, 3)):
        begin = random.uniform(0, DAY_S)
        day.at(begin, partial(_central_down, day))
        day.at(begin + random.choice([20, 120, 600, 1800]), partial(_central_up, day))
    for kind in ("silent", "frozen"):
        begin = random.uniform(0, DAY_S)
        day.at(begin, partial(_meter_fault, day, kind, begin + random.uniform(10, 1800)))
    _plan_deaf(day)


# --- stations ---


def _plan_offline(day: Day, stations: list[int], begin: float, long: float, kind: str) -> None:
    for station in stations:
        day.at(begin, partial(_lose, day, station, kind))
        day.at(begin + long, partial(_return, day, station))


def _lose(day: Day, station: int, kind: str) -> None:
    day.faults[kind] += 1
    day.offline[station] += 1
    day.unheard_since.setdefault(station, day.now)
    noticed = day.now + day.of_faults.choice([0.1, 5.0, 30.0, 60.0])
    day.at(noticed, lambda: day.notice(station))


def _return(day: Day, station: int) -> None:
    day.offline[station] -= 1
    if not day.offline[station]:
        day.connect(station, rebooted=False)


def _restart(day: Day, station: int) -> None:
    """Its socket ends, nothing flows for a while, and its profile may be gone afterwards."""
    if day.offline[station]:
        return
    day.faults["restart"] += 1
    day.offline[station] += 1
    day.unheard_since.setdefault(station, day.now)
    day.notice(station)
    keeps = day.of_faults.random() < 0.5
    for evse in day.site.evses:
        if evse.station == station:
            evse.dark = True
            evse.serial += 0 if keeps else 1
            evse.profile_a = evse.profile_a if keeps else None
            day.draw(evse, 0.0)
    day.at(day.now + day.of_faults.uniform(25, 90), lambda: _restarted(day, station))


def _restarted(day: Day, station: int) -> None:
    for evse in day.site.evses:
        if evse.station == station:
            evse.dark = False
            day.follow(evse)
    day.offline[station] -= 1
    if not day.offline[station]:
        later = day.now + day.of_faults.uniform(1, 20)
        day.at(later, lambda: day.connect(station, rebooted=True))


# --- cars that do not stay on their lines ---


def of_lines(day: Day, evse: Evse, car: Car, came: float) -> None:
    """Some charge on one line below 10 or 14 A; some begin on one and take to others again and again."""
    random = day.of_lines
    if random.random() < 0.2:
        car.from_a = random.choice([10.0, 14.0])
    elif random.random() < 0.6:
        at, car.lines = came, 1
        while (at := at + random.expovariate(1 / 1500)) < car.leaves_at:
            day.at(at, partial(_change_lines, day, evse, car, random.choice([1, 1, 3])))


def _change_lines(day: Day, evse: Evse, car: Car, lines: int) -> None:
    if evse.car is car:
        car.lines = lines
        day.draw(evse, evse.draw)


# --- who does not obey ---


def _plan_deaf(day: Day) -> None:
    """One station of the day accepts its profiles and ignores them for an hour: it gives what it gave, or all."""
    random = Random(f"{day.seed} deaf")
    begin, station = random.uniform(0, DAY_S - DEAF_S), random.randrange(day.result.stations)
    keeps = random.random() < 0.5
    day.at(begin, partial(_deafen, day, station, keeps))
    day.at(begin + DEAF_S, partial(_mend, day, station))


def _deafen(day: Day, station: int, keeps: bool) -> None:
    day.faults["ignores its profiles"] += 1
    day.deaf.append((day.now, day.now + DEAF_S, station))
    for evse in day.site.evses:
        if evse.station == station:
            had = evse.limit(day.now) if keeps else 0.0
            day.site.set_deaf(evse, day.now, had or HARDWARE_A)
            day.follow(evse)


def _mend(day: Day, station: int) -> None:
    """The newest profile that it accepted rules, if it has not ended."""
    for evse in day.site.evses:
        if evse.station == station:
            day.site.set_deaf(evse, day.now, None)
            day.follow(evse)


# --- the centre and the meter ---


def _central_down(day: Day) -> None:
    day.faults["central system down"] += 1
    day.down += 1
    if day.down == 1:
        day.silences.append((day.now, np.inf))


def _central_up(day: Day) -> None:
    """What was under way is unknown; the ledger comes from the rows."""
    day.down -= 1
    if day.down:
        return
    begin, _end = day.silences[-1]
    day.silences[-1] = (begin, day.now + 60.0)
    for station in list(day.heard):
        day.control.away(station, day.now)
        day.unheard_since.setdefault(station, begin)
    day.heard.clear()
    day.meter.last_at = -np.inf
    for station in range(day.result.stations):
        back = day.now + day.of_faults.uniform(0.5, 40)
        day.at(back, partial(day.connect, station, rebooted=False))
    day.want_tick()


def _meter_fault(day: Day, kind: str, until: float) -> None:
    day.sample()
    day.faults[f"meter {kind}"] += 1
    day.meter_says = kind
    if kind == "frozen":
        day.at(day.now + 10, lambda: setattr(day.meter, "alike", 10))
    for later in (5.5, 10.5):
        day.at(day.now + later, day.want_tick)
    day.at(until, lambda: setattr(day, "meter_says", "truth"))
    day.at(until + 0.1, day.want_tick)
