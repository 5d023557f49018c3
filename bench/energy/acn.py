"""Real sessions beside ACN-Sim's own algorithms and the optimum that knows all: one table.

    python -m venv /tmp/acn && /tmp/acn/bin/pip install acnportal highspy && /tmp/acn/bin/python -m bench.energy.acn

Two weeks of May 2019 at Caltech (54 EVSE behind one transformer; source and licence inside the data file). The network,
its pilots and its batteries are ACN-Sim's: what differs between the rows is who decides. Energy is in per cent of what
was asked for; `of bound` of what a linear programme gives that knows every session beforehand.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from acnportal import acnsim, algorithms
from acnportal.acnsim import events, sites
from acnportal.acnsim.models import EV, Battery, Linear2StageBattery

from energy.control import Controller, Policy
from energy.day import Horizon, replan
from energy.departures import Departures
from energy.grid import TOTAL, Grid, Leaf, Row
from energy.ledger import SETTLE_S, Ledger
from energy.programme import Needs, Prices, plan

DATA = Path(__file__).parent / "data" / "acn_caltech_2019_may.json"
PERIOD_MIN, VOLTS, AMPS = 5, 208, 32
WATTS = 1e6  # more than all can take
PEAK_KW = 50.0  # from this limit on a peak is asked for: with 99.5 % of the energy
DECIDED = 4  # looks of the fast loop until what it decided is in force
PERIODS_A_DAY = 24 * 60 // PERIOD_MIN
PERIODS_S = np.repeat(
    [PERIOD_MIN * 60.0, 1800.0], [12, 30]
)  # of the programme: an hour exactly, then 15 roughly
FIRST_DAY = datetime.fromisoformat("2019-05-06T00:00:00-07:00")


def sessions(week: int, *, stated: bool, tapering: bool) -> list[EV]:
    """The cars of a week; at a place that is still taken the later one is left out."""
    start = FIRST_DAY + timedelta(days=7 * week)
    found, busy = [], dict[str, int]()
    for number, told in enumerate(json.loads(DATA.read_text())["sessions"]):
        arrival, departure = _period(told["arrival"], start), _period(told["departure"], start) + 1
        if not 0 <= arrival < 7 * PERIODS_A_DAY or busy.get(told["station_id"], -1) > arrival:
            continue
        busy[told["station_id"]] = departure
        said = _period(told["stated_departure"], start) if stated and told["claimed"] else departure
        kwh = told["delivered_kwh"]
        kw = AMPS * VOLTS / 1000
        if tapering:  # full at the end: from four fifths of the battery on it takes less and less
            size = max(2 * kwh, 10.0)
            battery = Linear2StageBattery(size, size - kwh, kw, transition_soc=0.8)
        else:
            battery = Battery(kwh, 0, kw)
        found.append(
            EV(arrival, departure, kwh, told["station_id"], f"s{number}", battery, max(said, arrival + 1))
        )
    return found


def _period(told: str, start: datetime) -> int:
    return int((datetime.fromisoformat(told) - start).total_seconds() // 60 // PERIOD_MIN)


def grid_of(network: Any) -> Grid:
    """ACN-Sim's network as rows: its matrix turned by the angles of its EVSEs."""
    phasors = network.constraint_matrix * np.exp(1j * np.deg2rad(network._phase_angles))[None, :]
    leaves = []
    for name in network.station_ids:
        pilots = sorted(pilot for pilot in network._EVSEs[name].allowable_pilot_signals if pilot > 0)
        step = float(np.diff(pilots).min())
        leaves.append(Leaf(name, "", (0, 1), True, float(pilots[-1]), float(pilots[0]), step))
    rows = [
        (Row(name, "", float(limit)), [(leaf, complex(value)) for leaf, value in enumerate(line) if abs(value) > 1e-9])
        for name, limit, line in zip(network.constraint_index, network.magnitudes, phasors, strict=True)
    ]  # fmt: skip
    everybody: list[tuple[int, complex]] = [(leaf, complex(VOLTS)) for leaf in range(len(leaves))]
    rows.append((Row("site", TOTAL, WATTS), everybody))  # binds nowhere: what is paid by its peak
    return Grid.of_rows(leaves, rows, np.full(len(leaves), float(VOLTS)))


class Ours(algorithms.BaseAlgorithm):
    """The fast and the slow loop, on ACN-Sim's clock. Every order is accepted."""

    def __init__(self, grid: Grid, departures: Departures | None = None, *, peak_kw: float = 0.0) -> None:
        """`peak_kw`: price of a kW of the week's peak."""
        super().__init__()
        self.departures, self.peak_kw, self.paid_w = departures, peak_kw, 0.0
        self.max_recompute = 1
        self.grid = grid
        self.place = {leaf.key: number for number, leaf in enumerate(grid.leaves)}
        none = np.zeros(len(grid.leaves))
        policy = Policy()
        ledger = Ledger.of(grid, default=none, delay=none + policy.delay_s)
        self.control = Controller(grid, ledger, np.arange(len(none)), np.zeros(len(grid.rows)), policy)
        for leaf in range(len(none)):
            self.control.back(leaf, -1000.0, rebooted=True)
        self.control.due = np.inf  # nobody is there
        self.there: dict[int, str] = {}

    def schedule(self, active_sessions: list[Any]) -> dict[str, list[float]]:
        now = self.interface.current_time * PERIOD_MIN * 60.0
        self._go_on(now)
        self._look(active_sessions, now)
        taken_w = sum(self.interface.last_actual_charging_rate.values()) * VOLTS
        self.paid_w = max(self.paid_w, float(taken_w))
        prices = Prices(np.zeros(len(PERIODS_S)), peak_kw=self.peak_kw, paid_peak_w=self.paid_w)
        horizon = Horizon(PERIODS_S, np.tile(self.grid.limits, (len(PERIODS_S), 1)), prices)
        replan(self.control, now, horizon, self.departures)
        for moment in range(DECIDED):  # lowered first, then raised
            self._tick(now + moment * (SETTLE_S + 1))
        granted = self.control.ledger.granted(now + DECIDED * (SETTLE_S + 1))
        return {self.grid.leaves[leaf].key: [float(granted[leaf])] for leaf in self.there}

    def _tick(self, now: float) -> None:
        for order in self.control.tick(now, self.grid.limits):
            self.control.answered(order.number, now, accepted=True)

    def _go_on(self, until: float) -> None:
        """The fast loop for the rest of the last period, in which ACN-Sim tells nothing new: profiles are renewed."""
        while self.control.due < until - 1:
            self._tick(self.control.due)

    def _look(self, active: list[Any], now: float) -> None:
        control, rates = self.control, self.interface.last_actual_charging_rate
        plugged = self._plugged()
        for leaf, session in list(self.there.items()):
            if plugged.get(leaf) != session:
                if self.departures is not None:
                    cars = control.cars
                    self.departures.learn(came=cars.came_at[leaf], told=cars.departure[leaf], left=now)
                control.unplug(leaf, now)
                del self.there[leaf]
        control.cars.need_wh[list(self.there)] = 0.0  # who is full is not told of any more
        for one in active:
            leaf = self.place[one.station_id]
            if leaf not in self.there:
                control.plug(leaf, now, need_wh=one.remaining_demand * 1000)
                self.there[leaf] = one.session_id
            elif one.session_id in rates:
                control.reading(leaf, float(rates[one.session_id]), now)
            control.cars.need_wh[leaf] = one.remaining_demand * 1000
            control.cars.departure[leaf] = one.estimated_departure * PERIOD_MIN * 60

    def _plugged(self) -> dict[int, str]:
        """The session at each place, as its station would tell: full cars stay."""
        evses = self.interface._simulator.network._EVSEs
        return {self.place[name]: evse.ev.session_id for name, evse in evses.items() if evse.ev is not None}


def bound(grid: Grid, cars: list[EV], watts: float = WATTS) -> float:
    """kWh that could be given by who knows all below a peak, without steps and minimums. Days apart."""
    place, total = {leaf.key: number for number, leaf in enumerate(grid.leaves)}, 0.0
    for day in sorted({car.arrival // PERIODS_A_DAY for car in cars}):
        mine = [car for car in cars if car.arrival // PERIODS_A_DAY == day]
        first, last = min(car.arrival for car in mine), max(car.departure for car in mine)
        rows: list[tuple[Row, list[tuple[int, complex]]]] = [(row, []) for row in grid.rows]
        for number, car in enumerate(mine):
            for entry in np.flatnonzero(grid.leaf_of == place[car.station_id]):
                rows[grid.row_of[entry]][1].append((number, complex(grid.coefficients[entry])))
        upper = np.zeros((last - first, len(mine)))
        for number, car in enumerate(mine):
            upper[car.arrival - first : car.departure - first, number] = AMPS
        of_day = Grid.of_rows(
            [grid.leaves[place[car.station_id]] for car in mine], rows, np.full(len(mine), float(VOLTS))
        )
        limits = np.array([watts if row.part == TOTAL else row.limit for row in of_day.rows])
        need = np.array([car.requested_energy * 1000 for car in mine])
        found = plan(
            of_day, period_s=PERIOD_MIN * 60.0, limits=np.tile(limits, (last - first, 1)), upper=upper,
            needs=Needs(need), prices=Prices(np.zeros(last - first), late=0.0, scant=()), most_seconds=300,
        )  # fmt: skip
        assert found is not None
        total += float((need - found.unmet_wh).sum()) / 1000
    return total


def least_peak(grid: Grid, cars: list[EV], kwh: float) -> float:
    """kW: the lowest peak of the week with which who knows all gives so much energy."""
    low, high = 0.0, WATTS
    most = float(AMPS * VOLTS * len(grid.leaves))
    high = min(high, most)
    while high - low > 50.0:
        watts = (low + high) / 2
        low, high = (low, watts) if bound(grid, cars, watts) >= kwh else (watts, high)
    return high / 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kw", type=float, nargs="+", default=[20, 30, 50])
    parser.add_argument("--week", type=int, default=0, choices=[0, 1])
    parser.add_argument("--stated", action="store_true", help="departures as the drivers said")
    parser.add_argument("--tapering", action="store_true", help="batteries that take less towards the end")
    parser.add_argument("--only", nargs="+", help="of the algorithms")
    parser.add_argument(
        "--json", action="store_true", help="a line of JSON for each, for `python -m bench.energy`"
    )
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    deciders: dict[str, Callable[[Grid], Any]] = {
        "EDF": lambda _grid: algorithms.SortedSchedulingAlgo(algorithms.earliest_deadline_first),
        "LLF": lambda _grid: algorithms.SortedSchedulingAlgo(algorithms.least_laxity_first),
        "round robin": lambda _grid: algorithms.RoundRobin(algorithms.first_come_first_served),
        "ours": lambda grid: Ours(grid, Departures() if options.stated else None),
        "ours, peak": lambda grid: Ours(grid, Departures() if options.stated else None, peak_kw=10.0),
    }
    told = _as_json if options.json else _as_text
    told(None)
    for kw in options.kw:
        cars = sessions(options.week, stated=options.stated, tapering=options.tapering)
        asked = sum(car.requested_energy for car in cars)
        most = bound(grid_of(_network(kw)), cars)
        least = least_peak(grid_of(_network(kw)), cars, 0.995 * most) if kw >= PEAK_KW else np.nan
        told(Outcome(kw, "knows all", most / asked, 1.0, least))
        for name, make in deciders.items():
            if (options.only and name not in options.only) or (name == "ours, peak" and kw < PEAK_KW):
                continue
            network, begun = _network(kw), time.time()
            cars = sessions(options.week, stated=options.stated, tapering=options.tapering)
            queue = events.EventQueue([events.PluginEvent(car.arrival, car) for car in cars])
            start = FIRST_DAY + timedelta(days=7 * options.week)
            run = acnsim.Simulator(
                network, make(grid_of(network)), queue, start, period=PERIOD_MIN, verbose=False
            )
            run.run()
            given = np.array([car.energy_delivered for car in run.ev_history.values()])
            share = given / np.array([car.requested_energy for car in run.ev_history.values()])
            jain = share.sum() ** 2 / (len(share) * (share**2).sum())
            peak = float(np.abs(acnsim.aggregate_power(run)).max())
            told(Outcome(
                kw, name, given.sum() / asked, given.sum() / most, peak, jain, float(np.percentile(share, 5)),
                time.time() - begun,
            ))  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """Of one run. `energy`: of what was requested; `of_bound`: of what who knows all gives; `peak_kw`: of the week, for
    who knows all the lowest with 99.5 % of the energy; `jain`, `low`: index and 5th percentile of the cars' shares."""

    kw: float
    who: str
    energy: float
    of_bound: float
    peak_kw: float
    jain: float = np.nan
    low: float = np.nan
    seconds: float = np.nan


def _as_json(one: Outcome | None) -> None:
    if one is not None:
        print(json.dumps(asdict(one)), flush=True)


def _as_text(one: Outcome | None) -> None:
    """One line; None: the head."""
    if one is None:
        names = ("kW", "who decides", "energy", "of bound", "peak kW", "Jain", "5th pct", "s")
        print("{:>4} {:12} {:>7} {:>9} {:>8} {:>6} {:>8} {:>5}".format(*names))
        return
    more = "" if np.isnan(one.jain) else f" {one.jain:>6.3f} {one.low:>8.2f} {one.seconds:>5.0f}"
    print(
        f"{one.kw:>4g} {one.who:12} {100 * one.energy:>6.1f} % {100 * one.of_bound:>7.1f} % {one.peak_kw:>8.1f}{more}",
        flush=True,
    )


def _network(kw: float) -> Any:
    return sites.caltech_acn(basic_evse=False, voltage=VOLTS, transformer_cap=kw)


if __name__ == "__main__":
    main()
