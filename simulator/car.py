"""Cars and their charging curves."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from random import Random

NOMINAL_VOLTS = 230.0
MINIMUM_AMPS = 6.0  # IEC 61851-1: a car is offered 6 A or nothing


@dataclass(frozen=True)
class Contract:
    """What a car proves its contract with. `chain`: PEM; `hashes`: OCSPRequestDataType, of stations that check it."""

    emaid: str
    chain: str = ""
    hashes: tuple[dict[str, str], ...] = ()


@dataclass
class Car:
    """What is plugged in. Amps are per phase; `soc` and `target_soc` run from 0 to 1."""

    battery_wh: float = 60_000
    soc: float = 0.35
    target_soc: float = 1.0
    ac_phases: int = 3
    ac_max_amps: float = 16.0
    dc_max_w: float = 150_000
    dc_volts: float = 400.0
    contract: Contract | None = None  # it can prove one (ISO 15118)
    gives_w: float = 0.0  # how much it can discharge (bidirectional, ISO 15118-20), down to its reserve
    reserve_soc: float = 0.2
    mac: str = ""  # of its charging electronics, as Autocharge reads it

    @property
    def full(self) -> bool:
        return self.soc >= min(1.0, self.target_soc) - 1e-6

    def ac_amps(self, offered_amps: float) -> float:
        """Current per phase that the car draws when offered this much; it tapers in the last 3 %."""
        if self.full or offered_amps < MINIMUM_AMPS:
            return 0.0
        taper = 1.0 if self.soc < 0.97 else max(0.2, (1.0 - self.soc) / 0.03)
        return min(offered_amps, max(1.0, self.ac_max_amps * taper))

    def dc_power_w(self, offered_w: float) -> float:
        """Power that the car draws when offered this much: a short ramp, a plateau, a long taper."""
        if self.full or offered_w <= 0:
            return 0.0
        return min(offered_w, self.dc_max_w * dc_share(self.soc))

    def pack_volts(self) -> float:
        """Voltage of the battery, which rises with its charge."""
        return self.dc_volts * (0.88 + 0.2 * self.soc)

    def take(self, energy_wh: float) -> None:
        self.soc = max(0.0, min(1.0, self.soc + energy_wh / self.battery_wh))

    def give_power_w(self, wanted_w: float) -> float:
        """Power that the car gives back when asked for this much."""
        return min(wanted_w, self.gives_w) if self.soc > self.reserve_soc else 0.0


def dc_share(soc: float) -> float:
    """Share of a car's best DC power that it takes at this state of charge."""
    points = ((0.0, 0.75), (0.08, 1.0), (0.45, 1.0), (0.6, 0.72), (0.8, 0.4), (0.9, 0.18), (1.0, 0.04))
    for (low, low_share), (high, high_share) in itertools.pairwise(points):
        if soc <= high:
            return low_share + (high_share - low_share) * (soc - low) / (high - low)
    return points[-1][1]


# battery Wh, AC phases, AC amps, DC W, DC volts: a city car, a plug-in hybrid, three everyday cars, an 800 V one
MODELS: tuple[tuple[float, int, float, float, float], ...] = (
    (24_000, 1, 32.0, 40_000, 360.0),
    (13_000, 1, 16.0, 0, 350.0),
    (58_000, 3, 16.0, 120_000, 400.0),
    (77_000, 3, 16.0, 170_000, 400.0),
    (52_000, 3, 32.0, 50_000, 400.0),
    (93_000, 3, 16.0, 300_000, 800.0),
)


def any_car(rng: Random, kind: str) -> Car:
    """A car that could turn up at a station of this kind ("ac" or "dc")."""
    models = [model for model in MODELS if kind == "ac" or model[3] > 0]
    battery_wh, phases, amps, dc_w, volts = rng.choice(models)
    return Car(
        battery_wh=battery_wh,
        soc=rng.uniform(0.1, 0.6),
        target_soc=rng.choice((0.8, 0.9, 1.0)) if kind == "dc" else 1.0,
        ac_phases=phases,
        ac_max_amps=amps,
        dc_max_w=dc_w,
        dc_volts=volts,
    )
