"""One connector: its meter, its cable, what flows through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp
from random import Random
from typing import TYPE_CHECKING

from simulator.car import MINIMUM_AMPS, NOMINAL_VOLTS, Car

if TYPE_CHECKING:
    from simulator.profiles import Limit
    from simulator.transaction import Transaction

STEP_SECONDS = 10.0  # the curve is integrated in steps no longer than this
OUTSIDE_C, RISE_C, COOLING_SECONDS = 22.0, 33.0, 900.0  # what full power adds, and how slowly


@dataclass
class Flow:
    """What passes the meter at one moment. `amps` is per phase for AC."""

    power_w: float = 0.0
    amps: float = 0.0
    volts: float = NOMINAL_VOLTS
    phases: int = 3
    stopped_by_station: bool = False


@dataclass
class Reservation:
    id: int
    token: str
    expires: str
    parent: str = ""


@dataclass
class Connector:
    """Connector n of a station; in 2.x it is connector 1 of EVSE n."""

    number: int
    kind: str = "ac"  # ac | dc
    phases: int = 3
    max_amps: float = 32.0
    max_power_w: float = 150_000.0
    register_wh: float = 0.0
    export_wh: float = 0.0  # what cars gave back
    car: Car | None = None
    transaction: Transaction | None = None
    operative: bool = True
    inoperative_after: bool = False  # ChangeAvailability came during a transaction
    fault: str = ""
    vendor_code: str = ""  # the maker's own number of that fault
    fault_info: str = ""
    problem_told: bool = False  # 2.x: by NotifyEvent
    heals: str = ""  # what ends the fault: "reset", "hard_reset"; empty: a person
    heat_c: float = 0.0  # what a blocked fan or a bad contact adds
    temperature_c: float = OUTSIDE_C
    dead: bool = False  # its contactor does not close: no energy flows
    waiting_for_start: bool = False  # authorised, nothing flows yet
    finished: bool = False  # a transaction has ended and the cable is still in
    reservation: Reservation | None = None
    unlock_fails: bool = False
    flow: Flow = field(default_factory=Flow)
    reported: str = ""  # the last state the other side was told

    @property
    def best_power_w(self) -> float:
        return self.max_power_w if self.kind == "dc" else self.max_amps * NOMINAL_VOLTS * self.phases

    @property
    def state(self) -> str:
        """In the words of 1.6, lower case with underscores."""
        if self.fault:
            return "faulted"
        if self.transaction is not None:
            return self._charging_state()
        if not self.operative:
            return "unavailable"
        if self.car is not None:
            return "finishing" if self.finished else "preparing"
        if self.waiting_for_start:
            return "preparing"
        return "reserved" if self.reservation else "available"

    def _charging_state(self) -> str:
        if self.car is None:
            return "preparing"
        if self.flow.power_w:  # discharging counts as charging
            return "charging"
        return "suspended_evse" if self.flow.stopped_by_station else "suspended_ev"

    def pass_time(self, seconds: float, limit: Limit, rng: Random) -> None:
        """Let current flow for simulated seconds under a limit; the register only ever rises."""
        left = seconds
        while True:
            step = min(left, STEP_SECONDS)
            self.flow = self._flow_now(limit, rng)
            energy_wh = self.flow.power_w * step / 3600
            self.register_wh += max(0.0, energy_wh)
            self.export_wh += max(0.0, -energy_wh)
            self._warm(step)
            if self.car is not None and energy_wh:
                self.car.take(energy_wh)
            left -= step
            if left <= 0:
                break

    def _warm(self, seconds: float) -> None:
        goal = OUTSIDE_C + self.heat_c + RISE_C * abs(self.flow.power_w) / self.best_power_w
        self.temperature_c += (goal - self.temperature_c) * (1 - exp(-seconds / COOLING_SECONDS))

    def _flow_now(self, limit: Limit, rng: Random) -> Flow:
        if self.car is None or self.transaction is None or self.fault or self.dead:
            return Flow(phases=self.phases)
        if limit.give_watts and self.transaction.may_give:
            return self._back(self.car, limit)
        return self._dc(self.car, limit) if self.kind == "dc" else self._ac(self.car, limit, rng)

    def _back(self, car: Car, limit: Limit) -> Flow:
        volts = car.pack_volts() if self.kind == "dc" else NOMINAL_VOLTS
        phases = 1 if self.kind == "dc" else min(self.phases, car.ac_phases)
        power_w = car.give_power_w(min(limit.give_watts, self.best_power_w))
        return Flow(-power_w, -power_w / (volts * phases), volts, phases)

    def _ac(self, car: Car, limit: Limit, rng: Random) -> Flow:
        phases = min(self.phases, car.ac_phases, limit.phases or 3)
        volts = NOMINAL_VOLTS * rng.uniform(0.99, 1.01)
        offered = min(self.max_amps, limit.amps, limit.watts / (NOMINAL_VOLTS * phases))
        amps = car.ac_amps(offered)
        return Flow(amps * volts * phases, amps, volts, phases, offered < MINIMUM_AMPS)

    def _dc(self, car: Car, limit: Limit) -> Flow:
        volts = car.pack_volts()
        offered = min(self.max_power_w, limit.watts, limit.amps * volts)
        power_w = car.dc_power_w(offered)
        return Flow(power_w, power_w / volts, volts, 1, offered <= 0)
