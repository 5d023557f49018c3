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
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from acnportal import acnsim, algorithms
from acnportal.acnsim import events, sites
from acnportal.acnsim.models import EV, Battery, Linear2StageBattery

from energy.control import Controller, Policy
from energy.day import Horizon, replan
from energy.grid import Grid, Leaf, Row
from energy.ledger import SETTLE_S, Ledger
from energy.programme import Prices, plan

DATA = Path(__file__).parent / "data" / "acn_caltech_2019_may.json"
PERIOD_MIN, VOLTS, AMPS = 5, 208, 32
PERIODS_A_DAY = 24 * 60 // PERIOD_MIN
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
    return Grid.of_rows(leaves, rows, np.full(len(leaves), float(VOLTS)))


class Ours(algorithms.BaseAlgorithm):
    """The fast and the slow loop, on ACN-Sim's clock. Every order is accepted."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.max_recompute = 1
        self.grid = grid
        self.place = {leaf.key: number for number, leaf in enumerate(grid.leaves)}
        none = np.zeros(len(grid.leaves))
        policy = Policy(high_s=400.0, band_a=1.0)
        ledger = Ledger.of(grid, default=none, delay=none + policy.delay_s)
        self.control = Controller(grid, ledger, np.arange(len(none)), np.zeros(len(grid.rows)), policy)
        for leaf in range(len(none)):
            self.control.back(leaf, -1000.0, rebooted=True)
        self.there: dict[int, str] = {}

    def schedule(self, active_sessions: list[Any]) -> dict[str, list[float]]:
        now = self.interface.current_time * PERIOD_MIN * 60.0
        self._look(active_sessions, now)
        horizon = Horizon(
            PERIOD_MIN * 60.0, PERIODS_A_DAY // 2, np.tile(self.grid.limits, (PERIODS_A_DAY // 2, 1)),
            Prices(np.zeros(PERIODS_A_DAY // 2)),
        )  # fmt: skip
        replan(self.control, now, horizon)
        for moment in range(4):  # lowered first, then raised
            for order in self.control.tick(now + moment * (SETTLE_S + 1), self.grid.limits):
                self.control.answered(order.number, now + moment * (SETTLE_S + 1), accepted=True)
        granted = self.control.ledger.granted(now + 4 * (SETTLE_S + 1))
        return {self.grid.leaves[leaf].key: [float(granted[leaf])] for leaf in self.there}

    def _look(self, active: list[Any], now: float) -> None:
        control, rates = self.control, self.interface.last_actual_charging_rate
        present = {self.place[one.station_id]: one for one in active}
        for leaf, session in list(self.there.items()):
            if leaf not in present or present[leaf].session_id != session:
                control.unplug(leaf, now)
                del self.there[leaf]
        for leaf, one in present.items():
            if leaf not in self.there:
                control.plug(leaf, now)
                self.there[leaf] = one.session_id
            elif one.session_id in rates:
                control.reading(leaf, float(rates[one.session_id]), now)
            control.cars.need_wh[leaf] = one.remaining_demand * 1000
            left = max(one.estimated_departure - self.interface.current_time, 1)
            control.cars.departure[leaf] = now + left * PERIOD_MIN * 60


def bound(grid: Grid, cars: list[EV]) -> float:
    """kWh that could be given by who knows all, without steps and minimums. Days apart."""
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
        need = np.array([car.requested_energy * 1000 for car in mine])
        found = plan(
            of_day, period_s=PERIOD_MIN * 60.0, limits=np.tile(of_day.limits, (last - first, 1)), upper=upper,
            need_wh=need, prices=Prices(np.zeros(last - first), late=0.0), most_seconds=300,
        )  # fmt: skip
        assert found is not None
        total += float((need - found.unmet_wh).sum()) / 1000
    return total


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kw", type=float, nargs="+", default=[20, 30, 50])
    parser.add_argument("--week", type=int, default=0, choices=[0, 1])
    parser.add_argument("--stated", action="store_true", help="departures as the drivers said")
    parser.add_argument("--tapering", action="store_true", help="batteries that take less towards the end")
    parser.add_argument("--only", nargs="+", help="of the algorithms")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    deciders: dict[str, Callable[[Grid], Any]] = {
        "EDF": lambda _grid: algorithms.SortedSchedulingAlgo(algorithms.earliest_deadline_first),
        "LLF": lambda _grid: algorithms.SortedSchedulingAlgo(algorithms.least_laxity_first),
        "round robin": lambda _grid: algorithms.RoundRobin(algorithms.first_come_first_served),
        "ours": Ours,
    }
    print(
        f"{'kW':>4} {'who decides':12} {'energy':>7} {'of bound':>9} {'peak kW':>8} {'Jain':>6} {'5th pct':>8} {'s':>5}"
    )
    for kw in options.kw:
        cars = sessions(options.week, stated=options.stated, tapering=options.tapering)
        asked = sum(car.requested_energy for car in cars)
        most = bound(grid_of(_network(kw)), cars)
        print(f"{kw:>4g} {'knows all':12} {100 * most / asked:>6.1f} % {100:>7.1f} %")
        for name, make in deciders.items():
            if options.only and name not in options.only:
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
            print(
                f"{kw:>4g} {name:12} {100 * given.sum() / asked:>6.1f} % {100 * given.sum() / most:>7.1f} % "
                f"{peak:>8.1f} {jain:>6.3f} {np.percentile(share, 5):>8.2f} {time.time() - begun:>5.0f}", flush=True,
            )  # fmt: skip


def _network(kw: float) -> Any:
    return sites.caltech_acn(basic_evse=False, voltage=VOLTS, transformer_cap=kw)


if __name__ == "__main__":
    main()
